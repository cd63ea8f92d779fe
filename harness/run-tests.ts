// Runs the tests: several processes at a time, since most system tests wait and most unit tests are over before a process has
// started. The unit tests of a folder share one process (unit-groups.ts), every other test file has its own.
//
//   bin/node harness/run-tests.ts [unit]
//
// Prints what failed and was skipped as it happens, and in the end `N passed, N failed`.
import { type ChildProcess, spawn } from "node:child_process";
import { globSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { flagsOf, makeTemporaryFolder, type TestGroup, unitGroups } from "./unit-groups.ts";

const ROOT = join(import.meta.dirname, "..");
/** Types are stripped once for all processes, which saves a tenth of the processor time. */
const COMPILED = join(ROOT, "node_modules/.cache/compiled");
/** Longest time of one test, unless it says otherwise. */
const TIMEOUT_MS = 120_000;
/** Processes at a time: one more than cores, since system tests wait most of the time. */
const PROCESSES = availableParallelism() + 1;
/** These begin first: the longest is not alone in the end. */
const FIRST = [
  "test/browser/",
  "test/torture/",
  "test/sim/",
  "test/interop/",
  "test/system/",
  "test/attack/",
  "test/fuzz/",
];
/** Of the unit tests. */
const LONG: ReadonlySet<string> = new Set([
  "test/unit/tracker",
  "test/unit/tracker/registry and others",
  "test/unit/swarm and others",
  "test/unit/client",
]);

interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

function longestFirst(groups: readonly TestGroup[]): TestGroup[] {
  return groups.toSorted((one, other) => Number(LONG.has(other.name)) - Number(LONG.has(one.name)));
}

function otherGroups(): TestGroup[] {
  const files = globSync("test/**/*.test.ts", { cwd: ROOT }).filter((file) => !file.startsWith("test/unit/"));
  const rank = (file: string) => FIRST.findIndex((folder) => file.startsWith(folder));
  return files
    .sort((one, other) => rank(one) - rank(other) || one.localeCompare(other))
    .map((file) => ({ name: file, files: [file] }));
}

/** The process's output is kept until it ends, so that groups do not mix. */
async function run(group: TestGroup, tally: Tally): Promise<void> {
  const { name, files } = group;
  const options = ["--test", "--test-reporter=spec", `--test-timeout=${TIMEOUT_MS}`, ...flagsOf(group)];
  const startedMs = performance.now();
  const child = spawn(process.execPath, [...options, ...files], {
    cwd: ROOT,
    env: { NODE_COMPILE_CACHE: COMPILED, ...process.env, ...(isUnit(group) && { TMPDIR: temporaryFolder }) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  running.add(child);
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  running.delete(child);
  const count = (what: string) => Number(new RegExp(`^ℹ ${what} (\\d+)$`, "m").exec(output)?.[1] ?? 0);
  const failed = count("fail") + count("cancelled");
  tally.passed += count("pass");
  tally.failed += failed === 0 && code !== 0 ? 1 : failed;
  tally.skipped += count("skipped") + count("todo");
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  const skips = output.split("\n").filter((line) => line.includes("# SKIP") || /^\s*﹣/.test(line));
  console.log(`${code === 0 ? "✔" : "✖"} ${name}: ${count("pass")} passed, ${seconds} s`);
  for (const line of skips) console.log(`  ${line.trim()}`);
  if (code !== 0) console.log(output.slice(Math.max(0, output.indexOf("✖ failing tests:"))));
}

function isUnit({ name }: TestGroup): boolean {
  return name.startsWith("test/unit/");
}

const temporaryFolder = makeTemporaryFolder();
process.once("exit", () => rmSync(temporaryFolder, { recursive: true, force: true }));
const running = new Set<ChildProcess>();
const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
const isUnitOnly = process.argv[2] === "unit";
const queue = [...(isUnitOnly ? [] : otherGroups()), ...longestFirst(unitGroups(ROOT))];
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    queue.length = 0;
    for (const child of running) child.kill(signal);
    process.exitCode = 130;
  });
}
const startedMs = performance.now();
await Promise.all(
  Array.from({ length: PROCESSES }, async () => {
    for (let group = queue.shift(); group !== undefined; group = queue.shift()) await run(group, tally);
  }),
);
console.log(`\n${((performance.now() - startedMs) / 1000).toFixed(0)} s, ${tally.skipped} skipped`);
console.log(`${tally.passed} passed, ${tally.failed} failed`);
if (tally.failed > 0) process.exitCode ??= 1;
