// The rules of invites: who may make, see, revoke and use one, and that whoever may not use one learns nothing.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type TestContext, test } from "node:test";
import { hashOfInviteSecret, inviteIdOf, newInviteSecret } from "../../../../src/api/invite.ts";
import type { Account } from "../../../../src/api/schemas.ts";
import { type RegistryWriter, recordKey } from "../../../../src/tracker/registry/registry.ts";
import { DEFAULT_ACCOUNT_LIMITS, withinLimits } from "../../../../src/tracker/rules/account-limits.ts";
import {
  acceptRequest,
  leaveGroup,
  listMembers,
  listRequests,
  rejectRequest,
  removeMember,
  requestToJoin,
} from "../../../../src/tracker/rules/groups.ts";
import {
  createInvite,
  type InviteWish,
  isInviteGone,
  isInviteOver,
  listInvites,
  revokeInvite,
  useInvite,
} from "../../../../src/tracker/rules/invites.ts";
import { membershipOf, requireGroup } from "../../../../src/tracker/rules/membership-rows.ts";
import { accountTotals } from "../../../../src/tracker/rules/totals.ts";
import { type Town, town } from "../fixture.ts";

const ALL = { limit: 1_000 };
const DAY_MS = 24 * 60 * 60 * 1000;
const REFUSED = {
  code: "INVITE_REFUSED",
  message: "This invite does not hold, or no longer: ask the owner of the group for another one.",
};

interface Scene {
  readonly place: Town;
  readonly alice: Account;
  readonly bob: Account;
  readonly claimId: string;
  /** Makes an invite to films. @returns the hash of its secret */
  invite(wish?: Partial<InviteWish>, by?: Account): Promise<string>;
  use(who: Account, secretHash: string, writeId?: string): Promise<string>;
  list(): ReturnType<typeof listInvites>["items"];
  members(): readonly string[];
}

/** Group films of alice's; bob is in none. */
async function scene(t: TestContext): Promise<Scene> {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice);
  const { claimId } = requireGroup(place.registry, "films");
  return {
    ...{ place, alice, bob, claimId },
    invite: async (wish = {}, by = alice) => {
      const secretHash = hashOfInviteSecret(newInviteSecret());
      await place.as(by, (command) => createInvite(command, { groupId: "films", secretHash, ...wish }));
      return secretHash;
    },
    use: (who, secretHash, writeId) =>
      place.as(who, (command) => useInvite(command, claimId, secretHash), writeId),
    list: () => listInvites(place.registry, alice.accountId, "films", place.nowMs, ALL).items,
    members: () =>
      listMembers(place.registry, alice.accountId, "films", () => false, ALL).items.map(
        ({ userId }) => userId,
      ),
  };
}

test("whoever has the secret of an invite is a member at once, until seven days have passed", async (t) => {
  const { place, bob, invite, use, list, members } = await scene(t);
  const carol = await place.user("carol");
  const madeAtMs = place.nowMs;
  const secretHash = await invite();
  assert.equal(await use(bob, secretHash), "films");
  assert.deepEqual(members(), ["alice", "bob"]);
  assert.deepEqual(list(), [
    {
      ...{ inviteId: inviteIdOf(secretHash), createdBy: "alice", createdAtMs: madeAtMs },
      ...{ expiresAtMs: madeAtMs + 7 * DAY_MS, useCount: 1, usedBy: ["bob"], state: "active" },
    },
  ]);
  place.nowMs = madeAtMs + 7 * DAY_MS - 1;
  assert.equal(list()[0]?.state, "active");
  place.nowMs++;
  assert.equal(list()[0]?.state, "expired");
  await assert.rejects(use(carol, secretHash), REFUSED);
  assert.deepEqual(members(), ["alice", "bob"]);
});

test("an invite lets in as many as it says, each once, for as long as it says", async (t) => {
  const { place, bob, invite, use, list, members } = await scene(t);
  const [carol, dave] = [await place.user("carol"), await place.user("dave")];
  const secretHash = await invite({ uses: 2, lastsMs: 60_000 });
  assert.deepEqual([list()[0]?.usesLeft, list()[0]?.useCount], [2, 0]);
  await use(bob, secretHash);
  assert.deepEqual([list()[0]?.usesLeft, list()[0]?.state], [1, "active"]);
  await use(carol, secretHash);
  assert.deepEqual([list()[0]?.usesLeft, list()[0]?.state], [0, "exhausted"]);
  await assert.rejects(use(dave, secretHash), REFUSED);
  assert.deepEqual(members(), ["alice", "bob", "carol"]);
  assert.equal(list()[0]?.expiresAtMs, place.nowMs + 60_000);
});

