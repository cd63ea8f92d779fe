// What is derived of memberships: the same as is worked out from all rows, whatever came in which order, and kept so that
// no question about one account or group reads all of the others.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import {
  type RegistryReader,
  type RegistryRecord,
  recordKey,
} from "../../../../src/tracker/registry/registry.ts";
import { SqliteRegistry } from "../../../../src/tracker/registry/sqlite-registry.ts";
import { leaveGroup, listGroups, listOwnGroups, listRequests } from "../../../../src/tracker/rules/groups.ts";
import { alikeOf } from "../../../../src/tracker/rules/look-alikes.ts";
import {
  membershipBy,
  standingLists,
  standingsDerivation,
} from "../../../../src/tracker/rules/membership-index.ts";
import {
  countMembers,
  currentMember,
  currentMembers,
  findGroup,
  requireGroup,
} from "../../../../src/tracker/rules/membership-rows.ts";
import { town } from "../fixture.ts";

const ALL = { limit: Number.POSITIVE_INFINITY };
const NOW_MS = 1_800_000_000_000;
const ORIGIN = "a".repeat(16);
const GROUPS = ["g1", "g2"];
const RANKS = ["member", "requested", "rejected", "replaced"];

function stampAt(ms: number): string {
  return `${ms.toString(16).padStart(12, "0")}-000000-${ORIGIN}`;
}

const ACCOUNTS = [1, 2, 3].map(stampAt);

/** Any row that has a part in who is in which group, some of them not of the form. */
const anyRow = fc
  .record({
    group: fc.constantFrom(...GROUPS),
    account: fc.constantFrom(...ACCOUNTS),
    number: fc.constantFrom("m1", "m2"),
    kind: fc.constantFrom("membership", "answer", "revocation", "user", "odd"),
    state: fc.constantFrom(...RANKS),
    request: fc.constantFrom({}, { requestId: "r1" }, { requestId: "r2" }),
    sinceMs: fc.constantFrom(5, 10, 1_700_000_000_000),
    isTombstone: fc.boolean(),
    name: fc.constantFrom("alice", "A1ice", "bob"),
    odd: fc.constantFrom<unknown>(null, 1, { state: "x" }),
  })
  .map(({ group, account, number, kind, state, request, sinceMs, isTombstone, name, odd }) => {
    const membership = `${number} of ${account}`; // an id is of one account
    const key = recordKey(group, account, membership);
    const value = { state, sinceMs, membershipId: membership, ...request };
    const ended = { accountId: account, how: "left", endedAtMs: sinceMs };
    const place = {
      membership: { kind: "membership", key, claimId: "", value },
      answer: { kind: "membership", key: recordKey(key, "answer"), claimId: "", value },
      revocation: { kind: "revocation", key: recordKey(group, membership), claimId: "", value: ended },
      user: { kind: "user", key: name, claimId: account, value: {} },
      odd: { kind: "membership", key, claimId: "", value: odd },
    } as const;
    return isTombstone ? { ...place[kind], value: undefined } : place[kind];
  });

function asRecords(
  rows: readonly Pick<RegistryRecord, "kind" | "key" | "claimId" | "value">[],
): RegistryRecord[] {
  return rows.map((row, index) => ({
    ...row,
    ...{ stamp: stampAt(1000 + index), origin: ORIGIN, seq: index + 1, writeId: "w" },
  }));
}

