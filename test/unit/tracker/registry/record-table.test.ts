// What a registry keeps beside its rows, and how they are found: pages, revisions, totals, derived entries and their lists,
// anchors, and what a since() and an end of the process leave of them.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import type {
  Anchors,
  Derivation,
  RegistryReader,
  RegistryRecord,
} from "../../../../src/tracker/registry/registry.ts";
import {
  SqliteRegistry,
  type SqliteRegistryOptions,
} from "../../../../src/tracker/registry/sqlite-registry.ts";
import { testStamp, write } from "./compliance.ts";

const NOW_MS = 1_800_000_000_000;

function open(t: TestContext, options: Partial<SqliteRegistryOptions> = {}): SqliteRegistry {
  const registry = SqliteRegistry.open({ path: ":memory:", nowMs: () => NOW_MS, ...options });
  t.after(() => registry.close());
  return registry;
}

function temporaryPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "table-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return join(folder, "registry.db");
}

function row(seq: number, more: Partial<RegistryRecord> = {}): RegistryRecord {
  return {
    ...{ kind: "share", key: `k${seq}`, claimId: "", value: seq, stamp: testStamp(seq, "p") },
    ...{ origin: "p", seq, writeId: `w${seq}`, ...more },
  };
}

const refused = (registry: SqliteRegistry, work: Parameters<typeof write>[1]) =>
  assert.rejects(
    write(registry, (writer) => {
      work(writer);
      throw new Error("refused");
    }),
    /refused/,
  );

test("lists, claims and keys are read a page at a time, after a key, up to the end of a prefix", async (t) => {
  const registry = open(t);
  await write(registry, (writer) => {
    for (const key of ["a", "b1", "b2", "b3", "c"]) {
      writer.put("share", key, key);
      writer.makeClaim("user", key, key);
    }
    writer.remove("share", "b2");
  });
  for (const [page, found] of [
    [{ limit: 2 }, ["b1", "b3"]],
    [{ limit: 1 }, ["b1"]],
    [{ after: "b1", limit: 5 }, ["b3"]],
    [{ after: "b3", limit: 5 }, []],
  ] as const) {
    assert.deepEqual(
      registry.list("share", "b", page).map(({ key }) => key),
      found,
    );
    assert.deepEqual(registry.keys("share", "b", page), found);
    assert.deepEqual(
      registry.anchored("share", "b", page).map(({ key }) => key),
      found,
      "without anchors every row counts",
    );
  }
  assert.deepEqual(
    registry.claims("user", "b", { after: "b1", limit: 1 }).map(({ name }) => name),
    ["b2"],
  );
  assert.deepEqual(registry.keys("user", "", { after: "b", limit: 2 }), ["b1", "b2"]);
});

test("a name with several live claims is one key, and one claim in a list", async (t) => {
  const registry = open(t);
  const claims = [3, 1, 2].map((tick) => testStamp(tick, "p"));
  await registry.merge(
    claims.map((claimId, at) => row(at + 1, { kind: "user", key: "alice", claimId, stamp: claimId })),
  );
  assert.deepEqual(registry.keys("user", "", { limit: 9 }), ["alice"]);
  assert.deepEqual(
    registry.claims("user", "").map(({ claimId }) => claimId),
    [claims[1]],
  );
});

test("a claim that was ended stands in nobody's way, and is found as a row alone", async (t) => {
  const alikeOf = (_kind: string, name: string) => name.toLowerCase();
  const registry = open(t, { alikeOf });
  const [early, late] = [testStamp(1, "p"), testStamp(5, "p")];
  await registry.merge([
    row(1, { kind: "user", key: "bob", claimId: early, stamp: testStamp(3, "p"), value: undefined }),
    row(2, { kind: "user", key: "bob", claimId: late, stamp: late }),
  ]);
  assert.equal(registry.claimById("user", late)?.claimId, late);
  assert.equal(registry.claim("user", "bob")?.claimId, late);
  assert.equal(registry.claims("user", "").length, 1);
  assert.equal(registry.claimById("user", early), undefined);
  assert.equal(registry.row("user", "bob", early)?.value, undefined);
  await registry.merge([
    row(3, { kind: "user", key: "BOB", claimId: testStamp(4, "p"), stamp: testStamp(4, "p") }),
  ]);
  assert.equal(registry.claimById("user", late), undefined, "one on a name like it is earlier");
  assert.equal(registry.claim("user", "bob"), undefined);
  assert.equal(registry.rival("user", "bob")?.name, "BOB");
});

