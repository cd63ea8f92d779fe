// Ten thousand clients at one tracker: what each costs it in memory beside the TLS session's own, and how long it takes
// until all are back, announced again, when they come at the same moment because their tracker was killed.
//
//   node bench/tracker-clients.ts [--clients N] [--processes N]
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { z } from "zod";
import { recordKey } from "../src/tracker/registry/registry.ts";
import type { SqliteRegistry } from "../src/tracker/registry/sqlite-registry.ts";
import { CLIENTS_PER_GROUP, torrentsOf } from "./tracker-crowd.ts";
import { cpuSeconds, fillWithPeople, type Mark, printMarks, residentBytes, Stage } from "./tracker-stage.ts";

const { values } = parseArgs({
  options: { clients: { type: "string", default: "10000" }, processes: { type: "string", default: "8" } },
});
const clientCount = Number(values.clients);
const processCount = Number(values.processes);
const perProcess = Math.ceil(clientCount / processCount);
const total = perProcess * processCount;
/** Garbage goes meanwhile, and no heartbeat is missed. */
const SETTLE_MS = 8_000;
const STORM_PATIENCE_MS = 120_000;
/** Of those who come back, so many before the last. */
const MOST = 0.95;
const KIB = 1024;
const backSchema = z.object({ type: z.literal("back"), online: z.number(), attemptsInVain: z.number() });

const marks: Mark[] = [];
const crowd = Array.from({ length: processCount }, () =>
  fork(join(import.meta.dirname, "tracker-crowd.ts"), { stdio: ["ignore", "inherit", "inherit", "ipc"] }),
);
try {
  const deviceIds = (
    await Promise.all(
      crowd.map(async (process, index) => {
        const message = await ordered(process, {
          type: "prepare",
          first: index * perProcess,
          count: perProcess,
        });
        return z.object({ deviceIds: z.array(z.string()) }).parse(message).deviceIds;
      }),
    )
  ).flat();
  const bare = await measureBare();
  await using stage = await Stage.open(2);
  const registry = stage.openRegistry(1);
  await fillWithCrowd(registry, deviceIds);
  registry.close();
  const first = await stage.start(1);
  await stage.start(2);
  await stage.connected();
  const second = stage.trackers[1];
  if (second === undefined) throw new Error("no second tracker");

  // They begin at 1; 2 is where they go when it dies.
  const emptyBytes = residentBytes(first.pid);
  const startMs = performance.now();
  const ports = [stage.port(1), stage.port(2)];
  await Promise.all(crowd.map((process) => ordered(process, { type: "connect", ports })));
  const tookSeconds = (performance.now() - startMs) / 1000;
  await sleep(SETTLE_MS);
  // Who was kept waiting for 1.5 s may be at the other one.
  const { clientsOnline } = await first.health();
  const perClient = (residentBytes(first.pid) - emptyBytes) / clientsOnline;
  const cpuBefore = cpuSeconds(first.pid);
  await sleep(SETTLE_MS);
  const idleCpu = (cpuSeconds(first.pid) - cpuBefore) / (SETTLE_MS / 1000);
  marks.push(
    {
      what: `memory a client beside the TLS session's own`,
      aim: "< 20 KB",
      measured: `${kilobytes(perClient - bare.bytes)} (${kilobytes(perClient)} with TLS, ${kilobytes(bare.bytes)} of bare TLS)`,
    },
    {
      what: "connected and announced",
      aim: String(total),
      measured: `${clientsOnline}, after ${tookSeconds.toFixed(1)} s`,
    },
    {
      what: "CPU of the tracker while nothing happens",
      aim: "",
      measured: `${(idleCpu * 100).toFixed(0)} % of a core`,
    },
  );

  const back = allBack();
  const killedMs = performance.now();
  const cpuBeforeStorm = cpuSeconds(second.pid);
  const crowdCpuBefore = crowdCpuSeconds();
  await first.kill("SIGKILL");
  stage.trackers.shift();
  const storm = await back;
  const stormCpu = cpuSeconds(second.pid) - cpuBeforeStorm;
  const crowdCpu = crowdCpuSeconds() - crowdCpuBefore;
  const seconds = (atMs: number): string => `${((atMs - killedMs) / 1000).toFixed(1)} s`;
  await sleep(2_000);
  const within =
    storm === undefined
      ? `not within ${STORM_PATIENCE_MS / 1000} s`
      : `${seconds(storm.atMs)}, half after ${seconds(storm.halfMs)}, 95 % after ${seconds(storm.mostMs)}`;
  const { clientsOnline: onlineAfter } = await second.health();
  marks.push(
    {
      what: "all back after their tracker was killed",
      aim: "< 60 s",
      measured: `${within}; ${onlineAfter} are there`,
    },
    {
      what: "CPU of the tracker for each of them",
      aim: "",
      measured: `${perClientMs(stormCpu)}, so ${stormCpu.toFixed(1)} s at least on a core of its own; bare TLS ${bare.cpuMs.toFixed(2)} ms`,
    },
    {
      what: "attempts in vain, those at the dead tracker too",
      aim: "",
      measured: storm === undefined ? "" : String(storm.attemptsInVain),
    },
    { what: "CPU of the clients for each of them", aim: "", measured: perClientMs(crowdCpu) },
  );
} finally {
  for (const process of crowd) process.kill();
}
printMarks(`${total} clients in ${processCount} processes on the same machine`, marks);

