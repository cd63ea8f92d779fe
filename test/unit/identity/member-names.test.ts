// Names in members' certificates: sealed for the group, and open for it alone.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createGroupAuthority } from "../../../src/identity/certificates.ts";
import { namesKeyOf, openNames, sealNames } from "../../../src/identity/member-names.ts";

const KEY = "0123456789abcdef".repeat(4);
const names = { userId: "alice", membershipId: "m-1" };

/** With one bit of that byte changed. */
function damaged(sealed: string, at: number): string {
  const bytes = Buffer.from(sealed, "base64");
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes.toString("base64");
}

test("a group's key is 64 hex digits, the same each time, and another one for each group", () => {
  const [one, other] = [createGroupAuthority(), createGroupAuthority()];
  assert.match(namesKeyOf(one.privateKeyPem), /^[0-9a-f]{64}$/);
  assert.equal(namesKeyOf(one.privateKeyPem), namesKeyOf(one.privateKeyPem));
  assert.notEqual(namesKeyOf(one.privateKeyPem), namesKeyOf(other.privateKeyPem));
});

test("names that are sealed twice look different, and are of one length", () => {
  const [one, other] = [sealNames(names, KEY), sealNames(names, KEY)];
  assert.notEqual(one.slice(0, 16), other.slice(0, 16), "the nonce");
  assert.notEqual(one.slice(16), other.slice(16));
  assert.equal(Buffer.from(one, "base64").length, 12 + 320 + 16);
  assert.deepEqual([openNames(one, KEY), openNames(other, KEY)], [names, names]);
});

test("names have room for the longest user id, and no more", () => {
  const longest = { userId: "\u{20BB7}".repeat(64), membershipId: "m".repeat(32) };
  assert.deepEqual(openNames(sealNames(longest, KEY), KEY), longest);
  const full = { userId: "u".repeat(320 - 1 - 32), membershipId: "m".repeat(32) };
  assert.deepEqual(openNames(sealNames(full, KEY), KEY), full);
  assert.throws(() => sealNames({ ...full, userId: `${full.userId}u` }, KEY), { code: "INVALID_ARGUMENT" });
});

test("a name that could be taken for two is not sealed", () => {
  for (const odd of ["a\nb", "a\0", "\n", "\0"]) {
    assert.throws(() => sealNames({ ...names, userId: odd }, KEY), { code: "INVALID_ARGUMENT" });
    assert.throws(() => sealNames({ ...names, membershipId: odd }, KEY), { code: "INVALID_ARGUMENT" });
  }
});

test("a name sealed for another group, changed in a bit, or of another length is not opened", () => {
  const sealed = sealNames(names, KEY);
  assert.throws(() => openNames(sealed, "f".repeat(64)));
  for (const at of [0, 12, 331, 332, 347])
    assert.throws(() => openNames(damaged(sealed, at), KEY), `byte ${at}`);
  const bytes = Buffer.from(sealed, "base64");
  for (const cut of [bytes.subarray(0, -1), Buffer.concat([bytes, Buffer.alloc(1)]), Buffer.alloc(0)]) {
    assert.throws(() => openNames(cut.toString("base64"), KEY), /length/);
  }
});
