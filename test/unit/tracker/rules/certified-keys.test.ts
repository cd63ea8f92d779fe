// How many keys of an account have certificates at a time: renewals are free, others wait, nothing is remembered for good.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CertifiedKeys } from "../../../../src/tracker/rules/certified-keys.ts";

const HOUR_MS = 3_600_000;
const key = (number: number) => new Uint8Array([number, number >> 8]);

test("an account has certificates for so many keys and no more, renews those, and gets others when they have run out", () => {
  const keys = new CertifiedKeys(3);
  for (const number of [1, 2, 3]) keys.admit("alice", key(number), number);
  assert.throws(() => keys.admit("alice", key(4), 10), { code: "LIMIT_REACHED", message: /in 60 min/ });
  keys.admit("bob", key(4), 10);
  keys.admit("alice", key(1), 1000); // renewed: the second is the first to run out
  assert.throws(() => keys.admit("alice", key(4), HOUR_MS + 1), {
    message: /in 1 min/,
  });
  keys.admit("alice", key(4), HOUR_MS + 2);
  assert.throws(() => keys.admit("alice", key(2), HOUR_MS + 2), {
    code: "LIMIT_REACHED",
  });
});

test("accounts whose certificates have all run out are forgotten", () => {
  const keys = new CertifiedKeys(3);
  for (let account = 0; account < 1_000; account++) keys.admit(`account ${account}`, key(1), account);
  assert.equal(keys.accountCount, 1_000);
  keys.admit("account 999", key(2), 999 + HOUR_MS - 1);
  assert.equal(keys.accountCount, 1);
});

test("an account that came first and comes again keeps no other one remembered", () => {
  const keys = new CertifiedKeys(3);
  keys.admit("alice", key(1), 0);
  keys.admit("bob", key(1), 1);
  keys.admit("alice", key(1), HOUR_MS - 1);
  keys.admit("carol", key(1), HOUR_MS + 1);
  assert.equal(keys.accountCount, 2);
});