test("a command that is repeated counts once, and a member is told that they are one", async (t) => {
  const { bob, invite, use, list } = await scene(t);
  const secretHash = await invite({ uses: 5 });
  const writeId = randomUUID();
  assert.equal(await use(bob, secretHash, writeId), "films");
  assert.equal(await use(bob, secretHash, writeId), "films");
  assert.equal(list()[0]?.useCount, 1);
  await assert.rejects(use(bob, secretHash), {
    code: "ALREADY_A_MEMBER",
    message: "You are in group 'films' already.",
  });
});

test("a revoked, an unknown and a forged invite, and one of another group or of one that ended, get one answer", async (t) => {
  const { place, alice, bob, claimId, invite, use, members } = await scene(t);
  await place.group("builds", alice);
  const builds = requireGroup(place.registry, "builds").claimId;
  const [revoked, held] = [await invite(), await invite()];
  await place.as(alice, (command) => revokeInvite(command, "films", inviteIdOf(revoked)));
  // The same id, and so the same row, with another secret.
  const forged = inviteIdOf(held) + "0".repeat(48);
  for (const secretHash of [revoked, forged, "f".repeat(64)])
    await assert.rejects(use(bob, secretHash), REFUSED);
  for (const group of [builds, "none", ""])
    await assert.rejects(
      place.as(bob, (command) => useInvite(command, group, held)),
      REFUSED,
    );
  assert.deepEqual(members(), ["alice"]);
  await place.as(alice, (command) => leaveGroup(command, "films"));
  await place.group("films", alice);
  assert.notEqual(requireGroup(place.registry, "films").claimId, claimId);
  await assert.rejects(use(bob, held), REFUSED, "it was for the group of that name before");
});

/** The names of the reads of a rule, in their order. */
async function readsOf(place: Town, who: Account, claimId: string, secretHash: string): Promise<string[]> {
  const reads: string[] = [];
  const attempt = place.as(who, (command) => {
    const writer = new Proxy(command.writer, {
      get: (of, name) => {
        const value: unknown = Reflect.get(of, name, of);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          reads.push([String(name), ...args.filter((arg) => typeof arg === "string")].join(" "));
          return value.apply(of, args);
        };
      },
    }) as RegistryWriter;
    return useInvite({ ...command, writer }, claimId, secretHash);
  });
  await assert.rejects(attempt, REFUSED);
  return reads.map((read) => read.replaceAll(inviteIdOf(secretHash), "ID"));
}

test("whatever keeps an account out, the same is looked up before the answer", async (t) => {
  const { place, alice, bob, claimId, invite, use } = await scene(t);
  const carol = await place.user("carol");
  const [expired, exhausted, revoked] = [
    await invite({ lastsMs: 60_000 }),
    await invite({ uses: 1 }),
    await invite(),
  ];
  await use(carol, exhausted);
  await place.as(alice, (command) => revokeInvite(command, "films", inviteIdOf(revoked)));
  place.nowMs += 60_000;
  const forged = await readsOf(place, bob, claimId, "f".repeat(64));
  assert.ok(forged.length > 5, String(forged));
  for (const secretHash of [expired, exhausted, revoked])
    assert.deepEqual(await readsOf(place, bob, claimId, secretHash), forged);
});

test("only the owner makes, sees and revokes invites", async (t) => {
  const { place, alice, bob, invite, use, list } = await scene(t);
  const secretHash = await invite();
  await use(bob, secretHash);
  const NOT_OWNER = { code: "NOT_THE_OWNER", message: /ask alice/ };
  await assert.rejects(invite({}, bob), NOT_OWNER);
  assert.throws(() => listInvites(place.registry, bob.accountId, "films", 0, ALL), NOT_OWNER);
  const revoke = (who: Account, groupId = "films", inviteId = inviteIdOf(secretHash)) =>
    place.as(who, (command) => revokeInvite(command, groupId, inviteId));
  await assert.rejects(revoke(bob), NOT_OWNER);
  for (const groupId of ["none", "builds"]) {
    await assert.rejects(invite({ groupId }), { code: "UNKNOWN_GROUP" });
    await assert.rejects(revoke(alice, groupId), { code: "UNKNOWN_GROUP" });
    assert.throws(() => listInvites(place.registry, alice.accountId, groupId, 0, ALL), {
      code: "UNKNOWN_GROUP",
    });
  }
  await assert.rejects(revoke(alice, "films", "0123"), {
    code: "UNKNOWN_INVITE",
    message: /list_invites films/,
  });
  await revoke(alice);
  const revokedAtMs = place.nowMs++;
  await revoke(alice);
  const [key = ""] = place.registry.keys("inviteRevocation", "", ALL);
  assert.deepEqual(place.registry.get("inviteRevocation", key), { revokedAtMs }, "it has ended once");
  assert.equal(list()[0]?.state, "revoked");
});

