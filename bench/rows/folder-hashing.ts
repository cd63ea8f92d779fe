// Row n: what the hashes of a folder cost: 64 files of 16 MiB against the same bytes as one file, and 20,000 files of 16 KiB; and
// what the metainfo of a folder of 100,000 files costs to make and to read, in time and in memory that stays.
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { writeRandomFile } from "../../harness/scene.ts";
import { writeTree } from "../../harness/trees.ts";
import { FileLayoutBuilder } from "../../src/metainfo/file-layout.ts";
import { choosePieceLengthBytes } from "../../src/metainfo/geometry.ts";
import { decodeMetainfoInSlices, encodeFolderMetainfo } from "../../src/metainfo/metainfo.ts";
import { hashFile } from "../../src/storage/hash-file.ts";
import { hashFolder } from "../../src/storage/hash-folder.ts";
import { createStorageResources } from "../../src/storage/storage-resources.ts";
import { secondsOf } from "../process-cost.ts";
import { atLeast, type Conditions, median, type Row, type RowResult, seconds, spread } from "../report.ts";

const MIB = 1024 ** 2;
const LARGE_BYTES = 16 * MIB;
const SMALL_BYTES = 16 * 1024;
const AS_FAST = 0.95;
const FILES_PER_SECOND = 4_000;
const LISTED_FILES = 100_000;
const LISTED_FILE_BYTES = 107_374;

export const folderHashing: Row = {
  name: "n",
  work: "hash a folder; its metainfo",
  async run({ folder, runs, isQuick, say }: Conditions): Promise<RowResult> {
    const largeCount = isQuick ? 16 : 64;
    const smallCount = isQuick ? 2_000 : 20_000;
    const place = mkdtempSync(join(folder, "minitorrent-hashing-"));
    const storage = createStorageResources();
    const [one, large, small]: [number[], number[], number[]] = [[], [], []];
    try {
      writeRandomFile(join(place, "one"), largeCount * LARGE_BYTES);
      writeTree(join(place, "large"), { fileCount: largeCount, fileLengthBytes: LARGE_BYTES });
      writeTree(join(place, "small"), { fileCount: smallCount, fileLengthBytes: SMALL_BYTES });
      // The threads run before anything is measured.
      await hashFile(join(place, "one"), storage);
      for (let run = 0; run < runs; run++) {
        one.push(await secondsOf(() => hashFile(join(place, "one"), storage)));
        large.push(await secondsOf(() => hashFolder(join(place, "large"), storage)));
        small.push(await secondsOf(() => hashFolder(join(place, "small"), storage)));
        say(
          `n: run ${run + 1}: one file ${seconds(one.at(-1) ?? 0)}, large files ${seconds(large.at(-1) ?? 0)}, small files ${seconds(small.at(-1) ?? 0)}`,
        );
      }
    } finally {
      await storage.disk.close();
      rmSync(place, { recursive: true });
    }
    const list = await costOfList();
    const ratios = one.map((oneSeconds, run) => oneSeconds / (large[run] ?? Number.NaN));
    return {
      marks: [
        atLeast(AS_FAST, "×", "the rate of one file, median of pairs", median(ratios)),
        atLeast(FILES_PER_SECOND, "files/s", "of 16 KiB", smallCount / median(small)),
      ],
      figures: { largeCount, smallCount, oneRuns: one, largeRuns: large, smallRuns: small, ...list },
      lines: [
        `one file ${spread(one)}, large files ${spread(large)}, small files ${spread(small)}`,
        `metainfo of ${LISTED_FILES} files: ${(list.infoBytes / MIB).toFixed(1)} MiB, made in ${seconds(list.encodeSeconds)}, read in ${seconds(list.decodeSeconds)}, ${(list.keptBytes / MIB).toFixed(1)} MiB kept with it`,
      ],
    };
  },
};

interface ListCost {
  readonly infoBytes: number;
  readonly encodeSeconds: number;
  readonly decodeSeconds: number;
  /** Memory that stays after the metainfo was read, `info` included. */
  readonly keptBytes: number;
}

async function costOfList(): Promise<ListCost> {
  const builder = new FileLayoutBuilder();
  for (let index = 0; index < LISTED_FILES; index++) {
    const path = `images/${String(Math.floor(index / 250)).padStart(3, "0")}/IMG_${String(index).padStart(8, "0")}.jpg`;
    const sha1 = createHash("sha1").update(path).digest();
    builder.add({ path, lengthBytes: LISTED_FILE_BYTES, sha1, isExecutable: false });
  }
  const layout = builder.finish(choosePieceLengthBytes(LISTED_FILES * LISTED_FILE_BYTES));
  const pieceHashes = new Uint8Array(Math.ceil(layout.lengthBytes / layout.pieceLengthBytes) * 20);
  const parts = { fileName: "images", layout, pieceHashes, authorityPem: "PEM" };
  const encodingAtMs = performance.now();
  const { info } = await encodeFolderMetainfo(parts, () => setImmediate());
  const encodeSeconds = (performance.now() - encodingAtMs) / 1000;
  const before = await keptBytes();
  const decodingAtMs = performance.now();
  const metainfo = await decodeMetainfoInSlices(info, () => setImmediate());
  const decodeSeconds = (performance.now() - decodingAtMs) / 1000;
  const layoutBytes = (await keptBytes()) - before;
  // So that it is held until here.
  if (metainfo.kind !== "folder") throw new Error("it is no folder");
  return { infoBytes: info.length, encodeSeconds, decodeSeconds, keptBytes: layoutBytes + info.length };
}

async function keptBytes(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collectGarbage: unknown = runInNewContext("gc");
  if (typeof collectGarbage !== "function") throw new Error("garbage cannot be collected");
  collectGarbage();
  // Memory outside of the heap is freed a moment later.
  await sleep(100);
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