test("the rows that a replica lacks come in order of origin and number, about as many as asked for, and not much more than 1 MiB", async (t) => {
  const registry = open(t);
  const big = "x".repeat(400 * 1024);
  await registry.merge([
    row(1, { origin: "q", key: "q1", value: big }),
    row(2, { origin: "q", key: "q2", value: big }),
    row(1, { origin: "r", key: "r1" }),
    ...[1, 2, 3, 4].map((seq) => row(seq, { value: big })),
  ]);
  const numbers = (vector: Record<string, number>, limit: number) =>
    registry.since(vector, limit).map(({ origin, seq }) => `${origin}${seq}`);
  assert.deepEqual(numbers({}, 2), ["p1", "p2"]);
  assert.deepEqual(numbers({}, 100), ["p1", "p2", "p3"], "the one that passes the bound is the last");
  assert.deepEqual(numbers({ p: 3 }, 100), ["p4", "q1", "q2"]);
  assert.deepEqual(numbers({ p: 4, q: 1 }, 100), ["q2", "r1"]);
  assert.deepEqual(numbers({ p: 3 }, 1), ["p4"]);
  const [one, other] = [open(t), open(t)];
  await one.merge([row(1), row(1, { origin: "q", key: "q" })]);
  assert.equal(one.since({}, 1).length, 1, "the same number of another origin is another row");
  await other.merge([row(1), row(1, { key: "again" })]);
  assert.equal(other.since({}, 1).length, 2);
});

test("when two rows have one stamp, the higher text stays, in whatever order they come, and is new once", async (t) => {
  const [low, high] = [row(1, { value: "a" }), row(1, { value: "b" })];
  for (const order of [
    [low, high],
    [high, low],
  ]) {
    const registry = open(t);
    for (const one of order) await registry.merge([one]);
    assert.equal(registry.get("share", "k1"), "b");
    assert.deepEqual((await registry.merge([high, low])).changed, []);
    const alone = open(t);
    await alone.merge([high]);
    assert.equal(registry.digest(), alone.digest());
  }
});

test("rows that differ in anything have another digest: also in who pays, and in whether it was a retry", async (t) => {
  const digests = new Set<string>();
  const variants: Partial<RegistryRecord>[] = [
    ...[
      {},
      { value: 2 },
      { value: undefined },
      { key: "x" },
      { kind: "device" },
      { origin: "q" },
      { seq: 2 },
    ],
    ...[{ stamp: testStamp(7, "p") }, { writeId: "x" }, { isRetry: true }, { paidBy: "p" }],
  ] as Partial<RegistryRecord>[];
  for (const variant of variants) {
    const registry = open(t);
    await registry.merge([row(1, variant)]);
    assert.match(registry.digest(), /^[0-9a-f]{64}$/);
    digests.add(registry.digest());
  }
  assert.equal(digests.size, variants.length);
  const many = open(t);
  await many.merge(Array.from({ length: 40 }, (_, at) => row(at + 1)));
  assert.match(many.digest(), /^[0-9a-f]{64}$/, "a sum of many is no longer");
});

test("a command's rows come in the order of their numbers", async (t) => {
  const registry = open(t);
  await registry.merge([3, 1, 2].map((seq) => row(seq, { writeId: "same" })));
  assert.deepEqual(
    registry.rowsOfWrite("same").map(({ seq }) => seq),
    [1, 2, 3],
  );
});

