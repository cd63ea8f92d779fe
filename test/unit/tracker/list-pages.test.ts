import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { listFiles } from "../../../src/tracker/catalogue.ts";
import { ListPages, PAGE_ENTRIES } from "../../../src/tracker/list-pages.ts";
import { requireGroup } from "../../../src/tracker/memberships.ts";
import type { KeyPage } from "../../../src/tracker/registry/registry.ts";
import { recordKey } from "../../../src/tracker/registry/registry.ts";
import { town } from "./fixture.ts";

/** A list of numbers of which each costs that much time to read. */
function stage(costMs: number) {
  let nowMs = 0;
  const turns: (() => void)[] = [];
  const pages = new ListPages(
    () => nowMs,
    (callback) => turns.push(callback),
  );
  const readUpTo =
    (last: number) =>
    ({ after, limit }: KeyPage) => {
      nowMs += limit * costMs;
      const first = after === undefined ? 0 : Number(after) + 1;
      const items = Array.from({ length: Math.min(limit, last - first) }, (_, index) => first + index);
      return { items, ...(first + limit < last ? { next: String(items.at(-1)) } : {}) };
    };
  /** One turn of the event loop; returns how long it took. */
  const turn = async () => {
    const startedMs = nowMs;
    turns.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
    return nowMs - startedMs;
  };
  return { pages, readUpTo, turn };
}

test("pages follow each other without a gap, each of a bounded length", async () => {
  const { pages, readUpTo, turn } = stage(0);
  const all: number[] = [];
  let after: string | undefined;
  do {
    let isThere = false;
    const asked = pages.read("alice", after, readUpTo(2_500)).finally(() => {
      isThere = true;
    });
    while (!isThere) await turn();
    const page = await asked;
    assert.ok(page.items.length <= PAGE_ENTRIES);
    all.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  assert.deepEqual(
    all,
    Array.from({ length: 2_500 }, (_, index) => index),
  );
});

test("however many lists are asked for at once, a turn reads no more than a few milliseconds of them, of each in turn", async () => {
  const { pages, readUpTo, turn } = stage(0.04);
  const over: number[] = [];
  for (let index = 0; index < 100; index++) {
    void pages.read("alice", undefined, readUpTo(index === 99 ? 10 : 1_000_000)).then(() => over.push(index));
  }
  let longestMs = 0;
  for (let turns = 0; turns < 150; turns++) longestMs = Math.max(longestMs, await turn());
  assert.ok(longestMs > 0 && longestMs <= 8, `${longestMs} ms in one turn`);
  assert.deepEqual(over, [99], "a short one does not wait for the long ones");
});

test("a caller with a hundred long lists gets as many slices as one with a single list", async () => {
  const { pages, readUpTo, turn } = stage(0.04);
  const slices = { flooder: 0, member: 0 };
  const counted = (who: keyof typeof slices) => (slice: KeyPage) => {
    slices[who]++;
    return readUpTo(1_000_000)(slice);
  };
  for (let list = 0; list < 100; list++) void pages.read("flooder", undefined, counted("flooder"));
  let isThere = false;
  void pages.read("member", undefined, counted("member")).then(() => {
    isThere = true;
  });
  for (let turns = 0; !isThere && turns < 1_000; turns++) await turn();
  assert.ok(isThere);
  assert.ok(slices.flooder <= 2 * slices.member, JSON.stringify(slices));
});

test("what fails for one is that one's, and the next is read", async () => {
  const { pages, readUpTo, turn } = stage(0);
  const failed = pages.read("alice", undefined, () => {
    throw new Error("not a member any more");
  });
  const other = pages.read("alice", undefined, readUpTo(3));
  const outcome = failed.then(
    () => "read",
    (error: unknown) => String(error),
  );
  await turn();
  assert.equal(await outcome, "Error: not a member any more");
  assert.deepEqual((await other).items, [0, 1, 2]);
});

test("a group of thousands of files, most of them over, is listed in short turns, and each page looks at so many", async (t) => {
  const place = town(t);
  const alice = await place.user("alice");
  await place.group("films", alice);
  const { claimId } = requireGroup(place.registry, "films");
  const COUNT = 5_000;
  await place.write((writer) => {
    const [member] = writer.list<{ membershipId: string }>("membership", recordKey(claimId, ""));
    for (let index = 0; index < COUNT; index++) {
      const hash = index.toString(16).padStart(40, "0");
      const value = { infoHash: hash, sha1: hash, lengthBytes: index, sharedByAccountId: alice.accountId };
      const name = `file-${index.toString().padStart(6, "0")}`;
      const fileId = writer.makeClaim("file", recordKey(claimId, name), value);
      const membershipId = index % 10 === 0 ? member?.value.membershipId : "over";
      writer.put("share", recordKey(fileId, alice.accountId), { sinceMs: 0, membershipId });
    }
  }, randomUUID());
  const pages = new ListPages();
  const claims = t.mock.method(place.registry, "claims");
  const nobody = () => ({ seeders: 0, peers: 0 });
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
    const page = await pages.read("alice", after, (slice) =>
      listFiles(place.registry, alice.accountId, "films", nobody, slice),
    );
    const looked = claims.mock.calls.reduce((sum, { result }) => sum + (result?.length ?? 0), 0);
    assert.ok(looked <= PAGE_ENTRIES, `${looked} files looked at for a page`);
    names.push(...page.items.map(({ fileName }) => fileName));
    after = page.next;
  } while (after !== undefined);
  isOver = true;
  assert.equal(names.length, COUNT / 10);
  assert.deepEqual(names, names.toSorted());
  // Some 30 ms of work on any machine; a turn of one reader goes on for 5.
  assert.ok(turns >= 5, `${turns} turns of the event loop`);
});
