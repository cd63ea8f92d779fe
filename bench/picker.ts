// What a pick costs, with 200 peers and 100,000 pieces and with fewer of both: microseconds, and pieces looked at.
//
//   node bench/picker.ts
import { Bitfield } from "../src/metainfo/bitfield.ts";
import { BLOCK_LENGTH_BYTES, Geometry } from "../src/metainfo/geometry.ts";
import { OwnPieces } from "../src/swarm/own-pieces.ts";
import { Picker } from "../src/swarm/picker.ts";
import type { PickingPeer } from "../src/swarm/piece-choice.ts";
import { PieceSet } from "../src/swarm/piece-set.ts";
import { median } from "./report.ts";

const ROUNDS = 50;

export interface CrowdedPicker {
  readonly picker: Picker;
  readonly peers: readonly PickingPeer[];
}

/** Peers that have anything from nearly all down to 20 pieces, which a scan finds last. */
export function crowdedPicker(pieceCount: number, peerCount: number): CrowdedPicker {
  const random = lehmer(3);
  const geometry = new Geometry(pieceCount * BLOCK_LENGTH_BYTES, BLOCK_LENGTH_BYTES);
  const picker = new Picker({
    geometry,
    pieces: new OwnPieces({ geometry, have: new Bitfield(pieceCount) }),
    reserve: () => new Uint8Array(0),
    random,
    nowMs: () => 0,
  });
  const peers = Array.from({ length: peerCount }, (_, slot) => {
    const has = new PieceSet(pieceCount);
    const share = slot % 4 === 0 ? 20 / pieceCount : random();
    for (let pieceIndex = 0; pieceIndex < pieceCount; pieceIndex++) if (random() < share) has.add(pieceIndex);
    const state = { isSeed: false, isOnParole: false, isHungry: true, isSuggesting: false, nextBlockMs: 0 };
    const peer = { ...state, slot, has, takeSuggestion: () => undefined };
    picker.peerCame(peer);
    return peer;
  });
  return { picker, peers };
}

/** Random numbers that are the same each time (Park and Miller, 1988). */
function lehmer(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

export interface PickCost {
  readonly microseconds: number;
  readonly piecesLookedAt: number;
}

/** The median of a pick. */
export function measurePick(pieceCount: number, peerCount: number): PickCost {
  const { picker, peers } = crowdedPicker(pieceCount, peerCount);
  const microseconds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const startMs = performance.now();
    for (const peer of peers) picker.pieceFor(peer)?.takeFree(peer.slot);
    microseconds.push(((performance.now() - startMs) * 1000) / peers.length);
  }
  return { microseconds: median(microseconds), piecesLookedAt: picker.stepCount / (ROUNDS * peers.length) };
}

if (import.meta.main) {
  for (const pieceCount of [1000, 10_000, 100_000]) {
    for (const peerCount of [20, 200]) {
      const { microseconds, piecesLookedAt } = measurePick(pieceCount, peerCount);
      const where = `${pieceCount} pieces, ${peerCount} peers`.padEnd(28);
      console.log(
        `${where}${microseconds.toFixed(1)} µs a pick, ${piecesLookedAt.toFixed(0)} pieces looked at`,
      );
    }
  }
}
