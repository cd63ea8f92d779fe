// What a person drops onto the page, or picks in a dialog of the browser, as uploads: each file by itself, each folder with all that is
// in it. Hidden files are left out, as the daemon does.
import type { Content, UploadedFile } from "./browser-upload.ts";

/** What of FileSystemEntry is used. */
export interface DroppedEntry<C extends Content> {
  readonly isFile: boolean;
  readonly isDirectory: boolean;
  readonly name: string;
  file?(onFile: (file: C) => void, onError: (error: unknown) => void): void;
  createReader?(): {
    readEntries(
      onEntries: (entries: readonly DroppedEntry<C>[]) => void,
      onError: (error: unknown) => void,
    ): void;
  };
}

export interface DroppedItem<C extends Content = Content> {
  readonly name: string;
  readonly kind: "file" | "folder";
  readonly files: readonly UploadedFile<C>[];
}

export interface Dropped<C extends Content> {
  readonly items: readonly DroppedItem<C>[];
  /** Hidden files and folders that were left out, and folders without a file. */
  readonly leftOut: number;
}

/** @throws what the browser says if a file cannot be read */
export async function readDropped<C extends Content>(
  entries: readonly DroppedEntry<C>[],
): Promise<Dropped<C>> {
  const items: DroppedItem<C>[] = [];
  const tally = { leftOut: 0 };
  for (const entry of entries) {
    if (isHidden(entry.name)) {
      tally.leftOut++;
    } else if (entry.isFile) {
      items.push({ name: entry.name, kind: "file", files: [{ path: "", content: await fileOf(entry) }] });
    } else {
      const files: UploadedFile<C>[] = [];
      await collect(entry, "", files, tally);
      if (files.length > 0) items.push({ name: entry.name, kind: "folder", files });
      else tally.leftOut++;
    }
  }
  return { items, leftOut: tally.leftOut };
}

interface PickedFile extends Content {
  readonly name: string;
  /** `folder/sub/file` for files of a picked folder, otherwise empty. */
  readonly webkitRelativePath: string;
}

/** Of the browser's own dialog. */
export function groupPicked<C extends PickedFile>(picked: readonly C[]): Dropped<C> {
  const items: DroppedItem<C>[] = [];
  const folders = new Map<string, UploadedFile<C>[]>();
  let leftOut = 0;
  for (const file of picked) {
    const [folder = "", ...rest] = file.webkitRelativePath.split("/");
    if ([file.name, folder, ...rest].some(isHidden)) {
      leftOut++;
      continue;
    }
    if (rest.length === 0) {
      items.push({ name: file.name, kind: "file", files: [{ path: "", content: file }] });
      continue;
    }
    let files = folders.get(folder);
    if (files === undefined) {
      files = [];
      folders.set(folder, files);
      items.push({ name: folder, kind: "folder", files });
    }
    files.push({ path: rest.join("/"), content: file });
  }
  return { items, leftOut };
}

async function collect<C extends Content>(
  folder: DroppedEntry<C>,
  path: string,
  files: UploadedFile<C>[],
  tally: { leftOut: number },
): Promise<void> {
  const reader = folder.createReader?.();
  if (reader === undefined) return;
  // A reader gives some entries at a time, and none when there are no more.
  for (;;) {
    const entries = await new Promise<readonly DroppedEntry<C>[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (entries.length === 0) return;
    for (const entry of entries) {
      const inside = `${path}${entry.name}`;
      if (isHidden(entry.name)) tally.leftOut++;
      else if (entry.isFile) files.push({ path: inside, content: await fileOf(entry) });
      else await collect(entry, `${inside}/`, files, tally);
    }
  }
}

function fileOf<C extends Content>(entry: DroppedEntry<C>): Promise<C> {
  return new Promise((resolve, reject) => {
    if (entry.file === undefined) reject(new Error(`${entry.name} cannot be read.`));
    else entry.file(resolve, reject);
  });
}

function isHidden(name: string): boolean {
  return name.startsWith(".");
}
