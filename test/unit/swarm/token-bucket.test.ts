import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TokenBucket, type TokenWaiter } from "../../../src/swarm/token-bucket.ts";

const BLOCK = 16 * 1024;
const TICK_MS = 100;

function clock() {
  let nowMs = 0;
  const root = new TokenBucket(() => nowMs);
  const run = (seconds: number) => {
    for (let tick = 0; tick < (seconds * 1000) / TICK_MS; tick++) {
      nowMs += TICK_MS;
      root.tick();
    }
  };
  return {
    root,
    run,
    torrent: () => new TokenBucket(() => nowMs, root),
    pass: (ms: number) => (nowMs += ms),
  };
}

/** Somebody who always has more to send, in blocks. */
class Greedy implements TokenWaiter {
  spentBytes = 0;
  readonly #bucket: TokenBucket;

  constructor(bucket: TokenBucket) {
    this.#bucket = bucket;
    this.resume();
  }

  resume(): void {
    for (;;) {
      const allowed = this.#bucket.allowance(this);
      if (allowed === 0) return;
      const bytes = Math.max(BLOCK, Math.floor(allowed / BLOCK) * BLOCK);
      this.#bucket.spend(bytes);
      this.spentBytes += bytes;
    }
  }
}

function isNear(actual: number, expected: number, part = 0.05): void {
  assert.ok(Math.abs(actual - expected) <= expected * part, `${actual} is not ${expected} within ${part}`);
}

