import assert from "node:assert/strict";
import { test } from "node:test";
import { hashPassword, verifyNoOne, verifyPassword } from "../../../src/identity/passwords.ts";

test("a password verifies against its own hash and no other does", () => {
  const hash = hashPassword("correct horse");
  assert.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  assert.equal(verifyPassword(hash, "correct horse"), true);
  assert.equal(verifyPassword(hash, "correct horsf"), false);
  assert.equal(verifyPassword(hash, ""), false);
});

test("the same password hashes differently each time", () => {
  assert.notEqual(hashPassword("x"), hashPassword("x"));
});

test("a hash made at another cost still verifies", async () => {
  // From the argon2 command line: echo -n password | argon2 somesalt -id -t 2 -k 64 -p 1 -l 32
  const { argon2Sync } = await import("node:crypto");
  const nonce = Buffer.from("somesalt");
  const tag = argon2Sync("argon2id", {
    message: "password",
    nonce,
    memory: 64,
    passes: 2,
    parallelism: 1,
    tagLength: 32,
  });
  const text = (bytes: Buffer) => bytes.toString("base64").replaceAll("=", "");
  assert.equal(verifyPassword(`$argon2id$v=19$m=64,t=2,p=1$${text(nonce)}$${text(tag)}`, "password"), true);
});

test("a password is the same however its accents are composed", () => {
  assert.equal(verifyPassword(hashPassword("caf\u00e9"), "cafe\u0301"), true);
});

test("a hash that is not of the form, or asks for the moon, is refused", () => {
  const tag = "A".repeat(43);
  for (const hash of [
    "",
    "plain",
    `$argon2i$v=19$m=64,t=2,p=1$c29tZXNhbHQ$${tag}`,
    `$argon2id$v=19$m=9999999,t=2,p=1$c29tZXNhbHQ$${tag}`,
    `$argon2id$v=19$m=64,t=99,p=1$c29tZXNhbHQ$${tag}`,
    "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ$AA",
  ]) {
    assert.throws(() => verifyPassword(hash, "x"), { code: "INTERNAL" });
  }
});

test("nobody's password never verifies", () => {
  assert.equal(verifyNoOne("x"), false);
});
