// A whole download against links that record: what is requested from which peer, and what follows when peers choke, leave,
// reject, lie or fall silent.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { BLOCK_LENGTH_BYTES, Geometry } from "../../../src/metainfo/geometry.ts";
import { TokenBucket } from "../../../src/swarm/token-bucket.ts";
import { BLOCKS, geometry, giveAll, giveBlocks, offset, open } from "./lone-torrent.ts";
import { cancelsIn, requestsIn } from "./recording-link.ts";

const BLOCK = BLOCK_LENGTH_BYTES;
/** As long as nothing is known of a peer's habits. */
const TIMEOUT_MS = 10_000;

/** Has everything, and gives. */
function startDelivering({ peer }: ReturnType<ReturnType<typeof open>["join"]>): void {
  peer.haveAll();
  peer.unchoke();
}

/** Has one piece, and gives. */
function startDeliveringPiece(
  { peer }: ReturnType<ReturnType<typeof open>["join"]>,
  pieceIndex: number,
): void {
  peer.have(pieceIndex);
  peer.unchoke();
}

describe("a download", () => {
  it("from one seed ends, tells of each piece and of the end, and is a seed then", () => {
    const opened = open();
    const { torrent, events } = opened;
    startDelivering(opened);
    giveAll(opened);
    assert.equal(torrent.have.isComplete, true);
    assert.deepEqual(torrent.state, { status: "seeding" });
    const verified = events.filter(({ type }) => type === "piece-verified");
    assert.equal(verified.length, geometry.pieceCount);
    assert.deepEqual(verified[0], { type: "piece-verified", pieceIndex: 0, userIds: ["bob"] });
    assert.deepEqual(
      events.slice(-1).map(({ type }) => type),
      ["all-verified"],
    );
    const status = torrent.status();
    assert.deepEqual(
      [status.piecesVerified, status.bytesVerified, status.downloadedBytes, status.wastedBytes],
      [10, geometry.lengthBytes, geometry.lengthBytes, 0],
    );
  });

  it("counts a short last piece with the bytes that it has", () => {
    const short = new Geometry(geometry.lengthBytes - BLOCK - 5, geometry.pieceLengthBytes);
    const opened = open({ geometry: short, has: "*********" });
    const { torrent, peer } = opened;
    assert.equal(torrent.status().bytesVerified, 9 * geometry.pieceLengthBytes);
    startDelivering(opened);
    for (const block of [0, 1, 2]) {
      const lengthBytes = short.lengthOfBlockBytes(9, block);
      peer.blockBegins(9, offset(block), lengthBytes);
      peer.blockEnds(9, offset(block), lengthBytes);
    }
    assert.equal(torrent.status().bytesVerified, short.lengthBytes);
  });

  /** Bob has begun to give one piece; Carol has that too, and gives another. */
  function twoDelivering({ supportsFast = true } = {}) {
    const opened = open({ has: "********  ", supportsFast });
    startDeliveringPiece(opened, 8);
    const carol = opened.join("carol");
    carol.peer.have(8);
    startDeliveringPiece(carol, 9);
    assert.equal(requestsIn(carol.link.take()).length, BLOCKS);
    return { ...opened, carol };
  }

  it("asks another peer at once for what one that leaves was asked for", () => {
    const { torrent, reserved, peer, link, carol } = twoDelivering();
    giveBlocks(peer, [[8, 0]]);
    peer.closed("gone");
    assert.deepEqual(requestsIn(carol.link.take()), [
      [8, 1],
      [8, 2],
      [8, 3],
    ]);
    assert.equal(reserved.size, 2);
    assert.equal(torrent.peerCount, 1);
    link.take();
    torrent.roomAvailable();
    torrent.tick();
    assert.deepEqual(link.take(), [], "nothing is said to who is gone");
  });

  it("leaves requests with a peer that chokes, if it has the fast extension, until it rejects them", () => {
    const { torrent, peer, carol } = twoDelivering();
    peer.choke();
    assert.deepEqual(requestsIn(carol.link.take()), []);
    peer.reject(8, offset(1), BLOCK);
    assert.deepEqual(requestsIn(carol.link.take()), [[8, 1]]);
    const [bob] = torrent.status().peers;
    assert.deepEqual([bob?.requestsOutstanding, bob?.remarks], [3, ["choked"]], "it is not snubbed for that");
  });

  it("asks another peer at once for what one without the fast extension forgets when it chokes", () => {
    const { torrent, peer, carol } = twoDelivering({ supportsFast: false });
    peer.choke();
    assert.equal(requestsIn(carol.link.take()).length, BLOCKS);
    assert.equal(torrent.status().peers[0]?.requestsOutstanding, 0);
  });

  it("takes the answer to a cancelled request for that, although the block is asked for again", () => {
    const { torrent, clock, link, peer } = open({ has: "********* " });
    peer.haveAll();
    peer.unchoke();
    clock.nowMs = TIMEOUT_MS + 1;
    torrent.tick();
    assert.deepEqual(cancelsIn(link.take()), [
      [9, 1],
      [9, 2],
      [9, 3],
    ]);
    giveBlocks(peer, [[9, 0]]);
    assert.equal(requestsIn(link.take()).length, 3);
    peer.reject(9, offset(1), BLOCK);
    assert.equal(torrent.status().peers[0]?.requestsOutstanding, 3);
    peer.reject(9, offset(1), BLOCK);
    assert.equal(torrent.status().peers[0]?.requestsOutstanding, 2);
    assert.deepEqual(torrent.status().peers[0]?.remarks, ["snubbed"]);
  });

  it("does not mind rejects of what was not asked for", () => {
    const { torrent, peer } = open();
    peer.haveAll();
    peer.unchoke();
    const before = torrent.status().peers[0]?.requestsOutstanding;
    peer.reject(7, offset(1), BLOCK);
    const [bob] = torrent.status().peers;
    assert.deepEqual([bob?.requestsOutstanding, bob?.remarks], [before, []]);
  });

  it("asks nothing more of a peer that rejects sixteen requests in a row without choking", () => {
    const { torrent, clock, link, peer } = open();
    peer.haveAll();
    peer.unchoke();
    let rejected = 0;
    for (let round = 0; round < 40 && rejected < 15; round++) {
      const requests = requestsIn(link.take());
      for (const [pieceIndex, block] of requests) peer.reject(pieceIndex, offset(block), BLOCK);
      rejected += requests.length;
      clock.nowMs += 100;
      torrent.tick();
    }
    assert.equal(rejected, 15);
    assert.equal(torrent.holders()[0]?.isTried, false);
    const [last] = requestsIn(link.take());
    assert.ok(last);
    peer.reject(last[0], offset(last[1]), BLOCK);
    torrent.tick();
    assert.deepEqual(requestsIn(link.take()), []);
    const [holder] = torrent.holders();
    assert.deepEqual([holder?.isTried, holder?.remarks], [true, ["snubbed", "rejects what it says it has"]]);
  });

  it("gives up a piece on parole of which the peer rejects a block", () => {
    const { torrent, link, peer, reserved, join } = open({ outcome: "mismatch" });
    const carol = join("carol");
    peer.have(2);
    carol.peer.have(2);
    peer.unchoke();
    carol.peer.unchoke();
    giveBlocks(peer, [
      [2, 0],
      [2, 1],
    ]);
    peer.choke();
    peer.reject(2, offset(2), BLOCK);
    peer.reject(2, offset(3), BLOCK);
    giveBlocks(carol.peer, [
      [2, 2],
      [2, 3],
    ]);
    assert.deepEqual(torrent.status().peers[0]?.remarks, ["choked", "on parole"]);
    assert.equal(torrent.status().wastedBytes, geometry.pieceLengthBytes);
    carol.peer.choke();
    link.take();
    peer.unchoke();
    assert.equal(requestsIn(link.take()).length, BLOCKS, "the piece is asked for again, all of it");
    assert.equal(reserved.size, 1);
    giveBlocks(peer, [[2, 1]]);
    peer.reject(2, offset(0), BLOCK);
    assert.deepEqual(cancelsIn(link.take()), [
      [2, 2],
      [2, 3],
    ]);
    assert.equal(torrent.status().wastedBytes, geometry.pieceLengthBytes + BLOCK);
  });

  it("names those who gave of a corrupt piece, bans who gave all of it, and asks for it again", () => {
    const opened = open({ outcome: "mismatch" });
    const { torrent, events, peer } = opened;
    startDeliveringPiece(opened, 2);
    const carol = opened.join("carol");
    giveBlocks(
      peer,
      [0, 1, 2, 3].map((block) => [2, block] as const),
    );
    const corrupt = { type: "piece-corrupt", pieceIndex: 2, userIds: ["bob"], bannedUserIds: ["bob"] };
    assert.deepEqual(events[0], corrupt);
    assert.deepEqual(events[1]?.type, "peer-banned");
    assert.match(events[1]?.type === "peer-banned" ? events[1].reason : "", /^piece 2, all of it/);
    peer.closed("banned");
    startDeliveringPiece(carol, 2);
    assert.equal(requestsIn(carol.link.take()).length, BLOCKS);
    assert.equal(torrent.status().wastedBytes, geometry.pieceLengthBytes);
    const bob = torrent.status().sources.find(({ userId }) => userId === "bob");
    assert.deepEqual([bob?.isBanned, bob?.pieces], [true, 0]);
  });

  it("stops asking when storage fails, says so once, and serves on", () => {
    const failure = new MiniTorrentError("DISK_FULL", "It is full.");
    const opened = open({ outcome: failure, has: "*" });
    const { torrent, events, link, peer, runDue, reserved } = opened;
    startDelivering(opened);
    const asked = requestsIn(link.take());
    giveBlocks(peer, asked);
    assert.deepEqual(torrent.state, { status: "failed", error: failure });
    assert.deepEqual(events, [{ type: "storage-failed", error: failure }]);
    assert.equal(link.take().at(-1), "not interested");
    torrent.tick();
    torrent.roomAvailable();
    assert.deepEqual(requestsIn(link.take()), []);
    assert.equal(reserved.size, 0);
    peer.interested();
    peer.request(0, 0, BLOCK);
    runDue();
    assert.equal(
      link.take().some((said) => said.startsWith("blocks 0:0")),
      true,
    );
  });

  it("tells of the first failure of storage alone when several pieces fail", () => {
    const failure = new MiniTorrentError("DISK_FULL", "It is full.");
    const opened = open({ outcome: "later" });
    startDelivering(opened);
    giveBlocks(opened.peer, requestsIn(opened.link.take()));
    assert.equal(opened.commits.length, 2);
    for (const { done } of opened.commits) done(failure);
    assert.deepEqual(
      opened.events.map(({ type }) => type),
      ["storage-failed"],
    );
  });

  it("asks a slow peer for no more than it gives in a quarter of a second, when that is known", () => {
    const opened = open();
    const { runTo, peer, link, torrent } = opened;
    startDelivering(opened);
    runTo(3000, () => giveBlocks(peer, requestsIn(link.take()).slice(0, 1)));
    assert.ok((torrent.status().peers[0]?.requestWindow ?? 0) < 8);
  });

  it("is not asked for anything more after it was closed, and reports nothing", () => {
    const opened = open({ outcome: "later" });
    const { torrent, commits, events, link, peer, reserved } = opened;
    startDelivering(opened);
    giveBlocks(peer, requestsIn(link.take()));
    assert.ok(commits.length > 0);
    torrent.close("paused", { reason: "paused" });
    assert.deepEqual(link.farewells, [{ reason: "paused" }]);
    torrent.close("twice", { reason: "changed" });
    assert.equal(link.farewells.length, 1);
    assert.deepEqual(torrent.state, { status: "closed", reason: "paused" });
    link.take();
    for (const { done } of commits) done("verified");
    torrent.roomAvailable();
    torrent.tick();
    assert.deepEqual(requestsIn(link.take()), []);
    assert.deepEqual([events, reserved.size], [[], 0]);
    const late = opened.join("carol");
    assert.deepEqual(late.introduction, ["close: that file is not shared any longer"]);
  });

  it("begins no piece while there is no memory, and goes on when there is", () => {
    const opened = open({ memoryPieces: 1, outcome: "later" });
    const { torrent, link, peer, clock, commits } = opened;
    startDelivering(opened);
    giveBlocks(peer, requestsIn(link.take()));
    clock.nowMs = 5000;
    assert.equal(torrent.status().waitingFor, "waiting for the disk");
    assert.deepEqual(link.take(), []);
    commits[0]?.done("verified");
    assert.equal(requestsIn(link.take()).length, BLOCKS);
  });

  it("looks at each tick whether memory has come back", () => {
    const memory = { isThere: false };
    const opened = open();
    const { storage, torrent, link, peer } = opened;
    const { reserve } = storage;
    storage.reserve = (pieceIndex) => (memory.isThere ? reserve(pieceIndex) : undefined);
    peer.haveAll();
    peer.unchoke();
    assert.deepEqual(requestsIn(link.take()), []);
    memory.isThere = true;
    torrent.tick();
    assert.equal(requestsIn(link.take()).length, 8);
  });

  it("goes on at once when the owner says that memory is there again", () => {
    const memory = { isThere: false };
    const opened = open();
    const { storage, torrent, link, peer } = opened;
    const { reserve } = storage;
    storage.reserve = (pieceIndex) => (memory.isThere ? reserve(pieceIndex) : undefined);
    peer.haveAll();
    peer.unchoke();
    memory.isThere = true;
    torrent.roomAvailable();
    assert.equal(requestsIn(link.take()).length, 8);
  });

  it("can be closed and ticked when a peer has left and another is there", () => {
    const opened = open();
    const carol = opened.join("carol");
    startDelivering(carol);
    startDelivering(opened);
    opened.peer.closed("gone");
    opened.torrent.tick();
    opened.torrent.roomAvailable();
    opened.torrent.close("enough");
    assert.equal(opened.reserved.size, 0);
    assert.equal(cancelsIn(carol.link.take()).length, 8);
  });

  it("asks in bundles: a quarter of the window must be free before more is asked", () => {
    const { link, peer } = open();
    peer.haveAll();
    peer.unchoke();
    const [first, second] = requestsIn(link.take());
    assert.ok(first && second);
    // Eight are asked for, and each block makes room for two more: the window is ten, of which two must be free.
    giveBlocks(peer, [first]);
    assert.equal(requestsIn(link.take()).length, 3);
    peer.reject(second[0], offset(second[1]), BLOCK);
    assert.deepEqual(requestsIn(link.take()), []);
  });

  it("asks for what the peer suggests", () => {
    const opened = open({ has: "****      " });
    const { peer, link } = opened;
    peer.haveAll();
    peer.suggest(8);
    peer.unchoke();
    assert.deepEqual(requestsIn(link.take())[0], [8, 0]);
    // Four blocks are asked for: it is asked for more when it suggests more.
    assert.equal(requestsIn(link.take()).length, 0);
    peer.suggest(9);
    assert.deepEqual(requestsIn(link.take())[0], [9, 0]);
  });

  it("moves in endgame to another peer what waits at a silent one; what comes late has no place", () => {
    const opened = open({ has: "********* " });
    const { torrent, link, peer, runTo } = opened;
    startDelivering(opened);
    const carol = opened.join("carol");
    startDelivering(carol);
    runTo(3000, () => giveBlocks(carol.peer, requestsIn(carol.link.take())));
    assert.equal(torrent.have.isComplete, true);
    assert.equal(cancelsIn(link.take()).length, BLOCKS);
    assert.equal(giveBlocks(peer, [[9, 0]]), 0);
    assert.equal(torrent.status().duplicateBytes, BLOCK);
  });

  it("before the endgame asks another peer after two seconds for what waits at a silent one", () => {
    const opened = open();
    const { link, peer, runTo } = opened;
    const firstNine = new Uint8Array([0xff, 0x80]);
    // Somebody who chokes us has a tenth piece: it is not the endgame.
    opened.join("dave").peer.have(9);
    peer.bitfield(firstNine);
    peer.unchoke();
    let given = 0;
    while (given < 13) given += giveBlocks(peer, requestsIn(link.take()).slice(0, 13 - given));
    assert.equal(opened.torrent.status().peers[0]?.requestsOutstanding, 9 * BLOCKS - 13, "all are asked for");
    const carol = opened.join("carol");
    carol.peer.bitfield(firstNine);
    carol.peer.unchoke();
    assert.deepEqual(requestsIn(carol.link.take()), []);
    runTo(2000);
    assert.deepEqual(requestsIn(carol.link.take()), []);
    runTo(2200);
    assert.equal(requestsIn(carol.link.take()).length, 1);
    assert.equal(cancelsIn(link.take()).length, 1);
  });

  it("asks a peer in earnest again once the block comes that it was tried with", () => {
    const { torrent, clock, link, peer, runTo } = open();
    peer.haveAll();
    peer.unchoke();
    const asked = requestsIn(link.take());
    runTo(2 * TIMEOUT_MS + 1000);
    assert.equal(torrent.holders()[0]?.isTried, true);
    link.take();
    const [[pieceIndex, block] = [-1, -1]] = asked;
    // What was cancelled arrives late.
    const place = peer.blockBegins(pieceIndex, offset(block), BLOCK);
    assert.equal(place?.length, BLOCK, "it has a place, of which nothing is kept");
    assert.equal(torrent.holders()[0]?.isTried, true, "not before it is whole");
    clock.nowMs += 50;
    peer.blockEnds(pieceIndex, offset(block), BLOCK);
    assert.deepEqual([torrent.holders()[0]?.isTried, torrent.holders()[0]?.remarks], [false, []]);
    assert.equal(requestsIn(link.take()).length, 4);
    assert.equal(torrent.status().downloadedBytes, 0);
  });

  it("takes a peer that falls silent after a whole block for silent, not for one that stops within a block", () => {
    const { link, peer, runTo, torrent } = open();
    peer.haveAll();
    peer.unchoke();
    giveBlocks(peer, requestsIn(link.take()).slice(0, 1));
    runTo(3 * TIMEOUT_MS);
    assert.deepEqual(
      link.take().filter((said) => said.startsWith("close")),
      [],
    );
    assert.equal(torrent.holders()[0]?.isTried, true);
  });

  it("takes no block of another length than was asked for", () => {
    const { torrent, link, peer } = open();
    peer.haveAll();
    peer.unchoke();
    const [[pieceIndex] = [-1]] = requestsIn(link.take());
    assert.equal(peer.blockBegins(pieceIndex, 0, BLOCK - 1), undefined);
    assert.equal(torrent.status().duplicateBytes, BLOCK - 1);
    assert.ok(peer.blockBegins(pieceIndex, 0, BLOCK));
  });

  it("takes no block from a peer that another was asked for", () => {
    const opened = open();
    startDelivering(opened);
    const carol = opened.join("carol");
    startDelivering(carol);
    const [[pieceIndex] = [-1]] = requestsIn(opened.link.take());
    assert.equal(giveBlocks(carol.peer, [[pieceIndex, 0]]), 0);
    assert.equal(giveBlocks(opened.peer, [[pieceIndex, 0]]), 1);
  });
});

