// A tracker's data directory: for its owner alone.
import assert from "node:assert/strict";
import fs, { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import { CERTIFICATE_FILE, KEY_FILE } from "../../../src/identity/stored-identity.ts";
import {
  ATTEMPTS_FILE,
  makePrivateFiles,
  makePrivateFolder,
  PINS_FILE,
  REGISTRY_FILE,
} from "../../../src/tracker/data-directory.ts";

const log = pino({ level: "silent" });

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "data-directory-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

const modeOf = (path: string): number => statSync(path).mode & 0o777;

test("a data directory is made, with its parents, for its owner alone, also one that was open to others", (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, "a", "b");
  makePrivateFolder(path);
  assert.deepEqual([modeOf(path), modeOf(join(folder, "a"))], [0o700, 0o700]);
  chmodSync(path, 0o755);
  makePrivateFolder(path);
  assert.equal(modeOf(path), 0o700);
  writeFileSync(join(folder, "file"), "");
  assert.throws(() => makePrivateFolder(join(folder, "file", "x")), {
    code: "DISK_FAILED",
    message: /^The data directory .*x cannot be used: /,
  });
});

test("the name of a data directory that is made is on the disk before anything is in it", (t) => {
  const folder = temporaryFolder(t);
  const synced: unknown[] = [];
  const opened = new Map<number, unknown>();
  const { openSync, fsyncSync } = fs;
  t.mock.method(fs, "openSync", (...given: Parameters<typeof openSync>) => {
    const descriptor = openSync(...given);
    opened.set(descriptor, given[0]);
    return descriptor;
  });
  t.mock.method(fs, "fsyncSync", (descriptor: number) => {
    synced.push(opened.get(descriptor));
    fsyncSync(descriptor);
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  makePrivateFolder(join(folder, "a", "b"));
  assert.deepEqual(synced, [folder], "the folder that has the first new name");
  makePrivateFolder(join(folder, "a", "b"));
  assert.equal(synced.length, 1);
});

test("files that other users could read, or write, are made private, and that is said once for each", (t) => {
  const folder = temporaryFolder(t);
  const warned: string[] = [];
  const telling = pino(
    { level: "warn" },
    { write: (line: string) => void warned.push(JSON.parse(line).path) },
  );
  const modes: Record<string, number> = {
    [KEY_FILE]: 0o640,
    [CERTIFICATE_FILE]: 0o604,
    [REGISTRY_FILE]: 0o600,
    [PINS_FILE]: 0o620,
    [ATTEMPTS_FILE]: 0o666,
  };
  const { [CERTIFICATE_FILE]: _missing, ...present } = modes;
  for (const [name, mode] of Object.entries(present)) {
    writeFileSync(join(folder, name), "");
    chmodSync(join(folder, name), mode);
  }
  makePrivateFiles(folder, telling);
  for (const name of Object.keys(present)) assert.equal(modeOf(join(folder, name)), 0o600, name);
  assert.deepEqual(
    warned,
    [KEY_FILE, PINS_FILE, ATTEMPTS_FILE].map((name) => join(folder, name)),
  );
  makePrivateFiles(folder, log);
});
