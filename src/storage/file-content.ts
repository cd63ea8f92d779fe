// One file as the content of a torrent: NAME.part, whose SHA-1 is kept up while its pieces come, and which gets its final name
// once that is right; or a file that is shared in place.
import type { FileHandle } from "node:fs/promises";
import { MiniTorrentError } from "../api/errors.ts";
import { Bitfield } from "../metainfo/bitfield.ts";
import { type FileMetainfo, pieceHash } from "../metainfo/metainfo.ts";
import type { PieceRange } from "../metainfo/piece-types.ts";
import type { Content, FinishOutcome } from "./content.ts";
import { changedOnDisk, fileChanged, readError } from "./disk-errors.ts";
import type { SharedBytes } from "./disk-jobs.ts";
import {
  changeOf,
  type FileFacts,
  factsOf,
  isSameFacts,
  openRegularFile,
  openSharedAgain,
} from "./file-facts.ts";
import { type OpenPart, openPart, openPartAgain, type PartFileOptions, takeName } from "./part-file.ts";
import { readFrames } from "./piece-frames.ts";
import type { PieceSlot } from "./piece-memory.ts";
import { PrefixHash } from "./prefix-hash.ts";
import { recheckPieces } from "./recheck.ts";
import { RefCountedFile } from "./ref-counted-file.ts";
import type { StorageResources } from "./storage-resources.ts";

export interface FileContentOptions extends StorageResources {
  readonly metainfo: FileMetainfo;
  /** Pieces that are verified and written: the store's own, to look at. */
  readonly have: Pick<Bitfield, "has" | "isComplete">;
}

interface OpenedContent {
  readonly handle: FileHandle;
  readonly path: string;
  /** See `fileIdOf`. */
  readonly fileId: string;
  readonly found: FileFacts | undefined;
  readonly opened: Pick<OpenPart, "facts" | "fileId"> | undefined;
  /** How the file must be if it is only read. */
  readonly expected: FileFacts | undefined;
}

/**
 * See `openPart`, which also says what is thrown.
 *
 * @param options of `have`, the pieces that the file does not have are cleared
 */
export async function openFileForDownload(
  options: FileContentOptions & { readonly have: Bitfield },
  part: Omit<PartFileOptions, "lengthBytes">,
): Promise<FileContent> {
  const { have, metainfo, files } = options;
  const { lengthBytes, pieceCount } = metainfo.geometry;
  const { handle, found, ...opened } = await files.openInPlace(() => openPart({ ...part, lengthBytes }));
  const foundBytes = found?.lengthBytes ?? 0;
  for (let i = 0; i < pieceCount; i++) {
    const endBytes = metainfo.geometry.pieceOffsetBytes(i) + metainfo.geometry.lengthOfPieceBytes(i);
    if (endBytes > foundBytes) have.clear(i);
  }
  const { fileId } = opened;
  return new FileContent(options, { handle, path: part.path, fileId, found, opened, expected: undefined });
}

/** @throws MiniTorrentError FILE_NOT_FOUND, NOT_A_FILE, DISK_FAILED; FILE_CHANGED if it is not as expected */
export async function openFileForSeeding(
  options: FileContentOptions,
  path: string,
  expected: FileFacts,
): Promise<FileContent> {
  const { handle, facts, fileId } = await options.files.openInPlace(async () => {
    const opened = await openRegularFile(path);
    const { lengthBytes } = options.metainfo.geometry;
    if (isSameFacts(opened.facts, expected) && opened.facts.lengthBytes === lengthBytes) return opened;
    await opened.handle.close();
    throw fileChanged(path);
  });
  return new FileContent(options, { handle, path, fileId, found: facts, opened: undefined, expected });
}

