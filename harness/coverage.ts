// Which lines of src/ the unit tests run. A file that no test loads counts with all its lines, as none of them ran.
//
//   bin/node harness/coverage.ts [LEAST_PERCENT]
import { spawnSync } from "node:child_process";
import { globSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { flagsOf, makeTemporaryFolder, unitGroups } from "./unit-groups.ts";

const ROOT = join(import.meta.dirname, "..");
const least = Number(process.argv[2] ?? 0);
const place = makeTemporaryFolder();

/** Lines that ran, by file. Comments and blank lines count as run, as Node reports them. */
const hits = new Map<string, Map<number, boolean>>();
for (const file of globSync("src/**/*.ts", { cwd: ROOT }).sort()) {
  const count = readFileSync(join(ROOT, file), "utf8").split("\n").length - 1;
  hits.set(file, new Map(Array.from({ length: count }, (_, index) => [index + 1, false])));
}
for (const group of unitGroups(ROOT)) {
  const lcov = join(place, "lcov.info");
  const coverage = ["--experimental-test-coverage", "--test-coverage-include=src/**"];
  const reporter = ["--test-reporter=lcov", `--test-reporter-destination=${lcov}`];
  const options = ["--test", ...flagsOf(group), ...coverage, ...reporter];
  const { status } = spawnSync(process.execPath, [...options, ...group.files], {
    cwd: ROOT,
    env: { ...process.env, TMPDIR: place },
  });
  if (status !== 0) {
    console.error(`Tests of ${group.name} failed; npm run test:unit says which.`);
    process.exitCode = 1;
  }
  let lines: Map<number, boolean> | undefined;
  for (const line of readFileSync(lcov, "utf8").split("\n")) {
    if (line.startsWith("SF:")) lines = hits.get(line.slice(3));
    const [, number, count] = /^DA:(\d+),(\d+)/.exec(line) ?? [];
    if (Number(count) > 0) lines?.set(Number(number), true);
  }
}
rmSync(place, { recursive: true });

const folders = new Map<string, { ran: number; all: number }>();
for (const [file, lines] of hits) {
  const ran = [...lines.values()].filter(Boolean).length;
  if (ran === 0) console.log(`never loaded: ${file}`);
  for (const name of [dirname(file), "all of src"]) {
    const folder = folders.get(name) ?? { ran: 0, all: 0 };
    folders.set(name, { ran: folder.ran + ran, all: folder.all + lines.size });
  }
}
for (const [name, { ran, all }] of folders)
  console.log(`${((100 * ran) / all).toFixed(1).padStart(5)} %  ${name}`);
const { ran = 0, all = 1 } = folders.get("all of src") ?? {};
if ((100 * ran) / all < least) {
  console.error(`The unit tests run less than ${least} % of the lines.`);
  process.exitCode = 1;
}
