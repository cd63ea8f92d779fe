// What a torrent does of which only some pieces are wanted, now these and then others. Pictures: each column is a piece; `w` is
// wanted, `*` is here, and in a peer's line `x` is one that it has.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { BLOCK_LENGTH_BYTES, Geometry } from "../../../src/metainfo/geometry.ts";
import { encodeExtensionHandshake } from "../../../src/wire/extensions.ts";
import type { PeerListener } from "../../../src/wire/messages.ts";
import { BLOCKS, bitfieldOf, giveAll, giveBlocks, offset, open } from "./lone-torrent.ts";
import { cancelsIn, type RecordingLink, requestsIn } from "./recording-link.ts";

const PIECE = BLOCKS * BLOCK_LENGTH_BYTES;
const has = (picture: string): Uint8Array => bitfieldOf(picture, "x").toBytes();
const wants = (picture: string) => bitfieldOf(picture, "w");
const uploadOnly = (isUploadOnly: boolean | undefined, clientName?: string): Uint8Array =>
  encodeExtensionHandshake({
    extensionIds: new Map(),
    listenPort: undefined,
    requestLimit: undefined,
    clientName,
    isUploadOnly,
  });
const typesOf = ({ events }: ReturnType<typeof open>): string[] => events.map(({ type }) => type);

describe("a torrent that wants some of the pieces", () => {
  it("asks for those alone, of a seed and of a peer with some", () => {
    const opened = open({ wants: " ww    w  " });
    opened.peer.haveAll();
    opened.peer.unchoke();
    assert.deepEqual(giveAllOf(opened), [1, 2, 7]);
    const partly = open({ wants: " ww    w  " });
    partly.peer.bitfield(has("xxx     xx"));
    partly.peer.unchoke();
    assert.deepEqual(giveAllOf(partly), [1, 2]);
  });

  it("is interested only in a peer that has a wanted piece which is missing", () => {
    const { link, peer, join } = open({ has: " *        ", wants: " ww       " });
    peer.bitfield(has("xx xxxxxxx"));
    assert.deepEqual(link.take(), []);
    peer.have(2);
    assert.deepEqual(link.take(), ["interested"]);
    const second = join("carol");
    second.peer.bitfield(has("x  x      "));
    second.peer.have(4);
    assert.deepEqual(second.link.take(), []);
  });

  it("is done when these are there: says so, wants nothing more, and offers what it has", () => {
    const opened = open({ wants: " w  w     " });
    const { link, peer, torrent, join } = opened;
    peer.haveAll();
    peer.unchoke();
    giveAll(opened);
    assert.deepEqual(typesOf(opened), ["piece-verified", "piece-verified", "all-verified"]);
    assert.deepEqual([torrent.state.status, torrent.hasAllWanted], ["seeding", true]);
    assert.equal(torrent.have.count, 2);
    opened.runTo(60_000);
    assert.equal(torrent.isStarved, false);
    assert.equal(torrent.status().waitingFor, undefined);
    assert.equal(typesOf(opened).length, 3, "nothing is waited for");
    assert.equal(link.take().includes("close: both are complete"), true, "the seed has no use for us either");
    const leecher = join("carol");
    assert.deepEqual(leecher.introduction, ["bitfield 4800", "extended 0"]);
    leecher.peer.haveNone();
    leecher.peer.interested();
    assert.equal(leecher.link.take().includes("unchoke"), true);
    leecher.peer.request(4, 0, BLOCK_LENGTH_BYTES);
    opened.runDue();
    assert.equal(leecher.link.take().at(-1), `blocks 4:0 ${BLOCK_LENGTH_BYTES + 13}`);
    leecher.peer.request(5, 0, BLOCK_LENGTH_BYTES);
    assert.deepEqual(leecher.link.take(), ["reject 5:0"]);
  });

  it("counts wanted pieces and their bytes alone as progress", () => {
    const opened = open({ has: "**        ", wants: " www      " });
    const { torrent } = opened;
    const progress = () => {
      const { piecesVerified, piecesWanted, pieceCount, bytesVerified, bytesWanted } = torrent.status();
      return [piecesVerified, piecesWanted, pieceCount, bytesVerified / PIECE, bytesWanted / PIECE];
    };
    assert.deepEqual(progress(), [1, 3, 10, 1, 3]);
    opened.peer.bitfield(has("  x       "));
    opened.peer.unchoke();
    giveAll(opened);
    assert.deepEqual(progress(), [2, 3, 10, 2, 3]);
    torrent.want(wants("w         "));
    assert.deepEqual(progress(), [1, 1, 10, 1, 1]);
  });

  it("of which all is there already is seeding from the start, without an event", () => {
    const opened = open({ has: "**        ", wants: "ww        " });
    assert.deepEqual([opened.torrent.state.status, typesOf(opened)], ["seeding", []]);
    assert.equal(open({ wants: " ".repeat(10) }).torrent.state.status, "seeding");
  });

  it("suggests to others what it alone has, as a seed does, and never what it lacks", () => {
    const { torrent, join } = open({ has: "  *  *    ", wants: "  w  w    " });
    const leechers = [join("carol"), join("dave")];
    for (const { peer } of leechers) peer.haveNone();
    for (const { peer } of leechers) peer.interested();
    torrent.tick();
    const suggested = leechers.flatMap(({ link }) =>
      link.take().filter((said) => said.startsWith("suggest")),
    );
    assert.deepEqual(suggested.sort(), ["suggest 2", "suggest 5"]);
  });
});

