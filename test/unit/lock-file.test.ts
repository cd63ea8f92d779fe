// package-lock.json: `npm ci` verifies every byte that it installs, and runs nothing of it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { z } from "zod";

const ROOT = join(import.meta.dirname, "../..");
const packageSchema = z.object({
  version: z.string(),
  optionalDependencies: z.record(z.string(), z.string()),
});
const lockSchema = z.object({
  packages: z.record(
    z.string(),
    z
      .object({
        version: z.string().optional(),
        integrity: z.string().optional(),
        link: z.boolean().optional(),
        hasInstallScript: z.boolean().optional(),
        bin: z.record(z.string(), z.string()).or(z.string()).optional(),
        os: z.string().or(z.array(z.string())).optional(),
        cpu: z.string().or(z.array(z.string())).optional(),
      })
      .loose(),
  ),
});

const read = (name: string) => JSON.parse(readFileSync(join(ROOT, name), "utf8"));
const { packages } = lockSchema.parse(read("package-lock.json"));
const installed = Object.entries(packages).filter(([path]) => path !== "");

test("every package of the lock file has a SHA-512 that npm ci checks it against", () => {
  assert.ok(installed.length > 100);
  const unverified = installed.filter(([, { integrity }]) => !integrity?.startsWith("sha512-"));
  assert.deepEqual(
    unverified.map(([path]) => path),
    [],
  );
});

test("no package of the lock file runs a script when it is installed, nor does this one", () => {
  const running = Object.entries(packages).filter(([, entry]) => entry.hasInstallScript === true);
  assert.deepEqual(
    running.map(([path]) => path),
    [],
  );
});

test("Node comes as one package for each platform, all of one version, as optional dependencies", () => {
  const { optionalDependencies } = packageSchema.parse(read("package.json"));
  const versions = new Set(Object.values(optionalDependencies));
  assert.equal(versions.size, 1);
  const platforms = Object.keys(optionalDependencies).map((name) => {
    const entry = packages[`node_modules/${name}`];
    assert.ok(versions.has(entry?.version ?? ""), `${name} is locked to the version that package.json names`);
    assert.match(JSON.stringify(entry?.bin), /^\{"node":"bin\/node(\.exe)?"\}$/);
    return `${entry?.os}-${entry?.cpu}`;
  });
  assert.deepEqual(platforms.sort(), ["darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64", "win32-x64"]);
});
