import assert from "node:assert/strict";
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
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

test("a hash that is not of the form, or asks for more or less than any of ours, is refused before it is worked on", () => {
  const base64 = (bytes: number): string => Buffer.alloc(bytes, 1).toString("base64").replaceAll("=", "");
  const hash = ({ m = "64", t = "1", p = "1", salt = 8, tag = 32 }): string =>
    `$argon2id$v=19$m=${m},t=${t},p=${p}$${base64(salt)}$${base64(tag)}`;
  const refused = { code: "INTERNAL", message: "A stored password hash cannot be read." };
  for (const odd of [
    "",
    "plain",
    hash({}).replace("argon2id", "argon2i"),
    hash({}).replace("v=19", "v=16"),
    `${hash({})}$`,
    hash({ m: "1048577" }),
    hash({ m: "31", p: "4" }),
    hash({ m: "7" }),
    hash({ t: "0" }),
    hash({ t: "17" }),
    hash({ p: "0" }),
    hash({ p: "17", m: "1024" }),
    hash({ salt: 7 }),
    hash({ tag: 31 }),
    hash({ tag: 65 }),
  ]) {
    assert.throws(() => verifyPassword(odd, "x"), refused, odd);
  }
  for (const good of [
    hash({}),
    hash({ m: "32", p: "4" }),
    hash({ t: "16" }),
    hash({ p: "16", m: "128" }),
    hash({ tag: 64 }),
  ])
    assert.equal(verifyPassword(good, "x"), false, good);
});

test("nobody's password never verifies, and costs what somebody's does", (t) => {
  const hash = hashPassword("x");
  const cost = (work: () => void): unknown => {
    const argon = t.mock.method(crypto, "argon2Sync");
    syncBuiltinESMExports();
    work();
    const calls = argon.mock.calls.map(({ arguments: [, { memory, passes, parallelism, tagLength }] }) => [
      ...[memory, passes, parallelism, tagLength],
    ]);
    argon.mock.restore();
    syncBuiltinESMExports();
    return calls;
  };
  const somebody = cost(() => void verifyPassword(hash, "y"));
  assert.deepEqual(somebody, [[19_456, 2, 1, 32]]);
  assert.deepEqual(
    cost(() => assert.equal(verifyNoOne("x"), false)),
    somebody,
  );
});
