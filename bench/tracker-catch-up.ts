// How long a tracker with an empty disk takes to have all that another has: real processes, SQLite on a real disk, file
// records. From the moment the empty one serves until both say that the link is up and their digests are equal.
//
//   node bench/tracker-catch-up.ts [--records N] [--runs N]
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { fillWithFiles, fillWithPeople, median, printMarks, Stage } from "./tracker-stage.ts";

const { values } = parseArgs({
  options: { records: { type: "string", default: "100000" }, runs: { type: "string", default: "3" } },
});
const recordCount = Number(values.records);
const GROUP_COUNT = 100;
const POLL_MS = 10;

const seconds: number[] = [];
for (let run = 0; run < Number(values.runs); run++) seconds.push(await catchUp());
const perSecond = Math.round(recordCount / median(seconds));
printMarks(`catch-up, median of ${seconds.length}`, [
  {
    what: `${recordCount} file records to an empty tracker`,
    aim: "< 5 s",
    measured: `${median(seconds).toFixed(2)} s, ${perSecond} records/s`,
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
  const empty = await stage.start(2);
  const startMs = performance.now();
  await stage.connected();
  while ((await full.digest()) !== (await empty.digest())) await sleep(POLL_MS);
  return (performance.now() - startMs) / 1000;
}
