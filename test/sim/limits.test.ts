// What a client allows itself to send and to fetch, kept by real torrents on a virtual clock.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SwarmNetwork } from "./swarm-network.ts";

const MIB = 1024 * 1024;
const SECONDS = 10;

function isNear(actual: number, expected: number, part = 0.05): void {
  assert.ok(Math.abs(actual - expected) <= expected * part, `${actual} is not ${expected} within ${part}`);
}

describe("a limit on a torrent", () => {
  for (const peers of [1, 8]) {
    it(`of 2 MB/s up is what goes out to ${peers} peers, and none is left out`, () => {
      const network = new SwarmNetwork({ lengthBytes: 64 * MIB });
      const seeder = network.add({ userId: "seeder", has: "all" });
      seeder.bandwidth.up.limitTo(2_000_000);
      const leechers = Array.from({ length: peers }, (_, index) =>
        network.add({ userId: `leecher ${index}`, connectTo: [seeder] }),
      );
      network.clock.runFor(SECONDS * 1000);
      isNear(seeder.torrent.status().uploadedBytes, 2_000_000 * SECONDS);
      // Whose turn it is among them is the choker's decision.
      for (const { torrent } of leechers) {
        assert.ok(torrent.status().downloadedBytes > (2_000_000 * SECONDS) / peers / 3);
      }
    });

    it(`of 2 MB/s down is what comes from ${peers} peers, without a pause that looks like silence`, () => {
      const network = new SwarmNetwork({ lengthBytes: 64 * MIB });
      for (let index = 0; index < peers; index++) network.add({ userId: `seeder ${index}`, has: "all" });
      const leecher = network.add({ userId: "leecher" });
      leecher.bandwidth.down.limitTo(2_000_000);
      network.clock.runFor(SECONDS * 1000);
      const { downloadedBytes, duplicateBytes, peers: sources } = leecher.torrent.status();
      isNear(downloadedBytes, 2_000_000 * SECONDS);
      assert.equal(duplicateBytes, 0);
      assert.ok(sources.every(({ remarks }) => remarks.length === 0));
    });
  }

  it("of 100 kB/s down is kept with twenty peers, and lifted while it runs", () => {
    const network = new SwarmNetwork({ lengthBytes: 64 * MIB });
    for (let index = 0; index < 20; index++) network.add({ userId: `seeder ${index}`, has: "all" });
    const leecher = network.add({ userId: "leecher" });
    leecher.bandwidth.down.limitTo(100_000);
    network.clock.runFor(60_000);
    isNear(leecher.torrent.status().downloadedBytes, 100_000 * 60);
    leecher.bandwidth.down.limitTo(undefined);
    assert.ok(network.runUntilComplete([leecher], 60) < 8);
  });

  it("of 200 kB/s up on everybody still completes everybody", () => {
    const network = new SwarmNetwork({ lengthBytes: 4 * MIB });
    const hosts = Array.from({ length: 6 }, (_, index) =>
      network.add({ userId: `peer ${index}`, has: index === 0 ? "all" : "nothing" }),
    );
    for (const { bandwidth } of hosts) bandwidth.up.limitTo(200_000);
    // The bound: each of the five takes as much as all six send, 4 MiB x 5 / 1.2 MB/s, and the first copy 21 s.
    assert.ok(network.runUntilComplete(hosts.slice(1), 120) < 21 * 1.5);
  });
});
