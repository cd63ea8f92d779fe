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
  assert.deepEqual(second.tokenWith("secret-1"), {
    ...{ name: "phone", kind: "token", scope: "read", createdAtMs: 1 },
  });
  assert.equal(second.tokenWith("secret-3"), undefined);
  assert.deepEqual(
    second.tokens(9).map(({ name }) => name),
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

const DAY_MS = 24 * 3_600_000;

test("the session of a browser needs both secrets, outlives a restart, and is listed, and revoked, as tokens are", (t) => {
  const folder = temporaryFolder(t);
  const first = new DaemonStore(folder);
  first.addBrowser({ cookie: "c", pageKey: "p" }, 5);
  first.close();
  const store = new DaemonStore(folder);
  t.after(() => store.close());
  for (const wrong of [
    { cookie: "c", pageKey: "c" },
    { cookie: "p", pageKey: "p" },
    { cookie: "c", pageKey: "" },
  ])
    assert.equal(store.browserWith(wrong, 6), undefined);
  assert.equal(store.tokenWith("c"), undefined, "a cookie is no token");
  const session = store.browserWith({ cookie: "c", pageKey: "p" }, 6);
  assert.ok(session !== undefined);
  assert.deepEqual(session, {
    ...{ name: session.name, kind: "browser", scope: "control", createdAtMs: 5, lastUsedAtMs: 5 },
  });
  assert.deepEqual(store.tokens(6), [session]);
  assert.throws(() => store.addToken(session.name, "s", "read", 6), { code: "INVALID_ARGUMENT" });
  assert.equal(store.has(session.name, 6), true);
  store.revokeToken(session.name);
  assert.equal(store.has(session.name, 6), false);
  assert.equal(store.browserWith({ cookie: "c", pageKey: "p" }, 6), undefined);
});

test("the session of a browser ends after 90 days without use, and each use begins them again", (t) => {
  const store = new DaemonStore(temporaryFolder(t));
  t.after(() => store.close());
  const secrets = { cookie: "c", pageKey: "p" };
  store.addBrowser(secrets, 0);
  assert.ok(store.browserWith(secrets, 89 * DAY_MS));
  assert.ok(store.browserWith(secrets, 178 * DAY_MS));
  assert.equal(store.tokens(178 * DAY_MS)[0]?.lastUsedAtMs, 178 * DAY_MS);
  assert.equal(store.browserWith(secrets, 268 * DAY_MS), undefined);
  assert.deepEqual(store.tokens(268 * DAY_MS), []);
});

test("of more than 32 browsers, the one that was not used for longest is logged out", (t) => {
  const store = new DaemonStore(temporaryFolder(t));
  t.after(() => store.close());
  const secretsOf = (index: number) => ({ cookie: `c${index}`, pageKey: "p" });
  for (let index = 0; index < 32; index++) store.addBrowser(secretsOf(index), index);
  assert.ok(store.browserWith(secretsOf(0), 3_600_000));
  store.addBrowser(secretsOf(32), 3_600_001);
  assert.equal(store.tokens(3_600_001).length, 32);
  assert.equal(store.browserWith(secretsOf(1), 3_600_001), undefined);
  for (const index of [0, 2, 32]) assert.ok(store.browserWith(secretsOf(index), 3_600_001), `${index}`);
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