describe("several members with the same part", () => {
  it("suggest its pieces in different orders, where the only one with everything goes in file order", () => {
    const pieceBytes = 1024 * 1024;
    const firstOf = (picture: string): (string | undefined)[] => {
      const { torrent, join } = open({
        has: picture,
        wants: picture.replaceAll("*", "w"),
        geometry: new Geometry(picture.length * pieceBytes, pieceBytes),
        otherSeedCount: () => 0,
        random: () => 0,
      });
      const leechers = [join("carol"), join("dave")];
      for (const { peer } of leechers) peer.haveNone();
      for (const { peer } of leechers) peer.interested();
      torrent.tick();
      return leechers.map(({ link }) => link.take().find((said) => said.startsWith("suggest")));
    };
    assert.equal(firstOf("**********").includes("suggest 0"), true);
    assert.equal(firstOf("********* ").includes("suggest 0"), false);
  });
});

describe("a choice that changes", () => {
  it("to more makes it download again, and it says again when all is there", () => {
    const opened = open({ has: "**        ", wants: "ww        " });
    const { link, peer, torrent } = opened;
    peer.bitfield(has("xxxx      "));
    peer.unchoke();
    link.take();
    torrent.want(wants("wwww      "));
    assert.equal(torrent.state.status, "downloading");
    giveAll(opened);
    assert.deepEqual(typesOf(opened), ["piece-verified", "piece-verified", "all-verified"]);
    torrent.want(wants("wwww      "));
    assert.equal(typesOf(opened).length, 3, "nothing has changed");
    torrent.want(wants("wwwww     "));
    peer.have(4);
    giveAll(opened);
    assert.deepEqual(typesOf(opened).slice(3), ["piece-verified", "all-verified"]);
    assert.equal(torrent.have.count, 5);
  });

  it("to less gives up what is under way of the rest, asks for no more of it, and is done at once if all else is there", () => {
    const opened = open({ has: "*         ", wants: "www       " });
    const { link, peer, torrent, reserved } = opened;
    peer.bitfield(has(" xx       "));
    peer.unchoke();
    const asked = requestsIn(link.take());
    assert.equal(asked.length > 4, true);
    const [first] = asked;
    assert.ok(first);
    giveBlocks(peer, [first]);
    link.take();
    torrent.want(wants("w         "));
    const said = link.take();
    assert.deepEqual(cancelsIn(said).sort(), asked.slice(1).sort());
    assert.deepEqual(said.at(-1), "extended 0");
    assert.equal(said.includes("not interested"), true);
    assert.equal(reserved.size, 0, "memory is given back");
    assert.equal(torrent.status().peers[0]?.requestsOutstanding, 0);
    assert.equal(torrent.status().wastedBytes, BLOCK_LENGTH_BYTES);
    assert.deepEqual(typesOf(opened), ["all-verified"]);
    opened.runTo(1000);
    assert.deepEqual(requestsIn(link.take()), []);
    // What was on its way comes for nothing, and is no offence.
    assert.equal(giveBlocks(peer, asked.slice(1)), 0);
    assert.equal(torrent.peerCount, 1);
  });

  it("does not take the memory from under a block that is arriving", () => {
    const { link, peer, torrent, reserved } = open({ wants: "w         " });
    peer.bitfield(has("x         "));
    peer.unchoke();
    peer.blockBegins(0, 0, BLOCK_LENGTH_BYTES);
    torrent.want(wants(" w        "));
    assert.deepEqual([...reserved.keys()], [0]);
    // Wanted again before the block is over: it is fetched anew once the memory is back.
    link.take();
    torrent.want(wants("w         "));
    assert.deepEqual(requestsIn(link.take()), []);
    peer.blockEnds(0, 0, BLOCK_LENGTH_BYTES);
    assert.deepEqual([...reserved.keys()], [0]);
    for (let round = 0; round < 2; round++) {
      giveBlocks(
        peer,
        [0, 1, 2, 3].map((block) => [0, block] as const),
      );
    }
    assert.equal(torrent.have.has(0), true);
  });

  it("keeps a piece that is on its way to the disk, which counts as progress only if it is wanted again", () => {
    const opened = open({ wants: "ww        ", outcome: "later" });
    const { peer, torrent, commits } = opened;
    peer.bitfield(has("x         "));
    peer.unchoke();
    giveBlocks(
      peer,
      [0, 1, 2, 3].map((block) => [0, block] as const),
    );
    torrent.want(wants(" w        "));
    commits[0]?.done("verified");
    assert.equal(torrent.have.has(0), true);
    assert.deepEqual(typesOf(opened), ["piece-verified"], "piece 1 is still missing");
    assert.deepEqual([torrent.status().piecesVerified, torrent.status().piecesWanted], [0, 1]);
    torrent.want(wants("w         "));
    assert.deepEqual(typesOf(opened), ["piece-verified", "all-verified"]);
  });

  it("is told to be fulfilled once, also if a piece that was dropped comes from the disk later", () => {
    const opened = open({ has: "*         ", wants: "ww        ", outcome: "later" });
    const { peer, torrent, commits } = opened;
    peer.bitfield(has(" x        "));
    peer.unchoke();
    giveAll(opened);
    torrent.want(wants("w         "));
    commits[0]?.done("verified");
    assert.deepEqual(typesOf(opened), ["all-verified", "piece-verified"]);
  });

  it("to more begins the time anew after which a peer is missed", () => {
    const opened = open({ has: "*         ", wants: "w         " });
    opened.peer.haveNone();
    opened.runTo(60_000);
    opened.torrent.want(wants("ww        "));
    opened.runTo(61_900);
    assert.deepEqual(typesOf(opened), []);
    opened.runTo(62_000);
    assert.deepEqual(typesOf(opened), ["waiting"]);
  });

  it("means nothing to a torrent that is closed", () => {
    const { torrent } = open({ has: "**********" });
    torrent.close("over");
    torrent.want(wants("w         "));
    assert.equal(torrent.state.status, "closed");
  });

  it("does not make a torrent whose storage failed ask again", () => {
    const opened = open({ wants: "w         ", outcome: new MiniTorrentError("DISK_FULL", "full") });
    const { link, peer, torrent } = opened;
    peer.haveAll();
    peer.unchoke();
    giveAll(opened);
    assert.equal(torrent.state.status, "failed");
    torrent.want(wants("wwwwwwwwww"));
    torrent.tick();
    assert.deepEqual([requestsIn(link.take()), torrent.state.status], [[], "failed"]);
  });

  it("to anything at any moment asks for missing pieces alone, loses no memory, and ends with what is wanted", () => {
    const picture = fc.string({ unit: fc.constantFrom("w", " "), minLength: 10, maxLength: 10 });
    const step = fc.oneof(
      fc.record({ what: fc.constant("want" as const), picture }),
      fc.record({ what: fc.constant("give" as const), count: fc.integer({ min: 1, max: 7 }) }),
      fc.record({ what: fc.constant("begin" as const) }),
      fc.record({ what: fc.constant("commit" as const) }),
      fc.record({ what: fc.constant("choke" as const) }),
    );
    fc.assert(
      fc.property(picture, fc.array(step, { maxLength: 40 }), fc.boolean(), (first, steps, supportsFast) => {
        const opened = open({ wants: first, outcome: "later", supportsFast });
        const { link, peer, torrent, commits, reserved } = opened;
        let wanted = first;
        const outstanding: [number, number][] = [];
        let arriving: [number, number] | undefined;
        const listen = (): void => {
          for (const line of link.take()) {
            for (const block of requestsIn([line])) {
              assert.equal(wanted[block[0]], "w", "it is not wanted");
              assert.equal(torrent.have.has(block[0]), false, "it is here");
              outstanding.push(block);
            }
            for (const [piece, block] of cancelsIn([line])) {
              const at = outstanding.findIndex((one) => one[0] === piece && one[1] === block);
              assert.notEqual(at, -1, "what is cancelled was asked for");
              // The block crosses the cancel every other time; otherwise the request is rejected (BEP 6).
              if (block % 2 === 1 && supportsFast) continue;
              outstanding.splice(at, 1);
              if (supportsFast) peer.reject(piece, offset(block), BLOCK_LENGTH_BYTES);
            }
          }
        };
        const end = (): void => {
          if (arriving === undefined) return;
          peer.blockEnds(arriving[0], offset(arriving[1]), BLOCK_LENGTH_BYTES);
          arriving = undefined;
        };
        const begin = (): void => {
          end();
          const block = outstanding.shift();
          if (block === undefined) return;
          const place = peer.blockBegins(block[0], offset(block[1]), BLOCK_LENGTH_BYTES);
          if (place !== undefined) arriving = block;
        };
        peer.haveAll();
        peer.unchoke();
        listen();
        const run = (one: (typeof steps)[number]): void => {
          if (one.what === "want") {
            wanted = one.picture;
            torrent.want(wants(wanted));
          } else if (one.what === "give") {
            for (let given = 0; given < one.count; given++) {
              begin();
              end();
              listen();
            }
          } else if (one.what === "begin") begin();
          else if (one.what === "commit") commits.shift()?.done("verified");
          else {
            end();
            peer.choke();
            for (const [piece, block] of outstanding.splice(0)) {
              if (supportsFast) peer.reject(piece, offset(block), BLOCK_LENGTH_BYTES);
            }
            peer.unchoke();
          }
          listen();
          const missing = [...wanted].some((sign, piece) => sign === "w" && !torrent.have.has(piece));
          assert.equal(torrent.hasAllWanted, !missing);
          assert.equal(torrent.state.status, missing ? "downloading" : "seeding");
          assert.equal(torrent.status().peers[0]?.weAreInterested, missing);
        };
        for (const one of steps) run(one);
        for (let round = 0; round < 100 && !torrent.hasAllWanted; round++) {
          run({ what: "give", count: 7 });
          run({ what: "commit" });
        }
        assert.equal(torrent.hasAllWanted, true, "it comes to an end");
        end();
        while (commits.length > 0) run({ what: "commit" });
        assert.equal(reserved.size, 0, "all memory is back");
      }),
      { numRuns: 200 },
    );
  });
});

