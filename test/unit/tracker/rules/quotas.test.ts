// What accounts and networks may take of the trackers' disks: every row counts, the sum has a bound, and at the bound one
// can still give something up.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type TestContext, test } from "node:test";
import type { Account } from "../../../../src/api/schemas.ts";
import type { RegistryReader } from "../../../../src/tracker/registry/registry.ts";
import { SqliteRegistry } from "../../../../src/tracker/registry/sqlite-registry.ts";
import { createUser, logIn, logOut } from "../../../../src/tracker/rules/accounts.ts";
import { shareFile, stopShare } from "../../../../src/tracker/rules/catalogue.ts";
import {
  acceptRequest,
  createGroup,
  leaveGroup,
  rejectRequest,
  removeMember,
  requestToJoin,
} from "../../../../src/tracker/rules/groups.ts";
import { networkIdOf, paidBy } from "../../../../src/tracker/rules/quota-payers.ts";
import {
  DEFAULT_QUOTA_LIMITS,
  type QuotaLimits,
  withinQuotas,
} from "../../../../src/tracker/rules/quotas.ts";
import type { Command } from "../../../../src/tracker/rules/rule-command.ts";
import {
  accountTotals,
  networkTotals,
  registryTotals,
  totalsOf,
} from "../../../../src/tracker/rules/totals.ts";
import { authority, holderId, metainfoFor, type Town, town } from "../fixture.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const KIB = 1 / 1024;
const MIB_BYTES = 1024 * 1024;
const REFUSED = { code: "LIMIT_REACHED" };
const HOME = "192.0.2.1";

/** People whose writes are checked as a tracker's procedures check them. */
function limitedTown(t: TestContext, limits: Partial<QuotaLimits>) {
  const place = town(t);
  const all = { ...DEFAULT_QUOTA_LIMITS, ...limits };
  return {
    place,
    user: (userId: string, host = HOME): Promise<Account> => addUser(place, all, userId, host),
    grow: <T>(account: Account, rule: (command: Command) => T, host = HOME) =>
      place.as(account, (command) => {
        const payer = { accountId: account.accountId, networkId: networkIdOf(host) };
        command.writer.chargeTo(paidBy(payer));
        const spender = { reader: command.writer, payer, nowMs: place.nowMs, kind: "growth" } as const;
        return withinQuotas(all, spender, () => rule(command));
      }),
    login: (account: Account, deviceId: string, host = HOME) =>
      place.write((writer) => {
        const payer = { accountId: account.accountId, networkId: networkIdOf(host) };
        const spender = { reader: writer, payer, nowMs: place.nowMs, kind: "login" } as const;
        withinQuotas(all, spender, () => logIn(writer, deviceId, account, place.nowMs, payer.networkId));
      }),
    bytesOf: ({ accountId }: Account) => place.registry.total(accountTotals.bytes(accountId)),
  };
}

async function addUser(place: Town, limits: QuotaLimits, userId: string, host: string): Promise<Account> {
  const networkId = networkIdOf(host);
  await place.write((writer) => {
    const payer = { accountId: "", networkId };
    const spender = { reader: writer, payer, nowMs: place.nowMs, kind: "growth" } as const;
    withinQuotas(limits, spender, () =>
      createUser(writer, randomUUID(), userId, { passwordHash: "x".repeat(97) }, place.nowMs, networkId),
    );
  });
  return { userId, accountId: place.registry.claim("user", userId)?.claimId ?? "" };
}

const found = (groupId: string) => (command: Command) =>
  createGroup(command, groupId, authority, randomUUID());
const ask = (groupId: string) => (command: Command) => requestToJoin(command, groupId);
const share = (fileName: string, content = 1) => {
  const { info, sha1 } = metainfoFor(fileName, content);
  return (command: Command) => shareFile(command, { groupId: "films", holderId, info, sha1 });
};

/** A row of 16 KiB. */
const bulk = ({ writer, account }: Command) =>
  writer.put("torrent", randomUUID(), {
    info: "x".repeat(16 * 1024),
    broughtByAccountId: account.accountId,
  });