export class FileContent implements Content {
  readonly root: RefCountedFile;
  readonly found: FileFacts | undefined;
  readonly opened: Pick<OpenPart, "facts" | "fileId"> | undefined;
  readonly wanted: Bitfield;
  readonly #options: FileContentOptions;
  #expected: FileFacts | undefined;
  /** Why the file is not read any more. */
  #broken: MiniTorrentError | undefined;
  /** SHA-1 of the whole file if it is one piece that was verified and written here. */
  #onlyPieceSha1: string | undefined;
  /** undefined for a file that is only read. */
  #prefix: PrefixHash | undefined;
  #endReclaiming: () => void = () => undefined;

  constructor(options: FileContentOptions, file: OpenedContent) {
    this.#options = options;
    this.wanted = Bitfield.full(options.metainfo.geometry.pieceCount);
    this.found = file.found;
    this.opened = file.opened;
    this.#expected = file.expected;
    this.root = new RefCountedFile(options.files, file.handle, file.path, (path) =>
      this.#expected === undefined
        ? openPartAgain(path, file.fileId)
        : openSharedAgain(path, { fileId: file.fileId, facts: this.#expected }),
    );
    if (file.expected === undefined) this.#prefix = this.#startPrefix();
  }

  get isOnlyRead(): boolean {
    return this.#expected !== undefined;
  }

  get isComplete(): boolean {
    return this.#options.have.isComplete;
  }

  writePiece(pieceIndex: number, bytes: SharedBytes): Promise<boolean> {
    const { metainfo, disk } = this.#options;
    return this.root.inRange(metainfo.geometry.pieceOffsetBytes(pieceIndex), (place) =>
      disk.writePiece(place, bytes, pieceHash(metainfo, pieceIndex)),
    );
  }

  pieceWritten(pieceIndex: number, slot: PieceSlot): boolean {
    const { metainfo, memory } = this.#options;
    if (metainfo.geometry.pieceCount === 1) {
      this.#onlyPieceSha1 = Buffer.from(pieceHash(metainfo, pieceIndex)).toString("hex");
      return false;
    }
    return this.#prefix?.offer(pieceIndex, slot, memory.isScarce) === true;
  }

  pieceLost(): void {
    // Every piece is verified again before the file gets its name.
  }

  hashPiece(pieceIndex: number): Promise<Uint8Array> {
    return this.root.whileOpen(({ fd }) => this.#hashIn(fd, pieceIndex));
  }

  whyBroken(): MiniTorrentError | undefined {
    return this.#broken;
  }

  readFrames(
    range: PieceRange,
    frames: Uint8Array,
    verify: ((sha1: Uint8Array) => void) | undefined,
  ): Promise<void> {
    const { geometry } = this.#options.metainfo;
    const positionBytes = geometry.pieceOffsetBytes(range.pieceIndex) + range.offsetBytes;
    return this.root.whileOpen(async ({ fd }) => {
      verify?.(await this.#hashIn(fd, range.pieceIndex));
      await readFrames(fd, positionBytes, frames, range);
    });
  }

  async look(): Promise<MiniTorrentError | undefined> {
    try {
      const stats = await this.root.whileOpen((handle) => handle.stat());
      if (stats.nlink === 0) {
        const sentence = `${this.root.path} was removed: share it again if it is back.`;
        this.#broken ??= new MiniTorrentError("FILE_NOT_FOUND", sentence);
      } else if (this.#expected !== undefined && !isSameFacts(factsOf(stats), this.#expected)) {
        this.#broken ??= fileChanged(this.root.path);
      }
    } catch (error) {
      this.#broken ??= readError(error, this.root.path);
    }
    return this.#broken;
  }

  facts(): Promise<FileFacts> {
    return this.root.whileOpen(async (handle) => factsOf(await handle.stat()));
  }

  /** The SHA-1 of the whole file must be the metainfo's, and every piece on disk right. */
  async finish(destinationPath: string, beforeNaming: () => Promise<void>): Promise<FinishOutcome> {
    const verified = await this.#verifyAllOnDisk();
    if (typeof verified !== "string") return verified;
    await this.#requireWholeSha1();
    await beforeNaming();
    const facts = await this.root.whileOpen((handle, partPath) =>
      takeName(handle, { partPath, destinationPath, change: verified }),
    );
    this.root.renamed(destinationPath);
    this.#expected = facts;
    this.#prefix = undefined;
    this.#endReclaiming();
    return { kind: "finished", facts };
  }

  async pauseHashing(): Promise<void> {
    // The file may not be what was written.
    this.#onlyPieceSha1 = undefined;
    await this.#prefix?.pause();
  }

  resumeHashing(): void {
    this.#prefix?.resume();
  }

  async close(): Promise<void> {
    this.#endReclaiming();
    const prefix = this.#prefix;
    // The hash reads the file until it has stopped.
    const stopped = prefix && this.root.whileHeld(() => prefix.close());
    await Promise.all([stopped, this.root.close()]);
  }

  #hashIn(fd: number, pieceIndex: number): Promise<Uint8Array> {
    const { geometry } = this.#options.metainfo;
    return this.#options.disk.hashRange({
      fd,
      path: this.root.path,
      positionBytes: geometry.pieceOffsetBytes(pieceIndex),
      lengthBytes: geometry.lengthOfPieceBytes(pieceIndex),
    });
  }

  /**
   * Flushes the file and verifies its length and what a read returns, since another program may have written to it. A later change shows
   * in the file's change time (ctime), which nobody can set.
   *
   * @returns the file's `changeOf` while it was verified
   */
  async #verifyAllOnDisk(): Promise<string | Extract<FinishOutcome, { kind: "corrupt" }>> {
    const { metainfo } = this.#options;
    const all = [...Array(metainfo.geometry.pieceCount).keys()];
    for (let before = await this.#synced(); ; ) {
      const right = await recheckPieces(all, metainfo, (i) => this.hashPiece(i), {});
      const pieces = all.filter((pieceIndex) => !right.has(pieceIndex));
      if (pieces.length > 0) {
        const sentence = changedOnDisk(this.root.path, pieces.length);
        return { kind: "corrupt", pieces, error: new MiniTorrentError("CORRUPT_FILE", sentence) };
      }
      const after = await this.#synced();
      if (after === before) return after;
      before = after;
    }
  }

