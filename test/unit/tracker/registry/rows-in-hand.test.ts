// A transaction on rows in hand does what one on the table does: random writes and reads go through both, with the rules' own
// derivations, totals, look-alikes and anchors.
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { RecordTable } from "../../../../src/tracker/registry/record-table.ts";
import {
  type Anchors,
  type DerivedEntry,
  type RecordKind,
  type RegistryRecord,
  type RegistryWriter,
  recordKey,
} from "../../../../src/tracker/registry/registry.ts";
import {
  HandTransaction,
  type ReadName,
  type RowRead,
  type RowReads,
  RowsInHand,
  RowsMissing,
} from "../../../../src/tracker/registry/rows-in-hand.ts";
import { HybridClock } from "../../../../src/tracker/registry/stamp.ts";
import { Transaction } from "../../../../src/tracker/registry/transaction.ts";
import { alikeOf } from "../../../../src/tracker/rules/look-alikes.ts";
import {
  endedTotal,
  membersTotal,
  standingLists,
  standingPlace,
  standingsDerivation,
} from "../../../../src/tracker/rules/membership-index.ts";
import { shareAnchors } from "../../../../src/tracker/rules/share-anchors.ts";
import { claimTotals, registryTotals, totalsOf } from "../../../../src/tracker/rules/totals.ts";

const NOW_MS = 1_800_000_000_000;

/** A table that answers reads as the shared database does. */
function source(t: TestContext, anchors: Anchors | undefined = shareAnchors) {
  const database = new DatabaseSync(":memory:");
  t.after(() => database.close());
  database.exec("BEGIN");
  const table = new RecordTable(database, totalsOf, alikeOf, standingsDerivation, anchors);
  table.addOwnOrigin("self");
  database.exec("COMMIT");
  const clock = new HybridClock(() => NOW_MS, "self");
  const derivedRow = (place: string): DerivedEntry | undefined => {
    const row = database.prepare("SELECT value, lists, totals FROM derived WHERE place = ?").get(place);
    if (row === undefined) return undefined;
    const [value, lists, totals] = [row.value, row.lists, row.totals].map((text) => JSON.parse(String(text)));
    return { value, lists, totals };
  };
  const live = (where: string, ...values: string[]) =>
    database
      .prepare(
        `SELECT key AS name, claim_id AS claimId, value, write_id AS writeId FROM record
         WHERE claim_id <> '' AND value IS NOT NULL AND ${where} ORDER BY claim_id`,
      )
      .all(...values)
      .map((row) => ({ ...row, value: JSON.parse(String(row.value)) }));
  const answer = (read: RowRead): unknown => {
    switch (read.of) {
      case "row":
        return table.row(read.kind, read.key, read.claimId);
      case "rows":
        return table[read.isAnchored ? "anchored" : "list"](read.kind, read.prefix, read);
      case "keys":
        return table.keys(read.kind, read.prefix, read);
      case "liveClaims":
        return "alike" in read
          ? live("kind = ? AND alike = ?", read.kind, read.alike)
          : live("kind = ? AND key = ?", read.kind, read.name);
      case "claimRow":
        return table.claimRow(read.claimId);
      case "claims":
        return table.claims(read.kind, read.prefix, read);
      case "derived":
        return derivedRow(read.place);
      case "listed":
        return table.listed(read.list, read);
      case "total":
        return table.total(read.name);
      case "write":
        return table.hasWrite(read.writeId);
      case "anchorEnded":
        return database.prepare("SELECT 1 FROM ended_anchor WHERE anchor = ?").get(read.anchor) !== undefined;
    }
  };
  return { answer, clock, database, derivedRow, table };
}
type Source = ReturnType<typeof source>;

/** Runs the work, again from the beginning whenever a read is missing, as the shared registry does. */
function inHand<T>(
  one: Source,
  writeId: string,
  work: (writer: HandTransaction) => T,
  hand: RowsInHand = new RowsInHand(),
) {
  for (let runs = 1; ; runs++) {
    const transaction = new HandTransaction({
      hand,
      clock: new HybridClock(() => NOW_MS, "self", one.clock.latest),
      origin: "self",
      firstSeq: one.table.seqOf("self") + 1,
      writeId,
      totalsOf,
      alikeOf,
      derivation: standingsDerivation,
      anchors: shareAnchors,
    });
    try {
      const result = work(transaction);
      return { result, changes: transaction.end(), runs };
    } catch (error) {
      if (!(error instanceof RowsMissing)) throw error;
      hand.give(error.read, one.answer(error.read));
    }
  }
}

