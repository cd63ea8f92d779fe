// The state of one connection: what it has, how it stands to us and we to it, and what is told of it.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Peer } from "../../../src/swarm/peer.ts";
import { PieceSet } from "../../../src/swarm/piece-set.ts";
import { Rate } from "../../../src/swarm/rate.ts";
import { SmartBan } from "../../../src/swarm/smart-ban.ts";
import type { UploadQueue } from "../../../src/swarm/upload-queue.ts";
import { RecordingLink } from "./recording-link.ts";

const PIECES = 10;

function open({ listenPort }: { listenPort?: number } = {}) {
  const clock = { nowMs: 1000 };
  const link = new RecordingLink();
  const trust = new SmartBan();
  const uploads = { isHeld: false };
  const peer = new Peer({
    slot: 2,
    sourceIndex: 5,
    identity: {
      userId: "bob",
      deviceId: "b0b",
      address: "127.0.0.1:1",
      ...(listenPort !== undefined && { listenPort }),
    },
    link,
    supportsFast: true,
    pieceCount: PIECES,
    requestsToPeer: 100,
    smartBan: trust,
    nowMs: clock.nowMs,
    clock: () => clock.nowMs,
    uploads: uploads as unknown as UploadQueue,
    uploaded: new Rate(),
  });
  return { clock, link, trust, uploads, peer };
}

const setOf = (...pieces: number[]): PieceSet => {
  const set = new PieceSet(PIECES);
  for (const pieceIndex of pieces) set.add(pieceIndex);
  return set;
};
/** What is missing when we have those pieces. */
const missingBut = (...pieces: number[]): PieceSet => PieceSet.full(PIECES).without(setOf(...pieces));

