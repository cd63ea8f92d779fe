// One torrent's pieces: they are assembled in memory, then verified and written to the torrent's content, which is one file
// (file-content.ts) or a folder of files (folder-content.ts). A complete content gets its final name; from then on, as one shared in place, it is only read
// (piece-reader.ts). It does not decide which piece is fetched when.
import { MiniTorrentError } from "../api/errors.ts";
import { Bitfield } from "../metainfo/bitfield.ts";
import { EVERY_FILE, type FileSelection, piecesOf } from "../metainfo/file-selection.ts";
import type { Metainfo } from "../metainfo/metainfo.ts";
import type { CommitOutcome, FramesCallback, PieceRange } from "../metainfo/piece-types.ts";
import type { Content } from "./content.ts";
import type { SharedBytes } from "./disk-jobs.ts";
import { openFileForDownload, openFileForSeeding } from "./file-content.ts";
import type { FileFacts } from "./file-facts.ts";
import { FolderContent, type OnLost, openFolderForDownload, openFolderForSeeding } from "./folder-content.ts";
import { FolderFacts } from "./folder-facts.ts";
import type { LinkedFile } from "./folder-files.ts";
import type { FolderPlace } from "./folder-jobs.ts";
import type { PartFileOptions } from "./part-file.ts";
import type { PieceSlot } from "./piece-memory.ts";
import { PieceReader } from "./piece-reader.ts";
import { type RecheckOptions, recheckPieces } from "./recheck.ts";
import type { StorageResources } from "./storage-resources.ts";

export interface DownloadStoreOptions extends StorageResources {
  readonly metainfo: Metainfo;
  readonly partPath: string;
  /** Pieces that were verified before; of what is no longer there, or too short, they are forgotten. */
  readonly have?: Bitfield;
  /** The part file, or folder, may be there already, because the profile knows this download. @default false: FILE_EXISTS */
  readonly resume?: boolean;
  /** Which file, or folder, it is then: see `PartFileOptions`. */
  readonly ownFileId?: PartFileOptions["ownFileId"];
  /** What other downloads are still to write to that disk: it is not promised twice. @default 0 */
  readonly promisedBytes?: number;
  /** Temporary name of a part file, and the callback that records it before it gets its name (see `openPart`). */
  readonly unnamedPath?: PartFileOptions["unnamedPath"];
  readonly onMade?: PartFileOptions["onMade"];
  /** Files of a folder that are wanted. @default all */
  readonly chosen?: FileSelection;
  /** How a folder's files were when `have` was noted: the others are to be rechecked (see `doubted`). */
  readonly notedFacts?: FolderFacts;
  /** `partPath` is a folder that has its final name already, and more of its files are chosen now. @default false */
  readonly isFinished?: boolean;
  /** See `OnLost`: for a folder, once it is complete. */
  readonly onLost?: OnLost;
}

export interface SeedStoreOptions extends StorageResources {
  readonly metainfo: Metainfo;
  readonly path: string;
  /** How the file, or the folder's files, were when they were hashed. */
  readonly expected: FileFacts | FolderFacts;
  /** Pieces of a folder that are there. @default all */
  readonly have?: Bitfield;
  /** See `OnLost`: for a folder. */
  readonly onLost?: OnLost;
}

type Status = "downloading" | "rechecking" | "finishing" | "seeding" | "closed";

export class PieceStore {
  readonly metainfo: Metainfo;
  readonly #resources: StorageResources;
  readonly #content: Content;
  readonly #have: Bitfield;
  /** Pieces that are reserved and not committed yet. */
  readonly #assembling = new Map<number, PieceSlot>();
  readonly #reader: PieceReader;
  #status: Status;
  #runningCommits = 0;
  #closed: Promise<void> | undefined;

