import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type ChokablePeer, Choker } from "../../../src/swarm/choker.ts";
import { seededRandom } from "../../sim/virtual-clock.ts";

class TestPeer implements ChokablePeer {
  isInterestedInUs = true;
  isUnchoked = false;
  chokedOrUnchokedAtMs = 0;
  downloadBytesPerSecond = 0;
  uploadBytesPerSecond = 0;
  isHeldByConnection = false;

  choke(): void {
    this.isUnchoked = false;
  }
  unchoke(): void {
    this.isUnchoked = true;
  }
}

const ROUND_MS = 10_000;
const peersOf = (count: number): TestPeer[] => Array.from({ length: count }, () => new TestPeer());
const unchokedOf = (peers: readonly TestPeer[]): number[] =>
  peers.flatMap((peer, index) => (peer.isUnchoked ? [index] : []));

describe("the choker", () => {
  it("fills free slots at once, with whoever waits longest, and only with those who are interested", () => {
    const choker = new Choker<TestPeer>(2, 0, seededRandom(1));
    const peers = peersOf(4);
    for (const [index, peer] of peers.entries()) peer.chokedOrUnchokedAtMs = 100 - index;
    const last = peers[3];
    assert.ok(last);
    last.isInterestedInUs = false;
    choker.fillFreeSlots(peers);
    assert.deepEqual(unchokedOf(peers), [1, 2]);
    choker.fillFreeSlots(peers);
    assert.deepEqual(unchokedOf(peers), [1, 2]);
  });

  it("prefers who gives and who takes", () => {
    const choker = new Choker<TestPeer>(2, 0, seededRandom(1));
    const peers = peersOf(4);
    for (const peer of peers) peer.isHeldByConnection = true;
    const [a, b, c, d] = peers;
    assert.ok(a && b && c && d);
    choker.fillFreeSlots(peers);
    assert.deepEqual(unchokedOf(peers), [0, 1]);
    a.uploadBytesPerSecond = 100_000;
    b.uploadBytesPerSecond = 50_000;
    c.downloadBytesPerSecond = 80_000;
    choker.tick(ROUND_MS, peers);
    assert.deepEqual(unchokedOf(peers), [0, 2]);
  });

  it("chokes nobody while the uplink is free: slots are added until all have one", () => {
    const choker = new Choker<TestPeer>(4, 0, seededRandom(1));
    const peers = peersOf(30);
    for (let nowMs = 0; nowMs <= 6 * ROUND_MS; nowMs += 100) {
      choker.tick(nowMs, peers);
      choker.fillFreeSlots(peers);
    }
    assert.equal(unchokedOf(peers).length, 30);
  });

  it("thins out to a few when too many share a full uplink", () => {
    const choker = new Choker<TestPeer>(32, 0, seededRandom(1));
    const peers = peersOf(32);
    choker.fillFreeSlots(peers);
    for (let round = 1; round <= 60; round++) {
      for (const peer of peers) {
        peer.isHeldByConnection = true;
        peer.uploadBytesPerSecond = peer.isUnchoked ? 100_000 / unchokedOf(peers).length : 0;
      }
      choker.tick(round * ROUND_MS, peers);
    }
    assert.ok(unchokedOf(peers).length <= 7, `${unchokedOf(peers).length}`);
    assert.ok(unchokedOf(peers).length >= 4);
  });

  it("gives everybody a turn by the optimistic slot", () => {
    const choker = new Choker<TestPeer>(2, 0, seededRandom(1));
    const peers = peersOf(5);
    const served = new Set<number>();
    for (let nowMs = 0; nowMs <= 600_000; nowMs += ROUND_MS) {
      for (const [index, peer] of peers.entries()) {
        peer.isHeldByConnection = true;
        peer.uploadBytesPerSecond = 100_000;
        peer.downloadBytesPerSecond = 10_000 * (5 - index);
      }
      const before = new Set(unchokedOf(peers));
      choker.tick(nowMs, peers);
      choker.fillFreeSlots(peers);
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
          const choker = new Choker<TestPeer>(slots, 0, seededRandom(1));
          const peers = peersOf(12);
          let nowMs = 0;
          for (const [index, isInterested, rate, isHeld] of steps) {
            const peer = peers[index];
            assert.ok(peer);
            peer.isInterestedInUs = isInterested;
            peer.uploadBytesPerSecond = rate;
            peer.isHeldByConnection = isHeld;
            nowMs += 5000;
            choker.tick(nowMs, peers);
            choker.fillFreeSlots(peers);
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
