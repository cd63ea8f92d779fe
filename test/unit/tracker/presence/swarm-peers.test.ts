// A torrent's peers with random access: the lists agree with what was put in and taken out, and a sample is one.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Part, type PresentClient, SwarmPeers } from "../../../../src/tracker/presence/swarm-peers.ts";

function client(at: number, isLocal = true): PresentClient {
  return {
    ...{ isLocal, connectionId: `c${at}`, accountId: "a", deviceId: `d${at}`, hosts: ["h"], port: 1 },
    ...{ groups: new Map(), partCount: 0, waiting: new Map(), isGone: false, connectionNumber: at },
  };
}

function swarmOf(seeds: number, leechers: number): SwarmPeers {
  const swarm = new SwarmPeers("f".repeat(40), "films");
  for (let at = 0; at < seeds + leechers; at++) swarm.list(swarm.add(client(at), at < seeds), undefined);
  return swarm;
}

const seedsOf = (parts: readonly Part[]) => parts.filter(({ isSeed }) => isSeed).length;

test("whatever comes and goes, the lists contain exactly the present devices", () => {
  const operation = fc.record({ at: fc.nat(20), what: fc.constantFrom("seed", "leecher", "gone") });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
      const swarm = new SwarmPeers("f".repeat(40), "films");
      const clients = Array.from({ length: 21 }, (_, at) => client(at, at % 2 === 0));
      const model = new Map<number, boolean>();
      for (const { at, what } of operations) {
        const one = clients[at] ?? assert.fail();
        const part = swarm.partOf(one);
        assert.equal(part?.isSeed, model.get(at));
        if (what === "gone") {
          if (part !== undefined) swarm.remove(part);
          model.delete(at);
        } else {
          if (part === undefined) swarm.list(swarm.add(one, what === "seed"), undefined);
          else swarm.setSeed(part, what === "seed");
          model.set(at, what === "seed");
        }
        const ids = (parts: readonly Part[]) =>
          parts.map((one) => `${one.client.connectionNumber} ${one.isSeed}`).sort();
        const expected = [...model].map(([id, isSeed]) => `${id} ${isSeed}`).sort();
        assert.deepEqual(ids(swarm.sample(100, false, Math.random)), expected);
        const local = [...model].filter(([id]) => id % 2 === 0).map(([id, isSeed]) => `${id} ${isSeed}`);
        assert.deepEqual(ids(swarm.listeners(100, false, Math.random)), local.sort());
        assert.equal(swarm.isEmpty, model.size === 0);
      }
    }),
  );
});

test("the accounts of seeds are each named once, some of them if there are many", () => {
  const swarm = new SwarmPeers("f".repeat(40), "films");
  const add = (at: number, accountId: string, isSeed: boolean) =>
    swarm.list(swarm.add({ ...client(at), accountId }, isSeed), undefined);
  add(0, "alice", true);
  add(1, "alice", true);
  add(2, "bob", false);
  assert.deepEqual(swarm.seedAccounts(8), ["alice"]);
  for (let at = 3; at < 1_000; at++) add(at, `other ${at}`, true);
  assert.equal(swarm.seedAccounts(8).length, 8);
});

test("in a large swarm a leecher gets half seeds, all of them if they are few; a seed gets leechers", () => {
  const cases = [
    { seeds: 1, leechers: 9_999, expected: 1 },
    { seeds: 9_999, leechers: 1, expected: 99 },
    { seeds: 5_000, leechers: 5_000, expected: 50 },
    { seeds: 30, leechers: 71, expected: 30 },
  ];
  for (const { seeds, leechers, expected } of cases) {
    const sample = swarmOf(seeds, leechers).sample(100, false, Math.random);
    assert.deepEqual([sample.length, new Set(sample).size, seedsOf(sample)], [100, 100, expected]);
  }
  const forSeed = swarmOf(5_000, 5_000).sample(100, true, Math.random);
  assert.deepEqual([forSeed.length, seedsOf(forSeed)], [100, 2], "so that it knows that it is not alone");
  assert.equal(seedsOf(swarmOf(60, 40).sample(100, true, Math.random)), 60, "of a small swarm all are named");
});

test("seeds of a large swarm are not told of seeds; of a leecher both kinds are told", () => {
  const swarm = swarmOf(500, 500);
  assert.equal(seedsOf(swarm.listeners(50, true, Math.random)), 0);
  assert.equal(seedsOf(swarm.listeners(50, false, Math.random)), 25);
  assert.equal(swarmOf(100, 0).listeners(50, true, Math.random).length, 0);
});

test("everybody in a large swarm is as likely to be named, and a sample takes as many draws as it has peers", () => {
  const swarm = swarmOf(0, 1_000);
  const named = new Map<string, number>();
  let draws = 0;
  const random = () => {
    draws++;
    return Math.random();
  };
  const ROUNDS = 2_000;
  for (let round = 0; round < ROUNDS; round++) {
    for (const { client } of swarm.sample(100, true, random)) {
      named.set(client.deviceId, (named.get(client.deviceId) ?? 0) + 1);
    }
  }
  assert.equal(draws, ROUNDS * 100);
  // Each 200 times on average, with a standard deviation of 13.4: seven of these.
  assert.equal(named.size, 1_000);
  for (const times of named.values()) assert.ok(Math.abs(times - 200) < 94, `${times} times`);
});

test("a sample has the parts that the draws say, and a part is removed once", () => {
  const swarm = swarmOf(0, 1_000);
  const numbers = (random: () => number) =>
    swarm
      .sample(100, false, random)
      .map(({ client }) => client.connectionNumber)
      .toSorted((one, other) => one - other);
  const last = Array.from({ length: 100 }, (_, at) => 900 + at);
  assert.deepEqual(
    numbers(() => 0.999_999),
    last,
  );
  assert.deepEqual(
    numbers(() => 0),
    [0, ...last.slice(1)],
    "who is drawn already is replaced by the last one",
  );
  const one = client(0);
  const small = new SwarmPeers("f".repeat(40), "films");
  const part = small.add(one, true);
  small.add(client(1), true);
  small.remove(part);
  small.remove(part);
  assert.deepEqual([small.isEmpty, small.localCount, one.partCount], [false, 1, 0]);
});
