// What long lists cost those who do not ask for them: one group's files, listed over and over, and all groups, while
// another member's calls are timed. Also the list itself.
//
//   node bench/tracker-list.ts [--files N] [--groups N] [--readers N]
import { parseArgs } from "node:util";
import { ApiClient } from "../harness/api-client.ts";
import { fillWithFiles, fillWithSharers } from "../harness/registry-rows.ts";
import { createDeviceIdentity } from "../src/identity/certificates.ts";
import { fillWithPeople, median, percentile, printMarks, Stage } from "./tracker-stage.ts";

const { values } = parseArgs({
  options: {
    files: { type: "string", default: "100000" },
    groups: { type: "string", default: "10000" },
    readers: { type: "string", default: "1" },
  },
});
const fileCount = Number(values.files);
const groupCount = Number(values.groups);
const readerCount = Number(values.readers);
/** Of each kind. */
const LISTS = 3;

await using stage = await Stage.open(1);
const identities = [createDeviceIdentity(), createDeviceIdentity()] as const;
const [reader, other] = identities;
const registry = stage.openRegistry(1);
const groupIds = Array.from({ length: groupCount }, (_, index) => `group${index}`);
const { seats } = await fillWithPeople(
  registry,
  identities.map(({ deviceId }) => deviceId),
  groupIds,
);
const accountId = seats[0]?.accountId ?? "";
const claimId = registry.claim("group", "group0")?.claimId ?? "";
await fillWithFiles(registry, fileCount, [claimId], accountId);
await fillWithSharers(registry, claimId, accountId);
registry.close();

await stage.start(1);
const open = { host: "127.0.0.1", port: stage.port(1) };
const readers = await Promise.all(
  Array.from({ length: readerCount }, () => ApiClient.connect({ ...open, identity: reader })),
);
const caller = await ApiClient.connect({ ...open, identity: other });
await callsDuring(async () => {
  for (let round = 0; round < 500; round++) await caller.query("groups.mine", {});
});

const quiet = await callsDuring(() => new Promise((resolve) => setTimeout(resolve, 2_000)));
const files = await lists("files.list", { groupId: "group0" }, fileCount);
const groups = await lists("groups.list", {}, groupCount);
printMarks(`${fileCount} files in a group, ${groupCount} groups, ${readerCount} at once who list them`, [
  { what: "another's call while nobody lists, p99", aim: "", measured: ms(percentile(quiet, 0.99)) },
  { what: "all files listed, median", aim: "", measured: ms(median(files.listsMs)) },
  { what: "  another's call meanwhile, median", aim: "", measured: ms(median(files.callsMs)) },
  { what: "  another's call meanwhile, p99", aim: "< 50 ms", measured: ms(percentile(files.callsMs, 0.99)) },
  { what: "all groups listed, median", aim: "", measured: ms(median(groups.listsMs)) },
  { what: "  another's call meanwhile, p99", aim: "< 50 ms", measured: ms(percentile(groups.callsMs, 0.99)) },
]);
for (const client of [...readers, caller]) await client.close();

async function lists(path: string, input: object, count: number) {
  const listsMs: number[] = [];
  const callsMs = await callsDuring(async () => {
    const all = readers.map(async (client) => {
      for (let list = 0; list < LISTS; list++) {
        const startedMs = performance.now();
        const { length } = await client.queryAll(path, input);
        listsMs.push(performance.now() - startedMs);
        if (length !== count) throw new Error(`${length} of ${count} are listed`);
      }
    });
    await Promise.all(all);
  });
  return { listsMs, callsMs };
}

/** How long each of another member's calls takes, one after the other, until the work is done. */
async function callsDuring(work: () => Promise<unknown>): Promise<number[]> {
  const callsMs: number[] = [];
  let isOver = false;
  const done = work().finally(() => {
    isOver = true;
  });
  while (!isOver) {
    const startedMs = performance.now();
    await caller.query("presence.peers", { infoHash: "0".repeat(40) });
    callsMs.push(performance.now() - startedMs);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await done;
  return callsMs;
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`;
}
