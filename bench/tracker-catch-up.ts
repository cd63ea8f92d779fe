// How long a tracker takes to have all that another has: real processes, SQLite on a real disk, file records. Once with an
// empty disk, from the start of its process until both say that the link is up and their digests are equal; once with clients
// who are logged in at it, and hear of each file in their groups, from the start of the other one's process.
//
//   node bench/tracker-catch-up.ts [--records N] [--runs N] [--clients N]
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { ApiClient } from "../harness/api-client.ts";
import { fillWithFiles } from "../harness/registry-rows.ts";
import { createDeviceIdentity } from "../src/identity/certificates.ts";
import { fillWithPeople, median, printMarks, Stage } from "./tracker-stage.ts";

const { values } = parseArgs({
  options: {
    records: { type: "string", default: "100000" },
    runs: { type: "string", default: "3" },
    clients: { type: "string", default: "20" },
  },
});
const recordCount = Number(values.records);
const GROUP_COUNT = 100;
const POLL_MS = 10;

const identities = Array.from({ length: Number(values.clients) }, createDeviceIdentity);

const alone: number[] = [];
const withClients: number[] = [];
const heard: number[] = [];
for (let run = 0; run < Number(values.runs); run++) {
  alone.push(await catchUp());
  const { seconds, events } = await catchUpWithClients();
  withClients.push(seconds);
  heard.push(events);
}
const rate = (seconds: readonly number[]) =>
  `${median(seconds).toFixed(2)} s, ${Math.round(recordCount / median(seconds))} records/s`;
printMarks(`catch-up, median of ${alone.length}`, [
  { what: `${recordCount} file records to an empty tracker`, aim: "< 5 s", measured: rate(alone) },
  {
    what: `the same to one at which ${identities.length} clients are logged in`,
    aim: "",
    measured: `${rate(withClients)}; they heard ${median(heard)} times of a file`,
  },
]);

async function catchUp(): Promise<number> {
  await using stage = await Stage.open(2);
  const registry = stage.openRegistry(1);
  const groupIds = Array.from({ length: GROUP_COUNT }, (_, index) => `group${index}`);
  const { seats } = await fillWithPeople(registry, ["0".repeat(64)], groupIds);
  const claimIds = registry.claims("group", "").map(({ claimId }) => claimId);
  await fillWithFiles(registry, recordCount, claimIds, seats[0]?.accountId ?? "");
  registry.close();
  const full = await stage.start(1);
  const startMs = performance.now();
  const empty = await stage.start(2);
  await stage.connected();
  while ((await full.digest()) !== (await empty.digest())) await sleep(POLL_MS);
  return (performance.now() - startMs) / 1000;
}

/** The groups are the clients', one after the other; the files are from somebody else. */
async function catchUpWithClients(): Promise<{ seconds: number; events: number }> {
  await using stage = await Stage.open(2);
  const registry = stage.openRegistry(1);
  const groupIds = Array.from({ length: GROUP_COUNT }, (_, index) => `group${index}`);
  await fillWithPeople(
    registry,
    identities.map(({ deviceId }) => deviceId),
    groupIds,
  );
  const behind = stage.openRegistry(2);
  await behind.merge(registry.since({}, Number.MAX_SAFE_INTEGER), registry.vector);
  behind.close();
  const claimIds = registry.claims("group", "").map(({ claimId }) => claimId);
  const sharer = registry.claim("user", "user0")?.claimId ?? "";
  await fillWithFiles(registry, recordCount, claimIds, sharer);
  registry.close();
  const waiting = await stage.start(2);
  let events = 0;
  const clients = await Promise.all(
    identities.map((identity) =>
      ApiClient.connect({ host: "127.0.0.1", port: stage.port(2), identity, onEvent: () => events++ }),
    ),
  );
  for (const client of clients) {
    client.keepAlive();
    await client.listen();
    await client.mutate("session.resume");
  }
  const startMs = performance.now();
  const full = await stage.start(1);
  await stage.connected();
  while ((await full.digest()) !== (await waiting.digest())) await sleep(POLL_MS);
  const seconds = (performance.now() - startMs) / 1000;
  for (const client of clients) client.terminate();
  return { seconds, events };
}