describe("peers that need nothing more", () => {
  it("are parted when each has all it wants, though neither has everything", () => {
    const { link, peer, torrent } = open({ has: "**        ", wants: "ww        " });
    peer.bitfield(has("  xx      "));
    assert.deepEqual(link.take(), []);
    peer.extended(0, uploadOnly(undefined, "x"));
    peer.extended(0, uploadOnly(true));
    assert.deepEqual(link.take(), ["close: both are complete"]);
    assert.equal(torrent.status().peers[0]?.needsNothing, true);
    assert.equal(torrent.status().peers[0]?.clientName, "x", "a later handshake unsays nothing");
    peer.closed("closed");
    assert.equal(torrent.neededNothing("b0b"), true);
  });

  it("are kept while we want something of them, or they of us", () => {
    const wanting = open({ has: "**        ", wants: "www       " });
    wanting.peer.bitfield(has("  xx      "));
    wanting.peer.extended(0, uploadOnly(true));
    assert.deepEqual(wanting.link.take(), ["interested"]);
    const wanted = open({ has: "**        ", wants: "ww        " });
    wanted.peer.bitfield(has("  xx      "));
    wanted.peer.extended(0, uploadOnly(true));
    wanted.peer.extended(0, uploadOnly(false));
    assert.equal(wanted.torrent.status().peers[0]?.needsNothing, false);
  });

  it("hear from us that we have all we want, and that we want more again", () => {
    const opened = open({ has: "**        ", wants: "ww        " });
    const { link, torrent } = opened;
    assert.deepEqual(
      link.handshakes.map(({ isUploadOnly }) => isUploadOnly),
      [true],
    );
    torrent.want(wants("wwww      "));
    torrent.want(wants("wwwww     "));
    torrent.want(wants("w         "));
    assert.deepEqual(
      link.handshakes.map(({ isUploadOnly }) => isUploadOnly),
      [true, false, true],
    );
    // What a seed wants is plain from its bitfield and its last have.
    const ending = open({ has: "********* " });
    ending.peer.bitfield(has("         x"));
    ending.peer.unchoke();
    giveAll(ending);
    assert.equal(ending.torrent.have.isComplete, true);
    assert.equal(ending.link.handshakes.length, 1);
    const seed = open({ has: "**********" });
    assert.deepEqual(
      seed.link.handshakes.map(({ isUploadOnly }) => isUploadOnly),
      [undefined],
    );
    seed.torrent.want(wants("w         "));
    assert.equal(seed.link.handshakes.length, 1);
  });
});

/** The peer answers every request. Returns the pieces that were asked for. */
function giveAllOf({ link, peer }: { link: RecordingLink; peer: PeerListener }): number[] {
  const asked = new Set<number>();
  for (let said = link.take(); requestsIn(said).length > 0; said = link.take()) {
    for (const [pieceIndex] of requestsIn(said)) asked.add(pieceIndex);
    giveBlocks(peer, requestsIn(said));
  }
  return [...asked].sort((a, b) => a - b);
}
