// What goes wrong in a swarm, and that the download comes through it: peers that leave, vanish, lie, choke; disks that
// fail; memory that is short.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MiniTorrentError } from "../../src/api/errors.ts";
import { Bitfield } from "../../src/metainfo/bitfield.ts";
import { SwarmNetwork } from "./swarm-network.ts";

const MIB = 1024 * 1024;

function halves(pieceCount: number): [Bitfield, Bitfield] {
  const even = new Bitfield(pieceCount);
  const odd = new Bitfield(pieceCount);
  for (let pieceIndex = 0; pieceIndex < pieceCount; pieceIndex++) {
    (pieceIndex % 2 === 0 ? even : odd).set(pieceIndex);
  }
  return [even, odd];
}

describe("peers that have only a part", () => {
  it("serve it: three with nothing but halves and a beginner all end with everything", () => {
    const network = new SwarmNetwork({ lengthBytes: 16 * MIB });
    const [even, odd] = halves(network.geometry.pieceCount);
    const hosts = [
      network.add({ userId: "even", has: even }),
      network.add({ userId: "odd", has: odd }),
      network.add({ userId: "beginner" }),
    ];
    assert.ok(network.runUntilComplete(hosts, 60) < 5);
    network.clock.runFor(1000);
    for (const host of hosts) {
      assert.equal(host.torrent.state.status, "seeding");
      assert.equal(host.torrent.peerCount, 0, "who are both complete part");
      assert.equal(host.storage.framesOut, 0);
      assert.equal(host.storage.reservedCount, 0);
    }
  });

  it("are not enough: the download says that nobody has what is missing, and goes on when somebody comes", () => {
    const network = new SwarmNetwork({ lengthBytes: 4 * MIB });
    const [even] = halves(network.geometry.pieceCount);
    network.add({ userId: "even", has: even });
    const leecher = network.add({ userId: "leecher" });
    assert.equal(network.runUntilComplete([leecher], 20), Number.POSITIVE_INFINITY);
    assert.equal(leecher.torrent.status().waitingFor, "no peer has the missing pieces");
    assert.equal(leecher.torrent.have.count, network.geometry.pieceCount / 2);
    network.add({ userId: "seeder", has: "all" });
    assert.ok(network.runUntilComplete([leecher], 20) < 5);
  });

  it("says that it waits for a peer while there is none", () => {
    const network = new SwarmNetwork({ lengthBytes: 4 * MIB });
    const leecher = network.add({ userId: "leecher" });
    network.clock.runFor(3000);
    assert.equal(leecher.torrent.status().waitingFor, "waiting for a peer");
  });

  it("tells its owner once that nothing arrives, soon if nobody has it, and again after something did", () => {
    const network = new SwarmNetwork({ lengthBytes: 4 * MIB });
    const waitingAtMs: number[] = [];
    const leecher = network.add({ userId: "leecher" });
    network.onEvent = (host, event) => {
      if (host.torrent === leecher.torrent && event.type === "waiting") waitingAtMs.push(network.clock.nowMs);
    };
    const [even] = halves(network.geometry.pieceCount);
    network.clock.runFor(20_000);
    assert.equal(waitingAtMs.length, 1);
    assert.ok((waitingAtMs[0] ?? 0) < 3000);
    network.add({ userId: "even", has: even });
    network.clock.runFor(20_000);
    assert.equal(waitingAtMs.length, 2, "half of it came, and the rest does not");
  });
});

describe("peers that go", () => {
  it("the seeder leaves once one copy is out, and the rest completes from each other", () => {
    const network = new SwarmNetwork({ lengthBytes: 32 * MIB });
    const seeder = network.add({ userId: "seeder", has: "all" });
    const leechers = [1, 2, 3, 4].map((index) => network.add({ userId: `leecher ${index}` }));
    const outThere = new Set<number>();
    network.onEvent = (_host, event) => {
      if (event.type === "piece-verified") outThere.add(event.pieceIndex);
      if (outThere.size === network.geometry.pieceCount) seeder.leave();
    };
    assert.ok(network.runUntilComplete(leechers, 60) < 8);
  });

  it("a peer that leaves in the middle of a block gives its pieces back to the others", () => {
    const network = new SwarmNetwork({ lengthBytes: 32 * MIB });
    const leaving = network.add({ userId: "leaving", has: "all" });
    network.add({ userId: "staying", has: "all", upBytesPerSecond: 4e6 });
    const leecher = network.add({ userId: "leecher" });
    network.clock.runFor(1000);
    leaving.leave();
    assert.ok(network.runUntilComplete([leecher], 60) < 8);
    assert.equal(
      leecher.torrent.status().sources.find(({ userId }) => userId === "leaving")?.isConnected,
      false,
    );
    assert.equal(leecher.storage.reservedCount, 0);
  });

  it("a peer that falls silent is snubbed, and what was asked of it is fetched elsewhere", () => {
    const network = new SwarmNetwork({ lengthBytes: 32 * MIB });
    const silent = network.add({ userId: "silent", has: "all" });
    network.add({ userId: "staying", has: "all", upBytesPerSecond: 4e6 });
    const leecher = network.add({ userId: "leecher" });
    network.clock.runFor(1000);
    silent.freeze();
    network.clock.runFor(5000);
    const snapshot = leecher.torrent.status().peers.find(({ userId }) => userId === "silent");
    assert.ok(snapshot === undefined || snapshot.remarks.includes("snubbed"));
    assert.ok(network.runUntilComplete([leecher], 60) < 10);
  });

  it("half of a swarm vanishing without a word does not keep the other half from completing", () => {
    const network = new SwarmNetwork({ lengthBytes: 32 * MIB });
    network.add({ userId: "seeder", has: "all" });
    const leechers = Array.from({ length: 6 }, (_, index) => network.add({ userId: `leecher ${index}` }));
    network.clock.runFor(1500);
    for (const host of leechers.slice(0, 3)) host.freeze();
    assert.ok(network.runUntilComplete(leechers.slice(3), 120) < 40);
  });
});