/** Every member of a group of ten announces its three torrents. */
async function fillWithCrowd(registry: SqliteRegistry, deviceIds: readonly string[]): Promise<void> {
  const groupIds = Array.from(
    { length: Math.ceil(total / CLIENTS_PER_GROUP) },
    (_, index) => `group${index}`,
  );
  const { seats } = await fillWithPeople(registry, deviceIds, groupIds);
  await registry.transact("memberships", (writer) => {
    for (const [index, { accountId }] of seats.entries()) {
      const group = Math.floor(index / CLIENTS_PER_GROUP);
      const groupClaimId = writer.claim("group", `group${group}`)?.claimId ?? "";
      const membershipId = crypto.randomUUID();
      const membership = { state: "member", sinceMs: Date.now(), membershipId };
      writer.put("membership", recordKey(groupClaimId, accountId, membershipId), membership);
      if (index % CLIENTS_PER_GROUP !== 0) continue;
      for (const { infoHash } of torrentsOf(index)) {
        const torrent = { info: "", broughtByAccountId: accountId };
        writer.put("torrent", recordKey(infoHash, groupClaimId, infoHash, "w"), torrent);
      }
    }
  });
}

/** The same connections to a server that does nothing but TLS: what each costs it. */
async function measureBare(): Promise<{ bytes: number; cpuMs: number }> {
  const server = fork(join(import.meta.dirname, "tracker-bare-tls.ts"), {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const { port } = z.object({ port: z.number() }).parse((await once(server, "message"))[0]);
  const pid = server.pid ?? 0;
  const emptyBytes = residentBytes(pid);
  const cpuBefore = cpuSeconds(pid);
  await Promise.all(crowd.map((process) => ordered(process, { type: "connect-bare", port })));
  const cpuMs = ((cpuSeconds(pid) - cpuBefore) / total) * 1000;
  await sleep(SETTLE_MS);
  const bytes = (residentBytes(pid) - emptyBytes) / total;
  for (const process of crowd) process.send({ type: "end-bare" });
  server.kill();
  await once(server, "exit");
  return { bytes, cpuMs };
}

/** The moment, on performance.now()'s clock, at which all were online again, and the attempts that it took in vain. */
function allBack(): Promise<
  { atMs: number; halfMs: number; mostMs: number; attemptsInVain: number } | undefined
> {
  let halfMs = 0;
  let mostMs = 0;
  const reports = new Map<ChildProcess, { online: number; attemptsInVain: number }>();
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), STORM_PATIENCE_MS);
    for (const process of crowd) {
      process.on("message", (message) => {
        const back = backSchema.safeParse(message);
        if (!back.success) return;
        reports.set(process, back.data);
        const sum = (of: "online" | "attemptsInVain") =>
          [...reports.values()].reduce((so, report) => so + report[of], 0);
        const [online, atMs] = [sum("online"), performance.now()];
        if (online * 2 < total) halfMs = atMs;
        if (online < total * MOST) mostMs = atMs;
        if (online < total) return;
        clearTimeout(timer);
        resolve({ atMs, halfMs, mostMs, attemptsInVain: sum("attemptsInVain") });
      });
    }
  });
}

async function ordered(process: ChildProcess, order: object): Promise<unknown> {
  const answer = once(process, "message");
  process.send(order);
  return (await answer)[0];
}

function crowdCpuSeconds(): number {
  return crowd.reduce((sum, { pid = 0 }) => sum + cpuSeconds(pid), 0);
}

function perClientMs(seconds: number): string {
  return `${((seconds / total) * 1000).toFixed(2)} ms`;
}

function kilobytes(bytes: number): string {
  return `${(bytes / KIB).toFixed(1)} KB`;
}
