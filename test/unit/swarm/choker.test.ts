import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type ChokablePeer, Choker } from "../../../src/swarm/choker.ts";
import { seededRandom } from "../../sim/virtual-clock.ts";

let peerCount = 0;

class TestPeer implements ChokablePeer {
  userId = `member ${peerCount++}`;
  isInterestedInUs = true;
  isUnchoked = false;
  chokedOrUnchokedAtMs = 0;
  uploadBytesPerSecond = 0;
  piecesHad = 0;
  isHeldByConnection = false;
}

const ROUND_MS = 1000;
/** A piece in a quarter of a second: 200 kB/s are useful, and 100 kB/s where new pieces are spread. */
const geometry = { pieceCount: 640, pieceLengthBytes: 50_000 };
const chokerOf = (slotCount: number): Choker<TestPeer> =>
  new Choker<TestPeer>({ slotCount, geometry, nowMs: 0, random: seededRandom(1) });
const peersOf = (count: number): TestPeer[] => Array.from({ length: count }, () => new TestPeer());
const unchokedOf = (peers: readonly TestPeer[]): number[] =>
  peers.flatMap((peer, index) => (peer.isUnchoked ? [index] : []));

/** A round, as it is carried out. */
function tick(choker: Choker<TestPeer>, nowMs: number, peers: readonly TestPeer[], isSettled = false): void {
  const { choke, unchoke } = choker.choose(nowMs, peers, isSettled);
  for (const peer of choke) peer.isUnchoked = false;
  for (const peer of unchoke) peer.isUnchoked = true;
}

function fillFreeSlots(choker: Choker<TestPeer>, peers: readonly TestPeer[]): void {
  for (const peer of choker.chooseForFreeSlots(peers)) peer.isUnchoked = true;
}

