// Row l: a folder of 100,000 files, 10 GiB in all: the memory of both processes beside that of processes that had one small file,
// and how long the seeder takes from the login after a restart until it shares again. Of each file only the first
// bytes are not zero, and the source has holes.
import { closeSync, ftruncateSync, mkdirSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { Scene } from "../../harness/scene.ts";
import { until } from "../../harness/within.ts";
import { peakBytesOf } from "../process-cost.ts";
import { atMost, type Conditions, type Row, type RowResult, seconds } from "../report.ts";
import { GROUP } from "../transfer.ts";

const MIB = 1024 ** 2;
const FILE_LENGTH_BYTES = 107_374;
const FILES_IN_A_FOLDER = 1_000;
const MORE_MEGABYTES = 50;
const RESTART_SECONDS = 5;
const PATIENCE_MS = 600_000;
const NAME = "tree";

export const largeFolder: Row = {
  name: "l",
  work: "a folder of 100,000 files, 10 GiB",
  async run({ folder, isQuick, say }: Conditions): Promise<RowResult> {
    const fileCount = isQuick ? 10_000 : 100_000;
    await using scene = await Scene.open(1, folder);
    const alone = await peaksWith(
      scene,
      ["ann", "ben"],
      scene.file("ann", "small.bin", MIB).path,
      "small.bin",
    );
    const source = scene.path("alice", NAME);
    writeTreeWithHoles(source, fileCount);
    const many = await peaksWith(scene, ["alice", "bob"], source, NAME);
    say(`l: shared in ${seconds(many.shareSeconds)}, downloaded in ${seconds(many.downloadSeconds)}`);

    const again = scene.client("alice");
    await again.must("whoami");
    const startedMs = performance.now();
    await again.must("login alice correct-horse", PATIENCE_MS);
    await until(
      async () => sharesSchema.parse(await again.must("list_shares")).some(isServed),
      "it is shared again",
      PATIENCE_MS,
    );
    const restartSeconds = (performance.now() - startedMs) / 1000;
    await again.finish();
    const more = many.peaks.map((peak, index) => (peak - (alone.peaks[index] ?? 0)) / MIB);
    return {
      marks: [
        atMost(MORE_MEGABYTES, "MiB", "more memory, the larger process", Math.max(...more)),
        atMost(RESTART_SECONDS, "s", "from the login until it shares again", restartSeconds),
      ],
      figures: {
        fileCount,
        ...many,
        aloneShareSeconds: alone.shareSeconds,
        alonePeaks: alone.peaks,
        restartSeconds,
      },
      lines: [
        `shared in ${seconds(many.shareSeconds)}, downloaded in ${seconds(many.downloadSeconds)}; memory ${many.peaks.map((peak) => (peak / MIB).toFixed(0)).join(" + ")} MiB at most, with one small file ${alone.peaks.map((peak) => (peak / MIB).toFixed(0)).join(" + ")} MiB`,
      ],
    };
  },
};

interface Peaks {
  readonly shareSeconds: number;
  readonly downloadSeconds: number;
  /** Of the seeder and the leecher, in bytes. */
  readonly peaks: readonly number[];
}

const sharesSchema = z.array(z.object({ state: z.string() }));
const isServed = ({ state }: { state: string }): boolean => state === "served";

/** One shares what is at the path, the other downloads it, in two fresh processes. */
async function peaksWith(
  scene: Scene,
  [seederName, leecherName]: readonly [string, string],
  path: string,
  name: string,
): Promise<Peaks> {
  const [seeder, leecher] = [await scene.user(seederName), await scene.user(leecherName)];
  const groupId = `${GROUP}-${seederName}`;
  await scene.group(groupId, seeder, { [leecherName]: leecher });
  const startedMs = performance.now();
  await seeder.must(`upload_file ${path} ${groupId}`, PATIENCE_MS);
  const sharedMs = performance.now();
  await leecher.must(`download_file ${groupId} ${name} ${scene.path(`copy-${name}`)}`, PATIENCE_MS);
  await leecher.must(`wait ${groupId} ${name}`, PATIENCE_MS);
  const endMs = performance.now();
  const peaks = [peakBytesOf(seeder.pid), peakBytesOf(leecher.pid)];
  await Promise.all([seeder.finish(), leecher.finish()]);
  return { shareSeconds: (sharedMs - startedMs) / 1000, downloadSeconds: (endMs - sharedMs) / 1000, peaks };
}

function writeTreeWithHoles(folder: string, fileCount: number): void {
  const start = Buffer.alloc(16);
  for (let index = 0; index < fileCount; index++) {
    const inside = join(folder, `part-${Math.floor(index / FILES_IN_A_FOLDER)}`);
    if (index % FILES_IN_A_FOLDER === 0) mkdirSync(inside, { recursive: true });
    const file = openSync(join(inside, `file-${index}.bin`), "w");
    start.writeUInt32BE(index);
    writeSync(file, start);
    ftruncateSync(file, FILE_LENGTH_BYTES);
    closeSync(file);
  }
}
