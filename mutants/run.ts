// Mutation testing: StrykerJS changes one expression at a time and runs the unit tests of the same folder. What survives is a
// mistake that they would not notice. Prints the survivors and the score of each area; CONTRIBUTING has the last scores.
//
//   npm run mutants [-- AREA|FILE...]
//
// Texts are not mutated (StringLiteral): most are messages and names of log fields. A mutant in code that no unit test of
// its folder runs counts as survived ("no cov").
import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { delimiter, join } from "node:path";
import { makeTemporaryFolder } from "../harness/unit-groups.ts";

const ROOT = join(import.meta.dirname, "..");
const STRYKER = join(import.meta.dirname, "node_modules/@stryker-mutator/core/bin/stryker.js");
const TAP_RUNNER = join(import.meta.dirname, "node_modules/@stryker-mutator/tap-runner/dist/src/index.js");

/** Each mutant is a few processes: what they compile is kept. */
const COMPILED = join(ROOT, "node_modules/.cache/compiled");

interface Area {
  readonly mutate: readonly string[];
  readonly tests: readonly string[];
}

const folder = (name: string): Area => ({
  mutate: [`src/${name}/**/*.ts`],
  tests: [`test/unit/${name}/**/*.test.ts`],
});

const AREAS: Readonly<Record<string, Area>> = {
  ...Object.fromEntries(
    ["identity", "net", "transport", "storage", "swarm", "engine", "client"].map((name) => [
      name,
      folder(name),
    ]),
  ),
  rules: folder("tracker/rules"),
  presence: folder("tracker/presence"),
  registry: folder("tracker/registry"),
  replication: folder("tracker/replication"),
  server: folder("tracker/server"),
};

function areaOf(asked: string): Area {
  const area = AREAS[asked];
  if (area !== undefined) return area;
  const [, name] = /^src\/(.+)\/[^/]+\.ts$/.exec(asked) ?? [];
  if (name === undefined) {
    console.error(`'${asked}' is neither one of ${Object.keys(AREAS).join(", ")} nor a file below src/.`);
    process.exit(2);
  }
  return { mutate: [asked], tests: [`test/unit/${name}/**/*.test.ts`] };
}

function run(name: string, { mutate, tests }: Area): void {
  console.log(`\n# ${name}: ${mutate.join(" ")}`);
  const place = makeTemporaryFolder();
  const config = join(place, "stryker.config.json");
  const nodeArgs = [
    "--test-reporter=tap",
    "--disable-warning=ExperimentalWarning",
    "-r",
    "{{hookFile}}",
    "{{testFile}}",
  ];
  writeFileSync(
    config,
    JSON.stringify({
      testRunner: "tap",
      plugins: [TAP_RUNNER],
      tap: { testFiles: tests, nodeArgs, forceBail: true },
      coverageAnalysis: "perTest",
      mutate,
      mutator: { excludedMutations: ["StringLiteral"] },
      // TypeScript 7 has no programming interface, with which Stryker would rewrite the configuration.
      tsconfigFile: "none.json",
      disableTypeChecks: false,
      reporters: ["clear-text"],
      clearTextReporter: { allowColor: false, allowEmojis: false, logTests: false, reportTests: false },
      concurrency: availableParallelism(),
      timeoutMS: 20_000,
      tempDirName: join(place, "sandbox"),
      ignorePatterns: ["mutants", "docs/*.gif", "bench/results"],
    }),
  );
  const path = [join(ROOT, "bin"), process.env.PATH].join(delimiter);
  const { status } = spawnSync(process.execPath, [STRYKER, "run", config], {
    cwd: ROOT,
    env: { ...process.env, PATH: path, NODE_COMPILE_CACHE: COMPILED, TMPDIR: place },
    stdio: "inherit",
  });
  rmSync(place, { recursive: true, force: true });
  if (status !== 0) process.exitCode = 1;
}

const asked = process.argv.slice(2);
for (const name of asked.length === 0 ? Object.keys(AREAS) : asked) run(name, areaOf(name));