describe("the choker", () => {
  it("fills free slots at once, with whoever waits longest, and only with those who are interested", () => {
    const choker = chokerOf(2);
    const peers = peersOf(4);
    for (const [index, peer] of peers.entries()) peer.chokedOrUnchokedAtMs = 100 - index;
    const last = peers[3];
    assert.ok(last);
    last.isInterestedInUs = false;
    fillFreeSlots(choker, peers);
    assert.deepEqual(unchokedOf(peers), [1, 2]);
    fillFreeSlots(choker, peers);
    assert.deepEqual(unchokedOf(peers), [1, 2]);
  });

  it("gives each member one slot before anybody a second, however many connections they have and whatever they lack", () => {
    const choker = chokerOf(3);
    const greedy = peersOf(50);
    for (const peer of greedy) peer.userId = "mallory";
    const honest = peersOf(2);
    for (const peer of honest) peer.piecesHad = 600;
    const peers = [...greedy, ...honest];
    for (const [at, peer] of peers.entries()) {
      peer.isHeldByConnection = true;
      peer.uploadBytesPerSecond = 1000;
      peer.chokedOrUnchokedAtMs = at;
    }
    const servedOf = (some: readonly TestPeer[]) => some.filter(({ isUnchoked }) => isUnchoked).length;
    fillFreeSlots(choker, peers);
    assert.deepEqual([servedOf(greedy), servedOf(honest)], [1, 2]);
    for (let round = 1; round <= 30; round++) {
      tick(choker, round * ROUND_MS, peers);
      fillFreeSlots(choker, peers);
      assert.equal(servedOf(honest), 2, `round ${round}`);
    }
    for (const peer of honest) peer.isUnchoked = false;
    for (const peer of greedy.slice(0, 3)) peer.isUnchoked = true;
    tick(choker, 31 * ROUND_MS, peers);
    fillFreeSlots(choker, peers);
    assert.equal(servedOf(honest), 2, "also if all slots were the other's");
  });

  it("prefers who has least, but lets who is served go on while the difference is small", () => {
    const choker = chokerOf(2);
    const peers = peersOf(4);
    for (const peer of peers) peer.isHeldByConnection = true;
    const [a, b, c, d] = peers;
    assert.ok(a && b && c && d);
    fillFreeSlots(choker, peers);
    assert.deepEqual(unchokedOf(peers), [0, 1]);
    for (const [index, peer] of peers.entries()) peer.uploadBytesPerSecond = 1000 * (1 + index);
    [a.piecesHad, b.piecesHad, c.piecesHad, d.piecesHad] = [100, 20, 5, 15];
    tick(choker, ROUND_MS, peers);
    assert.deepEqual(unchokedOf(peers), [1, 2]);
    [b.piecesHad, d.piecesHad] = [16 + 640 / 16, 15];
    tick(choker, 2 * ROUND_MS, peers);
    assert.deepEqual(unchokedOf(peers), [2, 3]);
  });

  it("lets who is served go on whoever has less, while it is settled, unless it takes nothing", () => {
    const choker = chokerOf(2);
    const peers = peersOf(4);
    for (const peer of peers) {
      peer.isHeldByConnection = true;
      peer.uploadBytesPerSecond = 1000;
    }
    const [a, b] = peers;
    assert.ok(a && b);
    fillFreeSlots(choker, peers);
    [a.piecesHad, b.piecesHad] = [100, 200];
    tick(choker, ROUND_MS, peers, true);
    assert.deepEqual(unchokedOf(peers), [0, 1]);
    a.uploadBytesPerSecond = 0;
    tick(choker, 2 * ROUND_MS, peers, true);
    assert.deepEqual(unchokedOf(peers), [1, 2]);
  });

  it("chokes nobody while the uplink is free: slots are added until all have one", () => {
    const choker = chokerOf(4);
    const peers = peersOf(30);
    for (let nowMs = 0; nowMs <= 6 * ROUND_MS; nowMs += 100) {
      tick(choker, nowMs, peers);
      fillFreeSlots(choker, peers);
    }
    assert.equal(unchokedOf(peers).length, 30);
  });

  it("thins out to a few when too many share a full uplink", () => {
    const choker = chokerOf(32);
    const peers = peersOf(32);
    fillFreeSlots(choker, peers);
    for (let round = 1; round <= 60; round++) {
      for (const peer of peers) {
        peer.isHeldByConnection = true;
        peer.uploadBytesPerSecond = peer.isUnchoked ? 100_000 / unchokedOf(peers).length : 0;
      }
      tick(choker, round * ROUND_MS, peers);
    }
    assert.equal(unchokedOf(peers).length, 4);
    // And to as many as the uplink serves well.
    for (let round = 61; round <= 70; round++) {
      for (const peer of peers) peer.uploadBytesPerSecond = 1_900_000 / peers.length;
      tick(choker, round * ROUND_MS, peers);
    }
    assert.equal(unchokedOf(peers).length, 9);
    for (let round = 71; round <= 80; round++) tick(choker, round * ROUND_MS, peers, true);
    assert.equal(unchokedOf(peers).length, 19);
  });

  it("unchokes nobody while more are served than it has slots", () => {
    const choker = chokerOf(1);
    const peers = peersOf(6);
    for (const peer of peers.slice(0, 3)) peer.isUnchoked = true;
    fillFreeSlots(choker, peers);
    assert.deepEqual(unchokedOf(peers), [0, 1, 2]);
  });

  it("thinks slots over once a second, and not before the first is over", () => {
    const choker = chokerOf(1);
    const [busy, waiting] = peersOf(2);
    assert.ok(busy && waiting);
    busy.isUnchoked = true;
    [busy.piecesHad, busy.isHeldByConnection] = [600, true];
    tick(choker, ROUND_MS - 1, [busy, waiting]);
    assert.deepEqual([busy.isUnchoked, waiting.isUnchoked], [true, false]);
    tick(choker, ROUND_MS, [busy, waiting]);
    assert.deepEqual([busy.isUnchoked, waiting.isUnchoked], [false, true]);
    [busy.piecesHad, waiting.piecesHad, waiting.isHeldByConnection] = [0, 600, true];
    tick(choker, 2 * ROUND_MS - 1, [busy, waiting]);
    assert.deepEqual([busy.isUnchoked, waiting.isUnchoked], [false, true]);
    tick(choker, 2 * ROUND_MS, [busy, waiting]);
    assert.deepEqual([busy.isUnchoked, waiting.isUnchoked], [true, false]);
  });

  it("gives the optimistic slot to a member who has none before another connection of one who has", () => {
    const choker = chokerOf(2);
    const [served, second, other] = peersOf(3);
    assert.ok(served && second && other);
    const peers = [served, second, other];
    second.userId = served.userId;
    [served.isUnchoked, second.chokedOrUnchokedAtMs, other.chokedOrUnchokedAtMs] = [true, 1, 5000];
    for (const peer of peers) [peer.isHeldByConnection, peer.uploadBytesPerSecond] = [true, 1];
    [second.piecesHad, other.piecesHad] = [500, 500];
    tick(choker, 10 * ROUND_MS, peers);
    assert.deepEqual(unchokedOf(peers), [0, 2]);
  });

  it("moves the optimistic slot every ten seconds, to who waits longest, whatever it has", () => {
    const choker = chokerOf(1);
    const peers = peersOf(3);
    for (const [at, peer] of peers.entries()) {
      peer.isHeldByConnection = true;
      peer.uploadBytesPerSecond = 1000;
      peer.piecesHad = 100 * at;
      peer.chokedOrUnchokedAtMs = 100 - at;
    }
    tick(choker, 10 * ROUND_MS - 1, peers);
    assert.deepEqual(unchokedOf(peers), [0]);
    tick(choker, 20 * ROUND_MS, peers);
    assert.deepEqual(unchokedOf(peers), [2]);
    for (const peer of peers) if (!peer.isUnchoked) peer.chokedOrUnchokedAtMs = 19 * ROUND_MS;
    tick(choker, 29 * ROUND_MS, peers);
    assert.deepEqual(unchokedOf(peers), [2], "until ten seconds are over");
    const [first, second] = peers;
    assert.ok(first && second);
    second.chokedOrUnchokedAtMs = 0;
    tick(choker, 30 * ROUND_MS, peers);
    assert.deepEqual(unchokedOf(peers), [1]);
    tick(choker, 31 * ROUND_MS, [first]);
    assert.deepEqual(first.isUnchoked, true, "who left holds it no longer");
  });

  it("gives everybody a turn by the optimistic slot", () => {
    const choker = chokerOf(2);
    const peers = peersOf(5);
    const served = new Set<number>();
    for (let nowMs = 0; nowMs <= 600_000; nowMs += ROUND_MS) {
      for (const [index, peer] of peers.entries()) {
        peer.isHeldByConnection = true;
        peer.uploadBytesPerSecond = 100_000;
        peer.piecesHad = 100 * index;
      }
      const before = new Set(unchokedOf(peers));
      tick(choker, nowMs, peers);
      fillFreeSlots(choker, peers);
      for (const [index, peer] of peers.entries()) {
        if (peer.isUnchoked !== before.has(index)) peer.chokedOrUnchokedAtMs = nowMs;
        if (peer.isUnchoked) served.add(index);
      }
    }
    assert.equal(served.size, 5);
  });

  it("never unchokes more interested peers than it has slots, nor leaves a slot free while somebody waits", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.array(fc.tuple(fc.nat(11), fc.boolean(), fc.nat(1e6), fc.boolean()), { maxLength: 60 }),
        (slots, steps) => {
          const choker = chokerOf(slots);
          const peers = peersOf(12);
          let nowMs = 0;
          for (const [index, isInterested, rate, isHeld] of steps) {
            const peer = peers[index];
            assert.ok(peer);
            peer.isInterestedInUs = isInterested;
            peer.uploadBytesPerSecond = rate;
            peer.isHeldByConnection = isHeld;
            nowMs += 500;
            tick(choker, nowMs, peers);
            fillFreeSlots(choker, peers);
            const interested = peers.filter((other) => other.isInterestedInUs);
            const unchoked = interested.filter((other) => other.isUnchoked);
            assert.ok(unchoked.length >= Math.min(interested.length, choker.slotCount));
            if (nowMs % ROUND_MS === 0) assert.ok(unchoked.length <= choker.slotCount);
          }
        },
      ),
    );
  });
});
