// What clients announce is kept if the registry knows it and they are members, and no more of it than fits, whoever sends it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Presence, type PresenceOptions } from "../../../../src/tracker/presence/presence.ts";
import { DEFAULT_PRESENCE_BUDGET, refusalOf } from "../../../../src/tracker/presence/presence-budget.ts";
import type { PresenceMessage } from "../../../../src/tracker/presence/presence-messages.ts";
import type { PresentClient } from "../../../../src/tracker/presence/swarm-peers.ts";

const hash = (at: number) => at.toString(16).padStart(40, "0");
const list = (count: number, first = 0) =>
  Array.from({ length: count }, (_, at) => ({ infoHash: hash(first + at), isSeed: true }));
const device = (at: number) => at.toString(16).padStart(64, "0");

function scene(options: Partial<PresenceOptions> = {}) {
  const known = new Set<string>();
  const members = new Set<string>();
  const published: PresenceMessage[] = [];
  const told: string[] = [];
  const again: string[] = [];
  const promoted: string[] = [];
  const timers = new Set<() => void>();
  const presence = new Presence({
    publish: (messages) => published.push(...messages),
    groupOf: (infoHash) => (known.has(infoHash) ? "films" : undefined),
    isMember: (_group, accountId) => members.has(accountId),
    onPeerOnline: (infoHash, { accountId }) => told.push(`${Number.parseInt(infoHash, 16)} ${accountId}`),
    onPeerOffline: (infoHash, deviceId) =>
      told.push(`${Number.parseInt(infoHash, 16)} gone ${deviceId.at(-1)}`),
    onPromoted: (id, infoHash) => promoted.push(`${id} ${Number.parseInt(infoHash, 16)}`),
    onAnnounceAgain: (ids) => again.push(...ids),
    setTimer: (_delayMs, callback) => {
      timers.add(callback);
      return () => timers.delete(callback);
    },
    ...options,
  });
  const run = async (work: Promise<unknown> = Promise.resolve()): Promise<void> => {
    let isSettled = false;
    const settled = () => {
      isSettled = true;
    };
    work.then(settled, settled);
    do {
      await new Promise(setImmediate);
      for (const callback of [...timers]) if (timers.delete(callback)) callback();
    } while (!isSettled || timers.size > 0);
    await work;
  };
  const arrive = (id: string, account = id, deviceNumber = 1) =>
    presence.arrive(id, account, device(deviceNumber), "10.0.0.1");
  return { presence, known, members, published, told, again, promoted, run, arrive };
}

test("unknown torrents, thousands announced on each of 116 connections of one account, are not kept, at no tracker", async () => {
  const { presence, members, published, run, arrive, told } = scene();
  members.add("mallory");
  for (let connection = 0; connection < 116; connection++) {
    arrive(`c${connection}`, "mallory", connection);
    await run(presence.update(`c${connection}`, list(1_500, connection * 1_000), []));
  }
  assert.equal(presence.size.parts, 0);
  assert.ok(presence.size.waiting <= 2_000, `${presence.size.waiting} wait`);
  assert.equal(published.filter((message) => message.type === "client" && message.add.length > 0).length, 0);
  for (let connection = 0; connection < 116; connection++) presence.depart(`c${connection}`);
  await run();
  assert.equal(presence.size.waiting, 0);
  assert.deepEqual(told, []);
});

test("known torrents are bounded for a client, an account and in total; a refused client is told so, and keeps what fits", async () => {
  const budget = { perClient: 30, perAccount: 50, crowded: 70, perAccountWhenCrowded: 5, total: 80 };
  const { presence, known, members, run, arrive } = scene({ budget });
  for (const { infoHash } of list(100)) known.add(infoHash);
  for (const account of ["mallory", "alice", "bob", "carol"]) members.add(account);
  const refused = { code: "LIMIT_REACHED" };
  arrive("m1", "mallory", 1);
  await assert.rejects(run(presence.announce("m1", 1, list(100))), refused);
  assert.equal(presence.size.parts, 30);
  arrive("m2", "mallory", 2);
  await assert.rejects(run(presence.announce("m2", 1, list(25))), refused);
  assert.equal(presence.size.parts, 50);
  arrive("a1", "alice", 3);
  await run(presence.announce("a1", 1, list(20)));
  assert.equal(presence.size.parts, 70, "crowded from here on");
  await assert.rejects(run(presence.update("a1", list(1, 60), [])), refused);
  arrive("b1", "bob", 4);
  await run(presence.announce("b1", 1, list(5)));
  await assert.rejects(run(presence.update("b1", list(1, 60), [])), refused);
  arrive("c1", "carol", 5);
  await run(presence.announce("c1", 1, list(5)));
  assert.equal(presence.size.parts, 80);
  await assert.rejects(run(presence.update("c1", list(1, 60), [])), refused);
  presence.depart("m1");
  await run();
  await run(presence.update("a1", list(1, 60), []));
  assert.equal(presence.size.parts, 51, "what goes makes room");
});

