// A folder of files as the content of a torrent: NAME.part, in which files are made when their first byte is written, and which
// gets its final name once every chosen file has its SHA-1; or a folder that is shared in place. Pieces are written to, and read
// from, all files that they touch, in one job of a disk thread; a file in the shared folder that has changed makes only the
// pieces that touch it unreadable.
import type { Stats } from "node:fs";
import { open, realpath } from "node:fs/promises";
import { MiniTorrentError } from "../api/errors.ts";
import type { Bitfield } from "../metainfo/bitfield.ts";
import { type FileLayout, type FileSpan, PADDING } from "../metainfo/file-layout.ts";
import { EVERY_FILE, type FileSelection, piecesOf } from "../metainfo/file-selection.ts";
import { type FolderMetainfo, pieceHash } from "../metainfo/metainfo.ts";
import type { PieceRange } from "../metainfo/piece-types.ts";
import type { Content, FinishOutcome } from "./content.ts";
import { changedOnDisk, fileChanged, folderReplaced, readError, wrongDescription } from "./disk-errors.ts";
import type { SharedBytes } from "./disk-jobs.ts";
import { CHUNK_BYTES } from "./disk-pool.ts";
import { type FileFacts, READ_NO_FOLLOW } from "./file-facts.ts";
import { type FolderFacts, timeOf } from "./folder-facts.ts";
import { FolderFiles, inBatches, type LinkedFile, numbersOf } from "./folder-files.ts";
import type { FolderPlace, FolderWriteJob } from "./folder-jobs.ts";
import { HeldPath } from "./held-path.ts";
import { inLanes } from "./lanes.ts";
import type { PartFileOptions } from "./part-file.ts";
import {
  folderAt,
  type OpenedFolder,
  openPartFolder,
  removeRest,
  syncName,
  takeFolderName,
} from "./part-folder.ts";
import { frameBytes, readFrames } from "./piece-frames.ts";
import { recheckPieces } from "./recheck.ts";
import { RefCountedFile } from "./ref-counted-file.ts";
import { SharedGate } from "./shared-gate.ts";
import type { StorageResources } from "./storage-resources.ts";

const SHA1_BYTES = 20;
/** Files from this length on are kept open while they are served, and hashed in steps that let other jobs in between. */
const LONG_FILE_BYTES = CHUNK_BYTES;
const HASH_STEP_BYTES = 4 * 1024 * 1024;
/** Most bytes of short files that one job hashes. */
const SYNC_JOB_BYTES = 4 * 1024 * 1024;

/** Files of a folder that is served in place are not what was shared. */
export type OnLost = (lost: {
  readonly pieces: readonly number[];
  readonly path: string;
  readonly error: MiniTorrentError;
}) => void;

export interface FolderContentOptions extends StorageResources {
  readonly metainfo: FolderMetainfo;
  /** Pieces that are verified and written: the store's own; when it is opened, those that are not there are cleared. */
  readonly have: Bitfield;
  readonly onLost?: OnLost;
}

export interface FolderDownload {
  /** @default all */
  readonly chosen?: FileSelection;
  /** How the files were when the pieces were noted. */
  readonly notedFacts?: FolderFacts;
  /** The folder has its final name already: what is in it and not as noted is the user's. */
  readonly isFinished: boolean;
}

/** See `openPartFolder`, which also says what is thrown; DESTINATION_UNUSABLE, DISK_FAILED */
export async function openFolderForDownload(
  options: FolderContentOptions,
  part: Omit<PartFileOptions, "lengthBytes">,
  { chosen = EVERY_FILE, notedFacts, isFinished }: FolderDownload,
): Promise<FolderContent> {
  const { have } = options;
  const folder = await openPartFolder(part);
  const content = new FolderContent(options, part.path, folder, { isOnlyRead: false, isFinished });
  const { files } = content;
  const noted = have.clone();
  if (folder.isFound) {
    const isUsers = (fileIndex: number): boolean =>
      isFinished && (notedFacts?.mtimesMs[fileIndex] === 0 || isComplete(files.layout, fileIndex, noted));
    content.doubt(await files.survey(notedFacts, isUsers));
    // They were verified when the folder got its name.
    if (isFinished) content.trustComplete();
  }
  content.forgetMissing();
  await content.choose(chosen);
  return content;
}