test("the places that were written since a revision are told, also of what was rolled back, until it is too long ago", async (t) => {
  const registry = open(t);
  const placesSince = (revision: number) => registry.placesSince("share", revision)?.map(({ key }) => key);
  const put = (key: string) => write(registry, (writer) => writer.put("share", key, 1));
  assert.deepEqual(placesSince(registry.revision("share")), []);
  assert.equal(registry.placesSince("share", 1), undefined, "a revision that was never there");
  await put("a");
  const first = registry.revision("share");
  await put("b");
  await put("c");
  assert.deepEqual(placesSince(first), ["b", "c"]);
  assert.deepEqual(placesSince(first - 1), ["a", "b", "c"], "all since the start");
  assert.deepEqual(registry.placesSince("device", registry.revision("device")), []);
  const before = registry.revision("share");
  await refused(registry, (writer) => writer.put("share", "undone", 1));
  assert.notEqual(registry.revision("share"), before);
  assert.ok(placesSince(before)?.includes("undone"), "it may have been read meanwhile");
  assert.equal(placesSince(before)?.includes("c"), false);

  await write(registry, (writer) => {
    for (let at = 0; at < 2_000; at++) writer.put("share", `many ${at}`, 1);
  });
  const { length } = placesSince(before) ?? [];
  assert.ok(length > 2_000 && length < 2_010, `${length}`);
  await write(registry, (writer) => {
    for (let at = 0; at < 2_000; at++) writer.put("share", `more ${at}`, 1);
  });
  assert.equal(placesSince(before), undefined);
  assert.equal(placesSince(registry.revision("share") - 1_500)?.length, 1_500);

  const beforeLongOne = registry.revision("share");
  await refused(registry, (writer) => {
    for (let at = 0; at < 9_000; at++) writer.put("share", `long ${at}`, 1);
  });
  assert.equal(placesSince(beforeLongOne), undefined);
  assert.notEqual(registry.revision("share"), beforeLongOne, "somewhere something was written");
  assert.equal(placesSince(registry.revision("share") - 10), undefined, "where, nobody knows");
});

test("totals, digest and vector are those of the committed rows, also after a restart", async (t) => {
  const path = temporaryPath(t);
  const totalsOf: SqliteRegistryOptions["totalsOf"] = ({ value }, sizeBytes) => ({
    rows: 1,
    sum: Number(value ?? 0),
    bytes: sizeBytes,
  });
  const registry = open(t, { path, totalsOf });
  await write(registry, (writer) => {
    writer.put("share", "a", 5);
    assert.equal(writer.total("sum"), 5, "its own writes count at once");
  });
  const results = await Promise.allSettled([
    write(registry, (writer) => writer.put("share", "a", 7)),
    refused(registry, (writer) => writer.put("share", "a", 100)),
    write(registry, (writer) => writer.put("share", "b", 1)),
  ]);
  assert.ok(results.every(({ status }) => status === "fulfilled"));
  await refused(registry, (writer) => writer.put("share", "c", 100));
  const { vector, origin } = registry;
  assert.deepEqual([registry.total("rows"), registry.total("sum"), vector], [2, 8, { [origin]: 3 }]);
  const digest = registry.digest();
  registry.close();
  const again = open(t, { path, totalsOf, checkMs: Number.POSITIVE_INFINITY });
  assert.deepEqual(
    [again.total("rows"), again.total("sum"), again.vector, again.digest()],
    [2, 8, vector, digest],
  );
});

/** An entry for each share "list:name": in that list, sorted by its value, with its value as a total. */
function derivation(version = 1): Derivation & { asked: string[] } {
  const asked: string[] = [];
  return {
    ...{ version, asked, kinds: ["share", "group"] },
    placesOf: (_reader, { key, value }) =>
      typeof value === "object" && value !== null && "also" in value ? [key, String(value.also)] : [key],
    entryOf: (reader: RegistryReader, place) => {
      asked.push(place);
      const value = reader.get("share", place) as { n: number; list: string } | undefined;
      if (value === undefined) return undefined;
      const lists = { [value.list]: String(value.n).padStart(3, "0") };
      return { value: { n: value.n, version }, lists, totals: { [`sum of ${value.list}`]: value.n } };
    },
  };
}

