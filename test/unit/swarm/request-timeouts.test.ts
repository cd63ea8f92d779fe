// How long a peer's silence, a block that stops in the middle, and a begun piece that nobody gives are borne.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RequestTimeouts } from "../../../src/swarm/request-timeouts.ts";
import { cancelsIn, requestsIn } from "./recording-link.ts";
import { beginBlock, giveBlock, type PartsOptions, partsFor } from "./swarm-parts.ts";

/** As long as nothing is known of a peer's habits. */
const TIMEOUT_MS = 10_000;

function open(options: PartsOptions = {}) {
  const parts = partsFor(options);
  const { geometry, pieces, storage, nowMs, picker, requests, peers } = parts;
  const dice = { value: 0 };
  const timeouts = new RequestTimeouts({
    geometry,
    pieces,
    storage,
    nowMs,
    random: () => dice.value,
    picker,
    requests,
    peers,
  });
  return { ...parts, timeouts, dice };
}

describe("a silent peer", () => {
  it("keeps its oldest request at the first timeout, and rests with none at the second", () => {
    const { addPeer, ask, clock, timeouts, picker } = open();
    const bob = addPeer();
    ask(bob, 8);
    clock.nowMs = TIMEOUT_MS;
    timeouts.check(bob.peer, clock.nowMs);
    assert.deepEqual([bob.peer.window.isSnubbed, bob.peer.requests.outstanding], [false, 8]);
    clock.nowMs = TIMEOUT_MS + 1;
    timeouts.check(bob.peer, clock.nowMs);
    assert.deepEqual([bob.peer.window.isSnubbed, bob.peer.window.isResting], [true, false]);
    assert.equal(bob.peer.requests.outstanding, 1);
    assert.equal(cancelsIn(bob.link.take()).length, 7);
    assert.equal([...picker.orphans()].length, 2, "its pieces are free for others");
    clock.nowMs += TIMEOUT_MS + 1;
    timeouts.check(bob.peer, clock.nowMs);
    assert.deepEqual([bob.peer.window.isResting, bob.peer.requests.outstanding], [true, 0]);
    bob.peer.requests.choked();
    assert.equal(bob.peer.requests.stall, "does not answer");
  });

  it("that chokes us keeps no request, and does not rest", () => {
    const { addPeer, ask, clock, timeouts } = open();
    const bob = addPeer();
    ask(bob, 8);
    bob.peer.chokedUs();
    for (const round of [1, 2]) {
      clock.nowMs = round * (TIMEOUT_MS + 1);
      timeouts.check(bob.peer, clock.nowMs);
      assert.deepEqual([bob.peer.requests.outstanding, bob.peer.window.isResting], [0, false]);
    }
  });

  it("that rejected what it has is said to, when it rests", () => {
    const { addPeer, ask, timeouts } = open();
    const bob = addPeer();
    ask(bob, 2);
    bob.peer.requests.rejected();
    timeouts.rest(bob.peer);
    bob.peer.requests.choked();
    assert.equal(bob.peer.requests.stall, "rejects what it says it has");
    assert.deepEqual([bob.peer.window.isResting, bob.peer.requests.outstanding], [true, 0]);
  });

  it("on parole gives up the piece it had begun when it rests", () => {
    const { addPeer, ask, timeouts, trust, reserved } = open();
    const bob = addPeer();
    trust.pieceFailed(0, [bob.peer.sourceIndex, 9]);
    ask(bob, 2);
    timeouts.rest(bob.peer);
    assert.equal(reserved.size, 0);
  });
});

describe("a peer that stops in the middle of a block", () => {
  it("is closed after two timeouts", () => {
    const { addPeer, ask, clock, timeouts, picker } = open();
    const bob = addPeer();
    const [first = ""] = ask(bob, 2);
    beginBlock(picker, bob.peer, first);
    clock.nowMs = 2 * TIMEOUT_MS;
    timeouts.check(bob.peer, clock.nowMs);
    assert.deepEqual(bob.link.take(), []);
    clock.nowMs = 2 * TIMEOUT_MS + 1;
    timeouts.check(bob.peer, clock.nowMs);
    assert.deepEqual(bob.link.take(), ["close: it stopped in the middle of a block"]);
    assert.equal(bob.peer.requests.stall, "stops in the middle of a block");
  });

  for (const [what, isClosed, spoil] of [
    ["in endgame after three seconds, if somebody idle has the piece too", true, () => undefined],
    [
      "not so soon if the other one chokes us",
      false,
      ({ carol }: ReturnType<typeof stopping>) => carol.peer.chokedUs(),
    ],
    [
      "not so soon if the other one is snubbed",
      false,
      ({ carol }: ReturnType<typeof stopping>) => carol.peer.window.snub(0),
    ],
    [
      "not so soon if the other one lacks the piece",
      false,
      ({ carol }: ReturnType<typeof stopping>) => void carol.peer.has.remove(9),
    ],
    [
      "not so soon if the other one is busy",
      false,
      ({ carol }: ReturnType<typeof stopping>) => {
        for (let asked = 0; asked < 20; asked++) carol.peer.requests.requested();
      },
    ],
    [
      "not so soon while something is free",
      false,
      ({ picker }: ReturnType<typeof stopping>) => picker.availability.free(3),
    ],
  ] as const) {
    it(`is closed ${what}`, () => {
      const opened = stopping();
      const { clock, timeouts, bob } = opened;
      spoil(opened);
      clock.nowMs = 3000;
      timeouts.check(bob.peer, clock.nowMs);
      assert.deepEqual(bob.link.take(), []);
      clock.nowMs = 3001;
      timeouts.check(bob.peer, clock.nowMs);
      assert.equal(bob.link.take().length > 0, isClosed);
    });
  }

  function stopping() {
    const opened = open({ have: "********* " });
    const [bob, carol] = [opened.addPeer(), opened.addPeer()];
    opened.ask(bob, 4);
    beginBlock(opened.picker, bob.peer, "9:0");
    return { ...opened, bob, carol };
  }
});