test("the owner's successor sees and revokes the invites of the one before, which hold meanwhile", async (t) => {
  const { place, alice, bob, invite, use } = await scene(t);
  const carol = await place.user("carol");
  const secretHash = await invite();
  await use(bob, secretHash);
  await place.as(alice, (command) => leaveGroup(command, "films"));
  await use(carol, secretHash);
  const list = () => listInvites(place.registry, bob.accountId, "films", place.nowMs, ALL).items;
  assert.deepEqual(list()[0]?.usedBy.toSorted(), ["bob", "carol"]);
  await place.as(bob, (command) => revokeInvite(command, "films", inviteIdOf(secretHash)));
  assert.equal(list()[0]?.state, "revoked");
});

test("whoever was removed does not return with an invite from before, used or not, and does with a later one", async (t) => {
  const { place, alice, bob, invite, use, members } = await scene(t);
  const [used, other] = [await invite(), await invite()];
  place.nowMs++;
  await use(bob, used);
  await place.as(alice, (command) => removeMember(command, "films", "bob"));
  for (const secretHash of [used, other]) await assert.rejects(use(bob, secretHash), REFUSED);
  place.nowMs++;
  await use(bob, await invite());
  assert.deepEqual(members(), ["alice", "bob"]);
});

test("an invite that brought in who was removed does not do so again, whatever the clocks say", async (t) => {
  const { place, alice, bob, invite, use } = await scene(t);
  const secretHash = await invite();
  await use(bob, secretHash);
  const { nowMs } = place;
  place.nowMs = nowMs - 60_000; // a tracker whose clock is behind
  await place.as(alice, (command) => removeMember(command, "films", "bob"));
  place.nowMs = nowMs;
  await assert.rejects(use(bob, secretHash), REFUSED);
});

test("whoever left by themselves returns with the same invite, which counts them once", async (t) => {
  const { place, bob, invite, use, list, members } = await scene(t);
  const secretHash = await invite({ uses: 2 });
  for (let times = 0; times < 3; times++) {
    await use(bob, secretHash);
    assert.deepEqual(members(), ["alice", "bob"]);
    await place.as(bob, (command) => leaveGroup(command, "films"));
  }
  assert.deepEqual([list()[0]?.useCount, list()[0]?.usesLeft], [1, 1]);
});

test("an account that left a hundred times since an invite was made is not looked through further", async (t) => {
  const { place, bob, claimId, invite, use } = await scene(t);
  const secretHash = await invite();
  await place.write((writer) => {
    for (let at = 0; at < 100; at++) {
      const revocation = { accountId: bob.accountId, how: "left", endedAtMs: place.nowMs + at };
      writer.put("revocation", recordKey(claimId, `m${at}`), revocation);
    }
  });
  await assert.rejects(use(bob, secretHash), REFUSED);
  place.nowMs += 1;
  await use(bob, await invite());
});

test("a request that waits is answered by an invite, and so is one that was rejected", async (t) => {
  const { place, alice, bob, claimId, invite, use, members } = await scene(t);
  const carol = await place.user("carol");
  const secretHash = await invite();
  for (const who of [bob, carol]) await place.as(who, (command) => requestToJoin(command, "films"));
  await place.as(alice, (command) => rejectRequest(command, "films", "carol"));
  const asked = membershipOf(place.registry, claimId, bob.accountId)?.membershipId;
  for (const who of [bob, carol]) await use(who, secretHash);
  assert.deepEqual(members().toSorted(), ["alice", "bob", "carol"]);
  assert.equal(
    membershipOf(place.registry, claimId, bob.accountId)?.membershipId,
    asked,
    "one membership, not two",
  );
  assert.deepEqual(listRequests(place.registry, alice.accountId, "films", ALL).items, []);
  await assert.rejects(
    place.as(alice, (command) => acceptRequest(command, "films", "bob")),
    { code: "ALREADY_A_MEMBER" },
  );
  assert.equal(place.registry.total(accountTotals.requests(bob.accountId)), 0);
});