describe("a limit", () => {
  for (const rate of [20_000, 1_000_000, 123_456_789]) {
    it(`of ${rate} B/s is kept to 5 % over 10 s`, () => {
      const { root, run, torrent } = clock();
      root.limitTo(rate);
      const greedy = new Greedy(torrent());
      run(10);
      isNear(greedy.spentBytes, rate * 10, Math.max(0.05, BLOCK / (rate * 10)));
    });
  }

  it("lets nobody save up more than a quarter of a second", () => {
    const { root, torrent, pass } = clock();
    root.limitTo(1_000_000);
    pass(60_000);
    const greedy = new Greedy(torrent());
    isNear(greedy.spentBytes, 250_000, 0.1);
  });

  it("is divided evenly among torrents, and within a torrent among peers, however many there are", () => {
    const { root, run, torrent } = clock();
    root.limitTo(3_000_000);
    const peers = [1, 2, 10].map((count) => {
      const bucket = torrent();
      return Array.from({ length: count }, () => new Greedy(bucket));
    });
    run(30);
    for (const ofTorrent of peers) {
      const sum = ofTorrent.reduce((total, { spentBytes }) => total + spentBytes, 0);
      isNear(sum, 30_000_000);
      for (const { spentBytes } of ofTorrent) isNear(spentBytes, 30_000_000 / ofTorrent.length, 0.1);
    }
  });

  it("of one torrent leaves the others what it does not use", () => {
    const { root, run, torrent } = clock();
    root.limitTo(3_000_000);
    const slow = torrent();
    slow.limitTo(500_000);
    const [first, second] = [new Greedy(slow), new Greedy(torrent())];
    run(10);
    isNear(first.spentBytes, 5_000_000);
    isNear(second.spentBytes, 25_000_000);
  });

  it("of one torrent holds without one for all, and is lifted at once", () => {
    const { run, torrent } = clock();
    const bucket = torrent();
    assert.equal(bucket.isUnlimited, true);
    bucket.limitTo(1_000_000);
    let isFree = false;
    const waiter: TokenWaiter = { resume: () => (isFree = bucket.isUnlimited) };
    const greedy = new Greedy(bucket);
    run(10);
    isNear(greedy.spentBytes, 10_000_000);
    bucket.forget(greedy);
    assert.equal(bucket.allowance(waiter), 0);
    bucket.limitTo(undefined);
    assert.equal(isFree, true);
    assert.equal(bucket.allowance(waiter), Number.POSITIVE_INFINITY);
  });

  it("can be changed while somebody waits", () => {
    const { root, run, torrent } = clock();
    root.limitTo(100_000);
    const greedy = new Greedy(torrent());
    run(10);
    root.limitTo(2_000_000);
    const before = greedy.spentBytes;
    run(10);
    isNear(greedy.spentBytes - before, 20_000_000);
  });

  it("counts what was spent for nothing as not spent", () => {
    const { root, run, torrent } = clock();
    root.limitTo(1_000_000);
    const bucket = torrent();
    let useful = 0;
    const half: TokenWaiter = {
      resume: () => {
        if (bucket.allowance(half) === 0) return;
        bucket.spend(BLOCK);
        bucket.giveBack(BLOCK / 2);
        useful += BLOCK / 2;
        half.resume();
      },
    };
    half.resume();
    run(10);
    isNear(useful, 10_000_000);
  });

  it("makes nobody wait for somebody who is gone", () => {
    const { root, run, torrent } = clock();
    root.limitTo(1_000_000);
    const bucket = torrent();
    const gone: TokenWaiter = { resume: () => assert.fail("called, although it is gone") };
    assert.equal(bucket.allowance(gone), 0);
    bucket.forget(gone);
    const greedy = new Greedy(bucket);
    run(10);
    isNear(greedy.spentBytes, 10_000_000);
  });

  it("gives in a turn what comes in a tenth of a second: a block at least, 64 KiB at most", () => {
    const waiter: TokenWaiter = { resume: () => undefined };
    for (const [rate, allowed] of [
      [1000, BLOCK],
      [400_000, 40_000],
      [10_000_000, 64 * 1024],
    ] as const) {
      const { root, torrent, pass } = clock();
      root.limitTo(rate);
      pass(60_000);
      assert.equal(root.allowance(waiter), allowed);
      assert.equal(torrent().allowance(waiter), allowed);
      const slow = torrent();
      slow.limitTo(rate / 2);
      pass(60_000);
      assert.ok(slow.allowance(waiter) <= allowed);
    }
  });

  it("forgets what was saved up or owed when it changes", () => {
    const { root, pass } = clock();
    const waiter: TokenWaiter = { resume: () => undefined };
    root.limitTo(1_000_000);
    pass(1000);
    assert.ok(root.allowance(waiter) > 0);
    root.limitTo(2_000_000);
    assert.equal(root.allowance(waiter), 0);
    root.spend(1_000_000_000);
    root.limitTo(1_000_000);
    pass(1);
    root.forget(waiter);
    assert.ok(root.allowance(waiter) > 0);
  });

  it("that is not there spends nothing, and gives nothing back that would be saved up", () => {
    const { root, torrent, pass } = clock();
    const bucket = torrent();
    const waiter: TokenWaiter = { resume: () => undefined };
    bucket.spend(1_000_000_000);
    bucket.giveBack(5);
    root.limitTo(1_000_000);
    bucket.limitTo(1_000_000);
    pass(1);
    assert.ok(bucket.allowance(waiter) > 0);
    assert.equal(bucket.bytesPerSecond, 1_000_000);
  });

  it("gives back no more than may be saved up", () => {
    const { root, torrent } = clock();
    root.limitTo(1_000_000);
    const bucket = torrent();
    bucket.giveBack(1_000_000_000);
    const greedy = new Greedy(bucket);
    isNear(greedy.spentBytes, 250_000, 0.1);
  });

  it("gives those who wait their turn before others who come later", () => {
    const { root, torrent, pass } = clock();
    root.limitTo(1_000_000);
    const [first, second] = [torrent(), torrent()];
    const turns: string[] = [];
    const waiterOf = (bucket: TokenBucket, name: string): TokenWaiter => ({
      resume: () => {
        turns.push(name);
        bucket.spend(1_000_000_000);
      },
    });
    const early = waiterOf(first, "early");
    assert.equal(first.allowance(early), 0);
    pass(100);
    // There are tokens now, but somebody waits for them.
    const late = waiterOf(second, "late");
    assert.equal(second.allowance(late), 0);
    root.tick();
    assert.deepEqual(turns, ["early"]);
    root.limitTo(undefined);
    assert.deepEqual(turns, ["early", "late"]);
  });
});
