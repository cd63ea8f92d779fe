// A backup of a data directory: whole or not at all, and on disk before it has its name.
import assert from "node:assert/strict";
import fs, {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { CERTIFICATE_FILE, KEY_FILE } from "../../../src/identity/stored-identity.ts";
import { backUp } from "../../../src/tracker/backup.ts";
import { REGISTRY_FILE } from "../../../src/tracker/data-directory.ts";

/** A data directory with a key and a certificate. */
function dataDirFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "backup-"));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const name of [KEY_FILE, CERTIFICATE_FILE]) writeFileSync(join(folder, name), `the ${name}`);
  return folder;
}

test("a backup has the key, the certificate and the registry, and its names are on disk before its own is", {
  skip: process.platform !== "linux" && "needs /proc",
}, async (t) => {
  const folder = dataDirFor(t);
  const synced: string[] = [];
  const { fsyncSync, renameSync } = fs;
  t.mock.method(fs, "fsyncSync", (file: number) => {
    synced.push(readlinkSync(`/proc/self/fd/${file}`));
    fsyncSync(file);
  });
  t.mock.method(fs, "renameSync", (from: string, to: string) => {
    renameSync(from, to);
    synced.push(`rename to ${to}`);
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  const to = join(folder, "backup");
  const registry = {
    backUp: async (path: string) => {
      writeFileSync(path, "rows");
      synced.push("rows");
    },
  };
  await backUp(folder, registry, to);
  assert.deepEqual(readdirSync(to).sort(), [CERTIFICATE_FILE, KEY_FILE, REGISTRY_FILE]);
  assert.equal(readFileSync(join(to, KEY_FILE), "utf8"), `the ${KEY_FILE}`);
  assert.equal(statSync(to).mode & 0o777, 0o700);
  assert.deepEqual(synced.slice(-4), ["rows", `${to}.unfinished`, `rename to ${to}`, folder]);
});

test("a backup that fails leaves nothing behind", async (t) => {
  const folder = dataDirFor(t);
  const to = join(folder, "backup");
  const failure = new Error("the disk is full");
  await assert.rejects(backUp(folder, { backUp: () => Promise.reject(failure) }, to), failure);
  assert.deepEqual(readdirSync(folder).sort(), [CERTIFICATE_FILE, KEY_FILE]);
});

test("a backup replaces nothing that is there", async (t) => {
  const folder = dataDirFor(t);
  const to = join(folder, "backup");
  writeFileSync(to, "mine");
  const refused = { code: "DESTINATION_UNUSABLE", message: /exists already/ };
  await assert.rejects(backUp(folder, { backUp: async () => undefined }, to), refused);
  assert.equal(readFileSync(to, "utf8"), "mine");
  assert.equal(existsSync(`${to}.unfinished`), false);
});
