// Uploads of a torrent: which requests are served, refused or put off, and what a seed suggests to which peer.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { BLOCK_LENGTH_BYTES } from "../../../src/metainfo/geometry.ts";
import { PIECE_HEADER_BYTES } from "../../../src/metainfo/piece-header.ts";
import { TokenBucket } from "../../../src/swarm/token-bucket.ts";
import { BLOCKS, offset, open } from "./lone-torrent.ts";

const BLOCK = BLOCK_LENGTH_BYTES;
const FRAME = PIECE_HEADER_BYTES + BLOCK;
const ALL = "**********";

/** A leecher that wants something and has its slot. */
function beServed({ peer, link }: ReturnType<ReturnType<typeof open>["join"]>): void {
  peer.haveNone();
  peer.interested();
  assert.ok(link.take().includes("unchoke"));
}

const suggestionsIn = (said: readonly string[]): number[] =>
  said.filter((line) => line.startsWith("suggest")).map((line) => Number(line.split(" ")[1]));

describe("a request", () => {
  it("that crosses a choke is rejected, or dropped without a word if the peer does not know rejects", () => {
    for (const [supportsFast, answer] of [
      [true, ["reject 0:0"]],
      [false, []],
    ] as const) {
      const { peer, link } = open({ has: "*", supportsFast });
      peer.request(0, 0, BLOCK);
      assert.deepEqual(link.take(), answer);
    }
  });

  it("that is cancelled is rejected, unless it has been served or the peer does not know rejects", () => {
    const fast = open({ has: ALL });
    beServed(fast);
    fast.peer.request(4, 0, BLOCK);
    fast.runDue();
    fast.link.take();
    fast.peer.cancel(4, 0, BLOCK);
    assert.deepEqual(fast.link.take(), []);
    const plain = open({ has: ALL, supportsFast: false });
    plain.peer.interested();
    plain.link.take();
    plain.peer.request(4, 0, BLOCK);
    plain.peer.cancel(4, 0, BLOCK);
    plain.runDue();
    assert.deepEqual(plain.link.take(), []);
  });

  it("beyond the agreed number is rejected ten thousand times; then the connection is closed", () => {
    const { peer, link } = open({ has: ALL, requestsFromPeer: 1, uploadSlots: 1 });
    peer.haveNone();
    peer.interested();
    link.hasRoom = false;
    peer.request(0, 0, BLOCK);
    link.take();
    for (let excess = 0; excess < 10_000; excess++) peer.request(1, 0, BLOCK);
    const said = link.take();
    assert.equal(said.length, 10_000);
    assert.ok(said.every((line) => line === "reject 1:0"));
    peer.request(1, 0, BLOCK);
    assert.deepEqual(link.take(), ["close: it asked for more at once than was agreed"]);
  });

  it("for a piece that cannot be read is rejected with all others for it, and the owner is told", () => {
    const failure = new MiniTorrentError("FILE_CHANGED", "It changed.");
    for (const supportsFast of [true, false]) {
      const { peer, link, storage, events, runDue } = open({ has: ALL, supportsFast });
      const { read } = storage;
      storage.read = (range, done) => (range.pieceIndex === 4 ? done(failure) : read(range, done));
      peer.interested();
      link.take();
      peer.request(4, 0, BLOCK);
      peer.request(5, 0, BLOCK);
      peer.request(4, offset(1), BLOCK);
      runDue();
      assert.deepEqual(events, [{ type: "read-failed", pieceIndex: 4, error: failure }]);
      assert.deepEqual(
        link.take().sort(),
        supportsFast
          ? [`blocks 5:0 ${FRAME}`, "reject 4:0", "reject 4:1"]
          : [
              `blocks 5:0 ${FRAME}`,
              "close: a piece of ours cannot be read",
              "close: a piece of ours cannot be read",
            ],
      );
    }
  });

  it("is charged to the limit, and waits for its turn", () => {
    const clock = { nowMs: 0 };
    const up = new TokenBucket(() => clock.nowMs);
    const down = new TokenBucket(() => clock.nowMs);
    up.limitTo(BLOCK * 10);
    const opened = open({ has: ALL, bandwidth: { up, down }, nowMs: () => clock.nowMs });
    const { peer, link, torrent, runDue } = opened;
    beServed(opened);
    for (const block of [0, 1, 2, 3]) peer.request(4, offset(block), BLOCK);
    runDue();
    assert.deepEqual(link.take(), []);
    clock.nowMs = 100;
    up.tick();
    assert.deepEqual(link.take(), [`blocks 4:0 ${FRAME}`]);
    up.tick();
    assert.deepEqual(link.take(), []);
    clock.nowMs = 200;
    up.tick();
    assert.deepEqual(link.take(), [`blocks 4:${offset(1)} ${FRAME}`]);
    assert.equal(torrent.status().uploadedBytes, 2 * BLOCK);
  });
});

