// Row f: what a decision costs: which piece to ask of whom, with 100,000 pieces and 200 peers, some of whom have next to
// nothing, beside 1,000 pieces and 20 peers. The real picker, in this process, nothing around it.
import { Bitfield } from "../../src/metainfo/bitfield.ts";
import { BLOCK_LENGTH_BYTES, Geometry } from "../../src/metainfo/geometry.ts";
import { Picker, type PickingPeer } from "../../src/swarm/picker.ts";
import { PieceSet } from "../../src/swarm/piece-set.ts";
import { atMost, type Conditions, digits, median, type Row, type RowResult } from "../report.ts";

const MICROSECONDS = 20;
/** Every fourth peer has so little: for it the picker has to look longest. */
const SCARCE_PART = 0.0002;
const ROUNDS = 20;

export const decisions: Row = {
  name: "f",
  work: "a decision of the picker",
  async run({ runs, say }: Conditions): Promise<RowResult> {
    const [small, large]: [number[], number[]] = [[], []];
    for (let run = 0; run < runs; run++) {
      small.push(microsecondsPerPick(1000, 20));
      large.push(microsecondsPerPick(100_000, 200));
      say(`f: run ${run + 1}: ${digits(large.at(-1) ?? 0)} µs a pick`);
    }
    const [smallMicroseconds, largeMicroseconds] = [median(small), median(large)];
    return {
      marks: [atMost(MICROSECONDS, "µs", "a pick: 100,000 pieces, 200 peers", largeMicroseconds)],
      figures: { smallMicroseconds, largeMicroseconds },
      lines: [`1,000 pieces, 20 peers: ${digits(smallMicroseconds)} µs a pick`],
    };
  },
};

/** Every piece is one block, so that every pick opens a new one. */
function microsecondsPerPick(pieceCount: number, peerCount: number): number {
  const picker = new Picker({
    geometry: new Geometry(pieceCount * BLOCK_LENGTH_BYTES, BLOCK_LENGTH_BYTES),
    have: new Bitfield(pieceCount),
    reserve: () => new Uint8Array(0),
    random: Math.random,
  });
  const peers = Array.from({ length: peerCount }, (_, slot) => peerWith(picker, slot, pieceCount));
  let picks = 0;
  const startedMs = performance.now();
  for (let round = 0; round < ROUNDS; round++) {
    for (const peer of peers) {
      picker.pieceFor(peer)?.takeFree(peer.slot);
      picks++;
    }
  }
  return ((performance.now() - startedMs) * 1000) / picks;
}

function peerWith(picker: Picker, slot: number, pieceCount: number): PickingPeer {
  const has = new PieceSet(pieceCount);
  const part = slot % 4 === 0 ? SCARCE_PART : Math.random();
  for (let pieceIndex = 0; pieceIndex < pieceCount; pieceIndex++) {
    if (Math.random() < part) has.add(pieceIndex);
  }
  const peer: PickingPeer = {
    ...{ slot, has, isSeed: false, isOnParole: false, isHungry: true, isSuggesting: false },
    takeSuggestion: () => undefined,
  };
  picker.peerCame(peer);
  return peer;
}
