// Events that a torrent reports, and what its owner may ask of it.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { BLOCK_LENGTH_BYTES } from "../../../src/metainfo/geometry.ts";
import { encodeExtensionHandshake } from "../../../src/wire/extensions.ts";
import { geometry, giveAll, giveBlocks, offset, open } from "./lone-torrent.ts";
import { RecordingLink, requestsIn } from "./recording-link.ts";

const BLOCK = BLOCK_LENGTH_BYTES;
const waitsOf = ({ events }: ReturnType<typeof open>): number =>
  events.filter(({ type }) => type === "waiting").length;

describe("a torrent that nothing arrives at", () => {
  it("says so after two seconds when nobody has a missing piece, and once", () => {
    const opened = open();
    opened.peer.haveNone();
    opened.runTo(1900);
    assert.equal(waitsOf(opened), 0);
    opened.runTo(2000);
    assert.equal(waitsOf(opened), 1);
    opened.runTo(60_000);
    assert.equal(waitsOf(opened), 1);
    assert.equal(opened.torrent.isStarved, true);
  });

  it("says so after thirty seconds when somebody has one, and again after something came", () => {
    const opened = open();
    opened.peer.have(2);
    opened.runTo(29_900);
    assert.equal(waitsOf(opened), 0);
    assert.equal(opened.torrent.isStarved, false);
    opened.runTo(30_000);
    assert.equal(waitsOf(opened), 1);
    opened.peer.unchoke();
    opened.runTo(31_000);
    giveBlocks(opened.peer, [[2, 0]]);
    opened.runTo(60_900);
    assert.equal(waitsOf(opened), 1);
    opened.runTo(61_100);
    assert.equal(waitsOf(opened), 2);
  });

  it("says nothing when nothing is missing", () => {
    const opened = open({ has: "**********" });
    opened.runTo(60_000);
    assert.equal(waitsOf(opened), 0);
    assert.equal(opened.torrent.isStarved, false);
    assert.equal(opened.torrent.status().waitingFor, undefined);
  });
});

describe("the end of a download", () => {
  it("leaves the closing to the others for a second, then parts from those who are complete", () => {
    const opened = open({ has: "********* " });
    const { clock, link, peer, torrent } = opened;
    const leecher = opened.join("carol");
    leecher.peer.haveNone();
    peer.haveAll();
    clock.nowMs = 5000;
    peer.unchoke();
    giveAll(opened);
    assert.equal(torrent.have.isComplete, true);
    assert.equal(
      link.said.some((said) => said.startsWith("close")),
      false,
    );
    const endedMs = clock.nowMs;
    clock.nowMs = endedMs + 999;
    torrent.tick();
    assert.deepEqual(link.take(), []);
    clock.nowMs = endedMs + 1000;
    torrent.tick();
    assert.deepEqual(link.take(), ["close: both are complete"]);
    assert.equal(
      leecher.link.said.some((said) => said.startsWith("close")),
      false,
    );
    torrent.tick();
    assert.deepEqual(link.take(), [], "once");
  });

  it("tells every peer of each piece, also those that have it", () => {
    const opened = open({ has: "********* " });
    const carol = opened.join("carol");
    carol.peer.haveNone();
    opened.peer.haveAll();
    opened.peer.unchoke();
    giveBlocks(opened.peer, requestsIn(opened.link.take()));
    assert.deepEqual([opened.link.take(), carol.link.take()], [["not interested", "have 9"], ["have 9"]]);
  });
});

