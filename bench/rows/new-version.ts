// Row m: a new version of 1 GiB of which one hundredth was changed in place, fetched by a member who has the old one; against
// fetching all of the new version, both at 1 Gbit/s, which the leecher's own limit stands for.
import { randomFillSync } from "node:crypto";
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { Scene } from "../../harness/scene.ts";
import { digestOfTree, writeTree } from "../../harness/trees.ts";
import { atLeast, atMost, type Conditions, digits, type Row, type RowResult, seconds } from "../report.ts";
import { download, GROUP } from "../transfer.ts";

const MIB = 1024 ** 2;
const FILE_LENGTH_BYTES = 16 * MIB;
const CHANGED_PART = 1 / 100;
const FETCHED_PERCENT = 2;
const TIMES_FASTER = 5;
/** What TCP carries as payload on a wire of 1 Gbit/s. */
const RATE = "118MB/s";
const PATIENCE_MS = 300_000;
const NAME = "tree";

const statusSchema = z.array(
  z.object({ fileName: z.string(), state: z.string(), sources: z.array(z.object({ bytes: z.number() })) }),
);

export const newVersion: Row = {
  name: "m",
  work: "a new version, 1 % changed in place, at 1 Gbit/s",
  async run({ folder, isQuick, say }: Conditions): Promise<RowResult> {
    const fileCount = isQuick ? 16 : 64;
    const lengthBytes = fileCount * FILE_LENGTH_BYTES;
    await using scene = await Scene.open(1, folder);
    const [seeder, leecher, other] = [
      await scene.user("alice"),
      await scene.user("bob"),
      await scene.user("carol"),
    ];
    await scene.group(GROUP, seeder, { bob: leecher, carol: other });
    for (const client of [leecher, other]) await client.must(`limit down ${RATE}`);
    const source = scene.path("alice", NAME);
    writeTree(source, { fileCount, fileLengthBytes: FILE_LENGTH_BYTES });
    await seeder.must(`upload_file ${source} ${GROUP}`, PATIENCE_MS);
    const copy = scene.path("copy");
    await download(leecher, NAME, copy);

    changeInPlace(join(source, "part-0", "file-7.bin"), lengthBytes * CHANGED_PART);
    await seeder.must(`update_share ${GROUP} ${NAME}`, PATIENCE_MS);
    const digest = digestOfTree(source);
    const startedMs = performance.now();
    await leecher.must(`download_file ${GROUP} ${NAME} ${copy}`, PATIENCE_MS);
    await leecher.must(`wait ${GROUP} ${NAME}`, PATIENCE_MS);
    const updateSeconds = (performance.now() - startedMs) / 1000;
    if (digestOfTree(copy) !== digest) throw new Error("the copy is not the new version");
    const [status] = statusSchema
      .parse(await leecher.must("show_downloads"))
      .filter(({ fileName }) => fileName === NAME);
    const fetchedBytes = (status?.sources ?? []).reduce((sum, { bytes }) => sum + bytes, 0);
    const fetchedPercent = (fetchedBytes / lengthBytes) * 100;
    say(`m: ${seconds(updateSeconds)}, ${digits(fetchedPercent)} % fetched`);

    const whole = scene.path("whole");
    const wholeStartedMs = performance.now();
    await download(other, NAME, whole);
    const wholeSeconds = (performance.now() - wholeStartedMs) / 1000;
    if (digestOfTree(whole) !== digest) throw new Error("the copy is not the folder");
    rmSync(whole, { recursive: true });
    await Promise.all([seeder.finish(), leecher.finish(), other.finish()]);
    return {
      marks: [
        atMost(FETCHED_PERCENT, "%", "of it fetched", fetchedPercent),
        atLeast(TIMES_FASTER, "×", "as fast as fetching everything", wholeSeconds / updateSeconds),
      ],
      figures: { lengthBytes, updateSeconds, wholeSeconds, fetchedBytes },
      lines: [`the new version in ${seconds(updateSeconds)}, all of it in ${seconds(wholeSeconds)}`],
    };
  },
};

/** Overwrites a part of the file, from its middle on. */
function changeInPlace(path: string, lengthBytes: number): void {
  const file = openSync(path, "r+");
  writeSync(file, randomFillSync(Buffer.alloc(Math.floor(lengthBytes))), 0, Math.floor(lengthBytes), MIB);
  closeSync(file);
}
