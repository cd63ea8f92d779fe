// A transaction on rows that were fetched before: rules stay synchronous where the registry is in a database that answers later.
// The rule runs on what is in hand. A read that is missing throws `RowsMissing`; its caller fetches it and runs the rule again,
// from the beginning. Reads see what the transaction wrote before, in rows, derived entries and totals. It opens nothing and
// sends nothing: `end` gives what has to be written.
import { checkPlace, misuse } from "./keys.ts";
import { rowSizeBytes } from "./record-table.ts";
import type { RecordValues } from "./record-values.ts";
import {
  type AlikeOf,
  type Anchors,
  type Claim,
  type Derivation,
  type DerivationReader,
  type DerivedEntry,
  type KeyPage,
  type OriginId,
  type Page,
  type RecordKind,
  type RegistryRecord,
  type RegistryWriter,
  recordKinds,
  type Stamp,
  type TotalsOf,
} from "./registry.ts";
import { type HybridClock, stampAfter } from "./stamp.ts";

/** A read of the registry as it was before the transaction, and its answer. */
export interface RowReads {
  /** The row in that place, tombstone or not. */
  row: {
    read: { kind: RecordKind; key: string; claimId: Stamp | "" };
    answer: RegistryRecord | undefined;
  };
  /** Live `latest` rows by key; `isAnchored`: those that count (see `RegistryReader.anchored`). */
  rows: {
    read: { kind: RecordKind; prefix: string; after?: string; limit: number; isAnchored: boolean };
    answer: readonly { key: string; value: unknown }[];
  };
  /** Keys of live rows, or names of live claims, once each. */
  keys: {
    read: { kind: RecordKind; prefix: string; after?: string; limit: number };
    answer: readonly string[];
  };
  /** Live claims on that name; with `alike` on all names that count as the same. */
  liveClaims: {
    read: { kind: RecordKind; name: string } | { kind: RecordKind; alike: string };
    answer: readonly LiveClaim[];
  };
  /** The row of the claim with that id, tombstone or not. */
  claimRow: { read: { kind: RecordKind; claimId: Stamp }; answer: RegistryRecord | undefined };
  /** Claims that stand, by name. */
  claims: {
    read: { kind: RecordKind; prefix: string; after?: string; limit: number };
    answer: readonly LiveClaim[];
  };
  derived: { read: { place: string }; answer: DerivedEntry | undefined };
  listed: {
    read: { list: string; after?: string; limit: number; isDescending: boolean };
    answer: readonly ListedEntry[];
  };
  total: { read: { name: string }; answer: number };
  /** Whether a row of that command is there. */
  write: { read: { writeId: string }; answer: boolean };
  anchorEnded: { read: { anchor: string }; answer: boolean };
}
export type ReadName = keyof RowReads;
export type RowRead = { [N in ReadName]: { readonly of: N } & Readonly<RowReads[N]["read"]> }[ReadName];

export type LiveClaim = Claim<unknown>;
interface ListedEntry {
  readonly sort: string;
  readonly place: string;
  readonly value: unknown;
}

/** A rule needs a read that is not in hand. */
export class RowsMissing extends Error {
  readonly read: RowRead;

  constructor(read: RowRead) {
    super(`the read ${JSON.stringify(read)} is not in hand`);
    this.read = read;
  }
}

/** What was fetched so far. It is one state of the database: fetched in one transaction, and used up in it. */
export class RowsInHand {
  readonly #answers = new Map<string, unknown>();

  give(read: RowRead, answer: unknown): void {
    this.#answers.set(keyOf(read), answer);
  }

