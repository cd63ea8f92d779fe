// Pieces of a new version that the old one has: by their SHA-1, wherever they lie in the old files, or put together from files
// that are the same in both, whatever they are called. Each is verified as if a member had sent it.
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { MiniTorrentError } from "../../api/errors.ts";
import { type FileSpan, PADDING } from "../../metainfo/file-layout.ts";
import { type FolderMetainfo, type Metainfo, pieceHash } from "../../metainfo/metainfo.ts";
import type { PieceStore } from "../../storage/piece-store.ts";

/** Pieces at once: one is read while others are hashed and written. */
const PIECES_AT_ONCE = 4;
/** Others have all memory for pieces: it is asked for again after this time. */
const MEMORY_PAUSE_MS = 20;

/** The version that is there, in its place. */
export interface OldVersion {
  readonly path: string;
  readonly metainfo: Metainfo;
}

interface OldRange {
  readonly path: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** What is read of the old files. Short of it, the piece comes from members. */
type Reading = readonly OldRange[];

export interface ReuseOptions {
  readonly store: Pick<PieceStore, "have" | "reserve" | "release" | "commit" | "status">;
  readonly metainfo: Metainfo;
  /** Pieces that are wanted. */
  readonly pieces: Iterable<number>;
  readonly old: OldVersion;
  /** The download was paused, or ended. */
  readonly isOver: () => boolean;
}

/**
 * Copies what the old version has of those pieces.
 *
 * @returns how many pieces
 * @throws MiniTorrentError DISK_FULL, DESTINATION_UNUSABLE, DISK_FAILED
 */
export async function reusePieces(options: ReuseOptions): Promise<number> {
  const { store, pieces, isOver } = options;
  const { have } = store;
  const readingOf = sourcesIn(options.old, options.metainfo);
  const waiting = [...pieces].filter((pieceIndex) => !have.has(pieceIndex)).values();
  let reused = 0;
  const copySome = async (): Promise<void> => {
    for (const pieceIndex of waiting) {
      const reading = readingOf(pieceIndex);
      if (reading !== undefined && (await copyPiece(options, pieceIndex, reading))) reused++;
      if (isOver()) return;
    }
  };
  await Promise.all(Array.from({ length: PIECES_AT_ONCE }, copySome));
  return reused;
}

async function copyPiece(
  { store, isOver }: ReuseOptions,
  pieceIndex: number,
  reading: Reading,
): Promise<boolean> {
  let place = store.reserve(pieceIndex);
  while (place === undefined) {
    if (isOver() || store.status !== "downloading") return false;
    await pause(MEMORY_PAUSE_MS);
    place = store.reserve(pieceIndex);
  }
  if (!(await readAll(reading, place))) {
    store.release(pieceIndex);
    return false;
  }
  const outcome = await new Promise<"verified" | "mismatch" | MiniTorrentError>((resolve) =>
    store.commit(pieceIndex, resolve),
  );
  if (outcome === "verified") return true;
  // The old file was changed here: members have the piece.
  if (outcome === "mismatch") return false;
  throw outcome;
}

/** Returns false if a file is not there, or too short. */
async function readAll(reading: Reading, into: Uint8Array): Promise<boolean> {
  let at = 0;
  for (const { path, offsetBytes, lengthBytes } of reading) {
    let file: FileHandle | undefined;
    try {
      file = await open(path);
      const { bytesRead } = await file.read(into, at, lengthBytes, offsetBytes);
      if (bytesRead < lengthBytes) return false;
    } catch {
      return false;
    } finally {
      await file?.close();
    }
    at += lengthBytes;
  }
  return true;
}

/** Where a piece of the new version is in the old one; undefined: nowhere. */
function sourcesIn(old: OldVersion, metainfo: Metainfo): (pieceIndex: number) => Reading | undefined {
  const pieces = new Map<string, number>();
  for (let index = old.metainfo.geometry.pieceCount - 1; index >= 0; index--)
    pieces.set(keyOf(pieceHash(old.metainfo, index)), index);
  const files = filesBySha1(old);
  return (pieceIndex) => {
    const oldIndex = pieces.get(keyOf(pieceHash(metainfo, pieceIndex)));
    if (oldIndex !== undefined) return rangesOfPiece(old, oldIndex);
    return metainfo.kind === "folder" ? sameFilesIn(metainfo, pieceIndex, files) : undefined;
  };
}

function rangesOfPiece({ path, metainfo }: OldVersion, pieceIndex: number): Reading {
  const { geometry } = metainfo;
  const positionBytes = geometry.pieceOffsetBytes(pieceIndex);
  if (metainfo.kind === "file")
    return [{ path, offsetBytes: positionBytes, lengthBytes: geometry.lengthOfPieceBytes(pieceIndex) }];
  const { layout } = metainfo;
  return layout
    .spansOf(positionBytes, geometry.lengthOfPieceBytes(pieceIndex))
    .filter(isContent)
    .map(({ fileIndex, offsetBytes, lengthBytes }) => ({
      path: join(path, layout.pathOf(fileIndex)),
      offsetBytes,
      lengthBytes,
    }));
}

/** The piece of the new version from files of the old one with the same content; undefined if one of them is not there. */
function sameFilesIn(
  { layout, geometry }: FolderMetainfo,
  pieceIndex: number,
  files: ReadonlyMap<string, string>,
): Reading | undefined {
  const reading: OldRange[] = [];
  const spans = layout.spansOf(geometry.pieceOffsetBytes(pieceIndex), geometry.pieceLengthBytes);
  for (const { fileIndex, offsetBytes, lengthBytes } of spans.filter(isContent)) {
    const path = files.get(keyOf(layout.sha1Of(fileIndex)));
    if (path === undefined) return undefined;
    reading.push({ path, offsetBytes, lengthBytes });
  }
  return reading;
}

/** The paths of the old files by their SHA-1. */
function filesBySha1({ path, metainfo }: OldVersion): Map<string, string> {
  const files = new Map<string, string>();
  if (metainfo.kind === "file") return files.set(keyOf(Buffer.from(metainfo.sha1, "hex")), path);
  const { layout } = metainfo;
  for (let index = 0; index < layout.fileCount; index++) {
    if (layout.lengthOf(index) > 0) files.set(keyOf(layout.sha1Of(index)), join(path, layout.pathOf(index)));
  }
  return files;
}

/** Padding is at the end of a piece, and the store fills it. */
function isContent({ fileIndex }: FileSpan): boolean {
  return fileIndex !== PADDING;
}

function keyOf(sha1: Uint8Array): string {
  return Buffer.from(sha1.buffer, sha1.byteOffset, sha1.byteLength).toString("latin1");
}
