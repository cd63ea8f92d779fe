// Which new piece to ask a peer for: runs for the disks' sake, what it suggests, and what goes before what.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Geometry } from "../../../src/metainfo/geometry.ts";
import { Availability } from "../../../src/swarm/availability.ts";
import { HELD_BACK, type PickingPeer, PieceChoice } from "../../../src/swarm/piece-choice.ts";
import { PieceSet } from "../../../src/swarm/piece-set.ts";
import { seededRandom } from "../../sim/virtual-clock.ts";

const KIB = 1024;

interface ChoicePeer extends PickingPeer {
  isHungry: boolean;
  isSuggesting: boolean;
  readonly suggestions: number[];
}

/** A peer that has all pieces, or those that are named. */
function peerOf(pieceCount: number, { slot = 0, pieces = [...Array(pieceCount).keys()] } = {}): ChoicePeer {
  const has = new PieceSet(pieceCount);
  for (const pieceIndex of pieces) has.add(pieceIndex);
  const suggestions: number[] = [];
  return {
    slot,
    has,
    isSeed: has.isFull,
    isOnParole: false,
    nextBlockMs: 0,
    isHungry: true,
    isSuggesting: false,
    suggestions,
    takeSuggestion: () => suggestions.shift(),
  };
}

function open({ pieceCount = 64, pieceKib = 256, seed = 1 } = {}) {
  const geometry = new Geometry(pieceCount * pieceKib * KIB, pieceKib * KIB);
  const random = seededRandom(seed);
  const availability = new Availability(pieceCount, PieceSet.full(pieceCount), random);
  const choice = new PieceChoice(geometry, availability, random);
  /** Opens so many new pieces for the peer, as the picker does. */
  const pick = (peer: PickingPeer, count: number, { isFirst = false, isAlone = false } = {}): unknown[] => {
    const picked: unknown[] = [];
    for (let i = 0; i < count; i++) {
      const pieceIndex = choice.newPiece(peer, isFirst, isAlone);
      picked.push(pieceIndex);
      if (typeof pieceIndex !== "number") break;
      availability.take(pieceIndex);
      choice.opened(peer.slot, pieceIndex);
    }
    return picked;
  };
  return { availability, choice, pick };
}

