// One torrent's file: pieces are assembled in memory, hashed and written by a worker, and read back in wire form to be
// sent. A download lives in NAME.part and takes its name when the whole file's SHA-1 agrees; from then on, and for a
// file shared in place, it is only read, and no more once it has changed. Decides nothing about which piece when.
import { fstat, type Stats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { MiniTorrentError } from "../api/errors.ts";
import { Bitfield } from "../metainfo/bitfield.ts";
import { type Metainfo, pieceHash } from "../metainfo/metainfo.ts";
import { fileChanged, readError } from "./disk-errors.ts";
import type { DiskPool } from "./disk-pool.ts";
import { type FileFacts, factsOf, isSameFacts, openRegularFile } from "./file-facts.ts";
import type { FrameCache, FramesCallback } from "./frame-cache.ts";
import { type OpenPart, openPart, removePart, takeName } from "./part-file.ts";
import { framesLengthBytes, type PieceRange, readFrames } from "./piece-frames.ts";
import type { PieceMemory, PieceSlot } from "./piece-memory.ts";
import { PrefixHash } from "./prefix-hash.ts";
import { type RecheckOptions, recheckPieces } from "./recheck.ts";

/** What all stores of a process share. */
export interface StorageResources {
  readonly disk: DiskPool;
  readonly memory: PieceMemory;
  readonly cache: FrameCache;
}

export interface DownloadStoreOptions extends StorageResources {
  readonly metainfo: Metainfo;
  readonly partPath: string;
  /** Pieces that were verified before; of a file that is no longer there, or too short, they are forgotten. */
  readonly have?: Bitfield;
  /** The part file may be there already, because the profile knows this download. @default false: FILE_EXISTS */
  readonly resume?: boolean;
  /** What other downloads are still to write to that disk: it is not promised twice. @default 0 */
  readonly promisedBytes?: number;
}

export interface SeedStoreOptions extends StorageResources {
  readonly metainfo: Metainfo;
  readonly path: string;
  /** How the file was when it was hashed. */
  readonly expected: FileFacts;
}

export type CommitOutcome = "verified" | "mismatch" | MiniTorrentError;

type State =
  | { readonly status: "downloading"; readonly prefix: PrefixHash }
  | { readonly status: "rechecking"; readonly prefix: PrefixHash }
  | { readonly status: "finishing"; readonly prefix: PrefixHash }
  | { readonly status: "seeding"; readonly expected: FileFacts }
  | { readonly status: "closed" };

export class PieceStore {
  readonly metainfo: Metainfo;
  /** How the part file was found when it was opened; undefined if it was made then. */
  readonly found: FileFacts | undefined;
  /** The part file when it had been opened; undefined for a file that is only read. */
  readonly opened: Pick<OpenPart, "facts" | "fileId"> | undefined;
  readonly #resources: StorageResources;
  readonly #handle: FileHandle;
  readonly #have: Bitfield;
  readonly #assembling = new Map<number, PieceSlot>();
  #path: string;
  #state: State;
  /** Why the file is not read any more. */
  #broken: MiniTorrentError | undefined;
  #runningJobs = 0;
  #runningCommits = 0;
  /** Of a file that is one piece, once that was hashed and written here: the whole file's too. */
  #onlyPieceSha1: string | undefined;
  #whenIdle: (() => void) | undefined;
  #closed: Promise<void> | undefined;
  #endReclaiming: () => void = () => undefined;

  private constructor(
    options: StorageResources & { readonly metainfo: Metainfo },
    file: {
      handle: FileHandle;
      path: string;
      have: Bitfield;
      found: FileFacts | undefined;
      opened?: Pick<OpenPart, "facts" | "fileId">;
    },
    expected: FileFacts | undefined,
  ) {
    this.metainfo = options.metainfo;
    this.#resources = options;
    this.found = file.found;
    this.opened = file.opened;
    this.#handle = file.handle;
    this.#path = file.path;
    this.#have = file.have;
    this.#state =
      expected === undefined
        ? { status: "downloading", prefix: this.#startPrefix() }
        : { status: "seeding", expected };
  }

  /**
   * Makes or opens the part file, at its full length (sparse).
   *
   * @throws MiniTorrentError FILE_EXISTS if the part file is there and not to be resumed; DISK_FULL if what is missing
   * cannot fit; DESTINATION_UNUSABLE, DISK_FAILED
   */
  static async openForDownload(options: DownloadStoreOptions): Promise<PieceStore> {
    const { metainfo, partPath, resume = false, promisedBytes } = options;
    const { geometry } = metainfo;
    const have = options.have?.clone() ?? new Bitfield(geometry.pieceCount);
    let missingBytes = 0;
    for (let i = 0; i < geometry.pieceCount; i++) {
      if (!have.has(i)) missingBytes += geometry.lengthOfPieceBytes(i);
    }
    const { handle, found, ...opened } = await openPart(
      partPath,
      geometry.lengthBytes,
      resume,
      missingBytes,
      promisedBytes,
    );
    options.disk.prepare();
    const foundBytes = found?.lengthBytes ?? 0;
    for (let i = 0; i < geometry.pieceCount; i++) {
      if (geometry.pieceOffsetBytes(i) + geometry.lengthOfPieceBytes(i) > foundBytes) have.clear(i);
    }
    return new PieceStore(options, { handle, path: partPath, have, found, opened }, undefined);
  }

  /**
   * Opens a complete file, to read only.
   *
   * @throws MiniTorrentError FILE_NOT_FOUND, NOT_A_FILE, DISK_FAILED; FILE_CHANGED if it is not as expected
   */
  static async openForSeeding(options: SeedStoreOptions): Promise<PieceStore> {
    const { metainfo, path, expected } = options;
    const { handle, facts: found } = await openRegularFile(path);
    try {
      if (!isSameFacts(found, expected) || found.lengthBytes !== metainfo.geometry.lengthBytes) {
        throw fileChanged(path);
      }
      const have = Bitfield.full(metainfo.geometry.pieceCount);
      return new PieceStore(options, { handle, path, have, found }, expected);
    } catch (error) {
      await handle.close();
      throw readError(error, path);
    }
  }

  /** Where the file is now. */
  get path(): string {
    return this.#path;
  }

  get status(): State["status"] {
    return this.#state.status;
  }

  /** Pieces that are verified and written; a copy. */
  get have(): Bitfield {
    return this.#have.clone();
  }

  /** Somebody was refused memory to assemble a piece in, and waits for it. */
  get isMemoryScarce(): boolean {
    return this.#resources.memory.isScarce;
  }

  /**
   * Memory to assemble the piece in, of exactly its length; undefined if there is no room now (see
   * `PieceMemory.onRoom`), or the store takes no pieces in its state. Asked again before `commit` or `release`, it
   * gives the same memory. Nothing may be written there after `commit` or `release`.
   */
  reserve(pieceIndex: number): Uint8Array | undefined {
    const { geometry } = this.metainfo;
    const lengthBytes = geometry.lengthOfPieceBytes(pieceIndex);
    if (this.#state.status !== "downloading" || lengthBytes === 0) return undefined;
    const slot = this.#assembling.get(pieceIndex) ?? this.#resources.memory.take(geometry.pieceLengthBytes);
    if (slot === undefined) return undefined;
    this.#assembling.set(pieceIndex, slot);
    return slot.bytes.subarray(0, lengthBytes);
  }

  /**
   * The reserved piece is whole: it is hashed and, if it is right, written. Its memory is no longer the caller's. `done`
   * is called once, later, also when the store is closed meanwhile: with an error, nothing is known to be written.
   */
  commit(pieceIndex: number, done: (outcome: CommitOutcome) => void): void {
    const slot = this.#assembling.get(pieceIndex);
    if (slot === undefined) {
      queueMicrotask(() => done(new MiniTorrentError("INTERNAL", `Piece ${pieceIndex} was not reserved.`)));
      return;
    }
    this.#assembling.delete(pieceIndex);
    this.#begin();
    this.#runningCommits++;
    const range = this.#pieceRange(pieceIndex);
    const sha1 = pieceHash(this.metainfo, pieceIndex);
    this.#resources.disk.writePiece(range, slot.bytes.subarray(0, range.lengthBytes), sha1).then(
      (isRight) => this.#committed(pieceIndex, slot, isRight ? "verified" : "mismatch", done),
      (error: MiniTorrentError) => this.#committed(pieceIndex, slot, error, done),
    );
  }

  /** Gives up a reserved piece that will not be committed. Nothing happens if it is not reserved. */
  release(pieceIndex: number): void {
    const slot = this.#assembling.get(pieceIndex);
    if (slot === undefined) return;
    this.#assembling.delete(pieceIndex);
    this.#resources.memory.give(slot);
  }

  /**
   * Reads a part of a verified piece in wire form. `done` is called once, maybe at once; the frames are to be released. Errors:
   * FILE_CHANGED, FILE_NOT_FOUND (then nothing more is read of this file), DISK_FAILED.
   */
  read(range: PieceRange, done: FramesCallback): void {
    const { pieceIndex, offsetBytes, lengthBytes } = range;
    const refusal = this.#whyNotReadable(pieceIndex);
    if (refusal !== undefined) {
      queueMicrotask(() => done(refusal));
      return;
    }
    this.#begin();
    const positionBytes = this.metainfo.geometry.pieceOffsetBytes(pieceIndex) + offsetBytes;
    const request = {
      owner: this,
      positionBytes,
      framesLengthBytes: framesLengthBytes(lengthBytes),
      // A shorter one at the end of a file fits in it, and the buffer is used again.
      bufferLengthBytes: framesLengthBytes(roundedUp(lengthBytes)),
      load: (bytes: Uint8Array, loaded: (error: MiniTorrentError | undefined) => void) =>
        readFrames(this.#handle.fd, positionBytes, bytes, range, (error) =>
          loaded(error === undefined ? undefined : readError(error, this.#path)),
        ),
    };
    this.#resources.cache.read(request, (frames) => {
      if (frames instanceof MiniTorrentError) {
        this.#end(() => done(frames));
        return;
      }
      // After the read, so that no byte of a change that came during it gets out; also for what was cached, so that the
      // user hears of the change.
      fstat(this.#handle.fd, (error, stats) => {
        this.#broken ??= error === null ? this.#whatChanged(stats) : readError(error, this.#path);
        const broken = this.#broken;
        if (broken !== undefined) {
          frames.release();
          this.#resources.cache.forget(this, broken);
        }
        this.#end(() => done(broken ?? frames));
      });
    });
  }

  /**
   * The download is complete: compares the whole file's SHA-1, makes it durable, and gives it its name. Pieces are read
   * on as before.
   *
   * @returns how the file is, for the profile
   * @throws MiniTorrentError CORRUPT_FILE if the SHA-1 is not that of the metainfo; FILE_EXISTS if the name is taken;
   * FILE_CHANGED, DISK_FULL, DESTINATION_UNUSABLE, DISK_FAILED. The download is as it was, and can be finished again.
   */
  async finish(destinationPath: string): Promise<FileFacts> {
    if (this.#state.status !== "downloading" || !this.#have.isComplete) {
      throw new MiniTorrentError("INTERNAL", `${this.#path} is not a complete download.`);
    }
    const { prefix } = this.#state;
    const state: State = { status: "finishing", prefix };
    this.#state = state;
    this.#begin();
    try {
      const sha1 = this.#onlyPieceSha1 ?? (await prefix.whole());
      if (sha1 !== this.metainfo.sha1) {
        throw new MiniTorrentError(
          "CORRUPT_FILE",
          `${this.#path} has the SHA-1 ${sha1} instead of ${this.metainfo.sha1}, although every piece is right: ` +
            "it was shared with a wrong description. Ask for it to be shared again.",
        );
      }
      const expected = await takeName(this.#handle, this.#path, destinationPath);
      this.#path = destinationPath;
      if (this.#state === state) this.#state = { status: "seeding", expected };
      this.#endReclaiming();
      return expected;
    } finally {
      if (this.#state === state) this.#state = { status: "downloading", prefix };
      this.#end();
    }
  }

  /** How the file is now, for the profile. @throws MiniTorrentError DISK_FAILED */
  async facts(): Promise<FileFacts> {
    return this.#whileOpen(async () => factsOf(await this.#handle.stat()));
  }

  /** As `facts`, once everything that was written survives a power cut too. @throws MiniTorrentError DISK_FULL, DISK_FAILED */
  async flush(): Promise<FileFacts> {
    return this.#whileOpen(async () => {
      await this.#handle.datasync();
      return factsOf(await this.#handle.stat());
    });
  }

  /**
   * Hashes pieces that are on disk. In a download, `have` is set right for them, and no piece can be reserved meanwhile.
   *
   * @returns which of these pieces are right
   * @throws MiniTorrentError DISK_FAILED; the signal's reason when it is aborted, and then `have` is as it was
   */
  async recheck(pieces: Iterable<number> | "all", options: RecheckOptions = {}): Promise<Bitfield> {
    const before = this.#state;
    if (before.status === "seeding") return this.#whileOpen(() => this.#hashPieces(pieces, options)[1]);
    if (before.status !== "downloading" || this.#assembling.size + this.#runningCommits > 0) {
      throw new MiniTorrentError(
        "INTERNAL",
        `${this.#path} cannot be checked while pieces of it are arriving.`,
      );
    }
    const state: State = { status: "rechecking", prefix: before.prefix };
    // The file may not be what was written.
    this.#onlyPieceSha1 = undefined;
    this.#state = state;
    return this.#whileOpen(async () => {
      try {
        await before.prefix.pause();
        const [checked, right] = this.#hashPieces(pieces, options);
        const found = await right;
        for (const pieceIndex of checked) {
          if (found.has(pieceIndex)) this.#have.set(pieceIndex);
          else this.#have.clear(pieceIndex);
        }
        return found;
      } finally {
        if (this.#state === state) {
          this.#state = before;
          before.prefix.resume();
        }
      }
    });
  }

  /** Waits for what runs, and closes the file; a download's part file stays. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Closes, and removes the part file. A file that has its name already stays. */
  async discard(): Promise<void> {
    const isPart = this.#state.status !== "seeding" && this.#state.status !== "closed";
    const path = this.#path;
    const stats = isPart ? await this.#handle.stat() : undefined;
    await this.close();
    if (stats !== undefined && this.#path === path) await removePart(path, stats);
  }

  async #close(): Promise<void> {
    const { prefix } = { prefix: undefined, ...this.#state };
    this.#state = { status: "closed" };
    for (const pieceIndex of [...this.#assembling.keys()]) this.release(pieceIndex);
    this.#resources.cache.forget(this, this.#closedError());
    this.#endReclaiming();
    await prefix?.close();
    if (this.#runningJobs > 0) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    }
    await this.#handle.close();
  }

  #startPrefix(): PrefixHash {
    const { disk, memory } = this.#resources;
    const prefix = new PrefixHash({
      disk,
      fd: this.#handle.fd,
      path: this.#path,
      geometry: this.metainfo.geometry,
      hasPiece: (pieceIndex) => this.#have.has(pieceIndex),
      giveBack: (slot) => memory.give(slot),
    });
    this.#endReclaiming = memory.onScarcity(() => prefix.reclaim());
    prefix.advance();
    return prefix;
  }

  #committed(
    pieceIndex: number,
    slot: PieceSlot,
    outcome: CommitOutcome,
    done: (outcome: CommitOutcome) => void,
  ): void {
    this.#runningCommits--;
    const state = this.#state;
    let isKept = false;
    if (outcome === "verified") {
      this.#have.set(pieceIndex);
      const { isScarce } = this.#resources.memory;
      if (this.metainfo.geometry.pieceCount === 1)
        this.#onlyPieceSha1 = Buffer.from(pieceHash(this.metainfo, pieceIndex)).toString("hex");
      else isKept = state.status === "downloading" && state.prefix.offer(pieceIndex, slot, isScarce);
    }
    if (!isKept) this.#resources.memory.give(slot);
    this.#end(() => done(outcome));
  }

  #pieceRange(pieceIndex: number) {
    const { geometry } = this.metainfo;
    return {
      fd: this.#handle.fd,
      path: this.#path,
      positionBytes: geometry.pieceOffsetBytes(pieceIndex),
      lengthBytes: geometry.lengthOfPieceBytes(pieceIndex),
    };
  }

  #whyNotReadable(pieceIndex: number): MiniTorrentError | undefined {
    if (this.#state.status === "closed") return this.#closedError();
    if (this.#broken !== undefined) return this.#broken;
    if (this.#have.has(pieceIndex)) return undefined;
    return new MiniTorrentError("INTERNAL", `Piece ${pieceIndex} of ${this.#path} is not there to be read.`);
  }

  #whatChanged(stats: Stats): MiniTorrentError | undefined {
    if (stats.nlink === 0) {
      return new MiniTorrentError(
        "FILE_NOT_FOUND",
        `${this.#path} was removed: share it again if it is back.`,
      );
    }
    const state = this.#state;
    if (state.status !== "seeding" || isSameFacts(factsOf(stats), state.expected)) return undefined;
    return fileChanged(this.#path);
  }

  /** Starts checking those pieces; returns them, and which are right in the end. */
  #hashPieces(pieces: Iterable<number> | "all", options: RecheckOptions): [number[], Promise<Bitfield>] {
    const { pieceCount } = this.metainfo.geometry;
    const asked = pieces === "all" ? Array(pieceCount).keys() : pieces;
    const indices = [...new Set(asked)].filter((i) => Number.isInteger(i) && i >= 0 && i < pieceCount);
    const right = recheckPieces(
      indices,
      this.metainfo,
      (i) => this.#resources.disk.hashRange(this.#pieceRange(i)),
      options,
    );
    return [indices, right];
  }

  #closedError(): MiniTorrentError {
    return new MiniTorrentError("INTERNAL", `${this.#path} is closed.`);
  }

  async #whileOpen<T>(work: () => Promise<T>): Promise<T> {
    if (this.#state.status === "closed") throw this.#closedError();
    this.#begin();
    try {
      return await work();
    } catch (error) {
      throw error instanceof Error && "errno" in error ? readError(error, this.#path) : error;
    } finally {
      this.#end();
    }
  }

  #begin(): void {
    this.#runningJobs++;
  }

  /** A job is over once its caller has been told. */
  #end(tell?: () => void): void {
    try {
      tell?.();
    } finally {
      this.#runningJobs--;
      if (this.#runningJobs === 0) this.#whenIdle?.();
    }
  }
}

/** To a power of two. */
function roundedUp(lengthBytes: number): number {
  return 2 ** Math.ceil(Math.log2(lengthBytes));
}
