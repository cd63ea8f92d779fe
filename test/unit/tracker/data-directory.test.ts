// The files that say who a tracker is: whatever is wrong with them is one sentence, and they are left as they are.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CERTIFICATE_FILE, KEY_FILE, openIdentity } from "../../../src/tracker/data-directory.ts";

test("a key or certificate that is empty, damaged, missing or another's is refused with its path and the remedy", async (t) => {
  const [own, other] = ["own", "other"].map((name) => mkdtempSync(join(tmpdir(), `${name}-`)));
  assert.ok(own && other);
  t.after(() => [own, other].map((folder) => rmSync(folder, { recursive: true })));
  const identity = await openIdentity(own);
  await openIdentity(other);
  const whole: Record<string, string> = {};
  for (const name of [KEY_FILE, CERTIFICATE_FILE]) whole[name] = readFileSync(join(own, name), "utf8");
  const damages: [string, string | undefined][] = [
    [KEY_FILE, ""],
    [KEY_FILE, "  \n"],
    [KEY_FILE, undefined],
    [KEY_FILE, (whole[KEY_FILE] ?? "").slice(0, 80)],
    [KEY_FILE, readFileSync(join(other, KEY_FILE), "utf8")],
    [CERTIFICATE_FILE, ""],
    [CERTIFICATE_FILE, (whole[CERTIFICATE_FILE] ?? "").slice(0, 80)],
    [CERTIFICATE_FILE, "not a certificate"],
  ];
  for (const [name, text] of damages) {
    const path = join(own, name);
    if (text === undefined) rmSync(path);
    else writeFileSync(path, text);
    await assert.rejects(openIdentity(own), (error: Error & { code?: string }) => {
      assert.equal(error.code, "DISK_FAILED");
      assert.match(error.message, /backup, or remove both/);
      return error.message.includes(path);
    });
    writeFileSync(path, whole[name] ?? "");
  }
  assert.deepEqual(await openIdentity(own), identity);
});
