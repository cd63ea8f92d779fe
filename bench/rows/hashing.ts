// Row g: what sharing a file costs, both hashes, beside one `openssl sha1` of the same file.
import { execFileSync } from "node:child_process";
import { Scene } from "../../harness/scene.ts";
import { secondsOf } from "../process-cost.ts";
import { atMost, type Conditions, median, type Row, type RowResult, seconds, spread } from "../report.ts";
import { GROUP } from "../transfer.ts";

const GIB = 1024 ** 3;
const TIMES_OPENSSL = 1.2;

export const hashing: Row = {
  name: "g",
  work: "share a file, both hashes",
  async run({ folder, runs, isQuick, say }: Conditions): Promise<RowResult> {
    const lengthBytes = isQuick ? GIB / 4 : GIB;
    await using scene = await Scene.open(1, folder);
    const seeder = await scene.user("alice");
    await scene.group(GROUP, seeder, {});
    const { path } = scene.file("alice", "file.bin", lengthBytes);
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let run = 0; run < runs; run++) {
      theirs.push(await secondsOf(() => void execFileSync("openssl", ["sha1", path], { stdio: "ignore" })));
      ours.push(await secondsOf(() => seeder.must(`upload_file ${path} ${GROUP}`)));
      await seeder.must(`stop_share ${GROUP} file.bin`);
      say(`g: run ${run + 1}: ${seconds(ours.at(-1) ?? 0)}, openssl ${seconds(theirs.at(-1) ?? 0)}`);
    }
    await seeder.finish();
    const [ourSeconds, opensslSeconds] = [median(ours), median(theirs)];
    return {
      marks: [atMost(TIMES_OPENSSL, "×", "openssl sha1", ourSeconds / opensslSeconds)],
      figures: { lengthBytes, ourSeconds, opensslSeconds, ourRuns: ours, opensslRuns: theirs },
      lines: [`ours ${spread(ours)}, openssl sha1 ${spread(theirs)}`],
    };
  },
};
