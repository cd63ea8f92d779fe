// The stored key and certificate of a device: whatever is wrong with them is one sentence, and they are left as they are.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import {
  CERTIFICATE_FILE,
  hasIdentity,
  KEY_FILE,
  openIdentity,
} from "../../../src/identity/stored-identity.ts";

const OWNER = { name: "This device", newKey: ", and log in again." };

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "stored-identity-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test("a key or certificate that is empty, damaged, missing or another's is refused with its path and the remedy", (t) => {
  const [own, other] = [temporaryFolder(t), temporaryFolder(t)];
  const identity = openIdentity(own, OWNER);
  openIdentity(other, OWNER);
  const whole: Record<string, string> = {};
  for (const name of [KEY_FILE, CERTIFICATE_FILE]) whole[name] = readFileSync(join(own, name), "utf8");
  const damages: [string, string | undefined, string?][] = [
    [KEY_FILE, "", "it is empty"],
    [KEY_FILE, "  \n", "it is empty"],
    [KEY_FILE, undefined, "ENOENT"],
    [KEY_FILE, (whole[KEY_FILE] ?? "").slice(0, 80)],
    [KEY_FILE, readFileSync(join(other, KEY_FILE), "utf8"), "it is not the certificate's key"],
    [CERTIFICATE_FILE, "", "it is empty"],
    [CERTIFICATE_FILE, (whole[CERTIFICATE_FILE] ?? "").slice(0, 80)],
    [CERTIFICATE_FILE, "not a certificate"],
  ];
  for (const [name, text, reason = ""] of damages) {
    const path = join(own, name);
    if (text === undefined) rmSync(path);
    else writeFileSync(path, text);
    assert.throws(
      () => openIdentity(own, OWNER),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, "DISK_FAILED");
        assert.match(error.message, /backup, or remove both to start with a new key, and log in again\.$/);
        assert.ok(error.message.includes(reason), error.message);
        return error.message.includes(path);
      },
    );
    writeFileSync(path, whole[name] ?? "");
  }
  assert.deepEqual(openIdentity(own, OWNER), identity);
});

test("the certificate is written last, so that a crash in between leaves no key without its certificate", (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, `${CERTIFICATE_FILE}.new`));
  assert.throws(() => openIdentity(folder, OWNER), {
    code: "DISK_FAILED",
    message: /key cannot be written to/,
  });
  assert.deepEqual([existsSync(join(folder, KEY_FILE)), hasIdentity(folder)], [true, false]);
  rmSync(join(folder, `${CERTIFICATE_FILE}.new`), { recursive: true });
  const identity = openIdentity(folder, OWNER);
  assert.equal(hasIdentity(folder), true);
  assert.deepEqual(openIdentity(folder, OWNER), identity);
});