/** Who is in the group, asked to be, and in which groups an account is: read from all rows, as nobody else may. */
function fromRows(registry: RegistryReader) {
  const accounts = ACCOUNTS.filter((account) => registry.claimById("user", account) !== undefined);
  const standing = (group: string, account: string) => {
    const rows = registry.list("membership", recordKey(group, account, ""));
    const ids = new Set(rows.map(({ key }) => key.split("\u001f")[2] ?? ""));
    const rank = (state: string) => RANKS.indexOf(state);
    return [...ids]
      .map((id) => ({ id, membership: membershipBy(registry, group, account, id) }))
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .map(({ membership }) => membership)
      .filter((membership) => membership !== undefined)
      .sort((a, b) => rank(a.state) - rank(b.state) || a.sinceMs - b.sinceMs)[0];
  };
  const inState = (group: string, state: string) =>
    accounts
      .map((account) => ({ account, value: standing(group, account) }))
      .filter(({ value }) => value?.state === state)
      .map(({ account, value }) => ({ account, sinceMs: value?.sinceMs ?? 0 }))
      .sort((a, b) => a.sinceMs - b.sinceMs || (a.account < b.account ? -1 : 1))
      .map(({ account }) => account);
  return {
    members: GROUPS.map((group) => inState(group, "member")),
    counts: GROUPS.map((group) => inState(group, "member").length),
    requests: GROUPS.map((group) => inState(group, "requested")),
    groups: ACCOUNTS.map((account) =>
      GROUPS.filter(
        (group) =>
          accounts.includes(account) && /member|requested/.test(standing(group, account)?.state ?? ""),
      ),
    ),
    ended: GROUPS.map((group) => registry.list("revocation", recordKey(group, "")).length),
  };
}

function asDerived(registry: RegistryReader) {
  const ids = (list: string) => registry.listed(list, ALL).map(({ place }) => place.split("\u001f")[2]);
  return {
    members: GROUPS.map((group) => currentMembers(registry, group).map(({ accountId }) => accountId)),
    counts: GROUPS.map((group) => countMembers(registry, group)),
    requests: GROUPS.map((group) => ids(standingLists.requestsTo(group))),
    groups: ACCOUNTS.map((account) =>
      registry.listed(standingLists.groupsOf(account), ALL).map(({ sort }) => sort),
    ),
    ended: GROUPS.map((group) => ids(standingLists.endedIn(group)).length),
  };
}

test("is as worked out from all rows, in whatever order they come, also when it is made anew at a start", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "standings-"));
  t.after(() => rmSync(folder, { recursive: true }));
  let files = 0;
  const rounds = fc.array(anyRow, { maxLength: 30 }).chain((rows) => {
    const records = asRecords(rows);
    return fc.tuple(fc.constant(records), fc.shuffledSubarray(records, { minLength: records.length }));
  });
  await fc.assert(
    fc.asyncProperty(rounds, fc.integer({ min: 1, max: 5 }), async ([, records], chunk) => {
      const path = join(folder, `${++files}.sqlite`);
      const registry = SqliteRegistry.open({
        path: ":memory:",
        nowMs: () => NOW_MS,
        alikeOf,
        derivation: standingsDerivation,
      });
      const without = SqliteRegistry.open({ path, nowMs: () => NOW_MS, alikeOf });
      for (let at = 0; at < records.length; at += chunk) {
        await registry.merge(records.slice(at, at + chunk));
        await without.merge(records.slice(at, at + chunk));
        assert.deepEqual(asDerived(registry), fromRows(registry));
      }
      without.close();
      const later = SqliteRegistry.open({
        path,
        nowMs: () => NOW_MS,
        alikeOf,
        derivation: standingsDerivation,
      });
      assert.deepEqual(asDerived(later), fromRows(registry));
      later.close();
      // Of another version, what is there is made anew, and counted once.
      const changed = { ...standingsDerivation, version: standingsDerivation.version + 1 };
      const again = SqliteRegistry.open({ path, nowMs: () => NOW_MS, alikeOf, derivation: changed });
      assert.deepEqual(asDerived(again), fromRows(registry));
      again.close();
      registry.close();
    }),
    { numRuns: 30 },
  );
});

test("a transaction that fails leaves what is derived as it was", async (t) => {
  const place = town(t);
  const alice = await place.user("alice");
  await place.group("films", alice);
  const { claimId } = requireGroup(place.registry, "films");
  const before = asJson(place.registry, claimId);
  await assert.rejects(
    place.write((writer) => {
      const member = { state: "member", sinceMs: 1, membershipId: "m" };
      writer.put("membership", recordKey(claimId, alice.accountId, "m"), member);
      assert.equal(writer.total(`members of ${claimId}`), 1);
      throw new Error("no");
    }),
  );
  assert.equal(asJson(place.registry, claimId), before);
});

function asJson(registry: RegistryReader, claimId: string): string {
  return JSON.stringify([currentMembers(registry, claimId), countMembers(registry, claimId)]);
}