test("announcements at another tracker are kept within the same bounds", async () => {
  const budget = { perClient: 30, total: 80, clientsPerTracker: 4 };
  const { presence, known, members, run } = scene({ budget });
  for (const { infoHash } of list(100)) known.add(infoHash);
  members.add("alice");
  const client = (id: number): PresenceMessage => ({
    ...{
      type: "client",
      connectionId: `t${id}`,
      accountId: "alice",
      deviceId: device(id),
      hosts: ["h"],
      port: 1,
    },
    ...{ isWhole: false, add: list(100), remove: [] },
  });
  presence.apply(
    "there",
    Array.from({ length: 10 }, (_, id) => client(id)),
    false,
  );
  await run();
  assert.equal(presence.size.parts, 80);
  assert.equal(presence.peersOf(hash(0)).length, 3);
  presence.apply("there", [{ ...client(1), add: list(5_000, 1_000) }], false);
  presence.apply("there", [{ ...client(2), add: list(5_000, 6_000) }], false);
  await run();
  assert.ok(presence.size.waiting <= 2_000, `${presence.size.waiting} wait`);
});

test("a torrent that is known only later is taken part in from then on, here and at the other trackers", async () => {
  const { presence, known, members, published, told, promoted, run, arrive } = scene();
  members.add("alice");
  arrive("c1", "alice");
  await run(presence.announce("c1", 7001, list(3)));
  assert.deepEqual([presence.hasAnnounced("c1", hash(1)), told], [false, []]);
  published.length = 0;
  known.add(hash(1));
  presence.torrentKnown(hash(1));
  await run();
  assert.deepEqual([presence.hasAnnounced("c1", hash(1)), told], [true, ["1 alice"]]);
  assert.deepEqual(promoted, ["c1 1"]);
  assert.deepEqual(
    published.flatMap((message) => (message.type === "client" ? message.add : [])),
    [{ infoHash: hash(1), isSeed: true }],
  );
  await run(presence.update("c1", [], [hash(0), hash(2)]));
  assert.equal(presence.size.waiting, 0);
});

test("a new member's earlier announcements take effect; a former member's do not, until they are let in again", async () => {
  const { presence, known, members, told, run, arrive } = scene();
  for (const { infoHash } of list(2)) known.add(infoHash);
  arrive("c1", "alice");
  await run(presence.announce("c1", 7001, list(2)));
  assert.equal(presence.size.parts, 0);
  members.add("alice");
  presence.membershipChanged("alice");
  await run();
  assert.deepEqual(told.splice(0), ["0 alice", "1 alice"]);
  members.delete("alice");
  presence.membershipEnded("films", "alice");
  await run();
  assert.equal(presence.size.parts, 0);
  assert.deepEqual(told.splice(0), ["0 gone 1", "1 gone 1"]);
  members.add("alice");
  presence.membershipChanged("alice");
  await run();
  assert.deepEqual(told.splice(0), ["0 alice", "1 alice"]);
});

test("a client that announced more than may be pending is asked to announce again once more is known", async () => {
  const { presence, known, members, again, run, arrive } = scene({ budget: { waitingPerClient: 10 } });
  members.add("alice");
  arrive("c1", "alice");
  arrive("c2", "alice", 2);
  await run(presence.announce("c1", 7001, list(20)));
  await run(presence.announce("c2", 7001, list(10)));
  known.add(hash(15));
  presence.torrentKnown(hash(15));
  await run();
  assert.deepEqual(again, ["c1"]);
});