describe("a new piece", () => {
  it("goes on after the one before, up to a whole MiB of the file", () => {
    for (const [pieceKib, run] of [
      [256, 4],
      [512, 2],
      [1024, 1],
      [4096, 1],
    ] as const) {
      const { pick } = open({ pieceKib });
      const picked = pick(peerOf(64), 64) as number[];
      assert.equal(new Set(picked).size, 64);
      // A run that began in its middle ends at the same place; its beginning is a run of its own.
      const follows = picked.filter((pieceIndex, at) => pieceIndex === (picked[at - 1] ?? -2) + 1);
      const crossing = follows.filter((pieceIndex) => pieceIndex % run === 0);
      assert.ok(follows.length >= 64 - (2 * 64) / run - 8, `${follows.length} follow on at ${pieceKib} KiB`);
      assert.ok(crossing.length < 8, `${crossing.length} runs go on past a MiB at ${pieceKib} KiB`);
    }
  });

  it("goes on only while the next one is free, the peer has it, and it is as rare as any", () => {
    const taken = open();
    const peer = peerOf(64);
    taken.choice.opened(0, 8);
    taken.availability.take(8);
    for (let pieceIndex = 0; pieceIndex < 64; pieceIndex++)
      if (pieceIndex !== 20) taken.availability.gained(pieceIndex);
    assert.equal(taken.choice.newPiece(peer, false, false), 20, "a rarer one goes before");
    taken.availability.take(20);
    assert.equal(taken.choice.newPiece(peer, false, false), 9);
    taken.availability.take(9);
    assert.notEqual(taken.choice.newPiece(peer, false, false), 9);
    const lacking = open();
    lacking.choice.opened(0, 8);
    lacking.availability.take(8);
    const without = peerOf(64, { pieces: [...Array(64).keys()].filter((pieceIndex) => pieceIndex !== 9) });
    assert.notEqual(lacking.choice.newPiece(without, false, false), 9);
  });

  it("of another peer, or after its run has ended, is not the next one but any", () => {
    let followed = 0;
    for (let seed = 0; seed < 20; seed++) {
      const { choice, availability } = open({ seed });
      choice.opened(0, 8);
      availability.take(8);
      if (choice.newPiece(peerOf(64, { slot: 1 }), false, false) === 9) followed++;
      choice.runEnds(0);
      if (choice.newPiece(peerOf(64), false, false) === 9) followed++;
    }
    assert.ok(followed < 8, `${followed} of 40`);
  });

  it("is what the peer suggests, if that is free and it has it; the rest of what it says is passed by", () => {
    const { pick, availability } = open();
    const peer = peerOf(64, { pieces: [1, 2, 3, 40] });
    availability.take(1);
    peer.suggestions.push(1, 5, 40, 2);
    assert.deepEqual(pick(peer, 2), [40, 2]);
    assert.deepEqual(peer.suggestions, []);
  });

  it("is held back from a peer that suggests, until it does again or has little to do", () => {
    const { pick, choice } = open();
    const peer = peerOf(64);
    peer.isSuggesting = true;
    peer.isHungry = false;
    assert.deepEqual(pick(peer, 1), [HELD_BACK]);
    peer.isHungry = true;
    assert.equal(typeof choice.newPiece(peer, false, false), "number");
    peer.isHungry = false;
    peer.isSuggesting = false;
    assert.equal(typeof choice.newPiece(peer, false, false), "number");
  });

  it("is the first of the file when a seed is all there is, but not the very first ones", () => {
    const { pick, availability } = open();
    availability.take(0);
    const seed = peerOf(64);
    assert.deepEqual(pick(seed, 3, { isAlone: true }), [1, 2, 3]);
    const firsts = new Set(
      Array.from(
        { length: 12 },
        (_, at) => open({ seed: at }).pick(seed, 1, { isAlone: true, isFirst: true })[0],
      ),
    );
    assert.ok(firsts.size > 4);
    const leecher = peerOf(64, { pieces: [7, 9] });
    assert.ok([7, 9].includes(pick(leecher, 1, { isAlone: true })[0] as number));
  });

  it("is none when nothing is free, or nothing that the peer has", () => {
    const { pick, availability } = open({ pieceCount: 3 });
    assert.deepEqual(pick(peerOf(3, { pieces: [] }), 1), [undefined]);
    for (const pieceIndex of [0, 1, 2]) availability.take(pieceIndex);
    const peer = peerOf(3);
    peer.suggestions.push(1);
    assert.deepEqual(pick(peer, 1), [undefined]);
    assert.deepEqual(peer.suggestions, [1], "its suggestions are kept for later");
  });

  it("is found wherever the peer's only free piece lies", () => {
    for (const only of [0, 1, 499, 998, 999]) {
      const { pick, availability } = open({ pieceCount: 1000, pieceKib: 16 });
      // So many that nobody has that the walk through the rarest does not reach it.
      availability.gained(only);
      assert.deepEqual(pick(peerOf(1000, { pieces: [only] }), 1), [only]);
    }
  });

  it("is the rarest of those that a peer has, when the rarest of all are others'", () => {
    const { pick, availability } = open({ pieceCount: 1000, pieceKib: 16 });
    for (const [pieceIndex, copies] of [
      [900, 3],
      [901, 1],
      [902, 2],
    ] as const) {
      for (let copy = 0; copy < copies; copy++) availability.gained(pieceIndex);
    }
    assert.deepEqual(pick(peerOf(1000, { pieces: [900, 901, 902] }), 3), [901, 902, 900]);
  });
});
