// What a tracker with very many records on disk costs: its start, its memory, and a list of one group's files. The
// same with few records beside it: memory must not grow with them.
//
//   node bench/tracker-records.ts [--records N]
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ApiClient } from "../harness/api-client.ts";
import { fillWithFiles } from "../harness/registry-rows.ts";
import { createDeviceIdentity } from "../src/identity/certificates.ts";
import { recordKey } from "../src/tracker/registry/registry.ts";
import { fillWithPeople, median, printMarks, residentBytes, Stage } from "./tracker-stage.ts";

const { values } = parseArgs({ options: { records: { type: "string", default: "1000000" } } });
const manyRecords = Number(values.records);
const FEW_RECORDS = 1_000;
const FILES_PER_GROUP = 1_000;
const STARTS = 5;
/** Lists asked for, each of another group where there are so many. */
const LISTS = 1_000;
const MIB = 1024 * 1024;

interface Result {
  readonly startMs: number;
  readonly startBytes: number;
  readonly usedBytes: number;
  readonly listMs: number;
  readonly healthMs: number;
  readonly diskBytes: number;
}

const few = await measure(FEW_RECORDS);
const many = await measure(manyRecords);
const mib = (bytes: number) => `${(bytes / MIB).toFixed(0)} MiB`;
printMarks(`${manyRecords} file records on disk (${mib(many.diskBytes)})`, [
  { what: "start until it serves, median", aim: "< 2 s", measured: `${(many.startMs / 1000).toFixed(2)} s` },
  { what: `  the same with ${FEW_RECORDS}`, aim: "", measured: `${(few.startMs / 1000).toFixed(2)} s` },
  {
    what: "memory after start",
    aim: `as with ${FEW_RECORDS}`,
    measured: `${mib(many.startBytes)}; with few ${mib(few.startBytes)}`,
  },
  {
    what: "memory after 1000 lists of files",
    aim: "bounded",
    measured: `${mib(many.usedBytes)}; with few ${mib(few.usedBytes)}`,
  },
  {
    what: `list of one group's ${FILES_PER_GROUP} files, median`,
    aim: "",
    measured: `${many.listMs.toFixed(0)} ms`,
  },
  { what: "/health, median", aim: "", measured: `${many.healthMs.toFixed(1)} ms` },
]);

async function measure(recordCount: number): Promise<Result> {
  await using stage = await Stage.open(1);
  const identity = createDeviceIdentity();
  const registry = stage.openRegistry(1);
  const groupIds = Array.from(
    { length: Math.ceil(recordCount / FILES_PER_GROUP) },
    (_, index) => `group${index}`,
  );
  const { seats } = await fillWithPeople(registry, [identity.deviceId], groupIds);
  const claimIds = registry.claims("group", "").map(({ claimId }) => claimId);
  const accountId = seats[0]?.accountId ?? "";
  await fillWithFiles(registry, recordCount, claimIds, accountId);
  await registry.transact("shares", (writer) => {
    // So that the lists have something in them: a tenth of the files is offered.
    const membershipIds = new Map<string, string>();
    for (const claimId of claimIds) {
      const [member] = writer.list("membership", recordKey(claimId, accountId, ""));
      membershipIds.set(claimId, member?.value.membershipId ?? "");
    }
    for (const claimId of claimIds.slice(0, 100)) {
      for (const file of writer.claims("file", recordKey(claimId, ""))) {
        const share = { sinceMs: 0, membershipId: membershipIds.get(claimId) };
        writer.put("share", recordKey(file.claimId, accountId, "a machine"), share);
      }
    }
  });
  registry.close();
  const startsMs: number[] = [];
  for (let start = 0; start < STARTS; start++) {
    const startMs = performance.now();
    const tracker = await stage.start(1);
    startsMs.push(performance.now() - startMs);
    await tracker.kill();
  }
  const tracker = await stage.start(1);
  const startBytes = residentBytes(tracker.pid);
  const client = await ApiClient.connect({ host: "127.0.0.1", port: stage.port(1), identity });
  const listsMs: number[] = [];
  const healthsMs: number[] = [];
  for (let asked = 0; asked < LISTS; asked++) {
    const groupId = groupIds[asked % groupIds.length];
    const askedMs = performance.now();
    const files = await client.queryAll("files.list", { groupId });
    listsMs.push(performance.now() - askedMs);
    if (asked === 0 && files.length !== FILES_PER_GROUP) throw new Error(`${files.length} files are listed`);
    const lookedMs = performance.now();
    await tracker.health();
    healthsMs.push(performance.now() - lookedMs);
  }
  await client.close();
  const path = join(stage.dataDir(1), "registry.sqlite");
  return {
    startMs: median(startsMs),
    startBytes,
    usedBytes: residentBytes(tracker.pid),
    listMs: median(listsMs.slice(0, 100)),
    healthMs: median(healthsMs),
    diskBytes: [path, `${path}-wal`].reduce(
      (sum, file) => sum + (existsSync(file) ? statSync(file).size : 0),
      0,
    ),
  };
}
