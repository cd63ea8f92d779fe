import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import { MiniTorrentError } from "../../../../src/api/errors.ts";
import { AttemptLimits } from "../../../../src/tracker/server/attempt-limits.ts";
import { AttemptStore } from "../../../../src/tracker/server/attempt-store.ts";
import { WindowCounter } from "../../../../src/tracker/server/window-counter.ts";

const WRONG = { code: "BAD_CREDENTIALS" };
const TOO_MANY = { code: "TOO_MANY_ATTEMPTS" };
const badCredentials = () => new MiniTorrentError("BAD_CREDENTIALS", "wrong");
const wrong = () => Promise.reject(badCredentials());
const right = async () => "in";

/** Logins whose verdicts are given by hand, in the order in which they were let in. */
function verdicts() {
  const running: PromiseWithResolvers<string>[] = [];
  return {
    running,
    login: () => {
      const verdict = Promise.withResolvers<string>();
      running.push(verdict);
      return verdict.promise;
    },
  };
}

/** All that is due now has happened. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

function storeOf(t: TestContext, nowMs: () => number = Date.now) {
  const folder = mkdtempSync(join(tmpdir(), "attempts-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "attempts.sqlite");
  const said: string[] = [];
  const log = pino({ level: "warn" }, { write: (line: string) => said.push(line) });
  return { path, said, open: () => new AttemptStore(path, log, nowMs) };
}

test("wrong passwords run out per account and address; right ones cost nothing", async () => {
  const limits = new AttemptLimits({ loginsPerAccount: 2, loginsPerAddress: 4, windowSeconds: 60 });
  for (let at = 0; at < 10; at++) assert.equal(await limits.login("a", "alice", right), "in");
  await assert.rejects(limits.login("a", "bob", wrong), WRONG);
  await assert.rejects(limits.login("a", "bob", wrong), WRONG);
  await assert.rejects(limits.login("a", "bob", right), { ...TOO_MANY, retryAfterMs: 60_000 });
  assert.equal(await limits.login("b", "bob", right), "in");
  await assert.rejects(limits.login("a", "carol", wrong), WRONG);
  await assert.rejects(limits.login("a", "dave", wrong), WRONG);
  await assert.rejects(limits.login("a", "erin", right), TOO_MANY);
});

test("a refusal for another reason than a wrong password does not count", async () => {
  const limits = new AttemptLimits({ loginsPerAccount: 1 });
  const busy = () => Promise.reject(new MiniTorrentError("TRACKER_BUSY", "busy"));
  for (let at = 0; at < 5; at++) await assert.rejects(limits.login("a", "alice", busy));
  assert.equal(await limits.login("a", "alice", right), "in");
});

test("no more guesses are tried at once than may fail, and the rest is refused when those have failed", async () => {
  const limits = new AttemptLimits();
  const { running, login } = verdicts();
  const outcomes = Promise.allSettled(Array.from({ length: 40 }, () => limits.login("a", "alice", login)));
  await settled();
  assert.equal(running.length, 10);
  for (const verdict of running) {
    verdict.reject(badCredentials());
    await settled();
  }
  assert.equal(running.length, 10);
  const codes = (await outcomes).map((outcome) => outcome.status === "rejected" && outcome.reason.code);
  assert.deepEqual(codes.toSorted(), [
    ...Array.from({ length: 10 }, () => "BAD_CREDENTIALS"),
    ...Array.from({ length: 30 }, () => "TOO_MANY_ATTEMPTS"),
  ]);
});

test("right ones among wrong ones are let in while the verdicts allow it", async () => {
  const limits = new AttemptLimits({ loginsPerAccount: 3 });
  const { running, login } = verdicts();
  const outcomes = Promise.allSettled(Array.from({ length: 6 }, () => limits.login("a", "alice", login)));
  await settled();
  running[0]?.reject(badCredentials());
  running[1]?.reject(badCredentials());
  await settled();
  assert.equal(running.length, 3, "two have failed and one is under way");
  for (const at of [2, 3, 4, 5]) {
    running[at]?.resolve("in");
    await settled();
  }
  const statuses = (await outcomes).map(({ status }) => status);
  assert.deepEqual(statuses, ["rejected", "rejected", "fulfilled", "fulfilled", "fulfilled", "fulfilled"]);
});

test("a user who has logged in from a network before is not kept out by the failures of its other users", async () => {
  const limits = new AttemptLimits({ loginsPerAddress: 3 });
  const purposes: string[] = [];
  const login = async (purpose: string) => purposes.push(purpose);
  await limits.login("a", "alice", login);
  for (const userId of ["x", "y", "z"]) await assert.rejects(limits.login("a", userId, wrong), WRONG);
  await limits.login("a", "alice", login);
  await assert.rejects(limits.login("a", "bob", login), TOO_MANY);
  assert.deepEqual(purposes, ["login", "known-login"]);
});

test("accounts run out per address, unless the tracker had no time for one", async () => {
  const limits = new AttemptLimits({ accountsPerAddress: 1 });
  const busy = () => Promise.reject(new MiniTorrentError("TRACKER_BUSY", "busy"));
  await assert.rejects(limits.createAccount("a", busy), { code: "TRACKER_BUSY" });
  assert.equal(await limits.createAccount("a", right), "in");
  await assert.rejects(limits.createAccount("a", right), TOO_MANY);
  assert.equal(await limits.createAccount("b", right), "in");
});

test("a flood of calls is refused until it ebbs, each account by itself", () => {
  let nowMs = 0;
  const limits = new AttemptLimits({ callsPerAccount: 2, writesPerAccount: 1 }, undefined, () => nowMs);
  limits.call("alice");
  limits.call("alice");
  assert.throws(() => limits.call("alice"), { ...TOO_MANY, retryAfterMs: 10_000 });
  limits.call("bob");
  limits.write("alice");
  nowMs = 4_500;
  assert.throws(() => limits.write("alice"), { ...TOO_MANY, retryAfterMs: 6_000 });
  nowMs = 10_000;
  limits.call("alice");
  limits.write("alice");
});

test("writes of an hour are refused past their limit, though they come slowly enough, until the hour is over", () => {
  const limits = new AttemptLimits({ writesPerAccount: 100, writesPerAccountAndHour: 1 });
  limits.write("alice");
  const message = /again in 3[56]\d\d s/;
  assert.throws(() => limits.write("alice"), { ...TOO_MANY, message });
  limits.write("bob");
});

test("a restart forgets neither wrong passwords, nor accounts made, nor the writes of the hour; their time goes on", async (t) => {
  let wallMs = 1_000_000;
  const { open, path } = storeOf(t, () => wallMs);
  const options = {
    loginsPerAccount: 2,
    accountsPerAddress: 1,
    writesPerAccountAndHour: 2,
    windowSeconds: 60,
  };
  const store = open();
  const before = new AttemptLimits(options, store);
  await assert.rejects(before.login("a", "alice", wrong), WRONG);
  await assert.rejects(before.login("a", "alice", wrong), WRONG);
  await before.createAccount("a", right);
  before.write("bob");
  before.write("bob");
  await before.login("a", "carol", right);
  before.store();
  // No more than a crash would leave: it is not closed.
  wallMs += 20_000;
  const again = open();
  const after = new AttemptLimits(options, again);
  await assert.rejects(after.login("a", "alice", right), { ...TOO_MANY, retryAfterMs: 40_000 });
  await assert.rejects(after.createAccount("a", right), TOO_MANY);
  assert.throws(() => after.write("bob"), TOO_MANY);
  let purpose = "";
  await after.login("a", "carol", async (said) => {
    purpose = said;
  });
  assert.equal(purpose, "known-login");
  again.close();
  wallMs += 41_000;
  const late = open();
  assert.equal(await new AttemptLimits(options, late).login("a", "alice", right), "in");
  late.close();
  store.close();
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("a clock that was set back while a tracker was stopped does not prolong what counts", async (t) => {
  let wallMs = 1_000_000_000;
  const { open } = storeOf(t, () => wallMs);
  const store = open();
  const options = { loginsPerAccount: 1, windowSeconds: 60 };
  await assert.rejects(new AttemptLimits(options, store).login("a", "alice", wrong), WRONG);
  wallMs -= 86_400_000;
  await assert.rejects(new AttemptLimits(options, store).login("a", "alice", right), {
    ...TOO_MANY,
    retryAfterMs: 60_000,
  });
  store.close();
});

test("a damaged file of counts is made anew; one that cannot be used is said once, and the limits hold without", async (t) => {
  const { open, path, said } = storeOf(t);
  writeFileSync(path, "no database".repeat(1_000));
  const anew = open();
  anew.put("c", { key: "k", count: 2, remainingMs: 1_000 });
  assert.deepEqual(
    anew.load("c").map(({ count }) => count),
    [2],
  );
  anew.close();
  assert.equal(said.length, 1);
  const nowhere = new AttemptStore(join(path, "below a file"), pino({ level: "silent" }), Date.now);
  const limits = new AttemptLimits({ loginsPerAccount: 1 }, nowhere);
  await assert.rejects(limits.login("a", "alice", wrong), WRONG);
  await assert.rejects(limits.login("a", "alice", right), TOO_MANY);
  nowhere.close();
});

test("a counter holds a bounded number of keys, in memory and on disk, whoever makes them up", (t) => {
  const { open } = storeOf(t);
  const store = open();
  let nowMs = 0;
  const counter = new WindowCounter({
    ...{ windowMs: 1_000, nowMs: () => nowMs, mostKeys: 3 },
    kept: { store, name: "c", every: 1 },
  });
  for (let key = 0; key < 100; key++) {
    counter.add("x".repeat(10_000), `${key}`);
    nowMs += 10;
  }
  assert.equal(counter.keyCount, 3);
  const kept = store.load("c");
  assert.equal(kept.length, 3);
  assert.ok(kept.every(({ key }) => key.length === 22));
  assert.equal(counter.countOf("x".repeat(10_000), "99"), 1);
  nowMs += 2_000;
  counter.add("another");
  assert.equal(counter.keyCount, 1);
  store.close();
});

test("guesses and new accounts count for an IPv6 network, whichever of its addresses they come from", async () => {
  const limits = new AttemptLimits({ loginsPerAccount: 2, accountsPerAddress: 2 });
  for (const address of ["2001:db8::1", "2001:db8::2"]) {
    await assert.rejects(limits.login(address, "alice", wrong), WRONG);
    await limits.createAccount(address, right);
  }
  await assert.rejects(limits.login("2001:db8::3", "alice", right), TOO_MANY);
  await assert.rejects(limits.createAccount("2001:db8::3", right), TOO_MANY);
  assert.equal(await limits.login("2001:db8:0:1::1", "alice", right), "in");
});

test("a right password forgives the wrong ones before it, to its account alone", async () => {
  const limits = new AttemptLimits({ loginsPerAccount: 2, loginsPerAddress: 3 });
  for (let at = 0; at < 2; at++) {
    await assert.rejects(limits.login("a", "alice", wrong), WRONG);
    await limits.login("a", "alice", right);
  }
  for (const userId of ["bob", "carol"]) await assert.rejects(limits.login("a", userId, wrong), WRONG);
  await assert.rejects(limits.login("a", "dave", right), TOO_MANY, "the network's failures are not forgiven");
});

test("a user is known in a network for 30 days after a login", async () => {
  let nowMs = 0;
  const limits = new AttemptLimits({}, undefined, () => nowMs);
  const purposes: string[] = [];
  const login = () => limits.login("a", "alice", async (purpose) => void purposes.push(purpose));
  const day = 24 * 3_600_000;
  await login();
  nowMs = 30 * day - 1;
  await login();
  nowMs = 30 * day;
  await login();
  assert.deepEqual(purposes, ["login", "known-login", "login"]);
});

test("which counts are kept over a restart, and that those of writes are stored a thousand at a time", async () => {
  const told = new Map<string, number>();
  const store = {
    load: () => [],
    put: (counter: string) => void told.set(counter, (told.get(counter) ?? 0) + 1),
    remove: () => {},
  };
  const limits = new AttemptLimits({}, store);
  await assert.rejects(limits.login("a", "alice", wrong), WRONG);
  await limits.login("a", "bob", right);
  await limits.createAccount("a", right);
  for (let at = 0; at < 999; at++) limits.write("alice");
  limits.call("alice");
  const stored = {
    ...{ "failed-logins-of-account": 1, "failed-logins-of-network": 1 },
    ...{ "known-logins": 1, "new-accounts": 1 },
  };
  assert.deepEqual(Object.fromEntries(told), stored);
  limits.write("alice");
  assert.deepEqual(Object.fromEntries(told), { ...stored, "writes-of-hour": 1 });
  limits.write("alice");
  limits.store();
  assert.equal(told.get("writes-of-hour"), 2);
});

test("an account that was refused for another reason than a busy tracker counts as made", async () => {
  const limits = new AttemptLimits({ accountsPerAddress: 1 });
  const taken = () => Promise.reject(new MiniTorrentError("USER_EXISTS", "taken"));
  await assert.rejects(limits.createAccount("a", taken), { code: "USER_EXISTS" });
  await assert.rejects(limits.createAccount("a", right), TOO_MANY);
});

test("invites that do not hold run out per account and address; those that hold cost nothing", async () => {
  const limits = new AttemptLimits({ invitesPerAccount: 2, invitesPerAddress: 3, windowSeconds: 60 });
  const refused = () => Promise.reject(new MiniTorrentError("INVITE_REFUSED", "no"));
  const REFUSED = { code: "INVITE_REFUSED" };
  for (let at = 0; at < 10; at++) assert.equal(await limits.useInvite("a", "alice", right), "in");
  for (let at = 0; at < 10; at++)
    await assert.rejects(limits.useInvite("a", "alice", wrong), WRONG, "it does not count");
  await assert.rejects(limits.useInvite("a", "bob", refused), REFUSED);
  await assert.rejects(limits.useInvite("b", "bob", refused), REFUSED);
  await assert.rejects(limits.useInvite("c", "bob", right), { ...TOO_MANY, retryAfterMs: 60_000 });
  await assert.rejects(limits.useInvite("a", "carol", refused), REFUSED);
  await assert.rejects(limits.useInvite("a", "dave", refused), REFUSED);
  await assert.rejects(limits.useInvite("a", "erin", right), TOO_MANY);
  assert.equal(await limits.useInvite("b", "erin", right), "in");
  assert.equal(await limits.login("a", "bob", right), "in", "logins are counted apart");
});

test("failed invites outlast a restart", async (t) => {
  const { open } = storeOf(t);
  const refused = () => Promise.reject(new MiniTorrentError("INVITE_REFUSED", "no"));
  const first = open();
  await assert.rejects(
    new AttemptLimits({ invitesPerAccount: 1, invitesPerAddress: 1 }, first).useInvite("a", "alice", refused),
  );
  first.close();
  const second = open();
  t.after(() => second.close());
  const limits = new AttemptLimits({ invitesPerAccount: 1, invitesPerAddress: 1 }, second);
  await assert.rejects(limits.useInvite("b", "alice", right), TOO_MANY);
  await assert.rejects(limits.useInvite("a", "bob", right), TOO_MANY);
});