describe("peers that lie", () => {
  it("a sender of corrupt blocks is found and banned, nobody else is, and the download completes", () => {
    for (const fast of [true, false]) {
      const network = new SwarmNetwork({ lengthBytes: 32 * MIB });
      network.add({ userId: "honest", has: "all", supportsFast: fast });
      network.add({ userId: "also honest", has: "all", upBytesPerSecond: 3e6 });
      const liar = network.add({
        userId: "liar",
        has: "all",
        faults: { isCorrupt: (pieceIndex, blockIndex) => (pieceIndex + blockIndex) % 7 === 0 },
      });
      const leecher = network.add({ userId: "leecher", supportsFast: fast });
      assert.ok(network.runUntilComplete([leecher], 120) < 10);
      const banned = leecher.events.flatMap((event) => (event.type === "peer-banned" ? [event.userId] : []));
      assert.deepEqual(banned, ["liar"]);
      // Coming back does not help.
      network.connect(liar, leecher);
      network.clock.runFor(1000);
      assert.equal(
        leecher.torrent.status().peers.some(({ userId }) => userId === "liar"),
        false,
      );
      assert.equal(leecher.storage.reservedCount, 0);
    }
  });

  it("a liar alone is banned at its first piece", () => {
    const network = new SwarmNetwork({ lengthBytes: 4 * MIB });
    network.add({ userId: "liar", has: "all", faults: { isCorrupt: (_, blockIndex) => blockIndex === 3 } });
    const leecher = network.add({ userId: "leecher" });
    network.clock.runFor(5000);
    const corrupt = leecher.events.filter((event) => event.type === "piece-corrupt");
    assert.deepEqual(corrupt[0]?.bannedUserIds, ["liar"]);
    assert.equal(leecher.torrent.peerCount, 0);
    assert.equal(leecher.torrent.have.count, 0);
    assert.equal(leecher.torrent.status().sources[0]?.isBanned, true);
  });
});

describe("peers that choke", () => {
  it("with one slot each is served in its time", () => {
    const network = new SwarmNetwork({ lengthBytes: 8 * MIB });
    network.add({ userId: "seeder", has: "all", limits: { uploadSlots: 1 } });
    const leechers = [1, 2, 3].map((index) =>
      network.add({ userId: `leecher ${index}`, limits: { uploadSlots: 1 } }),
    );
    assert.ok(network.runUntilComplete(leechers, 120) < 60);
  });
});

describe("this end's own trouble", () => {
  it("stays within the memory that storage has, and does not deadlock on it", () => {
    const network = new SwarmNetwork({ lengthBytes: 32 * MIB });
    for (const userId of ["a", "b", "c", "d"]) network.add({ userId, has: "all", upBytesPerSecond: 3e6 });
    const leecher = network.add({ userId: "leecher", memoryPieces: 2 });
    assert.ok(network.runUntilComplete([leecher], 120) < 30);
    assert.equal(leecher.storage.mostReserved, 2);
  });

  it("a disk that fails ends the download with the reason", () => {
    const network = new SwarmNetwork({ lengthBytes: 8 * MIB });
    network.add({ userId: "seeder", has: "all" });
    const error = new MiniTorrentError("DISK_FULL", "The disk is full.");
    const leecher = network.add({
      userId: "leecher",
      faults: { commitFails: (pieceIndex) => (pieceIndex >= 16 ? error : undefined) },
    });
    network.clock.runFor(5000);
    assert.deepEqual(leecher.torrent.state, { status: "failed", error });
    assert.equal(leecher.events.filter((event) => event.type === "storage-failed").length, 1);
    assert.equal(leecher.storage.reservedCount, 0);
    // What is there is served on.
    const other = network.add({ userId: "other", connectTo: [leecher] });
    network.clock.runFor(5000);
    assert.equal(other.torrent.have.count, leecher.torrent.have.count);
  });

  it("a piece that cannot be read is reported, and fetched from somebody else", () => {
    const network = new SwarmNetwork({ lengthBytes: 8 * MIB });
    const broken = network.add({
      userId: "broken",
      has: "all",
      faults: { readFails: (piece) => piece === 5 },
    });
    network.add({ userId: "whole", has: "all", upBytesPerSecond: 1e6 });
    const leecher = network.add({ userId: "leecher" });
    assert.ok(network.runUntilComplete([leecher], 60) < 15);
    const failed = broken.events.filter(({ type }) => type === "read-failed");
    assert.ok(failed.length > 0 && failed.every((event) => "pieceIndex" in event && event.pieceIndex === 5));
  });

  it("closed, it lets go of peers and memory", () => {
    const network = new SwarmNetwork({ lengthBytes: 32 * MIB });
    const seeder = network.add({ userId: "seeder", has: "all" });
    const leecher = network.add({ userId: "leecher" });
    network.clock.runFor(1000);
    leecher.torrent.close("the user cancelled");
    network.clock.runFor(1000);
    assert.equal(leecher.storage.reservedCount, 0);
    assert.equal(leecher.torrent.peerCount, 0);
    assert.equal(seeder.torrent.peerCount, 0);
    assert.equal(seeder.storage.framesOut, 0);
  });
});
