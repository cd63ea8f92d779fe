// What is asked of whom: what the peers are told, what the limit is charged, and which memory goes back.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BLOCK_LENGTH_BYTES } from "../../../src/metainfo/geometry.ts";
import { beginBlock, giveBlock, partsFor } from "./swarm-parts.ts";

const BLOCK = BLOCK_LENGTH_BYTES;

describe("requests", () => {
  it("charge the limit when they are sent, and no longer once they are cancelled", () => {
    const { addPeer, ask, bucket, requests } = partsFor();
    const bob = addPeer();
    ask(bob, 6);
    assert.equal(bucket.chargedBytes, 6 * BLOCK);
    requests.cancelAll(bob.peer, 1);
    assert.equal(bucket.chargedBytes, BLOCK);
    requests.forgetAll(bob.peer, { mayStillCome: true, includingArriving: true });
    assert.equal(bucket.chargedBytes, 0);
  });

  it("name the block and its length, which is short at the end of the file", () => {
    const { addPeer, ask, bucket, requests } = partsFor({
      have: "   ",
      blocksPerPiece: 2,
      lastBlockBytes: 77,
    });
    const bob = addPeer({ has: "  x" });
    assert.deepEqual(ask(bob, 2), ["2:0", "2:1 of 77 bytes"]);
    assert.equal(bucket.chargedBytes, BLOCK + 77);
    requests.cancelAll(bob.peer, 0);
    assert.deepEqual(bob.link.take(), ["cancel 2:0", "cancel 2:1 of 77 bytes"]);
    assert.equal(bucket.chargedBytes, 0);
  });

  it("that are cancelled are the newest, except the arriving one, and may be sent to other peers", () => {
    const { addPeer, ask, picker, requests } = partsFor();
    const bob = addPeer({ has: "x         " });
    assert.deepEqual(ask(bob, 4), ["0:0", "0:1", "0:2", "0:3"]);
    beginBlock(picker, bob.peer, "0:0");
    requests.cancelAll(bob.peer, 1);
    assert.deepEqual(bob.link.take(), ["cancel 0:2", "cancel 0:3"]);
    assert.equal(bob.peer.requests.outstanding, 2);
    const piece = picker.openPiece(0);
    assert.deepEqual([piece?.freeCount, piece?.isAskedOf(1, bob.peer.slot)], [2, true]);
    // Nothing was free for this peer before.
    const carol = addPeer({ has: "x         " });
    assert.deepEqual(ask(carol, 3), ["0:2", "0:3"]);
    assert.equal(bob.peer.requests.answeredCancelled(0, 2), true);
  });

  it("make it worth while to look again for a peer that nothing was found for", () => {
    const { addPeer, ask, requests } = partsFor({ have: "*********" });
    const one = partsFor({ have: "********* " });
    const [bob, carol] = [one.addPeer(), one.addPeer()];
    one.ask(bob, 4);
    assert.deepEqual(one.ask(carol, 1), []);
    one.requests.cancelAll(bob.peer, 0);
    assert.deepEqual(one.ask(carol, 1), ["9:0"]);
    const piece = one.picker.openPiece(9);
    assert.ok(piece);
    one.ask(bob, 3);
    assert.deepEqual(one.ask(bob, 1), []);
    one.requests.forget(carol.peer, piece, 0, false);
    assert.deepEqual(one.ask(bob, 1), ["9:0"]);
    // A peer of whom nothing is asked costs no look at the pieces.
    const nobody = addPeer();
    ask(nobody, 1);
    requests.cancelAll(nobody.peer, 0);
    assert.deepEqual(nobody.link.take(), []);
  });

  it("move from one peer to another: the slower one is told, and the block is one peer's alone", () => {
    const { addPeer, ask, picker, requests, bucket } = partsFor();
    const [slow, fast] = [addPeer({ has: "x         " }), addPeer()];
    ask(slow, 4);
    const piece = picker.openPiece(0);
    assert.ok(piece);
    const before = piece.askedOrder(3);
    requests.move(slow.peer, fast.peer, piece, 3);
    assert.deepEqual([slow.link.take(), fast.link.take()], [["cancel 0:3"], ["request 0:3"]]);
    assert.deepEqual([slow.peer.requests.outstanding, fast.peer.requests.outstanding], [3, 1]);
    assert.deepEqual([piece.isAskedOf(3, 0), piece.isAskedOf(3, 1)], [false, true]);
    assert.ok(piece.askedOrder(3) > before);
    assert.equal(bucket.chargedBytes, 4 * BLOCK);
  });

  it("are numbered in the order in which they were asked", () => {
    const { addPeer, ask, picker } = partsFor();
    const bob = addPeer({ has: "x         " });
    ask(bob, 3);
    const piece = picker.openPiece(0);
    const orders = [0, 1, 2].map((block) => piece?.askedOrder(block) ?? -1);
    assert.ok(orders[0] !== undefined && orders[0] > 0);
    assert.deepEqual(
      orders,
      orders.toSorted((a, b) => a - b),
    );
    assert.equal(new Set(orders).size, 3);
  });

  it("of one piece are cancelled at all peers, except the arriving one", () => {
    const { addPeer, ask, picker, requests, peers } = partsFor();
    const [bob, carol] = [addPeer({ has: "x         " }), addPeer({ has: "x         " })];
    ask(bob, 2);
    ask(carol, 2);
    beginBlock(picker, bob.peer, "0:0");
    const piece = picker.openPiece(0);
    assert.ok(piece);
    requests.cancelPiece(piece, peers);
    assert.deepEqual([bob.link.take(), carol.link.take()], [["cancel 0:1"], ["cancel 0:2", "cancel 0:3"]]);
    assert.deepEqual([bob.peer.requests.outstanding, carol.peer.requests.outstanding], [1, 0]);
    assert.equal(piece.freeCount, 3);
  });

  it("that a peer was asked in vain are free again, and may still come if the peer only choked", () => {
    for (const mayStillCome of [true, false]) {
      const { addPeer, ask, picker, requests, bucket } = partsFor();
      const bob = addPeer({ has: "x         " });
      ask(bob, 3);
      beginBlock(picker, bob.peer, "0:0");
      requests.forgetAll(bob.peer, { mayStillCome, includingArriving: false });
      assert.deepEqual(bob.link.take(), [], "nobody is told");
      assert.equal(bob.peer.requests.outstanding, 1);
      assert.notEqual(bob.peer.requests.arriving, undefined);
      assert.equal(bob.peer.requests.answeredCancelled(0, 1), mayStillCome);
      requests.forgetAll(bob.peer, { mayStillCome, includingArriving: true });
      assert.equal(bob.peer.requests.outstanding, 0);
      assert.equal(bob.peer.requests.arriving, undefined);
      assert.equal(bucket.chargedBytes, 0);
      const piece = picker.openPiece(0);
      assert.deepEqual([piece?.freeCount, piece?.isBeingWritten], [4, false]);
    }
  });

  it("of a piece that was given up while a block arrives: its memory goes back when that is forgotten", () => {
    const { addPeer, ask, picker, requests, reserved } = partsFor();
    const bob = addPeer({ has: "x         " });
    ask(bob, 2);
    beginBlock(picker, bob.peer, "0:0");
    const piece = picker.openPiece(0);
    assert.ok(piece);
    requests.abandon(piece);
    assert.deepEqual([...reserved], [0], "a decoder writes there");
    requests.forgetAll(bob.peer, { mayStillCome: false, includingArriving: true });
    assert.deepEqual([...reserved], []);
    assert.equal(picker.openPiece(0), undefined);
  });

  it("count what had come of a piece that is given up as discarded, once", () => {
    const { addPeer, ask, picker, requests, reserved } = partsFor();
    const bob = addPeer({ has: "x         " });
    ask(bob, 3);
    giveBlock(picker, bob.peer, "0:0", 0);
    giveBlock(picker, bob.peer, "0:2", 0);
    const piece = picker.openPiece(0);
    assert.ok(piece);
    requests.abandon(piece);
    requests.abandon(piece);
    assert.equal(requests.discardedBytes, 2 * BLOCK);
    assert.equal(reserved.size, 0);
    assert.equal(picker.availability.isFree(0), true);
  });

  it("do not give up a piece that is on its way to the disk", () => {
    const { addPeer, ask, picker, requests, reserved } = partsFor();
    const bob = addPeer({ has: "x         " });
    ask(bob, 1);
    const piece = picker.openPiece(0);
    assert.ok(piece);
    piece.commits();
    requests.abandon(piece);
    assert.deepEqual([piece.status, reserved.size, requests.discardedBytes], ["committing", 1, 0]);
  });

  it("of a peer on parole that stops giving are cancelled, and its pieces given up; no other's are", () => {
    const { addPeer, ask, picker, requests, reserved, trust } = partsFor();
    const [suspect, other, second] = [addPeer(), addPeer(), addPeer()];
    trust.pieceFailed(0, [suspect.peer.sourceIndex, second.peer.sourceIndex]);
    const [alone = ""] = ask(suspect, 2);
    const [elsewhere = ""] = ask(second, 1);
    const [shared = ""] = ask(other, 1);
    giveBlock(picker, suspect.peer, alone, 0);
    requests.resetExclusive(suspect.peer);
    assert.deepEqual(suspect.link.take(), [`cancel ${alone.replace(":0", ":1")}`]);
    assert.deepEqual([second.link.take(), other.link.take()], [[], []]);
    assert.deepEqual(
      [...reserved].sort(),
      [elsewhere, shared].map((place) => Number(place.split(":")[0])).sort(),
    );
    assert.equal(requests.discardedBytes, BLOCK);
    assert.equal(suspect.peer.requests.outstanding, 0);
  });

  it("leave a piece on parole that nobody owns to nobody", () => {
    const { addPeer, ask, picker, requests, reserved, trust } = partsFor();
    const [suspect, other] = [addPeer(), addPeer()];
    trust.pieceFailed(0, [suspect.peer.sourceIndex, 77]);
    ask(suspect, 1);
    ask(other, 2);
    picker.disown(suspect.peer);
    requests.resetExclusive(other.peer);
    assert.equal(reserved.size, 1);
    assert.deepEqual([other.link.take(), other.peer.requests.outstanding], [[], 2]);
  });
});