describe("who is asked about peers", () => {
  it("names those who are here and those who left, with what they have and since when they are gone", () => {
    const { torrent, clock, peer, join } = open();
    const carol = join("carol", "ca201");
    peer.have(2);
    carol.peer.haveAll();
    const silent = join("dave", "da4e");
    clock.nowMs = 3000;
    carol.peer.closed("gone");
    silent.peer.closed("gone");
    clock.nowMs = 5000;
    const holders = torrent.holders().map(({ has, ...rest }) => ({ ...rest, pieces: has.count }));
    assert.deepEqual(holders, [
      {
        userId: "bob",
        deviceId: "b0b",
        isConnected: true,
        lastSeenAgoMs: 0,
        isTried: false,
        remarks: ["choked"],
        farewell: undefined,
        pieces: 1,
      },
      {
        userId: "carol",
        deviceId: "ca201",
        isConnected: false,
        lastSeenAgoMs: 2000,
        isTried: false,
        remarks: [],
        farewell: undefined,
        pieces: 10,
      },
    ]);
    assert.deepEqual([torrent.neededNothing("ca201"), torrent.neededNothing("b0b")], [true, false]);
  });

  it("says how long a device has owed an answer, and how much its habits explain", () => {
    const { torrent, clock, peer, link } = open();
    assert.equal(torrent.debtOf("b0b"), undefined);
    peer.have(2);
    peer.unchoke();
    clock.nowMs = 700;
    assert.deepEqual(torrent.debtOf("b0b"), { unansweredMs: 700, patienceMs: 10_000 });
    assert.equal(torrent.debtOf("ca201"), undefined);
    giveAll({ link, peer });
    clock.nowMs = 900;
    assert.equal(torrent.debtOf("b0b"), undefined);
  });

  it("tries a user that did not give at the end of their last connection before memory is kept for them", () => {
    const { torrent, peer, join, runTo, link } = open();
    peer.haveAll();
    peer.unchoke();
    runTo(25_000);
    peer.closed("gone");
    assert.equal(torrent.status().sources[0]?.stall, "does not answer");
    link.take();
    const again = join("bob", "another device");
    again.peer.haveAll();
    again.peer.unchoke();
    assert.deepEqual(requestsIn(again.link.take()), []);
    assert.deepEqual(torrent.holders()[0]?.remarks, ["snubbed", "does not answer"]);
    torrent.tick();
    assert.equal(requestsIn(again.link.take()).length, 1, "it is tried at once");
    const carol = join("carol");
    carol.peer.haveAll();
    carol.peer.unchoke();
    assert.equal(requestsIn(carol.link.take()).length, 8);
  });

  it("shows what a user gives over all their connections", () => {
    const opened = open();
    const { torrent, clock, join, peer, link } = opened;
    peer.have(2);
    peer.unchoke();
    const phone = join("bob", "phone");
    phone.peer.have(3);
    phone.peer.unchoke();
    giveBlocks(peer, requestsIn(link.take()).slice(0, 1));
    giveBlocks(phone.peer, requestsIn(phone.link.take()).slice(0, 1));
    clock.nowMs = 100;
    torrent.tick();
    const [source] = torrent.status().sources;
    assert.deepEqual(
      [source?.userId, source?.bytes, Math.round((source?.bytesPerSecond ?? 0) / BLOCK)],
      ["bob", 2 * BLOCK, 20],
    );
    assert.equal(Math.round(torrent.status().downloadBytesPerSecond / BLOCK), 20);
    phone.peer.closed("gone");
    assert.equal(torrent.status().sources[0]?.isConnected, true);
    assert.equal(Math.round((torrent.status().sources[0]?.bytesPerSecond ?? 0) / BLOCK), 10);
  });

  it("bans a user on every connection of theirs, and lets the innocent stay", () => {
    const opened = open({ outcome: "mismatch" });
    const phone = opened.join("bob", "phone");
    const carol = opened.join("carol");
    opened.peer.have(2);
    opened.peer.unchoke();
    giveBlocks(
      opened.peer,
      [0, 1, 2, 3].map((block) => [2, block] as const),
    );
    for (const { farewells } of [opened.link, phone.link]) {
      assert.deepEqual(farewells, [{ reason: "bad-data", pieceIndex: 2 }]);
    }
    assert.deepEqual(carol.link.farewells, []);
  });

  it("trusts a user on parole again once they gave a whole piece alone", () => {
    const opened = open({ outcome: "later" });
    const { torrent, commits, peer, link, join } = opened;
    const carol = join("carol");
    for (const each of [opened, carol]) each.peer.have(2);
    peer.unchoke();
    carol.peer.unchoke();
    link.take();
    giveBlocks(peer, [
      [2, 0],
      [2, 1],
    ]);
    peer.choke();
    for (const block of [2, 3]) peer.reject(2, offset(block), BLOCK);
    giveBlocks(carol.peer, requestsIn(carol.link.take()));
    commits.shift()?.done("mismatch");
    const remarksOf = (at: number) => torrent.status().peers[at]?.remarks;
    assert.deepEqual([remarksOf(0), remarksOf(1)], [["choked", "on parole"], ["on parole"]]);
    giveBlocks(carol.peer, requestsIn(carol.link.take()));
    commits.shift()?.done("verified");
    assert.deepEqual([remarksOf(0), remarksOf(1)], [["on parole"], []]);
  });
});

