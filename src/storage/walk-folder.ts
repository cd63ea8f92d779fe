// Finds what of a folder is shared: files and symbolic links, in byte order of their paths, with how they are now. What cannot
// be shared is counted (pipes, sockets, devices) or refused with its path (a link that leaves the folder, a name that another
// system cannot hold). Nothing is read but the rules of what to ignore.
import { isUtf8 } from "node:buffer";
import { lstat, readFile, readlink } from "node:fs/promises";
import { join, posix } from "node:path";
import { MiniTorrentError } from "../api/errors.ts";
import { MAX_FOLDER_FILES } from "../api/file-limits.ts";
import { IGNORE_FILE_NAME, pathProblem } from "../metainfo/file-name.ts";
import { fileChanged, readError } from "./disk-errors.ts";
import type { DiskPool } from "./disk-pool.ts";
import { fileIdOf } from "./file-facts.ts";
import { DATA_DIRECTORY_FILES, IgnoreRules, isIgnored } from "./ignore-rules.ts";
import { type NamedEntry, PathKind, STAT_NUMBERS, sortKey } from "./scan-jobs.ts";

/** Paths of one job: a millisecond of a worker. */
const PATHS_AT_ONCE = 256;
/** Jobs under way, so that the worker need not wait for the next one. */
const BATCHES_AT_ONCE = 2;
/** Names of one folder that are looked at before others have their turn: about a millisecond. */
const NAMES_PER_TURN = 500;
/** In what `listFolder` gives. */
const HAS_RULES = has(IGNORE_FILE_NAME);
const IS_DATA_DIRECTORY = has(...DATA_DIRECTORY_FILES);
const OWNER_MAY_EXECUTE = 0o100;

export interface FoundFile {
  /** Relative to the shared folder, components joined by "/". */
  readonly path: string;
  readonly lengthBytes: number;
  readonly mtimeMs: number;
  readonly isExecutable: boolean;
  /** Of a symbolic link: what it points to, relative to the shared folder. */
  readonly linkTarget: string | undefined;
}

/** What was found and is not shared. */
export interface LeftOut {
  readonly fifos: number;
  readonly sockets: number;
  readonly devices: number;
  /** Files and folders that the rules leave out. */
  readonly ignored: number;
  /** Folders with nothing in them: a list of files cannot say that they exist. */
  readonly emptyFolders: number;
}

export interface WalkOptions {
  readonly disk: Pick<DiskPool, "listFolder" | "statFiles">;
  /** Names that begin with a dot are ignored too. */
  readonly leavesOutHidden?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Lets others have their turn. */
  readonly yieldTurn: () => Promise<unknown>;
}

interface FoundPath {
  readonly path: string;
  readonly isLink: boolean;
}

/**
 * @param found called for each file and link in byte order of the paths
 * @throws MiniTorrentError FILE_NOT_FOUND, FILE_UNREADABLE, FILE_CHANGED, DISK_FAILED, each with the path; INVALID_ARGUMENT for a
 * path that cannot be shared; LIMIT_REACHED for too many files; whatever `found` throws; the signal's reason when it is aborted
 */
export async function walkFolder(
  folderPath: string,
  options: WalkOptions,
  found: (file: FoundFile) => void,
): Promise<LeftOut> {
  const walk = new FolderWalk(folderPath, options, found);
  return await walk.run();
}

class FolderWalk {
  readonly #root: string;
  readonly #options: WalkOptions;
  readonly #found: (file: FoundFile) => void;
  readonly #leftOut = { fifos: 0, sockets: 0, devices: 0, ignored: 0, emptyFolders: 0 };
  #batch: FoundPath[] = [];
  #count = 0;
  /** Batches that are examined, oldest first: they are told in order. */
  #examined: Promise<void> = Promise.resolve();
  readonly #underWay: Promise<void>[] = [];

  constructor(root: string, options: WalkOptions, found: (file: FoundFile) => void) {
    this.#root = root;
    this.#options = options;
    this.#found = found;
  }

