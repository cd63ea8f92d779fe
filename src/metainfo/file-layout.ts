// Where the files of a shared folder lie in its torrent: a range of the torrent is cut into spans of files. Pure arithmetic on
// packed arrays: no object per file is kept, so that 100,000 files take few megabytes.
//
// The order and the padding (BEP 47) follow from the files alone: files stand in byte order of their path; a file of at least
// one piece begins on a piece boundary, behind padding if it must, and so does a file whose piece has 4,096 files already; nothing
// else is padded. So small files share pieces, and padding is always the end of a piece.
import { MiniTorrentError } from "../api/errors.ts";
import { MAX_FILE_LENGTH_BYTES, MAX_FOLDER_FILES } from "../api/file-limits.ts";
import { foldName, pathProblem } from "./file-name.ts";

const SHA1_BYTES = 20;
const EMPTY_SHA1 = Buffer.from("da39a3ee5e6b4b0d3255bfef95601890afd80709", "hex");
const EXECUTABLE = 1;
/**
 * Most files that begin in one piece. All files of a piece are written in one job, whose description 200,000 of them made a block of
 * 1.4 s of the event loop.
 */
const MOST_FILES_IN_PIECE = 4_096;
/** `fileIndex` of a span of padding. */
export const PADDING = -1;

/** One file or symbolic link of a folder. */
export interface FolderEntry {
  /** Relative to the shared folder, components joined by "/". */
  readonly path: string;
  /** 0 for a link. */
  readonly lengthBytes: number;
  /** 20 bytes; of a link undefined. */
  readonly sha1: Uint8Array | undefined;
  readonly isExecutable: boolean;
  /** What a symbolic link points to, as a path relative to the shared folder (BEP 47). */
  readonly linkTarget?: string | undefined;
}

/** A part of one file, or of padding. */
export interface FileSpan {
  /** PADDING (-1) for padding. */
  readonly fileIndex: number;
  /** Where it begins in the file. */
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

interface PackedEntries {
  readonly paths: Uint8Array;
  /** Where each path ends in `paths`. */
  readonly pathEnds: Uint32Array;
  readonly lengths: Float64Array;
  /** Where each file begins in the torrent. */
  readonly offsets: Float64Array;
  readonly sha1s: Uint8Array;
  readonly flags: Uint8Array;
  readonly linkTargets: ReadonlyMap<number, string>;
}

/** Files are numbered from 0 in the order of their paths; padding has no number. */
export class FileLayout {
  /** Files and links. */
  readonly fileCount: number;
  readonly pieceLengthBytes: number;
  /** Length of the torrent, with padding. */
  readonly lengthBytes: number;
  /** Length of all files, without padding. */
  readonly contentBytes: number;
  readonly #entries: PackedEntries;

  /** From FileLayoutBuilder, which has checked the entries. */
  constructor(entries: PackedEntries, pieceLengthBytes: number) {
    this.#entries = entries;
    this.pieceLengthBytes = pieceLengthBytes;
    this.fileCount = entries.lengths.length;
    this.lengthBytes = this.#endOf(this.fileCount - 1);
    this.contentBytes = entries.lengths.reduce((sum, length) => sum + length, 0);
  }

  /** Relative to the shared folder, components joined by "/". */
  pathOf(fileIndex: number): string {
    const { paths, pathEnds } = this.#entries;
    const begin = fileIndex === 0 ? 0 : at(pathEnds, fileIndex - 1);
    return Buffer.from(paths.buffer, paths.byteOffset + begin, at(pathEnds, fileIndex) - begin).toString();
  }

  /** The file with that path; undefined if there is none. */
  indexOf(path: string): number | undefined {
    const sought = Buffer.from(path);
    const { paths, pathEnds } = this.#entries;
    let low = 0;
    let high = this.fileCount;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const begin = middle === 0 ? 0 : at(pathEnds, middle - 1);
      const order = Buffer.compare(paths.subarray(begin, at(pathEnds, middle)), sought);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return undefined;
  }

