// One torrent's file: its pieces are assembled in memory, and verified and written by a worker. NAME.part gets its final name
// once the SHA-1 of the whole file is right; from then on, as a file shared in place, it is only read (piece-reader.ts).
// It does not decide which piece is fetched when.
import type { FileHandle } from "node:fs/promises";
import { MiniTorrentError } from "../api/errors.ts";
import { Bitfield } from "../metainfo/bitfield.ts";
import { type Metainfo, pieceHash } from "../metainfo/metainfo.ts";
import type { CommitOutcome, FramesCallback, PieceRange } from "../metainfo/piece-types.ts";
import { changedOnDisk, fileChanged } from "./disk-errors.ts";
import {
  changeOf,
  type FileFacts,
  factsOf,
  isSameFacts,
  openRegularFile,
  openSharedAgain,
} from "./file-facts.ts";
import { type OpenPart, openPart, openPartAgain, type PartFileOptions, takeName } from "./part-file.ts";
import type { PieceSlot } from "./piece-memory.ts";
import { PieceReader } from "./piece-reader.ts";
import { PrefixHash } from "./prefix-hash.ts";
import { type RecheckOptions, recheckPieces } from "./recheck.ts";
import { RefCountedFile } from "./ref-counted-file.ts";
import type { StorageResources } from "./storage-resources.ts";

export interface DownloadStoreOptions extends StorageResources {
  readonly metainfo: Metainfo;
  readonly partPath: string;
  /** Pieces that were verified before; of a file that is no longer there, or too short, they are forgotten. */
  readonly have?: Bitfield;
  /** The part file may be there already, because the profile knows this download. @default false: FILE_EXISTS */
  readonly resume?: boolean;
  /** Which file it is then: see `PartFileOptions`. */
  readonly ownFileId?: PartFileOptions["ownFileId"];
  /** What other downloads are still to write to that disk: it is not promised twice. @default 0 */
  readonly promisedBytes?: number;
  /** Temporary name of a part file, and the callback that records it before it gets its name (see `openPart`). */
  readonly unnamedPath?: PartFileOptions["unnamedPath"];
  readonly onMade?: PartFileOptions["onMade"];
}

