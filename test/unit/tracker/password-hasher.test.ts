import assert from "node:assert/strict";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { Worker } from "node:worker_threads";
import { hashPassword, verifyPassword } from "../../../src/identity/passwords.ts";
import {
  type PasswordCaller,
  PasswordHasher,
  type PasswordHasherOptions,
} from "../../../src/tracker/password-hasher.ts";

function hasherOf(t: TestContext, options: PasswordHasherOptions = {}): PasswordHasher {
  const hasher = new PasswordHasher({ workerCount: 1, ...options });
  t.after(() => hasher.close());
  return hasher;
}

function caller(address: string, userId = "alice", purpose: PasswordCaller["purpose"] = "login") {
  return { address, userId, purpose };
}

/** Cheap for the thread: what is tested is whose turn it is. */
const CHEAP = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

test("the thread hashes and verifies as this one does, and says so of a hash that cannot be read", async (t) => {
  const passwords = hasherOf(t).passwordsFor(caller("192.0.2.1"));
  assert.equal(verifyPassword(await passwords.hash("secret"), "secret"), true);
  assert.equal(await passwords.verify(hashPassword("secret"), "secret"), true);
  assert.equal(await passwords.verify(hashPassword("secret"), "Secret"), false);
  assert.equal(await passwords.verifyNoOne("secret"), false);
  await assert.rejects(passwords.verify("plain", "secret"), { code: "INTERNAL" });
});

test("who comes after a flood from elsewhere is second, and a login does not wait behind new accounts of its own address", async (t) => {
  const hasher = hasherOf(t);
  const order: string[] = [];
  const ask = (name: string, from: PasswordCaller) =>
    hasher
      .passwordsFor(from)
      .verify(CHEAP, "x")
      .then(() => order.push(name));
  const flood = Array.from({ length: 600 }, (_, at) =>
    ask("flood", caller("192.0.2.1", `u${at}`, "new-account")),
  );
  await flood[0];
  const others = [
    ask("same address", caller("192.0.2.1")),
    ask("another address", caller("198.51.100.1", "bob", "new-account")),
  ];
  await Promise.all(others);
  assert.ok(order.indexOf("same address") <= 4, `served ${order.indexOf("same address")}th`);
  assert.ok(order.indexOf("another address") <= 6, `served ${order.indexOf("another address")}th`);
  await Promise.all(flood);
});

test("an IPv6 network is one, whatever address of it is used", async (t) => {
  const hasher = hasherOf(t);
  const order: string[] = [];
  const ask = (name: string, from: PasswordCaller) =>
    hasher
      .passwordsFor(from)
      .verify(CHEAP, "x")
      .then(() => order.push(name));
  const flood = Array.from({ length: 100 }, (_, at) => ask("flood", caller(`2001:db8::${at}`)));
  await flood[0];
  await ask("elsewhere", caller("2001:db8:0:1::1"));
  assert.ok(order.indexOf("elsewhere") <= 3, `served ${order.indexOf("elsewhere")}th`);
  await Promise.all(flood);
});

test("more than may wait is refused with the time to wait, the newest of whoever has most", async (t) => {
  const hasher = hasherOf(t, { mostWaiting: 5 });
  const flood = Array.from({ length: 20 }, () => hasher.passwordsFor(caller("192.0.2.1")).verify(CHEAP, "x"));
  const other = hasher.passwordsFor(caller("198.51.100.1")).verify(CHEAP, "x");
  const outcomes = await Promise.allSettled([...flood, other]);
  const refused = outcomes.filter((outcome) => outcome.status === "rejected");
  assert.equal(refused.length, 16);
  for (const { reason } of refused) {
    assert.equal(reason.code, "TRACKER_BUSY");
    assert.ok(reason.retryAfterMs >= 1_000 && reason.retryAfterMs <= 30_000);
  }
  assert.equal(outcomes.at(-1)?.status, "fulfilled");
});

test("what waits for too long is refused", async (t) => {
  const hasher = hasherOf(t, { longestWaitMs: 1 });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 5 }, () => hasher.passwordsFor(caller("192.0.2.1")).hash("x")),
  );
  const refused = outcomes.filter((outcome) => outcome.status === "rejected");
  // The thread needs longer than that to start.
  assert.equal(refused.length, 5);
  assert.ok(refused.every(({ reason }) => reason.code === "TRACKER_BUSY"));
  assert.equal(hasher.waitingCount, 0);
});

test("a thread that dies is replaced: its password is to be tried again, those that wait are hashed", async (t) => {
  const started: Worker[] = [];
  const { postMessage } = Worker.prototype;
  t.mock.method(Worker.prototype, "postMessage", function (this: Worker, ...args: [unknown]) {
    if (!started.includes(this)) started.push(this);
    return Reflect.apply(postMessage, this, args);
  });
  const hasher = hasherOf(t);
  const passwords = hasher.passwordsFor(caller("192.0.2.1"));
  await passwords.verify(CHEAP, "x");
  const [thread] = started;
  assert.ok(thread);
  const running = passwords.hash("under way");
  const waiting = passwords.hash("waits");
  const gone = once(thread, "exit");
  await thread.terminate();
  await gone;
  await assert.rejects(running, { code: "TRACKER_BUSY" });
  assert.equal(verifyPassword(await waiting, "waits"), true);
  assert.equal(started.length, 2);
});

test("a password that nobody waits for any more takes no time from others", async (t) => {
  const hasher = hasherOf(t);
  let isGone = false;
  const hashed: string[] = [];
  const ask = (name: string, from: PasswordCaller) =>
    hasher
      .passwordsFor(from)
      .verify(CHEAP, "x")
      .then(() => hashed.push(name));
  const gone = Promise.allSettled(
    Array.from({ length: 50 }, () => ask("gone", { ...caller("192.0.2.1"), isGone: () => isGone })),
  );
  const other = ask("other", caller("192.0.2.1", "bob"));
  isGone = true;
  await Promise.all([gone, other]);
  assert.deepEqual(hashed, ["other"]);
});

test("closing refuses what waits and what comes later, and ends the threads", async () => {
  const hasher = new PasswordHasher({ workerCount: 1 });
  const passwords = hasher.passwordsFor(caller("192.0.2.1"));
  await passwords.verify(CHEAP, "x");
  const outcomes = Promise.allSettled([passwords.hash("a"), passwords.hash("b")]);
  await hasher.close();
  assert.ok((await outcomes).every(({ status }) => status === "rejected"));
  await assert.rejects(passwords.hash("c"), { code: "TRACKER_BUSY" });
});
