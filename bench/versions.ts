// Row a of two checkouts in one run, in turns: what a change costs is told by pairs, each of which meets the same moment of the
// machine. Each checkout runs its own processes, and has its dependencies installed.
//
//   bin/node bench/versions.ts OTHER_CHECKOUT [--pairs N] [--mebibytes N] [--folder DIR]
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import type { ClientProcess } from "../harness/processes.ts";
import type { Scene as OurScene } from "../harness/scene.ts";
import { digits, median, seconds } from "./report.ts";
import { GROUP, measureTransfer, type Transfer } from "./transfer.ts";

const MIB = 1024 ** 2;
const FILE_NAME = "file.bin";

const { values, positionals } = parseArgs({
  options: {
    pairs: { type: "string", default: "6" },
    mebibytes: { type: "string", default: "1024" },
    folder: { type: "string", default: "/dev/shm" },
  },
  allowPositionals: true,
});
const [other] = positionals;
if (other === undefined) {
  console.error(
    "usage: bin/node bench/versions.ts OTHER_CHECKOUT [--pairs N] [--mebibytes N] [--folder DIR]",
  );
  process.exit(2);
}

interface Side {
  readonly name: string;
  readonly scene: OurScene;
  readonly seeder: ClientProcess;
  readonly leecher: ClientProcess;
  readonly sha1: string;
}

async function open(name: string, checkout: string): Promise<Side> {
  const module: { Scene: typeof OurScene } = await import(
    pathToFileURL(join(resolve(checkout), "harness/scene.ts")).href
  );
  const scene = await module.Scene.open(1, values.folder);
  const [seeder, leecher] = [await scene.user("alice"), await scene.user("bob")];
  await scene.group(GROUP, seeder, { bob: leecher });
  const { path, sha1 } = scene.file("alice", FILE_NAME, Number(values.mebibytes) * MIB);
  await seeder.must(`upload_file ${path} ${GROUP}`, 120_000);
  return { name, scene, seeder, leecher, sha1 };
}

function transfer({ scene, seeder, leecher, sha1 }: Side): Promise<Transfer> {
  return measureTransfer(scene, { name: FILE_NAME, sha1 }, [leecher], [seeder, leecher]);
}

const before = await open("before", other);
const now = await open("now", join(import.meta.dirname, ".."));
try {
  // The first copy of a process is a cold one.
  for (const side of [before, now]) await transfer(side);
  const pairs: { readonly before: Transfer; readonly now: Transfer }[] = [];
  for (let pair = 0; pair < Number(values.pairs); pair++) {
    // Who goes first takes turns too.
    const isBeforeFirst = pair % 2 === 0;
    const first = await transfer(isBeforeFirst ? before : now);
    const second = await transfer(isBeforeFirst ? now : before);
    const done = isBeforeFirst ? { before: first, now: second } : { before: second, now: first };
    pairs.push(done);
    console.log(
      ...[`pair ${pair + 1}:`, tell(done.before), "before,", tell(done.now), "now, ratio"],
      digits(done.now.seconds / done.before.seconds),
    );
  }
  const ratios = pairs.map((pair) => pair.now.seconds / pair.before.seconds);
  const ofLeecher = pairs.map(({ before, now }) => (now.cpuSeconds[1] ?? 0) / (before.cpuSeconds[1] ?? 0));
  console.log(`medians: ${seconds(median(pairs.map((pair) => pair.before.seconds)))} before,`);
  console.log(`${seconds(median(pairs.map((pair) => pair.now.seconds)))} now; ratio of a pair`);
  console.log(`${digits(median(ratios))}, of the leecher's processor time ${digits(median(ofLeecher))}`);
} finally {
  await Promise.all([before, now].map(({ scene }) => scene[Symbol.asyncDispose]()));
}

function tell({ seconds: taken, cpuSeconds, machineCpuSeconds }: Transfer): string {
  const [ofSeeder = 0, ofLeecher = 0] = cpuSeconds;
  return `${seconds(taken)} (processor: seeder ${digits(ofSeeder)}, leecher ${digits(ofLeecher)}, machine ${digits(machineCpuSeconds)})`;
}