describe("connections of a torrent", () => {
  it("are closed for one device, or by what is known of them", () => {
    const { torrent, link, join } = open();
    const phone = join("bob", "phone");
    const carol = join("carol");
    torrent.disconnect("phone", "too many");
    assert.deepEqual([link.take(), phone.link.take(), carol.link.take()], [[], ["close: too many"], []]);
    torrent.disconnect(({ userId }) => userId === "carol", "left the group");
    assert.deepEqual(
      [link.take(), phone.link.take(), carol.link.take()],
      [[], [], ["close: left the group"]],
    );
  });

  it("take the place of one that is gone, and are not mixed up with it", () => {
    const opened = open({ has: "*********" });
    const { torrent, peer, join, link } = opened;
    peer.haveAll();
    peer.unchoke();
    link.take();
    peer.closed("gone");
    const carol = join("carol");
    carol.peer.haveAll();
    carol.peer.unchoke();
    assert.equal(requestsIn(carol.link.take()).length, 4);
    assert.equal(giveBlocks(peer, []), 0);
    peer.closed("gone twice");
    assert.equal(torrent.peerCount, 1);
    giveBlocks(carol.peer, [[9, 0]]);
    assert.equal(torrent.status().sources.length, 1);
  });

  it("that are gone are asked for nothing, whatever is heard of them", () => {
    const { peer, link, torrent } = open();
    peer.haveAll();
    peer.closed("gone");
    link.take();
    peer.unchoke();
    peer.suggest(3);
    torrent.tick();
    assert.deepEqual(requestsIn(link.take()), []);
  });

  it("end once, however often that is heard: who comes back is there, and nobody else's place is taken", () => {
    const { torrent, peer, join } = open();
    peer.have(2);
    peer.unchoke();
    giveBlocks(peer, [[2, 0]]);
    peer.closed("gone");
    peer.closed("gone");
    const [again, carol] = [join("bob", "phone"), join("carol")];
    assert.equal(torrent.status().sources[0]?.isConnected, true);
    // Two connections with one place would be asked for each other's blocks.
    again.peer.have(3);
    carol.peer.have(4);
    again.peer.unchoke();
    carol.peer.unchoke();
    assert.equal(giveBlocks(carol.peer, [[3, 0]]), 0);
    assert.equal(giveBlocks(again.peer, [[3, 0]]), 1);
  });

  it("that come between two ticks do not shorten the time in which others gave", () => {
    const { torrent, clock, peer, join, runTo } = open();
    peer.have(2);
    peer.unchoke();
    runTo(100);
    giveBlocks(peer, [[2, 0]]);
    clock.nowMs = 150;
    join("carol");
    clock.nowMs = 200;
    torrent.tick();
    assert.equal(Math.round(torrent.status().downloadBytesPerSecond / BLOCK), 10);
  });

  it("tell who we are, where we listen and how many requests we keep", () => {
    const { link } = open({ clientName: "miniTorrent 1", listenPort: 7881, requestsFromPeer: 6 });
    assert.deepEqual(link.handshakes[0], {
      extensionIds: new Map(),
      listenPort: 7881,
      requestLimit: 6,
      clientName: "miniTorrent 1",
    });
    const plain = open().link.handshakes[0];
    assert.deepEqual([plain?.clientName, plain?.listenPort], [undefined, undefined]);
  });

  it("take what a peer says of itself, and no other extension's messages", () => {
    const { torrent, peer } = open();
    const handshake = {
      extensionIds: new Map(),
      listenPort: 9,
      requestLimit: undefined,
      clientName: "other 2",
    };
    peer.extended(3, encodeExtensionHandshake({ ...handshake, clientName: "wrong" }));
    peer.extended(3, Uint8Array.of(1));
    assert.equal(torrent.status().peers[0]?.clientName, undefined);
    peer.extended(0, encodeExtensionHandshake(handshake));
    const [shown] = torrent.status().peers;
    assert.deepEqual([shown?.clientName, shown?.listenPort, shown?.requestWindow], ["other 2", 9, 8]);
  });

  it("make a seed of who gains the last piece, and a duplicate have changes nothing", () => {
    const { torrent, peer } = open();
    for (let piece = 0; piece < geometry.pieceCount; piece++) {
      peer.have(piece);
      peer.have(piece);
    }
    const [shown] = torrent.status().peers;
    assert.deepEqual([shown?.isSeed, shown?.piecesHad], [true, 10]);
    peer.closed("gone");
    const seed = open();
    seed.peer.haveAll();
    assert.equal(seed.torrent.status().peers[0]?.isSeed, true);
  });

  it("count a piece that a peer names twice once", () => {
    const { peer, events, join } = open({ has: "**********" });
    peer.bitfield(new Uint8Array([0x80, 0]));
    peer.have(1);
    peer.have(1);
    peer.closed("gone");
    const carol = join("carol");
    carol.peer.bitfield(new Uint8Array([0b1011_1111, 0b1100_0000]));
    assert.deepEqual(events, [], "nobody has the second piece now");
  });

  it("are asked at once for a piece that an unchoking peer gains", () => {
    const { peer, link } = open();
    peer.haveNone();
    peer.unchoke();
    link.take();
    peer.have(2);
    assert.deepEqual(requestsIn(link.take()), [
      [2, 0],
      [2, 1],
      [2, 2],
      [2, 3],
    ]);
  });

  it("keep a torrent from being idle, also while nothing flows", () => {
    const { torrent, peer } = open({ has: "**********" });
    peer.haveNone();
    assert.equal(torrent.isIdle, false);
    peer.closed("gone");
    assert.equal(torrent.isIdle, true);
  });

  it("are parted when a peer gains the last piece and we have all", () => {
    const { link, peer } = open({ has: "**********" });
    peer.bitfield(new Uint8Array([0xff, 0x80]));
    assert.deepEqual(link.take(), []);
    peer.have(9);
    assert.deepEqual(link.take(), ["close: both are complete"]);
  });

  it("say with a have that nothing else is there, but say twice what is there only by fault", () => {
    const { peer } = open();
    peer.have(3);
    assert.throws(
      () => peer.haveAll(),
      (error) => error instanceof MiniTorrentError && error.code === "MALFORMED_MESSAGE",
    );
  });

  it("hear a farewell after the connection is gone as nothing", () => {
    const { torrent, peer, events } = open();
    peer.haveAll();
    peer.closed("gone");
    peer.extended(0, Buffer.from("d3:byed6:reason6:pausedee"));
    assert.deepEqual(events, []);
    assert.equal(torrent.farewellOf("b0b"), undefined);
  });

  it("begin the time of a torrent that was idle anew: what passed is no time of theirs", () => {
    const opened = open({ has: "**********" });
    opened.peer.closed("gone");
    opened.clock.nowMs = 1_000_000;
    const back = opened.torrent.connect(
      new RecordingLink(),
      { userId: "bob", deviceId: "b0b", address: "" },
      true,
    );
    back.haveNone();
    back.interested();
    back.request(0, offset(0), BLOCK);
    opened.runDue();
    opened.clock.nowMs += 100;
    opened.torrent.tick();
    assert.equal(Math.round(opened.torrent.status().uploadBytesPerSecond / BLOCK), 10);
  });
});
