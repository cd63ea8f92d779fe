// The files of a torrent's folder: where each of them is, in its tree or in the rest beside it, how it was when it was last
// written or verified, and the jobs that the disk threads do on them. Knows no pieces.
import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { MiniTorrentError } from "../api/errors.ts";
import { Bitfield } from "../metainfo/bitfield.ts";
import { type FileLayout, type FileSpan, PADDING } from "../metainfo/file-layout.ts";
import { EVERY_FILE, type FileSelection } from "../metainfo/file-selection.ts";
import { errnoOf } from "../net/errno.ts";
import {
  folderReplaced,
  nameTaken,
  partLost,
  readError,
  writeError,
  wrongDescription,
} from "./disk-errors.ts";
import type { DiskResult } from "./disk-jobs.ts";
import { FolderFacts } from "./folder-facts.ts";
import {
  FOLDER_REPLACED,
  type FolderJob,
  type FolderPair,
  type FolderPlace,
  type SpanToRead,
  WRONG_FILE_SHA1,
} from "./folder-jobs.ts";
import { inLanes } from "./lanes.ts";
import { taken } from "./part-file.ts";
import { restPathOf } from "./part-folder.ts";
import type { StorageResources } from "./storage-resources.ts";

/** Paths of one job: enough that messages cost little, few enough that a piece does not wait long behind it. */
const FILES_PER_JOB = 512;

/** A file to take over from another folder. */
export interface LinkedFile {
  readonly fileIndex: number;
  readonly oldPath: string;
  /** Its time when it was verified. */
  readonly mtimeMs: number;
}

export interface FolderFilesOptions extends Pick<StorageResources, "disk" | "files"> {
  readonly layout: FileLayout;
  readonly fileName: string;
  /** Which folder it is: see `fileIdOf`. */
  readonly folderId: string;
  /** Where it is now. */
  readonly root: { readonly path: string };
}

export class FolderFiles {
  readonly layout: FileLayout;
  /** How each file was when it was last written, or verified; in place of one that is not there, 0. */
  readonly facts: FolderFacts;
  chosen: FileSelection = EVERY_FILE;
  /** Their SHA-1 was right, and nothing was written to them since. */
  readonly verified: Bitfield;
  readonly #options: FolderFilesOptions;
  /** Files that are in the rest, not in the tree. */
  readonly #inRest: Bitfield;
  /** Files of a finished folder that are not as they were noted: the user's, whose bytes are not replaced. */
  readonly #changed = new Set<number>();

  constructor(options: FolderFilesOptions) {
    const { fileCount } = options.layout;
    this.#options = options;
    this.layout = options.layout;
    this.facts = FolderFacts.none(fileCount);
    this.#inRest = new Bitfield(fileCount);
    this.verified = new Bitfield(fileCount);
  }

  get pair(): FolderPair {
    const { root, folderId, fileName } = this.#options;
    const restPath = restPathOf(root.path, fileName, folderId);
    return { tree: { path: root.path, folderId }, rest: { path: restPath, folderId: undefined } };
  }

  isThere(fileIndex: number): boolean {
    return this.facts.mtimesMs[fileIndex] !== 0;
  }

  /** Where it is, or where it will be when its first byte is written. */
  isInRest(fileIndex: number): boolean {
    return this.isThere(fileIndex) ? this.#inRest.has(fileIndex) : !this.chosen.has(fileIndex);
  }

  /** Nothing that is there is in the rest. */
  get isRestEmpty(): boolean {
    return this.#inRest.count === 0;
  }

  /** For people. */
  pathOf(fileIndex: number): string {
    const { tree, rest } = this.pair;
    return join(this.isInRest(fileIndex) ? rest.path : tree.path, this.layout.pathOf(fileIndex));
  }

  /** Files that somebody changed in a finished folder. */
  get changed(): ReadonlySet<number> {
    return this.#changed;
  }

  written(fileIndex: number, mtimeMs: number): void {
    if (!this.isThere(fileIndex) && this.isInRest(fileIndex)) this.#inRest.set(fileIndex);
    this.facts.mtimesMs[fileIndex] = mtimeMs;
    this.verified.clear(fileIndex);
    this.#changed.delete(fileIndex);
  }

