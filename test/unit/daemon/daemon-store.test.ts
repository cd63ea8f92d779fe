// What a daemon keeps: the session and access tokens, which are stored as hashes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { DaemonStore } from "../../../src/daemon/daemon-store.ts";
import { temporaryFolder } from "./fixture.ts";

test("tokens have names and scopes, outlive a restart, and are known by their secret until they are revoked", (t) => {
  const folder = temporaryFolder(t);
  const first = new DaemonStore(folder);
  first.addToken("phone", "secret-1", "read", 1);
  first.addToken("script", "secret-2", "control", 2);
  assert.throws(() => first.addToken("phone", "secret-3", "read", 3), {
    code: "INVALID_ARGUMENT",
    message: /another name/,
  });
  first.close();
  const second = new DaemonStore(folder);
  t.after(() => second.close());
  assert.deepEqual(second.tokenWith("secret-1"), { name: "phone", scope: "read", createdAtMs: 1 });
  assert.equal(second.tokenWith("secret-3"), undefined);
  assert.deepEqual(
    second.tokens().map(({ name }) => name),
    ["phone", "script"],
  );
  second.revokeToken("phone");
  assert.equal(second.tokenWith("secret-1"), undefined);
  assert.throws(() => second.revokeToken("phone"), {
    code: "INVALID_ARGUMENT",
    message: "There is no token 'phone'; minitorrent token list shows those there are.",
  });
  assert.equal(
    readFileSync(join(folder, "daemon.sqlite")).includes("secret-2"),
    false,
    "the secret is not stored",
  );
});

test("a hundred tokens are the most", (t) => {
  const store = new DaemonStore(temporaryFolder(t));
  t.after(() => store.close());
  for (let i = 0; i < 100; i++) store.addToken(`t${i}`, `s${i}`, "read", i);
  assert.throws(() => store.addToken("one-more", "s", "read", 0), { code: "LIMIT_REACHED" });
});

test("the logged-in account is kept until it is forgotten", (t) => {
  const store = new DaemonStore(temporaryFolder(t));
  t.after(() => store.close());
  assert.equal(store.account, undefined);
  store.saveAccount({ userId: "ann", accountId: "1" });
  store.saveAccount({ userId: "bob", accountId: "2" });
  assert.deepEqual(store.account, { userId: "bob", accountId: "2" });
  store.forgetAccount();
  assert.equal(store.account, undefined);
});
