// Row i: two thousand small files, shared by one script and downloaded by another, one command after the other: what a
// file costs when its bytes cost next to nothing. Each download is waited for before the next one begins.
import { mkdirSync, rmSync } from "node:fs";
import { Scene, sha1Of, writeRandomFile } from "../../harness/scene.ts";
import { cpuSecondsDuring } from "../process-cost.ts";
import { atLeast, type Conditions, type Row, type RowResult, seconds } from "../report.ts";
import { GROUP } from "../transfer.ts";

const LENGTH_BYTES = 16 * 1024;
const FILES_PER_SECOND = 200;
const PATIENCE_MS = 300_000;

export const smallFiles: Row = {
  name: "i",
  work: "small files of 16 KiB, one after the other",
  async run({ folder, isQuick, say }: Conditions): Promise<RowResult> {
    const count = isQuick ? 400 : 2000;
    await using scene = await Scene.open(1, folder);
    const [seeder, leecher] = [await scene.user("alice"), await scene.user("bob")];
    await scene.group(GROUP, seeder, { bob: leecher });
    for (const name of ["files", "copies"]) mkdirSync(scene.path(name));
    const names = Array.from({ length: count }, (_, index) => `file-${index}.bin`);
    const sha1s = names.map((name) => writeRandomFile(scene.path("files", name), LENGTH_BYTES));

    const pids = [seeder.pid, leecher.pid, ...scene.trackers.map(({ pid }) => pid)];
    let [shareSeconds, downloadSeconds] = [0, 0];
    const cpuSeconds = await cpuSecondsDuring(pids, async () => {
      shareSeconds = await secondsOf(() =>
        Promise.all(
          names.map((name) => seeder.must(`upload_file ${scene.path("files", name)} ${GROUP}`, PATIENCE_MS)),
        ),
      );
      say(`i: shared in ${seconds(shareSeconds)}`);
      downloadSeconds = await secondsOf(() =>
        Promise.all(
          names.flatMap((name) => [
            leecher.must(`download_file ${GROUP} ${name} ${scene.path("copies", name)}`, PATIENCE_MS),
            leecher.must(`wait ${GROUP} ${name}`, PATIENCE_MS),
          ]),
        ),
      );
      say(`i: downloaded in ${seconds(downloadSeconds)}`);
    });
    for (const [index, name] of names.entries()) {
      if ((await sha1Of(scene.path("copies", name))) !== sha1s[index]) throw new Error(`${name} differs`);
    }
    rmSync(scene.path("copies"), { recursive: true });
    const [seederCpu = 0, leecherCpu = 0, trackerCpu = 0] = cpuSeconds;
    const perFile = (cpu: number) => `${((cpu / count) * 1000).toFixed(2)} ms`;
    return {
      marks: [atLeast(FILES_PER_SECOND, "files/s", "end to end", count / (shareSeconds + downloadSeconds))],
      figures: { count, shareSeconds, downloadSeconds, seederCpu, leecherCpu, trackerCpu },
      lines: [
        `shared ${(count / shareSeconds).toFixed(0)} files/s, downloaded ${(count / downloadSeconds).toFixed(0)} files/s`,
        `processor a file: seeder ${perFile(seederCpu)}, leecher ${perFile(leecherCpu)}, tracker ${perFile(trackerCpu)}`,
      ],
    };
  },
};

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return (performance.now() - startedMs) / 1000;
}