/** Has every read as soon as it is asked for: so many that running again for each would take minutes. */
class AllInHand extends RowsInHand {
  readonly #one: Source;

  constructor(one: Source) {
    super();
    this.#one = one;
  }

  override ask<N extends ReadName>(of: N, read: RowReads[N]["read"]): RowReads[N]["answer"] {
    try {
      return super.ask(of, read);
    } catch (error) {
      if (!(error instanceof RowsMissing)) throw error;
      this.give(error.read, this.#one.answer(error.read));
      return super.ask(of, read);
    }
  }
}

/** The same in the table, committed. */
function inTable<T>(
  { clock, database, table }: Source,
  writeId: string,
  work: (writer: RegistryWriter) => T,
) {
  database.exec("BEGIN");
  const before = table.snapshot();
  const transaction = new Transaction(table, clock, "self", writeId);
  const result = work(transaction);
  const records = transaction.end();
  table.save(before);
  database.exec("COMMIT");
  return { result, records };
}

const GROUPS = ["g1", "g2"];
const ACCOUNTS = ["a1", "a2", "a3"];
/** Two of them look alike; one sorts by code points alone after another. */
const NAMES = ["bob", "b0b", "Bob", "carol", "\u{ffff}", "\u{10ffff}"];
const KINDS: readonly RecordKind[] = ["share", "membership", "torrent"];

type Step = (writer: RegistryWriter, made: string[]) => unknown;

const pageArbitrary = fc.record(
  {
    after: fc.option(fc.constantFrom(...NAMES, "a", "g1"), { nil: undefined }),
    limit: fc.integer({ min: 1, max: 4 }),
  },
  { requiredKeys: ["limit"] },
);
const membershipArbitrary = fc.record({
  state: fc.constantFrom("requested", "member", "rejected", "replaced"),
  sinceMs: fc.integer({ min: 0, max: 3 }),
  membershipId: fc.constantFrom("m1", "m2"),
});
const shareArbitrary = fc.oneof(
  fc.record({ membershipId: fc.constantFrom("m1", "m2") }),
  fc.constant({ membershipId: "m1", withdrawnAtMs: 1 }),
  fc.constant("malformed"),
);

const step: fc.Arbitrary<Step> = fc.oneof(
  fc
    .tuple(fc.constantFrom<RecordKind>("user", "group", "file"), fc.constantFrom(...NAMES), fc.nat(3))
    .map<Step>(([kind, name, ownerAccountId]) => (writer, made) => {
      if (writer.rival(kind, name) === undefined)
        made.push(`${kind} ${writer.makeClaim(kind, name, { ownerAccountId })}`);
      return made.at(-1);
    }),
  fc.nat(5).map<Step>((index) => (writer, made) => {
    const [kind, claimId = ""] = (made[index] ?? "").split(" ");
    if (claimId !== "") writer.endClaim(kind as RecordKind, claimId);
  }),
  fc.tuple(fc.nat(5), fc.nat(9)).map<Step>(([index, value]) => (writer, made) => {
    const [kind, claimId = ""] = (made[index] ?? "").split(" ");
    if (claimId !== "" && writer.claimById(kind as RecordKind, claimId) !== undefined) {
      writer.updateClaim(kind as RecordKind, claimId, { ownerAccountId: value });
    }
  }),
  fc
    .tuple(fc.constantFrom(...GROUPS), fc.nat(2), membershipArbitrary, fc.boolean())
    .map<Step>(([group, account, value, isAnswer]) => (writer, made) => {
      const accountId = made.find((claim) => claim.startsWith("user "))?.slice(5) ?? ACCOUNTS[account] ?? "";
      const key = [group, accountId, value.membershipId, ...(isAnswer ? ["answer"] : [])];
      writer.put("membership", recordKey(...key), value);
    }),
  fc
    .tuple(fc.constantFrom(...GROUPS), fc.constantFrom("m1", "m2"), fc.constantFrom(...ACCOUNTS), fc.nat(4))
    .map<Step>(([group, membershipId, accountId, endedAtMs]) => (writer) => {
      writer.put("revocation", recordKey(group, membershipId), { accountId, endedAtMs });
    }),
  fc
    .tuple(
      fc.constantFrom(...NAMES),
      shareArbitrary,
      fc.constantFrom(undefined, "payer", recordKey("a1", "n")),
    )
    .map<Step>(([key, value, payer]) => (writer) => {
      if (payer !== undefined) writer.chargeTo(payer);
      writer.put("share", key, value);
    }),
  fc.constantFrom(...NAMES).map<Step>((key) => (writer) => writer.remove("share", key)),
  // Reads.
  fc
    .tuple(fc.constantFrom(...KINDS), fc.constantFrom("", "b", "g1", "\u{ffff}"), pageArbitrary)
    .map<Step>(([kind, prefix, page]) => (writer) => {
      const inRange = page.after?.startsWith(prefix) === false ? { limit: page.limit } : page;
      return [
        writer.list(kind, prefix, inRange),
        writer.list(kind, prefix),
        writer.keys(kind, prefix, inRange),
      ];
    }),
  fc
    .tuple(fc.constantFrom<RecordKind>("user", "group", "file"), fc.constantFrom("", "b", "B"), pageArbitrary)
    .map<Step>(([kind, prefix, page]) => (writer) => {
      const inRange = page.after?.startsWith(prefix) === false ? { limit: page.limit } : page;
      return [
        writer.claims(kind, prefix, inRange),
        writer.claims(kind, prefix),
        writer.keys(kind, prefix, inRange),
      ];
    }),
  fc
    .constantFrom(...NAMES)
    .map<Step>((name) => (writer, made) => [
      writer.claim("user", name),
      writer.rival("user", name),
      writer.get("share", name),
      writer.payerOf("share", name),
      made.map((claim) => writer.claimById("user", claim.split(" ")[1] ?? "")),
    ]),
  fc
    .tuple(fc.constantFrom(...GROUPS), fc.constantFrom(...ACCOUNTS), fc.nat(4), fc.boolean())
    .map<Step>(([group, accountId, limit, isDescending]) => (writer) => [
      writer.derived(standingPlace(group, accountId)),
      writer.listed(standingLists.membersOf(group), { limit: limit + 1, isDescending }),
      writer.listed(standingLists.pairsOf(accountId), { limit: 10, after: "g1", isDescending }),
      writer.listed(standingLists.endedIn(group), { limit: 10 }),
      writer.total(membersTotal(group)),
      writer.total(endedTotal(group, accountId)),
      writer.total(claimTotals.user),
      writer.total(registryTotals.bytes),
      // Of an earlier command: a transaction that writes over all of its rows still finds it in hand.
      writer.hasWrite("none"),
    ]),
);

test("random transactions read and write the same in hand and in the table", (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.array(step, { minLength: 1, maxLength: 8 }), { maxLength: 6 }),
      (transactions) => {
        const one = source(t);
        let made: string[] = [];
        for (const [index, steps] of transactions.entries()) {
          const run = (writer: RegistryWriter) => {
            const after = [...made];
            const read = steps.map((act) =>
              JSON.stringify([act(writer, after), writer.hasWrite(`w${index}`)]),
            );
            return { read, after };
          };
          const totalsBefore = new Map(allTotals(one));
          const derivedBefore = new Map(allDerived(one));
          const hand = inHand(one, `w${index}`, run, new AllInHand(one));
          const table = inTable(one, `w${index}`, run);
          assert.deepEqual(hand.result.read, table.result.read);
          assert.deepEqual(hand.changes.records, table.records);
          for (const [name, amount] of hand.changes.totals) {
            totalsBefore.set(name, (totalsBefore.get(name) ?? 0) + amount);
          }
          assert.deepEqual(withoutZeros(totalsBefore), withoutZeros(new Map(allTotals(one))));
          for (const { place, now } of hand.changes.derived) {
            if (now === undefined) derivedBefore.delete(place);
            else derivedBefore.set(place, now);
          }
          assert.deepEqual(sorted(derivedBefore), sorted(new Map(allDerived(one))));
          for (const record of hand.changes.records)
            assert.equal(hand.changes.anchorOf(record), storedAnchor(one, record));
          made = table.result.after;
        }
      },
    ),
    { numRuns: 100 },
  );
});

