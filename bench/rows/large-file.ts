// Row c: a file of 10 GiB, against one of 1 GiB between the same two processes: as fast, and in no more memory. The
// source has holes, or it and its copy would not fit into 24 GB of memory: of each 64 KiB one page is random, so that no
// two pieces are alike; the copy is written out in full. A virtual machine may get its memory from its host only when it
// is first written to, at several times the price: so much is written and removed beforehand, and what that took is told.
import { randomFillSync } from "node:crypto";
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { z } from "zod";
import { Scene } from "../../harness/scene.ts";
import { peakBytesOf } from "../process-cost.ts";
import {
  atLeast,
  atMost,
  type Conditions,
  megabytesPerSecond,
  type Row,
  type RowResult,
  seconds,
} from "../report.ts";
import { GROUP, measureTransfer } from "../transfer.ts";

const GIB = 1024 ** 3;
const PEAK_MEGABYTES = 200;
/** As fast as the small one, but for what two single runs differ by anyway. */
const AS_FAST = 0.95;
/** Beside the copy: the source's pages, and the processes. */
const SPARE_BYTES = 3 * GIB;
const STEP_BYTES = 1024 * 1024;
const PAGE_BYTES = 4096;
const PAGE_EVERY_BYTES = 64 * 1024;

const sharedSchema = z.object({ sha1: z.string() });

export const largeFile: Row = {
  name: "c",
  work: "a file of 10 GiB",
  async run({ folder, isQuick, say }: Conditions): Promise<RowResult> {
    const largeGib = isQuick ? 2 : 10;
    await using scene = await Scene.open(1, folder);
    const [seeder, leecher] = [await scene.user("alice"), await scene.user("bob")];
    await scene.group(GROUP, seeder, { bob: leecher });
    mkdirSync(scene.path("alice"), { recursive: true });

    const transfer = async (name: string, lengthBytes: number, runs: number) => {
      const path = scene.path("alice", name);
      writeFileWithHoles(path, lengthBytes);
      const { sha1 } = sharedSchema.parse(await seeder.must(`upload_file ${path} ${GROUP}`));
      const taken: number[] = [];
      for (let run = 0; run < runs; run++) {
        const done = await measureTransfer(scene, { name, sha1 }, [leecher], []);
        taken.push(done.seconds);
      }
      await seeder.must(`stop_share ${GROUP} ${name}`);
      rmSync(path);
      const peaks = [peakBytesOf(seeder.pid), peakBytesOf(leecher.pid)].map((bytes) => bytes / 1e6);
      const least = Math.min(...taken);
      const memory = peaks.map((peak) => peak.toFixed(0)).join(" + ");
      const text = `${name} ${seconds(least)}, ${megabytesPerSecond(lengthBytes, least)}, ${memory} MB`;
      say(`c: ${text}`);
      return { bytesPerSecond: lengthBytes / least, seconds: least, peaks, text };
    };
    // Three, the best of which counts: the first one runs cold.
    const small = await transfer("1GiB.bin", GIB, 3);
    const largeBytes = largeGib * GIB;
    const perGib = [1, 2].map(
      () => (fill(scene.path("filled"), largeBytes + SPARE_BYTES) * GIB) / (largeBytes + SPARE_BYTES),
    );
    const filled = `a plain writer: ${perGib.map(seconds).join(", then ")} for each GiB of ${largeGib + 3}`;
    say(`c: ${filled}`);
    const large = await transfer(`${largeGib}GiB.bin`, largeBytes, 1);
    await Promise.all([seeder.finish(), leecher.finish()]);

    const peak = Math.max(...large.peaks);
    return {
      marks: [
        atLeast(AS_FAST, "×", "the rate of 1 GiB", large.bytesPerSecond / small.bytesPerSecond),
        atMost(PEAK_MEGABYTES, "MB", "of memory, the larger process", peak),
      ],
      figures: {
        largeBytes,
        plainWriteSecondsPerGib: perGib,
        largeSeconds: large.seconds,
        smallSeconds: small.seconds,
        largePeakMegabytes: large.peaks,
        smallPeakMegabytes: small.peaks,
      },
      lines: [`${small.text}; ${large.text} (peaks of seeder + leecher until then); ${filled}`],
    };
  },
};

function writeFileWithHoles(path: string, lengthBytes: number): void {
  const page = randomFillSync(Buffer.alloc(PAGE_BYTES));
  const file = openSync(path, "w");
  ftruncateSync(file, lengthBytes);
  for (let at = 0; at < lengthBytes; at += PAGE_EVERY_BYTES) {
    page.writeUInt32BE(at / PAGE_EVERY_BYTES);
    writeSync(file, page, 0, PAGE_BYTES, at);
  }
  closeSync(file);
}

/** Writes a file and removes it. @returns seconds */
function fill(path: string, lengthBytes: number): number {
  const step = randomFillSync(Buffer.alloc(STEP_BYTES));
  const startMs = performance.now();
  const file = openSync(path, "w");
  for (let done = 0; done < lengthBytes; done += STEP_BYTES) writeSync(file, step);
  closeSync(file);
  const tookSeconds = (performance.now() - startMs) / 1000;
  rmSync(path);
  return tookSeconds;
}
