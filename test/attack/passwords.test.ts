// Passwords: what a guess costs, how many there may be, that nobody can lock another out by failing, and that a password is
// nowhere to be read: not in logs, arguments, answers or files.
import assert from "node:assert/strict";
import crypto, { randomUUID } from "node:crypto";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mock, type TestContext, test } from "node:test";
import { pino } from "pino";
import { ApiClient } from "../../harness/api-client.ts";
import { freePorts } from "../../harness/processes.ts";
import { Scene } from "../../harness/scene.ts";
import type { Address } from "../../src/api/addresses.ts";
import { MiniTorrentError } from "../../src/api/errors.ts";
import { readPasswordFile } from "../../src/cli/password-file.ts";
import { createDeviceIdentity } from "../../src/identity/certificates.ts";
import { hashPassword, verifyNoOne, verifyPassword } from "../../src/identity/passwords.ts";
import { authenticate, createUser, type Passwords } from "../../src/tracker/rules/accounts.ts";
import { AttemptLimits } from "../../src/tracker/server/attempt-limits.ts";
import { PasswordHasher } from "../../src/tracker/server/password-hasher.ts";
import { Tracker } from "../../src/tracker/tracker.ts";
import { town } from "../unit/tracker/fixture.ts";

/** Hashed by the thread that asks. */
const passwordsHere: Passwords = {
  hash: async (password) => hashPassword(password),
  verify: async (hash, password) => verifyPassword(hash, password),
  verifyNoOne: async (password) => verifyNoOne(password),
};
const wrong = () => Promise.reject(new MiniTorrentError("BAD_CREDENTIALS", "wrong"));
const SECRET = "Hunter2-that-nobody-may-read";

