// A tracker's data directory: for its owner alone.
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import { CERTIFICATE_FILE, KEY_FILE } from "../../../src/identity/stored-identity.ts";
import {
  ATTEMPTS_FILE,
  makePrivateFiles,
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