describe("a resting peer", () => {
  it("is tried with one block of a piece that it has and we lack, which holds no memory", () => {
    const { addPeer, clock, timeouts, reserved, dice } = open({ have: "** *      " });
    const bob = addPeer({ has: "x x   x   " });
    bob.peer.window.rest(0);
    assert.equal(bob.peer.window.isProbeDue(TIMEOUT_MS), true);
    clock.nowMs = TIMEOUT_MS;
    timeouts.probe(bob.peer, clock.nowMs);
    assert.deepEqual(bob.link.take(), ["request 2:0"]);
    assert.equal(bob.peer.window.isProbeDue(clock.nowMs), false, "the next try is due after another timeout");
    assert.equal(reserved.size, 0);
    assert.equal(bob.peer.requests.outstanding, 0);
    dice.value = 0.3;
    timeouts.probe(bob.peer, clock.nowMs);
    assert.deepEqual(bob.link.take(), ["request 6:1"], "from a random piece and block on");
    dice.value = 0.999;
    timeouts.probe(bob.peer, clock.nowMs);
    assert.deepEqual(bob.link.take(), ["request 2:3"], "round the end of the file");
  });

  it("is not asked again for a block that it still owes", () => {
    const { addPeer, timeouts } = open();
    const bob = addPeer();
    timeouts.probe(bob.peer, 0);
    timeouts.probe(bob.peer, 0);
    assert.equal(requestsIn(bob.link.take()).length, 1);
  });

  it("that has nothing that we lack is not tried", () => {
    const { addPeer, timeouts } = open({ have: "*         " });
    const bob = addPeer({ has: "x         " });
    timeouts.probe(bob.peer, 0);
    assert.deepEqual(bob.link.take(), []);
  });
});

describe("a begun piece that nobody gives", () => {
  /** A piece of which one block has come from a peer that then left. */
  function begun() {
    const opened = open();
    const bob = opened.addPeer({ has: "x         " });
    opened.ask(bob, 2);
    giveBlock(opened.picker, bob.peer, "0:0", 0);
    opened.requests.forgetAll(bob.peer, { mayStillCome: false, includingArriving: true });
    opened.picker.peerLeft(bob.peer);
    opened.peers[bob.peer.slot] = undefined;
    return opened;
  }

  it("is given up after ten seconds of scarce memory", () => {
    const { clock, timeouts, reserved, storage, requests } = begun();
    storage.isMemoryScarce = true;
    for (clock.nowMs = 0; clock.nowMs < 10_000; clock.nowMs += 100) {
      timeouts.giveUpStuckPieces(clock.nowMs);
      assert.equal(reserved.size, 1, `at ${clock.nowMs} ms`);
    }
    timeouts.giveUpStuckPieces(clock.nowMs);
    assert.equal(reserved.size, 0);
    assert.ok(requests.discardedBytes > 0);
  });

  it("is kept while memory is not scarce, and the ten seconds begin anew", () => {
    const { clock, timeouts, reserved, storage } = begun();
    for (clock.nowMs = 0; clock.nowMs < 60_000; clock.nowMs += 100) {
      storage.isMemoryScarce = clock.nowMs % 5000 !== 0;
      timeouts.giveUpStuckPieces(clock.nowMs);
    }
    assert.equal(reserved.size, 1);
  });

  it("is kept while somebody could give it", () => {
    const { addPeer, clock, timeouts, reserved, storage } = begun();
    storage.isMemoryScarce = true;
    const carol = addPeer();
    clock.nowMs = 20_000;
    timeouts.giveUpStuckPieces(0);
    timeouts.giveUpStuckPieces(clock.nowMs);
    assert.equal(reserved.size, 1);
    carol.peer.window.snub(clock.nowMs);
    timeouts.giveUpStuckPieces(clock.nowMs);
    clock.nowMs += 10_000;
    timeouts.giveUpStuckPieces(clock.nowMs);
    assert.equal(reserved.size, 0, "a peer that is silent does not give");
  });

  it("gives its requests back before it is given up, so that the peer is told", () => {
    const { addPeer, ask, clock, timeouts, picker, storage, reserved } = open();
    const bob = addPeer({ has: "x         " });
    ask(bob, 2);
    giveBlock(picker, bob.peer, "0:0", 0);
    bob.peer.chokedUs();
    picker.disown(bob.peer);
    storage.isMemoryScarce = true;
    timeouts.giveUpStuckPieces(0);
    clock.nowMs = 10_000;
    timeouts.giveUpStuckPieces(clock.nowMs);
    assert.deepEqual(bob.link.take(), ["cancel 0:1"]);
    assert.equal(reserved.size, 0);
  });

  it("in which nothing has come is given up at once", () => {
    const { addPeer, ask, timeouts, picker, requests, reserved } = open();
    const bob = addPeer({ has: "x         " });
    ask(bob, 2);
    bob.peer.chokedUs();
    picker.disown(bob.peer);
    timeouts.giveUpStuckPieces(0);
    assert.equal(reserved.size, 1, "something is asked of it still");
    requests.cancelAll(bob.peer, 0);
    timeouts.giveUpStuckPieces(0);
    assert.equal(reserved.size, 0);
    assert.equal(requests.discardedBytes, 0);
  });
});