/** Rows that are read while `work` runs. */
function countReads<T>(t: TestContext, registry: SqliteRegistry, work: () => T): { result: T; rows: number } {
  let rows = 0;
  const counted = (read: readonly unknown[]) => {
    rows += read.length;
    return read;
  };
  const { list, listed, claims } = registry;
  const mocks = [
    t.mock.method(registry, "list", (...args: Parameters<typeof list>) =>
      counted(list.apply(registry, args)),
    ),
    t.mock.method(registry, "listed", (...args: Parameters<typeof listed>) =>
      counted(listed.apply(registry, args)),
    ),
    t.mock.method(registry, "claims", (...args: Parameters<typeof claims>) =>
      counted(claims.apply(registry, args)),
    ),
  ];
  const result = work();
  for (const { mock } of mocks) mock.restore();
  return { result, rows };
}

test("what is asked about one account or group reads some rows, however many members, groups and ends there are", async (t) => {
  const place = town(t);
  const { registry } = place;
  const alice = await place.user("alice");
  const bob = await place.user("bob");
  await place.group("films", alice, bob);
  const { claimId } = requireGroup(registry, "films");
  await place.write((writer) => {
    for (let index = 0; index < 500; index++) {
      const accountId = writer.makeClaim("user", `user${index}`, { createdAtMs: 1 });
      const membershipId = `m${index}`;
      const sinceMs = 2_000_000 + index;
      const value = { state: index % 2 === 0 ? "member" : "requested", sinceMs, membershipId };
      writer.put("membership", recordKey(claimId, accountId, membershipId), value);
      writer.put("revocation", recordKey(claimId, `old${index}`), {
        accountId,
        how: "left",
        endedAtMs: index,
      });
      const group = { ownerAccountId: accountId, authorityCertificatePem: "", authorityPrivateKeyPem: "" };
      const other = writer.makeClaim("group", `group${index}`, group);
      const owner = { state: "member", sinceMs, membershipId: `o${index}` };
      writer.put("membership", recordKey(other, accountId, `o${index}`), owner);
    }
  });
  const reads = <T>(work: () => T) => countReads(t, registry, work);
  assert.equal(countMembers(registry, claimId), 252);
  assert.ok(reads(() => findGroup(registry, "films")).rows <= 1);
  assert.ok(reads(() => currentMember(registry, claimId, bob.accountId)).rows <= 1);
  const mine = reads(() => listOwnGroups(registry, bob.accountId, { limit: 100 }));
  assert.deepEqual(
    mine.result.items.map(({ groupId, standing }) => [groupId, standing]),
    [["films", "member"]],
  );
  assert.ok(mine.rows <= 5, `${mine.rows} rows`);
  const page = reads(() => listGroups(registry, bob.accountId, { limit: 10 }));
  assert.equal(page.result.items.length, 10);
  assert.ok(page.rows <= 20, `${page.rows} rows`);
  assert.deepEqual(page.result.items[0], {
    groupId: "films",
    ownerId: "alice",
    memberCount: 252,
    standing: "member",
  });
  const asked = reads(() => listRequests(registry, alice.accountId, "films", { limit: 7 }));
  assert.equal(asked.result.items.length, 7);
  assert.ok(asked.rows <= 10, `${asked.rows} rows`);
  // A rule reads through its transaction: the same statements.
  let left = 0;
  const writeId = randomUUID();
  await place.as(
    alice,
    (command) => {
      const { writer } = command;
      const counting = new Proxy(writer, {
        get: (of, name) => {
          const value: unknown = Reflect.get(of, name, of);
          if (typeof value !== "function") return value;
          return (...args: unknown[]) => {
            const given: unknown = value.apply(of, args);
            if (Array.isArray(given)) left += given.length;
            return given;
          };
        },
      });
      assert.deepEqual(leaveGroup({ ...command, writer: counting }, "films"), {
        newOwnerId: "bob",
        groupEnded: false,
      });
    },
    writeId,
  );
  assert.ok(left <= 10, `${left} rows`);
  const again = await place.as(alice, (command) => leaveGroup(command, "films"), writeId);
  assert.deepEqual(again, { newOwnerId: "bob", groupEnded: false });
});