/** Repeats it until it is refused; returns how often it was not. */
async function untilRefused(attempt: (count: number) => Promise<unknown>, most = 10_000): Promise<number> {
  for (let count = 0; count < most; count++) {
    try {
      await attempt(count);
    } catch (error) {
      assert.equal((error as { code?: string }).code, "LIMIT_REACHED");
      return count;
    }
  }
  assert.fail(`${most} were not refused`);
}

test("whatever an account does again and again ends at its quota, tombstones and all", async (t) => {
  const ways: Record<
    string,
    (town: ReturnType<typeof limitedTown>) => Promise<(n: number) => Promise<unknown>>
  > = {
    "shares and stops": async ({ grow, place, user }) => {
      const alice = await user("alice");
      await grow(alice, found("films"));
      return async (count) => {
        await grow(alice, share("name", count));
        await place.as(alice, (command) =>
          stopShare(command, { groupId: "films", fileName: "name", holderId }),
        );
      };
    },
    "founds and leaves": async ({ grow, place, user }) => {
      const alice = await user("alice");
      return async (count) => {
        await grow(alice, found(`g${count}`));
        await place.as(alice, (command) => leaveGroup(command, `g${count}`));
      };
    },
    "asks, is let in and removed": async ({ grow, place, user }) => {
      const [alice, bob] = [await user("alice"), await user("bob")];
      await grow(bob, found("films"));
      return async () => {
        await grow(alice, ask("films"));
        await grow(bob, (command) => acceptRequest(command, "films", "alice"));
        await place.as(bob, (command) => removeMember(command, "films", "alice"));
      };
    },
    "logs in and out": async ({ login, place, user }) => {
      const alice = await user("alice");
      return async (count) => {
        await login(alice, `device ${count}`);
        await place.write((writer) => logOut(writer, `device ${count}`));
      };
    },
  };
  for (const [name, way] of Object.entries(ways)) {
    const here = limitedTown(t, { mebibytesPerNewUser: 100 * KIB });
    await untilRefused(await way(here), 500);
    const alice = { userId: "alice", accountId: here.place.registry.claim("user", "alice")?.claimId ?? "" };
    // What ends something may go past it, by the few rows that it takes.
    assert.ok(here.bytesOf(alice) < 112 * 1024, `${name}: ${here.bytesOf(alice)} bytes`);
    assert.ok(here.bytesOf(alice) > 95 * 1024, `${name}: ${here.bytesOf(alice)} bytes`);
  }
});

for (const limitName of ["registryMebibytes", "mebibytesPerNetwork"] as const) {
  test(`however many accounts fill ${limitName}, those that have little can go on`, async (t) => {
    const { user, grow, bytesOf } = limitedTown(t, { [limitName]: 8, newUserDays: 0 });
    const alice = await user("alice");
    await grow(alice, found("films"));
    const crowd: Account[] = [];
    for (let member = 0; member < 10; member++) crowd.push(await user(`stranger-${member}`));
    let taken = 0;
    for (const stranger of crowd) {
      await untilRefused(() => grow(stranger, bulk));
      taken += bytesOf(stranger);
    }
    assert.ok(taken > 6 * 1024 * 1024, `they take what is there: ${taken} bytes`);
    for (let file = 0; file < 3; file++) await grow(alice, share(`file-${file}`));
    await assert.rejects(grow(crowd[0] ?? alice, bulk), ({ message }: Error) => {
      assert.match(
        message,
        /nearly full.* more than \d+ KiB cannot add to it now, and yours has \d+ KiB\. Stop/,
      );
      return message.includes(limitName);
    });
  });
}

test("rejecting and removing cost the owner nothing", async (t) => {
  const { place, user, grow, bytesOf } = limitedTown(t, {});
  const [alice, bob] = [await user("alice"), await user("bob")];
  await grow(bob, found("films"));
  const before = bytesOf(bob);
  for (let round = 0; round < 3; round++) {
    await grow(alice, ask("films"));
    await place.as(bob, (command) => rejectRequest(command, "films", "alice"));
  }
  await grow(alice, ask("films"));
  await grow(bob, (command) => acceptRequest(command, "films", "alice"));
  await place.as(bob, (command) => removeMember(command, "films", "alice"));
  assert.equal(bytesOf(bob), before);
});

