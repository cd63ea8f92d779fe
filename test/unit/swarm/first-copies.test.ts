import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FirstCopies } from "../../../src/swarm/first-copies.ts";
import { seededRandom } from "../../sim/virtual-clock.ts";

function firstCopiesOf(
  pieceCount: number,
  elsewhere: ReadonlySet<number> = new Set(),
  isOnlySeed = false,
): FirstCopies {
  return new FirstCopies({
    pieceCount,
    runPieces: 4,
    isNowhereElse: (pieceIndex) => !elsewhere.has(pieceIndex),
    isOnlySeed: () => isOnlySeed,
    random: seededRandom(5),
  });
}

describe("first copies", () => {
  it("are what nobody has and nobody else is promised", () => {
    const firstCopies = firstCopiesOf(5, new Set([3]));
    assert.equal(firstCopies.isNewFor(0, 3), false);
    firstCopies.requested(0, 1, 0);
    assert.equal(firstCopies.isNewFor(0, 1), true);
    assert.equal(firstCopies.isNewFor(1, 1), false);
    firstCopies.peerLeft(0);
    assert.equal(firstCopies.isNewFor(1, 1), true);
  });

  it("are promised each to one peer, a few ahead of what it asks for", () => {
    const firstCopies = firstCopiesOf(30, new Set([7, 8]));
    const promised: number[] = [];
    for (let round = 0; round < 30; round++) {
      for (const slot of [0, 1, 2]) {
        const ahead = firstCopies.promises(slot, 3, 0);
        assert.ok(ahead.length <= 4);
        promised.push(...ahead);
        for (const pieceIndex of ahead) firstCopies.requested(slot, pieceIndex, 0);
      }
    }
    const expected = Array.from({ length: 30 }, (_, index) => index).filter(
      (index) => index !== 7 && index !== 8,
    );
    assert.deepEqual(
      promised.toSorted((a, b) => a - b),
      expected,
    );
  });

  it("are promised in the order of the file by the only seed, and in another by one of several", () => {
    const inOrder = Array.from({ length: 16 }, (_, index) => index);
    const promisedBy = (isOnlySeed: boolean): number[] => {
      const firstCopies = firstCopiesOf(100, new Set(), isOnlySeed);
      const promised: number[] = [];
      while (promised.length < inOrder.length) {
        const ahead = firstCopies.promises(0, 2, 0);
        promised.push(...ahead);
        for (const pieceIndex of ahead) firstCopies.requested(0, pieceIndex, 0);
      }
      return promised.slice(0, inOrder.length);
    };
    assert.deepEqual(promisedBy(true), inOrder);
    assert.notDeepEqual(promisedBy(false), inOrder);
  });

  it("are promised further ahead to who asks for all of them before the next come", () => {
    const firstCopies = firstCopiesOf(1000);
    const counts: number[] = [];
    for (let round = 0; round < 6; round++) {
      const ahead = firstCopies.promises(0, 2, 0);
      counts.push(ahead.length);
      for (const pieceIndex of ahead) firstCopies.requested(0, pieceIndex, 0);
    }
    assert.deepEqual(counts, [2, 4, 8, 16, 32, 32]);
    // Who leaves some of them unasked gets no more.
    assert.equal(firstCopies.promises(1, 2, 0).length, 2);
    assert.equal(firstCopies.promises(1, 2, 0).length, 0);
  });

  it("are promised less far ahead to who leaves them lying", () => {
    const firstCopies = firstCopiesOf(1000);
    const counts: number[] = [];
    let nowMs = 0;
    for (let round = 0; round < 4; round++) {
      const ahead = firstCopies.promises(0, 2, nowMs);
      counts.push(ahead.length);
      nowMs += round < 2 ? 100 : 1000;
      for (const pieceIndex of ahead) firstCopies.requested(0, pieceIndex, nowMs);
    }
    assert.deepEqual(counts, [2, 4, 8, 1]);
  });

  it("belong to who asks for them first, whoever they were suggested to", () => {
    const firstCopies = firstCopiesOf(100);
    const [first = -1] = firstCopies.promises(0, 2, 0);
    firstCopies.requested(1, first, 0);
    assert.equal(firstCopies.isNewFor(1, first), true);
    assert.equal(firstCopies.isNewFor(0, first), false);
    assert.equal(firstCopies.aheadOf(0), 1);
  });

  it("belong to who asked for them first, and stay that peer's when another asks too", () => {
    const firstCopies = firstCopiesOf(100);
    firstCopies.requested(0, 7, 0);
    firstCopies.requested(1, 7, 0);
    assert.deepEqual([firstCopies.isNewFor(0, 7), firstCopies.isNewFor(1, 7)], [true, false]);
  });

  it("that were suggested and are taken back may be suggested to another, and are not ahead of anybody", () => {
    const firstCopies = firstCopiesOf(2);
    const promised = firstCopies.promises(0, 1, 0);
    assert.equal(firstCopies.aheadOf(0), promised.length);
    firstCopies.takeBack(0);
    assert.equal(firstCopies.aheadOf(0), 0);
    const [again = -1] = firstCopies.promises(1, 1, 0);
    assert.ok(promised.includes(again));
    const ahead = firstCopies.aheadOf(1);
    firstCopies.requested(1, again, 0);
    assert.equal(firstCopies.aheadOf(1), ahead - 1);
    assert.equal(firstCopies.aheadOf(0), 0);
    firstCopies.takeBack(1);
    firstCopies.requested(1, again, 0);
    assert.deepEqual([firstCopies.aheadOf(0), firstCopies.aheadOf(1)], [0, 0]);
  });

  it("are being spread until each is out, as far as was promised", () => {
    const elsewhere = new Set<number>();
    const firstCopies = firstCopiesOf(2, elsewhere);
    assert.equal(firstCopies.isSpreading, true);
    const outOf = (pieceIndex: number): void => {
      elsewhere.add(pieceIndex);
      firstCopies.gained(pieceIndex);
    };
    const promised: number[] = [];
    while (promised.length < 2) {
      const ahead = firstCopies.promises(0, 1, 0);
      promised.push(...ahead);
      for (const pieceIndex of ahead) firstCopies.requested(0, pieceIndex, 0);
    }
    assert.deepEqual(firstCopies.promises(0, 1, 0), []);
    assert.equal(firstCopies.isSpreading, true);
    outOf(promised[0] ?? -1);
    assert.equal(firstCopies.isSpreading, true);
    outOf(promised[1] ?? -1);
    outOf(promised[1] ?? -1);
    assert.equal(firstCopies.isSpreading, false);
    firstCopies.takeBack(0);
    assert.equal(firstCopies.isSpreading, false, "what is out need not be promised again");
  });

  it("that were asked for and are gained leave what else is ahead of the peer as it was", () => {
    const firstCopies = firstCopiesOf(100);
    const [first = -1, second = -1] = firstCopies.promises(0, 2, 0);
    firstCopies.requested(0, first, 0);
    assert.equal(firstCopies.aheadOf(0), 1);
    firstCopies.gained(first);
    assert.equal(firstCopies.aheadOf(0), 1);
    firstCopies.gained(second);
    assert.equal(firstCopies.aheadOf(0), 0);
  });

  it("are suggested to each of the last peers only as far as all get some", () => {
    const firstCopies = firstCopiesOf(12);
    assert.equal(firstCopies.promises(0, 6, 0).length, 1);
    assert.equal(firstCopies.promises(1, 3, 0).length, 2);
    for (const slot of [2, 3]) assert.equal(firstCopies.promises(slot, 2, 0).length, 2);
    // Five are left for two peers: nobody gets more than half of a half.
    assert.equal(firstCopies.promises(4, 2, 0).length, 2);
    assert.equal(firstCopies.promises(5, 2, 0).length, 1);
  });

  it("that somebody gained without asking are no longer ahead of the peer that they were suggested to", () => {
    const firstCopies = firstCopiesOf(100);
    const [first = -1] = firstCopies.promises(0, 2, 0);
    firstCopies.gained(first);
    assert.equal(firstCopies.aheadOf(0), 1);
    firstCopies.gained(first);
    assert.equal(firstCopies.aheadOf(0), 1);
  });

  it("are promised again when the peer leaves before anybody has them", () => {
    const elsewhere = new Set<number>();
    const firstCopies = firstCopiesOf(4, elsewhere);
    const promised = firstCopies.promises(0, 1, 0);
    for (const pieceIndex of promised) firstCopies.requested(0, pieceIndex, 0);
    const [kept = -1, lost = -1] = promised;
    elsewhere.add(kept);
    firstCopies.gained(kept);
    firstCopies.peerLeft(0);
    const rest: number[] = [];
    for (;;) {
      const ahead = firstCopies.promises(1, 1, 0);
      if (ahead.length === 0) break;
      for (const pieceIndex of ahead) firstCopies.requested(1, pieceIndex, 0);
      rest.push(...ahead);
    }
    assert.equal(rest.includes(lost), true);
    assert.equal(rest.includes(kept), false);
  });

  it("put others off for a second, and for longer while the uplink is full of them", () => {
    const firstCopies = firstCopiesOf(5);
    assert.equal(firstCopies.mustWait(2, 100), true);
    assert.equal(firstCopies.mustWait(2, 1000), true);
    assert.equal(firstCopies.mustWait(2, 1101), false);
    firstCopies.sent(2, 0, 0);
    assert.equal(firstCopies.mustWait(2, 1102), true);
    firstCopies.requested(1, 4, 0);
    firstCopies.sent(1, 4, 100_000);
    firstCopies.tick(100);
    assert.equal(firstCopies.mustWait(2, 2103), true);
    assert.equal(firstCopies.mustWait(2, 9103), false);
  });
});