test("a request that another tracker took under another id waits no longer after an invite", async (t) => {
  const { place, bob, claimId, invite, use, members } = await scene(t);
  const request = { state: "requested", sinceMs: place.nowMs, membershipId: "other", requestId: "r" };
  await place.write((writer) =>
    writer.put("membership", recordKey(claimId, bob.accountId, "other"), request),
  );
  await use(bob, await invite());
  assert.deepEqual(members(), ["alice", "bob"]);
  assert.equal(place.registry.total(accountTotals.requests(bob.accountId)), 0);
});

test("a request made at a tracker apart does not undo a membership by an invite", async (t) => {
  const { place, bob, claimId, invite, use, members } = await scene(t);
  await use(bob, await invite());
  const membershipId = membershipOf(place.registry, claimId, bob.accountId)?.membershipId ?? "";
  const request = { state: "requested", sinceMs: place.nowMs + 1, membershipId, requestId: "r" };
  await place.write((writer) =>
    writer.put("membership", recordKey(claimId, bob.accountId, membershipId), request),
  );
  assert.deepEqual(members(), ["alice", "bob"]);
});

test("uses at trackers that were apart are added up, also beyond what the invite says", async (t) => {
  const { place, bob, claimId, invite, use, list } = await scene(t);
  const [carol, dave] = [await place.user("carol"), await place.user("dave")];
  const secretHash = await invite({ uses: 1 });
  await use(bob, secretHash);
  const key = recordKey(claimId, inviteIdOf(secretHash), carol.accountId);
  await place.write((writer) => writer.put("inviteUse", key, { usedAtMs: 1, membershipId: "m" }));
  assert.deepEqual([list()[0]?.useCount, list()[0]?.usesLeft], [2, 0]);
  await assert.rejects(use(dave, secretHash), REFUSED);
});

test("the same command makes one invite, and nobody makes another one with its secret, also when it has ended", async (t) => {
  const { place, alice, claimId, list } = await scene(t);
  const secretHash = hashOfInviteSecret(newInviteSecret());
  const writeId = randomUUID();
  const make = (hash = secretHash, id: string = randomUUID()) =>
    place.as(alice, (command) => createInvite(command, { groupId: "films", secretHash: hash, uses: 3 }), id);
  const made = await make(secretHash, writeId);
  assert.deepEqual(made, { groupClaimId: claimId, expiresAtMs: place.nowMs + 7 * DAY_MS, uses: 3 });
  place.nowMs += 5;
  assert.deepEqual(await make(secretHash, writeId), made);
  const TAKEN = { code: "INVALID_ARGUMENT", message: /make another one/ };
  await assert.rejects(make(), TAKEN);
  for (const id of [writeId, undefined])
    await assert.rejects(make(inviteIdOf(secretHash) + "0".repeat(48), id), TAKEN);
  assert.equal(list().length, 1);
  await place.as(alice, (command) => revokeInvite(command, "films", inviteIdOf(secretHash)));
  await place.write((writer) => writer.remove("invite", recordKey(claimId, inviteIdOf(secretHash))));
  await assert.rejects(make(), TAKEN);
});

test("a command tried again at a tracker apart does not bring a revoked invite back", async (t) => {
  const { place, alice, bob, claimId, invite, use } = await scene(t);
  const secretHash = await invite();
  const key = recordKey(claimId, inviteIdOf(secretHash));
  const before = place.registry.get("invite", key);
  await place.as(alice, (command) => revokeInvite(command, "films", inviteIdOf(secretHash)));
  await place.write((writer) => writer.put("invite", key, before));
  await assert.rejects(use(bob, secretHash), REFUSED);
});

test("a group has a hundred invites that hold; one that ended gives way to a new one", async (t) => {
  const { place, alice, invite, list } = await scene(t);
  const first = await invite();
  for (let at = 1; at < 100; at++) await invite();
  await assert.rejects(invite(), {
    code: "LIMIT_REACHED",
    message: "The group has 100 invites that hold, the most; revoke_invite ends one.",
  });
  await place.as(alice, (command) => revokeInvite(command, "films", inviteIdOf(first)));
  assert.equal(list().length, 100);
  await invite();
  assert.equal(list().length, 100);
  assert.ok(list().every(({ state }) => state === "active"));
});

