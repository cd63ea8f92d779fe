// package-lock.json: `npm ci` verifies every byte that it installs, and runs nothing of it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { z } from "zod";

const ROOT = join(import.meta.dirname, "../..");
const packageSchema = z.object({
  engines: z.object({ node: z.string() }),
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
        engines: z.looseObject({ node: z.string().optional() }).optional(),
        cpu: z.string().or(z.array(z.string())).optional(),
      })
      .loose(),
  ),
});

const read = (name: string) => JSON.parse(readFileSync(join(ROOT, name), "utf8"));
const { packages } = lockSchema.parse(read("package-lock.json"));
/** Without this package and its workspaces, which are folders here. */
const installed = Object.entries(packages).filter(
  ([path, { link }]) => path.includes("node_modules/") && link !== true,
);

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

test("npm ci warns of no package at the oldest Node that this one allows", () => {
  const oldest = numbersOf(packageSchema.parse(read("package.json")).engines.node.replace(">=", ""));
  const refusing = installed.filter(([, { engines }]) => !allows(engines?.node ?? ">=0", oldest));
  assert.deepEqual(
    refusing.map(([path]) => path),
    [],
  );
  assert.deepEqual(
    [">=22", "^18 || >=20.20", "^20.19.0 || >=22", "20 || >=22", ">= 4.9.1"].map((range) =>
      allows(range, [20, 19]),
    ),
    [false, false, true, true, true],
  );
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  assert.ok(readme.includes(`Node ${oldest.slice(0, 2).join(".")} or later`), "README.md names another Node");
});

function numbersOf(version: string): number[] {
  return version
    .trim()
    .split(".")
    .map((part) => Number.parseInt(part, 10) || 0);
}

/** Whether a range of `^A.B.C`, `>=A.B.C` and `A`, joined by `||`, has that version. */
function allows(range: string, [major = 0, minor = 0]: readonly number[]): boolean {
  return range.split("||").some((alternative) => {
    const [, sign, version = ""] = /^\s*(\^|>=|)\s*([\d.x]+)\s*$/.exec(alternative) ?? [];
    assert.notEqual(version, "", `the range ${alternative} is of a form that this test does not know`);
    const [leastMajor = 0, leastMinor = 0] = numbersOf(version);
    if (sign === ">=" && major > leastMajor) return true;
    return major === leastMajor && (sign === "" || minor >= leastMinor);
  });
}

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