test("at a quota what adds something is refused with what to do; what ends something, and a login for it, is not", async (t) => {
  const here = limitedTown(t, { mebibytesPerNewUser: 100 * KIB });
  const { place, user, grow, login } = here;
  const [alice, bob, carol] = [await user("alice"), await user("bob"), await user("carol")];
  await grow(alice, found("films"));
  await grow(alice, found("second"));
  for (const who of [bob, carol]) await grow(who, ask("films"));
  await grow(alice, (command) => acceptRequest(command, "films", "bob"));
  await untilRefused((count) => grow(alice, share(`file ${count}`)));
  await assert.rejects(grow(alice, share("one more")), {
    ...REFUSED,
    message: /0\.09765625 MiB.*stop_share.*mebibytesPerNewUser/,
  });
  await assert.rejects(grow(alice, found("third")), REFUSED);
  await assert.rejects(grow(alice, ask("second")), { code: "ALREADY_A_MEMBER" });
  await login(alice, "a device");
  await place.as(alice, (command) => stopShare(command, { groupId: "films", fileName: "file 0", holderId }));
  await place.as(alice, (command) => rejectRequest(command, "films", "carol"));
  await place.as(alice, (command) => removeMember(command, "films", "bob"));
  await place.as(alice, (command) => leaveGroup(command, "second"));
  await place.write((writer) => logOut(writer, "a device"));
  await grow(bob, found("of bob"));
});

test("logins go a tenth past a quota, and no further", async (t) => {
  const { user, login, bytesOf } = limitedTown(t, { mebibytesPerNewUser: 100 * KIB });
  const alice = await user("alice");
  await untilRefused((count) => login(alice, `device ${count}`));
  assert.ok(bytesOf(alice) > 109 * 1024 && bytesOf(alice) <= 110 * 1024);
});

test("accounts of one network share a quota, whoever makes them, and other networks have theirs", async (t) => {
  const { place, user, grow } = limitedTown(t, {
    mebibytesPerNetwork: 200 * KIB,
    mebibytesPerNewUser: 50 * KIB,
  });
  const crowd = Array.from({ length: 20 }, (_, index) => `mallory${index}`);
  let refused = 0;
  for (const userId of crowd) {
    try {
      const account = await user(userId);
      await untilRefused((count) => grow(account, found(`${userId} ${count}`)));
    } catch (error) {
      assert.equal((error as { code?: string }).code, "LIMIT_REACHED");
      refused++;
    }
  }
  const taken = place.registry.total(networkTotals.bytes(networkIdOf(HOME)));
  assert.ok(taken <= 150 * 1024, "new accounts leave a quarter to the others");
  assert.ok(refused > 10, "not even accounts are made");
  const alice = await user("alice", "198.51.100.7");
  await grow(alice, found("films"), "198.51.100.7");
});

test("an account that is no longer new has more, and the part that strangers cannot take", async (t) => {
  const { place, user, grow, bytesOf } = limitedTown(t, {
    mebibytesPerNewUser: 20 * KIB,
    mebibytesPerUser: 60 * KIB,
    registryMebibytes: 80 * KIB,
  });
  const alice = await user("alice");
  await grow(alice, found("films"));
  place.nowMs += 6 * DAY_MS;
  await untilRefused((count) => grow(alice, found(`of a week ${count}`)));
  assert.ok(bytesOf(alice) <= 20 * 1024, "an account of six days is new");
  place.nowMs += DAY_MS;
  const full = untilRefused(async (count) => {
    const stranger = await user(`stranger${count}`, `192.0.2.${count}`);
    await untilRefused((groups) => grow(stranger, found(`${count} ${groups}`), `192.0.2.${count}`));
  });
  await full;
  assert.ok(place.registry.total(registryTotals.bytes) <= 60 * 1024);
  await grow(alice, found("more"));
  await untilRefused((count) => grow(alice, share(`file ${count}`)));
  const taken = place.registry.total(registryTotals.bytes);
  assert.ok(taken > 75 * 1024 && taken <= 80 * 1024);
  await assert.rejects(grow(alice, share("too much")), { ...REFUSED, message: /registryMebibytes/ });
});

