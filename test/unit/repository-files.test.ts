// Files for other tools repeat what the project's own files say; here they are compared.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { z } from "zod";

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