test("an account has a bounded number of invites in all its groups, and its successor's count for whoever made them", async (t) => {
  const { place, alice, invite } = await scene(t);
  const limits = { ...DEFAULT_ACCOUNT_LIMITS, invitesPerUser: 2 };
  const make = () =>
    place.as(alice, (command) =>
      withinLimits(limits, command, (run) =>
        createInvite(run, { groupId: "films", secretHash: hashOfInviteSecret(newInviteSecret()) }),
      ),
    );
  await invite();
  await make();
  await assert.rejects(make(), { code: "LIMIT_REACHED", message: /^You have made 2 invites/ });
  assert.equal(place.registry.total(accountTotals.invites(alice.accountId)), 2);
});

test("a list is read page by page, and names the first twenty who used an invite", async (t) => {
  const { place, alice, invite, use } = await scene(t);
  const hashes = [await invite(), await invite(), await invite()].map(inviteIdOf).toSorted();
  const page = (after?: string) =>
    listInvites(place.registry, alice.accountId, "films", place.nowMs, { limit: 2, ...(after && { after }) });
  const first = page();
  assert.deepEqual(
    [first.items.map(({ inviteId }) => inviteId), first.next],
    [hashes.slice(0, 2), hashes[1]],
  );
  assert.deepEqual(
    page(first.next).items.map(({ inviteId }) => inviteId),
    hashes.slice(2),
  );
  assert.equal(page(first.next).next, undefined);
  const secretHash = await invite();
  for (let at = 0; at < 21; at++) await use(await place.user(`user${at}`), secretHash);
  const shown = listInvites(place.registry, alice.accountId, "films", 0, ALL).items.find(
    ({ inviteId }) => inviteId === inviteIdOf(secretHash),
  );
  assert.deepEqual([shown?.useCount, shown?.usedBy.length], [21, 20]);
});

test("an invite is over when it has ended or its group has, and what belongs to one is of no use without it", async (t) => {
  const { place, alice, bob, claimId, invite, use } = await scene(t);
  const [held, revoked, exhausted] = [await invite(), await invite(), await invite({ uses: 1 })];
  await use(bob, exhausted);
  await place.as(alice, (command) => revokeInvite(command, "films", inviteIdOf(revoked)));
  const key = (secretHash: string) => recordKey(claimId, inviteIdOf(secretHash));
  const isOver = (secretHash: string, nowMs = place.nowMs) =>
    isInviteOver(place.registry, key(secretHash), nowMs);
  assert.deepEqual([isOver(held), isOver(revoked), isOver(exhausted)], [false, true, true]);
  assert.equal(isOver(held, place.nowMs + 7 * DAY_MS), true);
  const useKey = recordKey(key(exhausted), bob.accountId);
  assert.deepEqual(place.registry.keys("inviteUse", "", ALL), [useKey]);
  assert.equal(isInviteGone(place.registry, useKey), false);
  await place.write((writer) => writer.remove("invite", key(exhausted)));
  assert.equal(isInviteGone(place.registry, useKey), true);
  await place.write((writer) => writer.endClaim("group", claimId));
  assert.equal(isOver(held), true);
});

test("nobody pays for another's rows: the owner for an invite and its end, whoever uses it for its use", async (t) => {
  const { place, alice, bob, claimId } = await scene(t);
  const secretHash = hashOfInviteSecret(newInviteSecret());
  const asPayer = <T>(who: Account, rule: Parameters<typeof place.as<T>>[1]) =>
    place.as(who, (command) => {
      command.writer.chargeTo(who.accountId);
      return rule(command);
    });
  await asPayer(alice, (command) => createInvite(command, { groupId: "films", secretHash }));
  await asPayer(bob, (command) => useInvite(command, claimId, secretHash));
  await asPayer(alice, (command) => leaveGroup(command, "films"));
  await asPayer(bob, (command) => revokeInvite(command, "films", inviteIdOf(secretHash)));
  const key = recordKey(claimId, inviteIdOf(secretHash));
  await place.write((writer) => {
    assert.equal(writer.payerOf("invite", key), alice.accountId);
    assert.equal(writer.payerOf("inviteRevocation", recordKey(key, "revoked")), alice.accountId);
    assert.equal(writer.payerOf("inviteUse", recordKey(key, bob.accountId)), bob.accountId);
    const membershipId = membershipOf(writer, claimId, bob.accountId)?.membershipId ?? "";
    const answer = recordKey(claimId, bob.accountId, membershipId, "answer");
    assert.equal(writer.payerOf("membership", answer), bob.accountId);
  });
});
