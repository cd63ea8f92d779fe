import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { credentialPath, readPasswordFile } from "../../../src/cli/password-file.ts";

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

test("a file that is missing or a folder is refused with its path and the cause", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "minitorrent-password-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const refused = (path: string, message: RegExp): void =>
    assert.throws(
      () => readPasswordFile(path),
      (error: Error & { code?: string }) =>
        error.code === "INVALID_ARGUMENT" &&
        error.message.startsWith(`The password file ${path} is not used: `) &&
        message.test(error.message) &&
        error.cause instanceof Error,
    );
  refused(join(folder, "none"), /none/);
  chmodSync(folder, 0o700);
  refused(folder, /folder|directory/i);
});

test("a password has its spaces, ends at the first line feed, and may be the whole file", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "minitorrent-password-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "password");
  const before = existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : 0;
  for (const [content, password] of [
    [" a b \n", " a b "],
    ["ends without", "ends without"],
    ["first\nsecond\nthird", "first"],
    [`${"x".repeat(1_024)}\n${"y".repeat(20_000)}`, "x".repeat(1_024)],
  ] as const) {
    writeFileSync(path, content, { mode: 0o600 });
    assert.equal(readPasswordFile(path), password);
  }
  for (const mode of [0o640, 0o604, 0o620, 0o610]) {
    chmodSync(path, mode);
    assert.throws(() => readPasswordFile(path), { message: /chmod 600/ }, mode.toString(8));
  }
  if (before > 0) assert.equal(readdirSync("/proc/self/fd").length, before);
});

test("a credential of a service may be read by its group, since systemd gives it so; by others it may not", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "minitorrent-credentials-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const env = { CREDENTIALS_DIRECTORY: folder };
  const path = join(folder, "minitorrent-password");
  writeFileSync(path, "secret\n");
  chmodSync(path, 0o440);
  assert.equal(readPasswordFile(path, env), "secret");
  assert.throws(() => readPasswordFile(path, {}), { message: /chmod 600/ });
  assert.throws(() => readPasswordFile(path, { CREDENTIALS_DIRECTORY: join(folder, "..") }), {
    message: /chmod 600/,
  });
  for (const mode of [0o444, 0o460, 0o604]) {
    chmodSync(path, mode);
    assert.throws(() => readPasswordFile(path, env), { message: /chmod 600/ }, mode.toString(8));
  }
  assert.equal(credentialPath("minitorrent-password", env), path);
  assert.equal(credentialPath("minitorrent-user", env), undefined);
  assert.equal(credentialPath("minitorrent-password", { CREDENTIALS_DIRECTORY: "." }), undefined);
});