describe("a limited download", () => {
  const RATE = 10 * BLOCK;

  function limited() {
    const clock = { nowMs: 0 };
    const down = new TokenBucket(() => clock.nowMs);
    const up = new TokenBucket(() => clock.nowMs);
    down.limitTo(RATE);
    const opened = open({ bandwidth: { up, down }, nowMs: () => clock.nowMs });
    return { ...opened, clock, down };
  }

  it("asks for no more than the limit, in turns when there are tokens", () => {
    const opened = limited();
    const { clock, down, link, torrent } = opened;
    startDelivering(opened);
    assert.equal(requestsIn(link.take()).length, 0);
    let asked = 0;
    for (clock.nowMs = 100; clock.nowMs <= 5000; clock.nowMs += 100) {
      down.tick();
      torrent.tick();
      const requests = requestsIn(link.take());
      asked += requests.length;
      giveBlocks(opened.peer, requests);
      asked += requestsIn(link.said).length;
    }
    assert.ok(asked >= 40 && asked <= 55, `${asked} blocks in 5 s at 10 a second`);
  });

  it("charges a block that comes twice", () => {
    const opened = limited();
    const { clock, down, peer } = opened;
    opened.peer.haveAll();
    clock.nowMs = 1000;
    const somebody = { resume: () => undefined };
    assert.ok(down.allowance(somebody) > 0);
    // Two and a half blocks were saved up.
    for (let copy = 0; copy < 3; copy++) peer.blockBegins(1, 0, BLOCK);
    assert.equal(down.allowance(somebody), 0);
  });

  it("gives no turn to a peer that is gone", () => {
    const opened = limited();
    startDelivering(opened);
    const carol = opened.join("carol");
    startDelivering(carol);
    opened.peer.closed("gone");
    opened.link.take();
    opened.clock.nowMs = 100;
    opened.down.tick();
    assert.deepEqual(opened.link.take(), []);
    assert.equal(requestsIn(carol.link.take()).length, 1, "the next one has the turn");
  });
});
