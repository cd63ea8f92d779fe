// What is in a folder of the daemon's machine, a page at a time: folders first, each kind by name. However many entries a folder
// has, a page keeps no more of them than it answers, and other work has its turn while they are read.
import type { Dirent } from "node:fs";
import { mkdir, opendir, realpath, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { MiniTorrentError } from "../api/errors.ts";
import { freeBytes } from "../net/free-space.ts";
import { readError, writeError } from "../storage/disk-errors.ts";
import type { Roots } from "./roots.ts";
import type { FolderItem, FolderPage } from "./status-schemas.ts";

/** Entries in a page. */
const PAGE_ITEMS = 500;
/** Entries that the system is asked for at once. */
const ENTRIES_AT_ONCE = 512;
/** Entries that are looked at beside each other. */
const LOOKS_AT_ONCE = 16;

/** Where a caller may look; undefined: everywhere. */
type Confines = Pick<Roots, "contains"> | undefined;

interface Entry {
  readonly name: string;
  readonly kind: "file" | "folder";
}

/**
 * A page of a folder. Files that are neither regular nor folders are left out, and links that lead to none; for a confined caller also
 * what is hidden, and links that lead out of the roots.
 *
 * @param after `next` of the page before; undefined: the first page
 * @throws MiniTorrentError FILE_NOT_FOUND, FILE_UNREADABLE, NOT_A_FILE, DISK_FAILED; INVALID_ARGUMENT for an `after` of another form
 */
export async function folderPage(
  path: string,
  after: string | undefined,
  confines: Confines,
): Promise<FolderPage> {
  const absolute = resolve(path);
  const smallest = new SmallestEntries(PAGE_ITEMS + 1);
  const behind = after === undefined ? undefined : entryIn(after);
  try {
    const folder = await opendir(absolute, { bufferSize: ENTRIES_AT_ONCE });
    let links: string[] = [];
    const offer = (entry: Entry | undefined): void => {
      if (entry !== undefined && (behind === undefined || compare(behind, entry) < 0)) smallest.add(entry);
    };
    for await (const entry of folder) {
      if (confines !== undefined && entry.name.startsWith(".")) continue;
      const kind = kindOf(entry);
      if (kind === "unclear") links.push(entry.name);
      else if (kind !== undefined) offer({ name: entry.name, kind });
      if (links.length < LOOKS_AT_ONCE) continue;
      for (const found of await Promise.all(links.map((name) => lookAt(absolute, name, confines))))
        offer(found);
      links = [];
    }
    for (const found of await Promise.all(links.map((name) => lookAt(absolute, name, confines))))
      offer(found);
    const entries = smallest.sorted();
    const shown = entries.slice(0, PAGE_ITEMS);
    const last = entries.length > PAGE_ITEMS ? shown.at(-1) : undefined;
    const parent = dirname(absolute);
    const hasParent = parent !== absolute && (confines === undefined || confines.contains(parent));
    return {
      path: absolute,
      ...(hasParent && { parent }),
      freeBytes: await freeBytes(absolute),
      items: await itemsOf(absolute, shown),
      ...(last && { next: cursorOf(last) }),
    };
  } catch (error) {
    throw errorAt(error, absolute);
  }
}

/**
 * Makes a folder in one that is there.
 *
 * @throws MiniTorrentError FILE_EXISTS, DESTINATION_UNUSABLE, DISK_FULL, DISK_FAILED
 */
export async function makeFolder(path: string): Promise<string> {
  const absolute = resolve(path);
  try {
    await mkdir(absolute);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") {
      throw new MiniTorrentError("FILE_EXISTS", `${absolute} is there already: choose another name.`, {
        cause: error,
      });
    }
    throw writeError(error, absolute);
  }
  return absolute;
}

/** A link, and an entry whose kind the file system does not say, has to be looked at. */
function kindOf(entry: Dirent): Entry["kind"] | "unclear" | undefined {
  if (entry.isFile()) return "file";
  if (entry.isDirectory()) return "folder";
  const isOther = entry.isFIFO() || entry.isSocket() || entry.isBlockDevice() || entry.isCharacterDevice();
  return isOther ? undefined : "unclear";
}

