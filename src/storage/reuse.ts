// What a new version of a share takes over from the old one that is on this machine: whole files with the same SHA-1 as they
// are, and every piece whose SHA-1 the old metainfo has too, wherever it lies in the old files. A copied piece is verified as
// one that a peer sent; a file is taken over if it is as it was when it was verified.
import { realpath } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { MiniTorrentError } from "../api/errors.ts";
import type { Bitfield } from "../metainfo/bitfield.ts";
import type { FileLayout } from "../metainfo/file-layout.ts";
import { type FolderMetainfo, type Metainfo, pieceHash } from "../metainfo/metainfo.ts";
import type { CommitOutcome } from "../metainfo/piece-types.ts";
import { readError } from "./disk-errors.ts";
import type { SharedBytes } from "./disk-jobs.ts";
import type { FileFacts } from "./file-facts.ts";
import { FolderFacts, timeOf } from "./folder-facts.ts";
import { type LinkedFile, spansToRead } from "./folder-files.ts";
import type { FolderPlace, SpanToRead } from "./folder-jobs.ts";
import { inLanes } from "./lanes.ts";
import type { PieceStore } from "./piece-store.ts";
import type { StorageResources } from "./storage-resources.ts";

/** Hashes that are compared before other work has a turn: some milliseconds. */
const HASHES_AT_ONCE = 20_000;
/** What a file says that is not as it was; its pieces then come from peers. */
const NOT_AS_IT_WAS = new Set(["FILE_CHANGED", "FILE_NOT_FOUND", "NOT_A_FILE", "FILE_UNREADABLE"]);

export interface OlderVersion {
  /** Where it is now. */
  readonly path: string;
  readonly metainfo: Metainfo;
  /** How it was when it was verified; FolderFacts of a folder. */
  readonly facts: FileFacts | FolderFacts;
  /** Its pieces that are there. @default all */
  readonly have?: Pick<Bitfield, "has">;
}

export interface ReuseOptions extends Pick<StorageResources, "disk" | "memory"> {
  readonly signal?: AbortSignal;
  readonly onProgress?: (reusedPieces: number) => void;
}

/**
 * Puts into the store what the old version has of it. Nothing is lost if it is cut off: done again, it takes the rest.
 *
 * @param store it is downloading, and no piece of it is arriving
 * @returns how many pieces it has from the old version
 * @throws MiniTorrentError DISK_FULL, DESTINATION_UNUSABLE, DISK_FAILED; the signal's reason when it is aborted
 */
export async function reuseOlder(
  store: PieceStore,
  older: OlderVersion,
  { disk, memory, signal, onProgress }: ReuseOptions,
): Promise<number> {
  const before = store.have.count;
  const source = await sourceOf(older);
  const pairs = await samePieces(store.metainfo, older);
  if (store.metainfo.kind === "folder" && older.metainfo.kind === "folder") {
    const files = await sameFiles(store.metainfo, older.metainfo, older);
    signal?.throwIfAborted();
    await store.linkFiles(source.place, files, (pieceIndex) => pairs.has(pieceIndex));
    onProgress?.(store.have.count - before);
  }
  const { wanted, have } = store;
  const missing = [...pairs].filter(([piece]) => wanted.has(piece) && !have.has(piece));
  await inLanes(missing, async ([pieceIndex, oldPiece]) => {
    const bytes = await reserveWhenRoom(store, pieceIndex, memory, signal);
    if (!(await isRead(pieceIndex, bytes, source.spansOf(oldPiece)))) return;
    const outcome = await new Promise<CommitOutcome>((resolve) => store.commit(pieceIndex, resolve));
    if (outcome instanceof MiniTorrentError) throw outcome;
    onProgress?.(store.have.count - before);
  });
  return store.have.count - before;

  /** If not, the piece's memory is given back. */
  async function isRead(
    pieceIndex: number,
    into: SharedBytes,
    spans: readonly SpanToRead[],
  ): Promise<boolean> {
    const { place } = source;
    try {
      const job = { kind: "folder-read", tree: place, rest: place, into, spans } as const;
      await disk.inFolder(job, (error) => readError(error, older.path));
      return true;
    } catch (error) {
      store.release(pieceIndex);
      if (error instanceof MiniTorrentError && NOT_AS_IT_WAS.has(error.code)) return false;
      throw error;
    }
  }
}

/** Pieces of the new version whose bytes the old one has → where there. */
async function samePieces(
  newer: Metainfo,
  { metainfo: older, have }: OlderVersion,
): Promise<Map<number, number>> {
  const places = new Map<string, number>();
  for (let i = 0; i < older.geometry.pieceCount; i++) {
    if (have?.has(i) !== false) places.set(keyOf(pieceHash(older, i)), i);
    if (i % HASHES_AT_ONCE === HASHES_AT_ONCE - 1) await turn();
  }
  const pairs = new Map<number, number>();
  for (let i = 0; i < newer.geometry.pieceCount; i++) {
    const oldPiece = places.get(keyOf(pieceHash(newer, i)));
    if (oldPiece === undefined) continue;
    // The same hash of another length is a lie.
    if (older.geometry.lengthOfPieceBytes(oldPiece) === newer.geometry.lengthOfPieceBytes(i))
      pairs.set(i, oldPiece);
  }
  return pairs;
}

