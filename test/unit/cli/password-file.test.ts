import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readPasswordFile } from "../../../src/cli/password-file.ts";

test("the first line is the password as it was written: UTF-8 or refused, without a byte order mark", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "minitorrent-password-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "password");
  const read = (content: string | Uint8Array, mode = 0o600) => {
    rmSync(path, { force: true });
    writeFileSync(path, content, { mode });
    return readPasswordFile(path);
  };
  assert.equal(read("pässword\nmore"), "pässword");
  assert.equal(read("\ufeffpassword\r\n"), "password");
  assert.equal(read(Buffer.concat([Buffer.from("password\n"), Buffer.of(0xe4)])), "password");
  // Of both the same would be left, were what is not UTF-8 replaced: either would open the account of the other.
  for (const byte of [0xe4, 0xfc]) {
    assert.throws(() => read(Buffer.of(byte, 0xf6)), { code: "INVALID_ARGUMENT", message: /not UTF-8/ });
  }
  assert.throws(() => read("password", 0o644), { code: "INVALID_ARGUMENT", message: /chmod 600/ });
  assert.throws(() => read("\n"), { code: "INVALID_ARGUMENT", message: /empty/ });
});