function allTotals({ database }: Source): [string, number][] {
  const rows = database.prepare("SELECT name, amount FROM total").all();
  return rows.map(({ name, amount }) => [String(name), Number(amount)]);
}

function allDerived({ database, derivedRow }: Source): [string, DerivedEntry][] {
  const rows = database.prepare("SELECT place FROM derived").all();
  return rows.map(({ place }) => [String(place), derivedRow(String(place)) as DerivedEntry]);
}

function storedAnchor({ database }: Source, { kind, key, claimId }: RegistryRecord): string {
  const row = database
    .prepare("SELECT anchor FROM record WHERE kind = ? AND key = ? AND claim_id = ?")
    .get(kind, key, claimId);
  return String(row?.anchor);
}

function sorted<V>(map: ReadonlyMap<string, V>): [string, V][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

function withoutZeros(totals: ReadonlyMap<string, number>): [string, number][] {
  return sorted(totals).filter(([, amount]) => amount !== 0);
}

test("a rule runs once more for each read that is not in hand, and once where all are", (t) => {
  const one = source(t);
  inTable(one, "w", (writer) => writer.put("share", "a", 1));
  const rule = (reader: HandTransaction) => [reader.get("share", "a"), reader.get("share", "b")];
  const { result, runs } = inHand(one, "w2", rule);
  assert.deepEqual([result, runs], [[1, undefined], 3]);
});

test("a missing read is named, so that it can be fetched", () => {
  const hand = new RowsInHand();
  const read = { of: "total", name: "users" } as const;
  assert.throws(
    () => hand.ask("total", { name: "users" }),
    (error) => error instanceof RowsMissing && JSON.stringify(error.read) === JSON.stringify(read),
  );
  hand.give(read, 0);
  assert.equal(hand.ask("total", { name: "users" }), 0);
  hand.give({ of: "row", kind: "share", key: "a", claimId: "" }, undefined);
  assert.equal(hand.ask("row", { claimId: "", kind: "share", key: "a" }), undefined, "in whatever order");
});

test("the wrong shape for a kind, a bad key and a write after the end are refused", (t) => {
  const one = source(t);
  const refused = (work: (writer: HandTransaction) => void, code: string) =>
    assert.throws(() => inHand(one, "w", work), { code });
  refused((writer) => writer.put("share", "\ud800", 1), "INVALID_ARGUMENT");
  refused((writer) => writer.put("share", "a\0b", 1), "INVALID_ARGUMENT");
  refused((writer) => writer.put("user", "alice", 1), "INTERNAL");
  refused((writer) => void writer.makeClaim("share", "alice", 1), "INTERNAL");
  refused((writer) => writer.put("share", "a", undefined), "INTERNAL");
  const unknown = one.clock.next();
  refused((writer) => writer.updateClaim("user", unknown, 1), "INTERNAL");
  let ended: HandTransaction | undefined;
  inHand(one, "w", (writer) => {
    ended = writer;
    writer.get("share", "a");
  });
  assert.throws(() => ended?.remove("share", "zzz"), RowsMissing);
  const { changes } = inHand(one, "w", (writer) => writer.put("share", "a", 1));
  assert.equal(changes.records.length, 1);
});

test("a row stamped by a clock far ahead is replaced by one just after it", (t) => {
  const one = source(t);
  const ahead = new HybridClock(() => NOW_MS + 1e9, "other").next();
  one.database.exec("BEGIN");
  one.table.store({
    ...{ kind: "share", key: "a", claimId: "", value: 1, stamp: ahead },
    ...{ origin: "other", seq: 1, writeId: "w" },
  });
  one.database.exec("COMMIT");
  const { changes } = inHand(one, "w2", (writer) => writer.put("share", "a", 2));
  assert.ok((changes.records[0]?.stamp ?? "") > ahead);
});