  /** The file has its length, and is on the disk. @returns its `changeOf` */
  #synced(): Promise<string> {
    const { lengthBytes } = this.#options.metainfo.geometry;
    return this.root.whileOpen(async (handle) => {
      // What another program appended is in no piece.
      if ((await handle.stat()).size !== lengthBytes) await handle.truncate(lengthBytes);
      await handle.sync();
      return changeOf(handle);
    });
  }

  /** Every piece on disk is right. @throws MiniTorrentError CORRUPT_FILE, DISK_FAILED */
  async #requireWholeSha1(): Promise<void> {
    const prefix = this.#prefix;
    const expected = this.#options.metainfo.sha1;
    let sha1 = this.#onlyPieceSha1 ?? (await prefix?.whole());
    if (sha1 !== expected && this.#onlyPieceSha1 === undefined) {
      // The running hash may have read a piece while another program had changed it.
      await prefix?.pause();
      prefix?.resume();
      sha1 = await prefix?.whole();
    }
    if (sha1 === expected) return;
    throw new MiniTorrentError(
      "CORRUPT_FILE",
      `${this.root.path} has the SHA-1 ${sha1} instead of ${expected}, although every piece is right: ` +
        "it was shared with a wrong description. Ask for it to be shared again.",
    );
  }

  #startPrefix(): PrefixHash {
    const { disk, memory, metainfo, have } = this.#options;
    const prefix = new PrefixHash({
      disk,
      file: this.root,
      geometry: metainfo.geometry,
      hasPiece: (pieceIndex) => have.has(pieceIndex),
      giveBack: (slot) => memory.give(slot),
    });
    this.#endReclaiming = memory.onScarcity(() => prefix.reclaim());
    prefix.advance();
    return prefix;
  }
}