  /** It has left its place. */
  moved(fileIndex: number, isInRest: boolean): void {
    if (isInRest) this.#inRest.set(fileIndex);
    else this.#inRest.clear(fileIndex);
  }

  gone(fileIndex: number): void {
    this.facts.mtimesMs[fileIndex] = 0;
    this.#inRest.clear(fileIndex);
    this.verified.clear(fileIndex);
  }

  /** @param expectsFacts the files must be as they were last */
  spansToRead(spans: readonly FileSpan[], expectsFacts: boolean): SpanToRead[] {
    const mtimeMsOf = (fileIndex: number) => (expectsFacts ? this.facts.mtimesMs[fileIndex] : undefined);
    return spansToRead(this.layout, spans, { isInRest: (fileIndex) => this.isInRest(fileIndex), mtimeMsOf });
  }

  /**
   * Does a job in a disk thread.
   *
   * @param fileIndices the job's files, in its order
   * @throws MiniTorrentError
   */
  run(job: FolderJob, fileIndices: ArrayLike<number>): Promise<DiskResult> {
    const { disk, files } = this.#options;
    // A thread finds no descriptor while others have them all.
    return files.open(() => disk.inFolder(job, (error) => this.#explain(error, job, fileIndices)));
  }

  /**
   * How those files are now.
   *
   * @param use called with the file's time; -1 if it is not there, NaN if it has another length
   */
  async look(
    fileIndices: Iterable<number>,
    isInRest: boolean,
    use: (fileIndex: number, mtimeMs: number) => void,
  ): Promise<void> {
    const { tree, rest } = this.pair;
    await inLanes(inBatches(fileIndices), async (batch) => {
      const paths = batch.map((fileIndex) => this.layout.pathOf(fileIndex));
      const job = { kind: "folder-stat", place: isInRest ? rest : tree, paths } as const;
      const stats = numbersOf(await this.run(job, batch));
      for (const [index, fileIndex] of batch.entries()) {
        const [mtimeMs = -1, lengthBytes] = stats.subarray(2 * index, 2 * index + 2);
        const isOther = mtimeMs !== -1 && lengthBytes !== this.layout.lengthOf(fileIndex);
        use(fileIndex, isOther ? Number.NaN : mtimeMs);
      }
    });
  }

  /**
   * Finds out which files are there, and where.
   *
   * @param noted how they were
   * @param isUsers says of a file that is not as noted whether what is there is the user's
   * @returns files that are there and not as noted
   */
  async survey(noted: FolderFacts | undefined, isUsers: (fileIndex: number) => boolean): Promise<number[]> {
    const doubted: number[] = [];
    const missing: number[] = [];
    const found = (fileIndex: number, mtimeMs: number, isInRest: boolean): void => {
      const isAsNoted = mtimeMs === noted?.mtimesMs[fileIndex];
      if (!isAsNoted && !isInRest && isUsers(fileIndex)) this.#changed.add(fileIndex);
      if (Number.isNaN(mtimeMs)) return;
      this.facts.mtimesMs[fileIndex] = mtimeMs;
      this.moved(fileIndex, isInRest);
      if (!isAsNoted) doubted.push(fileIndex);
    };
    const withContent = [...Array(this.layout.fileCount).keys()].filter((i) => this.layout.lengthOf(i) > 0);
    await this.look(withContent, false, (fileIndex, mtimeMs) => {
      if (mtimeMs === -1) missing.push(fileIndex);
      else found(fileIndex, mtimeMs, false);
    });
    if (missing.length > 0 && (await isThere(this.pair.rest.path))) {
      await this.look(missing, true, (fileIndex, mtimeMs) => {
        if (mtimeMs !== -1) found(fileIndex, mtimeMs, true);
      });
    }
    return doubted.sort((a, b) => a - b);
  }

  /**
   * Takes over whole files from another folder, whose SHA-1 is known to be right. One that is linked shares its bytes with
   * the old one: nothing is written to it here, since a file with two names is copied before that, and a change that somebody
   * makes under the old name shows in its time.
   */
  async link(from: FolderPlace, files: readonly LinkedFile[]): Promise<void> {
    const { tree } = this.pair;
    await inLanes(inBatches(files), async (batch) => {
      const jobFiles = batch.map(({ fileIndex, oldPath, mtimeMs }) => ({
        oldPath,
        path: this.layout.pathOf(fileIndex),
        fileBytes: this.layout.lengthOf(fileIndex),
        mtimeMs,
      }));
      const job = { kind: "folder-link", from, to: tree, files: jobFiles } as const;
      const fileIndices = batch.map(({ fileIndex }) => fileIndex);
      const mtimesMs = numbersOf(await this.run(job, fileIndices));
      for (const [index, fileIndex] of fileIndices.entries()) {
        const mtimeMs = mtimesMs[index] ?? Number.NaN;
        if (Number.isNaN(mtimeMs)) continue;
        this.written(fileIndex, mtimeMs);
        this.verified.set(fileIndex);
      }
    });
  }

  /** Files that are not ours may have those names in the tree. */
  async lookForOthers(fileIndices: Iterable<number>): Promise<void> {
    await this.look(fileIndices, false, (fileIndex, mtimeMs) => {
      if (mtimeMs !== -1) this.#changed.add(fileIndex);
    });
  }

  /** Moves those files that are there into the tree, or out of it. @throws MiniTorrentError FILE_EXISTS */
  async move(fileIndices: Iterable<number>, toRest: boolean): Promise<void> {
    const { tree, rest } = this.pair;
    const places = toRest ? { from: tree, to: rest } : { from: rest, to: tree };
    for (const batch of inBatches(fileIndices)) {
      const paths = batch.map((fileIndex) => this.layout.pathOf(fileIndex));
      const moved = await this.run({ kind: "folder-move", ...places, paths }, batch);
      for (const [index, fileIndex] of batch.entries()) {
        if (moved instanceof Uint8Array && moved[index] === 1) this.moved(fileIndex, toRest);
        else this.gone(fileIndex);
      }
    }
  }

  #explain(error: unknown, job: FolderJob, fileIndices: ArrayLike<number>): MiniTorrentError {
    const { root } = this.#options;
    const at = error instanceof Error && "at" in error ? Number(error.at) : undefined;
    const fileIndex = at === undefined ? undefined : fileIndices[at];
    const path = fileIndex === undefined ? root.path : this.pathOf(fileIndex);
    const code = errnoOf(error) ?? "";
    const isReading = job.kind === "folder-read" || job.kind === "folder-hash" || job.kind === "folder-stat";
    if (code === FOLDER_REPLACED) return isReading ? folderReplaced(root.path) : partLost(root.path);
    if (isReading) return readError(error, path);
    if (code === WRONG_FILE_SHA1) return wrongDescription(path, error);
    if (code === "EEXIST") return taken(path, error);
    return code === "ENOTDIR" || code === "ELOOP" ? nameTaken(path, error) : writeError(error, path);
  }
}

/** The spans, one behind the other in memory. @param mtimeMsOf the time that the file must have, if it must */
export function spansToRead(
  layout: FileLayout,
  spans: readonly FileSpan[],
  {
    isInRest,
    mtimeMsOf,
  }: {
    readonly isInRest: (fileIndex: number) => boolean;
    readonly mtimeMsOf: (fileIndex: number) => number | undefined;
  },
): SpanToRead[] {
  let positionBytes = 0;
  return spans.map(({ fileIndex, offsetBytes, lengthBytes }) => {
    const place = { offsetBytes, lengthBytes, positionBytes };
    positionBytes += lengthBytes;
    if (fileIndex === PADDING)
      return { path: "", isInRest: false, fileBytes: 0, mtimeMs: undefined, ...place };
    return {
      path: layout.pathOf(fileIndex),
      isInRest: isInRest(fileIndex),
      fileBytes: layout.lengthOf(fileIndex),
      mtimeMs: mtimeMsOf(fileIndex),
      ...place,
    };
  });
}

/** So many at once as one job has. */
export function* inBatches<T>(items: Iterable<T>): Generator<T[]> {
  let batch: T[] = [];
  for (const item of items) {
    batch.push(item);
    if (batch.length < FILES_PER_JOB) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** @throws MiniTorrentError INTERNAL if the job gave no numbers */
export function numbersOf(result: DiskResult): Float64Array {
  if (result instanceof Float64Array) return result;
  throw new MiniTorrentError("INTERNAL", "Numbers were expected of the disk.");
}

async function isThere(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw writeError(error, path);
  }
}
