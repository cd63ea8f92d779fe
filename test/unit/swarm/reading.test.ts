// A torrent that somebody reads while it downloads: what is asked of which peer, when a block is late, when the reader jumps.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BLOCK_LENGTH_BYTES, Geometry } from "../../../src/metainfo/geometry.ts";
import { encodeExtensionHandshake } from "../../../src/wire/extensions.ts";
import { bitfieldOf, geometry, giveBlocks, offset, open } from "./lone-torrent.ts";
import { cancelsIn, requestsIn } from "./recording-link.ts";

const BLOCK = BLOCK_LENGTH_BYTES;
const PIECE = geometry.pieceLengthBytes;
const unchanged = {
  extensionIds: new Map(),
  listenPort: undefined,
  requestLimit: undefined,
  clientName: undefined,
};
const readingHandshake = (isReading: boolean): Uint8Array =>
  encodeExtensionHandshake({ ...unchanged, isReading });
type Opened = ReturnType<typeof open>;
type Joined = Pick<Opened, "link" | "peer">;
const has = (picture: string): Uint8Array => bitfieldOf(picture, "x").toBytes();
const readAt = ({ torrent }: Opened, piece: number, pieces = 2) =>
  torrent.readAhead({ positionBytes: piece * PIECE, windowBytes: pieces * PIECE, bytesPerSecond: PIECE });

