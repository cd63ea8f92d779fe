// Why nothing arrives, in words: each reason, and which of two goes first.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  NOBODY_HAS_IT,
  type PeerSnapshot,
  type StallFacts,
  waitingFor,
} from "../../../src/swarm/torrent-status.ts";

function peerThat({ isUseful = true, isChoking = false, isSnubbed = false } = {}): PeerSnapshot {
  const remarks = isSnubbed ? ["snubbed"] : [];
  return { weAreInterested: isUseful, isChokingUs: isChoking, remarks } as unknown as PeerSnapshot;
}

const said = (facts: Partial<StallFacts>): string | undefined =>
  waitingFor({
    isDownloading: true,
    silentForMs: 2000,
    isOutOfMemory: false,
    isCommitting: false,
    peers: [peerThat()],
    ...facts,
  });

test("nothing is said while something arrives, or when nothing is wanted", () => {
  assert.equal(said({ silentForMs: 1999 }), undefined);
  assert.equal(said({ isDownloading: false }), undefined);
  assert.equal(said({ isDownloading: false, peers: [] }), undefined);
});

test("without a peer, or one that has a missing piece, that is the reason", () => {
  assert.equal(said({ peers: [] }), "waiting for a peer");
  assert.equal(said({ peers: [peerThat({ isUseful: false })], isOutOfMemory: true }), NOBODY_HAS_IT);
});

test("peers that choke are the reason if no other has a missing piece", () => {
  const choking = peerThat({ isChoking: true });
  assert.equal(
    said({ peers: [choking, peerThat({ isUseful: false })] }),
    "the only useful peer chokes us",
    "a peer that has nothing does not count",
  );
  assert.equal(said({ peers: [choking, choking] }), "all peers choke us");
  assert.equal(said({ peers: [choking, peerThat()] }), "waiting for the first blocks");
});

test("peers that do not answer are the reason if all that give are silent", () => {
  const silent = peerThat({ isSnubbed: true });
  assert.equal(said({ peers: [silent, peerThat({ isChoking: true })] }), "no peer answers");
  assert.equal(said({ peers: [silent, peerThat()] }), "waiting for the first blocks");
});

test("memory that lacks is the disk's doing while pieces are written, and otherwise other downloads'", () => {
  assert.equal(said({ isOutOfMemory: true, isCommitting: true }), "waiting for the disk");
  assert.equal(said({ isOutOfMemory: true }), "waiting for memory that other downloads use");
  assert.equal(said({ isCommitting: true }), "waiting for the first blocks");
});
