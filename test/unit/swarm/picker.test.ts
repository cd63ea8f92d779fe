// Pictures: each column is a piece. In `have`, `*` is a piece that we have; in a peer's line `x` is one that it has. A
// digit in `availability` is by how many peers, seeds aside, a piece is had.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type CrowdedPicker, crowdedPicker } from "../../../bench/picker.ts";
import { Bitfield } from "../../../src/metainfo/bitfield.ts";
import { BLOCK_LENGTH_BYTES, Geometry } from "../../../src/metainfo/geometry.ts";
import { OwnPieces } from "../../../src/swarm/own-pieces.ts";
import { Picker } from "../../../src/swarm/picker.ts";
import type { PickingPeer } from "../../../src/swarm/piece-choice.ts";
import { PieceSet } from "../../../src/swarm/piece-set.ts";
import { seededRandom } from "../../sim/virtual-clock.ts";

interface TestPeer extends PickingPeer {
  isOnParole: boolean;
  nextBlockMs: number;
  isHungry: boolean;
  isSuggesting: boolean;
  readonly suggestions: number[];
}

interface AskedBlock {
  readonly pieceIndex: number;
  readonly blockIndex: number;
  readonly slot: number;
  hasArrived: boolean;
}

const BLOCKS_PER_PIECE = 4;

function peerWith(slot: number, picture: string, isOnParole = false): TestPeer {
  const has = new PieceSet(picture.length);
  for (const [pieceIndex, sign] of [...picture].entries()) if (sign === "x") has.add(pieceIndex);
  return testPeer(slot, has, has.isFull, isOnParole);
}

function testPeer(slot: number, has: PieceSet, isSeed: boolean, isOnParole = false): TestPeer {
  const suggestions: number[] = [];
  return {
    slot,
    has,
    isSeed,
    isOnParole,
    nextBlockMs: 0,
    isHungry: true,
    isSuggesting: false,
    suggestions,
    takeSuggestion: () => suggestions.shift(),
  };
}

/** Peers from slot 100 on make up the availability. */
function pickerFor({
  have,
  availability = "",
  memoryPieces = Number.POSITIVE_INFINITY,
  nowMs = 0,
}: {
  have: string;
  availability?: string;
  memoryPieces?: number;
  nowMs?: number;
}): Picker {
  const bitfield = new Bitfield(have.length);
  for (const [pieceIndex, sign] of [...have].entries()) if (sign === "*") bitfield.set(pieceIndex);
  let reserved = 0;
  const geometry = new Geometry(
    have.length * BLOCKS_PER_PIECE * BLOCK_LENGTH_BYTES,
    BLOCKS_PER_PIECE * BLOCK_LENGTH_BYTES,
  );
  const picker = new Picker({
    geometry,
    pieces: new OwnPieces({ geometry, have: bitfield }),
    reserve: () => (reserved++ < memoryPieces ? new Uint8Array(0) : undefined),
    random: seededRandom(7),
    nowMs: () => nowMs,
  });
  for (let level = 1; level <= 9; level++) {
    const picture = [...availability].map((digit) => (Number(digit) >= level ? "x" : " ")).join("");
    if (picture.includes("x")) picker.peerCame({ ...peerWith(100 + level, picture), isSeed: false });
  }
  return picker;
}

/** Takes blocks for that peer until there are no more; pieces in the order of picking. */
function pickAll(picker: Picker, peer: TestPeer, mostBlocks = 1000): number[] {
  const pieces: number[] = [];
  for (let taken = 0; taken < mostBlocks; taken++) {
    const piece = picker.pieceFor(peer);
    if (piece === undefined) break;
    assert.ok(piece.takeFree(peer.slot) >= 0);
    if (pieces.at(-1) !== piece.pieceIndex) pieces.push(piece.pieceIndex);
  }
  return pieces;
}

