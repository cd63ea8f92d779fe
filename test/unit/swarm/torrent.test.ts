// One torrent against a link that records what is said to it: what a peer, well-behaved or not, gets for what it says.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { BLOCK_LENGTH_BYTES } from "../../../src/metainfo/geometry.ts";
import { PIECE_HEADER_BYTES } from "../../../src/metainfo/piece-header.ts";
import { encodeExtensionHandshake } from "../../../src/wire/extensions.ts";
import { encodeFarewell } from "../../../src/wire/farewell.ts";
import { readUint32 } from "../../../src/wire/integers.ts";
import { geometry, offset, open } from "./lone-torrent.ts";
import { RecordingLink, requestsIn } from "./recording-link.ts";

const isMalformed = (error: unknown): boolean =>
  error instanceof MiniTorrentError && error.code === "MALFORMED_MESSAGE";

describe("a torrent that downloads", () => {
  it("says first what it has, in the form that the peer understands", () => {
    assert.deepEqual(open().introduction, ["have none", "extended 0"]);
    assert.deepEqual(open({ supportsFast: false }).introduction, ["extended 0"]);
    assert.deepEqual(open({ has: "*  *" }).introduction, ["bitfield 9000", "extended 0"]);
    assert.deepEqual(open({ has: "**********" }).introduction, ["have all", "extended 0"]);
    const plainSeed = open({ has: "**********", supportsFast: false });
    assert.deepEqual(plainSeed.introduction, ["bitfield ffc0", "extended 0"]);
  });

  it("is interested in who has something, asks once unchoked, and no more than the peer allows", () => {
    const { link, peer } = open();
    peer.extended(
      0,
      encodeExtensionHandshake({
        extensionIds: new Map(),
        listenPort: 7,
        requestLimit: 3,
        clientName: undefined,
      }),
    );
    peer.haveNone();
    assert.deepEqual(link.take(), []);
    peer.have(2);
    assert.deepEqual(link.take(), ["interested"]);
    peer.unchoke();
    assert.deepEqual(link.take(), ["request 2:0", "request 2:1", "request 2:2"]);
  });

  it("puts blocks where they belong, tells others what is verified, and loses interest in the end", () => {
    const { torrent, link, peer, reserved } = open();
    peer.bitfield(Uint8Array.from([0x20, 0]));
    peer.unchoke();
    link.take();
    const memory = reserved.get(2);
    assert.ok(memory);
    for (const block of [1, 0, 3, 2]) {
      const place = peer.blockBegins(2, offset(block), BLOCK_LENGTH_BYTES);
      assert.equal(place?.byteOffset, offset(block));
      assert.equal(place.length, BLOCK_LENGTH_BYTES);
      place.fill(block + 1);
      peer.blockEnds(2, offset(block), BLOCK_LENGTH_BYTES);
    }
    assert.equal(memory[offset(3)], 4);
    assert.deepEqual(link.take(), ["not interested", "have 2"]);
    assert.equal(torrent.have.has(2), true);
    assert.deepEqual(
      torrent.status().sources.map(({ userId, pieces, bytes }) => ({ userId, pieces, bytes })),
      [{ userId: "bob", pieces: 1, bytes: geometry.pieceLengthBytes }],
    );
  });

  it("tells whoever it bans for which piece, at once and when they come again", () => {
    const { torrent, link, peer } = open({ outcome: "mismatch" });
    peer.bitfield(Uint8Array.from([0x20, 0]));
    peer.unchoke();
    for (const block of [0, 1, 2, 3]) {
      peer.blockBegins(2, offset(block), BLOCK_LENGTH_BYTES);
      peer.blockEnds(2, offset(block), BLOCK_LENGTH_BYTES);
    }
    assert.deepEqual(link.farewells, [{ reason: "bad-data", pieceIndex: 2 }]);
    peer.closed("closed");
    assert.equal(torrent.bannedFor("bob"), 2);
    assert.equal(torrent.bannedFor("carol"), undefined);
    const again = new RecordingLink();
    torrent.connect(again, { userId: "bob", deviceId: "b0b", address: "127.0.0.1:1" }, true);
    assert.deepEqual(again.farewells, [{ reason: "bad-data", pieceIndex: 2 }]);
  });

  it("hears why a peer leaves, closes that connection, and forgets it when the peer is back", () => {
    const { torrent, link, peer, events } = open();
    peer.haveAll();
    peer.extended(0, encodeFarewell({ reason: "not-shared" }));
    peer.extended(0, encodeFarewell({ reason: "changed" }));
    assert.deepEqual(events, [{ type: "peer-left", userId: "bob", farewell: { reason: "not-shared" } }]);
    assert.match(link.said.at(-1) ?? "", /^close: the peer said: not-shared/);
    peer.closed("closed");
    assert.equal(torrent.peerCount, 0);
    const [gone] = torrent.holders();
    assert.deepEqual([gone?.isConnected, gone?.farewell], [false, { reason: "not-shared" }]);
    const back = torrent.connect(new RecordingLink(), { userId: "bob", deviceId: "b0b", address: "" }, true);
    back.haveAll();
    assert.equal(torrent.farewellOf("b0b"), undefined);
  });

  it("takes each block once: a second copy has no place", () => {
    const { link, peer } = open();
    peer.haveAll();
    peer.unchoke();
    const [[pieceIndex] = [-1]] = requestsIn(link.take());
    assert.ok(peer.blockBegins(pieceIndex, 0, BLOCK_LENGTH_BYTES));
    peer.blockEnds(pieceIndex, 0, BLOCK_LENGTH_BYTES);
    assert.equal(peer.blockBegins(pieceIndex, 0, BLOCK_LENGTH_BYTES), undefined);
  });

  it("bears a few blocks that it never asked for, but no flood of them", () => {
    const { torrent, peer } = open();
    peer.haveAll();
    for (let block = 0; block < 32; block++) {
      assert.equal(peer.blockBegins(1, offset(block % 4), BLOCK_LENGTH_BYTES), undefined);
    }
    assert.equal(torrent.status().duplicateBytes, 32 * BLOCK_LENGTH_BYTES);
    assert.throws(() => peer.blockBegins(1, 0, BLOCK_LENGTH_BYTES), isMalformed);
  });

  it("refuses what cannot be", () => {
    for (const say of [
      (peer: ReturnType<typeof open>["peer"]) => peer.blockBegins(10, 0, BLOCK_LENGTH_BYTES),
      (peer: ReturnType<typeof open>["peer"]) => peer.blockBegins(0, offset(4), 1),
      (peer: ReturnType<typeof open>["peer"]) => peer.have(10),
      (peer: ReturnType<typeof open>["peer"]) => peer.bitfield(new Uint8Array(3)),
      (peer: ReturnType<typeof open>["peer"]) => peer.extended(0, Uint8Array.of(1, 2)),
    ]) {
      assert.throws(() => say(open().peer), isMalformed);
    }
    const { peer } = open();
    peer.haveNone();
    assert.throws(() => peer.haveAll(), isMalformed);
  });

  it("asks one block at a time of who rejects without choking", () => {
    const { torrent, link, peer } = open();
    peer.haveAll();
    peer.unchoke();
    const requests = requestsIn(link.take());
    assert.equal(requests.length, 8);
    for (const [pieceIndex, block] of requests) peer.reject(pieceIndex, offset(block), BLOCK_LENGTH_BYTES);
    assert.equal(torrent.status().peers[0]?.requestsOutstanding, 0);
    torrent.tick();
    assert.equal(torrent.status().peers[0]?.requestsOutstanding, 1);
  });

  it("takes back all but the oldest request of a peer that falls silent, and that one in its turn", () => {
    const { torrent, clock, link, peer } = open();
    peer.haveAll();
    peer.unchoke();
    assert.equal(requestsIn(link.take()).length, 8);
    clock.nowMs = 9_000;
    torrent.tick();
    assert.deepEqual(link.take(), []);
    clock.nowMs = 11_000;
    torrent.tick();
    assert.equal(link.take().filter((said) => said.startsWith("cancel")).length, 7);
    const [snapshot] = torrent.status().peers;
    assert.equal(snapshot?.requestsOutstanding, 1);
    assert.deepEqual(snapshot.remarks, ["snubbed", "silent for 11 s"]);
  });

  it("without the fast extension forgets at a choke what it asked for, and asks for it again", () => {
    const { torrent, link, peer, clock } = open({ supportsFast: false });
    peer.bitfield(new Uint8Array([0xff, 0xc0]));
    peer.unchoke();
    const asked = requestsIn(link.take());
    assert.notEqual(asked.length, 0);
    peer.choke();
    clock.nowMs = 3000;
    const { peers, waitingFor } = torrent.status();
    assert.equal(peers[0]?.requestsOutstanding, 0);
    assert.equal(waitingFor, "the only useful peer chokes us");
    peer.unchoke();
    assert.deepEqual(requestsIn(link.take()).sort(), asked.sort());
  });

  it("holds memory that a block is being written into until the block is over", () => {
    const { torrent, link, peer, reserved } = open();
    peer.haveAll();
    peer.unchoke();
    const [[pieceIndex] = [-1]] = requestsIn(link.take());
    assert.ok(peer.blockBegins(pieceIndex, 0, BLOCK_LENGTH_BYTES));
    torrent.close("not shared any longer");
    assert.deepEqual([...reserved.keys()], [pieceIndex]);
    peer.blockEnds(pieceIndex, 0, BLOCK_LENGTH_BYTES);
    assert.equal(reserved.size, 0);
    assert.equal(link.take().filter((said) => said.startsWith("cancel")).length, 7);
  });

  it("gives the memory back when the connection goes in the middle of a block", () => {
    const { torrent, link, peer, reserved } = open();
    peer.haveAll();
    peer.unchoke();
    const [[pieceIndex] = [-1]] = requestsIn(link.take());
    peer.blockBegins(pieceIndex, 0, BLOCK_LENGTH_BYTES);
    torrent.close("enough");
    assert.equal(reserved.size, 1);
    peer.closed("gone");
    peer.closed("gone");
    assert.equal(reserved.size, 0);
    assert.equal(torrent.peerCount, 0);
  });
});

