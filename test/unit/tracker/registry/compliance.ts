// What every replicated Registry must do beside what a RuleStore does (rule-store-compliance.ts): `registryCompliance` runs the suite
// on one implementation.
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import fc from "fast-check";
import { MiniTorrentError } from "../../../../src/api/errors.ts";
import {
  type AlikeOf,
  keptTwinOf,
  type RecordKind,
  type Registry,
  type RegistryRecord,
  type RegistryWriter,
  recordKey,
  recordKinds,
  type TotalsOf,
} from "../../../../src/tracker/registry/registry.ts";

/** Opens an empty registry; what it needs goes when the test is over. */
export type OpenRegistry = (
  context: TestContext,
  options: { origin: string; nowMs: () => number; totalsOf?: TotalsOf; alikeOf?: AlikeOf },
) => Registry;

const NOW_MS = 1_800_000_000_000;

/** Runs one write and returns what it wrote. */
export async function write(
  registry: Registry,
  work: (writer: RegistryWriter) => void,
  writeId = "w",
): Promise<RegistryRecord[]> {
  return (await registry.transact(writeId, work)).records;
}

/** Every row, as text that can be compared. */
export function allRows(registry: Registry): string[] {
  return registry
    .since({}, Number.MAX_SAFE_INTEGER)
    .map((record) => JSON.stringify(record))
    .sort();
}

/** A row as some replica, honest or not, could have written it: places and stamps collide often. */
const recordArbitrary: fc.Arbitrary<RegistryRecord> = fc
  .record({
    kind: fc.constantFrom<RecordKind>("user", "file", "credential", "share"),
    key: fc.constantFrom("a", "b", recordKey("a", "c"), "ü𝄞"),
    claimTick: fc.integer({ min: 0, max: 3 }),
    value: fc.option(fc.oneof(fc.string(), fc.integer(), fc.dictionary(fc.string(), fc.boolean())), {
      nil: undefined,
    }),
    stampTick: fc.integer({ min: 0, max: 12 }),
    origin: fc.constantFrom("p", "q", "r"),
    seq: fc.integer({ min: 1, max: 30 }),
    writeId: fc.constantFrom("w1", "w2"),
    isRetry: fc.boolean(),
    paidBy: fc.constantFrom(undefined, "p", recordKey("p", "n")),
  })
  .map(({ kind, key, claimTick, value, stampTick, origin, seq, writeId, isRetry, paidBy }) => ({
    kind,
    key,
    claimId: recordKinds[kind] === "claim" ? testStamp(claimTick, "p") : "",
    value: value === undefined ? undefined : JSON.parse(JSON.stringify(value)),
    stamp: testStamp(stampTick, origin),
    origin,
    seq,
    // One command claims a name once.
    writeId: recordKinds[kind] === "claim" ? `${writeId} ${claimTick}` : writeId,
    ...(isRetry ? { isRetry } : {}),
    ...(paidBy === undefined ? {} : { paidBy }),
  }));

/** The stamp of an origin's clock `tick` ms after the beginning of the tests' time. */
export function testStamp(tick: number, origin: string): string {
  return `${(NOW_MS + tick).toString(16).padStart(12, "0")}-000000-${origin}`;
}

