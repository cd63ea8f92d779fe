import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { BLOCK_LENGTH_BYTES } from "../../../src/metainfo/geometry.ts";
import { Rate } from "../../../src/swarm/rate.ts";
import { RequestWindow } from "../../../src/swarm/request-window.ts";

/** A peer that delivers at a steady rate, ticked each 100 ms. */
function runSteadily(window: RequestWindow, blocksPerSecond: number, seconds: number, fromMs = 0): number {
  const rate = new Rate();
  let arrived = 0;
  for (let nowMs = fromMs; nowMs < fromMs + seconds * 1000; nowMs += 10) {
    for (; arrived < ((nowMs - fromMs) * blocksPerSecond) / 1000; arrived++) {
      window.arrived(BLOCK_LENGTH_BYTES, nowMs);
      rate.add(BLOCK_LENGTH_BYTES);
    }
    if (nowMs % 100 === 0) {
      rate.advance(100);
      window.adjust(nowMs, rate.bytesPerSecond);
    }
  }
  return fromMs + seconds * 1000;
}

describe("a request window", () => {
  it("triples each round trip at the start, up to what the peer allows", () => {
    const window = new RequestWindow(1000, 0);
    window.peerAllows(500);
    let roundTrips = 0;
    for (; window.sizeBlocks < 500 && roundTrips < 20; roundTrips++) {
      const before = window.sizeBlocks;
      for (let block = 0; block < before; block++) window.arrived(BLOCK_LENGTH_BYTES, roundTrips);
      assert.ok(window.sizeBlocks === 500 || window.sizeBlocks === 3 * before);
    }
    assert.equal(window.sizeBlocks, 500);
    assert.ok(roundTrips <= 4, "8 blocks tripled 4 times are more than 500");
  });

  it("grows no further at the start than one and a half times what the peer delivers soon, while somebody reads", () => {
    const grown = (isReading: boolean): number => {
      const window = new RequestWindow(1000, 0);
      for (let block = 0; block < 100; block++) window.arrived(BLOCK_LENGTH_BYTES, 0);
      // 160 blocks a second: 40 in a quarter of one.
      window.adjust(100, 160 * BLOCK_LENGTH_BYTES, isReading);
      return window.sizeBlocks;
    };
    assert.deepEqual([grown(false), grown(true)], [208, 60]);
  });

  it("asks for no more than a peer delivers soon once that is asked of it, and grows no more by itself", () => {
    const window = new RequestWindow(1000, 0);
    for (let block = 0; block < 100; block++) window.arrived(BLOCK_LENGTH_BYTES, 0);
    window.settle(12.5);
    assert.equal(window.sizeBlocks, 13);
    window.arrived(BLOCK_LENGTH_BYTES, 1);
    assert.equal(window.sizeBlocks, 13);
    window.settle(0);
    assert.equal(window.sizeBlocks, 2);
  });

  it("settles at what the peer delivers in a quarter of a second", () => {
    const window = new RequestWindow(1000, 0);
    window.peerAllows(2000);
    runSteadily(window, 100, 20);
    assert.ok(window.sizeBlocks > 22 && window.sizeBlocks < 33, `${window.sizeBlocks}`);
  });

  it("adds what the peer delivers in a round trip, which is timed with one request at a time", () => {
    const window = new RequestWindow(1000, 0);
    window.peerAllows(2000);
    // The third of three outstanding is timed; until it is answered nothing is known.
    window.asked(3, 0);
    window.asked(4, 10);
    window.arrived(BLOCK_LENGTH_BYTES, 180);
    window.arrived(BLOCK_LENGTH_BYTES, 190);
    assert.equal(window.roundTripMs, 0);
    window.arrived(BLOCK_LENGTH_BYTES, 200);
    assert.equal(window.roundTripMs, 200);
    // One that was cancelled is not waited for.
    window.asked(1, 300);
    window.lostCount();
    window.asked(1, 400);
    window.arrived(BLOCK_LENGTH_BYTES, 500);
    assert.equal(window.roundTripMs, 100);
    runSteadily(window, 100, 20, 500);
    assert.ok(window.sizeBlocks > 32 && window.sizeBlocks < 43, `${window.sizeBlocks}`);
  });

  it("does not shrink with every pause of a peer that gives in bursts", () => {
    const window = new RequestWindow(1000, 0);
    const rate = new Rate();
    let largest = 0;
    for (let second = 0; second < 60; second++) {
      // All that was asked for comes at once, then nothing for a second.
      const burst = Math.min(window.sizeBlocks, 16);
      for (let block = 0; block < burst; block++) window.arrived(BLOCK_LENGTH_BYTES, second * 1000);
      rate.add(burst * BLOCK_LENGTH_BYTES);
      for (let tick = 1; tick <= 10; tick++) {
        rate.advance(100);
        window.adjust(second * 1000 + tick * 100, rate.bytesPerSecond);
      }
      if (second > 30) largest = Math.max(largest, window.sizeBlocks);
    }
    assert.ok(largest >= 8, `${largest}`);
  });

  it("is snubbed to one request until a block comes", () => {
    const window = new RequestWindow(1000, 0);
    const nowMs = runSteadily(window, 100, 10);
    assert.equal(window.isOverdue(nowMs), false);
    assert.equal(window.isOverdue(nowMs + 4000), true);
    window.snub(nowMs + 4000);
    assert.equal(window.sizeBlocks, 1);
    window.unchoked(nowMs + 4500);
    window.adjust(nowMs + 5000, 1e6);
    assert.equal(window.sizeBlocks, 1);
    assert.equal(window.isSnubbed, true);
    window.arrived(BLOCK_LENGTH_BYTES, nowMs + 6000);
    assert.equal(window.isSnubbed, false);
    assert.ok(window.sizeBlocks >= 2);
  });

  it("rests when one request is not answered either, and is tried after each timeout until a block comes", () => {
    const window = new RequestWindow(1000, 0);
    window.snub(10_000);
    assert.equal(window.isResting, false);
    window.rest(20_000);
    window.unchoked(25_000);
    assert.deepEqual([window.isSnubbed, window.isResting], [true, true]);
    assert.deepEqual([window.isProbeDue(29_999), window.isProbeDue(30_000)], [false, true]);
    window.probed(30_000);
    assert.deepEqual([window.isProbeDue(39_999), window.isProbeDue(40_000)], [false, true]);
    window.arrived(BLOCK_LENGTH_BYTES, 41_000);
    assert.deepEqual([window.isSnubbed, window.isResting], [false, false]);
    window.rest(50_000, 0);
    assert.equal(window.isProbeDue(50_000), true);
  });

  it("waits longer for a peer that is slow by habit", () => {
    const slow = new RequestWindow(1000, 0);
    for (let nowMs = 5000; nowMs <= 100_000; nowMs += 5000) slow.arrived(BLOCK_LENGTH_BYTES, nowMs);
    assert.ok(slow.timeoutMs >= 5000 && slow.timeoutMs < 8000, `${slow.timeoutMs}`);
    const uneven = new RequestWindow(1000, 0);
    for (let nowMs = 0, gapMs = 0; nowMs < 100_000; gapMs = gapMs === 0 ? 8000 : 0) {
      nowMs += gapMs + 1;
      uneven.arrived(BLOCK_LENGTH_BYTES, nowMs);
    }
    assert.ok(uneven.timeoutMs > 12_000, `${uneven.timeoutMs}`);
  });

  it("is never larger than both sides allow, nor less than one, and always has room for a bundle", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2000 }),
        fc.integer({ min: 0, max: 1_000_000 }),
        fc.array(
          fc.tuple(fc.nat(500), fc.constantFrom("arrive", "adjust", "snub", "rest", "unchoke"), fc.nat(1e9)),
        ),
        (own, peerLimit, steps) => {
          const window = new RequestWindow(own, 0);
          window.peerAllows(peerLimit);
          let nowMs = 0;
          for (const [passedMs, what, rate] of steps) {
            nowMs += passedMs;
            if (what === "arrive") window.arrived(BLOCK_LENGTH_BYTES, nowMs);
            else if (what === "adjust") window.adjust(nowMs, rate);
            else if (what === "snub") window.snub(nowMs);
            else if (what === "rest") window.rest(nowMs);
            else window.unchoked(nowMs);
            assert.ok(window.sizeBlocks >= 1 && window.sizeBlocks <= Math.max(1, Math.min(own, peerLimit)));
            assert.ok(window.refillAtBlocks >= 0 && window.refillAtBlocks < window.sizeBlocks);
            assert.ok(window.timeoutMs >= 3000 && window.timeoutMs <= 60_000);
          }
        },
      ),
    );
  });

  it("stays in slow start as long as each half second brings a quarter more than the one before", () => {
    const window = new RequestWindow(1000, 0);
    window.peerAllows(1000);
    const arrive = (blocks: number, nowMs: number): void => {
      for (let block = 0; block < blocks; block++) window.arrived(BLOCK_LENGTH_BYTES, nowMs);
    };
    arrive(4, 100);
    // A first span cannot be compared with anything; nor does an early look end it.
    window.adjust(400, 1);
    window.adjust(500, 1);
    assert.equal(window.sizeBlocks, 16);
    arrive(6, 600);
    window.adjust(999, 1);
    window.adjust(1000, 1);
    assert.equal(window.sizeBlocks, 28, "half as much again");
    arrive(7, 1400);
    window.adjust(1499, 1);
    assert.equal(window.sizeBlocks, 42);
    window.adjust(1500, 1);
    assert.equal(window.sizeBlocks, 2, "a sixth more is no growth: what the rate says counts");
    arrive(3, 1600);
    assert.equal(window.sizeBlocks, 2, "blocks that come make no more room");
  });

  it("asks no more than 250 blocks of a peer that does not say what it keeps, nor more than we would", () => {
    const silent = new RequestWindow(1000, 0);
    for (let block = 0; block < 500; block++) silent.arrived(BLOCK_LENGTH_BYTES, 0);
    assert.equal(silent.sizeBlocks, 250);
    silent.peerAllows(100);
    assert.equal(silent.sizeBlocks, 100);
    assert.equal(silent.refillAtBlocks, 75);
    const large = new RequestWindow(1000, 0);
    large.peerAllows(2000);
    for (let block = 0; block < 1000; block++) large.arrived(BLOCK_LENGTH_BYTES, 0);
    assert.equal(large.sizeBlocks, 1000);
    assert.equal(large.refillAtBlocks, 936, "bundles of up to 64");
    assert.equal(new RequestWindow(3, 0).sizeBlocks, 3);
  });

  it("counts silence from the last block, the first request, or the unchoking", () => {
    const window = new RequestWindow(1000, 1000);
    assert.equal(window.silentForMs(1500), 500);
    window.asked(1, 2000);
    assert.equal(window.silentForMs(2500), 500);
    window.asked(2, 2600);
    assert.equal(window.silentForMs(2700), 700);
    window.arrived(BLOCK_LENGTH_BYTES, 3000);
    assert.equal(window.silentForMs(3000), 0);
    window.unchoked(4000);
    assert.equal(window.silentForMs(4100), 100);
    window.snub(5000);
    assert.equal(window.silentForMs(5100), 100);
  });

  it("waits ten seconds for who gave nothing yet, at least three for anybody, and a minute at most", () => {
    const window = new RequestWindow(1000, 0);
    assert.equal(window.timeoutMs, 10_000);
    assert.deepEqual([window.isOverdue(10_000), window.isOverdue(10_001)], [false, true]);
    for (let nowMs = 10; nowMs < 1000; nowMs += 10) window.arrived(BLOCK_LENGTH_BYTES, nowMs);
    assert.equal(window.timeoutMs, 3000);
    const slow = new RequestWindow(1000, 0);
    slow.arrived(BLOCK_LENGTH_BYTES, 8000);
    // RFC 6298: the mean, and four times a deviation of half of it.
    assert.equal(slow.timeoutMs, 24_000);
    slow.arrived(BLOCK_LENGTH_BYTES, 8000);
    assert.equal(slow.timeoutMs, 8000 - 1000 + 4 * (4000 + 1000));
    slow.arrived(BLOCK_LENGTH_BYTES, 1_000_000);
    assert.equal(slow.timeoutMs, 60_000);
  });

  it("keeps the shortest round trip, and begins anew with who is unchoked", () => {
    const window = new RequestWindow(1000, 0);
    for (const [askedMs, arrivedMs] of [
      [0, 100],
      [200, 250],
      [300, 500],
    ] as const) {
      window.asked(1, askedMs);
      window.arrived(BLOCK_LENGTH_BYTES, arrivedMs);
    }
    assert.equal(window.roundTripMs, 50);
    for (const nowMs of [500, 1000, 1500]) window.adjust(nowMs, 0);
    window.arrived(BLOCK_LENGTH_BYTES, 1500);
    for (const nowMs of [2000, 2500, 3000]) window.adjust(nowMs, 0);
    const steady = window.sizeBlocks;
    window.unchoked(4000);
    window.arrived(BLOCK_LENGTH_BYTES, 4000);
    assert.equal(window.sizeBlocks, steady + 2, "slow start again");
  });
});