describe("a torrent that gives", () => {
  const unchoked = (options: Parameters<typeof open>[0]) => {
    const opened = open(options);
    opened.peer.haveNone();
    opened.peer.interested();
    assert.deepEqual(opened.link.take(), ["unchoke"]);
    return opened;
  };
  const frame = PIECE_HEADER_BYTES + BLOCK_LENGTH_BYTES;

  it("sends blocks that follow each other as one run, and frees the piece when all of it has gone out", () => {
    const { torrent, link, peer, runDue, framesOut } = unchoked({ has: "**********" });
    for (const block of [0, 1, 2]) peer.request(4, offset(block), BLOCK_LENGTH_BYTES);
    peer.request(5, offset(3), BLOCK_LENGTH_BYTES);
    runDue();
    assert.deepEqual(link.take(), [`blocks 4:0 ${3 * frame}`, `blocks 5:${offset(3)} ${frame}`]);
    for (const { done } of link.sent) done();
    torrent.tick();
    torrent.tick();
    assert.equal(framesOut(), 0);
  });

  it("stops when the connection has enough, and goes on when it is writable", () => {
    const { link, peer, runDue } = unchoked({ has: "**********" });
    link.hasRoom = false;
    peer.request(4, 0, BLOCK_LENGTH_BYTES);
    peer.request(5, 0, BLOCK_LENGTH_BYTES);
    runDue();
    assert.deepEqual(link.take(), [`blocks 4:0 ${frame}`]);
    peer.cancel(5, 0, BLOCK_LENGTH_BYTES);
    peer.request(6, 0, BLOCK_LENGTH_BYTES);
    assert.deepEqual(link.take(), ["reject 5:0"]);
    peer.writable();
    assert.deepEqual(link.take(), [`blocks 6:0 ${frame}`]);
  });

  it("serves a range that is no whole block, too", () => {
    const { link, peer, runDue } = unchoked({ has: "**********" });
    peer.request(4, offset(1) - 2, 4);
    runDue();
    const [sent] = link.sent;
    assert.deepEqual([...(sent?.bytes ?? [])].slice(PIECE_HEADER_BYTES), [1, 1, 2, 2]);
    assert.equal(readUint32(sent?.bytes ?? new Uint8Array(), 9), offset(1) - 2);
  });

  it("rejects what it does not serve, or closes on who does not know rejects", () => {
    const choking = open({ has: "*" });
    choking.peer.request(0, 0, BLOCK_LENGTH_BYTES);
    assert.deepEqual(choking.link.take(), ["reject 0:0"]);
    const fast = unchoked({ has: "*" });
    fast.peer.request(3, 0, BLOCK_LENGTH_BYTES);
    assert.deepEqual(fast.link.take(), ["reject 3:0"]);
    const plain = unchoked({ has: "*", supportsFast: false });
    plain.peer.request(3, 0, BLOCK_LENGTH_BYTES);
    assert.deepEqual(plain.link.take(), ["close: it asked for a piece that we lack"]);
    const absurd = unchoked({ has: "*" });
    absurd.peer.request(0, 0, 1 << 20);
    assert.match(absurd.link.take()[0] ?? "", /^close: it asked for 1048576 bytes/);
  });

  it("keeps no more requests than it announced, and rejects them all when it chokes", () => {
    const opened = unchoked({ has: "**********", uploadSlots: 1 });
    const { torrent, link, peer, clock, runDue } = opened;
    link.hasRoom = false;
    for (let request = 0; request < 8; request++) peer.request(request, 0, BLOCK_LENGTH_BYTES);
    assert.deepEqual(link.take(), ["reject 6:0", "reject 7:0"]);
    runDue();
    const other = torrent.connect(
      new RecordingLink(),
      { userId: "carol", deviceId: "ca201", address: "127.0.0.1:2" },
      true,
    );
    other.haveNone();
    other.interested();
    link.take();
    // The one slot goes to who waits longest.
    clock.nowMs = 10_000;
    torrent.tick();
    const rejects = [1, 2, 3, 4, 5].map((pieceIndex) => `reject ${pieceIndex}:0`);
    assert.deepEqual(link.take(), ["choke", ...rejects]);
    other.closed("gone");
    assert.deepEqual(link.take(), ["unchoke"]);
  });

  it("says once that the others together have everything, also when one of them left before", () => {
    const { torrent, peer, events } = open({ has: "**********" });
    const identity = { userId: "carol", deviceId: "ca201", address: "127.0.0.1:2" };
    const join = () => torrent.connect(new RecordingLink(), identity, true);
    peer.bitfield(new Uint8Array([0xfc, 0]));
    const first = join();
    first.bitfield(new Uint8Array([3, 0x80]));
    first.closed("gone");
    peer.have(9);
    peer.have(8);
    assert.deepEqual(events, []);
    const second = join();
    second.haveNone();
    second.have(6);
    assert.deepEqual(events, []);
    second.have(7);
    peer.have(7);
    assert.deepEqual(events, [{ type: "held-by-others", uploadedBytes: 0 }]);
  });

  it("is idle once nobody is connected and nothing flows, and not while it has something to fetch", () => {
    const seed = open({ has: "**********" });
    seed.peer.interested();
    seed.peer.request(0, 0, BLOCK_LENGTH_BYTES);
    seed.runDue();
    seed.link.sent[0]?.done();
    seed.clock.nowMs = 100;
    seed.torrent.tick();
    assert.equal(seed.torrent.isIdle, false, "somebody is connected");
    seed.peer.closed("gone");
    assert.equal(seed.torrent.isIdle, false, "a rate is still shown");
    seed.clock.nowMs = 60_000;
    seed.torrent.tick();
    assert.equal(seed.torrent.isIdle, true);
    const leecher = open();
    leecher.peer.closed("gone");
    assert.equal(leecher.torrent.isIdle, false);
  });

  it("parts from a peer that is complete as well", () => {
    const { link, peer } = open({ has: "**********" });
    peer.haveAll();
    assert.deepEqual(link.take(), ["close: both are complete"]);
  });
});
