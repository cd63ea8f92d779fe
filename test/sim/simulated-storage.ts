// Storage without a disk, for the simulated swarm: a block's first byte stands for all of it (good or corrupt), and the
// checks that matter are real: nothing is committed that is not whole, nothing is written or freed out of turn.

import assert from "node:assert/strict";
import { MiniTorrentError } from "../../src/api/errors.ts";
import { BLOCK_LENGTH_BYTES, type Geometry } from "../../src/metainfo/geometry.ts";
import { PIECE_HEADER_BYTES, writePieceHeader } from "../../src/metainfo/piece-header.ts";
import type { CommitOutcome, PieceFrames, PieceRange } from "../../src/metainfo/piece-types.ts";
import type { PieceStorage } from "../../src/swarm/storage-interface.ts";
import type { VirtualClock } from "./virtual-clock.ts";

export const GOOD_BLOCK = 1;
export const CORRUPT_BLOCK = 2;

export interface StorageFaults {
  /** What is read of that block is not what should be there. */
  readonly isCorrupt?: (pieceIndex: number, blockIndex: number) => boolean;
  /** What a commit of that piece comes to instead. */
  readonly commitFails?: (pieceIndex: number) => MiniTorrentError | undefined;
  readonly readFails?: (pieceIndex: number) => boolean;
}

/** For swarms of so many hosts that their memory would not fit: all use this instead, and no block is looked at. */
export class SharedPieces {
  readonly scratch: Uint8Array;
  readonly #frames = new Map<number, Uint8Array>();

  constructor(geometry: Geometry) {
    this.scratch = new Uint8Array(geometry.pieceLengthBytes);
  }

  framesOf(pieceIndex: number, make: () => Uint8Array): Uint8Array {
    let frames = this.#frames.get(pieceIndex);
    if (frames === undefined) {
      frames = make();
      this.#frames.set(pieceIndex, frames);
    }
    return frames;
  }
}

export class SimulatedStorage implements PieceStorage {
  readonly #geometry: Geometry;
  readonly #clock: VirtualClock;
  readonly #memoryPieces: number;
  readonly #shared: SharedPieces | undefined;
  readonly #reserved = new Map<number, Uint8Array>();
  readonly #committing = new Set<number>();
  readonly #pool: Uint8Array[] = [];
  readonly #framesPool: Uint8Array[] = [];
  faults: StorageFaults = {};
  framesOut = 0;
  mostReserved = 0;
  commitMs = 2;
  readMs = 1;

  constructor(
    geometry: Geometry,
    clock: VirtualClock,
    memoryPieces = Number.POSITIVE_INFINITY,
    shared?: SharedPieces,
  ) {
    this.#shared = shared;
    this.#geometry = geometry;
    this.#clock = clock;
    this.#memoryPieces = memoryPieces;
  }

  get reservedCount(): number {
    return this.#reserved.size;
  }

  reserve(pieceIndex: number): Uint8Array | undefined {
    assert.ok(!this.#reserved.has(pieceIndex), `piece ${pieceIndex} is reserved already`);
    if (this.#reserved.size >= this.#memoryPieces) return undefined;
    const whole =
      this.#shared?.scratch ?? this.#pool.pop() ?? new Uint8Array(this.#geometry.pieceLengthBytes);
    if (whole !== this.#shared?.scratch)
      for (let at = 0; at < whole.length; at += BLOCK_LENGTH_BYTES) whole[at] = 0;
    this.#reserved.set(pieceIndex, whole);
    this.mostReserved = Math.max(this.mostReserved, this.#reserved.size);
    return whole.subarray(0, this.#geometry.lengthOfPieceBytes(pieceIndex));
  }

  commit(pieceIndex: number, done: (outcome: CommitOutcome) => void): void {
    const bytes = this.#reserved.get(pieceIndex);
    assert.ok(bytes, `piece ${pieceIndex} is not reserved`);
    assert.ok(!this.#committing.has(pieceIndex), `piece ${pieceIndex} is being committed already`);
    this.#committing.add(pieceIndex);
    this.#clock.schedule(this.commitMs, () => {
      let outcome: CommitOutcome = "verified";
      const blockCount = this.#shared === undefined ? this.#geometry.blockCount(pieceIndex) : 0;
      for (let blockIndex = 0; blockIndex < blockCount; blockIndex++) {
        const mark = bytes[blockIndex * BLOCK_LENGTH_BYTES];
        assert.notEqual(mark, 0, `block ${blockIndex} of piece ${pieceIndex} never came`);
        if (mark !== GOOD_BLOCK) outcome = "mismatch";
      }
      this.#committing.delete(pieceIndex);
      this.#free(pieceIndex);
      done(this.faults.commitFails?.(pieceIndex) ?? outcome);
    });
  }

  release(pieceIndex: number): void {
    assert.ok(!this.#committing.has(pieceIndex), `piece ${pieceIndex} is being committed`);
    this.#free(pieceIndex);
  }

  read(
    { pieceIndex, offsetBytes, lengthBytes }: PieceRange,
    done: (frames: PieceFrames | MiniTorrentError) => void,
  ): void {
    this.#clock.schedule(this.readMs, () => {
      if (this.faults.readFails?.(pieceIndex)) {
        done(new MiniTorrentError("DISK_FAILED", `Piece ${pieceIndex} cannot be read.`));
        return;
      }
      const whole =
        this.#shared?.framesOf(pieceIndex, () => this.#frames(pieceIndex)) ?? this.#frames(pieceIndex);
      const blockBytes = PIECE_HEADER_BYTES + BLOCK_LENGTH_BYTES;
      const start = (offsetBytes / BLOCK_LENGTH_BYTES) * blockBytes;
      const length = lengthBytes + Math.ceil(lengthBytes / BLOCK_LENGTH_BYTES) * PIECE_HEADER_BYTES;
      const bytes = whole.subarray(start, start + length);
      this.framesOut++;
      let isReleased = false;
      done({
        bytes,
        release: () => {
          assert.ok(!isReleased, "frames are released twice");
          isReleased = true;
          this.framesOut--;
          if (this.#shared === undefined) this.#framesPool.push(whole);
        },
      });
    });
  }

  #free(pieceIndex: number): void {
    const bytes = this.#reserved.get(pieceIndex);
    assert.ok(bytes, `piece ${pieceIndex} is not reserved`);
    this.#reserved.delete(pieceIndex);
    if (this.#shared === undefined) this.#pool.push(bytes);
  }

  #frames(pieceIndex: number): Uint8Array {
    const blockBytes = PIECE_HEADER_BYTES + BLOCK_LENGTH_BYTES;
    const mostBlocks = this.#geometry.pieceLengthBytes / BLOCK_LENGTH_BYTES;
    const frames = this.#framesPool.pop() ?? new Uint8Array(mostBlocks * blockBytes);
    const pieceBytes = this.#geometry.lengthOfPieceBytes(pieceIndex);
    for (let blockIndex = 0; blockIndex * BLOCK_LENGTH_BYTES < pieceBytes; blockIndex++) {
      const offsetBytes = blockIndex * BLOCK_LENGTH_BYTES;
      const lengthBytes = Math.min(BLOCK_LENGTH_BYTES, pieceBytes - offsetBytes);
      const at = writePieceHeader(frames, blockIndex * blockBytes, pieceIndex, offsetBytes, lengthBytes);
      frames[at] = this.faults.isCorrupt?.(pieceIndex, blockIndex) ? CORRUPT_BLOCK : GOOD_BLOCK;
    }
    return frames;
  }
}