/**
 * Files that are not as they were are not served; the others are.
 *
 * @throws MiniTorrentError FILE_NOT_FOUND, FILE_CHANGED if it is no folder any more; DISK_FAILED
 */
export async function openFolderForSeeding(
  options: FolderContentOptions,
  path: string,
  expected: FolderFacts,
): Promise<FolderContent> {
  let folder: OpenedFolder | undefined;
  let realPath = path;
  try {
    // The user may have named the folder by way of a link; below it none is followed.
    realPath = await realpath(path);
    folder = await folderAt(realPath);
  } catch (error) {
    throw error instanceof MiniTorrentError ? folderReplaced(path) : readError(error, path);
  }
  if (folder === undefined) throw folderReplaced(path);
  const content = new FolderContent(options, realPath, folder, { isOnlyRead: true, isFinished: true });
  const doubted = await content.files.survey(expected, () => true);
  for (const fileIndex of doubted) content.lose(fileIndex, fileChanged(content.files.pathOf(fileIndex)));
  content.forgetMissing();
  return content;
}

export class FolderContent implements Content {
  readonly root: HeldPath;
  readonly files: FolderFiles;
  readonly found: FileFacts | undefined;
  readonly opened: Content["opened"];
  /** Pieces of files that are not as they were noted: they count as missing until they are checked. */
  readonly doubted = new Set<number>();
  readonly #options: FolderContentOptions;
  readonly #layout: FileLayout;
  readonly #folderId: string;
  readonly #gate = new SharedGate();
  readonly #brokenPieces = new Map<number, MiniTorrentError>();
  /** Long files that are kept open to be served. */
  readonly #served = new Map<number, Promise<RefCountedFile>>();
  /** Ranges that were read and compared with the files' times a moment ago, by their place in the torrent. */
  readonly #fresh = new Set<number>();
  #isOnlyRead: boolean;
  /** It has its final name: what is in it and not known is the user's. */
  #isFinished: boolean;
  #wanted: Bitfield;

  constructor(
    options: FolderContentOptions,
    path: string,
    folder: OpenedFolder,
    { isOnlyRead, isFinished }: { readonly isOnlyRead: boolean; readonly isFinished: boolean },
  ) {
    const { disk, files, metainfo } = options;
    const { facts, folderId } = folder;
    this.#options = options;
    this.#layout = metainfo.layout;
    this.#folderId = folderId;
    this.root = new HeldPath(path);
    this.found = folder.isFound ? facts : undefined;
    this.opened = isOnlyRead ? undefined : { facts, fileId: folderId };
    const { fileName, layout } = metainfo;
    this.files = new FolderFiles({ disk, files, layout, fileName, folderId, root: this.root });
    this.#isOnlyRead = isOnlyRead;
    this.#isFinished = isFinished;
    this.#wanted = piecesOf(layout, EVERY_FILE);
  }

  get isOnlyRead(): boolean {
    return this.#isOnlyRead;
  }

  get wanted(): Bitfield {
    return this.#wanted;
  }

  /** Files that were not as noted: their pieces count as missing. */
  doubt(fileIndices: Iterable<number>): void {
    for (const fileIndex of fileIndices) {
      for (const pieceIndex of this.#piecesOf(fileIndex)) {
        this.#options.have.clear(pieceIndex);
        this.doubted.add(pieceIndex);
      }
    }
  }

