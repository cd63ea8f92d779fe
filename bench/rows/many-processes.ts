// Row b: the same file from four seeder processes to one leecher, and from one seeder to four leechers at once. More
// connections must not make a byte dearer: bytes for each processor second, against one to one in the same processes.
import { rmSync } from "node:fs";
import type { ClientProcess } from "../../harness/processes.ts";
import { Scene } from "../../harness/scene.ts";
import { atLeast, type Conditions, median, megabytesPerSecond, type Row, type RowResult } from "../report.ts";
import { GROUP, measureTransfer, type SharedFile, type Transfer } from "../transfer.ts";

const GIB = 1024 ** 3;
const MOST_RUNS = 3;
/** Of what one to one carries for each processor second. */
const AS_DEAR = 1;
const OTHER_SEEDERS = ["dave", "erin", "frank"];
const LEECHERS = ["bob", "carol", "grace", "heidi"];

interface Work {
  readonly seeders: readonly ClientProcess[];
  readonly leechers: readonly ClientProcess[];
  readonly done: Transfer[];
}

export const manyProcesses: Row = {
  name: "b",
  work: "from four seeders; to four leechers at once",
  async run({ folder, runs, isQuick, say }: Conditions): Promise<RowResult> {
    const lengthBytes = isQuick ? GIB / 4 : GIB;
    await using scene = await Scene.open(1, folder);
    const seeder = await scene.user("alice");
    const members = new Map<string, ClientProcess>();
    for (const name of [...OTHER_SEEDERS, ...LEECHERS]) members.set(name, await scene.user(name));
    await scene.group(GROUP, seeder, Object.fromEntries(members));
    const named = (names: readonly string[]) => names.flatMap((name) => members.get(name) ?? []);
    const otherSeeders = named(OTHER_SEEDERS);
    const leechers = named(LEECHERS);
    const leecher = leechers.slice(0, 1);
    const { path, sha1 } = scene.file("alice", "file.bin", lengthBytes);
    const file: SharedFile = { name: "file.bin", sha1 };
    await seeder.must(`upload_file ${path} ${GROUP}`);

    const oneToOne: Work = { seeders: [seeder], leechers: leecher, done: [] };
    const fromFour: Work = { seeders: [seeder, ...otherSeeders], leechers: leecher, done: [] };
    const toFour: Work = { seeders: [seeder], leechers, done: [] };
    for (let run = 0; run < Math.min(runs, MOST_RUNS); run++) {
      await measure(scene, file, oneToOne);
      await measure(scene, file, toFour);
      for (const other of otherSeeders) await other.must(`upload_file ${path} ${GROUP}`);
      await measure(scene, file, fromFour);
      for (const other of otherSeeders) await other.must(`stop_share ${GROUP} file.bin`);
      const texts = [oneToOne, fromFour, toFour].map(({ done }) => `${done.at(-1)?.seconds.toFixed(2)} s`);
      say(`b: run ${run + 1}: one to one ${texts[0]}, from four ${texts[1]}, to four ${texts[2]}`);
    }
    await Promise.all([seeder, ...otherSeeders, ...leechers].map((client) => client.finish()));
    rmSync(path);

    const [alone, four, fourAtOnce] = [oneToOne, fromFour, toFour].map((work) => costOf(work, lengthBytes));
    if (alone === undefined || four === undefined || fourAtOnce === undefined) throw new Error("no runs");
    return {
      marks: [
        atLeast(
          AS_DEAR,
          "×",
          "bytes a CPU second from four",
          four.bytesPerCpuSecond / alone.bytesPerCpuSecond,
        ),
        atLeast(AS_DEAR, "×", "… to four at once", fourAtOnce.bytesPerCpuSecond / alone.bytesPerCpuSecond),
      ],
      figures: {
        lengthBytes,
        oneToOneBytesPerCpuSecond: alone.bytesPerCpuSecond,
        fromFourBytesPerCpuSecond: four.bytesPerCpuSecond,
        toFourBytesPerCpuSecond: fourAtOnce.bytesPerCpuSecond,
        oneToOneSeconds: alone.seconds,
        fromFourSeconds: four.seconds,
        toFourSeconds: fourAtOnce.seconds,
      },
      lines: [`one to one ${alone.text}`, `from four ${four.text}`, `to four ${fourAtOnce.text}`],
    };
  },
};

async function measure(scene: Scene, file: SharedFile, { seeders, leechers, done }: Work): Promise<void> {
  done.push(await measureTransfer(scene, file, leechers, [...seeders, ...leechers]));
}

function costOf({ leechers, done }: Work, lengthBytes: number) {
  const totalBytes = lengthBytes * leechers.length;
  const cpuSeconds = median(done.map((one) => one.cpuSeconds.reduce((sum, each) => sum + each, 0)));
  const seconds = median(done.map((one) => one.seconds));
  const bytesPerCpuSecond = totalBytes / cpuSeconds;
  const rate = megabytesPerSecond(totalBytes, seconds);
  const perCpu = `${(bytesPerCpuSecond / 1e6).toFixed(0)} MB a processor second`;
  return { seconds, bytesPerCpuSecond, text: `${seconds.toFixed(2)} s, ${rate} in all, ${perCpu}` };
}