describe("a slot", () => {
  it("is taken from who is no longer interested, and given at once to who is", () => {
    const opened = open({ has: ALL, uploadSlots: 1 });
    beServed(opened);
    const carol = opened.join("carol");
    carol.peer.haveNone();
    carol.peer.interested();
    assert.deepEqual(carol.link.take(), []);
    opened.peer.notInterested();
    assert.deepEqual(carol.link.take(), ["unchoke"]);
  });

  it("of a peer that leaves goes at once to one that waits", () => {
    const opened = open({ has: "*", uploadSlots: 1 });
    opened.peer.interested();
    const carol = opened.join("carol");
    carol.peer.interested();
    carol.link.take();
    opened.peer.closed("gone");
    assert.deepEqual(carol.link.take(), ["unchoke"]);
  });
});

describe("a peer that loses its slot", () => {
  it("is choked, and then what it waits for is rejected", () => {
    const opened = open({ has: ALL, uploadSlots: 1 });
    beServed(opened);
    opened.link.hasRoom = false;
    for (const pieceIndex of [0, 1]) opened.peer.request(pieceIndex, 0, BLOCK);
    opened.runDue();
    const carol = opened.join("carol");
    carol.peer.haveNone();
    carol.peer.interested();
    for (let round = 0; round < 20; round++) {
      opened.clock.nowMs += 1000;
      opened.torrent.tick();
    }
    const said = opened.link.take().filter((line) => /choke|reject/.test(line));
    assert.deepEqual(said.slice(0, 2), ["choke", "reject 1:0"]);
  });
});