  lengthOf(fileIndex: number): number {
    return at(this.#entries.lengths, fileIndex);
  }

  /** Where the file begins in the torrent. */
  offsetOf(fileIndex: number): number {
    return at(this.#entries.offsets, fileIndex);
  }

  /** 20 bytes; zeros for a link. */
  sha1Of(fileIndex: number): Uint8Array {
    return this.#entries.sha1s.subarray(fileIndex * SHA1_BYTES, (fileIndex + 1) * SHA1_BYTES);
  }

  isExecutable(fileIndex: number): boolean {
    return (at(this.#entries.flags, fileIndex) & EXECUTABLE) !== 0;
  }

  /** What a symbolic link points to, as a path relative to the shared folder; undefined for a file. */
  linkTargetOf(fileIndex: number): string | undefined {
    return this.#entries.linkTargets.get(fileIndex);
  }

  entryOf(fileIndex: number): FolderEntry {
    const linkTarget = this.linkTargetOf(fileIndex);
    return {
      path: this.pathOf(fileIndex),
      lengthBytes: this.lengthOf(fileIndex),
      sha1: linkTarget === undefined ? this.sha1Of(fileIndex) : undefined,
      isExecutable: this.isExecutable(fileIndex),
      linkTarget,
    };
  }

  /** The first piece that the file touches. */
  firstPieceOf(fileIndex: number): number {
    return Math.floor(this.offsetOf(fileIndex) / this.pieceLengthBytes);
  }

  /** The piece behind the last one that the file touches; `firstPieceOf` if the file is empty. */
  endPieceOf(fileIndex: number): number {
    if (this.lengthOf(fileIndex) === 0) return this.firstPieceOf(fileIndex);
    return Math.ceil(this.#endOf(fileIndex) / this.pieceLengthBytes);
  }

  /** Files that have bytes in that piece, in order. */
  filesIn(pieceIndex: number): number[] {
    return this.spansOf(pieceIndex * this.pieceLengthBytes, this.pieceLengthBytes)
      .map(({ fileIndex }) => fileIndex)
      .filter((fileIndex) => fileIndex !== PADDING);
  }

  /** That range of the torrent, span by span: every byte once, in order; what is outside the torrent is left out. */
  spansOf(positionBytes: number, lengthBytes: number): FileSpan[] {
    const spans: FileSpan[] = [];
    const end = Math.min(positionBytes + lengthBytes, this.lengthBytes);
    let position = Math.max(positionBytes, 0);
    let fileIndex = this.#fileAt(position);
    while (position < end) {
      const fileEnd = this.#endOf(fileIndex);
      if (position < fileEnd) {
        const spanBytes = Math.min(end, fileEnd) - position;
        spans.push({ fileIndex, offsetBytes: position - this.offsetOf(fileIndex), lengthBytes: spanBytes });
        position += spanBytes;
        continue;
      }
      fileIndex++;
      const spanBytes = Math.min(end, this.offsetOf(fileIndex)) - position;
      if (spanBytes <= 0) continue;
      spans.push({ fileIndex: PADDING, offsetBytes: position - fileEnd, lengthBytes: spanBytes });
      position += spanBytes;
    }
    return spans;
  }

  /**
   * The same files with those hashes, which are known only once the files were read.
   *
   * @param sha1s 20 bytes for each file and link, in order
   */
  withSha1s(sha1s: Uint8Array): FileLayout {
    if (sha1s.length !== this.fileCount * SHA1_BYTES)
      throw new RangeError("It needs 20 bytes for each file.");
    return new FileLayout({ ...this.#entries, sha1s }, this.pieceLengthBytes);
  }

  /** Bytes of padding at the end of each piece, for Geometry; undefined if there is none at all. */
  paddingOfPieces(): Uint32Array | undefined {
    let padding: Uint32Array | undefined;
    for (let fileIndex = 1; fileIndex < this.fileCount; fileIndex++) {
      const paddingBytes = this.paddingBefore(fileIndex);
      if (paddingBytes === 0) continue;
      padding ??= new Uint32Array(Math.ceil(this.lengthBytes / this.pieceLengthBytes));
      padding[this.firstPieceOf(fileIndex) - 1] = paddingBytes;
    }
    return padding;
  }

  /** Bytes of padding between that file and the one before it. */
  paddingBefore(fileIndex: number): number {
    return this.offsetOf(fileIndex) - this.#endOf(fileIndex - 1);
  }

  /** Where the file ends in the torrent; 0 for the one before the first. */
  #endOf(fileIndex: number): number {
    return fileIndex < 0 ? 0 : this.offsetOf(fileIndex) + this.lengthOf(fileIndex);
  }

  /** The last file that begins at or before that place. */
  #fileAt(positionBytes: number): number {
    const { offsets } = this.#entries;
    let low = 0;
    let high = this.fileCount;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (at(offsets, middle) <= positionBytes) low = middle + 1;
      else high = middle;
    }
    return Math.max(low - 1, 0);
  }
}

function at(numbers: ArrayLike<number>, index: number): number {
  const value = numbers[index];
  if (value === undefined) throw new RangeError(`There is no file ${index}.`);
  return value;
}

/**
 * Padding before a file.
 *
 * @param endBytes where the file before it ends
 * @param filesInPiece files that begin in the piece where that is
 */
function paddingBytesBefore(
  endBytes: number,
  filesInPiece: number,
  lengthBytes: number,
  pieceLengthBytes: number,
): number {
  if (lengthBytes < pieceLengthBytes && filesInPiece < MOST_FILES_IN_PIECE) return 0;
  return (pieceLengthBytes - (endBytes % pieceLengthBytes)) % pieceLengthBytes;
}

/** The folded names in one folder while its entries are added. */
interface OpenFolder {
  readonly name: string;
  readonly names: Set<string>;
}

/** Makes a layout from entries in byte order of their path, and checks each. */
export class FileLayoutBuilder {
  readonly #linkTargets = new Map<number, string>();
  /** The shared folder, and the folders down to the last entry: all entries of a folder stand together. */
  readonly #folders: OpenFolder[] = [{ name: "", names: new Set() }];
  #capacity = 0;
  #paths = Buffer.alloc(0);
  #pathEnds = new Uint32Array(0);
  #lengths = new Float64Array(0);
  #sha1s = new Uint8Array(0);
  #flags = new Uint8Array(0);
  #lastFolderPath = "";
  #count = 0;
  #pathsEnd = 0;
  #lastPathBegin = 0;

  /** Files and links so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * @throws MiniTorrentError INVALID_ARGUMENT, with the paths, for one that is refused, is out of order, or collides with
   * another; LIMIT_REACHED for too many files
   */
  add(entry: FolderEntry): void {
    const { path, lengthBytes, sha1, isExecutable, linkTarget } = entry;
    if (this.#count === MAX_FOLDER_FILES) {
      throw new MiniTorrentError(
        "LIMIT_REACHED",
        `A shared folder has at most ${MAX_FOLDER_FILES} files: share its folders one by one, or pack some of them.`,
      );
    }
    const problem = pathProblem(path);
    if (problem !== undefined) refuse(path, `it ${problem}`);
    checkContent(entry);
    const index = this.#count;
    const pathBegin = this.#pathsEnd;
    this.#reserve(path);
    this.#pathsEnd += this.#paths.write(path, pathBegin);
    this.#checkOrder(path, pathBegin);
    this.#checkCollision(path);
    this.#pathEnds[index] = this.#pathsEnd;
    this.#lengths[index] = lengthBytes;
    if (sha1 !== undefined) this.#sha1s.set(sha1, index * SHA1_BYTES);
    this.#flags[index] = isExecutable ? EXECUTABLE : 0;
    if (linkTarget !== undefined) this.#linkTargets.set(index, linkTarget);
    this.#lastPathBegin = pathBegin;
    this.#count++;
  }

  /** @throws MiniTorrentError LIMIT_REACHED for too many bytes */
  finish(pieceLengthBytes: number): FileLayout {
    const count = this.#count;
    const lengths = this.#lengths.slice(0, count);
    const offsets = new Float64Array(count);
    let endBytes = 0;
    let pieceIndex = 0;
    let filesInPiece = 0;
    for (const [index, lengthBytes] of lengths.entries()) {
      // An empty file is in no piece.
      const isInPiece = lengthBytes > 0;
      const offset =
        endBytes + paddingBytesBefore(endBytes, isInPiece ? filesInPiece : 0, lengthBytes, pieceLengthBytes);
      offsets[index] = offset;
      endBytes = offset + lengthBytes;
      if (isInPiece) {
        const firstPiece = Math.floor(offset / pieceLengthBytes);
        filesInPiece = firstPiece === pieceIndex ? filesInPiece + 1 : 1;
        pieceIndex = Math.floor(endBytes / pieceLengthBytes);
        // None begins yet in a piece that it reaches into.
        if (pieceIndex !== firstPiece) filesInPiece = 0;
      }
      if (endBytes <= MAX_FILE_LENGTH_BYTES) continue;
      throw new MiniTorrentError(
        "LIMIT_REACHED",
        `A shared folder has at most ${MAX_FILE_LENGTH_BYTES} bytes (2 TiB): share its folders one by one.`,
      );
    }
    return new FileLayout(
      {
        paths: new Uint8Array(this.#paths.subarray(0, this.#pathsEnd)),
        pathEnds: this.#pathEnds.slice(0, count),
        lengths,
        offsets,
        sha1s: this.#sha1s.slice(0, count * SHA1_BYTES),
        flags: this.#flags.slice(0, count),
        linkTargets: this.#linkTargets,
      },
      pieceLengthBytes,
    );
  }

  #checkOrder(path: string, pathBegin: number): void {
    if (this.#count === 0) return;
    const last = this.#paths.subarray(this.#lastPathBegin, pathBegin);
    const order = Buffer.compare(last, this.#paths.subarray(pathBegin, this.#pathsEnd));
    if (order === 0) refuse(path, "there are two entries for it");
    if (order > 0)
      refuse(path, `it stands behind ${JSON.stringify(last.toString())}, which is not the order of bytes`);
  }

  /** No two names of one folder may be one on some file system, and no file's name may be a folder's. */
  #checkCollision(path: string): void {
    const slashAt = path.lastIndexOf("/");
    const folderPath = path.slice(0, Math.max(slashAt, 0));
    if (folderPath !== this.#lastFolderPath) this.#enter(folderPath);
    this.#addName(path, path.slice(slashAt + 1), this.#folders.length - 1);
    this.#lastFolderPath = folderPath;
  }

  /** All entries of a folder stand together: what was left is not entered again. */
  #enter(folderPath: string): void {
    const components = folderPath === "" ? [] : folderPath.split("/");
    const folders = this.#folders;
    let depth = 0;
    while (depth < components.length && folders[depth + 1]?.name === components[depth]) depth++;
    folders.length = depth + 1;
    for (const name of components.slice(depth)) {
      this.#addName(folderPath, name, folders.length - 1);
      folders.push({ name, names: new Set() });
    }
  }

  /** @param depth of the folder that the name is in */
  #addName(path: string, name: string, depth: number): void {
    const names = this.#folders[depth]?.names;
    const folded = foldName(name);
    if (names?.has(folded) !== true) {
      names?.add(folded);
      return;
    }
    const folderPath = path.split("/").slice(0, depth).join("/");
    const other = this.#nameIn(folderPath, folded);
    const otherPath = folderPath === "" ? other : `${folderPath}/${other}`;
    refuse(
      path,
      other === name
        ? "it is both a file and a folder"
        : `on some systems its name is the same as that of ${JSON.stringify(otherPath)}`,
    );
  }

  /** The first name in that folder with that folded form. */
  #nameIn(folderPath: string, folded: string): string {
    const prefix = folderPath === "" ? "" : `${folderPath}/`;
    for (let index = 0, begin = 0; index < this.#count; index++) {
      const end = this.#pathEnds[index] ?? begin;
      const path = this.#paths.toString("utf8", begin, end);
      const [name = ""] = path.startsWith(prefix) ? path.slice(prefix.length).split("/") : [];
      if (name !== "" && foldName(name) === folded) return name;
      begin = end;
    }
    return folded;
  }

  #reserve(path: string): void {
    const neededBytes = this.#pathsEnd + path.length * 3;
    if (neededBytes > this.#paths.length) {
      const paths = Buffer.alloc(Math.max(neededBytes, this.#paths.length * 2, 4096));
      paths.set(this.#paths);
      this.#paths = paths;
    }
    if (this.#count < this.#capacity) return;
    this.#capacity = Math.max(64, this.#capacity * 2);
    this.#pathEnds = grown(this.#pathEnds, new Uint32Array(this.#capacity));
    this.#lengths = grown(this.#lengths, new Float64Array(this.#capacity));
    this.#sha1s = grown(this.#sha1s, new Uint8Array(this.#capacity * SHA1_BYTES));
    this.#flags = grown(this.#flags, new Uint8Array(this.#capacity));
  }
}

function checkContent({ path, lengthBytes, sha1, isExecutable, linkTarget }: FolderEntry): void {
  if (!Number.isSafeInteger(lengthBytes) || lengthBytes < 0)
    refuse(path, `it cannot have ${lengthBytes} bytes`);
  if (linkTarget === undefined) {
    if (sha1?.length !== SHA1_BYTES) refuse(path, "its sha1 has not 20 bytes");
    else if (lengthBytes === 0 && Buffer.compare(sha1, EMPTY_SHA1) !== 0) {
      refuse(path, "its sha1 is not that of an empty file");
    }
    return;
  }
  if (lengthBytes !== 0 || sha1 !== undefined || isExecutable)
    refuse(path, "a link has no content of its own");
  const problem = pathProblem(linkTarget);
  if (problem !== undefined)
    refuse(path, `it is a link to ${JSON.stringify(linkTarget)}, and that ${problem}`);
}

function grown<Numbers extends Uint8Array | Uint32Array | Float64Array>(from: Numbers, to: Numbers): Numbers {
  to.set(from);
  return to;
}

/** The path is a stranger's: quoted, it cannot alter the line around it. */
function refuse(path: string, reason: string): never {
  const shown = path.length > 300 ? `${path.slice(0, 300)}...` : path;
  throw new MiniTorrentError(
    "INVALID_ARGUMENT",
    `${JSON.stringify(shown)} cannot be in a shared folder: ${reason}.`,
  );
}
