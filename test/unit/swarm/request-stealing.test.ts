// When a peer with nothing to do is asked for blocks that wait at another.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BLOCK_LENGTH_BYTES } from "../../../src/metainfo/geometry.ts";
import { RequestStealing } from "../../../src/swarm/request-stealing.ts";
import { partsFor, type TestPeer } from "./swarm-parts.ts";

/** One piece of many blocks is all that is missing, so that the swarm is in endgame once it is begun. */
function open(blocksPerPiece = 64) {
  const parts = partsFor({ have: "********* ", blocksPerPiece });
  const { picker, requests, peers, nowMs } = parts;
  const stealing = new RequestStealing({
    picker,
    requests,
    peers,
    nowMs,
  });
  const [slow, idle] = [parts.addPeer(), parts.addPeer()];
  return { ...parts, stealing, slow, idle };
}

/** As far as rates tell, it gives so many blocks a second. */
function setPace({ peer }: TestPeer, blocksPerSecond: number): void {
  const isIdle = peer.requests.outstanding === 0;
  // The pace counts only while something is asked.
  if (isIdle) peer.requests.requested();
  for (let tick = 0; tick < 300; tick++) {
    peer.requests.received((blocksPerSecond * BLOCK_LENGTH_BYTES) / 10);
    peer.requests.advance(100);
  }
  if (isIdle) peer.requests.answered();
}

describe("a peer with nothing to do", () => {
  it("takes over in endgame what waits longer than 400 ms, the last of it first, until its window is full", () => {
    const { ask, slow, idle, stealing, picker } = open();
    ask(slow, 64);
    setPace(slow, 100);
    setPace(idle, 1000);
    stealing.stealInEndgame(idle.peer);
    assert.equal(picker.isEndgame, true);
    const moved = idle.link.take();
    assert.equal(moved.length, idle.peer.window.sizeBlocks);
    assert.deepEqual(moved.slice(0, 2), ["request 9:63", "request 9:62"]);
    assert.deepEqual(slow.link.take().slice(0, 2), ["cancel 9:63", "cancel 9:62"]);
    assert.equal(slow.peer.requests.outstanding, 64 - moved.length);
  });

  it("takes over nothing that comes within 400 ms anyway", () => {
    const { ask, slow, idle, stealing } = open();
    ask(slow, 64);
    // 64 blocks take 399 ms.
    setPace(slow, 64 / 0.399);
    setPace(idle, 1000);
    stealing.stealInEndgame(idle.peer);
    assert.deepEqual(idle.link.take(), []);
    setPace(slow, 64 / 0.41);
    stealing.stealInEndgame(idle.peer);
    // The 62 that are left take less.
    assert.equal(idle.link.take().length, 2);
  });

  it("waits before the endgame until what is asked takes two seconds, and is 24 blocks or more", () => {
    const { ask, slow, idle, stealing } = open();
    ask(slow, 30);
    setPace(slow, 30 / 1.9);
    setPace(idle, 1000);
    stealing.stealFromSlow(idle.peer);
    assert.deepEqual(idle.link.take(), []);
    setPace(slow, 30 / 4);
    stealing.stealFromSlow(idle.peer);
    assert.equal(slow.peer.requests.outstanding, 23);
    assert.equal(idle.link.take().length, 7);
  });

  it("does not help out of its own accord while something is free", () => {
    const parts = partsFor({ have: "********  ", blocksPerPiece: 64 });
    const { picker, requests, peers, nowMs, addPeer, ask } = parts;
    const stealing = new RequestStealing({ picker, requests, peers, nowMs });
    const [slow, idle] = [addPeer(), addPeer()];
    ask(slow, 64);
    setPace(slow, 10);
    stealing.stealInEndgame(idle.peer);
    assert.deepEqual(idle.link.take(), []);
  });

  it("takes over only what it would deliver in half the time", () => {
    const { ask, slow, idle, stealing } = open();
    ask(slow, 60);
    setPace(slow, 60 / 5);
    ask(idle, 4);
    // With its four blocks and one more it needs 2.6 s, twice which is more than five.
    setPace(idle, 5 / 2.6);
    stealing.stealFromSlow(idle.peer);
    assert.deepEqual(idle.link.take(), []);
    setPace(idle, 5 / 2.4);
    stealing.stealFromSlow(idle.peer);
    assert.deepEqual(idle.link.take(), ["request 9:59"]);
  });

  it("that has not shown how fast it is takes over one block, and no more before it has come", () => {
    const { ask, slow, idle, stealing } = open();
    ask(slow, 60);
    setPace(slow, 10);
    stealing.stealFromSlow(idle.peer);
    assert.deepEqual(idle.link.take(), ["request 9:59"]);
    stealing.stealFromSlow(idle.peer);
    assert.deepEqual(idle.link.take(), []);
  });

  it("takes over from a peer that has been silent for a second, however little it was asked for", () => {
    const { ask, slow, idle, stealing, clock } = open();
    ask(slow, 64);
    setPace(slow, 1000);
    setPace(idle, 1000);
    clock.nowMs = 1000;
    stealing.stealInEndgame(idle.peer);
    assert.deepEqual(idle.link.take(), []);
    clock.nowMs = 1001;
    stealing.stealInEndgame(idle.peer);
    assert.equal(idle.link.take().length, idle.peer.window.sizeBlocks);
  });

  it("takes nothing over while it is snubbed, on parole, suggests better, or a limit is reached", () => {
    const snubbed = open();
    snubbed.ask(snubbed.slow, 64);
    snubbed.idle.peer.window.snub(0);
    snubbed.stealing.stealInEndgame(snubbed.idle.peer);
    assert.deepEqual(snubbed.idle.link.take(), []);

    const onParole = open();
    onParole.ask(onParole.slow, 64);
    onParole.trust.pieceFailed(0, [onParole.idle.peer.sourceIndex, 99]);
    onParole.stealing.stealInEndgame(onParole.idle.peer);
    assert.deepEqual(onParole.idle.link.take(), []);

    const suggesting = open();
    suggesting.ask(suggesting.slow, 64);
    suggesting.clock.nowMs = 5000;
    suggesting.idle.peer.suggested(1);
    suggesting.stealing.stealFromSlow(suggesting.idle.peer);
    assert.deepEqual(suggesting.idle.link.take(), []);

    const limited = open();
    limited.ask(limited.slow, 64);
    limited.bucket.isReached = true;
    limited.stealing.stealInEndgame(limited.idle.peer);
    assert.deepEqual(limited.idle.link.take(), []);
  });

  it("leaves what a choking peer with the fast extension was asked for: it says of each what becomes of it", () => {
    for (const supportsFast of [true, false]) {
      const parts = partsFor({ have: "********* ", blocksPerPiece: 64 });
      const { picker, requests, peers, nowMs, addPeer, ask, clock } = parts;
      const stealing = new RequestStealing({ picker, requests, peers, nowMs });
      const [slow, idle] = [addPeer({ supportsFast }), addPeer()];
      ask(slow, 64);
      slow.peer.chokedUs();
      clock.nowMs = 5000;
      stealing.stealInEndgame(idle.peer);
      assert.equal(idle.link.take().length > 0, !supportsFast);
    }
  });
});
