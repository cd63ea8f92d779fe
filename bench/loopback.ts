// One seeder process to one leecher process over loopback, TLS on, files on a tmpfs, the whole-file check included.
// Prints MB/s, the CPU seconds of both during the download, and the peak memory of both.
//
//   npm run bench -- [--size MiB] [--runs N] [--folder DIR]
import { readFileSync, rmSync } from "node:fs";
import { parseArgs } from "node:util";
import type { ClientProcess } from "../harness/processes.ts";
import { Scene, sha1Of } from "../harness/scene.ts";

const MIB = 1024 * 1024;
/** Linux reports CPU times in these (USER_HZ). */
const TICKS_PER_SECOND = 100;

const { values } = parseArgs({
  options: {
    size: { type: "string", default: "1024" },
    runs: { type: "string", default: "5" },
    folder: { type: "string", default: "/dev/shm" },
  },
});
const lengthBytes = Number(values.size) * MIB;
const runs = Number(values.runs);

interface Run {
  readonly seconds: number;
  readonly seederCpuSeconds: number;
  readonly leecherCpuSeconds: number;
}

await using scene = await Scene.open(1, values.folder);
const seeder = await scene.user("alice");
const leecher = await scene.user("bob");
await scene.group("g", seeder, { bob: leecher });
const { path, sha1 } = scene.file("alice", "file.bin", lengthBytes);
const hashingMs = performance.now();
await seeder.must(`upload_file ${path} g`);
const hashingSeconds = (performance.now() - hashingMs) / 1000;

const results: Run[] = [];
for (let run = 0; run < runs; run++) {
  const destination = scene.path("bob", `copy-${run}.bin`);
  const before = { seeder: cpuSeconds(seeder), leecher: cpuSeconds(leecher) };
  const startedMs = performance.now();
  await leecher.must(`download_file g file.bin ${destination}`);
  await leecher.must("wait g file.bin");
  const seconds = (performance.now() - startedMs) / 1000;
  results.push({
    seconds,
    seederCpuSeconds: cpuSeconds(seeder) - before.seeder,
    leecherCpuSeconds: cpuSeconds(leecher) - before.leecher,
  });
  if ((await sha1Of(destination)) !== sha1) throw new Error("The copy differs.");
  await leecher.must("stop_share g file.bin");
  await leecher.must("cancel g file.bin");
  rmSync(destination);
  const { seconds: taken } = results.at(-1) ?? { seconds: 0 };
  console.log(`run ${run + 1}: ${taken.toFixed(2)} s, ${(lengthBytes / 1e6 / taken).toFixed(0)} MB/s`);
}

console.log(`
${values.size} MiB, one seeder process, one leecher process, loopback, TLS 1.3, ${values.folder}; median of ${runs}
  sharing (both hashes)  ${hashingSeconds.toFixed(2)} s
  download               ${median((run) => run.seconds).toFixed(2)} s, ${(lengthBytes / 1e6 / median((run) => run.seconds)).toFixed(0)} MB/s, whole-file SHA-1 included
  CPU of the seeder      ${median((run) => run.seederCpuSeconds).toFixed(2)} s
  CPU of the leecher     ${median((run) => run.leecherCpuSeconds).toFixed(2)} s
  peak memory            seeder ${peakMegabytes(seeder)} MB, leecher ${peakMegabytes(leecher)} MB`);

function median(of: (run: Run) => number): number {
  const sorted = results.map(of).sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}

/** User and system time of all threads so far (proc(5): fields 14 and 15 of stat). */
function cpuSeconds(client: ClientProcess): number {
  const stat = readFileSync(`/proc/${client.pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function peakMegabytes(client: ClientProcess): string {
  const status = readFileSync(`/proc/${client.pid}/status`, "utf8");
  const kilobytes = Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]);
  return ((kilobytes * 1024) / 1e6).toFixed(0);
}
