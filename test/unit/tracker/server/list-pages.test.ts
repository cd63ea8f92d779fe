import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import type { KeyPage } from "../../../../src/tracker/registry/registry.ts";
import { recordKey } from "../../../../src/tracker/registry/registry.ts";
import { listFiles } from "../../../../src/tracker/rules/catalogue.ts";
import { requireGroup } from "../../../../src/tracker/rules/membership-rows.ts";
import { CallTurns } from "../../../../src/tracker/server/call-turns.ts";
import { readPage } from "../../../../src/tracker/server/list-pages.ts";
import { type RouterContext, readPageOf } from "../../../../src/tracker/server/procedures.ts";
import { holderId, town } from "../fixture.ts";

/** A list of numbers of which each costs that much time to read, and turns of which somebody else could have some. */
function stage(costMs: number) {
  let nowMs = 0;
  const due: (() => void)[] = [];
  const turns = new CallTurns({ nowMs: () => nowMs, nextTurn: (run) => due.push(run) });
  const readUpTo =
    (last: number) =>
    ({ after, limit }: KeyPage) => {
      nowMs += limit * costMs;
      const first = after === undefined ? 0 : Number(after) + 1;
      const items = Array.from({ length: Math.min(limit, last - first) }, (_, index) => first + index);
      return { items, ...(first + limit < last ? { next: String(items.at(-1)) } : {}) };
    };
  const connections = new Set<string>();
  /** As it is called: it begins when it is its caller's turn. */
  const read = async (caller: string, last: number, after?: string) => {
    await turns.take(caller);
    connections.add(caller);
    const connection = { id: caller, account: { accountId: caller }, host: "10.0.0.1" };
    const byId = (id: string) => (connections.has(id) ? connection : undefined);
    const context = { connection, tracker: { turns, connections: { byId } } } as unknown as RouterContext;
    return await readPageOf(context, after, readUpTo(last));
  };
  const readAll = async (caller: string, last: number) => {
    let page = await read(caller, last);
    while (page.next !== undefined) page = await read(caller, last, page.next);
  };
  /** What was due before it began, as one turn of the event loop; returns how long it took. */
  const turn = async () => {
    const startedMs = nowMs;
    for (const run of due.splice(0)) {
      run();
      await new Promise((resolve) => setImmediate(resolve));
    }
    return nowMs - startedMs;
  };
  return { read, readAll, turn, connections };
}

test("pages follow each other without a gap, each of a bounded length", async () => {
  const { read, turn } = stage(0);
  const all: number[] = [];
  let after: string | undefined;
  do {
    let isThere = false;
    const asked = read("alice", 2_500, after).finally(() => {
      isThere = true;
    });
    while (!isThere) await turn();
    const page = await asked;
    assert.ok(page.items.length <= 1_000);
    all.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  assert.deepEqual(
    all,
    Array.from({ length: 2_500 }, (_, index) => index),
  );
});

test("however many lists somebody asks for, a turn reads a few milliseconds of them, and others' lists do not wait for them", async () => {
  const { readAll, turn } = stage(0.04);
  const over: string[] = [];
  const pages: Promise<unknown>[] = [];
  for (let list = 0; list < 200; list++)
    pages.push(readAll("mallory", 1_000_000).then(() => over.push("mallory")));
  for (let turns = 0; turns < 10; turns++) await turn();
  pages.push(readAll("alice", 200).then(() => over.push("alice")));
  let longestMs = 0;
  for (let turns = 0; turns < 12; turns++) longestMs = Math.max(longestMs, await turn());
  assert.ok(longestMs > 0 && longestMs <= 8, `${longestMs} ms in one turn`);
  // Four slices of hers, between as many of those that came before.
  assert.deepEqual(over, ["alice"]);
});

test("while others wait for their turn, a page ends with its slice, and nothing read waits with it", async () => {
  const { read, turn } = stage(0.04);
  const pages = ["alice", "bob", "carol"].map((caller) => read(caller, 1_000_000));
  for (let turns = 0; turns < 2; turns++) await turn();
  const lengths: number[] = [];
  for (const page of pages.slice(0, 2)) lengths.push((await page).items.length);
  assert.deepEqual(lengths, [50, 50]);
});

test("a page ends when its reader is gone", async () => {
  const { read, turn, connections } = stage(0);
  const page = read("alice", 1_000_000);
  await turn();
  connections.delete("alice");
  await turn();
  assert.equal((await page).items.length, 50);
});

test("a failure in the middle of a page fails the page", async () => {
  const slices = [{ items: [1], next: "1" }];
  const failing = readPage(
    async () => true,
    undefined,
    () => slices.shift() ?? assert.fail("not a member any more"),
  );
  await assert.rejects(failing, /not a member any more/);
});

test("a group of thousands of files, most of them over, is listed in short turns, and each page looks at so many", async (t) => {
  const place = town(t);
  const alice = await place.user("alice");
  await place.group("films", alice);
  const { claimId } = requireGroup(place.registry, "films");
  const COUNT = 5_000;
  await place.write((writer) => {
    const [member] = writer.list("membership", recordKey(claimId, ""));
    for (let index = 0; index < COUNT; index++) {
      const hash = index.toString(16).padStart(40, "0");
      const value = { infoHash: hash, sha1: hash, lengthBytes: index, sharedByAccountId: alice.accountId };
      const name = `file-${index.toString().padStart(6, "0")}`;
      const fileId = writer.makeClaim("file", recordKey(claimId, name), value);
      const membershipId = index % 10 === 0 ? member?.value.membershipId : "over";
      writer.put("share", recordKey(fileId, alice.accountId, holderId), { sinceMs: 0, membershipId });
    }
  }, randomUUID());
  const claims = t.mock.method(place.registry, "claims");
  const nextTurn = () => new Promise<true>((resolve) => setImmediate(() => resolve(true)));
  const nobody = () => ({ seeders: 0, peers: 0, seederAccounts: [] });
  let turns = 0;
  let isOver = false;
  const countTurn = () => {
    turns++;
    if (!isOver) setImmediate(countTurn);
  };
  setImmediate(countTurn);
  const names: string[] = [];
  let after: string | undefined;
  do {
    claims.mock.resetCalls();
    const page = await readPage(nextTurn, after, (slice) =>
      listFiles(place.registry, alice.accountId, "films", nobody, slice),
    );
    const looked = claims.mock.calls.reduce((sum, { result }) => sum + (result?.length ?? 0), 0);
    assert.ok(looked <= 1_000, `${looked} files looked at for a page`);
    names.push(...page.items.map(({ fileName }) => fileName));
    after = page.next;
  } while (after !== undefined);
  isOver = true;
  assert.equal(names.length, COUNT / 10);
  assert.deepEqual(names, names.toSorted());
  // Some 30 ms of work on any machine; a turn of one reader goes on for 5.
  assert.ok(turns >= 5, `${turns} turns of the event loop`);
});
