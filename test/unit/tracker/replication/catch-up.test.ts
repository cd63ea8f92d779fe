// What one replica sends another until that has all, while rows come in here.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Registry, RegistryRecord, VersionVector } from "../../../../src/tracker/registry/registry.ts";
import { CatchUp } from "../../../../src/tracker/replication/catch-up.ts";

function place(counts: Readonly<Record<string, number>>) {
  const rows: Pick<RegistryRecord, "origin" | "seq">[] = [];
  const vector: Record<string, number> = {};
  const add = (origin: string, seq: number) => {
    rows.push({ origin, seq });
    vector[origin] = Math.max(vector[origin] ?? 0, seq);
    rows.sort((a, b) => (a.origin === b.origin ? a.seq - b.seq : a.origin < b.origin ? -1 : 1));
  };
  for (const [origin, count] of Object.entries(counts))
    for (let seq = 1; seq <= count; seq++) add(origin, seq);
  const since = (has: VersionVector, limit: number) =>
    rows.filter(({ origin, seq }) => seq > (has[origin] ?? 0)).slice(0, limit);
  const registry = { since, vector } as unknown as Registry;
  const next = (catchUp: CatchUp) => {
    const { records, upTo } = catchUp.next();
    return [
      records.map(({ origin, seq }) => `${origin}${seq}`),
      upTo === undefined ? undefined : { ...upTo },
    ] as const;
  };
  return { registry, add, next };
}

test("what the other lacks is sent in chunks of a thousand rows, and the last one says what it has then", () => {
  const { registry, next } = place({ a: 1_500, b: 2 });
  const catchUp = new CatchUp(registry, { a: 10, c: 4 });
  const [first, upTo] = next(catchUp);
  assert.deepEqual([first.length, first[0], first.at(-1), upTo], [1_000, "a11", "a1010", undefined]);
  const [second, all] = next(catchUp);
  assert.deepEqual([second.length, second[0], second.slice(-2)], [492, "a1011", ["b1", "b2"]]);
  assert.deepEqual(all, { a: 1_500, b: 2 });
  const { registry: exact, next: nextOf } = place({ a: 1_000 });
  assert.deepEqual(nextOf(new CatchUp(exact, {}))[1], { a: 1_000 }, "no empty chunk follows");
});

test("the other may ask again from an earlier point, and never gets less for asking from a later one", () => {
  const { registry, next } = place({ a: 3, b: 2 });
  const catchUp = new CatchUp(registry, {});
  next(catchUp);
  catchUp.goBackTo({ a: 1, b: 9 });
  assert.deepEqual(next(catchUp)[0], ["a2", "a3"]);
  catchUp.goBackTo({ a: 3 });
  assert.deepEqual(next(catchUp)[0], ["b1", "b2"], "of what it does not name it has nothing");
});

test("rows that come in behind the cursor are sent, with those that follow them; others when their turn comes", () => {
  const { registry, add, next } = place({ a: 2, b: 2 });
  const catchUp = new CatchUp(registry, { a: 2, b: 2 });
  add("a", 1.5);
  catchUp.owe([{ origin: "a", seq: 2 } as RegistryRecord, { origin: "b", seq: 3 } as RegistryRecord]);
  add("b", 3);
  add("c", 1);
  catchUp.owe([{ origin: "c", seq: 1 } as RegistryRecord]);
  assert.deepEqual(next(catchUp)[0], ["a1.5", "a2", "b3", "c1"]);
  assert.deepEqual(next(catchUp)[0], []);
});
