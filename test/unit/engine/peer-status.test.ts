// What `peers` shows of a torrent, and what is logged of work that nobody waits for.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileKey } from "../../../src/client/file-key.ts";
import { peerStatuses } from "../../../src/engine/peer-status.ts";
import type { PeerSnapshot, SourceSnapshot, TorrentStatus } from "../../../src/swarm/torrent-status.ts";

const peer: PeerSnapshot = {
  ...{ userId: "alice", deviceId: "a1", address: "192.0.2.7:7000", listenPort: 7000, clientName: "x" },
  ...{
    piecesHad: 3,
    pieceCount: 10,
    isSeed: false,
    needsNothing: false,
    requestsOutstanding: 1,
    requestWindow: 8,
  },
  ...{ downloadBytesPerSecond: 11, uploadBytesPerSecond: 12, downloadedBytes: 13, uploadedBytes: 14 },
  ...{
    weAreInterested: true,
    isInterestedInUs: true,
    isChokingUs: false,
    weAreChoking: false,
    remarks: ["choked"],
  },
};
const source = (userId: string, changes: Partial<SourceSnapshot>): SourceSnapshot => ({
  ...{
    userId,
    pieces: 1,
    bytes: 20,
    bytesPerSecond: 5,
    isConnected: false,
    isBanned: false,
    stall: undefined,
  },
  ...changes,
});
const swarm = (peers: readonly PeerSnapshot[], sources: readonly SourceSnapshot[]): TorrentStatus => ({
  ...{
    piecesVerified: 0,
    piecesWanted: 10,
    pieceCount: 10,
    bytesVerified: 0,
    bytesWanted: 100,
    downloadedBytes: 0,
    uploadedBytes: 0,
    wastedBytes: 0,
  },
  ...{ downloadBytesPerSecond: 0, uploadBytesPerSecond: 0, duplicateBytes: 0, waitingFor: undefined },
  ...{ peers, sources },
});

test("connected peers are shown with what came and went, in both directions", () => {
  assert.deepEqual(peerStatuses(swarm([peer], [source("alice", { isConnected: true })])), [
    {
      ...{ userId: "alice", address: "192.0.2.7:7000", piecesHad: 3, pieceCount: 10, remarks: ["choked"] },
      ...{ downloadBytesPerSecond: 11, uploadBytesPerSecond: 12, downloadedBytes: 13, uploadedBytes: 14 },
    },
  ]);
});

test("departed peers are shown only if they are banned, or did not give what was requested of them", () => {
  const sources = [
    source("carol", {}),
    source("dave", { isBanned: true, isConnected: true, stall: "silent" }),
    source("eve", { stall: "did not answer" }),
    source("frank", { stall: "did not answer", isConnected: true }),
  ];
  const nothing = { downloadBytesPerSecond: 0, uploadBytesPerSecond: 0, uploadedBytes: 0, piecesHad: 0 };
  assert.deepEqual(peerStatuses(swarm([], sources)), [
    {
      userId: "dave",
      address: "",
      pieceCount: 10,
      downloadedBytes: 20,
      ...nothing,
      remarks: ["banned: sent bad data"],
    },
    {
      userId: "eve",
      address: "",
      pieceCount: 10,
      downloadedBytes: 20,
      ...nothing,
      remarks: ["gone: did not answer"],
    },
  ]);
});

test("files of two groups have two keys, whatever their names", () => {
  assert.notEqual(fileKey({ groupId: "a", fileName: "b c" }), fileKey({ groupId: "a b", fileName: "c" }));
  assert.notEqual(fileKey({ groupId: "ab", fileName: "c" }), fileKey({ groupId: "a", fileName: "bc" }));
});