test("a login with an unknown user id does the work of one with a wrong password, at the stated cost", async (t) => {
  const { registry, write } = town(t);
  const passwordHash = hashPassword("right");
  assert.match(passwordHash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  await write((writer) => createUser(writer, randomUUID(), "alice", { passwordHash }, 0));
  const work: unknown[] = [];
  const { argon2Sync } = crypto;
  mock.method(crypto, "argon2Sync", (...args: Parameters<typeof argon2Sync>) => {
    const [algorithm, { memory, passes, parallelism, tagLength, nonce }] = args;
    work.push({
      algorithm,
      memory,
      passes,
      parallelism,
      tagLength,
      nonceBytes: Buffer.from(nonce as Buffer).length,
    });
    return argon2Sync(...args);
  });
  syncBuiltinESMExports();
  try {
    const answers: unknown[] = [];
    for (const userId of ["alice", "nobody"]) {
      await assert.rejects(
        authenticate(registry, passwordsHere, userId, "wrong"),
        (error: Error) => answers.push(error.message) > 0,
      );
    }
    assert.equal(answers[0], answers[1]);
    assert.equal(work.length, 2);
    assert.deepEqual(work[0], work[1]);
  } finally {
    mock.restoreAll();
    syncBuiltinESMExports();
  }
});

test("guesses from one network are refused after ten, and the owner gets in from elsewhere all the while", async () => {
  const limits = new AttemptLimits();
  const attack = (address: string) => limits.login(address, "alice", wrong);
  for (let guess = 0; guess < 10; guess++)
    await assert.rejects(attack(`2001:db8::${guess + 1}`), { code: "BAD_CREDENTIALS" });
  // One IPv6 network is one attacker, whatever address of it he takes.
  await assert.rejects(attack("2001:db8::ffff"), { code: "TOO_MANY_ATTEMPTS" });
  for (let network = 0; network < 300; network++) {
    for (let guess = 0; guess < 11; guess++)
      await assert.rejects(attack(`198.51.${network >> 8}.${network & 255}`));
  }
  assert.equal(await limits.login("192.0.2.1", "alice", async () => "in"), "in");
});

test("one address has a hundred failures, over all accounts", async () => {
  const limits = new AttemptLimits();
  for (let guess = 0; guess < 100; guess++) {
    await assert.rejects(limits.login("198.51.100.1", `user${guess}`, wrong), { code: "BAD_CREDENTIALS" });
  }
  await assert.rejects(
    limits.login("198.51.100.1", "other", async () => "in"),
    { code: "TOO_MANY_ATTEMPTS" },
  );
});

/** A tracker on loopback, to which one connects from addresses of choice. */
async function trackerOf(t: TestContext) {
  const dataDir = mkdtempSync(join(tmpdir(), "passwords-"));
  const [port = 0] = await freePorts(1);
  const address: Address = { host: "127.0.0.1", port };
  const log = pino({ level: "silent" });
  const tracker = await Tracker.open({ trackers: [address], trackerNumber: 1, dataDir, log });
  const clients: ApiClient[] = [];
  t.after(async () => {
    for (const client of clients) client.close();
    await tracker.close();
    rmSync(dataDir, { recursive: true });
  });
  return async (localAddress: string) => {
    const identity = await createDeviceIdentity();
    const client = await ApiClient.connect({ ...address, identity, localAddress });
    clients.push(client);
    return client;
  };
}

test("600 accounts made at once from one address keep nobody from logging in, certificates or new groups", async (t) => {
  const connect = await trackerOf(t);
  const member = await connect("127.78.0.1");
  await member.signUp("alice");
  const flooders = await Promise.all(Array.from({ length: 60 }, () => connect("127.78.0.2")));
  let made = 0;
  const first = Promise.withResolvers<void>();
  for (let account = 0; account < 600; account++) {
    const input = { writeId: randomUUID(), userId: `flood${account}`, password: "x" };
    flooders[account % 60]?.mutate("session.createUser", input).then(
      () => {
        made++;
        first.resolve();
      },
      () => undefined, // the test is over
    );
  }
  await first.promise;
  await member.mutate("groups.create", { writeId: randomUUID(), groupId: "films" });
  await member.query("groups.certificate", { groupId: "films" });
  const again = await connect("127.78.0.3");
  await again.mutate("session.login", {
    writeId: randomUUID(),
    userId: "alice",
    password: "password of alice",
  });
  const neighbour = await connect("127.78.0.2");
  await neighbour.mutate("session.login", {
    ...{ writeId: randomUUID(), userId: "alice", password: "password of alice" },
  });
  assert.ok(made < 60, `${made} of the flood came first`);
});

test("none of 40 correct logins to one account at once is refused, nor of 150 people behind one address", async (t) => {
  const { registry, write } = town(t);
  const hasher = new PasswordHasher();
  t.after(() => hasher.close());
  const limits = new AttemptLimits();
  // A hundredth of the cost: who is let in is what counts here.
  const message = "x";
  const nonce = Buffer.from("somesalt");
  const tag = crypto.argon2Sync("argon2id", {
    ...{ message, nonce, memory: 64, passes: 2, parallelism: 1, tagLength: 32 },
  });
  const text = (bytes: Buffer) => bytes.toString("base64").replaceAll("=", "");
  const passwordHash = `$argon2id$v=19$m=64,t=2,p=1$${text(nonce)}$${text(tag)}`;
  const people = Array.from({ length: 150 }, (_, at) => `person${at}`);
  for (const userId of people) {
    await write((writer) => createUser(writer, randomUUID(), userId, { passwordHash }, 0));
  }
  const address = "192.0.2.1";
  const login = (userId: string) =>
    limits.login(address, userId, (purpose) =>
      authenticate(registry, hasher.passwordsFor({ purpose, address, userId }), userId, message),
    );
  await Promise.all(Array.from({ length: 40 }, () => login("person0")));
  await Promise.all(people.map(login));
});

test("wrong passwords count after a restart, also after one that nobody prepared", async () => {
  await using scene = await Scene.open(0);
  const [port = 0] = await freePorts(1);
  scene.trackerAddresses = [`127.0.0.1:${port}`];
  writeFileSync(scene.trackerInfo, `127.0.0.1:${port}\n`);
  const tracker = await scene.startTracker(1);
  const identity = await createDeviceIdentity();
  const guess = async () => {
    const client = await ApiClient.connect({ host: "127.0.0.1", port, identity });
    const input = { writeId: randomUUID(), userId: "alice", password: "guess" };
    await client.mutate("session.login", input).finally(() => client.close());
  };
  for (let at = 0; at < 10; at++) await assert.rejects(guess(), { code: "BAD_CREDENTIALS" });
  await tracker.kill();
  await scene.startTracker(1);
  await assert.rejects(guess(), { code: "TOO_MANY_ATTEMPTS" });
});

test("a password file that others may read, or that says nothing, is not used", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "password-file-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "password");
  const file = (text: string, mode: number) => {
    writeFileSync(path, text);
    chmodSync(path, mode);
  };
  file(`${SECRET}\nnot this\n`, 0o600);
  assert.equal(readPasswordFile(path), SECRET);
  for (const mode of [0o640, 0o604, 0o622]) {
    file(`${SECRET}\n`, mode);
    assert.throws(() => readPasswordFile(path), { code: "INVALID_ARGUMENT", message: /chmod 600/ });
  }
  file("\n", 0o600);
  assert.throws(() => readPasswordFile(path), { code: "INVALID_ARGUMENT" });
  assert.throws(() => readPasswordFile(join(folder, "none")), { code: "INVALID_ARGUMENT" });
});

