// Row i: two thousand small files, shared by one script and downloaded by another, one command after the other: what a
// file costs when its bytes cost next to nothing. Once each download is waited for before the next one begins, and once
// all of them are waited for at the end.
import { mkdirSync, rmSync } from "node:fs";
import type { ClientProcess } from "../../harness/processes.ts";
import { Scene, sha1Of, writeRandomFile } from "../../harness/scene.ts";
import { cpuSecondsDuring, secondsOf } from "../process-cost.ts";
import { atLeast, type Conditions, type Row, type RowResult, seconds } from "../report.ts";
import { GROUP } from "../transfer.ts";

const LENGTH_BYTES = 16 * 1024;
const FILES_PER_SECOND = 200;
const PATIENCE_MS = 300_000;

type Waits = "for each" | "at the end";

interface Outcome {
  readonly filesPerSecond: number;
  readonly figures: Readonly<Record<string, number>>;
  readonly lines: readonly string[];
}

export const smallFiles: Row = {
  name: "i",
  work: "small files of 16 KiB, one after the other",
  async run(conditions: Conditions): Promise<RowResult> {
    const each = await shareAndDownload("for each", conditions);
    const together = await shareAndDownload("at the end", conditions);
    const figuresAtTheEnd = Object.entries(together.figures).map(([name, value]) => [
      `${name}AtTheEnd`,
      value,
    ]);
    return {
      marks: [
        atLeast(FILES_PER_SECOND, "files/s", "end to end, each waited for", each.filesPerSecond),
        atLeast(
          FILES_PER_SECOND,
          "files/s",
          "end to end, all waited for at the end",
          together.filesPerSecond,
        ),
      ],
      figures: { ...each.figures, ...Object.fromEntries(figuresAtTheEnd) },
      lines: [...each.lines, ...together.lines],
    };
  },
};

async function shareAndDownload(waits: Waits, { folder, isQuick, say }: Conditions): Promise<Outcome> {
  const count = isQuick ? 400 : 2000;
  await using scene = await Scene.open(1, folder);
  const [seeder, leecher] = [await scene.user("alice"), await scene.user("bob")];
  await scene.group(GROUP, seeder, { bob: leecher });
  for (const name of ["files", "copies"]) mkdirSync(scene.path(name));
  const names = Array.from({ length: count }, (_, index) => `file-${index}.bin`);
  const sha1s = names.map((name) => writeRandomFile(scene.path("files", name), LENGTH_BYTES));

  const uploads = names.map((name) => `upload_file ${scene.path("files", name)} ${GROUP}`);
  const downloads = names.flatMap((name) => {
    const download = `download_file ${GROUP} ${name} ${scene.path("copies", name)}`;
    return waits === "for each" ? [download, `wait ${GROUP} ${name}`] : [download];
  });
  if (waits === "at the end") downloads.push("wait");
  // All lines are there from the start, as in a file that is piped in; each begins when the one before is answered.
  const run = (client: ClientProcess, lines: readonly string[]) =>
    Promise.all(lines.map((line) => client.must(line, PATIENCE_MS)));

  const pids = [seeder.pid, leecher.pid, ...scene.trackers.map(({ pid }) => pid)];
  let [shareSeconds, downloadSeconds] = [0, 0];
  const cpuSeconds = await cpuSecondsDuring(pids, async () => {
    shareSeconds = await secondsOf(() => run(seeder, uploads));
    downloadSeconds = await secondsOf(() => run(leecher, downloads));
  });
  say(`i: shared in ${seconds(shareSeconds)}, downloaded in ${seconds(downloadSeconds)}, waiting ${waits}`);
  for (const [index, name] of names.entries()) {
    if ((await sha1Of(scene.path("copies", name))) !== sha1s[index]) throw new Error(`${name} differs`);
  }
  rmSync(scene.path("copies"), { recursive: true });
  const [seederCpu = 0, leecherCpu = 0, trackerCpu = 0] = cpuSeconds;
  const perFile = (cpu: number) => `${((cpu / count) * 1000).toFixed(2)} ms`;
  const [sharedRate, downloadedRate] = [count / shareSeconds, count / downloadSeconds];
  return {
    filesPerSecond: count / (shareSeconds + downloadSeconds),
    figures: { count, shareSeconds, downloadSeconds, seederCpu, leecherCpu, trackerCpu },
    lines: [
      `waiting ${waits}: shared ${sharedRate.toFixed(0)} files/s, downloaded ${downloadedRate.toFixed(0)} files/s`,
      `processor a file: seeder ${perFile(seederCpu)}, leecher ${perFile(leecherCpu)}, tracker ${perFile(trackerCpu)}`,
    ],
  };
}
