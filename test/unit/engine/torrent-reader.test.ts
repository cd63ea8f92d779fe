// Waiting for bytes of a torrent that is downloading, with promises.
import assert from "node:assert/strict";
import { test } from "node:test";
import { TorrentReader } from "../../../src/engine/torrent-reader.ts";
import { geometry, giveBlocks, open } from "../swarm/lone-torrent.ts";
import { requestsIn } from "../swarm/recording-link.ts";

const PIECE = geometry.pieceLengthBytes;

function reading(piece: number) {
  const opened = open({ has: "*         " });
  const reader = new TorrentReader(opened.torrent, { positionBytes: piece * PIECE, windowBytes: 2 * PIECE });
  opened.peer.haveAll();
  opened.peer.unchoke();
  /** The peer delivers the piece that is requested first. */
  const deliver = (): void => void giveBlocks(opened.peer, requestsIn(opened.link.take()).slice(0, 4));
  return { ...opened, reader, deliver };
}

test("a reader gets what is there at once, and waits for a piece that is not", async () => {
  const { reader, deliver, torrent } = reading(4);
  assert.equal(await reader.readable(10, 100), 100);
  assert.equal(await reader.readable(10, 10 * PIECE), PIECE - 10);
  const waiting = reader.readable(4 * PIECE + 5, 10 * PIECE);
  deliver();
  assert.equal(torrent.have.has(4), true);
  assert.equal(await waiting, PIECE - 5);
});

test("a reader that jumps has what is ahead of its new place fetched", async () => {
  const { reader, link, peer } = reading(4);
  const asked = requestsIn(link.take());
  const waiting = reader.readable(8 * PIECE, PIECE);
  // Its window is full: what it asks for next is the new place.
  giveBlocks(peer, asked);
  const next = requestsIn(link.take());
  assert.deepEqual(next[0], [8, 0]);
  giveBlocks(peer, next);
  assert.equal(await waiting, PIECE);
});

test("a reader gets 0 when the bytes do not come: the torrent is closed, or it is", async () => {
  const ending = reading(4);
  const waiting = ending.reader.readable(4 * PIECE, 1);
  ending.torrent.close("over");
  assert.equal(await waiting, 0);
  const closing = reading(4);
  const second = closing.reader.readable(4 * PIECE, 1);
  closing.reader.close();
  assert.equal(await second, 0);
  assert.equal(await closing.reader.readable(5 * PIECE, 1), 0);
});

test("an aborted wait rejects with the reason, and is over", async () => {
  const { reader, deliver } = reading(4);
  const controller = new AbortController();
  const waiting = reader.readable(4 * PIECE, 1, controller.signal);
  controller.abort(new Error("the player was closed"));
  await assert.rejects(waiting, /the player was closed/);
  await assert.rejects(reader.readable(4 * PIECE, 1, controller.signal), /the player was closed/);
  deliver();
  assert.equal(await reader.readable(4 * PIECE, 1), 1);
});
