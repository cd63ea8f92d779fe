import assert from "node:assert/strict";
import { test } from "node:test";
import type { GroupCertificate } from "../../../src/api/schemas.ts";
import { GroupAuthorities, type KnownAuthority } from "../../../src/client/group-authorities.ts";
import { createGroupAuthority } from "../../../src/identity/certificates.ts";

const [one, other] = [await createGroupAuthority(), await createGroupAuthority()];

const given = (authorityPem: string, groupClaimId = "first", groupId = "films"): GroupCertificate => ({
  ...{ groupId, groupClaimId, authorityPem, certificatePem: "", membershipId: "m" },
  ...{ namesKey: "00".repeat(32), validUntilMs: 0 },
});

function stage(isStoreFailing = false) {
  const stored = new Map<string, KnownAuthority>();
  const told: string[] = [];
  const store = {
    groupAuthority: (groupId: string) => stored.get(groupId),
    saveGroupAuthority: (groupId: string, authority: KnownAuthority) => {
      if (!isStoreFailing) stored.set(groupId, authority);
    },
  };
  const open = () =>
    new GroupAuthorities({
      store,
      onFoundedAnew: (groupId) => told.push(`${groupId} anew`),
      onRefused: (groupId) => told.push(`${groupId} refused`),
    });
  return { open, told };
}

test("a group keeps its CA, over a restart too; another one is refused each time, and told once", () => {
  const { open, told } = stage();
  open().admit("films", given(one.certificatePem));
  const restarted = open();
  for (let time = 0; time < 3; time++) {
    assert.throws(() => restarted.admit("films", given(other.certificatePem)), { code: "GROUP_KEY_CHANGED" });
  }
  assert.deepEqual(told, ["films refused"]);
  restarted.admit("films", given(one.certificatePem));
  restarted.admit("books", given(other.certificatePem, "first", "books"));
});

test("a profile that cannot be written leaves a running client with what it has seen", () => {
  const { open } = stage(true);
  const authorities = open();
  authorities.admit("films", given(one.certificatePem));
  assert.throws(() => authorities.admit("films", given(other.certificatePem)), { code: "GROUP_KEY_CHANGED" });
});

test("a group that was founded anew has another CA, which is said, and then keeps that one", () => {
  const { open, told } = stage();
  const authorities = open();
  authorities.admit("films", given(one.certificatePem));
  authorities.admit("films", given(other.certificatePem, "second"));
  authorities.admit("films", given(other.certificatePem, "second"));
  assert.throws(() => authorities.admit("films", given(one.certificatePem, "second")), {
    code: "GROUP_KEY_CHANGED",
  });
  assert.deepEqual(told, ["films anew", "films refused"]);
});

test("a certificate of a group that was not asked for, or with no CA that can be read, is refused", () => {
  const authorities = stage().open();
  const malformed = { code: "MALFORMED_MESSAGE" };
  assert.throws(() => authorities.admit("books", given(one.certificatePem)), malformed);
  assert.throws(() => authorities.admit("films", given("no certificate")), malformed);
});

test("a group whose name was typed in another Unicode form is the same one", () => {
  const authorities = stage().open();
  authorities.admit("caf\u0065\u0301", given(one.certificatePem, "first", "caf\u00e9"));
});

test("each other CA is told once, and again to the next account", () => {
  const { open, told } = stage();
  const third = createGroupAuthority();
  let authorities = open();
  authorities.admit("films", given(one.certificatePem));
  const refused = (pem: string) =>
    assert.throws(() => authorities.admit("films", given(pem)), { code: "GROUP_KEY_CHANGED" });
  refused(other.certificatePem);
  refused(third.certificatePem);
  refused(other.certificatePem);
  assert.equal(told.length, 2);
  authorities = open();
  refused(other.certificatePem);
  assert.equal(told.length, 3);
});

test("a group's CA is forgotten with the account", () => {
  const { open } = stage(true);
  open().admit("films", given(one.certificatePem));
  open().admit("films", given(other.certificatePem));
});
