// Row k: 1 GiB as a folder of 64 files of 16 MiB, against the same bytes as one file, between the same two processes in turns.
import { rmSync } from "node:fs";
import type { ClientProcess } from "../../harness/processes.ts";
import { Scene } from "../../harness/scene.ts";
import { digestOfTree, writeTree } from "../../harness/trees.ts";
import { secondsOf } from "../process-cost.ts";
import {
  atLeast,
  type Conditions,
  median,
  megabytesPerSecond,
  type Row,
  type RowResult,
  seconds,
  spread,
} from "../report.ts";
import { download, forget, GROUP, measureTransfer } from "../transfer.ts";

const MIB = 1024 ** 2;
const FILE_LENGTH_BYTES = 16 * MIB;
const AS_FAST = 0.95;
const PATIENCE_MS = 300_000;
const NAME = "tree";

export const folderOfLargeFiles: Row = {
  name: "k",
  work: "a folder of files of 16 MiB, against one file",
  async run({ folder, runs, isQuick, say }: Conditions): Promise<RowResult> {
    const fileCount = isQuick ? 16 : 64;
    const lengthBytes = fileCount * FILE_LENGTH_BYTES;
    await using scene = await Scene.open(1, folder);
    const [seeder, leecher] = [await scene.user("alice"), await scene.user("bob")];
    await scene.group(GROUP, seeder, { bob: leecher });
    const source = scene.path("alice", NAME);
    writeTree(source, { fileCount, fileLengthBytes: FILE_LENGTH_BYTES });
    const digest = digestOfTree(source);
    const { path, sha1 } = scene.file("alice", "file.bin", lengthBytes);
    await seeder.must(`upload_file ${path} ${GROUP}`, PATIENCE_MS);
    await seeder.must(`upload_file ${source} ${GROUP}`, PATIENCE_MS);

    const [files, folders]: [number[], number[]] = [[], []];
    for (let run = 0; run < runs; run++) {
      files.push((await measureTransfer(scene, { name: "file.bin", sha1 }, [leecher], [])).seconds);
      folders.push(await secondsOfFolder(leecher, scene.path("copy"), digest));
      say(`k: run ${run + 1}: folder ${seconds(folders.at(-1) ?? 0)}, file ${seconds(files.at(-1) ?? 0)}`);
    }
    await Promise.all([seeder.finish(), leecher.finish()]);
    const ratios = files.map((fileSeconds, run) => fileSeconds / (folders[run] ?? Number.NaN));
    return {
      marks: [atLeast(AS_FAST, "×", "the rate of one file, median of pairs", median(ratios))],
      figures: { fileCount, lengthBytes, fileRuns: files, folderRuns: folders },
      lines: [
        `folder ${spread(folders)}, ${megabytesPerSecond(lengthBytes, median(folders))}; one file ${spread(files)}, ${megabytesPerSecond(lengthBytes, median(files))}`,
      ],
    };
  },
};

async function secondsOfFolder(leecher: ClientProcess, copy: string, digest: string): Promise<number> {
  const taken = await secondsOf(() => download(leecher, NAME, copy));
  if (digestOfTree(copy) !== digest) throw new Error(`${copy} is not the folder`);
  await forget(leecher, NAME);
  rmSync(copy, { recursive: true });
  return taken;
}
