// How fast a swarm spreads a file, against the fluid bound that no schedule beats; what goes over the wires for nothing.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fluidBoundSeconds, type Host, SwarmNetwork } from "./swarm-network.ts";

const MIB = 1024 * 1024;

function spread(
  lengthBytes: number,
  leecherCount: number,
  rates: { seederUp?: number; up?: number; down?: number } = {},
): { ratio: number; seederBytesForFirstCopy: number; leechers: Host[]; seeder: Host } {
  const network = new SwarmNetwork({ lengthBytes });
  const seeder = network.add({
    userId: "seeder",
    has: "all",
    ...(rates.seederUp && { upBytesPerSecond: rates.seederUp }),
  });
  const leechers = Array.from({ length: leecherCount }, (_, index) =>
    network.add({
      userId: `leecher ${index}`,
      ...(rates.up && { upBytesPerSecond: rates.up }),
      ...(rates.down && { downBytesPerSecond: rates.down }),
    }),
  );
  const outThere = new Set<number>();
  let seederBytesForFirstCopy = 0;
  network.onEvent = (_host, event) => {
    if (event.type !== "piece-verified" || outThere.has(event.pieceIndex)) return;
    outThere.add(event.pieceIndex);
    if (outThere.size === network.geometry.pieceCount) seederBytesForFirstCopy = seeder.sentBytes;
  };
  const seconds = network.runUntilComplete(leechers);
  network.clock.runFor(1000);
  const ratio = seconds / fluidBoundSeconds(lengthBytes, seeder, leechers);
  return { ratio, seederBytesForFirstCopy, leechers, seeder };
}

function wasteShare(leechers: readonly Host[], lengthBytes: number): number {
  const wasted = leechers.reduce((sum, host) => sum + host.torrent.status().wastedBytes, 0);
  return wasted / (lengthBytes * leechers.length);
}

describe("spreading a file", () => {
  it("from one seeder to one leecher takes as long as the slower link, and nothing comes twice", () => {
    const { ratio, leechers, seeder } = spread(64 * MIB, 1);
    assert.ok(ratio < 1.02, `${ratio} times the bound`);
    assert.equal(leechers[0]?.torrent.status().wastedBytes, 0);
    assert.equal(seeder.sentBytes, 64 * MIB);
  });

  it("from one seeder to eight leechers is close to the bound", () => {
    const lengthBytes = 128 * MIB;
    const { ratio, seederBytesForFirstCopy, leechers } = spread(lengthBytes, 8);
    assert.ok(ratio < 1.15, `${ratio} times the bound`);
    // The seeder sends different pieces to different leechers while it is the only one who has them.
    assert.ok(seederBytesForFirstCopy <= 1.1 * lengthBytes, `${seederBytesForFirstCopy / lengthBytes} files`);
    assert.ok(wasteShare(leechers, lengthBytes) < 0.01, `${wasteShare(leechers, lengthBytes)} wasted`);
  });

  it("with uplinks a quarter of the downlinks is close to the bound as well", () => {
    const { ratio } = spread(64 * MIB, 8, { seederUp: 12.5e6, up: 3.125e6, down: 12.5e6 });
    assert.ok(ratio < 1.15, `${ratio} times the bound`);
  });

  it("from many seeders to one leecher adds their uplinks up", () => {
    const lengthBytes = 64 * MIB;
    const network = new SwarmNetwork({ lengthBytes });
    const rates = [1e6, 2e6, 4e6, 8e6];
    for (const rate of rates) network.add({ userId: `seeder ${rate}`, has: "all", upBytesPerSecond: rate });
    const leecher = network.add({ userId: "leecher", downBytesPerSecond: 100e6 });
    const seconds = network.runUntilComplete([leecher]);
    const ratio = (seconds * 15e6) / lengthBytes;
    assert.ok(ratio < 1.1, `${ratio} times the bound`);
    const status = leecher.torrent.status();
    assert.equal(status.sources.length, 4);
    assert.equal(
      status.sources.reduce((sum, source) => sum + source.pieces, 0),
      network.geometry.pieceCount,
    );
    // Endgame: the slow one's last blocks are fetched from the fast ones instead of waited for.
    assert.ok(status.wastedBytes <= 0.01 * lengthBytes, `${status.wastedBytes} bytes wasted`);
  });

  it("does not end with waiting for a slow seeder: its last blocks move to the fast one", () => {
    const network = new SwarmNetwork({ lengthBytes: 96 * MIB });
    network.add({ userId: "slow", has: "all", upBytesPerSecond: 100e3 });
    network.add({ userId: "fast", has: "all", upBytesPerSecond: 12.5e6 });
    const leecher = network.add({ userId: "leecher", downBytesPerSecond: 100e6 });
    const beyondBound = network.runUntilComplete([leecher]) - (96 * MIB) / 12.6e6;
    assert.ok(beyondBound < 0.4, `${beyondBound} s more than the bound`);
  });

  it("over a long round trip keeps the link busy", () => {
    const lengthBytes = 128 * MIB;
    const network = new SwarmNetwork({ lengthBytes, pieceLengthBytes: MIB, latencyMs: 50 });
    // One connection carries what fits on the way at once: 128 KiB each 50 ms (swarm-network.ts).
    const seeder = network.add({ userId: "seeder", has: "all", upBytesPerSecond: 2e6 });
    const leecher = network.add({ userId: "leecher" });
    const ratio = network.runUntilComplete([leecher]) / fluidBoundSeconds(lengthBytes, seeder, [leecher]);
    assert.ok(ratio < 1.03, `${ratio} times the bound`);
  });
});