/** Whole files that both versions have, under whatever path. */
async function sameFiles(
  { layout }: FolderMetainfo,
  { layout: oldLayout }: FolderMetainfo,
  { facts, have }: OlderVersion,
): Promise<LinkedFile[]> {
  const places = new Map<string, number>();
  for (let i = 0; i < oldLayout.fileCount; i++) {
    if (oldLayout.lengthOf(i) > 0 && isWhole(oldLayout, i, have)) places.set(fileKeyOf(oldLayout, i), i);
    if (i % HASHES_AT_ONCE === HASHES_AT_ONCE - 1) await turn();
  }
  const files: LinkedFile[] = [];
  for (let fileIndex = 0; fileIndex < layout.fileCount; fileIndex++) {
    const oldIndex = layout.lengthOf(fileIndex) === 0 ? undefined : places.get(fileKeyOf(layout, fileIndex));
    const mtimeMs = oldIndex === undefined ? 0 : mtimeOf(facts, oldIndex);
    if (oldIndex !== undefined && mtimeMs !== 0) {
      files.push({ fileIndex, oldPath: oldLayout.pathOf(oldIndex), mtimeMs });
    }
    if (fileIndex % HASHES_AT_ONCE === HASHES_AT_ONCE - 1) await turn();
  }
  return files;
}

function isWhole(layout: FileLayout, fileIndex: number, have: OlderVersion["have"]): boolean {
  const end = layout.endPieceOf(fileIndex);
  let piece = layout.firstPieceOf(fileIndex);
  while (piece < end && have?.has(piece) !== false) piece++;
  return piece === end;
}

function keyOf(sha1: Uint8Array): string {
  return Buffer.from(sha1.buffer, sha1.byteOffset, sha1.length).toString("latin1");
}

/** A file that is executable has a file of its own. */
function fileKeyOf(layout: FileLayout, fileIndex: number): string {
  return `${keyOf(layout.sha1Of(fileIndex))}${layout.lengthOf(fileIndex)}${layout.isExecutable(fileIndex)}`;
}

function mtimeOf(facts: FileFacts | FolderFacts, fileIndex: number): number {
  return facts instanceof FolderFacts ? (facts.mtimesMs[fileIndex] ?? 0) : timeOf(facts);
}

interface Source {
  readonly place: FolderPlace;
  /** Where that piece is. */
  spansOf(pieceIndex: number): SpanToRead[];
}

async function sourceOf({ path, metainfo, facts }: OlderVersion): Promise<Source> {
  const { geometry } = metainfo;
  if (metainfo.kind === "folder") {
    const { layout } = metainfo;
    const place = { path: await realOf(path), folderId: undefined };
    const options = { isInRest: () => false, mtimeMsOf: (fileIndex: number) => mtimeOf(facts, fileIndex) };
    const spansOf = (pieceIndex: number): SpanToRead[] => {
      const begin = geometry.pieceOffsetBytes(pieceIndex);
      return spansToRead(layout, layout.spansOf(begin, geometry.lengthOfPieceBytes(pieceIndex)), options);
    };
    return { place, spansOf };
  }
  const place = { path: await realOf(dirname(path)), folderId: undefined };
  const spansOf = (pieceIndex: number): SpanToRead[] => [
    {
      path: basename(path),
      isInRest: false,
      fileBytes: geometry.lengthBytes,
      offsetBytes: geometry.pieceOffsetBytes(pieceIndex),
      lengthBytes: geometry.lengthOfPieceBytes(pieceIndex),
      positionBytes: 0,
      mtimeMs: mtimeOf(facts, 0),
    },
  ];
  return { place, spansOf };
}

/** The user may have named the folder by way of a link. */
async function realOf(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}

async function reserveWhenRoom(
  store: PieceStore,
  pieceIndex: number,
  memory: StorageResources["memory"],
  signal: AbortSignal | undefined,
): Promise<SharedBytes> {
  for (;;) {
    signal?.throwIfAborted();
    const bytes = store.reserve(pieceIndex);
    if (bytes !== undefined) return bytes;
    if (store.status !== "downloading") {
      throw new MiniTorrentError("INTERNAL", `Pieces of ${store.path} cannot be taken over now.`);
    }
    await new Promise<void>((resolve) => {
      const goOn = (): void => {
        endListening();
        signal?.removeEventListener("abort", goOn);
        resolve();
      };
      const endListening = memory.onRoom(goOn);
      signal?.addEventListener("abort", goOn);
    });
  }
}
