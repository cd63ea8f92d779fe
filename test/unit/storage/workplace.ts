// What the storage tests build on: a folder that goes with the test, a file with its metainfo, and the shared resources.

import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext } from "node:test";
import type { MiniTorrentError } from "../../../src/api/errors.ts";
import { encodeMetainfo, type FileMetainfo } from "../../../src/metainfo/metainfo.ts";
import type { CommitOutcome, PieceFrames } from "../../../src/metainfo/piece-types.ts";
import { DiskPool, type DiskPoolOptions } from "../../../src/storage/disk-pool.ts";
import { FrameCache } from "../../../src/storage/frame-cache.ts";
import { OpenFiles } from "../../../src/storage/open-files.ts";
import { PieceMemory } from "../../../src/storage/piece-memory.ts";
import type { PieceStore } from "../../../src/storage/piece-store.ts";
import type { StorageResources } from "../../../src/storage/storage-resources.ts";

export const PIECE_BYTES = 32 * 1024;

/** Bytes that differ from place to place, the same for the same seed. */
export function content(lengthBytes: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(lengthBytes);
  let state = seed;
  for (let i = 0; i < lengthBytes; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

export function sha1Hex(bytes: Uint8Array): string {
  return createHash("sha1").update(bytes).digest("hex");
}

export function metainfoOf(bytes: Uint8Array, pieceLengthBytes = PIECE_BYTES, sha1?: string): FileMetainfo {
  const hashes: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += pieceLengthBytes) {
    hashes.push(
      createHash("sha1")
        .update(bytes.subarray(start, start + pieceLengthBytes))
        .digest(),
    );
  }
  return encodeMetainfo({
    fileName: "film",
    lengthBytes: bytes.length,
    pieceLengthBytes,
    pieceHashes: Buffer.concat(hashes),
    sha1: sha1 ?? sha1Hex(bytes),
    authorityPem: "-",
  });
}

export async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "minitorrent-storage-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export interface Workplace extends StorageResources {
  readonly folder: string;
  readonly partPath: string;
  readonly path: string;
}

/** A pool that all tests use and none may close. */
class SharedDisk extends DiskPool {
  override close(): never {
    throw new Error("Other tests use this disk: ask for one of your own, with workplaceFor(t, {}).");
  }

  end(): Promise<void> {
    return super.close();
  }
}

/** Of all tests whose disk does not fail: starting its threads takes longer than most of these tests. */
const usualDisk = new SharedDisk();
after(() => usualDisk.end());

/** Everything of it is closed when the test ends. With options, even none, it has a disk of its own. */
export async function workplaceFor(t: TestContext, diskOptions?: DiskPoolOptions): Promise<Workplace> {
  const folder = await folderFor(t);
  let disk: DiskPool = usualDisk;
  if (diskOptions !== undefined) {
    disk = new DiskPool(diskOptions);
    t.after(() => disk.close());
  }
  return {
    folder,
    path: join(folder, "film"),
    partPath: join(folder, "film.part"),
    disk,
    memory: new PieceMemory(),
    cache: new FrameCache(),
    files: new OpenFiles(),
  };
}

/** Puts a piece's bytes into the store. */
export function commit(store: PieceStore, pieceIndex: number, bytes: Uint8Array): Promise<CommitOutcome> {
  const { geometry } = store.metainfo;
  const offset = geometry.pieceOffsetBytes(pieceIndex);
  const place = store.reserve(pieceIndex);
  if (place === undefined) throw new Error(`no room for piece ${pieceIndex}`);
  place.set(bytes.subarray(offset, offset + place.length));
  return new Promise((resolve) => store.commit(pieceIndex, resolve));
}

export async function commitAll(store: PieceStore, bytes: Uint8Array): Promise<void> {
  const { pieceCount } = store.metainfo.geometry;
  for (let i = 0; i < pieceCount; i++) {
    const outcome = await commit(store, i, bytes);
    if (outcome !== "verified") throw outcome;
  }
}

export function read(store: PieceStore, pieceIndex: number): Promise<PieceFrames | MiniTorrentError> {
  const lengthBytes = store.metainfo.geometry.lengthOfPieceBytes(pieceIndex);
  return new Promise((resolve) => store.read({ pieceIndex, offsetBytes: 0, lengthBytes }, resolve));
}

/** For assert.rejects. */
export function withCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof Error && "code" in error && error.code === code;
}

/** Options for a pool whose disk fails as the query says (see faulty-io.ts). */
export function faulty(query: string): DiskPoolOptions {
  return { ioModule: `${new URL("./faulty-io.ts", import.meta.url).href}?${query}` };
}

/** How many files this process has open, as far as the system tells. */
export async function openCount(): Promise<number> {
  return process.platform === "linux" ? (await readdir("/proc/self/fd")).length : 0;
}
