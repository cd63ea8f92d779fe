import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { type TestContext, test } from "node:test";
import { Worker } from "node:worker_threads";
import { hashPassword, verifyPassword } from "../../../../src/identity/passwords.ts";
import {
  type PasswordCaller,
  PasswordHasher,
  type PasswordHasherOptions,
} from "../../../../src/tracker/server/password-hasher.ts";
import type { PasswordAnswer, PasswordJob } from "../../../../src/tracker/server/password-worker.ts";

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

test("a caller after a flood from elsewhere is second, and a login does not wait for new accounts of its own address", async (t) => {
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

test("more than may wait is refused with the time to wait, the newest of the key with most", async (t) => {
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

test("a password that waits for too long is refused", async (t) => {
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

/** A thread that the test answers for. */
class FakeThread extends EventEmitter {
  readonly jobs: PasswordJob[] = [];
  isTerminated = false;

  postMessage(job: PasswordJob): void {
    this.jobs.push(job);
  }

  async terminate(): Promise<number> {
    this.isTerminated = true;
    this.emit("exit", 1);
    return 1;
  }

  ready(): void {
    this.emit("message", { isReady: true });
  }

  answer(said: PasswordAnswer): void {
    this.emit("message", said);
  }
}

/** A hasher on such threads; each answer is noted by the name of who asked. */
function scene(t: TestContext, options: PasswordHasherOptions = {}) {
  const threads: FakeThread[] = [];
  const hasher = hasherOf(t, {
    startWorker: () => {
      const thread = new FakeThread();
      threads.push(thread);
      return thread as unknown as Worker;
    },
    ...options,
  });
  const outcomes: string[] = [];
  const ask = (name: string, from: PasswordCaller = caller("192.0.2.1")) =>
    hasher
      .passwordsFor(from)
      .verify("hash", name)
      .then(
        (matches) => outcomes.push(`${name} ${matches}`),
        ({ code, message }) => outcomes.push(`${name} ${code}: ${message}`),
      );
  const thread = (at = 0) => threads[at] ?? assert.fail(`there is no thread ${at}`);
  /** Names in the order in which they are hashed. */
  const serve = (count: number) => {
    const before = thread().jobs.length - 1;
    for (let at = 0; at < count; at++) thread().answer({ result: true });
    return thread()
      .jobs.slice(before, before + count)
      .map(({ password }) => password);
  };
  return { hasher, threads, thread, ask, outcomes, serve };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));
const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;

test("a thread is asked when it is ready, one password at a time, and answers to whom it was asked for", async (t) => {
  const { ask, thread, threads, outcomes } = scene(t);
  for (const name of ["one", "two", "three"]) void ask(name);
  assert.deepEqual([threads.length, thread().jobs.length], [1, 0]);
  thread().ready();
  assert.deepEqual(thread().jobs, [{ kind: "verify", hash: "hash", password: "one" }]);
  thread().answer({ result: true });
  thread().answer({ result: false });
  thread().answer({ fault: "the hash cannot be read" });
  await settled();
  assert.deepEqual(outcomes, ["one true", "two false", "three INTERNAL: the hash cannot be read"]);
  assert.equal(thread().jobs.length, 3);
});

test("purposes take turns, then networks, then accounts of a network", async (t) => {
  const { ask, thread, serve } = scene(t);
  void ask("first");
  thread().ready();
  for (let at = 0; at < 20; at++) void ask("login", caller(`198.51.100.${at}`, "alice", "login"));
  void ask("new account", caller("198.51.100.99", "bob", "new-account"));
  const first = serve(4);
  assert.ok(first.includes("new account"), `behind all networks of another purpose: ${first.join()}`);
  serve(19);
  for (let at = 0; at < 20; at++) void ask("flood", caller(`2001:db8::${at}`, "alice"));
  void ask("elsewhere", caller("2001:db8:0:1::1", "alice"));
  void ask("another account", caller("2001:db8::1", "bob"));
  const order = serve(6);
  assert.ok(order.includes("elsewhere"), order.join());
  assert.ok(order.includes("another account"), order.join());
});

test("a thread that ends refuses its password, and another one takes those that wait when it is ready", async (t) => {
  const { ask, thread, threads, outcomes } = scene(t);
  void ask("runs");
  void ask("waits");
  thread().ready();
  thread().emit("error", new Error("out of memory"));
  thread().emit("exit", 1);
  await settled();
  assert.match(outcomes.join(), /^runs TRACKER_BUSY/);
  assert.equal(threads.length, 2);
  assert.equal(thread(1).jobs.length, 0, "asked before it was ready");
  thread(1).ready();
  thread(1).answer({ result: true });
  await settled();
  assert.equal(outcomes[1], "waits true");
});

test("while no thread can start, what waits is refused with the reason, and the next password tries again", async (t) => {
  const { hasher, thread, threads } = scene(t);
  const asked = hasher.passwordsFor(caller("192.0.2.1")).hash("x");
  thread().emit("error", new Error("no memory"));
  thread().emit("exit", 1);
  await assert.rejects(asked, (error: Error & { code?: string }) => {
    assert.equal(error.code, "TRACKER_BUSY");
    assert.match(String(error.cause), /no memory/);
    return true;
  });
  assert.equal(threads.length, 1);
  const again = hasher.passwordsFor(caller("192.0.2.1")).hash("x");
  thread(1).ready();
  thread(1).answer({ result: "hashed" });
  assert.equal(await again, "hashed");
});

test("a hash that has begun is not refused for having waited, and no timer is left when all are answered", async (t) => {
  const before = timers();
  const { hasher, ask, thread, outcomes } = scene(t, { longestWaitMs: 5 });
  void ask("runs");
  thread().ready();
  await ask("waits");
  assert.match(outcomes.join(), /^waits TRACKER_BUSY/);
  await new Promise((resolve) => setTimeout(resolve, 6));
  thread().answer({ result: true });
  await settled();
  assert.equal(outcomes[1], "runs true");
  assert.equal(hasher.waitingCount, 0);
  const later = scene(t);
  for (const name of ["one", "two"]) void later.ask(name);
  later.thread().ready();
  later.thread().answer({ result: true });
  void later.ask("three", { ...caller("192.0.2.1"), isGone: () => true });
  later.thread().answer({ result: true });
  await settled();
  assert.match(later.outcomes.join(), /one true,two true,three TRACKER_BUSY/);
  assert.equal(later.thread().jobs.length, 2, "nobody waits for the third");
  assert.equal(timers(), before);
});

test("the time to wait grows with the queue, between one second and thirty", async (t) => {
  const wait = async (mostWaiting: number) => {
    const { hasher } = scene(t, { mostWaiting });
    const asked = Array.from({ length: mostWaiting + 1 }, () =>
      hasher
        .passwordsFor(caller("192.0.2.1"))
        .hash("x")
        .then(
          () => 0,
          ({ retryAfterMs }: { retryAfterMs: number }) => retryAfterMs,
        ),
    );
    return await Promise.race(asked);
  };
  assert.equal(await wait(1), 1_000);
  assert.equal(await wait(100), 2_500);
  assert.equal(await wait(2_000), 30_000);
});

test("the time to wait follows from what hashes took of late, and from the number of threads", async (t) => {
  let nowMs = 1_000;
  t.mock.method(performance, "now", () => nowMs);
  const { ask, thread, outcomes } = scene(t, { workerCount: 2, mostWaiting: 400 });
  for (let at = 0; at < 400; at++) void ask("waits");
  thread(0).ready();
  thread(1).ready();
  nowMs += 125;
  thread(0).answer({ result: true });
  // In place of those that the threads took.
  for (let at = 0; at < 3; at++) void ask("waits");
  await ask("one too many");
  // A tenth of the way from 25 ms to 125.
  assert.match(outcomes.at(-1) ?? "", /^one too many TRACKER_BUSY: .* try again in 7 s\.$/);
});

test("two thousand waiting passwords are kept, for a minute", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { hasher, ask, outcomes } = scene(t);
  for (let at = 0; at < 2_000; at++) void ask("waits");
  assert.equal(hasher.waitingCount, 2_000);
  await ask("one too many");
  assert.equal(hasher.waitingCount, 2_000);
  assert.match(outcomes.join(), /^one too many TRACKER_BUSY/);
  t.mock.timers.tick(59_999);
  assert.equal(hasher.waitingCount, 2_000);
  t.mock.timers.tick(1);
  assert.equal(hasher.waitingCount, 0);
});

test("its end ends the threads, and starts none for what comes later", async (t) => {
  const { hasher, ask, thread, threads, outcomes } = scene(t);
  void ask("runs");
  thread().ready();
  void ask("waits");
  await hasher.close();
  assert.equal(thread().isTerminated, true);
  await ask("later");
  assert.equal(threads.length, 1);
  assert.equal(outcomes.length, 3);
  assert.ok(outcomes.every((outcome) => outcome.includes("TRACKER_BUSY")));
});
