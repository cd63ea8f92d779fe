// What every RuleStore must do, whatever it is built on: `ruleStoreCompliance` runs the suite on one implementation.
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import fc from "fast-check";
import { MiniTorrentError } from "../../../../src/api/errors.ts";
import {
  type AlikeOf,
  type RegistryReader,
  type RegistryRecord,
  type RegistryWriter,
  recordKey,
  type TotalsOf,
} from "../../../../src/tracker/registry/registry.ts";
import type { RuleStore } from "../../../../src/tracker/registry/rule-store.ts";
import { alikeOf } from "../../../../src/tracker/rules/look-alikes.ts";
import {
  endedTotal,
  membersTotal,
  standingLists,
  standingPlace,
  standingsDerivation,
} from "../../../../src/tracker/rules/membership-index.ts";
import { shareAnchors } from "../../../../src/tracker/rules/share-anchors.ts";

export interface StoreOptions {
  readonly nowMs: () => number;
  readonly totalsOf: TotalsOf;
  readonly alikeOf: AlikeOf;
  readonly derivation: typeof standingsDerivation;
  readonly anchors: typeof shareAnchors;
}

/** Opens an empty store; what it needs goes when the test is over. */
export type OpenStore = (context: TestContext, options: StoreOptions) => Promise<RuleStore>;

const NOW_MS = 1_800_000_000_000;

async function write(
  store: RuleStore,
  work: (writer: RegistryWriter) => void,
  writeId = "w",
): Promise<readonly RegistryRecord[]> {
  return (await store.transact(writeId, work)).records;
}