test("thousands of clients that another tracker brings, or takes with it, do not hold up the event loop", async () => {
  let stepsOfTurn = 0;
  let most = 0;
  const timers: (() => void)[] = [];
  const count = () => {
    most = Math.max(most, ++stepsOfTurn);
    return 0;
  };
  const presence = new Presence({
    publish: () => {},
    groupOf: () => "films",
    isMember: () => true,
    onPeerOnline: count,
    onPeerOffline: count,
    setTimer: (_delayMs, callback) => {
      timers.push(callback);
      return () => {};
    },
  });
  const turns = () => {
    while (timers.length > 0) {
      stepsOfTurn = 0;
      timers.shift()?.();
    }
  };
  for (let id = 0; id < 300; id++) {
    stepsOfTurn = 0;
    const client: PresenceMessage = {
      ...{
        type: "client",
        connectionId: `c${id}`,
        accountId: "a",
        deviceId: device(id),
        hosts: ["h"],
        port: 1,
      },
      ...{ isWhole: false, add: list(100, (id % 7) * 50), remove: [] },
    };
    presence.apply("there", [client], false);
    if (id % 20 === 0) turns();
  }
  turns();
  assert.equal(presence.size.parts, 30_000);
  presence.linkLost("there");
  turns();
  assert.equal(presence.size.parts, 0);
  assert.ok(most <= 1_000, `${most} changes in one turn`);
});

test("how much a client, an account and all together may announce, and what is said beyond it", () => {
  const refusal = (
    facts: { parts?: number; ofAccount?: number; total?: number; isLocal?: boolean },
    budget = DEFAULT_PRESENCE_BUDGET,
  ) => {
    const { parts = 0, ofAccount = parts, total = ofAccount, isLocal = true } = facts;
    const client = { partCount: parts, isLocal } as PresentClient;
    return refusalOf(budget, client, { clients: new Set(), localParts: ofAccount, waiting: 0 }, total);
  };
  const { clientsPerTracker, waitingPerClient, waitingPerAccount, waitingTotal } = DEFAULT_PRESENCE_BUDGET;
  assert.deepEqual(
    [clientsPerTracker, waitingPerClient, waitingPerAccount, waitingTotal],
    [20_000, 1_000, 2_000, 50_000],
  );
  assert.equal(refusal({ parts: 99_999 }), undefined);
  assert.match(refusal({ parts: 100_000 }) ?? "", /client .* 100000 torrents/);
  assert.equal(refusal({ ofAccount: 199_999 }), undefined);
  assert.match(refusal({ ofAccount: 200_000 }) ?? "", /clients of an account .* 200000/);
  assert.equal(refusal({ total: 1_999_999 }), undefined);
  assert.match(refusal({ total: 2_000_000 }) ?? "", /limit of 2000000/);
  assert.equal(refusal({ ofAccount: 1_000, total: 999_999 }), undefined);
  assert.equal(refusal({ ofAccount: 999, total: 1_000_000 }), undefined);
  assert.match(refusal({ ofAccount: 1_000, total: 1_000_000 }) ?? "", /crowded.* 1000 torrents/);
  assert.equal(
    refusal({ ofAccount: 200_000, total: 1_000_000, isLocal: false }),
    undefined,
    "of another tracker",
  );
});

test("a bounded number of another tracker's clients is believed, and one that goes makes room", async () => {
  const { presence, run } = scene({ budget: { clientsPerTracker: 2 } });
  const client = (id: number): PresenceMessage => ({
    ...{ type: "client", connectionId: `t${id}`, accountId: `account ${id}`, deviceId: device(id) },
    ...{ hosts: ["h"], port: 1, isWhole: false, add: [], remove: [] },
  });
  const online = () => [1, 2, 3].filter((id) => presence.isOnline(`account ${id}`));
  presence.apply("there", [1, 2, 3].map(client), false);
  await run();
  assert.deepEqual(online(), [1, 2]);
  presence.apply("there", [{ type: "gone", connectionId: "t1" }, client(3)], false);
  await run();
  assert.deepEqual(online(), [2, 3]);
});