describe("a torrent that is read", () => {
  it("fetches the piece that is read first, then the next ones, then the rest; and says when it is there", () => {
    const opened = open();
    const { peer, link } = opened;
    const heard: boolean[] = [];
    const reader = readAt(opened, 6);
    reader.whenReadable(6 * PIECE, PIECE, (isReadable) => heard.push(isReadable));
    peer.haveAll();
    peer.unchoke();
    const asked = requestsIn(link.take());
    assert.deepEqual(
      asked.map(([piece]) => piece),
      [6, 6, 6, 6, 7, 7, 7, 7],
    );
    giveBlocks(peer, asked.slice(0, 3));
    assert.deepEqual(heard, []);
    giveBlocks(peer, asked.slice(3));
    assert.deepEqual([heard, reader.readableBytes(6 * PIECE, 5 * PIECE)], [[true], 2 * PIECE]);
    const rest = requestsIn(link.take()).map(([piece]) => piece);
    assert.equal(rest.includes(6) || rest.includes(7), false);
    assert.ok(rest.length > 0);
  });

  it("makes way when the reader jumps: what a peer does not deliver in a moment is cancelled and asked for again behind it", () => {
    const long = new Geometry(200 * BLOCK, 4 * BLOCK);
    const opened = open({ geometry: long, requestsFromPeer: 1000 });
    const { peer, link, torrent, runTo } = opened;
    peer.haveAll();
    peer.unchoke();
    // 20 blocks a second.
    const asked = requestsIn(link.take());
    runTo(2000, () => {
      giveBlocks(peer, asked.splice(0, 2));
      asked.push(...requestsIn(link.take()));
    });
    const outstanding = asked.length;
    assert.ok(outstanding > 10, `${outstanding}`);
    torrent.readAhead({ positionBytes: 40 * 4 * BLOCK, windowBytes: 8 * BLOCK, bytesPerSecond: 8 * BLOCK });
    const said = link.take();
    const cancelled = cancelsIn(said);
    const kept = asked.filter((one) => !cancelled.some((gone) => gone.join() === one.join()));
    assert.ok(kept.length >= 6 && kept.length <= 9, `${kept.length} are kept: 400 ms`);
    assert.deepEqual(kept, asked.slice(0, kept.length), "the oldest");
    // A block that was on its way all the same has its place.
    const [crossing] = cancelled;
    assert.ok(crossing);
    assert.equal(giveBlocks(peer, [crossing]), 1);
    assert.equal(torrent.status().peers[0]?.requestsOutstanding, kept.length);
    assert.equal(torrent.status().wastedBytes, 0);
    giveBlocks(peer, kept.slice(0, 4));
    assert.deepEqual(requestsIn(link.take())[0], [40, 0]);
  });

  it("asks another peer for a block that is late, and takes it from whichever sends it first", () => {
    for (const first of ["other", "late"] as const) {
      const { opened, late, other } = withLateBlock();
      const sender: Joined = first === "late" ? late : other;
      const loser: Joined = first === "late" ? other : late;
      assert.ok(sender.peer.blockBegins(9, offset(0), BLOCK));
      sender.peer.blockEnds(9, offset(0), BLOCK);
      assert.equal(opened.torrent.status().duplicateBytes, 0);
      if (first === "late") assert.ok(cancelsIn(loser.link.take()).some((block) => block.join() === "9,0"));
      assert.equal(loser.peer.blockBegins(9, offset(0), BLOCK), undefined, "it is here");
      assert.equal(opened.torrent.status().duplicateBytes, BLOCK);
    }
  });

  it("does not take a late block from both: once one sends it, the other's has no place", () => {
    const { late, other } = withLateBlock();
    assert.ok(other.peer.blockBegins(9, offset(0), BLOCK));
    assert.equal(late.peer.blockBegins(9, offset(0), BLOCK), undefined);
  });

  it("leaves a block with its peer for as long as that was said to take, and 400 ms", () => {
    const { opened, other } = withLateBlock(400);
    assert.deepEqual(requestsIn(other.link.take()), []);
    opened.runTo(1000);
    assert.ok(requestsIn(other.link.take()).some((block) => block.join() === "9,0"));
  });

  it("asks no peer for a late block that has not shown that it delivers what it was asked for", () => {
    const opened = open({ has: "******    " });
    readAt(opened, 9, 1);
    opened.peer.bitfield(has("         x"));
    opened.peer.unchoke();
    // Piece 6 is free, so that this is no endgame.
    opened.join("dave").peer.bitfield(has("      x   "));
    const silent = opened.join("carol");
    silent.peer.extended(0, encodeExtensionHandshake({ ...unchanged, requestLimit: 4 }));
    silent.peer.bitfield(has("        xx"));
    silent.peer.unchoke();
    assert.equal(requestsIn(silent.link.take()).length, 4);
    opened.runTo(1500);
    assert.deepEqual(requestsIn(silent.link.take()), []);
  });

  it("takes a piece that it reads from a peer on parole, which was to give all of it", () => {
    const opened = open({ outcome: "later", has: "********  " });
    const { peer, link, join, commits } = opened;
    const carol = join("carol");
    for (const one of [opened, carol]) {
      one.peer.bitfield(has("        x "));
      one.peer.unchoke();
    }
    // Both give of a piece that does not have its hash: each has to give a whole one alone.
    giveBlocks(peer, [
      [8, 0],
      [8, 1],
      [8, 2],
    ]);
    carol.peer.closed("gone");
    link.take();
    const again = join("carol");
    again.peer.bitfield(has("        x "));
    again.peer.unchoke();
    opened.torrent.tick();
    peer.choke();
    peer.reject(8, offset(3), BLOCK);
    assert.deepEqual(requestsIn(again.link.take()).at(-1), [8, 3]);
    giveBlocks(again.peer, [[8, 3]]);
    again.peer.closed("gone");
    commits[0]?.done("mismatch");
    peer.unchoke();
    const alone = new Set(requestsIn(link.take()).map((block) => block.join()));
    assert.equal(alone.size, 4, "bob is to give all of it");
    const dave = join("dave");
    dave.peer.bitfield(has("        xx"));
    dave.peer.unchoke();
    assert.equal(
      requestsIn(dave.link.take()).some(([piece]) => piece === 8),
      false,
    );
    readAt(opened, 8, 1);
    assert.equal(cancelsIn(link.take()).length, 4);
    giveBlocks(dave.peer, [
      [9, 0],
      [9, 1],
    ]);
    assert.equal(
      requestsIn(dave.link.take()).some(([piece]) => piece === 8),
      true,
    );
  });

  it("tells peers that it is read, those that come later too, and when it no longer is", () => {
    const opened = open();
    const { link, join } = opened;
    const reader = readAt(opened, 1);
    const later = join("carol");
    readAt(opened, 2).close();
    reader.close();
    const saidTo = ({ link: { handshakes } }: Pick<Opened, "link">) =>
      handshakes.map(({ isReading }) => isReading);
    assert.deepEqual(saidTo({ link }), [undefined, true, false]);
    assert.deepEqual(saidTo(later), [true, false]);
  });

  it("fetches what is wanted ahead of the reader, also when it is wanted later", () => {
    const opened = open({ wants: "wwww      " });
    const { peer, link, torrent } = opened;
    readAt(opened, 6);
    peer.haveAll();
    peer.unchoke();
    const asked = requestsIn(link.take());
    torrent.want(bitfieldOf("wwwwwwwwww", "w"));
    link.take();
    giveBlocks(peer, asked);
    assert.deepEqual(requestsIn(link.take())[0], [6, 0]);
  });

  it("reads nothing more once it is closed", () => {
    const opened = open();
    const heard: boolean[] = [];
    readAt(opened, 1).whenReadable(0, 1, (isReadable) => heard.push(isReadable));
    opened.torrent.close("over");
    assert.deepEqual(heard, [false]);
  });
});