export interface SeedStoreOptions extends StorageResources {
  readonly metainfo: Metainfo;
  readonly path: string;
  /** How the file was when it was hashed. */
  readonly expected: FileFacts;
}

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
  readonly #file: RefCountedFile;
  readonly #have: Bitfield;
  /** Pieces that are reserved and not committed yet. */
  readonly #assembling = new Map<number, PieceSlot>();
  readonly #reader: PieceReader;
  #state: State;
  #runningCommits = 0;
  /** SHA-1 of the whole file if it is one piece that was verified and written here. */
  #onlyPieceSha1: string | undefined;
  #closed: Promise<void> | undefined;
  #endReclaiming: () => void = () => undefined;

  private constructor(
    options: StorageResources & { readonly metainfo: Metainfo },
    file: {
      handle: FileHandle;
      path: string;
      /** See `fileIdOf`. */
      fileId: string;
      have: Bitfield;
      found: FileFacts | undefined;
      opened?: Pick<OpenPart, "facts" | "fileId">;
    },
    expected: FileFacts | undefined,
  ) {
    const { metainfo, disk, cache, files } = options;
    this.metainfo = metainfo;
    this.#resources = options;
    this.found = file.found;
    this.opened = file.opened;
    this.#file = new RefCountedFile(files, file.handle, file.path, (path) =>
      this.#state.status === "seeding"
        ? openSharedAgain(path, { fileId: file.fileId, facts: this.#state.expected })
        : openPartAgain(path, file.fileId),
    );
    this.#have = file.have;
    this.#reader = new PieceReader({
      file: this.#file,
      cache,
      metainfo,
      disk,
      hasPiece: (pieceIndex) => this.#have.has(pieceIndex),
      onLost: (pieceIndex) => this.#have.clear(pieceIndex),
      expected: () => (this.#state.status === "seeding" ? this.#state.expected : undefined),
    });
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
    const { metainfo, partPath, resume = false, ownFileId, promisedBytes, unnamedPath, onMade } = options;
    const { geometry } = metainfo;
    const have = options.have?.clone() ?? new Bitfield(geometry.pieceCount);
    let missingBytes = 0;
    for (let i = 0; i < geometry.pieceCount; i++) {
      if (!have.has(i)) missingBytes += geometry.lengthOfPieceBytes(i);
    }
    const { handle, found, ...opened } = await options.files.openInPlace(() =>
      openPart({
        path: partPath,
        lengthBytes: geometry.lengthBytes,
        isOwn: resume,
        missingBytes,
        ...(promisedBytes === undefined ? {} : { promisedBytes }),
        ...(ownFileId === undefined ? {} : { ownFileId }),
        ...(unnamedPath === undefined ? {} : { unnamedPath }),
        ...(onMade === undefined ? {} : { onMade }),
      }),
    );
    options.disk.prepare();
    const foundBytes = found?.lengthBytes ?? 0;
    for (let i = 0; i < geometry.pieceCount; i++) {
      if (geometry.pieceOffsetBytes(i) + geometry.lengthOfPieceBytes(i) > foundBytes) have.clear(i);
    }
    const { fileId } = opened;
    return new PieceStore(options, { handle, path: partPath, fileId, have, found, opened }, undefined);
  }

  /**
   * Opens a complete file, to read only.
   *
   * @throws MiniTorrentError FILE_NOT_FOUND, NOT_A_FILE, DISK_FAILED; FILE_CHANGED if it is not as expected
   */
  static async openForSeeding(options: SeedStoreOptions): Promise<PieceStore> {
    const { metainfo, path, expected } = options;
    const { handle, facts, fileId } = await options.files.openInPlace(async () => {
      const opened = await openRegularFile(path);
      if (isSameFacts(opened.facts, expected) && opened.facts.lengthBytes === metainfo.geometry.lengthBytes)
        return opened;
      await opened.handle.close();
      throw fileChanged(path);
    });
    const have = Bitfield.full(metainfo.geometry.pieceCount);
    return new PieceStore(options, { handle, path, fileId, have, found: facts }, expected);
  }

  /** Where the file is now. */
  get path(): string {
    return this.#file.path;
  }

  get status(): State["status"] {
    return this.#state.status;
  }

  /** Pieces that are verified and written; a copy. */
  get have(): Bitfield {
    return this.#have.clone();
  }

  /** A download was refused memory to assemble a piece in, and waits for it. */
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
   * Hashes the reserved piece, which is complete, and writes it if its hash is right. Its memory no longer belongs to the
   * caller. `done` is called once, later, also if the store is closed meanwhile. After an error the piece may or may not
   * be written.
   */
  commit(pieceIndex: number, done: (outcome: CommitOutcome) => void): void {
    const slot = this.#assembling.get(pieceIndex);
    if (slot === undefined) {
      queueMicrotask(() => done(new MiniTorrentError("INTERNAL", `Piece ${pieceIndex} was not reserved.`)));
      return;
    }
    this.#assembling.delete(pieceIndex);
    this.#file.begin();
    this.#runningCommits++;
    const { geometry } = this.metainfo;
    const bytes = slot.bytes.subarray(0, geometry.lengthOfPieceBytes(pieceIndex));
    const sha1 = pieceHash(this.metainfo, pieceIndex);
    const written = this.#file.inRange(geometry.pieceOffsetBytes(pieceIndex), (place) =>
      this.#resources.disk.writePiece(place, bytes, sha1),
    );
    written.then(
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
    this.#reader.read(range, done);
  }

  /**
   * Finishes a complete download: verifies every piece on disk and the whole file's SHA-1, makes the file durable, and
   * gives it its name. Reads stay possible.
   *
   * @returns how the file is, for the profile
   * @throws MiniTorrentError CORRUPT_FILE if the SHA-1 is not the metainfo's, or the disk does not return what was
   * verified; FILE_EXISTS if the name is taken;
   * FILE_CHANGED, DISK_FULL, DESTINATION_UNUSABLE, DISK_FAILED. The download is as it was, and can be finished again.
   */
  async finish(destinationPath: string): Promise<FileFacts> {
    if (this.#state.status !== "downloading" || !this.#have.isComplete) {
      throw new MiniTorrentError("INTERNAL", `${this.path} is not a complete download.`);
    }
    const { prefix } = this.#state;
    const state: State = { status: "finishing", prefix };
    this.#state = state;
    return this.#file.whileHeld(async () => {
      try {
        const change = await this.#requireAllOnDisk();
        await this.#requireWholeSha1(prefix);
        const expected = await this.#file.whileOpen((handle, partPath) =>
          takeName(handle, { partPath, destinationPath, change }),
        );
        this.#file.renamed(destinationPath);
        if (this.#state === state) this.#state = { status: "seeding", expected };
        this.#endReclaiming();
        return expected;
      } finally {
        if (this.#state === state) this.#state = { status: "downloading", prefix };
      }
    });
  }

  /** How the file is now, for the profile. @throws MiniTorrentError DISK_FAILED */
  async facts(): Promise<FileFacts> {
    return this.#file.whileHeld(() => this.#file.whileOpen(async (handle) => factsOf(await handle.stat())));
  }

  /**
   * Hashes pieces that are on disk. In a download, `have` is set right for them, and no piece can be reserved meanwhile.
   *
   * @returns which of these pieces are right
   * @throws MiniTorrentError DISK_FAILED; the signal's reason when it is aborted, and then `have` is as it was
   */
  async recheck(pieces: Iterable<number> | "all", options: RecheckOptions = {}): Promise<Bitfield> {
    const before = this.#state;
    if (before.status === "seeding") return this.#file.whileHeld(() => this.#hashPieces(pieces, options)[1]);
    if (before.status !== "downloading" || this.#assembling.size + this.#runningCommits > 0) {
      throw new MiniTorrentError(
        "INTERNAL",
        `${this.path} cannot be checked while pieces of it are arriving.`,
      );
    }
    const state: State = { status: "rechecking", prefix: before.prefix };
    // The file may not be what was written.
    this.#onlyPieceSha1 = undefined;
    this.#state = state;
    return this.#file.whileHeld(async () => {
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

  /** Whether a read of that piece returns what was shared or verified, in any state. @throws MiniTorrentError DISK_FAILED */
  async isRightOnDisk(pieceIndex: number): Promise<boolean> {
    return this.#file.whileHeld(async () => (await this.#hashPieces([pieceIndex], {})[1]).has(pieceIndex));
  }

  /** Waits for what runs, and closes the file; a download's part file stays. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const { prefix } = { prefix: undefined, ...this.#state };
    this.#state = { status: "closed" };
    this.#endReclaiming();
    // The hash reads the file until it has stopped.
    const stopped = prefix && this.#file.whileHeld(() => prefix.close());
    const closed = this.#file.close();
    for (const pieceIndex of [...this.#assembling.keys()]) this.release(pieceIndex);
    this.#reader.close();
    await Promise.all([stopped, closed]);
  }

  /**
   * Flushes the file and verifies its length and what a read returns, since another program may have written to it. A later change shows
   * in the file's change time (ctime), which nobody can set.
   *
   * @returns the file's `changeOf` while it was verified
   * @throws MiniTorrentError CORRUPT_FILE, and `have` lacks what is wrong; DISK_FAILED
   */
  async #requireAllOnDisk(): Promise<string> {
    for (let before = await this.#synced(); ; ) {
      const [indices, checked] = this.#hashPieces("all", {});
      const right = await checked;
      const changed = indices.filter((pieceIndex) => !right.has(pieceIndex));
      if (changed.length > 0) {
        for (const pieceIndex of changed) this.#have.clear(pieceIndex);
        throw new MiniTorrentError("CORRUPT_FILE", changedOnDisk(this.path, changed.length));
      }
      const after = await this.#synced();
      if (after === before) return after;
      before = after;
    }
  }

  /** The file has its length, and is on the disk. @returns its `changeOf` */
  #synced(): Promise<string> {
    const { lengthBytes } = this.metainfo.geometry;
    return this.#file.whileOpen(async (handle) => {
      // What another program appended is in no piece.
      if ((await handle.stat()).size !== lengthBytes) await handle.truncate(lengthBytes);
      await handle.sync();
      return changeOf(handle);
    });
  }

  /** Every piece on disk is right. @throws MiniTorrentError CORRUPT_FILE, DISK_FAILED */
  async #requireWholeSha1(prefix: PrefixHash): Promise<void> {
    let sha1 = this.#onlyPieceSha1 ?? (await prefix.whole());
    if (sha1 !== this.metainfo.sha1 && this.#onlyPieceSha1 === undefined) {
      // The running hash may have read a piece while another program had changed it.
      await prefix.pause();
      prefix.resume();
      sha1 = await prefix.whole();
    }
    if (sha1 === this.metainfo.sha1) return;
    throw new MiniTorrentError(
      "CORRUPT_FILE",
      `${this.path} has the SHA-1 ${sha1} instead of ${this.metainfo.sha1}, although every piece is right: ` +
        "it was shared with a wrong description. Ask for it to be shared again.",
    );
  }

  #startPrefix(): PrefixHash {
    const { disk, memory } = this.#resources;
    const prefix = new PrefixHash({
      disk,
      file: this.#file,
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
    const isKept = outcome === "verified" && this.#written(pieceIndex, slot);
    if (!isKept) this.#resources.memory.give(slot);
    this.#file.end(() => done(outcome));
  }

  /** Returns true if the memory is kept, to hash the whole file. */
  #written(pieceIndex: number, slot: PieceSlot): boolean {
    this.#have.set(pieceIndex);
    this.#reader.written(pieceIndex);
    if (this.metainfo.geometry.pieceCount === 1) {
      this.#onlyPieceSha1 = Buffer.from(pieceHash(this.metainfo, pieceIndex)).toString("hex");
      return false;
    }
    const state = this.#state;
    return (
      state.status === "downloading" && state.prefix.offer(pieceIndex, slot, this.#resources.memory.isScarce)
    );
  }

  /** Starts checking those pieces; returns them, and which are right in the end. */
  #hashPieces(pieces: Iterable<number> | "all", options: RecheckOptions): [number[], Promise<Bitfield>] {
    const { geometry } = this.metainfo;
    const { pieceCount } = geometry;
    const asked = pieces === "all" ? Array(pieceCount).keys() : pieces;
    const indices = [...new Set(asked)].filter((i) => Number.isInteger(i) && i >= 0 && i < pieceCount);
    const right = recheckPieces(
      indices,
      this.metainfo,
      (i) =>
        this.#file.inRange(geometry.pieceOffsetBytes(i), (place) =>
          this.#resources.disk.hashRange({ ...place, lengthBytes: geometry.lengthOfPieceBytes(i) }),
        ),
      options,
    );
    return [indices, right];
  }
}