test("rows from another tracker are taken past any quota, and both trackers count the same", async (t) => {
  const { place, user, grow } = limitedTown(t, { mebibytesPerNewUser: 30 * KIB });
  const alice = await user("alice");
  await grow(alice, found("films"));
  await untilRefused((count) => grow(alice, share(`file ${count}`)));
  const other = SqliteRegistry.open({ path: ":memory:", nowMs: Date.now, totalsOf });
  t.after(() => other.close());
  await other.merge(place.registry.since({}, 10_000));
  for (const name of [
    registryTotals.bytes,
    registryTotals.rows,
    accountTotals.bytes(alice.accountId),
    accountTotals.rows(alice.accountId),
    networkTotals.bytes(networkIdOf(HOME)),
  ]) {
    assert.equal(other.total(name), place.registry.total(name), name);
    assert.ok(other.total(name) > 0);
  }
});

test("a network's id is the same for all of an IPv6 /64, and has no address in it", () => {
  assert.equal(networkIdOf("2001:db8::1"), networkIdOf("2001:db8::ffff:1"));
  assert.notEqual(networkIdOf("2001:db8::1"), networkIdOf("2001:db8:0:1::1"));
  assert.match(networkIdOf(HOME), /^[0-9a-f]{6}$/);
});

test("a new account never has more than an older one, and what takes no room is refused to nobody", async (t) => {
  const { user, grow, login, bytesOf } = limitedTown(t, {
    mebibytesPerNewUser: 40 * KIB,
    mebibytesPerUser: 10 * KIB,
  });
  const alice = await user("alice");
  await untilRefused((count) => grow(alice, found(`group ${count}`)));
  assert.ok(bytesOf(alice) <= 10 * 1024);
  await login(alice, "a device");
  while (bytesOf(alice) <= 10 * 1024) await login(alice, `device ${bytesOf(alice)}`);
  await grow(alice, () => undefined);
  await assert.rejects(grow(alice, found("one more")), REFUSED);
});

/** An account that takes some of a quota that others nearly fill; only totals count. */
function scarce(given: {
  own: number;
  grown?: number;
  free: number;
  kind?: "growth" | "login";
  accountId?: string;
}) {
  const { own, grown = 1, free, kind = "growth", accountId = "alice" } = given;
  const mostBytes = 1024 * MIB_BYTES;
  const totals = new Map([
    [accountTotals.bytes(accountId), own - grown],
    [accountTotals.bytes(""), 2 * mostBytes],
    [networkTotals.bytes(""), 2 * mostBytes],
    [registryTotals.bytes, mostBytes - free - grown],
  ]);
  const reader = {
    total: (name: string) => totals.get(name) ?? 0,
    claimById: () => ({ value: { createdAtMs: 0 } }),
  } as unknown as RegistryReader;
  const limits = { ...DEFAULT_QUOTA_LIMITS, registryMebibytes: 1024, mebibytesPerUser: 1024 };
  const spender = { reader, payer: { accountId, networkId: "" }, nowMs: 100 * DAY_MS, kind };
  return () =>
    withinQuotas(limits, spender, () => {
      for (const name of [accountTotals.bytes(accountId), registryTotals.bytes]) {
        totals.set(name, (totals.get(name) ?? 0) + grown);
      }
    });
}

test("while a quarter of a shared quota is free, an account may take what its own quota has", () => {
  assert.doesNotThrow(scarce({ own: 500 * MIB_BYTES, free: 256 * MIB_BYTES }));
  assert.throws(scarce({ own: 500 * MIB_BYTES, free: 256 * MIB_BYTES - 1 }), REFUSED);
});

test("of a scarce quota an account may have a sixty-fourth of what is free, and is told how much that is", () => {
  assert.doesNotThrow(scarce({ own: 2 * MIB_BYTES, free: 128 * MIB_BYTES }));
  assert.throws(scarce({ own: 2 * MIB_BYTES + 1, free: 128 * MIB_BYTES }), {
    ...REFUSED,
    message: /registryMebibytes is nearly full; an account with more than 2048 KiB .* yours has 2048 KiB/,
  });
});

