import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import {
  accountOfDevice,
  authenticate,
  createUser,
  logIn,
  logOut,
  prepareUser,
} from "../../../src/tracker/accounts.ts";
import { AttemptLimits } from "../../../src/tracker/attempt-limits.ts";
import { passwordsHere as passwords, town } from "./fixture.ts";

test("an account is made once, and its password opens it alone", async (t) => {
  const { registry, write } = town(t);
  const writeId = randomUUID();
  const create = async (id: string) => {
    const credential = await prepareUser(registry, passwords, id, "alice", "secret");
    await write((writer) => createUser(writer, id, "alice", credential, 1), id);
  };
  await create(writeId);
  const { accountId } = await authenticate(registry, passwords, "alice", "secret");
  await create(writeId);
  await assert.rejects(create(randomUUID()), { code: "USER_EXISTS" });
  assert.equal((await authenticate(registry, passwords, "alice", "secret")).accountId, accountId);
  for (const [userId, password] of [
    ["alice", "Secret"],
    ["nobody", "secret"],
  ] as const) {
    await assert.rejects(authenticate(registry, passwords, userId, password), { code: "BAD_CREDENTIALS" });
  }
});

test("two who want one name at the same time do not both get it", async (t) => {
  const { registry, write } = town(t);
  const credential = await prepareUser(registry, passwords, "w", "alice", "secret");
  const create = () => write((writer) => createUser(writer, randomUUID(), "alice", credential, 1));
  const outcomes = await Promise.allSettled([create(), create()]);
  assert.deepEqual(outcomes.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
});

test("a device carries one session, until it logs out", async (t) => {
  const place = town(t);
  const { registry, write } = place;
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  assert.equal(accountOfDevice(registry, "device"), undefined);
  await write((writer) => logIn(writer, "device", alice));
  assert.deepEqual(accountOfDevice(registry, "device"), alice);
  await write((writer) => logIn(writer, "device", bob));
  assert.deepEqual(accountOfDevice(registry, "device"), bob);
  assert.equal(accountOfDevice(registry, "other device"), undefined);
  await write((writer) => logOut(writer, "device"));
  await write((writer) => logOut(writer, "device"));
  assert.equal(accountOfDevice(registry, "device"), undefined);
});

test("the session of an account whose name went to an earlier claim is over", async (t) => {
  const elsewhere = town(t);
  await elsewhere.user("alice");
  // A stamp has milliseconds first: the claim here is later beyond doubt.
  const place = town(t, () => Date.now() + 1000);
  const later = await place.user("alice");
  await place.write((writer) => logIn(writer, "device", later));
  assert.deepEqual(accountOfDevice(place.registry, "device"), later);
  await place.registry.merge(elsewhere.registry.since({}, 100));
  assert.equal(accountOfDevice(place.registry, "device"), undefined);
});

test("failed logins run out per account and address; a good one gives its attempt back", async () => {
  const limits = new AttemptLimits({
    loginsPerAccount: 2,
    loginsPerAddress: 4,
    accountsPerAddress: 1,
    windowSeconds: 60,
  });
  const fails = (address: string, userId: string) =>
    limits.login(address, userId, () => Promise.reject(new Error("wrong")));
  const passes = (address: string, userId: string) => limits.login(address, userId, async () => "in");
  for (let at = 0; at < 10; at++) assert.equal(await passes("a", "alice"), "in");
  await assert.rejects(fails("a", "alice"), { message: "wrong" });
  await assert.rejects(fails("a", "alice"), { message: "wrong" });
  await assert.rejects(passes("a", "alice"), { code: "TOO_MANY_ATTEMPTS" });
  assert.equal(await passes("b", "alice"), "in");
  await assert.rejects(fails("a", "bob"), { message: "wrong" });
  await assert.rejects(passes("a", "carol"), { code: "TOO_MANY_ATTEMPTS" });
  await limits.createAccount("a");
  await assert.rejects(limits.createAccount("a"), { code: "TOO_MANY_ATTEMPTS" });
});

test("a flood of calls is refused until it ebbs, each account by itself", async () => {
  const limits = new AttemptLimits({ callsPerAccount: 2, writesPerAccount: 1 });
  await limits.call("alice");
  await limits.call("alice");
  await assert.rejects(limits.call("alice"), { code: "TOO_MANY_ATTEMPTS" });
  await limits.call("bob");
  await limits.write("alice");
  await assert.rejects(limits.write("alice"), { code: "TOO_MANY_ATTEMPTS" });
});

test("writes of an hour are refused past their limit, though they come slowly enough, until the hour is over", async () => {
  const limits = new AttemptLimits({ writesPerAccount: 100, writesPerAccountAndHour: 1 });
  await limits.write("alice");
  const message = /again in 3[56]\d\d s/;
  await assert.rejects(limits.write("alice"), { code: "TOO_MANY_ATTEMPTS", message });
  await limits.write("bob");
});

test("many guesses at once count as many", async () => {
  const limits = new AttemptLimits();
  const gate = Promise.withResolvers<never>();
  const guesses = Array.from({ length: 40 }, () => limits.login("a", "alice", () => gate.promise));
  const outcomes = Promise.allSettled(guesses);
  gate.reject(new Error("wrong"));
  const wrong = (await outcomes).filter(
    (outcome) => outcome.status === "rejected" && outcome.reason.message === "wrong",
  );
  assert.equal(wrong.length, 10);
});