/** @param share of the runs of each property: less where each write waits for a disk */
export function registryCompliance(name: string, open: OpenRegistry, share = 1): void {
  const at = (context: TestContext, origin = "self", nowMs = () => NOW_MS): Registry =>
    open(context, { origin, nowMs });

  describe(`${name}: reading and writing`, () => {
    it("has another revision of a kind after each row of it, written or merged, and of no other", async (context) => {
      const [one, other] = [at(context, "one"), at(context, "other")];
      const before = one.revision("device");
      const { records } = await one.transact("w1", (writer) => writer.put("device", "d", { accountId: "a" }));
      const written = one.revision("device");
      assert.notEqual(written, before);
      await one.transact("w2", (writer) => writer.put("torrent", "t", {}));
      assert.equal(one.revision("device"), written);
      const empty = other.revision("device");
      await other.merge(records);
      assert.notEqual(other.revision("device"), empty);
    });

    it("lets the live claim with the lowest id stand, and the next one when that ends", async (context) => {
      const registry = at(context);
      const claims = [3, 1, 2].map((tick) => testStamp(tick, "other"));
      await registry.merge(
        claims.map((claimId, index) => ({
          ...{ kind: "user", key: "alice", claimId, value: index, stamp: claimId },
          ...{ origin: "other", seq: index + 1, writeId: `w${index}` },
        })),
      );
      const [third = "", first = "", second = ""] = claims;
      assert.equal(registry.claim("user", "alice")?.claimId, first);
      assert.equal(registry.claims("user", "").length, 1);
      assert.equal(registry.claimById("user", second), undefined, "live, but does not stand");
      await write(registry, (writer) => writer.endClaim("user", first));
      assert.equal(registry.claimById("user", second)?.value, 2);
      assert.equal(registry.claimById("user", third), undefined);
    });

    it("shows a transaction its own writes, and nobody those of one that threw", async (context) => {
      const registry = at(context);
      const good = registry.transact("w1", (writer) => {
        writer.put("share", "a", 1);
        return writer.get("share", "a");
      });
      const bad = registry.transact("w2", (writer) => {
        writer.put("share", "a", 2);
        writer.put("share", "b", 2);
        throw new MiniTorrentError("NOT_A_MEMBER", "no");
      });
      const later = registry.transact("w3", (writer) => writer.get("share", "a"));
      await assert.rejects(bad, { code: "NOT_A_MEMBER" });
      assert.equal((await good).result, 1);
      assert.equal((await later).result, 1);
      assert.equal(registry.get("share", "b"), undefined);
      assert.equal(registry.hasWrite("w1"), true);
      assert.equal(registry.hasWrite("w2"), false);
      assert.deepEqual(registry.vector, { self: 1 });
      const again = at(context);
      await write(again, (writer) => writer.put("share", "a", 1), "w1");
      assert.equal(again.digest(), registry.digest(), "a write that threw leaves no trace in the digest");
    });

    it("numbers the rows of one origin without a gap, and stamps them upwards", async (context) => {
      const registry = at(context);
      const records = await write(registry, (writer) => {
        writer.makeClaim("user", "alice", {});
        writer.put("credential", "alice", "x");
        writer.put("device", "d", "y");
      });
      assert.deepEqual(
        records.map(({ seq }) => seq),
        [1, 2, 3],
      );
      assert.deepEqual(
        records.map(({ stamp }) => stamp),
        records.map(({ stamp }) => stamp).sort(),
      );
      assert.deepEqual(registry.vector, { self: 3 });
      const [twice] = await write(registry, (writer) => {
        writer.put("device", "d", "z1");
        writer.put("device", "d", "z2");
      });
      assert.equal(twice?.value, "z2");
      assert.deepEqual(registry.vector, { self: 4 });
    });
  });

  describe(`${name}: merging`, () => {
    it("gives equal replicas in whatever order and however often rows come", async (context) => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(recordArbitrary, { maxLength: 25 }),
          fc.infiniteStream(fc.nat()),
          async (records, random) => {
            const [one, other] = [at(context, "one"), at(context, "other")];
            await one.merge(records);
            const shuffled = [...records, ...records.slice(0, 5)]
              .map((record) => ({ record, order: random.next().value ?? 0 }))
              .sort((a, b) => a.order - b.order)
              .map(({ record }) => record);
            const middle = Math.floor(shuffled.length / 2);
            await other.merge(shuffled.slice(0, middle));
            await other.merge(shuffled.slice(middle));
            assert.deepEqual(allRows(one), allRows(other));
            assert.equal(one.digest(), other.digest());
            assert.deepEqual((await one.merge(records)).changed, [], "what is known changes nothing");
            one.close();
            other.close();
          },
        ),
        { numRuns: 60 * share },
      );
    });

    it("has equal digests exactly when the rows are equal", async (context) => {
      const lists = fc.array(recordArbitrary, { maxLength: 4 });
      await fc.assert(
        fc.asyncProperty(lists, lists, async (left, right) => {
          const [one, other] = [at(context, "one"), at(context, "other")];
          await one.merge(left);
          await other.merge(right);
          const areEqual = JSON.stringify(allRows(one)) === JSON.stringify(allRows(other));
          assert.equal(one.digest() === other.digest(), areEqual);
          one.close();
          other.close();
        }),
        { numRuns: 60 * share },
      );
    });

    it("brings another replica level by since() in small pieces and upTo", async (context) => {
      const [source, target] = [at(context, "source"), at(context, "target")];
      for (let index = 0; index < 10; index++) {
        await write(source, (writer) => {
          writer.put("share", `${index % 4}`, index);
          writer.makeClaim("file", `f${index}`, index);
        });
      }
      const progress: Record<string, number> = {};
      for (;;) {
        const rows = source.since(progress, 3);
        if (rows.length === 0) break;
        for (const row of rows) progress[row.origin] = row.seq;
        await target.merge(rows);
      }
      await target.merge([], source.vector);
      assert.equal(target.digest(), source.digest());
      assert.deepEqual(target.vector, source.vector);
      assert.deepEqual(source.since(target.vector, 10), []);
    });

    it("does not part two rows of one number, which a restored disk can make", async (context) => {
      const registry = at(context);
      const row = (key: string, seq: number): RegistryRecord => ({
        ...{ kind: "share", key, claimId: "", value: 1, stamp: testStamp(seq, "p") },
        ...{ origin: "p", seq, writeId: "w" },
      });
      await registry.merge([row("a", 1), row("b", 1), row("c", 2)]);
      assert.equal(registry.since({}, 1).length, 2);
      assert.equal(registry.since({ p: 1 }, 1).length, 1);
    });

    it("believes upTo only from one that has all up to after, and says so", async (context) => {
      const registry = at(context);
      assert.equal((await registry.merge([], { p: 5 }, { p: 3 })).hasGap, true);
      assert.deepEqual(registry.vector, {});
      assert.equal((await registry.merge([], { p: 3 }, { p: 0 })).hasGap, false);
      assert.equal((await registry.merge([], { p: 5 }, { p: 3 })).hasGap, false);
      assert.deepEqual(registry.vector, { p: 5 });
    });

    it("lets one claim stand of all on names that count as the same", async (context) => {
      const alikeOf: AlikeOf = (kind, name) => (kind === "user" ? name.toLowerCase() : "");
      const [one, other] = (["one", "other"] as const).map((origin, late) =>
        open(context, { origin, nowMs: () => NOW_MS + late, alikeOf }),
      );
      if (one === undefined || other === undefined) throw new Error("two were opened");
      const claims = (name: string, kind: RecordKind) => (writer: RegistryWriter) =>
        void writer.makeClaim(kind, name, `the value of ${name}`);
      const first = await write(one, claims("Bob", "user"), "w1");
      const second = await write(other, claims("bob", "user"), "w2");
      const [bigId, smallId] = [first[0]?.claimId ?? "", second[0]?.claimId ?? ""];
      assert.equal(other.claim("user", "bob")?.claimId, smallId);
      assert.equal(other.claim("user", "Bob"), undefined, "it stands under its own name alone");
      assert.equal(other.rival("user", "BOB")?.name, "bob");
      assert.deepEqual((await one.merge(second)).lostClaims, []);
      const { lostClaims, endings } = await other.merge(first);
      assert.deepEqual(lostClaims, [
        { kind: "user", name: "bob", claimId: smallId, value: "the value of bob" },
      ]);
      await one.merge(endings);
      assert.equal(one.digest(), other.digest());
      for (const registry of [one, other]) {
        assert.equal(registry.claim("user", "bob"), undefined);
        assert.equal(registry.claimById("user", smallId), undefined);
        assert.equal(registry.rival("user", "bob")?.claimId, bigId);
        assert.deepEqual(
          registry.claims("user", "").map(({ name }) => name),
          ["Bob"],
        );
      }
      await write(one, (writer) => writer.endClaim("user", bigId), "w3");
      assert.equal(one.rival("user", "bob"), undefined, "both are over, and the name is free");
      await write(one, claims("Films", "group"), "w4");
      await write(one, claims("films", "group"), "w5");
      assert.equal(one.claims("group", "").length, 2, "of other kinds each name is apart");
    });

    it("lets no claim stand that was live before an earlier one on a name like it came", async (context) => {
      const alikeOf: AlikeOf = (_kind, name) => name.toLowerCase();
      const [early, late, third] = ["early", "late", "third"].map((origin, index) =>
        open(context, { origin, nowMs: () => NOW_MS + index, alikeOf }),
      );
      if (early === undefined || late === undefined || third === undefined)
        throw new Error("three were opened");
      const rows = [
        await write(early, (writer) => void writer.makeClaim("user", "Bob", 1), "w1"),
        await write(late, (writer) => void writer.makeClaim("user", "bob", 2), "w2"),
      ];
      for (const order of [rows.flat(), rows.flat().reverse()]) {
        const registry = open(context, { origin: "reader", nowMs: () => NOW_MS + 9, alikeOf });
        await registry.merge(order);
        assert.equal(registry.rival("user", "bOB")?.value, 1);
        assert.equal(registry.claims("user", "").length, 1);
      }
      assert.deepEqual((await third.merge(rows.flat())).lostClaims, [], "it never stood there");
    });

    it("tells of claims that stood until an earlier one came", async (context) => {
      const [one, other] = [at(context, "one"), at(context, "other", () => NOW_MS + 5)];
      const first = await write(one, (writer) => void writer.makeClaim("user", "alice", "at one"), "w1");
      const second = await write(other, (writer) => void writer.makeClaim("user", "alice", "at other"), "w2");
      const lostId = second[0]?.claimId;
      assert.deepEqual((await one.merge(second)).lostClaims, []);
      assert.deepEqual((await other.merge(first)).lostClaims, [
        { kind: "user", name: "alice", claimId: lostId, value: "at other" },
      ]);
      assert.equal(one.claim("user", "alice")?.value, "at one");
      assert.equal(other.claim("user", "alice")?.value, "at one");
      await one.merge(other.since(one.vector, 10));
      assert.equal(one.digest(), other.digest());
      assert.deepEqual((await other.merge(first)).lostClaims, [], "told once");
      assert.equal(other.isOwn(lostId ?? ""), true);
      assert.equal(one.isOwn(lostId ?? ""), false);
    });

    for (const [retriedAt, clock] of [
      ["one", "behind"],
      ["other", "ahead"],
    ] as const) {
      it(`keeps of one command's two claims what its retry made, at a tracker whose clock is ${clock}`, async (context) => {
        const [one, other] = [at(context, "one"), at(context, "other", () => NOW_MS + 5)];
        const claim = (registry: Registry) =>
          registry.transact(
            "w",
            (writer) => writer.makeClaim("user", "alice", 1),
            registry.origin === retriedAt,
          );
        const [atOne, atOther] = [await claim(one), await claim(other)];
        const retried = retriedAt === "one" ? atOne : atOther;
        assert.equal(retried.records[0]?.isRetry, true);
        const { endings, lostClaims } = await other.merge(atOne.records);
        assert.deepEqual(endings.map(keptTwinOf), [retried.result]);
        assert.deepEqual(lostClaims, [], "nobody has lost anything");
        assert.deepEqual((await one.merge(atOther.records)).endings.map(keptTwinOf), [retried.result]);
        assert.equal(one.claim("user", "alice")?.claimId, retried.result);
        assert.equal(other.claim("user", "alice")?.claimId, retried.result);
      });
    }

    it("keeps one of one command's two claims, the retry's, in whatever order and heaps they come with others'", async (context) => {
      const claims = (["first", "retry", "rival"] as const).map((origin) => {
        const writeId = origin === "rival" ? "another" : "w";
        return { origin, writeId, isRetry: origin === "retry" };
      });
      await fc.assert(
        fc.asyncProperty(
          fc.shuffledSubarray([0, 1, 2], { minLength: 3 }),
          fc.integer({ min: 1, max: 3 }),
          fc.constantFrom(...[0, 1, 2].map((first) => [first, (first + 1) % 3, (first + 2) % 3])),
          async (order, heap, clocks) => {
            const rows: RegistryRecord[] = [];
            for (const [index, { origin, writeId, isRetry }] of claims.entries()) {
              const made = open(context, { origin, nowMs: () => NOW_MS - 5 * (clocks[index] ?? 0) });
              const claim = (writer: RegistryWriter) => writer.makeClaim("user", "alice", origin);
              rows.push(...(await made.transact(writeId, claim, isRetry)).records);
              made.close();
            }
            const registry = at(context, "fourth");
            const shuffled = order.flatMap((index) => rows[index] ?? []);
            for (let from = 0; from < 3; from += heap)
              await registry.merge(shuffled.slice(from, from + heap));
            const [first, retry] = rows;
            assert.ok(first && retry);
            assert.equal(keptTwinOf(registry.row("user", "alice", first.claimId) ?? first), retry.claimId);
            assert.notEqual(registry.row("user", "alice", retry.claimId)?.value, undefined);
            registry.close();
          },
        ),
        { numRuns: 40 * share },
      );
    });

    it("ends a claim that was made here and lost in the commit that says so, and none that was made elsewhere", async (context) => {
      const [one, other, third] = [
        at(context, "one"),
        at(context, "other", () => NOW_MS + 5),
        at(context, "third"),
      ];
      const first = await write(one, (writer) => void writer.makeClaim("user", "alice", 1), "w1");
      const second = await write(other, (writer) => void writer.makeClaim("user", "alice", 2), "w2");
      await third.merge(second);
      assert.deepEqual((await third.merge(first)).endings, []);
      const { endings } = await other.merge(first);
      assert.deepEqual(
        endings.map(({ key, claimId, value }) => ({ key, claimId, value })),
        [{ key: "alice", claimId: second[0]?.claimId, value: undefined }],
      );
      await write(other, (writer) => writer.endClaim("user", first[0]?.claimId ?? ""));
      assert.equal(other.claim("user", "alice"), undefined, "what lost does not come back");
    });

    it("lets the later of two claims stand that one command made at two replicas", async (context) => {
      const [one, other] = [at(context, "one"), at(context, "other", () => NOW_MS + 5)];
      const first = await write(one, (writer) => void writer.makeClaim("user", "alice", 1), "same");
      const second = await write(other, (writer) => void writer.makeClaim("user", "alice", 2), "same");
      const results = [await other.merge(first), await one.merge(second)];
      for (const [index, { endings }] of results.entries()) {
        assert.deepEqual(
          endings.map(({ claimId, value }) => ({ claimId, value })),
          [{ claimId: first[0]?.claimId, value: undefined }],
        );
        await [one, other][index]?.merge(endings);
      }
      assert.deepEqual(results[0]?.lostClaims, []);
      for (const registry of [one, other]) assert.equal(registry.claim("user", "alice")?.value, 2);
      assert.equal(one.digest(), other.digest());
    });

    it("gives back what a command wrote", async (context) => {
      const registry = at(context);
      const records = await write(
        registry,
        (writer) => {
          writer.makeClaim("user", "alice", 1);
          writer.put("share", "a", 2);
        },
        "w1",
      );
      await write(registry, (writer) => writer.put("share", "b", 3), "w2");
      assert.deepEqual(registry.rowsOfWrite("w1"), records);
      assert.deepEqual(registry.rowsOfWrite("w3"), []);
    });

    it("does not call a claim lost that was ended", async (context) => {
      const [one, other] = [at(context, "one"), at(context, "other", () => NOW_MS + 5)];
      const first = await write(one, (writer) => void writer.makeClaim("user", "alice", 1), "w1");
      const second = await write(other, (writer) => void writer.makeClaim("user", "alice", 2), "w2");
      await one.merge(second);
      const ended = await write(one, (writer) => writer.endClaim("user", second[0]?.claimId ?? ""));
      assert.deepEqual((await other.merge([...ended, ...first])).lostClaims, []);
    });

    it("keeps totals of its rows, tombstones too, whatever came in whatever order, and none of a write that failed", async (context) => {
      const lengthOf = (value: unknown) => (value === undefined ? 7 : JSON.stringify(value).length);
      const totalsOf: TotalsOf = ({ kind, value }, sizeBytes) => ({
        [kind]: 1,
        length: lengthOf(value),
        bytes: sizeBytes,
      });
      await fc.assert(
        fc.asyncProperty(fc.array(recordArbitrary, { maxLength: 12 }), async (records) => {
          const registry = open(context, { origin: "self", nowMs: () => NOW_MS, totalsOf });
          for (const record of records) await registry.merge([record]);
          const failing = () =>
            write(registry, (writer) => {
              writer.put("share", "b", "undone");
              throw new Error("no");
            });
          await assert.rejects(failing(), "alone");
          const beside = failing();
          const mine = write(registry, (writer) => writer.put("share", "a", "mine"));
          await assert.rejects(beside, "in one commit with another");
          await mine;
          const rows = registry.since({}, 100);
          const expected = rows.filter(({ kind }) => kind === "share").length;
          assert.equal(registry.total("share"), expected);
          const length = rows.reduce((sum, { value }) => sum + lengthOf(value), 0);
          assert.equal(registry.total("length"), length);
          assert.ok(registry.total("bytes") > rows.length * 100);
          const twin = open(context, { origin: "twin", nowMs: () => NOW_MS, totalsOf });
          await twin.merge(rows);
          assert.equal(twin.total("bytes"), registry.total("bytes"), "replicas count the same");
          twin.close();
          assert.equal(registry.total("nothing"), 0);
          registry.close();
        }),
        { numRuns: 30 * share },
      );
    });

    it("refuses all of a merge with a stamp that no clock can have made", async (context) => {
      const registry = at(context);
      const row: RegistryRecord = {
        ...{ kind: "share", key: "a", claimId: "", value: 1, stamp: testStamp(1, "p") },
        ...{ origin: "p", seq: 1, writeId: "w" },
      };
      const impossible = { ...row, key: "b", stamp: `${(2 ** 47 + 1).toString(16)}-000000-p`, seq: 2 };
      await assert.rejects(registry.merge([row, impossible]), { code: "MALFORMED_MESSAGE" });
      assert.equal(registry.get("share", "a"), undefined);
      assert.deepEqual(registry.vector, {});
    });

    it("merges a row from the far future without going there itself, and replaces it by a row that stands", async (context) => {
      const [registry, other] = [at(context, "self"), at(context, "other")];
      const future: RegistryRecord = {
        ...{ kind: "share", key: "a", claimId: "", value: 1, stamp: testStamp(100_000_000, "p") },
        ...{ origin: "p", seq: 1, writeId: "w" },
      };
      for (const one of [registry, other]) await one.merge([future]);
      const [elsewhere] = await write(registry, (writer) => writer.put("share", "b", 1));
      assert.ok((elsewhere?.stamp ?? "") < testStamp(1_000, "zz"));
      const replaced = await write(registry, (writer) => writer.put("share", "a", 2));
      await other.merge(replaced);
      const removed = await write(other, (writer) => writer.remove("share", "a"));
      await registry.merge(removed);
      for (const one of [registry, other]) assert.equal(one.get("share", "a"), undefined);
      await registry.merge([future]);
      assert.equal(registry.get("share", "a"), undefined);
    });

    it("ends, and updates, a claim from the far future", async (context) => {
      const registry = at(context, "self");
      const claimId = testStamp(100_000_000, "p");
      const claim: RegistryRecord = {
        ...{ kind: "group", key: "g", claimId, value: 1, stamp: claimId },
        ...{ origin: "p", seq: 1, writeId: "w" },
      };
      await registry.merge([claim]);
      await write(registry, (writer) => writer.updateClaim("group", claimId, 2));
      assert.equal(registry.claim("group", "g")?.value, 2);
      await write(registry, (writer) => writer.endClaim("group", claimId));
      assert.equal(registry.claim("group", "g"), undefined);
      await registry.merge([claim]);
      assert.equal(registry.claim("group", "g"), undefined);
    });

    it("set back, writes at the time that it is, under a new origin", async (context) => {
      let nowMs = NOW_MS + 100_000_000;
      const registry = at(context, "self", () => nowMs);
      await write(registry, (writer) => writer.put("share", "a", 1));
      nowMs = NOW_MS;
      registry.renewOrigin("is set back");
      assert.ok(registry.latestStamp < testStamp(1_000, "zz"));
      await write(registry, (writer) => writer.put("share", "a", 2));
      assert.equal(registry.get("share", "a"), 2);
      assert.ok(registry.latestStamp < testStamp(1_000, "zz"));
    });

    it("writes above every stamp it has seen, so that a later write wins whatever the clocks say", async (context) => {
      const [fast, slow] = [at(context, "fast", () => NOW_MS + 600_000), at(context, "slow")];
      await slow.merge(await write(fast, (writer) => writer.put("share", "a", "fast")));
      await write(slow, (writer) => writer.put("share", "a", "slow"));
      await fast.merge(slow.since(fast.vector, 10));
      assert.equal(fast.get("share", "a"), "slow");
    });

    it("takes a new origin when told to, and knows the stamps of the old one as its own", async (context) => {
      const registry = at(context, "old");
      const [before] = await write(registry, (writer) => writer.put("share", "a", 1));
      const renewed = registry.renewOrigin();
      assert.notEqual(renewed, "old");
      assert.equal(registry.origin, renewed);
      const [after] = await write(registry, (writer) => writer.put("share", "a", 2));
      assert.equal(after?.seq, 1);
      assert.equal(registry.isOwn(before?.stamp ?? ""), true);
      assert.equal(registry.isOwn(after?.stamp ?? ""), true);
      assert.ok((after?.stamp ?? "") > (before?.stamp ?? ""));
    });
  });
}
