// What an account may have: refused with a code when it is more, whichever way it comes, and nothing of it is kept.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type TestContext, test } from "node:test";
import {
  type AccountLimits,
  checkConnections,
  DEFAULT_ACCOUNT_LIMITS,
  withinLimits,
} from "../../../../src/tracker/rules/account-limits.ts";
import { shareFile, stopShare } from "../../../../src/tracker/rules/catalogue.ts";
import {
  acceptRequest,
  createGroup,
  leaveGroup,
  requestToJoin,
} from "../../../../src/tracker/rules/groups.ts";
import type { Command } from "../../../../src/tracker/rules/rule-command.ts";
import { authority, holderId, metainfoFor, town } from "../fixture.ts";

async function people(t: TestContext, limits: Partial<AccountLimits>) {
  const { as, user, group, registry } = town(t);
  const [alice, bob] = [await user("alice"), await user("bob")];
  const all = { ...DEFAULT_ACCOUNT_LIMITS, ...limits };
  const limited =
    <T>(rule: (command: Command) => T) =>
    (command: Command): T =>
      withinLimits(all, command, rule);
  return { as, group, registry, alice, bob, limited };
}

const found = (groupId: string) => (command: Command) =>
  createGroup(command, groupId, authority, randomUUID());
const share = (fileName: string, content: number) => (command: Command) => {
  const { info, sha1 } = metainfoFor(fileName, content);
  return shareFile(command, { groupId: "films", holderId, info, sha1 });
};
const REFUSED = { code: "LIMIT_REACHED" };

test("an account owns as many groups as it may, no more, and others are not held up by it", async (t) => {
  const { as, registry, alice, bob, limited } = await people(t, { groupsPerUser: 2 });
  await as(alice, limited(found("a")));
  await as(alice, limited(found("b")), "second");
  await assert.rejects(as(alice, limited(found("c"))), REFUSED);
  assert.equal(registry.claim("group", "c"), undefined);
  await as(alice, limited(found("b")), "second"); // the same command tried again
  await as(bob, limited(found("c")));
  await as(
    alice,
    limited((command) => leaveGroup(command, "a")),
  );
  await as(alice, limited(found("d")));
});

test("an owner's leaving may bring another member over their limit, and is not refused", async (t) => {
  const { as, group, alice, bob, limited } = await people(t, { groupsPerUser: 1 });
  await as(bob, limited(found("own")));
  await group("films", alice, bob);
  await as(
    alice,
    limited((command) => leaveGroup(command, "films")),
  );
  await assert.rejects(as(bob, limited(found("more"))), REFUSED);
});

test("requests count until they are answered", async (t) => {
  const { as, alice, bob, limited } = await people(t, { requestsPerUser: 1 });
  for (const name of ["a", "b"]) await as(alice, found(name));
  const join = (groupId: string) => limited((command) => requestToJoin(command, groupId));
  await as(bob, join("a"));
  await assert.rejects(as(bob, join("b")), REFUSED);
  await as(alice, (command) => acceptRequest(command, "a", "bob"));
  await as(bob, join("b"));
});

test("files count for their first sharer, until nobody shares them; joining others counts for nothing", async (t) => {
  const { as, group, registry, alice, bob, limited } = await people(t, { filesPerUser: 1 });
  await group("films", alice, bob);
  await as(alice, limited(share("one", 1)));
  await assert.rejects(as(alice, limited(share("two", 2))), REFUSED);
  assert.equal(registry.list("torrent", "").length, 1, "nothing of what was refused is kept");
  await as(bob, limited(share("three", 3)));
  await as(alice, limited(share("three", 3)));
  await as(
    alice,
    limited((command) => stopShare(command, { groupId: "films", fileName: "one", holderId })),
  );
  await as(alice, limited(share("two", 2)));
});

test("metainfo counts for good", async (t) => {
  const { as, group, alice, limited } = await people(t, { metainfoMebibytesPerUser: 0 });
  await group("films", alice);
  await assert.rejects(as(alice, limited(share("one", 1))), {
    ...REFUSED,
    message: /metainfoMebibytesPerUser/,
  });
});

test("metainfo is limited in mebibytes of what is stored", () => {
  const check = (mebibytes: number, before: number, now: number) => {
    let total = before;
    const writer = { total: (name: string) => (name.startsWith("metainfo") ? total : 0) };
    const command = { writer, account: { accountId: "a" } } as unknown as Command;
    const limits = { ...DEFAULT_ACCOUNT_LIMITS, metainfoMebibytesPerUser: mebibytes };
    withinLimits(limits, command, () => {
      total = now;
    });
  };
  const mebibyte = 1024 * 1024;
  check(2, 0, 2 * mebibyte);
  assert.throws(() => check(2, 0, 2 * mebibyte + 1), REFUSED);
  check(1, 3 * mebibyte, 2 * mebibyte);
});

test("so many clients of an account are connected at a time", () => {
  const limits = { ...DEFAULT_ACCOUNT_LIMITS, connectionsPerUser: 2 };
  checkConnections(limits, 1);
  assert.throws(() => checkConnections(limits, 2), REFUSED);
});
