// Claims that are in doubt, since their tracker died before anybody is known to have been told: when they yield, when they are
// in doubt no more, and that this outlives a restart. And which claims a merge ends, in which order.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { RegistryRecord } from "../../../../src/tracker/registry/registry.ts";
import { SqliteRegistry } from "../../../../src/tracker/registry/sqlite-registry.ts";
import { testStamp, write } from "./compliance.ts";

const NOW_MS = 1_800_000_000_000;

function temporaryPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "doubt-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return join(folder, "registry.db");
}

function open(t: TestContext, path = ":memory:", tick = 100): SqliteRegistry {
  const registry = SqliteRegistry.open({ path, nowMs: () => NOW_MS + tick });
  t.after(() => registry.close());
  return registry;
}

/** A live claim on alice, made that many milliseconds after the beginning of the tests' time. */
function claim(tick: number, origin = "p", seq = 1, key = "alice"): RegistryRecord & { claimId: string } {
  const claimId = testStamp(tick, origin);
  return { kind: "user", key, claimId, value: origin, stamp: claimId, origin, seq, writeId: `at ${claimId}` };
}

async function claimAlice(registry: SqliteRegistry): Promise<string> {
  const [record] = await write(registry, (writer) => void writer.makeClaim("user", "alice", "own"));
  return record?.claimId ?? "";
}

test("a claim is in doubt as its sender says, also after a restart, until somebody knows it without a doubt", async (t) => {
  const path = temporaryPath(t);
  const first = open(t, path);
  const [one, other] = [claim(1), claim(2, "q", 1, "bob")];
  await first.merge([one, other], {}, {}, [one.claimId]);
  assert.deepEqual([first.isDoubtful(one.claimId), first.isDoubtful(other.claimId)], [true, false]);
  await first.merge([one], {}, {}, [one.claimId]);
  assert.deepEqual(first.doubtfulClaims, [one.claimId], "whoever doubts it too proves nothing");
  await first.merge([other], {}, {}, [other.claimId]);
  assert.deepEqual(first.doubtfulClaims, [one.claimId], "what is known here without a doubt is not in doubt");
  first.close();
  const second = open(t, path);
  assert.deepEqual(second.doubtfulClaims, [one.claimId]);
  await second.merge([one]);
  assert.deepEqual(second.doubtfulClaims, []);
  second.close();
  assert.deepEqual(open(t, path).doubtfulClaims, [], "for good");
});

test("a claim that was confirmed is in doubt no more, also not after a restart", async (t) => {
  const path = temporaryPath(t);
  const first = open(t, path);
  const claimId = await claimAlice(first);
  assert.deepEqual(first.doubtfulClaims, [], "its maker lives");
  first.close();
  const second = open(t, path);
  assert.deepEqual(second.doubtfulClaims, [claimId]);
  await second.confirm([claimId]);
  assert.deepEqual(second.doubtfulClaims, []);
  second.close();
  assert.deepEqual(open(t, path).doubtfulClaims, []);
});

test("what a replica has, and does not doubt, is settled; what it lacks or doubts is not", async (t) => {
  const registry = open(t);
  const claims = [claim(1, "p", 3), claim(2, "q", 3, "bob"), claim(3, "r", 3, "carol")];
  const ids = claims.map(({ claimId }) => claimId);
  await registry.merge(claims, {}, {}, ids);
  const gone = testStamp(50, "nobody");
  await registry.settle({ p: 2, r: 9 }, [ids[2] ?? ""]);
  assert.deepEqual(registry.doubtfulClaims, ids, "of p it lacks the row, of q all, and that of r it doubts");
  await registry.settle({ p: 3 }, ids.slice(1));
  assert.deepEqual(registry.doubtfulClaims, ids.slice(1));
  await registry.settle({ q: 4, r: 4 }, [gone]);
  assert.deepEqual(registry.doubtfulClaims, []);
});

test("a claim in doubt yields to one that was made here, though it is the earlier, and to no other", async (t) => {
  const registry = open(t);
  const own = await claimAlice(registry);
  const doubted = claim(1);
  const { endings, lostClaims } = await registry.merge([doubted], {}, {}, [doubted.claimId]);
  assert.deepEqual(
    endings.map(({ claimId, value }) => [claimId, value]),
    [[doubted.claimId, undefined]],
  );
  assert.deepEqual([lostClaims, registry.claim("user", "alice")?.claimId], [[], own]);

  const third = open(t);
  const foreign = claim(5, "q");
  await third.merge([foreign]);
  const met = await third.merge([doubted], {}, {}, [doubted.claimId]);
  assert.deepEqual(met.endings, [], "who made the other one says so");
  assert.equal(third.claim("user", "alice")?.claimId, doubted.claimId);
});

test("when two claims are in doubt, the earlier stands, also at the tracker that made the later", async (t) => {
  const path = temporaryPath(t);
  const before = open(t, path);
  const own = await claimAlice(before);
  before.close();
  const registry = open(t, path);
  const doubted = claim(200, "q");
  assert.deepEqual((await registry.merge([doubted], {}, {}, [doubted.claimId])).endings, []);
  assert.equal(registry.claim("user", "alice")?.claimId, own);
});

test("a claim that lost and was ended for it is told as lost where it stood, whichever is heard of first", async (t) => {
  const [late, third] = [open(t), open(t)];
  const own = await claimAlice(late);
  await third.merge(late.since({}, 9));
  const { endings } = await late.merge([claim(1)]);
  assert.equal(endings.length, 1);
  const { lostClaims } = await third.merge([...endings, claim(1)]);
  assert.deepEqual(
    lostClaims.map(({ claimId }) => claimId),
    [own],
  );
});

test("claims that a merge ends are told in the order of their numbers", async (t) => {
  const registry = open(t);
  await write(registry, (writer) => {
    for (const name of ["alice", "bob"]) writer.makeClaim("user", name, "own");
  });
  // Alice's loses to an earlier one; Bob's meets one in doubt, whose end is written first.
  const doubted = claim(2, "p", 2, "bob");
  const { endings } = await registry.merge([claim(1), doubted], {}, {}, [doubted.claimId]);
  assert.deepEqual(
    endings.map(({ seq }) => seq),
    [3, 4],
  );
  assert.deepEqual(
    endings.map(({ key }) => key),
    ["bob", "alice"],
  );
});