export function ruleStoreCompliance(name: string, open: OpenStore, share = 1): void {
  const at = (context: TestContext): Promise<RuleStore> =>
    open(context, {
      nowMs: () => NOW_MS,
      totalsOf: ({ kind, value }) => ({ rows: 1, [`live ${kind}`]: value === undefined ? 0 : 1 }),
      ...{ alikeOf, derivation: standingsDerivation, anchors: shareAnchors },
    });

  describe(`${name}: rules and queries`, () => {
    it("gives back what was put, and nothing after it was removed", async (context) => {
      const store = await at(context);
      await write(store, (writer) => writer.put("credential", "alice", { hash: "x" }));
      assert.deepEqual(await store.query((reader) => reader.get("credential", "alice")), { hash: "x" });
      assert.equal(await store.query((reader) => reader.get("device", "alice")), undefined);
      await write(store, (writer) => writer.remove("credential", "alice"));
      assert.equal(await store.query((reader) => reader.get("credential", "alice")), undefined);
    });

    it("lists the live rows under a prefix in key order, a page at a time", async (context) => {
      const store = await at(context);
      const keys = [
        recordKey("g1", "b"),
        recordKey("g1", "a"),
        recordKey("g1", "gone"),
        recordKey("g10", "c"),
        "g",
      ];
      await write(store, (writer) => {
        for (const key of keys) writer.put("torrent", key, key);
        writer.remove("torrent", recordKey("g1", "gone"));
      });
      const listed = (prefix: string, page?: { after?: string; limit: number }) =>
        store.query((reader) => reader.list("torrent", prefix, page).map(({ value }): unknown => value));
      const [a, b, c] = [recordKey("g1", "a"), recordKey("g1", "b"), recordKey("g10", "c")];
      assert.deepEqual(await listed(recordKey("g1", "")), [a, b]);
      assert.deepEqual(await listed(""), ["g", a, b, c]);
      assert.deepEqual(await listed("", { after: "g", limit: 2 }), [a, b]);
      assert.deepEqual(await listed("h"), []);
      assert.deepEqual(await store.query((reader) => reader.keys("torrent", "g1", { limit: 2 })), [a, b]);
    });

    it("finds by prefix what a filter over all keys finds, in the order of code points", async (context) => {
      const keys = fc.string({
        unit: fc.constantFrom("a", "b", "\u{d7ff}", "\u{e000}", "\u{10ffff}"),
        maxLength: 4,
      });
      await fc.assert(
        fc.asyncProperty(fc.uniqueArray(keys), keys, async (all, prefix) => {
          const store = await at(context);
          await write(store, (writer) => {
            for (const key of all) writer.put("torrent", key, 1);
          });
          const found = await store.query((reader) => reader.list("torrent", prefix).map(({ key }) => key));
          const expected = all.filter((key) => key.startsWith(prefix));
          assert.deepEqual(
            found,
            expected.sort((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y))),
          );
        }),
        { numRuns: Math.ceil(20 * share) },
      );
    });

    it("holds a claim under its name and its id until it is ended, then gives the name away again", async (context) => {
      const store = await at(context);
      const { result: first } = await store.transact("w", (writer) =>
        writer.makeClaim("group", "films", { owner: "alice" }),
      );
      await write(store, (writer) => writer.updateClaim("group", first, { owner: "bob" }));
      const expected = { name: "films", claimId: first, value: { owner: "bob" }, writeId: "w" };
      const read = (of: (reader: RegistryReader) => unknown) => store.query(of);
      assert.deepEqual(await read((reader) => reader.claim("group", "films")), expected);
      assert.deepEqual(await read((reader) => reader.claimById("group", first)), expected);
      assert.deepEqual(await read((reader) => reader.claims("group", "f")), [expected]);
      assert.deepEqual(
        await read((reader) => reader.rival("group", "FiIms")),
        expected,
        "a name that looks like it",
      );
      assert.equal(await read((reader) => reader.claim("group", "FiIms")), undefined);
      await write(store, (writer) => writer.endClaim("group", first));
      assert.equal(await read((reader) => reader.claim("group", "films")), undefined);
      assert.equal(await read((reader) => reader.claimById("group", first)), undefined);
      const { result: second } = await store.transact("w", (writer) =>
        writer.makeClaim("group", "FiIms", { owner: "carol" }),
      );
      assert.notEqual(second, first);
      assert.deepEqual(await read((reader) => reader.keys("group", "", { limit: 9 })), ["FiIms"]);
    });

    it("shows a transaction its own writes, and nobody those of one that threw", async (context) => {
      const store = await at(context);
      const good = store.transact("w1", (writer) => {
        writer.put("torrent", "a", 1);
        return [writer.get("torrent", "a"), writer.total("live torrent")];
      });
      assert.deepEqual((await good).result, [1, 1]);
      const bad = store.transact("w2", (writer) => {
        writer.put("torrent", "a", 2);
        writer.put("torrent", "b", 2);
        throw new MiniTorrentError("NOT_A_MEMBER", "no");
      });
      await assert.rejects(bad, { code: "NOT_A_MEMBER" });
      const state = await store.query((reader) => [
        reader.get("torrent", "a"),
        reader.get("torrent", "b"),
        reader.hasWrite("w1"),
        reader.hasWrite("w2"),
        reader.total("rows"),
      ]);
      assert.deepEqual(state, [1, undefined, true, false, 1]);
    });

    it("gives back the rows that a command wrote, numbered and stamped upwards, each once", async (context) => {
      const store = await at(context);
      const records = await write(store, (writer) => {
        writer.makeClaim("user", "alice", {});
        writer.put("credential", "alice", "x");
        writer.put("device", "d", "y1");
        writer.put("device", "d", "y2");
      });
      assert.deepEqual(
        records.map(({ kind, value }) => [kind, value]),
        [
          ["user", {}],
          ["credential", "x"],
          ["device", "y2"],
        ],
      );
      const sorted = (values: readonly (string | number)[]) => [...values].sort((a, b) => (a < b ? -1 : 1));
      for (const values of [records.map(({ seq }) => seq), records.map(({ stamp }) => stamp)]) {
        assert.deepEqual(values, sorted(values));
        assert.equal(new Set<string | number>(values).size, 3);
      }
    });

    it("keeps totals of its rows, tombstones too, and none of a write that failed", async (context) => {
      const store = await at(context);
      await write(store, (writer) => {
        writer.put("torrent", "a", 1);
        writer.put("torrent", "b", 1);
      });
      await write(store, (writer) => writer.remove("torrent", "a"));
      await assert.rejects(
        write(store, (writer) => {
          writer.put("torrent", "c", 1);
          throw new Error("no");
        }),
      );
      const totals = await store.query((reader) => [
        reader.total("rows"),
        reader.total("live torrent"),
        reader.total("x"),
      ]);
      assert.deepEqual(totals, [2, 1, 0]);
    });

    it("keeps the payer of a row, and charges new ones", async (context) => {
      const store = await at(context);
      await write(store, (writer) => {
        writer.chargeTo("alice");
        writer.put("torrent", "a", 1);
        writer.put("torrent", "b", 1, "bob");
      });
      const { result } = await store.transact("w2", (writer) => {
        writer.chargeTo("carol");
        writer.put("torrent", "a", 2);
        return [
          writer.payerOf("torrent", "a"),
          writer.payerOf("torrent", "b"),
          writer.payerOf("torrent", "c"),
        ];
      });
      assert.deepEqual(result, ["alice", "bob", ""]);
    });

    it("derives entries, their lists and totals from rows, as a transaction sees them and afterwards", async (context) => {
      const store = await at(context);
      const view = (reader: RegistryReader, accountId: string) => [
        reader.derived<{ state: string }>(standingPlace("g", accountId))?.state,
        reader.listed(standingLists.membersOf("g"), { limit: 9 }).length,
        reader.listed(standingLists.requestsTo("g"), { limit: 9 }).length,
        reader.total(membersTotal("g")),
        reader.total(endedTotal("g", accountId)),
      ];
      const { result } = await store.transact("w", (writer) => {
        const alice = writer.makeClaim("user", "alice", { createdAtMs: 1 });
        const value = { state: "requested", sinceMs: 1, membershipId: "m" };
        writer.put("membership", recordKey("g", alice, "m"), value);
        return { alice, seen: view(writer, alice) };
      });
      const { alice } = result;
      assert.deepEqual(result.seen, ["requested", 0, 1, 0, 0]);
      assert.deepEqual(await store.query((reader) => view(reader, alice)), ["requested", 0, 1, 0, 0]);
      await write(store, (writer) => {
        const value = { state: "member", sinceMs: 2, membershipId: "m" };
        writer.put("membership", recordKey("g", alice, "m", "answer"), value);
      });
      assert.deepEqual(await store.query((reader) => view(reader, alice)), ["member", 1, 0, 1, 0]);
      await write(store, (writer) => {
        writer.put("revocation", recordKey("g", "m"), { accountId: alice, endedAtMs: 3 });
      });
      assert.deepEqual(await store.query((reader) => view(reader, alice)), [undefined, 0, 0, 0, 1]);
    });

    it("counts a share only as long as the membership that it was made in lasts", async (context) => {
      const store = await at(context);
      await write(store, (writer) => {
        writer.put("share", recordKey("f", "a"), { membershipId: "m1" });
        writer.put("share", recordKey("f", "b"), { membershipId: "m2" });
      });
      const counting = () =>
        store.query((reader) => reader.anchored("share", "f", { limit: 9 }).map(({ key }) => key));
      assert.equal((await counting()).length, 2);
      await write(store, (writer) =>
        writer.put("revocation", recordKey("g", "m1"), { accountId: "x", endedAtMs: 1 }),
      );
      assert.deepEqual(await counting(), [recordKey("f", "b")]);
      await write(store, (writer) => writer.put("share", recordKey("f", "a"), { membershipId: "m1" }));
      assert.deepEqual(await counting(), [recordKey("f", "b")], "also if it is written again");
      assert.equal((await store.query((reader) => reader.list("share", "f"))).length, 2);
    });

    it("refuses a key that text in UTF-8 would not give back, and the wrong shape for a kind", async (context) => {
      const store = await at(context);
      const refused = (work: (writer: RegistryWriter) => void, code: string) =>
        assert.rejects(write(store, work), { code });
      await refused((writer) => writer.put("torrent", "\ud800", 1), "INVALID_ARGUMENT");
      await refused((writer) => writer.put("torrent", "a\0b", 1), "INVALID_ARGUMENT");
      await refused((writer) => writer.put("user", "alice", 1), "INTERNAL");
      await refused((writer) => void writer.makeClaim("torrent", "alice", 1), "INTERNAL");
      await refused((writer) => writer.put("torrent", "a", undefined), "INTERNAL");
      await refused((writer) => writer.updateClaim("user", "019f5b000000-000000-x", 1), "INTERNAL");
    });

    it("keeps values and keys of any text as they were", async (context) => {
      const store = await at(context);
      const value = {
        text: "ü𝄞 \u0000 \ud800 'quoted' \\ \" \n",
        list: [1, null, true],
        deep: { z: 1, a: 2 },
      };
      await write(store, (writer) => writer.put("torrent", "k'ü𝄞\\\"", value));
      const found = await store.query((reader) => reader.get("torrent", "k'ü𝄞\\\"") as unknown);
      assert.equal(JSON.stringify(found), JSON.stringify(value));
    });

    it("gives a name to one of many commands that claim it at a time", async (context) => {
      const store = await at(context);
      const names = ["bob", "b0b", "Bob"];
      const claims = Array.from({ length: 12 }, (_, index) =>
        store.transact(`w${index}`, (writer) => {
          const name = names[index % names.length] ?? "";
          if (writer.rival("user", name) !== undefined) throw new MiniTorrentError("USER_EXISTS", "taken");
          return writer.makeClaim("user", name, { createdAtMs: index });
        }),
      );
      const settled = await Promise.allSettled(claims);
      const refusals = settled
        .filter(({ status }) => status === "rejected")
        .map((one) => (one as PromiseRejectedResult).reason);
      assert.equal(refusals.length, 11);
      for (const reason of refusals) assert.equal(reason.code, "USER_EXISTS");
      assert.deepEqual(
        await store.query((reader) => [reader.claims("user", "").length, reader.total("live user")]),
        [1, 1],
      );
    });

    it("lets commands of one group follow each other, so that none counts what another is about to add", async (context) => {
      const store = await at(context);
      const { result: group } = await store.transact("w", (writer) =>
        writer.makeClaim("group", "films", { owner: "a" }),
      );
      const joins = Array.from({ length: 12 }, (_, index) =>
        store.transact(`w${index}`, (writer) => {
          if (writer.claim("group", "films")?.claimId !== group) throw new Error("there is no group");
          if (writer.list("torrent", "").length >= 5) throw new MiniTorrentError("LIMIT_REACHED", "full");
          writer.put("torrent", String(index), 1);
        }),
      );
      const settled = await Promise.allSettled(joins);
      assert.equal(settled.filter(({ status }) => status === "fulfilled").length, 5);
      assert.equal(await store.query((reader) => reader.total("live torrent")), 5);
    });
  });
}
