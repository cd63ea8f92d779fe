import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SuperSeeding } from "../../../src/swarm/super-seeding.ts";
import { seededRandom } from "../../sim/virtual-clock.ts";

function firstCopiesOf(
  pieceCount: number,
  elsewhere: ReadonlySet<number> = new Set(),
  isOnlySeed = false,
): SuperSeeding {
  return new SuperSeeding({
    pieceCount,
    runPieces: 4,
    isNowhereElse: (pieceIndex) => !elsewhere.has(pieceIndex),
    isOnlySeed: () => isOnlySeed,
    random: seededRandom(5),
  });
}

describe("first copies", () => {
  it("are what nobody has and nobody else is promised", () => {
    const superSeeding = firstCopiesOf(5, new Set([3]));
    assert.equal(superSeeding.isNewFor(0, 3), false);
    superSeeding.requested(0, 1, 0);
    assert.equal(superSeeding.isNewFor(0, 1), true);
    assert.equal(superSeeding.isNewFor(1, 1), false);
    superSeeding.peerLeft(0);
    assert.equal(superSeeding.isNewFor(1, 1), true);
  });

  it("are promised each to one peer, a few ahead of what it asks for", () => {
    const superSeeding = firstCopiesOf(30, new Set([7, 8]));
    const promised: number[] = [];
    for (let round = 0; round < 30; round++) {
      for (const slot of [0, 1, 2]) {
        const ahead = superSeeding.promises(slot, 3, 0);
        assert.ok(ahead.length <= 4);
        promised.push(...ahead);
        for (const pieceIndex of ahead) superSeeding.requested(slot, pieceIndex, 0);
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
      const superSeeding = firstCopiesOf(100, new Set(), isOnlySeed);
      const promised: number[] = [];
      while (promised.length < inOrder.length) {
        const ahead = superSeeding.promises(0, 2, 0);
        promised.push(...ahead);
        for (const pieceIndex of ahead) superSeeding.requested(0, pieceIndex, 0);
      }
      return promised.slice(0, inOrder.length);
    };
    assert.deepEqual(promisedBy(true), inOrder);
    assert.notDeepEqual(promisedBy(false), inOrder);
  });

  it("are promised further ahead to who asks for all of them before the next come", () => {
    const superSeeding = firstCopiesOf(1000);
    const counts: number[] = [];
    for (let round = 0; round < 6; round++) {
      const ahead = superSeeding.promises(0, 2, 0);
      counts.push(ahead.length);
      for (const pieceIndex of ahead) superSeeding.requested(0, pieceIndex, 0);
    }
    assert.deepEqual(counts, [2, 4, 8, 16, 32, 32]);
    // Who leaves some of them unasked gets no more.
    assert.equal(superSeeding.promises(1, 2, 0).length, 2);
    assert.equal(superSeeding.promises(1, 2, 0).length, 0);
  });

  it("are promised less far ahead to who leaves them lying", () => {
    const superSeeding = firstCopiesOf(1000);
    const counts: number[] = [];
    let nowMs = 0;
    for (let round = 0; round < 4; round++) {
      const ahead = superSeeding.promises(0, 2, nowMs);
      counts.push(ahead.length);
      nowMs += round < 2 ? 100 : 1000;
      for (const pieceIndex of ahead) superSeeding.requested(0, pieceIndex, nowMs);
    }
    assert.deepEqual(counts, [2, 4, 8, 1]);
  });

  it("are promised one less ahead for each that lay for more than 300 ms", () => {
    const superSeeding = firstCopiesOf(1000);
    const next = (): readonly number[] => superSeeding.promises(0, 2, 0);
    for (const pieceIndex of next()) superSeeding.requested(0, pieceIndex, 300);
    const [late = -1, ...others] = next();
    assert.equal(1 + others.length, 4, "300 ms are not too long");
    superSeeding.requested(0, late, 301);
    for (const pieceIndex of others) superSeeding.gained(pieceIndex);
    assert.equal(next().length, 3);
  });

  it("that lay with one peer make another that asks for them none the slower", () => {
    const superSeeding = firstCopiesOf(1000);
    const [first = -1] = superSeeding.promises(0, 2, 0);
    superSeeding.requested(1, first, 1000);
    assert.equal(superSeeding.promises(1, 2, 1000).length, 4);
  });

  it("are promised to a peer in the slot of one that left as to any new one", () => {
    const superSeeding = firstCopiesOf(1000);
    for (const pieceIndex of superSeeding.promises(0, 2, 0)) superSeeding.requested(0, pieceIndex, 0);
    superSeeding.mustWait(0, 100);
    superSeeding.peerLeft(0);
    assert.equal(superSeeding.promises(0, 2, 0).length, 2);
    assert.equal(superSeeding.mustWait(0, 1200), true);
  });

  it("belong to who asks for them first, whoever they were suggested to", () => {
    const superSeeding = firstCopiesOf(100);
    const [first = -1] = superSeeding.promises(0, 2, 0);
    superSeeding.requested(1, first, 0);
    assert.equal(superSeeding.isNewFor(1, first), true);
    assert.equal(superSeeding.isNewFor(0, first), false);
    assert.equal(superSeeding.aheadOf(0), 1);
  });

  it("belong to who asked for them first, and stay that peer's when another asks too", () => {
    const superSeeding = firstCopiesOf(100);
    superSeeding.requested(0, 7, 0);
    superSeeding.requested(1, 7, 0);
    assert.deepEqual([superSeeding.isNewFor(0, 7), superSeeding.isNewFor(1, 7)], [true, false]);
  });

  it("that were suggested and are taken back may be suggested to another, and are not ahead of anybody", () => {
    const superSeeding = firstCopiesOf(2);
    const promised = superSeeding.promises(0, 1, 0);
    assert.equal(superSeeding.aheadOf(0), promised.length);
    superSeeding.breakPromises(0);
    assert.equal(superSeeding.aheadOf(0), 0);
    const [again = -1] = superSeeding.promises(1, 1, 0);
    assert.ok(promised.includes(again));
    const ahead = superSeeding.aheadOf(1);
    superSeeding.requested(1, again, 0);
    assert.equal(superSeeding.aheadOf(1), ahead - 1);
    assert.equal(superSeeding.aheadOf(0), 0);
    superSeeding.breakPromises(1);
    superSeeding.requested(1, again, 0);
    assert.deepEqual([superSeeding.aheadOf(0), superSeeding.aheadOf(1)], [0, 0]);
  });

  it("are being spread until each is out, as far as was promised", () => {
    const elsewhere = new Set<number>();
    const superSeeding = firstCopiesOf(2, elsewhere);
    assert.equal(superSeeding.isSpreading, true);
    const outOf = (pieceIndex: number): void => {
      elsewhere.add(pieceIndex);
      superSeeding.gained(pieceIndex);
    };
    const promised: number[] = [];
    while (promised.length < 2) {
      const ahead = superSeeding.promises(0, 1, 0);
      promised.push(...ahead);
      for (const pieceIndex of ahead) superSeeding.requested(0, pieceIndex, 0);
    }
    assert.deepEqual(superSeeding.promises(0, 1, 0), []);
    assert.equal(superSeeding.isSpreading, true);
    outOf(promised[0] ?? -1);
    assert.equal(superSeeding.isSpreading, true);
    outOf(promised[1] ?? -1);
    outOf(promised[1] ?? -1);
    assert.equal(superSeeding.isSpreading, false);
    superSeeding.breakPromises(0);
    assert.equal(superSeeding.isSpreading, false, "what is out need not be promised again");
  });

  it("are not being spread because somebody asks for what others have", () => {
    const superSeeding = firstCopiesOf(1, new Set([0]));
    assert.deepEqual(superSeeding.promises(0, 1, 0), []);
    assert.equal(superSeeding.isSpreading, false);
    superSeeding.requested(0, 0, 0);
    assert.equal(superSeeding.isSpreading, false);
  });

  it("that were asked for and are gained leave what else is ahead of the peer as it was", () => {
    const superSeeding = firstCopiesOf(100);
    const [first = -1, second = -1] = superSeeding.promises(0, 2, 0);
    superSeeding.requested(0, first, 0);
    assert.equal(superSeeding.aheadOf(0), 1);
    superSeeding.gained(first);
    assert.equal(superSeeding.aheadOf(0), 1);
    superSeeding.gained(second);
    assert.equal(superSeeding.aheadOf(0), 0);
  });

  it("are suggested to each of the last peers only as far as all get some", () => {
    const superSeeding = firstCopiesOf(12);
    assert.equal(superSeeding.promises(0, 6, 0).length, 1);
    assert.equal(superSeeding.promises(1, 3, 0).length, 2);
    for (const slot of [2, 3]) assert.equal(superSeeding.promises(slot, 2, 0).length, 2);
    // Five are left for two peers: nobody gets more than half of a half.
    assert.equal(superSeeding.promises(4, 2, 0).length, 2);
    assert.equal(superSeeding.promises(5, 2, 0).length, 1);
  });

  it("that somebody gained without asking are no longer ahead of the peer that they were suggested to", () => {
    const superSeeding = firstCopiesOf(100);
    const [first = -1] = superSeeding.promises(0, 2, 0);
    superSeeding.gained(first);
    assert.equal(superSeeding.aheadOf(0), 1);
    superSeeding.gained(first);
    assert.equal(superSeeding.aheadOf(0), 1);
  });

  it("are promised again when the peer leaves before anybody has them", () => {
    const elsewhere = new Set<number>();
    const superSeeding = firstCopiesOf(4, elsewhere);
    const promised = superSeeding.promises(0, 1, 0);
    for (const pieceIndex of promised) superSeeding.requested(0, pieceIndex, 0);
    const [kept = -1, lost = -1] = promised;
    elsewhere.add(kept);
    superSeeding.gained(kept);
    superSeeding.peerLeft(0);
    const rest: number[] = [];
    for (;;) {
      const ahead = superSeeding.promises(1, 1, 0);
      if (ahead.length === 0) break;
      for (const pieceIndex of ahead) superSeeding.requested(1, pieceIndex, 0);
      rest.push(...ahead);
    }
    assert.equal(rest.includes(lost), true);
    assert.equal(rest.includes(kept), false);
  });

  it("put others off for a second, and for longer while the uplink is full of them", () => {
    const superSeeding = firstCopiesOf(5);
    assert.equal(superSeeding.mustWait(2, 100), true);
    assert.equal(superSeeding.mustWait(2, 1000), true);
    assert.equal(superSeeding.mustWait(2, 1101), false);
    superSeeding.sent(2, 0, 0);
    assert.equal(superSeeding.mustWait(2, 1102), true);
    superSeeding.requested(1, 4, 0);
    superSeeding.sent(1, 4, 100_000);
    superSeeding.tick(100);
    assert.equal(superSeeding.mustWait(2, 2103), true);
    assert.equal(superSeeding.mustWait(2, 9103), false);
  });

  it("put nobody off for longer because the uplink is full of what others have", () => {
    const superSeeding = firstCopiesOf(5, new Set([4]));
    assert.equal(superSeeding.mustWait(2, 100), true);
    superSeeding.sent(1, 4, 100_000);
    superSeeding.tick(100);
    assert.equal(superSeeding.mustWait(2, 1101), false);
  });

  it("fill the uplink when they leave at more than half of the best speed of late", () => {
    const superSeeding = firstCopiesOf(5);
    const isFullAfter = (seconds: number, bytesPerTick: number): boolean => {
      for (let tick = 0; tick < 10 * seconds; tick++) {
        superSeeding.sent(2, 4, bytesPerTick);
        superSeeding.tick(100);
      }
      superSeeding.mustWait(2, 100);
      return superSeeding.mustWait(2, 2000);
    };
    assert.equal(isFullAfter(1, 100_000), true);
    assert.equal(isFullAfter(5, 30_000), false);
    // By now the best speed is forgotten by more than half.
    assert.equal(isFullAfter(10, 30_000), true);
  });

  it("put a reader off for less than a quarter of a second, however full the uplink is", () => {
    const superSeeding = firstCopiesOf(5);
    superSeeding.requested(1, 4, 0);
    superSeeding.sent(1, 4, 100_000);
    superSeeding.tick(100);
    assert.equal(superSeeding.mustWait(2, 100, true), true);
    assert.equal(superSeeding.mustWait(2, 299, true), true);
    assert.equal(superSeeding.mustWait(2, 300, true), false);
  });
});