describe("a peer", () => {
  it("is of interest as long as it has a piece that we lack, and is told of each change once", () => {
    const { link, peer } = open();
    peer.updateInterest(true);
    assert.deepEqual(link.take(), []);
    peer.saysItHas(setOf(1, 2), missingBut(2));
    peer.updateInterest(true);
    peer.updateInterest(true);
    assert.deepEqual([link.take(), peer.weAreInterested], [["interested"], true]);
    peer.weGained(7);
    peer.updateInterest(true);
    assert.deepEqual(link.take(), [], "it has no such piece");
    peer.weGained(1);
    peer.updateInterest(true);
    assert.deepEqual([link.take(), peer.weAreInterested], [["not interested"], false]);
    assert.equal(peer.gained(3, false), true);
    peer.updateInterest(true);
    assert.deepEqual(link.take(), [], "we have that one");
    assert.equal(peer.gained(4, true), true);
    assert.equal(peer.gained(4, true), false);
    peer.updateInterest(true);
    peer.weGained(4);
    peer.updateInterest(true);
    assert.deepEqual(link.take(), ["interested", "not interested"]);
    peer.gained(5, true);
    peer.updateInterest(false);
    assert.deepEqual(link.take(), [], "nothing is being fetched");
  });

  it("says what it has with a bitfield or with its first piece, and is a seed when it has all", () => {
    const bitfield = open().peer;
    assert.deepEqual([bitfield.hasSaidWhatItHas, bitfield.isSeed], [false, false]);
    bitfield.saysItHas(PieceSet.full(PIECES), missingBut());
    assert.deepEqual([bitfield.hasSaidWhatItHas, bitfield.isSeed, bitfield.piecesHad], [true, true, PIECES]);
    const one = open().peer;
    one.gained(1, true);
    assert.deepEqual([one.hasSaidWhatItHas, one.isSeed, one.piecesHad], [true, false, 1]);
    one.becameSeed();
    assert.equal(one.isSeed, true);
  });

  it("suggests pieces in order, of which the last 64 are kept, and counts as suggesting for a second", () => {
    const { clock, peer } = open();
    assert.deepEqual([peer.isSuggesting, peer.takeSuggestion()], [false, undefined]);
    for (let suggestion = 0; suggestion < 65; suggestion++) peer.suggested(suggestion % PIECES);
    assert.equal(peer.isSuggesting, true);
    let kept = 0;
    assert.equal(peer.takeSuggestion(), 1, "the first one was forgotten");
    for (kept = 1; peer.takeSuggestion() !== undefined; kept++);
    assert.equal(kept, 64);
    clock.nowMs += 999;
    assert.equal(peer.isSuggesting, true);
    clock.nowMs += 1;
    assert.equal(peer.isSuggesting, false);
  });

  it("is choked and unchoked once, and since when is known", () => {
    const { clock, link, peer } = open();
    assert.deepEqual([peer.isUnchoked, peer.chokedOrUnchokedAtMs], [false, 1000]);
    peer.choke();
    assert.deepEqual(link.take(), [], "it is choked at the start");
    clock.nowMs = 2000;
    peer.unchoke();
    peer.unchoke();
    assert.deepEqual(link.take(), ["unchoke"]);
    assert.deepEqual([peer.isUnchoked, peer.chokedOrUnchokedAtMs], [true, 2000]);
    clock.nowMs = 3000;
    peer.unchoke();
    assert.equal(peer.chokedOrUnchokedAtMs, 2000);
    peer.choke();
    assert.deepEqual(link.take(), ["choke"]);
    assert.deepEqual([peer.isUnchoked, peer.chokedOrUnchokedAtMs], [false, 3000]);
  });

  it("owes nothing any more when it chokes us, and its silence counts from the unchoking", () => {
    const { clock, peer } = open();
    assert.equal(peer.isChokingUs, true);
    peer.unchokedUs();
    assert.equal(peer.isChokingUs, false);
    peer.requests.requested();
    clock.nowMs = 6000;
    assert.equal(peer.requests.unansweredMs, 5000);
    peer.chokedUs();
    assert.deepEqual([peer.isChokingUs, peer.requests.unansweredMs], [true, 0]);
    clock.nowMs = 60_000;
    peer.unchokedUs();
    assert.equal(peer.window.silentForMs(clock.nowMs), 0);
  });

  it("is remarked upon for each thing that keeps it from giving", () => {
    const { clock, peer, trust } = open();
    assert.deepEqual(peer.snapshot().remarks, []);
    peer.saysItHas(setOf(1), missingBut());
    peer.updateInterest(true);
    assert.deepEqual(peer.snapshot().remarks, ["choked"]);
    peer.unchokedUs();
    assert.deepEqual(peer.snapshot().remarks, []);
    peer.requests.requested();
    clock.nowMs += 4000;
    peer.window.snub(clock.nowMs);
    trust.pieceFailed(1, [5, 6]);
    assert.deepEqual(
      [peer.isOnParole, peer.snapshot().remarks],
      [true, ["snubbed", "silent for 4 s", "on parole"]],
    );
  });

  it("keeps the port that the owner knows, and otherwise takes the first that it names", () => {
    const known = open({ listenPort: 7 }).peer;
    known.introducedItself("other 1.0", 9);
    assert.deepEqual([known.snapshot().listenPort, known.snapshot().clientName], [7, "other 1.0"]);
    const { peer } = open();
    assert.equal(peer.snapshot().listenPort, undefined);
    peer.introducedItself(undefined, 9);
    peer.introducedItself("other 1.1", 10);
    assert.deepEqual([peer.snapshot().listenPort, peer.snapshot().clientName], [9, "other 1.1"]);
  });

  it("is shown with its rates, totals, requests and states", () => {
    const { peer, uploads } = open();
    peer.saysItHas(setOf(1, 2, 3), missingBut());
    peer.updateInterest(true);
    peer.unchokedUs();
    peer.unchoke();
    peer.interestChanged(true);
    peer.requests.requested();
    peer.received(1000);
    peer.uploaded.add(500);
    peer.advance(100);
    const { downloadBytesPerSecond, uploadBytesPerSecond, ...rest } = peer.snapshot();
    assert.deepEqual([Math.round(downloadBytesPerSecond), Math.round(uploadBytesPerSecond)], [10_000, 5000]);
    assert.equal(Math.round(peer.requests.bytesPerSecond), 10_000);
    assert.deepEqual(rest, {
      userId: "bob",
      deviceId: "b0b",
      address: "127.0.0.1:1",
      listenPort: undefined,
      clientName: undefined,
      piecesHad: 3,
      pieceCount: PIECES,
      isSeed: false,
      needsNothing: false,
      downloadedBytes: 1000,
      uploadedBytes: 500,
      requestsOutstanding: 1,
      requestWindow: 8,
      weAreInterested: true,
      isInterestedInUs: true,
      isChokingUs: false,
      weAreChoking: false,
      remarks: [],
    });
    assert.equal(peer.isHeldByConnection, false);
    uploads.isHeld = true;
    assert.equal(peer.isHeldByConnection, true);
    assert.deepEqual([peer.isConnected, peer.left(), peer.isConnected], [true, undefined, false]);
    assert.deepEqual([peer.excessRequest(), peer.excessRequest()], [1, 2]);
  });
});