test("an account with 64 KiB may grow however little is free", () => {
  assert.doesNotThrow(scarce({ own: 64 * 1024, free: 1 }));
  assert.throws(scarce({ own: 64 * 1024 + 1, free: 1 }), REFUSED);
  // Nor is its part ever less than that.
  assert.doesNotThrow(scarce({ own: 64 * 1024, free: 2 * MIB_BYTES }));
  assert.throws(scarce({ own: 64 * 1024 + 1, free: 2 * MIB_BYTES }), REFUSED);
});

test("a scarce quota refuses neither what takes nothing more, nor a login, nor a network without an account", () => {
  const much = { own: 500 * MIB_BYTES, free: MIB_BYTES };
  assert.throws(scarce(much), REFUSED);
  assert.doesNotThrow(scarce({ ...much, grown: 0 }));
  assert.doesNotThrow(scarce({ ...much, grown: -5 }));
  assert.doesNotThrow(scarce({ ...much, kind: "login" }));
  let hasGrown = false;
  const reader = {
    total: (name: string) =>
      (name === registryTotals.bytes ? 700 : 500) * MIB_BYTES + (hasGrown ? MIB_BYTES : 0),
    claimById: () => undefined,
  } as unknown as RegistryReader;
  const limits = { ...DEFAULT_QUOTA_LIMITS, registryMebibytes: 1024 };
  const payer = { accountId: "", networkId: "n" };
  assert.doesNotThrow(() =>
    withinQuotas(limits, { reader, payer, nowMs: 0, kind: "growth" }, () => {
      hasGrown = true;
    }),
  );
});

test("a quota is exceeded by its first byte more, and says its size", () => {
  const limits = { ...DEFAULT_QUOTA_LIMITS, registryMebibytes: 8, mebibytesPerNetwork: 4 };
  const attempt = (networkBytes: number, registryBytes: number) => () => {
    let isOver = false;
    const reader = {
      total: (name: string) => {
        if (!isOver) return 0;
        if (name === networkTotals.bytes("n")) return networkBytes;
        return name === registryTotals.bytes ? registryBytes : 0;
      },
      claimById: () => undefined,
    } as unknown as RegistryReader;
    const payer = { accountId: "", networkId: "n" };
    withinQuotas(limits, { reader, payer, nowMs: 0, kind: "growth" }, () => {
      isOver = true;
    });
  };
  // Nobody's account is as a new one: three quarters.
  assert.doesNotThrow(attempt(3 * MIB_BYTES, 6 * MIB_BYTES));
  assert.throws(attempt(3 * MIB_BYTES + 1, 0), { ...REFUSED, message: /your network use 3 MiB/ });
  assert.throws(attempt(0, 6 * MIB_BYTES + 1), { ...REFUSED, message: /registry holds 6 MiB/ });
  limits.newUserDays = 0;
  assert.doesNotThrow(attempt(4 * MIB_BYTES, 8 * MIB_BYTES), "where no account is new");
});

test("an account is new until its days are over, and no account is where none is new", () => {
  const age = (createdAtMs: number, newUserDays: number) => () => {
    let bytes = 0;
    const reader = {
      total: (name: string) => (name === accountTotals.bytes("alice") ? bytes : 0),
      claimById: () => ({ value: { createdAtMs } }),
    } as unknown as RegistryReader;
    const limits = { ...DEFAULT_QUOTA_LIMITS, newUserDays };
    const payer = { accountId: "alice", networkId: "n" };
    withinQuotas(limits, { reader, payer, nowMs: 100 * DAY_MS, kind: "growth" }, () => {
      bytes = 65 * MIB_BYTES;
    });
  };
  assert.throws(age(93 * DAY_MS + 1, 7), { ...REFUSED, message: /64 MiB .* older than 7 days/ });
  assert.doesNotThrow(age(93 * DAY_MS, 7));
  assert.doesNotThrow(age(100 * DAY_MS, 0));
});