test("derived entries follow their rows, are listed in order both ways, and take their totals with them", async (t) => {
  const rules = derivation();
  const registry = open(t, { derivation: rules });
  const put = (key: string, n: number, list = "l") =>
    write(registry, (writer) => writer.put("share", key, { n, list }));
  const listed = (list: string, page: object = {}) =>
    registry
      .listed<{ n: number }>(list, { limit: 9, ...page })
      .map(({ place, value: { n } }) => `${place}${n}`);
  for (const [key, n] of [
    ["a", 2],
    ["b", 1],
    ["c", 3],
  ] as const)
    await put(key, n);
  assert.deepEqual(listed("l"), ["b1", "a2", "c3"]);
  assert.deepEqual(listed("l", { isDescending: true }), ["c3", "a2", "b1"]);
  assert.deepEqual(listed("l", { limit: 1, after: "001" }), ["a2"]);
  assert.deepEqual(listed("l", { limit: 1, after: "003", isDescending: true }), ["a2"]);
  assert.deepEqual(registry.listed("l", { limit: 1 })[0], {
    sort: "001",
    place: "b",
    value: { n: 1, version: 1 },
  });
  assert.deepEqual([registry.derived("a"), registry.derived("x")], [{ n: 2, version: 1 }, undefined]);
  assert.equal(registry.total("sum of l"), 6);

  await put("a", 9, "m");
  assert.deepEqual([listed("l"), listed("m")], [["b1", "c3"], ["a9"]], "it moved");
  assert.deepEqual([registry.total("sum of l"), registry.total("sum of m")], [4, 9]);
  await put("b", 1, "m");
  assert.deepEqual(
    [listed("l"), listed("m")],
    [["c3"], ["b1", "a9"]],
    "its value is the same, its list is not",
  );
  await write(registry, (writer) => writer.remove("share", "a"));
  assert.deepEqual([listed("m"), registry.derived("a"), registry.total("sum of m")], [["b1"], undefined, 1]);
  await refused(registry, (writer) => writer.put("share", "b", { n: 50, list: "l" }));
  assert.deepEqual(
    [listed("l"), registry.total("sum of l")],
    [["c3"], 3],
    "a write that failed derives nothing",
  );

  rules.asked.length = 0;
  await write(registry, (writer) => writer.put("device", "a", 1));
  assert.deepEqual(rules.asked, [], "nothing depends on that kind");
  await write(registry, (writer) => writer.put("share", "c", { n: 3, list: "l", also: "d" }));
  rules.asked.length = 0;
  await put("c", 4);
  assert.deepEqual(rules.asked.sort(), ["c", "d"], "also what the row that was there before concerned");
  await registry.merge([row(1, { key: "merged", value: { n: 5, list: "l" }, stamp: testStamp(9, "p") })]);
  assert.deepEqual(listed("l"), ["c4", "merged5"], "rows of others derive the same");
});

test("entries of another version of the rules are derived again at the start, and their totals with them", async (t) => {
  const path = temporaryPath(t);
  const first = open(t, { path });
  await write(first, (writer) => {
    for (const n of [1, 2]) writer.put("share", `k${n}`, { n, list: "l" });
  });
  first.close();
  for (const [version, times] of [
    [1, 2],
    [1, 0],
    [2, 2],
    [2, 0],
  ] as const) {
    const rules = derivation(version);
    const registry = open(t, { path, derivation: rules });
    assert.equal(rules.asked.length, times, `version ${version}`);
    assert.equal(registry.total("sum of l"), 3);
    assert.deepEqual(
      registry.listed("l", { limit: 9 }).map(({ value }) => value),
      [
        { n: 1, version },
        { n: 2, version },
      ],
    );
    registry.close();
  }
  const away: Derivation = { version: 3, kinds: ["share"], placesOf: () => [], entryOf: () => undefined };
  const none = open(t, { path, derivation: away });
  assert.deepEqual(
    [none.listed("l", { limit: 9 }), none.derived("k1"), none.total("sum of l")],
    [[], undefined, 0],
  );
  none.close();
  const database = new DatabaseSync(path);
  assert.deepEqual(database.prepare("SELECT list FROM listed").all(), [], "no list is left");
  database.close();
});

/** Shares hang on the part of their key before the colon; a device row with the value "end" ends it. */
const anchors: Anchors = {
  anchorOf: ({ kind, key }) => (kind === "share" ? (key.split(":")[0] ?? "") : ""),
  endedBy: ({ kind, key, value }) => (kind === "device" && value === "end" ? key : undefined),
};