  private constructor(
    options: StorageResources & { readonly metainfo: Metainfo },
    content: Content,
    have: Bitfield,
  ) {
    const { metainfo, cache } = options;
    this.metainfo = metainfo;
    this.#resources = options;
    this.#content = content;
    this.#have = have;
    this.#status = content.isOnlyRead ? "seeding" : "downloading";
    this.#reader = new PieceReader({
      content,
      cache,
      metainfo,
      hasPiece: (pieceIndex) => have.has(pieceIndex),
      onLost: (pieceIndex) => this.#lost(pieceIndex),
    });
  }

  /**
   * Makes or opens the part file, at its full length (sparse); or the part folder, whose files come when they are written to.
   *
   * @throws MiniTorrentError FILE_EXISTS if it is there and not to be resumed; DISK_FULL if what is missing
   * cannot fit; DESTINATION_UNUSABLE, DISK_FAILED
   */
  static async openForDownload(options: DownloadStoreOptions): Promise<PieceStore> {
    const { metainfo, partPath, resume = false, ownFileId, promisedBytes, unnamedPath, onMade } = options;
    const { chosen, notedFacts, isFinished = false } = options;
    const have = options.have?.clone() ?? new Bitfield(metainfo.geometry.pieceCount);
    const part = {
      path: partPath,
      isOwn: resume,
      missingBytes: missingBytes(metainfo, have, chosen),
      ...(promisedBytes === undefined ? {} : { promisedBytes }),
      ...(ownFileId === undefined ? {} : { ownFileId }),
      ...(unnamedPath === undefined ? {} : { unnamedPath }),
      ...(onMade === undefined ? {} : { onMade }),
    };
    const content =
      metainfo.kind === "file"
        ? await openFileForDownload({ ...options, metainfo, have }, part)
        : await openFolderForDownload({ ...options, metainfo, have }, part, {
            isFinished,
            ...(chosen === undefined ? {} : { chosen }),
            ...(notedFacts === undefined ? {} : { notedFacts }),
          });
    options.disk.prepare();
    return new PieceStore(options, content, have);
  }

  /**
   * Opens a complete file, or a folder, to read only.
   *
   * @throws MiniTorrentError FILE_NOT_FOUND, NOT_A_FILE, DISK_FAILED; FILE_CHANGED if the file is not as expected. Files of a
   * folder that are not as expected are not served: `have` lacks their pieces
   */
  static async openForSeeding(options: SeedStoreOptions): Promise<PieceStore> {
    const { metainfo, path, expected } = options;
    const have = options.have?.clone() ?? Bitfield.full(metainfo.geometry.pieceCount);
    if (metainfo.kind === "folder" && expected instanceof FolderFacts) {
      return new PieceStore(
        options,
        await openFolderForSeeding({ ...options, metainfo, have }, path, expected),
        have,
      );
    }
    if (metainfo.kind === "folder" || expected instanceof FolderFacts) {
      throw new MiniTorrentError("INTERNAL", `What is known of ${path} is not of its kind.`);
    }
    return new PieceStore(
      options,
      await openFileForSeeding({ ...options, metainfo, have }, path, expected),
      have,
    );
  }

  /** How the part file was found when it was opened; undefined if it was made then. */
  get found(): FileFacts | undefined {
    return this.#content.found;
  }

  /** The part file when it had been opened; undefined for a file that is only read. */
  get opened(): Content["opened"] {
    return this.#content.opened;
  }

  /** Where the file is now. */
  get path(): string {
    return this.#content.root.path;
  }

  get status(): Status {
    return this.#status;
  }

  /** How a folder's files are, for the profile: a copy; undefined for a single file. */
  get folderFacts(): FolderFacts | undefined {
    return this.#content instanceof FolderContent ? this.#content.files.facts.clone() : undefined;
  }

  /** Pieces of a folder's files that were not as noted. They count as missing until they are rechecked. */
  get doubted(): readonly number[] {
    return this.#content instanceof FolderContent ? [...this.#content.doubted] : [];
  }

  /** Paths of files that somebody changed in a folder that has its final name. */
  get changedPaths(): readonly string[] {
    if (!(this.#content instanceof FolderContent)) return [];
    const { files } = this.#content;
    return [...files.changed].map((fileIndex) => files.layout.pathOf(fileIndex));
  }

  /** Pieces that the chosen files need; a copy. */
  get wanted(): Bitfield {
    return this.#content.wanted.clone();
  }

  /** All wanted pieces are there. */
  get isComplete(): boolean {
    return this.#content.isComplete;
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
  reserve(pieceIndex: number): SharedBytes | undefined {
    const { geometry } = this.metainfo;
    const lengthBytes = geometry.lengthOfPieceBytes(pieceIndex);
    if (this.#status !== "downloading" || lengthBytes === 0) return undefined;
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
    this.#content.root.begin();
    this.#runningCommits++;
    const { geometry } = this.metainfo;
    const bytes = slot.bytes.subarray(0, geometry.lengthOfPieceBytes(pieceIndex));
    // Padding is hashed, but nobody sends it.
    bytes.fill(0, geometry.neededLengthOfPieceBytes(pieceIndex));
    this.#content.writePiece(pieceIndex, bytes).then(
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
   * @param beforeNaming called when all is verified: it may make the name free
   * @returns how the file is, for the profile
   * @throws MiniTorrentError CORRUPT_FILE if the SHA-1 is not the metainfo's, or the disk does not return what was
   * verified; FILE_EXISTS if the name is taken;
   * FILE_CHANGED, DISK_FULL, DESTINATION_UNUSABLE, DISK_FAILED. The download is as it was, and can be finished again.
   */
  async finish(
    destinationPath: string,
    beforeNaming: () => Promise<void> = async () => undefined,
  ): Promise<FileFacts> {
    if (this.#status !== "downloading" || !this.isComplete) {
      throw new MiniTorrentError("INTERNAL", `${this.path} is not a complete download.`);
    }
    this.#status = "finishing";
    return this.#content.root.whileHeld(async () => {
      try {
        const outcome = await this.#content.finish(destinationPath, beforeNaming);
        if (outcome.kind === "finished") {
          this.#leave("finishing", "seeding");
          return outcome.facts;
        }
        for (const pieceIndex of outcome.pieces) this.#lost(pieceIndex);
        throw outcome.error;
      } finally {
        this.#leave("finishing", "downloading");
      }
    });
  }

  /**
   * Chooses which files of a folder are wanted, from now on; also after it was finished: then the others are fetched into the
   * folder that has its name already.
   *
   * @returns the pieces that they need
   * @throws MiniTorrentError DESTINATION_UNUSABLE, DISK_FAILED; FILE_EXISTS
   */
  async choose(chosen: FileSelection): Promise<Bitfield> {
    const content = this.#content;
    if (!(content instanceof FolderContent) || !["downloading", "seeding"].includes(this.#status)) {
      throw new MiniTorrentError("INTERNAL", `Files of ${this.path} cannot be chosen now.`);
    }
    await content.root.whileHeld(() => content.choose(chosen));
    if (!content.isOnlyRead) this.#leave("seeding", "downloading");
    return this.wanted;
  }

  /**
   * Takes over whole files of another folder that have the SHA-1 of a file here, and counts the pieces as there that these
   * files fill. Files that are not as they were are left out, and come as the others do.
   *
   * @param isKnown says of a piece that its hash is one of the old version's: it need not be hashed
   * @throws MiniTorrentError DISK_FULL, DESTINATION_UNUSABLE, DISK_FAILED
   */
  async linkFiles(
    from: FolderPlace,
    files: readonly LinkedFile[],
    isKnown: (pieceIndex: number) => boolean,
  ): Promise<void> {
    const content = this.#content;
    if (!(content instanceof FolderContent) || this.#status !== "downloading") {
      throw new MiniTorrentError("INTERNAL", `Files for ${this.path} cannot be taken over now.`);
    }
    await content.root.whileHeld(async () => {
      await content.link(from, files);
      const covered = content.coveredPieces();
      const unknown = covered.filter((pieceIndex) => !isKnown(pieceIndex));
      const [, hashed] = this.#hashPieces(unknown, {});
      const right = await hashed;
      for (const i of covered) if (isKnown(i) || right.has(i)) this.#have.set(i);
    });
  }

  /** How the file is now, for the profile; of a folder, `folderFacts` tells more. @throws MiniTorrentError DISK_FAILED */
  async facts(): Promise<FileFacts> {
    return this.#content.root.whileHeld(() => this.#content.facts());
  }

  /**
   * Hashes pieces that are on disk. In a download, `have` is set right for them, and no piece can be reserved meanwhile.
   *
   * @returns which of these pieces are right
   * @throws MiniTorrentError DISK_FAILED; the signal's reason when it is aborted, and then `have` is as it was
   */
  async recheck(pieces: Iterable<number> | "all", options: RecheckOptions = {}): Promise<Bitfield> {
    const { root } = this.#content;
    if (this.#status === "seeding") return root.whileHeld(() => this.#hashPieces(pieces, options)[1]);
    if (this.#status !== "downloading" || this.#assembling.size + this.#runningCommits > 0) {
      throw new MiniTorrentError(
        "INTERNAL",
        `${this.path} cannot be checked while pieces of it are arriving.`,
      );
    }
    this.#status = "rechecking";
    return root.whileHeld(async () => {
      try {
        await this.#content.pauseHashing();
        const [checked, right] = this.#hashPieces(pieces, options);
        const found = await right;
        for (const pieceIndex of checked) {
          if (found.has(pieceIndex)) this.#have.set(pieceIndex);
          else this.#lost(pieceIndex);
        }
        return found;
      } finally {
        if (this.#leave("rechecking", "downloading")) this.#content.resumeHashing();
      }
    });
  }

  /** Whether a read of that piece returns what was shared or verified, in any state. @throws MiniTorrentError DISK_FAILED */
  async isRightOnDisk(pieceIndex: number): Promise<boolean> {
    const right = await this.#content.root.whileHeld(() => this.#hashPieces([pieceIndex], {})[1]);
    return right.has(pieceIndex);
  }

  /** Waits for what runs, and closes the file; a download's part file stays. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#status = "closed";
    const closed = this.#content.close();
    for (const pieceIndex of [...this.#assembling.keys()]) this.release(pieceIndex);
    this.#reader.close();
    await closed;
  }

  /** Nothing happens if the store has left that status, as a closed one has. */
  #leave(status: Status, next: Status): boolean {
    if (this.#status !== status) return false;
    this.#status = next;
    return true;
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
    this.#content.root.end(() => done(outcome));
  }

  #lost(pieceIndex: number): void {
    this.#have.clear(pieceIndex);
    this.#content.pieceLost(pieceIndex);
  }

  /** Returns true if the memory is kept, to hash the whole file. */
  #written(pieceIndex: number, slot: PieceSlot): boolean {
    this.#have.set(pieceIndex);
    this.#reader.written(pieceIndex);
    return this.#content.pieceWritten(pieceIndex, slot);
  }

  /** Starts checking those pieces; returns them, and which are right in the end. */
  #hashPieces(pieces: Iterable<number> | "all", options: RecheckOptions): [number[], Promise<Bitfield>] {
    const { pieceCount } = this.metainfo.geometry;
    const asked = pieces === "all" ? Array(pieceCount).keys() : pieces;
    const indices = [...new Set(asked)].filter((i) => Number.isInteger(i) && i >= 0 && i < pieceCount);
    return [indices, recheckPieces(indices, this.metainfo, (i) => this.#content.hashPiece(i), options)];
  }
}

/** Bytes that are still to be written. */
function missingBytes(metainfo: Metainfo, have: Bitfield, chosen: FileSelection = EVERY_FILE): number {
  const { geometry } = metainfo;
  const wanted = metainfo.kind === "folder" ? piecesOf(metainfo.layout, chosen) : undefined;
  let bytes = 0;
  for (let i = 0; i < geometry.pieceCount; i++) {
    if (!have.has(i) && wanted?.has(i) !== false) bytes += geometry.neededLengthOfPieceBytes(i);
  }
  return bytes;
}