  async run(): Promise<LeftOut> {
    try {
      await this.#enter("", undefined);
      await this.#flush();
      await this.#examined;
    } finally {
      // Of those that failed, the first one's error is thrown already.
      await Promise.allSettled(this.#underWay);
    }
    return this.#leftOut;
  }

  /** @param path relative to the root; "" for that */
  async #enter(path: string, rulesAbove: IgnoreRules | undefined): Promise<void> {
    this.#options.signal?.throwIfAborted();
    const listed = Buffer.from(await this.#options.disk.listFolder(join(this.#root, path)));
    if (!isUtf8(listed)) throw cannotShare(posix.join(path, firstNotUtf8(listed)), "its name is not UTF-8");
    const text = listed.toString();
    if (IS_DATA_DIRECTORY.test(text)) {
      this.#leftOut.ignored++;
      return;
    }
    if (text === "") this.#leftOut.emptyFolders++;
    const rules = HAS_RULES.test(text)
      ? new IgnoreRules(await this.#readRules(path), path, rulesAbove)
      : rulesAbove;
    const entries = text.normalize() === text ? entriesIn(text) : await this.#inNormalForm(path, text);
    let count = 0;
    for (const { name, kind } of entries) {
      if (++count % NAMES_PER_TURN === 0) await this.#options.yieldTurn();
      const entryPath = path === "" ? name : `${path}/${name}`;
      const isFolder = kind === PathKind.FOLDER;
      const isHidden = this.#options.leavesOutHidden === true && name.startsWith(".");
      if (isHidden || isIgnored(rules, entryPath, name, isFolder)) {
        if (name !== IGNORE_FILE_NAME) this.#leftOut.ignored++;
      } else await this.#visit(entryPath, kind, rules);
    }
  }

  async #visit(path: string, kind: number, rules: IgnoreRules | undefined): Promise<void> {
    if (kind === PathKind.FIFO) this.#leftOut.fifos++;
    else if (kind === PathKind.SOCKET) this.#leftOut.sockets++;
    else if (kind === PathKind.DEVICE) this.#leftOut.devices++;
    else {
      const problem = pathProblem(path);
      if (problem !== undefined) throw cannotShare(path, `it ${problem}`);
      await (kind === PathKind.FOLDER ? this.#enter(path, rules) : this.#add(path, kind === PathKind.LINK));
    }
  }

  /** Names in normal form C, where the file system finds the same file by that, as macOS does. */
  async #inNormalForm(folderPath: string, text: string): Promise<NamedEntry[]> {
    const idOf = async (name: string): Promise<string> =>
      fileIdOf(await lstat(join(this.#root, folderPath, name), { bigint: true }));
    const entries: NamedEntry[] = [];
    for (const { name, kind } of entriesIn(text)) {
      const normal = name.normalize();
      const isSame = normal === name || (await idOf(name)) === (await idOf(normal).catch(() => undefined));
      entries.push({ name: isSame ? normal : name, kind });
    }
    return entries.sort((a, b) => Buffer.compare(Buffer.from(sortKey(a)), Buffer.from(sortKey(b))));
  }

  async #readRules(path: string): Promise<string> {
    const rulesPath = join(this.#root, path, IGNORE_FILE_NAME);
    try {
      return await readFile(rulesPath, "utf8");
    } catch (error) {
      throw readError(error, rulesPath);
    }
  }

  async #add(path: string, isLink: boolean): Promise<void> {
    if (++this.#count > MAX_FOLDER_FILES) {
      throw new MiniTorrentError(
        "LIMIT_REACHED",
        `${this.#root} has more than ${MAX_FOLDER_FILES} files, and a shared folder at most that many: share its folders one by one, or pack some of them.`,
      );
    }
    this.#batch.push({ path, isLink });
    if (this.#batch.length === PATHS_AT_ONCE) await this.#flush();
  }

  /** Examines the batch, while the next one is put together. */
  async #flush(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    const paths = batch.map(({ path }) => path);
    const stats = this.#options.disk.statFiles(this.#root, paths);
    // It is awaited behind the batches before it; until then a failure is not an unhandled one.
    stats.catch(() => undefined);
    const before = this.#examined;
    this.#examined = before.then(async () => this.#tell(batch, await stats));
    this.#examined.catch(() => undefined);
    this.#underWay.push(this.#examined);
    if (this.#underWay.length > BATCHES_AT_ONCE) await this.#underWay.shift();
  }

  async #tell(batch: readonly FoundPath[], stats: Float64Array): Promise<void> {
    for (const [index, { path, isLink }] of batch.entries()) {
      const [kind, lengthBytes = 0, mtimeMs = 0, mode = 0] = stats.subarray(
        index * STAT_NUMBERS,
        (index + 1) * STAT_NUMBERS,
      );
      const diskPath = join(this.#root, path);
      if (kind !== (isLink ? PathKind.LINK : PathKind.FILE)) throw fileChanged(diskPath);
      const isExecutable = !isLink && (mode & OWNER_MAY_EXECUTE) !== 0;
      const linkTarget = isLink ? await readTarget(diskPath, path) : undefined;
      this.#found({ path, lengthBytes: isLink ? 0 : lengthBytes, mtimeMs, isExecutable, linkTarget });
    }
  }
}

/** Matches a listed folder with an entry of one of those names. */
function has(...names: readonly string[]): RegExp {
  return new RegExp(`(?:^|\\0).(?:${names.map((name) => RegExp.escape(name)).join("|")})\\0`, "s");
}

/** The names of a listed folder one after the other: so that a large one is never a large array. */
function* entriesIn(text: string): Generator<NamedEntry> {
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf("\0", at + 1);
    yield { kind: text.charCodeAt(at), name: text.slice(at + 1, end) };
    at = end + 1;
  }
}

function firstNotUtf8(listed: Buffer): string {
  const names = [...entriesIn(listed.toString("latin1"))].map(({ name }) => Buffer.from(name, "latin1"));
  return (names.find((name) => !isUtf8(name)) ?? "").toString();
}

/** @returns what the link points to, relative to the shared folder */
async function readTarget(diskPath: string, path: string): Promise<string> {
  const bytes = await readlink(diskPath, "buffer").catch((error: unknown) => {
    throw readError(error, diskPath);
  });
  const text = bytes.toString();
  const refuse = (reason: string) => cannotShare(path, `it is a link to ${JSON.stringify(text)}, ${reason}`);
  if (!isUtf8(bytes)) throw refuse("which is not UTF-8");
  if (posix.isAbsolute(text)) throw refuse("an absolute path, which leaves the folder");
  const target = posix.join(posix.dirname(path), text).replace(/\/$/, "");
  if (target === ".." || target.startsWith("../")) throw refuse("which leaves the folder");
  if (target === ".") throw refuse("which is the shared folder itself");
  return target;
}

/** @param path relative to the shared folder */
function cannotShare(path: string, reason: string): MiniTorrentError {
  return new MiniTorrentError(
    "INVALID_ARGUMENT",
    `${JSON.stringify(path)} cannot be in a shared folder: ${reason}. ${REMEDY}`,
  );
}

export const REMEDY = `Change it, or leave it out with a line in ${IGNORE_FILE_NAME}.`;
