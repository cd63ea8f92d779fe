// Files for other tools repeat what the project's own files say; here they are compared.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { z } from "zod";
import { withoutSystemd } from "../../harness/requirements.ts";
import { DAEMON_SETTINGS } from "../../src/cli/daemon-settings.ts";
import { programCommandOf } from "../../src/cli/program-commands.ts";

const ROOT = join(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const biomeSchema = z.object({
  formatter: z.object({ indentStyle: z.string(), indentWidth: z.number(), lineWidth: z.number() }),
});

test("editors indent and wrap code as the formatter does", () => {
  const { formatter } = biomeSchema.parse(JSON.parse(read("biome.json")));
  const everyFile = read(".editorconfig").split("[*]")[1]?.split("[")[0] ?? "";
  const setting = (name: string): string | undefined =>
    new RegExp(`^${name} = (.*)$`, "m").exec(everyFile)?.[1];
  assert.equal(setting("indent_style"), formatter.indentStyle);
  assert.equal(setting("indent_size"), `${formatter.indentWidth}`);
  assert.equal(setting("max_line_length"), `${formatter.lineWidth}`);
});

test("dependency updates watch every folder that has a lock file", () => {
  const locks = globSync(["package-lock.json", "*/package-lock.json"], { cwd: ROOT });
  const npm = /package-ecosystem: npm\n {4}directories:\n((?: {6}- \/.*\n)+)/.exec(
    read(".github/dependabot.yml"),
  )?.[1];
  const watched = (npm ?? "").trim().split(/\s*- /).filter(Boolean);
  assert.deepEqual(watched.sort(), locks.map((lock) => join("/", dirname(lock))).sort());
});

/** Names of the daemon's settings, as variables. */
const VARIABLES = Object.keys(DAEMON_SETTINGS).map(
  (name) => `MINITORRENT_${name.toUpperCase().replaceAll("-", "_")}`,
);

test("systemd finds nothing wrong with the example of a unit", { skip: withoutSystemd() }, (t) => {
  const folder = mkdtempSync(join(tmpdir(), "minitorrent-unit-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const verify = (unit: string): string => {
    const path = join(folder, "minitorrent.service");
    writeFileSync(path, unit.replaceAll("%h/miniTorrent/", join(ROOT, "/")));
    const env = { PATH: process.env.PATH, HOME: folder, XDG_RUNTIME_DIR: folder };
    const { stderr } = spawnSync("systemd-analyze", ["--user", "verify", path], { env, encoding: "utf8" });
    return stderr;
  };
  const unit = read("examples/minitorrent.service");
  assert.equal(verify(unit), "");
  assert.match(verify(unit.replace("NoNewPrivileges", "NoNewPrivilege")), /Unknown key/, "it would be told");
  const variables = [...unit.matchAll(/^Environment=(\w+)=/gm)].map(([, name]) => name ?? "");
  assert.deepEqual(
    variables.filter((name) => !VARIABLES.includes(name)),
    [],
  );
});

test("the example of a container is built from what is here, and starts the daemon with settings that it has", () => {
  const file = read("examples/Containerfile");
  const instructions = file.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const ofKind = (kind: string): string[] =>
    instructions.filter((line) => line.startsWith(`${kind} `)).map((line) => line.slice(kind.length + 1));
  const kinds = new Set(instructions.map((line) => line.split(" ")[0]));
  const allowed = ["FROM", "RUN", "WORKDIR", "COPY", "USER", "ENV", "VOLUME", "EXPOSE"];
  assert.deepEqual([...kinds.difference(new Set([...allowed, "HEALTHCHECK", "ENTRYPOINT", "CMD"]))], []);
  const variables = ofKind("ENV").flatMap((line) =>
    line.split(" ").map((given) => given.split("=")[0] ?? ""),
  );
  assert.ok(variables.length > 0);
  assert.deepEqual(
    variables.filter((name) => !VARIABLES.includes(name)),
    [],
  );
  const [entry, command, health] = [ofKind("ENTRYPOINT"), ofKind("CMD"), ofKind("HEALTHCHECK")].map(
    ([line = ""]) => JSON.parse(line.slice(line.indexOf("["))) as string[],
  );
  assert.deepEqual(entry, ["minitorrent"]);
  assert.ok(existsSync(join(ROOT, "minitorrent")));
  assert.ok(
    programCommandOf(command?.[0] ?? "") !== undefined && programCommandOf(health?.[1] ?? "") !== undefined,
  );
  const { scripts } = z
    .object({ scripts: z.record(z.string(), z.string()) })
    .parse(JSON.parse(read("package.json")));
  const npmScripts = [...file.matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name ?? "");
  assert.deepEqual(
    npmScripts.filter((name) => scripts[name] === undefined),
    [],
  );
  for (const line of ofKind("RUN")) execFileSync("sh", ["-n", "-c", line], { stdio: "pipe" });
  assert.ok(
    read(".dockerignore").split("\n").includes("node_modules"),
    "no other machine's packages are copied",
  );
});