/** undefined: it is neither a file nor a folder, or the caller may not go where it leads. */
async function lookAt(folder: string, name: string, confines: Confines): Promise<Entry | undefined> {
  try {
    const path = await realpath(join(folder, name));
    if (confines !== undefined && !confines.contains(path)) return undefined;
    const stats = await stat(path);
    if (stats.isDirectory()) return { name, kind: "folder" };
    return stats.isFile() ? { name, kind: "file" } : undefined;
  } catch {
    // It leads nowhere, or to where nobody may look.
    return undefined;
  }
}

/** What has gone meanwhile is left out. */
async function itemsOf(folder: string, entries: readonly Entry[]): Promise<FolderItem[]> {
  const items: FolderItem[] = [];
  for (let at = 0; at < entries.length; at += LOOKS_AT_ONCE) {
    const looks = entries.slice(at, at + LOOKS_AT_ONCE).map(async ({ name, kind }) => {
      const stats = await stat(join(folder, name)).catch(() => undefined);
      if (stats === undefined) return undefined;
      const length = kind === "file" ? { lengthBytes: stats.size } : {};
      return { name, kind, ...length, modifiedAtMs: stats.mtimeMs };
    });
    items.push(...(await Promise.all(looks)).filter((item) => item !== undefined));
  }
  return items;
}

/** As people look for names: numbers by their value, upper and lower case beside each other. */
const collator = new Intl.Collator("en", { numeric: true });

/** Folders before files, each by name. */
function compare(a: Entry, b: Entry): number {
  if (a.kind !== b.kind) return a.kind === "folder" ? -1 : 1;
  const order = collator.compare(a.name, b.name);
  if (order !== 0) return order;
  // Different names that a collator takes for one.
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function cursorOf({ name, kind }: Entry): string {
  return `${kind}/${name}`;
}

function entryIn(cursor: string): Entry {
  const [kind, name] = [cursor.slice(0, cursor.indexOf("/")), cursor.slice(cursor.indexOf("/") + 1)];
  if ((kind === "file" || kind === "folder") && name !== "") return { name, kind };
  throw new MiniTorrentError("INVALID_ARGUMENT", "after: give next of the page before.");
}

function errorAt(error: unknown, path: string): MiniTorrentError {
  const isNoFolder = error instanceof Error && "code" in error && error.code === "ENOTDIR";
  if (!isNoFolder) return readError(error, path);
  return new MiniTorrentError("NOT_A_FILE", `${path} is not a folder: name the folder that it is in.`, {
    cause: error,
  });
}

/** The smallest of all entries that were added: a heap with the largest of them on top. */
class SmallestEntries {
  readonly #most: number;
  readonly #heap: Entry[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  add(entry: Entry): void {
    const heap = this.#heap;
    if (heap.length < this.#most) {
      heap.push(entry);
      this.#rise(heap.length - 1);
      return;
    }
    const [largest] = heap;
    if (largest === undefined || compare(entry, largest) >= 0) return;
    heap[0] = entry;
    this.#sink();
  }

  sorted(): Entry[] {
    return this.#heap.toSorted(compare);
  }

  #rise(start: number): void {
    let at = start;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!this.#isLarger(at, above)) return;
      this.#swap(at, above);
      at = above;
    }
  }

  #sink(): void {
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let largest = at;
      if (this.#isLarger(left, largest)) largest = left;
      if (this.#isLarger(right, largest)) largest = right;
      if (largest === at) return;
      this.#swap(at, largest);
      at = largest;
    }
  }

  #isLarger(a: number, b: number): boolean {
    const [one, other] = [this.#heap[a], this.#heap[b]];
    return one !== undefined && other !== undefined && compare(one, other) > 0;
  }

  #swap(a: number, b: number): void {
    const [one, other] = [this.#heap[a], this.#heap[b]];
    if (one === undefined || other === undefined) return;
    this.#heap[a] = other;
    this.#heap[b] = one;
  }
}
