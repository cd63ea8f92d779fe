// Swarms of many leechers with mixed links, of whom some leave before they have everything and others come: who is
// connected to whom, and the bound for it. Each leecher is connected to about as many others as any other (members of a
// large group are: each stops dialling at the same number), though to fewer than the client would be.
import type { Host } from "./simulated-host.ts";
import { SwarmNetwork } from "./swarm-network.ts";
import { seededRandom } from "./virtual-clock.ts";

const MB = 1_000_000;
const UPLINKS = [0.5 * MB, MB, MB, 1.5 * MB];
const DOWNLINKS = [1.5 * MB, 2 * MB, 3 * MB, 4 * MB];
/** To the middle of the network: round trips from 8 to 200 ms. */
const LATENCIES_MS = [2, 10, 25, 50];
const SEEDER_UP = 4 * MB;
const SEEDER_CONNECTIONS = 20;

export interface CrowdOptions {
  readonly lengthBytes: number;
  readonly pieceLengthBytes: number;
  readonly leecherCount: number;
  /** Connections a leecher. */
  readonly degree: number;
  /** So many leave, spread over the time, and as many others come, each a second after one left. */
  readonly leaverCount?: number;
}

interface Visit {
  readonly host: Host;
  leftAtMs: number;
}

export interface CrowdOutcome {
  readonly seconds: number;
  readonly boundSeconds: number;
  /** Bytes that came for nothing, to what all needed. */
  readonly waste: number;
}

export function spreadInCrowd(options: CrowdOptions): CrowdOutcome {
  const { lengthBytes, pieceLengthBytes, leecherCount, degree, leaverCount = 0 } = options;
  const network = new SwarmNetwork({ lengthBytes, pieceLengthBytes, isLight: true });
  const random = seededRandom(7);
  const seeder = network.add({ userId: "seeder", has: "all", upBytesPerSecond: SEEDER_UP, latencyMs: 5 });
  const visits: Visit[] = [];
  const join = (others: readonly Host[]): Visit => {
    const index = visits.length;
    const host = network.add({
      userId: `leecher ${index}`,
      upBytesPerSecond: UPLINKS[index % 4] ?? MB,
      downBytesPerSecond: DOWNLINKS[(index >> 2) % 4] ?? MB,
      latencyMs: LATENCIES_MS[(index >> 4) % 4] ?? 0,
      connectTo: seeder.links.size < SEEDER_CONNECTIONS ? [seeder, ...others] : others,
    });
    const visit = { host, leftAtMs: Number.POSITIVE_INFINITY };
    visits.push(visit);
    return visit;
  };
  for (let index = 0; index < leecherCount; index++) join([]);
  connectEvenly(network, visits, degree, random);

  const boundBefore = boundSeconds(lengthBytes, seeder, visits);
  for (let index = 0; index < leaverCount; index++) {
    const leavesAtMs = ((index + 0.5) / leaverCount) * boundBefore * 300;
    network.clock.schedule(leavesAtMs, () => {
      const present = visits.filter(
        ({ host, leftAtMs }) => leftAtMs === Number.POSITIVE_INFINITY && !host.isComplete,
      );
      const leaving = present[Math.floor(random() * present.length)];
      if (leaving === undefined) return;
      leaving.leftAtMs = network.clock.nowMs;
      leaving.host.leave();
    });
    network.clock.schedule(leavesAtMs + 1000, () => {
      const present = visits
        .filter(({ leftAtMs }) => leftAtMs === Number.POSITIVE_INFINITY)
        .map(({ host }) => host);
      const others = new Set<Host>();
      while (others.size < Math.min(degree, present.length)) {
        const other = present[Math.floor(random() * present.length)];
        if (other !== undefined) others.add(other);
      }
      join([...others]);
    });
  }
  if (leaverCount > 0) network.clock.runFor(boundBefore * 300 + 1001);
  const staying = visits
    .filter(({ leftAtMs }) => leftAtMs === Number.POSITIVE_INFINITY)
    .map(({ host }) => host);
  network.runUntilComplete(staying);
  const lastMs = Math.max(...staying.map((host) => host.completedAtMs ?? Number.POSITIVE_INFINITY));
  const wasted = staying.reduce((sum, host) => sum + host.torrent.status().wastedBytes, 0);
  return {
    seconds: lastMs / 1000,
    boundSeconds: boundSeconds(lengthBytes, seeder, visits),
    waste: wasted / (lengthBytes * staying.length),
  };
}

/** Rings in random order, so that all have the same number of connections. */
function connectEvenly(
  network: SwarmNetwork,
  visits: readonly Visit[],
  degree: number,
  random: () => number,
): void {
  const joined = new Set<string>();
  for (let ring = 0; ring < degree / 2; ring++) {
    const order = visits
      .map(({ host }) => ({ host, key: random() }))
      .sort((a, b) => a.key - b.key)
      .map(({ host }) => host);
    for (const [place, host] of order.entries()) {
      const next = order[(place + 1) % order.length];
      const pair = [host.userId, next?.userId ?? ""].sort().join();
      if (next === undefined || next === host || joined.has(pair)) continue;
      joined.add(pair);
      network.connect(host, next);
    }
  }
}

/**
 * No schedule is faster: what those who stay need, and what those who left took with them, has to go through the uplinks
 * of whoever is there at the time; the seeder has to send each byte once; and nobody gets the file sooner after its
 * coming than its downlink allows. (Kumar and Ross, 2006, with uplinks that come and go.)
 */
function boundSeconds(lengthBytes: number, seeder: Host, visits: readonly Visit[]): number {
  let neededBytes = 0;
  let boundMs = (lengthBytes * 1000) / seeder.upBytesPerSecond;
  const changes: { atMs: number; upBytesPerSecond: number }[] = [];
  for (const { host, leftAtMs } of visits) {
    const hasLeft = leftAtMs < Number.POSITIVE_INFINITY;
    neededBytes += hasLeft ? host.torrent.status().downloadedBytes : lengthBytes;
    changes.push({ atMs: host.joinedAtMs, upBytesPerSecond: host.upBytesPerSecond });
    if (hasLeft) changes.push({ atMs: leftAtMs, upBytesPerSecond: -host.upBytesPerSecond });
    else boundMs = Math.max(boundMs, host.joinedAtMs + (lengthBytes * 1000) / host.downBytesPerSecond);
  }
  changes.sort((a, b) => a.atMs - b.atMs);
  let upBytesPerSecond = seeder.upBytesPerSecond;
  let atMs = 0;
  for (const change of changes) {
    const carried = (upBytesPerSecond * (change.atMs - atMs)) / 1000;
    if (carried >= neededBytes) break;
    neededBytes -= carried;
    atMs = change.atMs;
    upBytesPerSecond += change.upBytesPerSecond;
  }
  return Math.max(boundMs, atMs + (neededBytes * 1000) / upBytesPerSecond) / 1000;
}
