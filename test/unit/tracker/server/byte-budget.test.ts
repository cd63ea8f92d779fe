import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  ByteBudget,
  type ByteBudgetLimits,
  type Holding,
} from "../../../../src/tracker/server/byte-budget.ts";
import { LargestFirst } from "../../../../src/tracker/server/largest-first.ts";

const LIMITS: ByteBudgetLimits = {
  stranger: { connection: 10, network: 30, total: 50 },
  member: { connection: 100, account: 200, network: 300, total: 400 },
};

function budgetWithLog(): { budget: ByteBudget<string>; gone: string[] } {
  const gone: string[] = [];
  return { budget: new ByteBudget<string>({ limits: LIMITS, evict: (holder) => gone.push(holder) }), gone };
}

function stranger(bytes: number, network = "n"): Holding {
  return { network, accountId: undefined, bytes };
}

function member(bytes: number, accountId = "a", network = "n"): Holding {
  return { network, accountId, bytes };
}

test("a connection has its own bound, a lower one before login", () => {
  const { budget, gone } = budgetWithLog();
  budget.hold("one", stranger(10));
  budget.hold("two", stranger(11));
  budget.hold("three", member(100));
  budget.hold("four", member(101));
  assert.deepEqual(gone, ["two", "four"]);
  assert.equal(budget.bytes, 110);
});

test("past the bound of an account, a network or the total, the client that holds most goes", () => {
  const { budget, gone } = budgetWithLog();
  for (const [name, bytes] of Object.entries({ a: 60, b: 80, c: 70 })) budget.hold(name, member(bytes));
  assert.deepEqual(gone, ["b"]);
  budget.hold("d", member(90, "other"));
  budget.hold("e", member(90, "third"));
  assert.deepEqual(gone, ["b", "a"].slice(0, 1).concat(gone.slice(1)));
  assert.equal(gone.length, 2);
});

test("an owner with many small connections is evicted before one with a single larger connection", () => {
  const { budget, gone } = budgetWithLog();
  budget.hold("alone", member(90, "alone", "x"));
  for (let connection = 0; connection < 20; connection++) {
    budget.hold(`many ${connection}`, member(20, `many ${connection % 2}`, `net ${connection % 2}`));
  }
  assert.ok(gone.length > 0);
  assert.ok(!gone.includes("alone"), gone.join());
});

test("held bytes are replaced, move to the account at login, and are given back", () => {
  const { budget, gone } = budgetWithLog();
  budget.hold("one", stranger(9));
  budget.hold("one", member(90));
  assert.equal(budget.bytes, 90);
  for (const name of ["two", "three", "four"]) budget.hold(name, stranger(10));
  assert.deepEqual(gone, []);
  budget.release("one");
  budget.hold("two", stranger(0));
  budget.release("three");
  budget.release("four");
  budget.release("nobody");
  assert.deepEqual([budget.bytes, budget.placeCount], [0, 0]);
});

test("whatever is held, no bound is passed, and no holder is evicted while none is", () => {
  const holding = fc.record({
    holder: fc.constantFrom(..."abcdefghijkl"),
    network: fc.constantFrom("n", "m", "o"),
    accountId: fc.constantFrom(undefined, "a", "b", "c"),
    bytes: fc.nat(120),
  });
  fc.assert(
    fc.property(fc.array(holding, { maxLength: 60 }), (says) => {
      const held = new Map<string, Holding>();
      const budget = new ByteBudget<string>({ limits: LIMITS, evict: (holder) => held.delete(holder) });
      const sum = (of: (one: Holding) => boolean): number =>
        [...held.values()].filter(of).reduce((bytes, one) => bytes + one.bytes, 0);
      for (const { holder, ...one } of says) {
        held.set(holder, one);
        budget.hold(holder, one);
        for (const { network, accountId, bytes } of held.values()) {
          const limits = accountId === undefined ? LIMITS.stranger : LIMITS.member;
          const isAlike = (other: Holding) => (other.accountId === undefined) === (accountId === undefined);
          assert.ok(bytes <= limits.connection);
          assert.ok(sum((other) => isAlike(other) && other.network === network) <= limits.network);
          assert.ok(sum(isAlike) <= limits.total);
          if (accountId !== undefined)
            assert.ok(sum((other) => other.accountId === accountId) <= LIMITS.member.account);
        }
        assert.equal(
          budget.bytes,
          sum(() => true),
        );
      }
    }),
  );
});

test("the client that a bound closes is found at once, however many hold something", () => {
  const holders = 20_000;
  const limits = { connection: 10 ** 9, network: 10 ** 9, total: 10 * 20_000 };
  let gone = 0;
  const budget = new ByteBudget<number>({
    limits: { stranger: limits, member: { ...limits, account: 10 ** 9 } },
    evict: () => gone++,
  });
  const hold = (at: number) => budget.hold(at, member(10, `account ${at % 1_000}`, `net ${at % 5_000}`));
  for (let at = 0; at < holders; at++) hold(at);
  // Each further one closes one: looking through all of them would take a minute.
  const startedMs = performance.now();
  for (let at = 0; at < holders; at++) hold(holders + at);
  assert.equal(gone, holders);
  assert.ok(performance.now() - startedMs < 10_000, `${performance.now() - startedMs} ms`);
});

test("the largest is always the one, whatever sizes change", () => {
  const change = fc.tuple(fc.nat(9), fc.nat(20));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 100 }), (changes) => {
      const sizes = new Map<number, number>();
      const set = new LargestFirst<number>();
      for (const [key, size] of changes) {
        set.set(key, size);
        if (size === 0) sizes.delete(key);
        else sizes.set(key, size);
        assert.equal(set.isEmpty, sizes.size === 0);
        assert.equal(set.sizeOf(key), size);
        const most = Math.max(0, ...sizes.values());
        assert.equal(set.largest === undefined ? 0 : sizes.get(set.largest), most);
      }
    }),
  );
});

test("where one is not enough, as many go as the bound needs, of the account that holds most", () => {
  const { budget, gone } = budgetWithLog();
  for (let at = 0; at < 10; at++) budget.hold(`many ${at}`, member(20, "many", "n"));
  budget.hold("b", member(100, "b", "m"));
  budget.hold("c", member(90, "c", "o"));
  assert.equal(gone.length, 0);
  budget.hold("d", member(60, "d", "p"));
  assert.equal(gone.length, 3);
  assert.ok(
    gone.every((holder) => holder.startsWith("many")),
    gone.join(),
  );
});

test("clients with a session are weighed by account, clients without one by network", () => {
  const { budget, gone } = budgetWithLog();
  for (const account of ["a", "b", "c"]) budget.hold(account, member(95, account, "n"));
  budget.hold("m1", member(70, "m", "m"));
  budget.hold("m2", member(60, "m", "o"));
  assert.deepEqual(gone, ["m1"]);
  const strangers = budgetWithLog();
  for (const network of ["x", "y", "z"]) {
    for (const at of [1, 2]) strangers.budget.hold(`${network}${at}`, stranger(9, network));
  }
  assert.equal(strangers.gone.length, 1);
  assert.ok(strangers.budget.bytes <= 50);
});