describe("a seed", () => {
  it("suggests different pieces to different leechers, and none to one alone", () => {
    const opened = open({ has: ALL, otherSeedCount: () => 0 });
    opened.peer.haveNone();
    opened.peer.interested();
    assert.deepEqual(opened.link.take(), ["unchoke"]);
    const carol = opened.join("carol");
    carol.peer.haveNone();
    carol.peer.interested();
    const [saidToBob, saidToCarol] = [opened.link.take(), carol.link.take()];
    assert.equal(saidToCarol.at(-1), "unchoke", "the suggestions come before it");
    assert.deepEqual(
      [suggestionsIn(saidToBob), suggestionsIn(saidToCarol)],
      [
        [2, 3],
        [0, 1],
      ],
    );
  });

  it("suggests nothing to who does not know suggestions, is choked, or wants nothing; nor while it lacks a piece", () => {
    const seed = open({ has: ALL, uploadSlots: 2 });
    beServed(seed);
    const plain = seed.join("carol", "carol", false);
    plain.peer.interested();
    const choked = seed.join("dave");
    choked.peer.haveNone();
    choked.peer.interested();
    const idle = seed.join("eve");
    idle.peer.haveNone();
    assert.deepEqual(plain.link.take(), ["unchoke"]);
    assert.deepEqual([choked.link.take(), idle.link.take()], [[], []]);
    assert.ok(suggestionsIn(seed.link.take()).length > 0);
    const partial = open({ has: "*********" });
    beServed(partial);
    const other = partial.join("carol");
    other.peer.haveNone();
    other.peer.interested();
    assert.deepEqual(other.link.take(), ["unchoke"]);
    partial.peer.request(0, 0, BLOCK);
    assert.deepEqual(partial.link.take(), []);
  });

  it("suggests more when a peer asks for what was suggested", () => {
    const opened = open({ has: ALL, otherSeedCount: () => 0 });
    beServed(opened);
    const carol = opened.join("carol");
    beServed(carol);
    const [first, second] = suggestionsIn(opened.link.take());
    assert.ok(first !== undefined && second !== undefined);
    opened.peer.request(first, 0, BLOCK);
    opened.peer.request(second, 0, BLOCK);
    assert.ok(suggestionsIn(opened.link.take()).length > 0);
  });

  it("sends what nobody has before what others have too, and puts off who asks for that", () => {
    const opened = open({ has: ALL, requestsFromPeer: 100 });
    const { clock, torrent, runDue } = opened;
    beServed(opened);
    const carol = opened.join("carol");
    carol.peer.bitfield(new Uint8Array([0b1000_0000, 0]));
    carol.peer.interested();
    opened.link.take();
    carol.link.take();
    // What Carol wants next is new, and her connection does not take it yet.
    carol.link.hasRoom = false;
    carol.peer.request(5, 0, BLOCK);
    carol.peer.request(5, offset(3), BLOCK);
    runDue();
    carol.link.take();
    // Bob asks for what Carol has.
    opened.peer.request(0, 0, BLOCK);
    runDue();
    assert.deepEqual(
      opened.link.take().filter((said) => said.startsWith("blocks")),
      [],
    );
    // A new piece is asked for after it, and served before it.
    opened.peer.request(8, 0, BLOCK);
    runDue();
    assert.deepEqual(
      opened.link.take().filter((said) => said.startsWith("blocks")),
      [`blocks 8:0 ${FRAME}`],
    );
    // A second is the longest that Bob waits.
    clock.nowMs = 900;
    torrent.tick();
    runDue();
    assert.deepEqual(
      opened.link.take().filter((said) => said.startsWith("blocks")),
      [],
    );
    clock.nowMs = 1900;
    torrent.tick();
    runDue();
    assert.deepEqual(
      opened.link.take().filter((said) => said.startsWith("blocks")),
      [`blocks 0:0 ${FRAME}`],
    );
  });

  it("serves who was put off as soon as no new piece waits", () => {
    const opened = open({ has: ALL, requestsFromPeer: 100 });
    const { runDue } = opened;
    beServed(opened);
    const carol = opened.join("carol");
    carol.peer.bitfield(new Uint8Array([0b1000_0000, 0]));
    carol.peer.interested();
    opened.link.take();
    carol.link.hasRoom = false;
    carol.peer.request(5, 0, BLOCK);
    carol.peer.request(5, offset(3), BLOCK);
    runDue();
    opened.peer.request(0, 0, BLOCK);
    runDue();
    const blocksOf = () => opened.link.take().filter((said) => said.startsWith("blocks"));
    assert.deepEqual(blocksOf(), []);
    carol.peer.writable();
    runDue();
    assert.deepEqual(blocksOf(), [`blocks 0:0 ${FRAME}`]);
  });

  it("puts a peer off for more than a second while new pieces fill the uplink", () => {
    const opened = open({ has: ALL, requestsFromPeer: 100 });
    beServed(opened);
    const carol = opened.join("carol");
    carol.peer.bitfield(new Uint8Array([0b1000_0000, 0]));
    carol.peer.interested();
    opened.link.take();
    carol.link.hasRoom = false;
    for (let piece = 1; piece < 10; piece++) {
      for (let block = 0; block < BLOCKS; block++) carol.peer.request(piece, offset(block), BLOCK);
    }
    opened.runDue();
    opened.peer.request(0, 0, BLOCK);
    const servedAtMs: number[] = [];
    opened.runTo(3000, () => {
      for (const { done } of carol.link.sent.splice(0)) done();
      if (opened.clock.nowMs % 200 === 0) carol.peer.writable();
      if (opened.link.take().some((said) => said.startsWith("blocks"))) servedAtMs.push(opened.clock.nowMs);
    });
    assert.deepEqual(servedAtMs, [1700], "when Carol has been sent the last of them");
  });

  it("puts nobody off for a connection that takes nothing for two seconds", () => {
    const opened = open({ has: ALL, requestsFromPeer: 100 });
    beServed(opened);
    const carol = opened.join("carol");
    carol.peer.bitfield(new Uint8Array([0b1000_0000, 0]));
    carol.peer.interested();
    carol.link.hasRoom = false;
    carol.peer.request(5, 0, BLOCK);
    carol.peer.request(5, offset(3), BLOCK);
    opened.runTo(2500);
    opened.link.take();
    opened.peer.request(0, 0, BLOCK);
    opened.runDue();
    assert.deepEqual(
      opened.link.take().filter((said) => said.startsWith("blocks")),
      [`blocks 0:0 ${FRAME}`],
    );
  });

  it("promises what a choked peer was promised to somebody else", () => {
    const opened = open({ has: ALL, uploadSlots: 2, otherSeedCount: () => 0 });
    beServed(opened);
    const carol = opened.join("carol");
    beServed(carol);
    const [suggested = -1] = suggestionsIn(opened.link.take());
    carol.link.take();
    opened.peer.closed("gone");
    opened.torrent.tick();
    const dave = opened.join("dave");
    dave.peer.haveNone();
    dave.peer.interested();
    const toOthers = [...suggestionsIn(carol.link.take()), ...suggestionsIn(dave.link.take())];
    assert.ok(toOthers.includes(suggested), `${suggested} in ${toOthers}`);
  });
});