test("rows count while their anchor lasts: a few are taken out at its end, the others one by one, and none comes back", async (t) => {
  const path = temporaryPath(t);
  const registry = open(t, { path, anchors });
  await write(registry, (writer) => {
    for (let at = 0; at < 45; at++) writer.put("share", `m1:${String(at).padStart(2, "0")}`, at);
    writer.put("share", "m2:a", 1);
    writer.put("share", "m2:gone", 1);
    writer.remove("share", "m2:gone");
    writer.put("device", "m1", "not the end");
  });
  const count = (prefix: string, from = registry) => from.anchored("share", prefix, { limit: 99 }).length;
  assert.deepEqual([count("m1"), count("m2"), registry.hasAnchoredLeft], [45, 1, false]);
  await write(registry, (writer) => writer.put("device", "m1", "end"));
  assert.deepEqual([count("m1"), count("m2"), registry.hasAnchoredLeft], [25, 1, true]);
  assert.equal(registry.list("share", "m1").length, 45, "they are there as rows");
  await write(registry, (writer) => writer.put("share", "m1:00", "again"));
  await write(registry, (writer) => writer.put("share", "m1:new", 1));
  assert.equal(count("m1"), 25, "what is written to an ended anchor counts for nothing");
  registry.close();

  const again = open(t, { path, anchors });
  assert.equal(again.hasAnchoredLeft, true, "after a restart too");
  await again.dropAnchored(20);
  assert.deepEqual([count("m1", again), again.hasAnchoredLeft], [5, true]);
  await again.dropAnchored(20);
  assert.deepEqual([count("m1", again), again.hasAnchoredLeft], [0, false]);
  await again.dropAnchored(20);
  assert.deepEqual([count("m2", again), again.hasAnchoredLeft], [1, false]);
  again.close();

  const last = open(t, { path, anchors });
  assert.equal(last.hasAnchoredLeft, false);
  await write(last, (writer) => writer.put("share", "m1:late", 1));
  assert.equal(count("m1", last), 0, "an anchor that ended stays ended");
  await write(last, (writer) => writer.put("device", "m2", "end"));
  assert.deepEqual([count("m2", last), last.hasAnchoredLeft], [0, false]);
});

test("an anchor with exactly as many rows as are taken out at once may have more: that is looked at again", async (t) => {
  const registry = open(t, { anchors });
  await write(registry, (writer) => {
    for (let at = 0; at < 20; at++) writer.put("share", `m1:${at}`, at);
    writer.put("device", "m1", "end");
  });
  assert.equal(registry.hasAnchoredLeft, true);
  await registry.dropAnchored(10);
  assert.equal(registry.hasAnchoredLeft, false);
});

test("a tombstone ends no anchor", async (t) => {
  const odd: Anchors = { ...anchors, endedBy: ({ kind, key }) => (kind === "device" ? key : undefined) };
  const registry = open(t, { anchors: odd });
  await registry.merge([
    row(1, { key: "m1:a" }),
    row(2, { kind: "device", key: "m1", value: undefined, stamp: testStamp(2, "p") }),
  ]);
  assert.equal(registry.anchored("share", "", { limit: 9 }).length, 1);
});

test("an origin that is only heard of has no part in the vector, and numbers never go back", async (t) => {
  const registry = open(t);
  await registry.merge([row(5)]);
  assert.deepEqual(registry.vector, {}, "what comes before is missing");
  assert.deepEqual(
    registry.since({}, 9).map(({ seq }) => seq),
    [5],
  );
  await registry.merge([], { p: 7 });
  await registry.merge([], { p: 3 });
  assert.deepEqual(registry.vector, { p: 7 });
  await registry.merge([row(8)]);
  assert.deepEqual(registry.vector, { p: 8 });
});

test("a check goes on where it was, finds nothing in what is whole, and begins again", async (t) => {
  const registry = open(t);
  await registry.merge(Array.from({ length: 10 }, (_, at) => row(at + 1)));
  for (let round = 0; round < 2; round++) {
    assert.deepEqual(
      [registry.checkRows(4), registry.checkRows(4), registry.checkRows(4)],
      [false, false, true],
    );
  }
  assert.deepEqual(
    [registry.checkRows(5), registry.checkRows(5), registry.checkRows(5)],
    [false, false, true],
  );
  registry.checkRows(4);
  await write(registry, (writer) => {
    writer.put("share", "k2", "checked already");
    writer.put("share", "k9", "still to come");
    writer.put("share", "new", 1);
  });
  await refused(registry, (writer) => writer.put("share", "k3", "undone"));
  assert.deepEqual([registry.checkRows(4), registry.checkRows(4)], [false, true]);
});