  /** Files whose pieces are all there, and that are as they were noted. */
  trustComplete(): void {
    for (let fileIndex = 0; fileIndex < this.#layout.fileCount; fileIndex++) {
      if (this.files.isThere(fileIndex) && this.#isWhole(fileIndex)) this.files.verified.set(fileIndex);
    }
  }

  /** Pieces of files that are not there. */
  forgetMissing(): void {
    const { have } = this.#options;
    for (let fileIndex = 0; fileIndex < this.#layout.fileCount; fileIndex++) {
      if (this.#layout.lengthOf(fileIndex) === 0 || this.files.isThere(fileIndex)) continue;
      for (const pieceIndex of this.#piecesOf(fileIndex)) have.clear(pieceIndex);
    }
  }

  /**
   * Chooses which files are wanted, from now on.
   *
   * @throws MiniTorrentError FILE_EXISTS if another file has the name of one that is chosen; DESTINATION_UNUSABLE, DISK_FAILED
   */
  async choose(chosen: FileSelection): Promise<void> {
    await this.#gate.alone(async () => {
      const atRest: number[] = [];
      const absent: number[] = [];
      for (let fileIndex = 0; fileIndex < this.#layout.fileCount; fileIndex++) {
        if (!chosen.has(fileIndex) || this.#layout.lengthOf(fileIndex) === 0) continue;
        if (!this.files.isThere(fileIndex)) absent.push(fileIndex);
        else if (this.files.isInRest(fileIndex)) atRest.push(fileIndex);
      }
      if (this.#isFinished) await this.files.lookForOthers(absent);
      await this.files.move(atRest, false);
      this.files.chosen = chosen;
      if (this.#isFinished) await this.#removeEmptyRest();
    });
    this.#wanted = piecesOf(this.#layout, chosen);
    // It is finished again, also if nothing has to be fetched: files were moved, and links may be made.
    this.#isOnlyRead = false;
  }

  /** All wanted pieces are there. */
  get isComplete(): boolean {
    const { have } = this.#options;
    for (let piece = 0; piece < have.pieceCount; piece++) {
      if (this.#wanted.has(piece) && !have.has(piece)) return false;
    }
    return true;
  }

  async writePiece(pieceIndex: number, bytes: SharedBytes): Promise<boolean> {
    const { metainfo } = this.#options;
    return this.#gate.together(async () => {
      const spans: FileSpan[] = [];
      const inMemory: FolderWriteJob["spans"][number][] = [];
      let positionBytes = 0;
      for (const span of this.#spansOfPiece(pieceIndex)) {
        const { fileIndex, lengthBytes } = span;
        // A file that was verified has these bytes.
        if (fileIndex !== PADDING && !this.files.verified.has(fileIndex)) {
          spans.push(span);
          inMemory.push({
            path: this.#layout.pathOf(fileIndex),
            isInRest: this.files.isInRest(fileIndex),
            fileBytes: this.#layout.lengthOf(fileIndex),
            offsetBytes: span.offsetBytes,
            lengthBytes,
            positionBytes,
            isNew: this.files.changed.has(fileIndex),
          });
        }
        positionBytes += lengthBytes;
      }
      const fileSha1s = new Uint8Array(spans.length * SHA1_BYTES);
      for (const [index, { fileIndex }] of spans.entries()) {
        fileSha1s.set(this.#layout.sha1Of(fileIndex), index * SHA1_BYTES);
      }
      // A copy: a view is cloned with its whole buffer, here all hashes of the folder.
      const sha1 = new Uint8Array(pieceHash(metainfo, pieceIndex));
      const job = {
        kind: "folder-write",
        ...this.files.pair,
        bytes,
        sha1,
        spans: inMemory,
        fileSha1s,
      } as const;
      const result = await this.files.run(
        job,
        spans.map(({ fileIndex }) => fileIndex),
      );
      if (result === false) return false;
      const mtimesMs = numbersOf(result);
      for (const [index, { fileIndex }] of spans.entries()) {
        this.files.written(fileIndex, mtimesMs[index] ?? 0);
      }
      return true;
    });
  }

  /** Takes over whole files that are chosen and not there (see `FolderFiles.link`). */
  async link(from: FolderPlace, files: readonly LinkedFile[]): Promise<void> {
    await this.#gate.alone(() =>
      this.files.link(
        from,
        files.filter(({ fileIndex }) => this.files.chosen.has(fileIndex) && !this.files.isThere(fileIndex)),
      ),
    );
  }

  /** Missing pieces all of whose files are there and verified. */
  coveredPieces(): number[] {
    const { have } = this.#options;
    const isVerified = (fileIndex: number): boolean => this.files.verified.has(fileIndex);
    return [...Array(have.pieceCount).keys()].filter(
      (pieceIndex) => !have.has(pieceIndex) && this.#layout.filesIn(pieceIndex).every(isVerified),
    );
  }

  /** Files are hashed at the end. */
  pieceWritten(): boolean {
    return false;
  }

  hashPiece(pieceIndex: number): Promise<Uint8Array> {
    return this.#gate.together(() => this.#hash(pieceIndex));
  }

  whyBroken(pieceIndex: number): MiniTorrentError | undefined {
    return this.#brokenPieces.get(pieceIndex);
  }

  async readFrames(
    range: PieceRange,
    frames: Uint8Array,
    verify: ((sha1: Uint8Array) => void) | undefined,
  ): Promise<void> {
    await this.#gate.together(async () => {
      verify?.(await this.#hash(range.pieceIndex));
      const positionBytes = this.#positionOf(range);
      const spans = this.#layout.spansOf(positionBytes, range.lengthBytes);
      const [first] = spans;
      const isLong = first !== undefined && this.#layout.lengthOf(first.fileIndex) >= LONG_FILE_BYTES;
      if (this.#isOnlyRead && spans.length === 1 && first !== undefined && isLong) {
        await this.#readLong(first, frames, range);
      } else {
        await this.#readSpans(positionBytes, frames, range);
      }
      if (this.#isOnlyRead) this.#fresh.add(positionBytes);
    });
  }

  /** While it is downloaded, every read opens the files anew. */
  async look(range: PieceRange): Promise<MiniTorrentError | undefined> {
    const positionBytes = this.#positionOf(range);
    if (!this.#isOnlyRead || this.#fresh.delete(positionBytes)) return this.whyBroken(range.pieceIndex);
    const touched = this.#layout
      .spansOf(positionBytes, range.lengthBytes)
      .map(({ fileIndex }) => fileIndex)
      .filter((fileIndex) => fileIndex !== PADDING);
    try {
      await this.#gate.together(async () => {
        for (const isInRest of [false, true]) {
          const there = touched.filter((fileIndex) => this.files.isInRest(fileIndex) === isInRest);
          await this.files.look(there, isInRest, (fileIndex, mtimeMs) => {
            if (mtimeMs === this.files.facts.mtimesMs[fileIndex]) return;
            this.lose(fileIndex, fileChanged(this.files.pathOf(fileIndex)));
          });
        }
      });
    } catch (error) {
      return readError(error, this.root.path);
    }
    return this.whyBroken(range.pieceIndex);
  }

  /** A file that is served is not what was shared: pieces that touch it are not read any more. */
  lose(fileIndex: number, error: MiniTorrentError): void {
    const { have, onLost } = this.#options;
    const path = this.files.pathOf(fileIndex);
    const pieces = this.#piecesOf(fileIndex).filter((pieceIndex) => !this.#brokenPieces.has(pieceIndex));
    for (const pieceIndex of pieces) {
      this.#brokenPieces.set(pieceIndex, error);
      have.clear(pieceIndex);
    }
    if (pieces.length > 0) onLost?.({ pieces, path, error });
  }

  /** What tells of the single files is in `files.facts`. */
  async facts(): Promise<FileFacts> {
    return { lengthBytes: this.#layout.contentBytes, mtimeMs: 0 };
  }

  async finish(destinationPath: string, beforeNaming: () => Promise<void>): Promise<FinishOutcome> {
    await this.#setAside();
    const corrupt = await this.#verify();
    if (corrupt !== undefined) return corrupt;
    await this.#closeServed();
    await this.#makeLinks();
    await beforeNaming();
    const partPath = this.root.path;
    await takeFolderName({ folderId: this.#folderId, partPath, destinationPath });
    this.root.renamed(destinationPath);
    await syncName(destinationPath);
    this.#isOnlyRead = true;
    this.#isFinished = true;
    await this.#removeEmptyRest();
    return { kind: "finished", facts: await this.facts() };
  }

  /** All pieces are there; whole files that are not chosen may still be in the rest. */
  async #removeEmptyRest(): Promise<void> {
    if (this.#options.have.isComplete && this.files.isRestEmpty) await removeRest(this.files.pair.rest.path);
  }

  pieceLost(pieceIndex: number): void {
    for (const fileIndex of this.#layout.filesIn(pieceIndex)) this.files.verified.clear(fileIndex);
  }

  /** Whole files are hashed at the end. */
  async pauseHashing(): Promise<void> {
    // Nothing runs.
  }

  resumeHashing(): void {
    // Nothing was paused.
  }

  async close(): Promise<void> {
    await this.root.endJobs();
    await this.#closeServed();
  }

  async #closeServed(): Promise<void> {
    const served = await Promise.allSettled(this.#served.values());
    this.#served.clear();
    await Promise.all(served.map((file) => (file.status === "fulfilled" ? file.value.close() : undefined)));
  }

  #positionOf({ pieceIndex, offsetBytes }: PieceRange): number {
    return pieceIndex * this.#layout.pieceLengthBytes + offsetBytes;
  }

  #spansOfPiece(pieceIndex: number): FileSpan[] {
    const { pieceLengthBytes } = this.#layout;
    return this.#layout.spansOf(pieceIndex * pieceLengthBytes, pieceLengthBytes);
  }

  #piecesOf(fileIndex: number): number[] {
    const first = this.#layout.firstPieceOf(fileIndex);
    return Array.from({ length: this.#layout.endPieceOf(fileIndex) - first }, (_, index) => first + index);
  }

  async #hash(pieceIndex: number): Promise<Uint8Array> {
    const spans = this.#spansOfPiece(pieceIndex);
    const job = {
      kind: "folder-hash",
      ...this.files.pair,
      spans: this.files.spansToRead(spans, false),
    } as const;
    const sha1 = await this.files.run(
      job,
      spans.map(({ fileIndex }) => fileIndex),
    );
    return sha1 instanceof Uint8Array ? sha1 : new Uint8Array(0);
  }

  /** By way of memory that the disk threads share: the files are opened there. */
  async #readSpans(positionBytes: number, frames: Uint8Array, range: PieceRange): Promise<void> {
    const { disk } = this.#options;
    const chunk = disk.takeChunk();
    try {
      const bytes =
        range.lengthBytes <= chunk.length ? chunk : new Uint8Array(new SharedArrayBuffer(range.lengthBytes));
      const spans = this.#layout.spansOf(positionBytes, range.lengthBytes);
      const expectsFacts = this.#isOnlyRead;
      const job = {
        kind: "folder-read",
        ...this.files.pair,
        into: bytes,
        spans: this.files.spansToRead(spans, expectsFacts),
      } as const;
      try {
        await this.files.run(
          job,
          spans.map(({ fileIndex }) => fileIndex),
        );
      } catch (error) {
        if (expectsFacts) await this.#loseChanged(spans);
        throw error;
      }
      frameBytes(bytes.subarray(0, range.lengthBytes), frames, range);
    } finally {
      disk.giveChunk(chunk);
    }
  }

  /** A read failed: finds out which of its files are not as they were. */
  async #loseChanged(spans: readonly FileSpan[]): Promise<void> {
    const touched = spans.map(({ fileIndex }) => fileIndex).filter((fileIndex) => fileIndex !== PADDING);
    for (const isInRest of [false, true]) {
      const there = touched.filter((fileIndex) => this.files.isInRest(fileIndex) === isInRest);
      const lost: number[] = [];
      // The folder itself may be gone: the error of the read says so.
      await this.files
        .look(there, isInRest, (fileIndex, mtimeMs) => {
          if (mtimeMs !== this.files.facts.mtimesMs[fileIndex]) lost.push(fileIndex);
        })
        .catch(() => undefined);
      for (const fileIndex of lost) this.lose(fileIndex, fileChanged(this.files.pathOf(fileIndex)));
    }
  }

  async #readLong(
    { fileIndex, offsetBytes }: FileSpan,
    frames: Uint8Array,
    range: PieceRange,
  ): Promise<void> {
    const openAgain = () => this.#openLong(fileIndex);
    try {
      let file = this.#served.get(fileIndex);
      if (file === undefined) {
        const { files } = this.#options;
        const path = this.files.pathOf(fileIndex);
        file = files
          .openInPlace(openAgain)
          .then((handle) => new RefCountedFile(files, handle, path, openAgain));
        this.#served.set(fileIndex, file);
      }
      await (await file).whileOpen(async (handle) => {
        await readFrames(handle.fd, offsetBytes, frames, range);
        this.#requireFacts(fileIndex, await handle.stat());
      });
    } catch (error) {
      const failure = readError(error, this.files.pathOf(fileIndex));
      if (failure.code === "FILE_CHANGED" || failure.code === "FILE_NOT_FOUND") this.lose(fileIndex, failure);
      throw failure;
    }
  }

  async #openLong(fileIndex: number) {
    const handle = await open(this.files.pathOf(fileIndex), READ_NO_FOLLOW);
    try {
      this.#requireFacts(fileIndex, await handle.stat());
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  #requireFacts(fileIndex: number, stats: Stats): void {
    const isSame =
      stats.size === this.#layout.lengthOf(fileIndex) &&
      timeOf(stats) === this.files.facts.mtimesMs[fileIndex];
    if (!isSame) throw fileChanged(this.files.pathOf(fileIndex));
  }

  /** Files that are not chosen and not whole leave the tree. */
  async #setAside(): Promise<void> {
    await this.#gate.alone(async () => {
      const partial: number[] = [];
      for (let fileIndex = 0; fileIndex < this.#layout.fileCount; fileIndex++) {
        if (this.files.chosen.has(fileIndex) || !this.files.isThere(fileIndex)) continue;
        if (!this.files.isInRest(fileIndex) && !this.#isWhole(fileIndex)) partial.push(fileIndex);
      }
      await this.files.move(partial, true);
    });
  }

  #isWhole(fileIndex: number): boolean {
    return isComplete(this.#layout, fileIndex, this.#options.have);
  }

  /** Every file has its SHA-1, and is on the disk. */
  async #verify(): Promise<FinishOutcome | undefined> {
    let wrong = await this.#verifyAndSync();
    if (wrong.length === 0) return undefined;
    const pieces = await this.#wrongPieces(wrong);
    const path = this.files.pathOf(wrong[0] ?? 0);
    if (pieces.length > 0) {
      const error = new MiniTorrentError("CORRUPT_FILE", changedOnDisk(path, pieces.length));
      return { kind: "corrupt", pieces, error };
    }
    // Another program may have touched a file meanwhile.
    wrong = await this.#verifyAndSync();
    if (wrong.length === 0) return undefined;
    throw wrongDescription(path);
  }

  /** @returns files in the tree that are not what they should be */
  async #verifyAndSync(): Promise<number[]> {
    const short: number[] = [];
    const long: number[] = [];
    const asBefore: number[] = [];
    for (let fileIndex = 0; fileIndex < this.#layout.fileCount; fileIndex++) {
      const lengthBytes = this.#layout.lengthOf(fileIndex);
      const isLink = this.#layout.linkTargetOf(fileIndex) !== undefined;
      const isInTree = lengthBytes === 0 ? this.files.chosen.has(fileIndex) : !this.files.isInRest(fileIndex);
      if (isLink || !isInTree) continue;
      if (this.files.verified.has(fileIndex)) asBefore.push(fileIndex);
      else if (lengthBytes > HASH_STEP_BYTES) long.push(fileIndex);
      else short.push(fileIndex);
    }
    const wrong: number[] = [];
    const verified = (fileIndex: number, mtimeMs: number): void => {
      if (Number.isNaN(mtimeMs)) {
        wrong.push(fileIndex);
      } else {
        this.files.written(fileIndex, mtimeMs);
        this.files.verified.set(fileIndex);
      }
    };
    await this.files.look(asBefore, false, (fileIndex, mtimeMs) => {
      if (mtimeMs === this.files.facts.mtimesMs[fileIndex]) return;
      if (this.#layout.lengthOf(fileIndex) <= HASH_STEP_BYTES) short.push(fileIndex);
      else long.push(fileIndex);
    });
    await inLanes(long, async (fileIndex) => {
      if (await this.#hasItsSha1(fileIndex)) await this.#sync([fileIndex], false, verified);
      else wrong.push(fileIndex);
    });
    await inLanes(this.#syncBatches(short), (batch) => this.#sync(batch, true, verified));
    return wrong.sort((a, b) => a - b);
  }

  *#syncBatches(fileIndices: Iterable<number>): Generator<number[]> {
    for (const batch of inBatches(fileIndices)) {
      let part: number[] = [];
      let partBytes = 0;
      for (const fileIndex of batch) {
        part.push(fileIndex);
        partBytes += this.#layout.lengthOf(fileIndex);
        if (partBytes < SYNC_JOB_BYTES) continue;
        yield part;
        part = [];
        partBytes = 0;
      }
      if (part.length > 0) yield part;
    }
  }

  async #sync(
    batch: readonly number[],
    isHashed: boolean,
    verified: (fileIndex: number, mtimeMs: number) => void,
  ): Promise<void> {
    const fileSha1s = new Uint8Array(batch.length * SHA1_BYTES);
    const files = batch.map((fileIndex, index) => {
      fileSha1s.set(this.#layout.sha1Of(fileIndex), index * SHA1_BYTES);
      return {
        path: this.#layout.pathOf(fileIndex),
        fileBytes: this.#layout.lengthOf(fileIndex),
        isExecutable: this.#layout.isExecutable(fileIndex),
      };
    });
    const place = this.files.pair.tree;
    const job = { kind: "folder-sync", place, files, fileSha1s: isHashed ? fileSha1s : undefined } as const;
    const mtimesMs = numbersOf(await this.files.run(job, batch));
    for (const [index, fileIndex] of batch.entries()) verified(fileIndex, mtimesMs[index] ?? Number.NaN);
  }

  /** In steps, between which other jobs get their turn. */
  async #hasItsSha1(fileIndex: number): Promise<boolean> {
    const lengthBytes = this.#layout.lengthOf(fileIndex);
    const range = { place: this.files.pair.tree, path: this.#layout.pathOf(fileIndex) };
    const digest = this.#options.disk.openDigest(0);
    try {
      for (let positionBytes = 0; positionBytes < lengthBytes; positionBytes += HASH_STEP_BYTES) {
        const stepBytes = Math.min(HASH_STEP_BYTES, lengthBytes - positionBytes);
        await digest.updateFromFolder({ ...range, positionBytes, lengthBytes: stepBytes });
      }
    } catch (error) {
      await digest.finish().catch(() => undefined);
      if (error instanceof MiniTorrentError && error.code === "FILE_CHANGED") return false;
      throw error;
    }
    return Buffer.compare(await digest.finish(), this.#layout.sha1Of(fileIndex)) === 0;
  }

  /** Pieces of those files that are not right on disk. */
  async #wrongPieces(fileIndices: readonly number[]): Promise<number[]> {
    const indices = [...new Set(fileIndices.flatMap((fileIndex) => this.#piecesOf(fileIndex)))];
    const right = await recheckPieces(indices, this.#options.metainfo, (i) => this.hashPiece(i), {});
    return indices.filter((pieceIndex) => !right.has(pieceIndex));
  }

  /** Links of the chosen files, and the names in all folders. */
  async #makeLinks(): Promise<void> {
    const place = this.files.pair.tree;
    const links: { path: string; target: string }[] = [];
    const linkIndices: number[] = [];
    const folders = new Set([""]);
    for (let fileIndex = 0; fileIndex < this.#layout.fileCount; fileIndex++) {
      const target = this.#layout.linkTargetOf(fileIndex);
      const isMade =
        target === undefined
          ? this.files.verified.has(fileIndex) && !this.files.isInRest(fileIndex)
          : this.files.chosen.has(fileIndex);
      if (!isMade) continue;
      const path = this.#layout.pathOf(fileIndex);
      for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
        const folder = path.slice(0, end);
        if (folders.has(folder)) break;
        folders.add(folder);
      }
      if (target === undefined) continue;
      links.push({ path, target });
      linkIndices.push(fileIndex);
    }
    await this.files.run({ kind: "folder-finish", place, links, folders: [] }, linkIndices);
    await inLanes(inBatches(folders), async (batch) => {
      await this.files.run({ kind: "folder-finish", place, links: [], folders: batch }, []);
    });
  }
}

function isComplete(layout: FileLayout, fileIndex: number, have: Pick<Bitfield, "has">): boolean {
  const end = layout.endPieceOf(fileIndex);
  for (let piece = layout.firstPieceOf(fileIndex); piece < end; piece++) if (!have.has(piece)) return false;
  return true;
}
