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
} from "../../../../src/tracker/rules/accounts.ts";
import { cheapPasswords as passwords } from "../cheap-passwords.ts";
import { town } from "../fixture.ts";

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

test("two users who want one name at the same time do not both get it", async (t) => {
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
  await write((writer) => logIn(writer, "device", alice, 1));
  assert.deepEqual(accountOfDevice(registry, "device"), alice);
  await write((writer) => logIn(writer, "device", bob, 1));
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
  await place.write((writer) => logIn(writer, "device", later, 1));
  assert.deepEqual(accountOfDevice(place.registry, "device"), later);
  await place.registry.merge(elsewhere.registry.since({}, 100));
  assert.equal(accountOfDevice(place.registry, "device"), undefined);
});

test("a command that is tried again after its name went to an earlier claim is refused", async (t) => {
  const elsewhere = town(t, () => 1_000_000);
  await elsewhere.user("alice");
  const { registry, write } = town(t, () => 2_000_000);
  const create = () => write((writer) => createUser(writer, "w", "alice", { passwordHash: "" }, 1), "w");
  await create();
  await create();
  await registry.merge(elsewhere.registry.since({}, 100));
  await assert.rejects(create(), { code: "USER_EXISTS" });
});

test("a password for a user who does not exist is hashed as any other", async (t) => {
  const { registry } = town(t);
  const asked: string[] = [];
  const noting = {
    hash: async () => assert.fail(),
    verify: async () => assert.fail(),
    verifyNoOne: async (password: string) => asked.push(password) < 0,
  };
  await assert.rejects(authenticate(registry, noting, "nobody", "secret"), { code: "BAD_CREDENTIALS" });
  assert.deepEqual(asked, ["secret"]);
});

test("a login notes when it was; another of the same account, and a logout of nobody, write nothing", async (t) => {
  const place = town(t);
  const alice = await place.user("alice");
  const rows = async (work: Parameters<typeof place.registry.transact>[1]) =>
    (await place.registry.transact(randomUUID(), work)).records.length;
  assert.equal(await rows((writer) => logOut(writer, "device")), 0);
  assert.equal(await rows((writer) => logIn(writer, "device", alice, 7_000)), 1);
  assert.equal(await rows((writer) => logIn(writer, "device", alice, 8_000)), 0);
  assert.deepEqual(place.registry.get("device", "device"), {
    accountId: alice.accountId,
    seenAtMs: 7_000,
  });
});