test("a tracker closes its files to others at start, and says so", async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), "open-files-"));
  t.after(() => rmSync(dataDir, { recursive: true }));
  const [port = 0] = await freePorts(1);
  const said: string[] = [];
  const log = pino({ level: "warn" }, { write: (line: string) => said.push(line) });
  const options = { trackers: [{ host: "127.0.0.1", port }], trackerNumber: 1, dataDir, log };
  await (await Tracker.open(options)).close();
  assert.equal(said.length, 0);
  for (const name of readdirSync(dataDir)) chmodSync(join(dataDir, name), 0o644);
  chmodSync(dataDir, 0o755);
  const tracker = await Tracker.open(options);
  assert.match(said.join(""), /identity-key\.pem.*open to other users/);
  assert.equal(statSync(dataDir).mode & 0o777, 0o700);
  for (const name of readdirSync(dataDir)) {
    if (/\.pem$|\.sqlite$/.test(name)) assert.equal(statSync(join(dataDir, name)).mode & 0o777, 0o600, name);
  }
  await tracker.close();
});

test("a password is in no log, argument, environment, answer or file of client or tracker", async () => {
  await using scene = await Scene.open(0);
  const [port = 0] = await freePorts(1);
  scene.trackerAddresses = [`127.0.0.1:${port}`];
  writeFileSync(scene.trackerInfo, `127.0.0.1:${port}\n`);
  const tracker = await scene.startTracker(1, { arguments: ["--log-level", "trace"] });
  const passwordFile = scene.path("password");
  writeFileSync(passwordFile, `${SECRET}\n`, { mode: 0o600 });
  const client = scene.client("alice", "127.0.0.1:0", {
    arguments: ["--log-level", "trace", "--password-file", passwordFile],
  });
  const answers = [
    await client.run("create_user alice"),
    await client.run("login alice"),
    await client.run("logout"),
    await client.run(`login alice ${SECRET}`),
    await client.run(`login alice ${SECRET} too much`),
    await client.run(`logni alice ${SECRET}`),
    await client.run(`create_user alice ${SECRET}`),
    await client.run(`login alice "${SECRET}`),
  ];
  assert.deepEqual(
    answers.map(({ ok }) => ok),
    [true, true, true, true, false, false, false, false],
  );
  const readable = [client, tracker].flatMap(({ pid, stderr }) => [
    stderr,
    readFileSync(`/proc/${pid}/cmdline`, "latin1"),
    readFileSync(`/proc/${pid}/environ`, "latin1"),
  ]);
  const files = readdirSync(scene.folder, { recursive: true, encoding: "utf8" })
    .map((name) => scene.path(name))
    .filter((path) => path !== passwordFile && statSync(path).isFile());
  assert.ok(files.length > 4);
  for (const path of files) readable.push(readFileSync(path, "latin1"));
  readable.push(JSON.stringify(answers), JSON.stringify(client.events));
  for (const text of readable) assert.equal(text.includes(SECRET), false);
});