describe("the picker", () => {
  it("takes the rarest first", () => {
    const picker = pickerFor({ have: "****      ", availability: "1111432143" });
    const peer = peerWith(0, "    xxxxxx");
    picker.peerCame(peer);
    assert.equal(pickAll(picker, peer)[0], 7);
    assert.deepEqual(pickAll(picker, peerWith(0, "    xxxxxx")).slice(0), []);
  });

  it("goes from rare to common, and asks for each once", () => {
    const picker = pickerFor({ have: "****      ", availability: "0000251364" });
    const peer = peerWith(0, "xxxxxxxxxx");
    picker.peerCame(peer);
    assert.deepEqual(pickAll(picker, peer), [6, 4, 7, 9, 5, 8]);
  });

  it("picks only what the peer has", () => {
    const picker = pickerFor({ have: "****      ", availability: "0000123456" });
    const peer = peerWith(0, "       x x");
    picker.peerCame(peer);
    assert.deepEqual(pickAll(picker, peer), [7, 9]);
  });

  it("goes in file order when there are only seeds", () => {
    const picker = pickerFor({ have: "****        " });
    const seed = peerWith(0, "xxxxxxxxxxxx");
    picker.peerCame(seed);
    assert.deepEqual(pickAll(picker, seed), [4, 5, 6, 7, 8, 9, 10, 11]);
  });

  it("takes the first pieces without regard to rarity from a peer that is no seed", () => {
    const firsts = new Set<number>();
    for (let seed = 0; seed < 40; seed++) {
      const geometry = new Geometry(8 * BLOCK_LENGTH_BYTES, BLOCK_LENGTH_BYTES);
      const picker = new Picker({
        geometry,
        pieces: new OwnPieces({ geometry, have: new Bitfield(8) }),
        reserve: () => new Uint8Array(0),
        random: seededRandom(seed),
        nowMs: () => 0,
      });
      const peer = peerWith(0, "xxxx    ");
      picker.peerCame(peer);
      picker.peerCame(peerWith(1, " xxx    "));
      firsts.add(picker.pieceFor(peer)?.pieceIndex ?? -1);
    }
    assert.deepEqual([...firsts].sort(), [0, 1, 2, 3]);
  });

  it("gives a piece to one peer; another takes of its blocks only when there is nothing else", () => {
    const picker = pickerFor({ have: "****  ", availability: "000012" });
    const [a, b] = [peerWith(0, "xxxxxx"), peerWith(1, "xxxxxx")];
    picker.peerCame(a);
    picker.peerCame(b);
    assert.deepEqual(pickAll(picker, a, 1), [4]);
    assert.deepEqual(pickAll(picker, b, BLOCKS_PER_PIECE), [5]);
    assert.deepEqual(pickAll(picker, b), [4]);
    assert.deepEqual(pickAll(picker, a), []);
  });

  it("finishes what a peer that left had begun before it opens anything", () => {
    const picker = pickerFor({ have: "****    ", availability: "00001111" });
    const [leaving, staying] = [peerWith(0, "xxxxxxxx"), peerWith(1, "xxxxxxxx")];
    picker.peerCame(leaving);
    picker.peerCame(staying);
    const [begun] = pickAll(picker, leaving, 1);
    const piece = picker.openPiece(begun ?? -1);
    piece?.forget(0);
    picker.peerLeft(leaving);
    assert.equal(pickAll(picker, staying)[0], begun);
  });

  it("asks a peer that had nothing for what it gains", () => {
    const picker = pickerFor({ have: "****  ", availability: "000011" });
    const peer = peerWith(0, "xx    ");
    picker.peerCame(peer);
    assert.deepEqual(pickAll(picker, peer), []);
    peer.has.add(5);
    picker.peerGained(peer, 5);
    assert.deepEqual(pickAll(picker, peer), [5]);
  });

  it("opens nothing when there is no memory, and goes on when there is", () => {
    const picker = pickerFor({ have: "****      ", availability: "0000111111", memoryPieces: 2 });
    const peer = peerWith(0, "xxxxxxxxxx");
    picker.peerCame(peer);
    assert.equal(pickAll(picker, peer).length, 2);
    assert.equal(picker.isOutOfMemory, true);
    assert.equal(picker.availability.freeCount, 4);
    picker.somethingFreed();
    assert.equal(picker.isOutOfMemory, false);
  });

  it("gives a peer on parole whole pieces, which nobody else may touch", () => {
    const picker = pickerFor({ have: "****  ", availability: "000011" });
    const suspect = peerWith(0, "xxxxxx", true);
    const other = peerWith(1, "xxxxxx");
    picker.peerCame(suspect);
    picker.peerCame(other);
    const [alone] = pickAll(picker, suspect, 1);
    const others = pickAll(picker, other);
    assert.equal(others.includes(alone ?? -1), false);
    assert.equal(
      picker.busiestBlock(other, () => 1000),
      undefined,
    );
    // Nor does it take of what others began.
    assert.deepEqual(pickAll(picker, suspect), [alone]);
    assert.deepEqual(pickAll(picker, suspect), []);
  });

  it("begins a piece anew for a peer on parole that others began and left, if it has it and nothing is asked", () => {
    const picker = pickerFor({ have: "****  ", availability: "000011" });
    const leaving = peerWith(0, "xxxxxx");
    picker.peerCame(leaving);
    pickAll(picker, leaving, 2 * BLOCKS_PER_PIECE);
    const [first, second] = [picker.openPiece(4), picker.openPiece(5)];
    assert.ok(first && second);
    for (const [piece, arrived] of [
      [first, 1],
      [second, 2],
    ] as const) {
      for (let block = 0; block < BLOCKS_PER_PIECE; block++) {
        if (block >= arrived) {
          piece.forget(block);
        } else {
          piece.begins(block);
          piece.ends(block, 0);
        }
      }
    }
    picker.peerLeft(leaving);
    const asking = peerWith(1, "    x ");
    picker.peerCame(asking);
    // One block of the first piece is asked of another peer.
    first.takeFree(asking.slot);
    const suspect = peerWith(2, "    x ", true);
    picker.peerCame(suspect);
    assert.equal(picker.pieceFor(suspect), undefined);
    first.forget(1);
    picker.somethingFreed();
    assert.equal(picker.pieceFor(suspect), first);
    assert.deepEqual([first.freeCount, first.isExclusive, first.ownerSlot], [BLOCKS_PER_PIECE, true, 2]);
    assert.equal(picker.discardedBytes, BLOCK_LENGTH_BYTES);
    assert.deepEqual([...picker.orphans()], [second]);
    assert.equal(second.arrivedCount, 2, "the peer on parole lacks that one");
  });

  it("gives a piece of which all is asked for already to nobody, whoever it belonged to", () => {
    const picker = pickerFor({ have: "****  ", availability: "000012" });
    const [choking, other] = [peerWith(0, "xxxxxx"), peerWith(1, "xxxxxx")];
    picker.peerCame(choking);
    picker.peerCame(other);
    assert.deepEqual(pickAll(picker, choking, BLOCKS_PER_PIECE), [4]);
    picker.disown(choking);
    assert.deepEqual(pickAll(picker, other), [5]);
  });

  it("leaves a piece on parole that its peer gave up to nobody else", () => {
    const picker = pickerFor({ have: "***** ", availability: "000001" });
    const [suspect, other] = [peerWith(0, "xxxxxx", true), peerWith(1, "xxxxxx")];
    picker.peerCame(suspect);
    picker.peerCame(other);
    pickAll(picker, suspect, 1);
    picker.disown(suspect);
    assert.deepEqual(pickAll(picker, other), []);
  });

  it("finds among blocks that wait the one that waits longest, asked last, and that has not begun to arrive", () => {
    const picker = pickerFor({ have: "****  ", availability: "000012" });
    const [slow, slower, idle] = [peerWith(0, "xxxxxx"), peerWith(1, "xxxxxx"), peerWith(2, "xxxxxx")];
    for (const peer of [slow, slower, idle]) picker.peerCame(peer);
    let order = 0;
    const take = (peer: TestPeer) => {
      for (let block = 0; block < BLOCKS_PER_PIECE; block++)
        picker.pieceFor(peer)?.takeFree(peer.slot, ++order);
    };
    take(slow);
    take(slower);
    const found = (waits: Record<number, number>, peer = idle): string | undefined => {
      const busy = picker.busiestBlock(peer, (slot) => waits[slot] ?? 0);
      return busy && `${busy.piece.pieceIndex}:${busy.blockIndex} of ${busy.askedSlot}`;
    };
    assert.equal(found({ 0: 5, 1: 9 }), "5:3 of 1");
    assert.equal(found({ 0: 9, 1: 5 }), "4:3 of 0");
    assert.equal(found({ 0: 7, 1: 7 }), "5:3 of 1", "of equals the one asked for later");
    assert.equal(found({}), undefined);
    assert.equal(found({ 0: 9, 1: 5 }, slow), "5:3 of 1", "not of itself");
    assert.equal(found({ 0: 9, 1: 5 }, peerWith(3, "     x")), "5:3 of 1", "only what it has");
    const piece = picker.openPiece(4);
    piece?.begins(3);
    assert.equal(found({ 0: 9 }), "4:2 of 0");
    piece?.ends(3, 0);
    piece?.forget(2);
    assert.equal(found({ 0: 9 }), "4:1 of 0");
    piece?.commits();
    assert.equal(found({ 0: 9 }), undefined);
  });

  it("goes on with what is begun before more than 32 MiB for each peer is open", () => {
    const pieceCount = 600;
    const picker = pickerFor({ have: " ".repeat(pieceCount) });
    const seed = peerWith(0, "x".repeat(pieceCount));
    picker.peerCame(seed);
    // Of 64 KiB each.
    const mostOpen = 512;
    pickAll(picker, seed, (mostOpen - 1) * BLOCKS_PER_PIECE);
    const [begun] = picker.openPieces();
    assert.ok(begun);
    begun.forget(2);
    picker.somethingFreed();
    const fresh = pickAll(picker, seed, BLOCKS_PER_PIECE);
    assert.equal(fresh.includes(begun.pieceIndex), false);
    assert.equal(picker.openCount, mostOpen);
    assert.equal(picker.pieceFor(seed), begun);
    begun.takeFree(seed.slot);
    assert.equal(
      picker.pieceFor(seed)?.freeCount,
      BLOCKS_PER_PIECE,
      "with nothing begun a new one is opened",
    );
  });

  it("asks a peer that suggests for what it suggests, and for anything else only when it has little to do", () => {
    const picker = pickerFor({ have: "****        ", availability: "000011111111" });
    const seed = peerWith(0, "xxxxxxxxxxxx");
    picker.peerCame(seed);
    seed.suggestions.push(2, 9, 6);
    seed.isSuggesting = true;
    seed.isHungry = false;
    picker.suggested(seed);
    // Piece 2 is here already.
    assert.deepEqual(pickAll(picker, seed), [9, 6]);
    seed.suggestions.push(9, 11);
    picker.suggested(seed);
    assert.deepEqual(pickAll(picker, seed), [11]);
    const other = peerWith(1, "    x       ");
    picker.peerCame(other);
    assert.deepEqual(pickAll(picker, other, 1), [4]);
    // What others began and have not asked for is not asked of it either.
    assert.deepEqual(pickAll(picker, seed), []);
    seed.isHungry = true;
    assert.equal(pickAll(picker, seed).length, 5);
  });

  it("hears no suggestion of a piece that the peer lacks", () => {
    const picker = pickerFor({ have: "****    ", availability: "00001111" });
    const peer = peerWith(0, "     xxx");
    picker.peerCame(peer);
    peer.suggestions.push(4);
    picker.suggested(peer);
    assert.equal(pickAll(picker, peer).includes(4), false);
  });

  it("is in endgame only when nothing is free that somebody has", () => {
    const picker = pickerFor({ have: "****   " });
    const peer = peerWith(0, "xxxxxx ");
    picker.peerCame(peer);
    assert.equal(picker.isEndgame, false);
    pickAll(picker, peer, BLOCKS_PER_PIECE + 1);
    // Piece 6 is free, but nobody has it.
    assert.equal(picker.isEndgame, true);
    picker.peerCame(peerWith(1, "xxxxxxx"));
    assert.equal(picker.isEndgame, false);
  });

  it("takes what is due soonest first, then the rarest", () => {
    const picker = pickerFor({ have: "****        ", availability: "000025136425" });
    const peer = peerWith(0, "xxxxxxxxxxxx");
    picker.peerCame(peer);
    picker.setDeadlines(
      new Map([
        [9, 100],
        [10, 200],
        [11, 300],
      ]),
    );
    assert.deepEqual(pickAll(picker, peer), [9, 10, 11, 6, 4, 7, 5, 8]);
  });

  it("puts a piece that is begun off for one with a deadline, and goes on with it then", () => {
    const picker = pickerFor({ have: "****    ", availability: "00001111" });
    const peer = peerWith(0, "xxxxxxxx");
    picker.peerCame(peer);
    const [begun] = pickAll(picker, peer, 1);
    const urgent = begun === 7 ? 6 : 7;
    picker.setDeadlines(new Map([[urgent, 0]]));
    assert.deepEqual(pickAll(picker, peer, BLOCKS_PER_PIECE + 1), [urgent, begun]);
  });

  it("gives blocks of a piece with a deadline to every peer that has it, and to none that lacks it", () => {
    const picker = pickerFor({ have: "****    ", availability: "00001111" });
    const peers = [peerWith(0, "xxxxxxxx"), peerWith(1, "    x  x"), peerWith(2, "xxxxxxx ")];
    for (const peer of peers) picker.peerCame(peer);
    picker.setDeadlines(new Map([[7, 0]]));
    const pieces = peers.map((peer) => pickAll(picker, peer, 1)[0]);
    assert.deepEqual([pieces[0], pieces[1], pieces[2] === 7], [7, 7, false]);
    assert.equal(picker.openPiece(7)?.freeCount, BLOCKS_PER_PIECE - 2);
  });

  it("gives a slow peer nothing that it would be late with while a faster one has it, also not what it began", () => {
    const picker = pickerFor({ have: "****    ", nowMs: 1000 });
    const [slow, fast] = [peerWith(0, "xxxxxxxx"), peerWith(1, "xxxxxxxx")];
    for (const peer of [slow, fast]) picker.peerCame(peer);
    const [begun = -1] = pickAll(picker, slow, 1);
    slow.nextBlockMs = 500;
    fast.nextBlockMs = 249;
    // In time is what takes half of what is left, and a quarter of a second for hash and disk.
    picker.setDeadlines(new Map([[begun, 1000 + 2 * 500 + 249]]));
    const others = pickAll(picker, slow, 2 * BLOCKS_PER_PIECE);
    assert.equal(others.length, 2);
    assert.equal(others.includes(begun), false);
    // Neither when it belongs to nobody, nor when nothing else is left.
    picker.disown(slow);
    assert.equal(pickAll(picker, slow).includes(begun), false);
    assert.deepEqual(pickAll(picker, fast, 1), [begun]);
    picker.setDeadlines(new Map([[begun, 1000 + 2 * 500 + 250]]));
    assert.deepEqual(pickAll(picker, slow, 1), [begun]);
  });

  it("asks a slow peer for what is urgent if no other is twice as fast, has it, and delivers", () => {
    for (const [has, nextBlockMs] of [
      ["xxxxxxxx", 250],
      ["xxxxxxx ", 1],
      ["xxxxxxxx", Number.POSITIVE_INFINITY],
    ] as const) {
      const picker = pickerFor({ have: "****    " });
      const [slow, other] = [peerWith(0, "xxxxxxxx"), peerWith(1, has)];
      for (const peer of [slow, other]) picker.peerCame(peer);
      slow.nextBlockMs = 500;
      other.nextBlockMs = nextBlockMs;
      picker.setDeadlines(new Map([[7, 0]]));
      assert.deepEqual(pickAll(picker, slow, 1), [7]);
    }
    const picker = pickerFor({ have: "****    " });
    const [slow, gone] = [peerWith(0, "xxxxxxxx"), peerWith(1, "xxxxxxxx")];
    for (const peer of [slow, gone]) picker.peerCame(peer);
    slow.nextBlockMs = 500;
    picker.peerLeft(gone);
    picker.setDeadlines(new Map([[7, 0]]));
    assert.deepEqual(pickAll(picker, slow, 1), [7]);
  });

  it("looks again for a peer once it has gained a piece with a deadline, or blocks of one are free", () => {
    const picker = pickerFor({ have: "****    ", availability: "00001111" });
    const [a, b] = [peerWith(0, "    xxx "), peerWith(1, "xxxxxxxx")];
    for (const peer of [a, b]) picker.peerCame(peer);
    picker.setDeadlines(new Map([[7, 0]]));
    assert.equal(pickAll(picker, a).includes(7), false);
    a.has.add(7);
    picker.peerGained(a, 7);
    assert.deepEqual(pickAll(picker, a, BLOCKS_PER_PIECE), [7]);
    assert.notEqual(pickAll(picker, b, 1)[0], 7);
    picker.openPiece(7)?.forget(2);
    picker.somethingFreed();
    assert.deepEqual(pickAll(picker, b, 1), [7]);
  });

  it("gives a peer on parole no piece with a deadline", () => {
    const picker = pickerFor({ have: "****    ", availability: "00001111" });
    const suspect = peerWith(0, "xxxxxxxx", true);
    const leaving = peerWith(1, "      x ");
    for (const peer of [suspect, leaving]) picker.peerCame(peer);
    pickAll(picker, leaving, 1);
    picker.openPiece(6)?.forget(0);
    picker.peerLeft(leaving);
    picker.setDeadlines(
      new Map([
        [6, 0],
        [7, 0],
      ]),
    );
    assert.deepEqual(pickAll(picker, suspect, 4 * BLOCKS_PER_PIECE).sort(), [4, 5]);
  });

  it("makes a piece free again whose deadline ends, and not one that is open or here", () => {
    const picker = pickerFor({ have: "****    ", availability: "00001111" });
    const peer = peerWith(0, "xxxxxxxx");
    picker.peerCame(peer);
    picker.setDeadlines(
      new Map([
        [6, 0],
        [7, 0],
      ]),
    );
    pickAll(picker, peer, 1);
    assert.deepEqual(
      [6, 7].map((piece) => picker.availability.isFree(piece)),
      [false, false],
    );
    assert.equal(picker.isEndgame, false);
    picker.setDeadlines(new Map());
    assert.deepEqual(
      [6, 7].map((piece) => picker.availability.isFree(piece)),
      [false, true],
    );
  });

  it("picks no piece that is not wanted any longer, though it has a deadline", () => {
    const picker = pickerFor({ have: "****    ", availability: "00001111" });
    const peer = peerWith(0, "xxxxxxxx");
    picker.peerCame(peer);
    picker.setDeadlines(new Map([[6, 0]]));
    const dropped = new PieceSet(8);
    dropped.add(6);
    picker.wantedChanged({ added: new PieceSet(8), dropped });
    assert.equal(pickAll(picker, peer).includes(6), false);
  });

  it("is not in endgame while a piece with a deadline is to be opened that somebody has", () => {
    const picker = pickerFor({ have: "******  ", availability: "00000001" });
    const peer = peerWith(0, "       x");
    picker.setDeadlines(new Map([[7, 0]]));
    assert.equal(picker.isEndgame, false);
    picker.peerCame(peer);
    pickAll(picker, peer);
    assert.equal(picker.isEndgame, true, "nobody has piece 6");
  });

  it("names blocks with a deadline that are late where they were asked for, soonest first, for a peer that has them", () => {
    const picker = pickerFor({ have: "****    ", availability: "00001111" });
    const [slow, other] = [peerWith(0, "xxxxxxxx"), peerWith(1, "xxxxxxx ")];
    for (const peer of [slow, other]) picker.peerCame(peer);
    picker.setDeadlines(
      new Map([
        [7, 10],
        [6, 20],
      ]),
    );
    for (const [piece, expectedAtMs] of [
      [7, 1],
      [6, 2],
    ] as const) {
      const begun = picker.pieceFor(slow);
      assert.equal(begun?.pieceIndex, piece);
      for (let block = 0; block < BLOCKS_PER_PIECE; block++) begun?.takeFree(slow.slot, block, expectedAtMs);
    }
    const asked: number[][] = [];
    const note = (slot: number, expectedAtMs: number, dueMs: number): boolean => {
      asked.push([slot, expectedAtMs, dueMs]);
      return asked.length === 2;
    };
    const late = picker.lateBlock(other, note);
    assert.deepEqual([late?.piece.pieceIndex, late?.blockIndex, late?.askedSlot], [6, 1, 0]);
    assert.deepEqual(asked, [
      [0, 2, 20],
      [0, 2, 20],
    ]);
    assert.equal(
      picker.lateBlock(slow, () => true),
      undefined,
      "its own",
    );
    const seed = peerWith(2, "xxxxxxxx");
    assert.equal(picker.lateBlock(seed, () => true)?.piece.pieceIndex, 7);
    assert.equal(
      picker.lateBlock({ ...seed, isOnParole: true }, () => true),
      undefined,
    );
    picker.openPiece(7)?.begins(0);
    assert.equal(picker.lateBlock(seed, () => true)?.blockIndex, 1, "the first is arriving");
  });

  it("never picks what we have, what the peer lacks, or a block that is asked for", () => {
    const pictures = fc.string({ unit: fc.constantFrom("x", " "), minLength: 24, maxLength: 24 });
    const operation = fc.oneof(
      fc.record({
        type: fc.constant("pick" as const),
        slot: fc.nat(3),
        blocks: fc.integer({ min: 1, max: 9 }),
      }),
      fc.record({ type: fc.constant("gain" as const), slot: fc.nat(3), pieceIndex: fc.nat(23) }),
      fc.record({ type: fc.constant("forget" as const), slot: fc.nat(3) }),
      fc.record({ type: fc.constant("rejoin" as const), slot: fc.nat(3), has: pictures }),
      fc.record({ type: fc.constant("arrive" as const), slot: fc.nat(3) }),
      fc.record({
        type: fc.constant("deadlines" as const),
        slot: fc.nat(3),
        pieces: fc.uniqueArray(fc.nat(23), { maxLength: 6 }),
      }),
    );
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("*", " "), minLength: 24, maxLength: 24 }),
        fc.array(pictures, { minLength: 4, maxLength: 4 }),
        fc.array(operation, { maxLength: 60 }),
        fc.nat(3),
        (have, lines, operations, paroleSlot) => {
          const picker = pickerFor({ have });
          const peers = lines.map((line, slot) => peerWith(slot, line, slot === paroleSlot));
          const asked = new Map<string, AskedBlock>();
          const takeBack = (slot: number): void => {
            for (const [key, block] of asked) {
              if (block.slot !== slot || block.hasArrived) continue;
              picker.openPiece(block.pieceIndex)?.forget(block.blockIndex);
              asked.delete(key);
            }
          };
          for (const peer of peers) picker.peerCame(peer);
          for (const step of operations) {
            const peer = peers[step.slot];
            assert.ok(peer);
            if (step.type === "pick") {
              for (let taken = 0; taken < step.blocks; taken++) {
                const piece = picker.pieceFor(peer);
                if (piece === undefined) break;
                const { pieceIndex } = piece;
                const blockIndex = piece.takeFree(step.slot);
                const key = `${pieceIndex}:${blockIndex}`;
                assert.notEqual(have[pieceIndex], "*", "we have it");
                assert.ok(peer.has.has(pieceIndex), "the peer lacks it");
                // Only for a peer on parole a piece is begun anew, with what had come thrown away.
                const isBegunAnew = asked.get(key)?.hasArrived && piece.isExclusive;
                assert.ok(!asked.has(key) || isBegunAnew, "it is asked for");
                assert.ok(blockIndex >= 0 && blockIndex < BLOCKS_PER_PIECE);
                asked.set(key, { pieceIndex, blockIndex, slot: step.slot, hasArrived: false });
              }
            } else if (step.type === "deadlines") {
              const missing = step.pieces.filter((piece) => have[piece] !== "*");
              picker.setDeadlines(new Map(missing.map((piece, order) => [piece, 1000 * order])));
            } else if (step.type === "gain") {
              if (peer.isSeed || !peer.has.add(step.pieceIndex)) continue;
              picker.peerGained(peer, step.pieceIndex);
            } else if (step.type === "rejoin") {
              takeBack(step.slot);
              picker.peerLeft(peer);
              const back = peerWith(step.slot, step.has, peer.isOnParole);
              peers[step.slot] = back;
              picker.peerCame(back);
            } else if (step.type === "arrive") {
              const first = [...asked.values()].find(
                (block) => block.slot === step.slot && !block.hasArrived,
              );
              if (first === undefined) continue;
              const piece = picker.openPiece(first.pieceIndex);
              assert.ok(piece);
              piece.begins(first.blockIndex);
              piece.ends(first.blockIndex, step.slot);
              first.hasArrived = true;
            } else {
              takeBack(step.slot);
              picker.disown(peer);
            }
            // What is counted as free is free, and nothing else.
            for (let pieceIndex = 0; pieceIndex < have.length; pieceIndex++) {
              const isTaken = picker.openPiece(pieceIndex) !== undefined || picker.deadlines.has(pieceIndex);
              const isFree = have[pieceIndex] !== "*" && !isTaken;
              assert.equal(picker.availability.isFree(pieceIndex), isFree);
              const copies = peers.filter((other) => other.has.has(pieceIndex)).length;
              assert.equal(picker.availability.copies(pieceIndex), copies);
            }
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it("costs the same however many pieces and peers there are, in pieces looked at", () => {
    const few = stepsPerPick(crowdedPicker(3_000, 20));
    const manyPieces = stepsPerPick(crowdedPicker(30_000, 20));
    const manyPeers = stepsPerPick(crowdedPicker(3_000, 100));
    const both = stepsPerPick(crowdedPicker(30_000, 100));
    for (const steps of [few, manyPieces, manyPeers, both]) {
      assert.ok(steps < 200, `${[few, manyPieces, manyPeers, both]} steps a pick`);
    }
  });
});

function stepsPerPick({ picker, peers }: CrowdedPicker): number {
  const before = picker.stepCount;
  let picks = 0;
  for (let round = 0; round < 20; round++) {
    for (const peer of peers) {
      const piece = picker.pieceFor(peer);
      picks++;
      // Pieces of one block: each pick is a new choice.
      piece?.takeFree(peer.slot);
    }
  }
  return (picker.stepCount - before) / picks;
}