describe("a seed", () => {
  /** Carol waits for a piece that nobody has yet; bob, who may read, asks for one that she has. */
  const withReader = (otherSeedCount: number, isReading: boolean): Opened => {
    const opened = open({ has: "**********", otherSeedCount: () => otherSeedCount, requestsFromPeer: 100 });
    const carol = opened.join("carol");
    opened.peer.haveNone();
    carol.peer.bitfield(has("x         "));
    for (const { peer } of [opened, carol]) peer.interested();
    if (isReading) opened.peer.extended(0, readingHandshake(true));
    carol.link.hasRoom = false;
    for (const block of [0, 3]) carol.peer.request(5, offset(block), BLOCK);
    opened.runDue();
    opened.peer.request(0, 0, BLOCK);
    opened.runDue();
    return opened;
  };
  const wasServed = ({ link }: Opened): boolean => link.take().some((said) => said.startsWith("blocks 0:"));

  it("among others serves a reader at once, though another peer waits for what nobody has yet", () => {
    assert.equal(wasServed(withReader(1, false)), false);
    assert.equal(wasServed(withReader(1, true)), true);
  });

  it("that is the only one lets a reader wait for a fifth of a second", () => {
    const opened = withReader(0, true);
    assert.equal(wasServed(opened), false);
    opened.runTo(300);
    assert.equal(wasServed(opened), true);
  });

  it("gives the place of a reader that left to a peer that does not read", () => {
    const opened = withReader(1, true);
    opened.peer.closed("gone");
    const dave = opened.join("dave");
    dave.peer.haveNone();
    dave.peer.interested();
    dave.link.take();
    dave.peer.request(0, 0, BLOCK);
    opened.runDue();
    assert.equal(
      dave.link.take().some((said) => said.startsWith("blocks 0:")),
      false,
    );
  });

  it("lets a peer wait again that says that it no longer reads", () => {
    const opened = withReader(1, true);
    assert.equal(wasServed(opened), true);
    opened.peer.extended(0, readingHandshake(false));
    opened.peer.request(0, offset(1), BLOCK);
    opened.runDue();
    assert.equal(wasServed(opened), false);
  });
});

/** Piece 9 is read; bob was asked for all of it and sends nothing. Carol, who has it too, delivers others. */
function withLateBlock(atMs = 600): { opened: Opened; late: Joined; other: Joined } {
  const opened = open({ has: "******    " });
  readAt(opened, 9, 1);
  opened.peer.bitfield(has("         x"));
  opened.peer.unchoke();
  assert.deepEqual(requestsIn(opened.link.take())[0], [9, 0]);
  const other = opened.join("carol");
  other.peer.extended(0, encodeExtensionHandshake({ ...unchanged, requestLimit: 2 }));
  other.peer.bitfield(has("      xxxx"));
  other.peer.unchoke();
  const asked = requestsIn(other.link.take());
  assert.equal(asked.length, 2);
  opened.runTo(atMs - 100, () => {
    giveBlocks(other.peer, asked.splice(0, 1));
    asked.push(...requestsIn(other.link.take()));
  });
  opened.runTo(atMs);
  return { opened, late: opened, other };
}