  /** @throws RowsMissing */
  ask<N extends ReadName>(of: N, read: RowReads[N]["read"]): RowReads[N]["answer"] {
    const asked = { of, ...read } as RowRead;
    const key = keyOf(asked);
    if (!this.#answers.has(key)) throw new RowsMissing(asked);
    return this.#answers.get(key) as RowReads[N]["answer"];
  }
}

function keyOf(read: RowRead): string {
  return JSON.stringify(Object.entries(read).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What a transaction changes. */
export interface HandChanges {
  /** In order of seq. */
  readonly records: readonly RegistryRecord[];
  /** Derived entries that are new, changed or gone. */
  readonly derived: readonly {
    place: string;
    before: DerivedEntry | undefined;
    now: DerivedEntry | undefined;
  }[];
  readonly totals: ReadonlyMap<string, number>;
  /** Anchors that ended: rows that have them count for nothing. */
  readonly endedAnchors: readonly string[];
  /** The anchor of a written row; empty if it has none, or its anchor has ended. */
  anchorOf(record: RegistryRecord): string;
}

export interface HandOptions {
  readonly hand: RowsInHand;
  readonly clock: Pick<HybridClock, "next">;
  readonly origin: OriginId;
  /** The number of its first row. */
  readonly firstSeq: number;
  readonly writeId: string;
  readonly isRetry?: boolean;
  readonly totalsOf: TotalsOf;
  readonly alikeOf: AlikeOf;
  readonly derivation?: Derivation | undefined;
  readonly anchors?: Anchors | undefined;
}

interface DerivedChange {
  readonly before: DerivedEntry | undefined;
  readonly now: DerivedEntry | undefined;
}

export class HandTransaction implements RegistryWriter, DerivationReader {
  readonly #options: HandOptions;
  readonly #hand: RowsInHand;
  /** By place. */
  readonly #records = new Map<string, RegistryRecord>();
  readonly #derived = new Map<string, DerivedChange>();
  readonly #totals = new Map<string, number>();
  readonly #endedAnchors = new Set<string>();
  #payer = "";
  #hasEnded = false;

  constructor(options: HandOptions) {
    this.#options = options;
    this.#hand = options.hand;
  }

  /** Ends the transaction; it may still throw `RowsMissing`. */
  end(): HandChanges {
    this.#hasEnded = true;
    const records = [...this.#records.values()].sort((a, b) => a.seq - b.seq);
    const anchors = new Map(records.map((record) => [record, this.#anchorOf(record)]));
    return {
      records,
      derived: [...this.#derived].map(([place, change]) => ({ place, ...change })),
      totals: this.#totals,
      endedAnchors: [...this.#endedAnchors],
      anchorOf: (record) => anchors.get(record) ?? "",
    };
  }

  get<K extends RecordKind>(kind: K, key: string): RecordValues[K] | undefined {
    return this.#row(kind, key, "")?.value as RecordValues[K] | undefined;
  }

  list<K extends RecordKind>(
    kind: K,
    prefix: string,
    page: Partial<KeyPage> = {},
  ): readonly { key: string; value: RecordValues[K] }[] {
    return this.#range(kind, prefix, page, false);
  }

  anchored<K extends RecordKind>(
    kind: K,
    prefix: string,
    page: KeyPage,
  ): readonly { key: string; value: RecordValues[K] }[] {
    return this.#range(kind, prefix, page, this.#options.anchors !== undefined);
  }

  #range<K extends RecordKind>(
    kind: K,
    prefix: string,
    { after, limit = Number.POSITIVE_INFINITY }: Partial<KeyPage>,
    isAnchored: boolean,
  ): readonly { key: string; value: RecordValues[K] }[] {
    const own = this.#ownIn(kind, prefix, after);
    // As many more as own writes may have taken out of what is fetched.
    const read = { kind, prefix, ...afterOf(after), limit: limit + own.length, isAnchored };
    const found = new Map(this.#hand.ask("rows", read).map(({ key, value }) => [key, value]));
    for (const record of own) {
      const counts = record.value !== undefined && (!isAnchored || this.#anchorOf(record) !== "");
      if (counts) found.set(record.key, record.value);
      else found.delete(record.key);
    }
    const sorted = [...found].sort(([a], [b]) => compareTexts(a, b)).slice(0, limit);
    return sorted.map(([key, value]) => ({ key, value: value as RecordValues[K] }));
  }

  keys(kind: RecordKind, prefix: string, { after, limit }: KeyPage): readonly string[] {
    const touched = new Set(this.#ownIn(kind, prefix, after).map(({ key }) => key));
    const read = { kind, prefix, ...afterOf(after), limit: limit + touched.size };
    const found = new Set(this.#hand.ask("keys", read));
    for (const key of touched) {
      const isLive =
        recordKinds[kind] === "claim" ? this.#isHeld(kind, key) : this.get(kind, key) !== undefined;
      if (isLive) found.add(key);
      else found.delete(key);
    }
    return [...found].sort(compareTexts).slice(0, limit);
  }

  claim<K extends RecordKind>(kind: K, name: string): Claim<RecordValues[K]> | undefined {
    const standing = this.rival(kind, name);
    return standing?.name === name ? standing : undefined;
  }

  rival<K extends RecordKind>(kind: K, name: string): Claim<RecordValues[K]> | undefined {
    return this.#live(kind, name)[0] as Claim<RecordValues[K]> | undefined;
  }

  claimById<K extends RecordKind>(kind: K, claimId: Stamp): Claim<RecordValues[K]> | undefined {
    const name = this.#nameOfLiveClaim(kind, claimId);
    const standing = name === undefined ? undefined : this.rival(kind, name);
    return standing?.claimId === claimId ? standing : undefined;
  }

  claims<K extends RecordKind>(
    kind: K,
    prefix: string,
    { after, limit = Number.POSITIVE_INFINITY }: Partial<KeyPage> = {},
  ): readonly Claim<RecordValues[K]>[] {
    // A claim that begins or ends decides whether claims on names like it stand.
    const own = [...this.#records.values()].filter((record) => record.kind === kind);
    const affected = new Set(
      own.flatMap(({ key }) => [key, ...this.#live(kind, key).map(({ name }) => name)]),
    );
    const isInRange = (name: string) =>
      name.startsWith(prefix) && (after === undefined || compareTexts(name, after) > 0);
    const read = { kind, prefix, ...afterOf(after), limit: limit + affected.size };
    const found = new Map(this.#hand.ask("claims", read).map((claim) => [claim.name, claim]));
    for (const name of affected) {
      const standing = isInRange(name) ? this.claim(kind, name) : undefined;
      if (standing === undefined) found.delete(name);
      else found.set(name, standing);
    }
    const sorted = [...found.values()].sort((a, b) => compareTexts(a.name, b.name));
    return sorted.slice(0, limit) as Claim<RecordValues[K]>[];
  }

  liveClaims(kind: RecordKind, name: string): readonly Stamp[] {
    return this.#live(kind, name).map(({ claimId }) => claimId);
  }

  derived<V>(place: string): V | undefined {
    return this.#entry(place)?.value as V | undefined;
  }

  listed<V>(
    list: string,
    { after, limit, isDescending = false }: Page,
  ): readonly { sort: string; place: string; value: V }[] {
    const changes = [...this.#derived];
    const isGone = new Map(changes.map(([place, { before }]) => [place, before?.lists[list]]));
    const read = { list, ...afterOf(after), limit: limit + changes.length, isDescending };
    const found = this.#hand.ask("listed", read).filter(({ place, sort }) => isGone.get(place) !== sort);
    for (const [place, { now }] of changes) {
      const sort = now?.lists[list];
      if (now === undefined || sort === undefined) continue;
      const order = after === undefined ? 0 : compareTexts(sort, after);
      if (after !== undefined && (isDescending ? order >= 0 : order <= 0)) continue;
      found.push({ sort, place, value: now.value });
    }
    const direction = isDescending ? -1 : 1;
    const sorted = found.sort((a, b) => direction * compareTexts(a.sort, b.sort)).slice(0, limit);
    return sorted as { sort: string; place: string; value: V }[];
  }

  total(name: string): number {
    return this.#hand.ask("total", { name }) + (this.#totals.get(name) ?? 0);
  }

  hasWrite(writeId: string): boolean {
    const isOwn = writeId === this.#options.writeId && this.#records.size > 0;
    return isOwn || this.#hand.ask("write", { writeId });
  }

  chargeTo(payer: string): void {
    this.#payer = payer;
  }

  payerOf(kind: RecordKind, key: string): string {
    return this.#row(kind, key, "")?.paidBy ?? "";
  }

  makeClaim(kind: RecordKind, name: string, value: unknown): Stamp {
    const stamp = this.#options.clock.next();
    this.#write(kind, name, stamp, value, { stamp });
    return stamp;
  }

  updateClaim(kind: RecordKind, claimId: Stamp, value: unknown): void {
    const name = this.#nameOfLiveClaim(kind, claimId);
    if (name === undefined) throw misuse(`there is no live ${kind} claim ${claimId} to update`);
    this.#write(kind, name, claimId, value);
  }

  endClaim(kind: RecordKind, claimId: Stamp): void {
    const name = this.#nameOfLiveClaim(kind, claimId);
    if (name !== undefined) this.#write(kind, name, claimId, undefined);
  }

  put(kind: RecordKind, key: string, value: unknown, payer = this.#payer): void {
    if (value === undefined) throw misuse(`a ${kind} needs a value; remove takes it away`);
    this.#write(kind, key, "", value, { payer });
  }

  remove(kind: RecordKind, key: string): void {
    if (this.get(kind, key) !== undefined) this.#write(kind, key, "", undefined);
  }

  #write(
    kind: RecordKind,
    key: string,
    claimId: Stamp | "",
    value: unknown,
    { payer = this.#payer, stamp }: { payer?: string; stamp?: Stamp } = {},
  ): void {
    if (this.#hasEnded) throw misuse("the transaction is over");
    checkPlace(kind, key, claimId);
    const { clock, firstSeq, isRetry, origin, writeId } = this.#options;
    const place = placeOf(kind, key, claimId);
    const before = this.#row(kind, key, claimId);
    const now = stamp ?? clock.next();
    const paidBy = before === undefined ? payer : (before.paidBy ?? "");
    const record: RegistryRecord = {
      kind,
      key,
      claimId,
      // As JSON keeps it; a copy, so that the caller may change its own later.
      value: value === undefined ? undefined : JSON.parse(JSON.stringify(value)),
      // A row stamped by a clock far ahead is replaced by one just after it.
      stamp: before !== undefined && before.stamp >= now ? stampAfter(before.stamp, origin) : now,
      origin,
      seq: this.#records.get(place)?.seq ?? firstSeq + this.#records.size,
      writeId,
      ...(isRetry === true ? { isRetry: true } : {}),
      ...(paidBy === "" ? {} : { paidBy }),
    };
    this.#records.set(place, record);
    if (before !== undefined) this.#addToTotals(before, -1);
    this.#addToTotals(record, 1);
    const ended = value === undefined ? undefined : this.#options.anchors?.endedBy(record);
    if (ended !== undefined) this.#endedAnchors.add(ended);
    this.#derive(record, before);
  }

  /** Updates the entries derived from a written row and from the one that it replaced. */
  #derive(record: RegistryRecord, replaced: RegistryRecord | undefined): void {
    const { derivation } = this.#options;
    if (derivation === undefined || !derivation.kinds.includes(record.kind)) return;
    const places = new Set(derivation.placesOf(this, record));
    for (const place of replaced === undefined ? [] : derivation.placesOf(this, replaced)) places.add(place);
    for (const place of places) {
      const standing = this.#entry(place);
      const now = derivation.entryOf(this, place);
      if (JSON.stringify(standing) === JSON.stringify(now)) continue;
      const known = this.#derived.get(place);
      this.#derived.set(place, { before: known === undefined ? standing : known.before, now });
      if (standing !== undefined) this.#addAmounts(standing.totals, -1);
      if (now !== undefined) this.#addAmounts(now.totals, 1);
    }
  }

  #entry(place: string): DerivedEntry | undefined {
    const change = this.#derived.get(place);
    return change === undefined ? this.#hand.ask("derived", { place }) : change.now;
  }

  #row(kind: RecordKind, key: string, claimId: Stamp | ""): RegistryRecord | undefined {
    return this.#records.get(placeOf(kind, key, claimId)) ?? this.#hand.ask("row", { kind, key, claimId });
  }

  /** Own rows of a range of keys or names. */
  #ownIn(kind: RecordKind, prefix: string, after: string | undefined): RegistryRecord[] {
    return [...this.#records.values()].filter(
      ({ kind: ofKind, key }) =>
        ofKind === kind && key.startsWith(prefix) && (after === undefined || compareTexts(key, after) > 0),
    );
  }

  /** All live claims on a name and on those that count as the same, lowest id first. */
  #live(kind: RecordKind, name: string): LiveClaim[] {
    const { alikeOf } = this.#options;
    const alike = alikeOf(kind, name);
    const before = this.#hand.ask("liveClaims", alike === "" ? { kind, name } : { kind, alike });
    const found = new Map(before.map((claim) => [claim.claimId, claim]));
    for (const record of this.#records.values()) {
      const isAlike = alike === "" ? record.key === name : alikeOf(kind, record.key) === alike;
      if (record.kind !== kind || !isAlike) continue;
      const { key, claimId, value, writeId } = record;
      if (value === undefined) found.delete(claimId);
      else found.set(claimId, { name: key, claimId, value, writeId });
    }
    return [...found.values()].sort((a, b) => (a.claimId < b.claimId ? -1 : 1));
  }

  #isHeld(kind: RecordKind, name: string): boolean {
    return this.#live(kind, name).some((claim) => claim.name === name);
  }

  #nameOfLiveClaim(kind: RecordKind, claimId: Stamp): string | undefined {
    for (const record of this.#records.values()) {
      if (record.kind === kind && record.claimId === claimId) {
        return record.value === undefined ? undefined : record.key;
      }
    }
    const row = this.#hand.ask("claimRow", { kind, claimId });
    return row?.value === undefined ? undefined : row.key;
  }

  #anchorOf(record: RegistryRecord): string {
    const anchor = record.value === undefined ? "" : (this.#options.anchors?.anchorOf(record) ?? "");
    if (anchor === "" || this.#endedAnchors.has(anchor)) return "";
    return this.#hand.ask("anchorEnded", { anchor }) ? "" : anchor;
  }

  #addToTotals(row: RegistryRecord, times: 1 | -1): void {
    this.#addAmounts(this.#options.totalsOf(row, rowSizeBytes(row)), times);
  }

  #addAmounts(amounts: Readonly<Record<string, number>>, times: 1 | -1): void {
    for (const [name, amount] of Object.entries(amounts)) {
      this.#totals.set(name, (this.#totals.get(name) ?? 0) + times * amount);
    }
  }
}

function placeOf(kind: RecordKind, key: string, claimId: Stamp | ""): string {
  return JSON.stringify([kind, key, claimId]);
}

function afterOf(after: string | undefined): { after?: string } {
  return after === undefined ? {} : { after };
}

/** By code points, as databases compare UTF-8. */
function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  // Surrogates come before U+E000 to U+FFFF in UTF-16, and after them in UTF-8.
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
