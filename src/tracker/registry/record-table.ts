// The registry's rows in SQLite: every read is an index lookup, whatever the number of rows. Keeps the digest and the
// version vector as rows come and go. It begins and ends no transaction (see sqlite-registry.ts).

import { hash } from "node:crypto";
import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import { MiniTorrentError } from "../../api/errors.ts";
import { endOfPrefix } from "./keys.ts";
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
  type RecordPlace,
  type RegistryRecord,
  type RevisedReader,
  recordKey,
  recordKinds,
  type Stamp,
  type TotalsOf,
  type VersionVector,
} from "./registry.ts";

/** Revisions remembered for each kind, for caches that follow writes (known-members.ts): some 150 bytes each. */
const PLACES_REMEMBERED = 2_000;
const SCHEMA_VERSION = 9;
const SCHEMA = `
  CREATE TABLE record (
    kind TEXT NOT NULL, key TEXT NOT NULL, claim_id TEXT NOT NULL, value TEXT, stamp TEXT NOT NULL,
    origin TEXT NOT NULL, seq INTEGER NOT NULL, write_id TEXT NOT NULL, is_retry INTEGER NOT NULL,
    paid_by TEXT NOT NULL, alike TEXT NOT NULL, anchor TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX record_place ON record (kind, key, claim_id);
  CREATE INDEX record_live ON record (kind, key, claim_id) WHERE value IS NOT NULL;
  CREATE INDEX record_claim ON record (kind, claim_id) WHERE claim_id <> '';
  CREATE INDEX record_alike ON record (kind, alike, claim_id) WHERE alike <> '' AND value IS NOT NULL;
  CREATE INDEX record_anchored ON record (kind, key) WHERE anchor <> '';
  CREATE INDEX record_anchor ON record (anchor) WHERE anchor <> '';
  CREATE INDEX record_history ON record (origin, seq);
  CREATE INDEX record_write ON record (write_id);
  CREATE TABLE version (origin TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE own_origin (origin TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
  CREATE TABLE pending_claim (claim_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
  CREATE TABLE ended_anchor (anchor TEXT PRIMARY KEY, is_left INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX ended_anchor_left ON ended_anchor (anchor) WHERE is_left = 1;
  CREATE TABLE total (name TEXT PRIMARY KEY, amount INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${SCHEMA_VERSION};
`;
/**
 * Entries of a derivation, and their lists. They follow from the rows, and are rebuilt when they are missing
 * or of another version.
 */
const DERIVED_SCHEMA = `
  CREATE TABLE IF NOT EXISTS derived (
    place TEXT PRIMARY KEY, value TEXT NOT NULL, lists TEXT NOT NULL, totals TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS listed (
    list TEXT NOT NULL, sort TEXT NOT NULL, place TEXT NOT NULL, PRIMARY KEY (list, sort)
  ) STRICT, WITHOUT ROWID;
`;
const COLUMNS = "kind, key, claim_id, value, stamp, origin, seq, write_id, is_retry, paid_by";
/**
 * Overhead of a row in the file beside its key and value: stamp, origin, numbers, a write id of 36 characters, and its
 * entries in the indexes of history and writes. Measured with 20,000 rows of each kind: a test holds it within a sixth.
 */
const ROW_OVERHEAD_BYTES = 290;
/** Rows that are taken out at once when their anchor ends; others later, since a member may have shared thousands of files. */
const ANCHORED_DROPPED_AT_ONCE = 20;
/** The digest is a sum of row hashes in this ring, so that rows can be added and taken out in any order. */
const DIGEST_BITS = 256;
/** `since` stops at about this many bytes of values: a chunk of file rows must not become a message of 100 MB. */
const MAX_SINCE_BYTES = 1024 * 1024;
/** SQLite's `LIMIT` for no limit. */
const NO_LIMIT = -1;
/** In SQLite's order every blob comes after every text: no upper bound. */
const AFTER_ALL_TEXT = new Uint8Array(0);

/** True for a claim `r` if no earlier live claim is on a name that counts as the same. */
const HAS_NO_RIVAL = `(r.alike = '' OR NOT EXISTS (
  SELECT 1 FROM record AS rival INDEXED BY record_alike WHERE rival.kind = r.kind AND rival.alike = r.alike
    AND rival.alike <> '' AND rival.value IS NOT NULL AND rival.claim_id < r.claim_id))`;

const CLAIM_KINDS: readonly RecordKind[] = ["user", "group", "file"];

/** The state that the table keeps in memory, which a rollback must restore. */
export interface TableSnapshot {
  readonly vector: ReadonlyMap<OriginId, number>;
  readonly digest: bigint;
  readonly totalChanges: ReadonlyMap<string, number>;
  readonly check: RowCheck | undefined;
  readonly revisions: ReadonlyMap<RecordKind, number>;
}

/** A check of every row in turn, concurrent with writes. */
interface RowCheck {
  /** `digest` covers the rows up to this one, in their current state. */
  readonly upToRowid: number;
  readonly digest: bigint;
}

type Row = Record<string, SQLOutputValue>;
/** `incomplete`: why acknowledged rows are missing (see SqliteRegistry.incomplete). */
type StateName = "digest" | "clock" | "incomplete" | "derivation" | `note ${string}`;

export class RecordTable implements RevisedReader, DerivationReader {
  readonly #statements: ReturnType<typeof prepare>;
  readonly #totalsOf: TotalsOf;
  readonly #alikeOf: AlikeOf;
  readonly #derivation: Derivation | undefined;
  readonly #anchors: Anchors | undefined;
  #hasAnchoredLeft: boolean;
  /** Has an entry, perhaps 0, for every origin that any row has. */
  #vector: Map<OriginId, number>;
  #digest: bigint;
  /** What the open transaction adds to each total: many of its rows add to the same one. */
  #totalChanges = new Map<string, number>();
  readonly #revisions = new Map<RecordKind, number>();
  /** By kind: keys written by its latest revisions, oldest first. */
  readonly #places = new Map<RecordKind, RecordPlace[]>();
  #check: RowCheck | undefined;

  /** Makes the tables if there are none; the caller has begun a transaction. */
  constructor(
    database: DatabaseSync,
    totalsOf: TotalsOf,
    alikeOf: AlikeOf,
    derivation?: Derivation,
    anchors?: Anchors,
  ) {
    this.#totalsOf = totalsOf;
    this.#anchors = anchors;
    this.#alikeOf = alikeOf;
    this.#derivation = derivation;
    const version = database.prepare("PRAGMA user_version").get()?.user_version;
    if (version === 0) database.exec(SCHEMA);
    else if (version !== SCHEMA_VERSION) {
      throw new MiniTorrentError(
        "DISK_FAILED",
        "The registry was written by another version of miniTorrent; run that version, or start with an empty data directory " +
          "while a tracker of this version serves.",
      );
    }
    database.exec(DERIVED_SCHEMA);
    this.#statements = prepare(database);
    this.#hasAnchoredLeft = this.#statements.endedAnchorLeft.get() !== undefined;
    this.#vector = new Map();
    for (const row of this.#statements.versions.iterate()) this.#vector.set(text(row.origin), count(row.seq));
    this.#digest = BigInt(`0x${this.state("digest") ?? "0"}`);
    if (derivation !== undefined && this.state("derivation") !== String(derivation.version)) {
      this.#deriveAll(derivation);
    }
  }

  get<K extends RecordKind>(kind: K, key: string): RecordValues[K] | undefined {
    const row = this.#statements.place.get(kind, key, "");
    return typeof row?.value === "string" ? parse(row.value) : undefined;
  }

  list<K extends RecordKind>(
    kind: K,
    prefix: string,
    page?: KeyPage,
  ): readonly { key: string; value: RecordValues[K] }[] {
    const rows = this.#statements.list.all(kind, ...keyRange(prefix, page));
    return rows.map((row) => ({ key: text(row.key), value: parse<RecordValues[K]>(text(row.value)) }));
  }

  /** All live rows in a registry whose rows have no anchors. */
  anchored<K extends RecordKind>(
    kind: K,
    prefix: string,
    page: KeyPage,
  ): readonly { key: string; value: RecordValues[K] }[] {
    if (this.#anchors === undefined) return this.list(kind, prefix, page);
    const rows = this.#statements.anchored.all(kind, ...keyRange(prefix, page));
    return rows.map((row) => ({ key: text(row.key), value: parse<RecordValues[K]>(text(row.value)) }));
  }

  get hasAnchoredLeft(): boolean {
    return this.#hasAnchoredLeft;
  }

  dropAnchored(limit: number): void {
    const anchor = this.#statements.endedAnchorLeft.get()?.anchor;
    if (anchor !== undefined) this.#dropAnchored(text(anchor), limit);
    this.#hasAnchoredLeft = this.#statements.endedAnchorLeft.get() !== undefined;
  }

  #dropAnchored(anchor: string, limit: number): void {
    const isLeft = this.#statements.dropAnchored.run(anchor, limit).changes === limit;
    this.#statements.endAnchor.run(anchor, isLeft ? 1 : 0);
    if (isLeft) this.#hasAnchoredLeft = true;
  }

  /** The row's anchor, unless that has ended. */
  #anchorOf(record: RegistryRecord): string {
    const anchor = record.value === undefined ? "" : (this.#anchors?.anchorOf(record) ?? "");
    return anchor === "" || this.#statements.endedAnchor.get(anchor) !== undefined ? "" : anchor;
  }

  keys(kind: RecordKind, prefix: string, { after = "", limit }: KeyPage): readonly string[] {
    const rows = this.#statements.keys.all(kind, prefix, after, endOfPrefix(prefix) ?? AFTER_ALL_TEXT, limit);
    return rows.map((row) => text(row.key));
  }

  claim<K extends RecordKind>(kind: K, name: string): Claim<RecordValues[K]> | undefined {
    const standing = this.rival(kind, name);
    return standing?.name === name ? standing : undefined;
  }

  rival<K extends RecordKind>(kind: K, name: string): Claim<RecordValues[K]> | undefined {
    const alike = this.#alikeOf(kind, name);
    return asClaim(
      alike === "" ? this.#statements.claim.get(kind, name) : this.#statements.claimAlike.get(kind, alike),
    );
  }

  /** Equal for claims of which only one can stand. */
  contestOf(kind: RecordKind, name: string): string {
    return recordKey(kind, this.#alikeOf(kind, name) || name);
  }

  claimById<K extends RecordKind>(kind: K, claimId: Stamp): Claim<RecordValues[K]> | undefined {
    return asClaim(this.#statements.claimById.get(kind, claimId));
  }

  claims<K extends RecordKind>(kind: K, prefix: string, page?: KeyPage): readonly Claim<RecordValues[K]>[] {
    const found: Claim<RecordValues[K]>[] = [];
    for (const row of this.#statements.claims.iterate(kind, ...keyRange(prefix, page))) {
      const claim = asClaim<RecordValues[K]>(row);
      if (claim !== undefined) found.push(claim);
    }
    return found;
  }

  derived<V>(place: string): V | undefined {
    const value = this.#statements.derived.get(place)?.value;
    return typeof value === "string" ? parse(value) : undefined;
  }

  listed<V>(list: string, page: Page): readonly { sort: string; place: string; value: V }[] {
    const { limit, isDescending = false } = page;
    const rows = isDescending
      ? this.#statements.listedFromEnd.all(list, page.after ?? AFTER_ALL_TEXT, limitOf(limit))
      : this.#statements.listed.all(list, page.after ?? "", limitOf(limit));
    return rows.map((row) => ({
      sort: text(row.sort),
      place: text(row.place),
      value: parse<V>(text(row.value)),
    }));
  }

  total(name: string): number {
    const amount = this.#statements.total.get(name)?.amount;
    return (amount === undefined ? 0 : count(amount)) + (this.#totalChanges.get(name) ?? 0);
  }

  revision(kind: RecordKind): number {
    return this.#revisions.get(kind) ?? 0;
  }

  hasWrite(writeId: string): boolean {
    return this.#statements.write.get(writeId) !== undefined;
  }

  rowsOfWrite(writeId: string): RegistryRecord[] {
    return this.#statements.rowsOfWrite.all(writeId).map(asRecord);
  }

  /** The row in that place, tombstone or not. */
  row(kind: RecordKind, key: string, claimId: Stamp | ""): RegistryRecord | undefined {
    const row = this.#statements.place.get(kind, key, claimId);
    return row && asRecord(row);
  }

  /** Ids of live claims on a name that one command wrote last: those of its first attempt first, then the lowest. */
  liveClaimsOf(kind: RecordKind, name: string, writeId: string): Stamp[] {
    return this.#statements.liveClaimsOf.all(kind, name, writeId).map((row) => text(row.claim_id));
  }

  /** The name that the claim with that id is on, if the claim is live, standing or not. */
  nameOfLiveClaim(kind: RecordKind, claimId: Stamp): string | undefined {
    const row = this.#statements.liveClaim.get(kind, claimId);
    return row && text(row.key);
  }

  /** Ids of all live claims on a name and on names that count as the same, lowest first. */
  liveClaims(kind: RecordKind, name: string): Stamp[] {
    const alike = this.#alikeOf(kind, name);
    const { liveClaims, liveClaimsAlike } = this.#statements;
    const rows = alike === "" ? liveClaims.all(kind, name) : liveClaimsAlike.all(kind, alike);
    return rows.map((row) => text(row.claim_id));
  }

  /** Claims that were made here and may never have been acknowledged to a client. */
  pendingClaims(): Stamp[] {
    return this.#statements.pendingClaims.all().map((row) => text(row.claim_id));
  }

  addPendingClaim(claimId: Stamp): void {
    this.#statements.addPendingClaim.run(claimId);
  }

  removePendingClaim(claimId: Stamp): void {
    this.#statements.removePendingClaim.run(claimId);
  }

  /** The payer of the row with that key, tombstone or not; undefined if there is none. */
  payerOf(kind: RecordKind, key: string, claimId: Stamp | ""): string | undefined {
    const payer = this.#statements.payer.get(kind, key, claimId)?.paid_by;
    return payer === undefined ? undefined : text(payer);
  }

  /** The row of the claim with that id, tombstone or not. */
  claimRow(claimId: Stamp): RegistryRecord | undefined {
    for (const kind of CLAIM_KINDS) {
      const row = this.#statements.claimRow.get(kind, claimId);
      if (row !== undefined) return asRecord(row);
    }
    return undefined;
  }

  since(vector: VersionVector, limit: number): RegistryRecord[] {
    const found: RegistryRecord[] = [];
    let bytes = 0;
    for (const origin of [...this.#vector.keys()].sort()) {
      for (const row of this.#statements.history.iterate(origin, vector[origin] ?? 0)) {
        // Two rows of one (origin, seq) exist after an old copy of a disk was brought back: they are not parted.
        const isPart = found.at(-1)?.origin === origin && found.at(-1)?.seq === row.seq;
        if (!isPart && (found.length >= limit || bytes >= MAX_SINCE_BYTES)) return found;
        found.push(asRecord(row));
        bytes += typeof row.value === "string" ? row.value.length : 0;
      }
    }
    return found;
  }

  /**
   * Puts the row in its place unless a higher one is there. Of equal stamps, which no honest pair of rows has, the
   * higher text stays, so that replicas stay equal even then.
   *
   * @returns true if the row is new here
   */
  store(record: RegistryRecord): boolean {
    const { kind, key, claimId, value, stamp, origin, seq, writeId, isRetry, paidBy = "" } = record;
    if (!this.#vector.has(origin)) this.#vector.set(origin, 0);
    const canonical = canonicalText(record);
    const json = value === undefined ? null : JSON.stringify(value);
    const content = [json, stamp, origin, seq, writeId, isRetry ? 1 : 0, paidBy] as const;
    let existing: RegistryRecord | undefined;
    // Most rows are new: so one statement does for most.
    const alike = claimId === "" ? "" : this.#alikeOf(kind, key);
    const anchor = this.#anchorOf(record);
    if (this.#statements.insert.run(kind, key, claimId, ...content, anchor, alike).changes === 0) {
      existing = this.row(kind, key, claimId);
      if (existing === undefined) throw damaged();
      if (existing.stamp > stamp) return false;
      const existingCanonical = canonicalText(existing);
      if (existing.stamp === stamp && existingCanonical >= canonical) return false;
      if (this.#check !== undefined) this.#recheck(existing, existingCanonical, canonical);
      this.#statements.replace.run(...content, anchor, kind, key, claimId);
      this.#digest -= hashOf(existingCanonical);
      this.#addToTotals(existing, -1);
    }
    this.#revise(kind, { key, claimId });
    this.#digest = BigInt.asUintN(DIGEST_BITS, this.#digest + hashOf(canonical));
    this.#addToTotals(record, 1);
    const ended = value === undefined ? undefined : this.#anchors?.endedBy(record);
    if (ended !== undefined) this.#dropAnchored(ended, ANCHORED_DROPPED_AT_ONCE);
    this.#derive(record, existing);
    return true;
  }

  placesSince(kind: RecordKind, revision: number): readonly RecordPlace[] | undefined {
    const count = this.revision(kind) - revision;
    if (count === 0) return [];
    const places = this.#places.get(kind) ?? [];
    return count > 0 && count <= places.length ? places.slice(-count) : undefined;
  }

  /**
   * Checks the next rows. At the end it compares their digest with the one maintained by writes, which
   * detects rows that were lost or changed outside SQLite.
   *
   * @returns true at the end of a round; the next call starts another one
   * @throws MiniTorrentError REGISTRY_DAMAGED
   */
  checkRows(limit: number): boolean {
    let { upToRowid, digest } = this.#check ?? { upToRowid: 0, digest: 0n };
    const rows = this.#statements.rowsAfter.all(upToRowid, limit);
    for (const row of rows) {
      const record = asRecord(row);
      const canonical = canonicalText(record);
      const found = this.row(record.kind, record.key, record.claimId);
      if (found === undefined || canonicalText(found) !== canonical) throw damaged("an index lacks a row");
      digest += hashOf(canonical);
      upToRowid = count(row.rowid);
    }
    digest = BigInt.asUintN(DIGEST_BITS, digest);
    if (rows.length === limit) {
      this.#check = { upToRowid, digest };
      return false;
    }
    this.#check = undefined;
    if (digest !== this.#digest) throw damaged("its rows are not those that were written");
    return true;
  }

  /** Updates the digest for a replaced row that was checked already. New rows come last, and are checked later. */
  #recheck({ kind, key, claimId }: RegistryRecord, before: string, after: string): void {
    const check = this.#check;
    if (check === undefined) return;
    const rowid = this.#statements.rowidOf.get(kind, key, claimId)?.rowid;
    if (count(rowid) > check.upToRowid) return;
    const digest = BigInt.asUintN(DIGEST_BITS, check.digest - hashOf(before) + hashOf(after));
    this.#check = { ...check, digest };
  }

  /** Updates the entries derived from a stored row and from the row that it replaced. */
  #derive(record: RegistryRecord, replaced: RegistryRecord | undefined): void {
    const derivation = this.#derivation;
    if (derivation === undefined || !derivation.kinds.includes(record.kind)) return;
    const places = new Set(derivation.placesOf(this, record));
    for (const place of replaced === undefined ? [] : derivation.placesOf(this, replaced)) places.add(place);
    for (const place of places) this.#deriveEntry(derivation, place);
  }

  #deriveEntry(derivation: Derivation, place: string): void {
    const before = this.#derivedRow(place);
    const now = derivation.entryOf(this, place);
    const json = now && { value: JSON.stringify(now.value), lists: JSON.stringify(now.lists) };
    const totals = JSON.stringify(now?.totals);
    if (before?.value === json?.value && before?.lists === json?.lists && before?.totals === totals) return;
    if (before !== undefined) this.#removeDerived(place, before);
    if (now === undefined || json === undefined) return;
    this.#statements.addDerived.run(place, json.value, json.lists, totals);
    for (const [list, sort] of Object.entries(now.lists)) this.#statements.addListed.run(list, sort, place);
    this.#addAmounts(now.totals, 1);
  }

  #removeDerived(place: string, { lists, totals }: { lists: string; totals: string }): void {
    this.#statements.removeDerived.run(place);
    for (const [list, sort] of Object.entries(parse<DerivedEntry["lists"]>(lists))) {
      this.#statements.removeListed.run(list, sort);
    }
    this.#addAmounts(parse<DerivedEntry["totals"]>(totals), -1);
  }

  #derivedRow(place: string): { value: string; lists: string; totals: string } | undefined {
    const row = this.#statements.derived.get(place);
    return row && { value: text(row.value), lists: text(row.lists), totals: text(row.totals) };
  }

  /** Derives all entries, after removing those of another version and their totals. */
  #deriveAll(derivation: Derivation): void {
    for (const row of this.#statements.allDerived.iterate()) {
      this.#addAmounts(parse<DerivedEntry["totals"]>(text(row.totals)), -1);
    }
    this.#statements.clearDerived.run();
    this.#statements.clearListed.run();
    for (const kind of derivation.kinds) {
      for (const row of this.#statements.allOfKind.iterate(kind)) {
        for (const place of derivation.placesOf(this, asRecord(row))) this.#deriveEntry(derivation, place);
      }
    }
    this.#saveTotals();
    this.setState("derivation", String(derivation.version));
  }

  /** @param place undefined: somewhere */
  #revise(kind: RecordKind, place?: RecordPlace): void {
    this.#revisions.set(kind, this.revision(kind) + 1);
    if (place === undefined) {
      this.#places.delete(kind);
      return;
    }
    const places = this.#places.get(kind) ?? [];
    places.push(place);
    // Not at each row, since that moves so many entries.
    if (places.length >= 2 * PLACES_REMEMBERED) places.splice(0, PLACES_REMEMBERED);
    this.#places.set(kind, places);
  }

  #addToTotals(row: RegistryRecord, times: 1 | -1): void {
    this.#addAmounts(this.#totalsOf(row, rowSizeBytes(row)), times);
  }

  #addAmounts(amounts: Readonly<Record<string, number>>, times: 1 | -1): void {
    for (const [name, amount] of Object.entries(amounts)) {
      this.#totalChanges.set(name, (this.#totalChanges.get(name) ?? 0) + times * amount);
    }
  }

  get vector(): VersionVector {
    const vector: Record<OriginId, number> = {};
    for (const [origin, seq] of this.#vector) if (seq > 0) vector[origin] = seq;
    return vector;
  }

  seqOf(origin: OriginId): number {
    return this.#vector.get(origin) ?? 0;
  }

  /** From now on this replica has that origin's writes up to `seq`. Never goes back. */
  advance(origin: OriginId, seq: number): void {
    if (seq > this.seqOf(origin)) this.#vector.set(origin, seq);
  }

  get digest(): string {
    return this.#digest.toString(16).padStart(DIGEST_BITS / 4, "0");
  }

  snapshot(): TableSnapshot {
    return {
      vector: new Map(this.#vector),
      digest: this.#digest,
      totalChanges: new Map(this.#totalChanges),
      check: this.#check,
      revisions: new Map(this.#revisions),
    };
  }

  /** Rows that are rolled back may have been read meanwhile: they, and no others, count as written again. */
  restore(snapshot: TableSnapshot): void {
    for (const [kind, revision] of this.#revisions) {
      const before = snapshot.revisions.get(kind) ?? 0;
      if (revision === before) continue;
      const places = this.placesSince(kind, before);
      if (places === undefined) this.#revise(kind);
      else for (const place of places) this.#revise(kind, place);
    }
    this.#vector = new Map(snapshot.vector);
    this.#digest = snapshot.digest;
    this.#totalChanges = new Map(snapshot.totalChanges);
    this.#check = snapshot.check;
  }

  /** Writes the state in memory to the database, as far as it differs from `before`. */
  save(before: TableSnapshot): void {
    for (const [origin, seq] of this.#vector) {
      if (before.vector.get(origin) !== seq) this.#statements.saveVersion.run(origin, seq);
    }
    if (this.#digest !== before.digest) this.setState("digest", this.digest);
    this.#saveTotals();
  }

  #saveTotals(): void {
    for (const [name, amount] of this.#totalChanges) this.#statements.addToTotal.run(name, amount);
    this.#totalChanges.clear();
  }

  state(name: StateName): string | undefined {
    const value = this.#statements.state.get(name)?.value;
    return typeof value === "string" ? value : undefined;
  }

  setState(name: StateName, value: string): void {
    this.#statements.saveState.run(name, value);
  }

  removeState(name: StateName): void {
    this.#statements.removeState.run(name);
  }

  addOwnOrigin(origin: OriginId): void {
    this.#statements.addOwnOrigin.run(origin);
  }

  isOwnOrigin(origin: OriginId): boolean {
    return this.#statements.ownOrigin.get(origin) !== undefined;
  }
}

// INDEXED BY makes SQLite refuse the statement, at once, if the index could not serve it.
function prepare(
  database: DatabaseSync,
): Record<
  | "place"
  | "list"
  | "anchored"
  | "dropAnchored"
  | "endAnchor"
  | "endedAnchor"
  | "endedAnchorLeft"
  | "payer"
  | "keys"
  | "claim"
  | "claimAlike"
  | "claimById"
  | "liveClaim"
  | "claims"
  | "write"
  | "rowsOfWrite"
  | "liveClaimsOf"
  | "liveClaims"
  | "liveClaimsAlike"
  | "pendingClaims"
  | "addPendingClaim"
  | "removePendingClaim"
  | "claimRow"
  | "history"
  | "insert"
  | "replace"
  | "versions"
  | "saveVersion"
  | "state"
  | "saveState"
  | "removeState"
  | "rowsAfter"
  | "rowidOf"
  | "addOwnOrigin"
  | "ownOrigin"
  | "total"
  | "addToTotal"
  | "derived"
  | "addDerived"
  | "removeDerived"
  | "listed"
  | "listedFromEnd"
  | "addListed"
  | "removeListed"
  | "allDerived"
  | "clearDerived"
  | "clearListed"
  | "allOfKind",
  StatementSync
> {
  const sql = (statement: string): StatementSync => database.prepare(statement);
  return {
    place: sql(
      `SELECT ${COLUMNS} FROM record INDEXED BY record_place WHERE kind = ? AND key = ? AND claim_id = ?`,
    ),
    payer: sql(
      "SELECT paid_by FROM record INDEXED BY record_place WHERE kind = ? AND key = ? AND claim_id = ?",
    ),
    keys: sql(`SELECT DISTINCT key FROM record INDEXED BY record_live
      WHERE kind = ? AND key >= ? AND key > ? AND key < ? AND value IS NOT NULL ORDER BY key LIMIT ?`),
    list: sql(`SELECT key, value FROM record INDEXED BY record_live
      WHERE kind = ? AND key >= ? AND key < ? AND value IS NOT NULL ORDER BY key LIMIT ?`),
    anchored: sql(`SELECT key, value FROM record INDEXED BY record_anchored
      WHERE kind = ? AND key >= ? AND key < ? AND anchor <> '' ORDER BY key LIMIT ?`),
    dropAnchored: sql(`UPDATE record SET anchor = '' WHERE rowid IN (
      SELECT rowid FROM record INDEXED BY record_anchor WHERE anchor = ? AND anchor <> '' LIMIT ?)`),
    endAnchor: sql("INSERT OR REPLACE INTO ended_anchor (anchor, is_left) VALUES (?, ?)"),
    endedAnchor: sql("SELECT 1 FROM ended_anchor WHERE anchor = ?"),
    endedAnchorLeft: sql(
      "SELECT anchor FROM ended_anchor INDEXED BY ended_anchor_left WHERE is_left = 1 LIMIT 1",
    ),
    claim: sql(`SELECT key, claim_id, value, write_id FROM record INDEXED BY record_live
      WHERE kind = ? AND key = ? AND value IS NOT NULL ORDER BY claim_id LIMIT 1`),
    claimAlike: sql(`SELECT key, claim_id, value, write_id FROM record INDEXED BY record_alike
      WHERE kind = ? AND alike = ? AND alike <> '' AND value IS NOT NULL ORDER BY claim_id LIMIT 1`),
    claimById: sql(`SELECT key, claim_id, value, write_id FROM record AS r INDEXED BY record_claim
      WHERE kind = ? AND claim_id = ? AND claim_id <> '' AND value IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM record AS earlier INDEXED BY record_live WHERE earlier.kind = r.kind AND earlier.key = r.key
          AND earlier.value IS NOT NULL AND earlier.claim_id < r.claim_id) AND ${HAS_NO_RIVAL}`),
    liveClaim: sql(`SELECT key FROM record INDEXED BY record_claim
      WHERE kind = ? AND claim_id = ? AND claim_id <> '' AND value IS NOT NULL`),
    // With min() SQLite takes the other columns from the row that has the minimum (https://sqlite.org/lang_select.html).
    claims:
      sql(`SELECT key, min(claim_id) AS claim_id, value, write_id FROM record AS r INDEXED BY record_live
      WHERE kind = ? AND key >= ? AND key < ? AND value IS NOT NULL AND ${HAS_NO_RIVAL}
      GROUP BY key ORDER BY key LIMIT ?`),
    write: sql("SELECT 1 FROM record INDEXED BY record_write WHERE write_id = ? LIMIT 1"),
    liveClaimsOf: sql(`SELECT claim_id FROM record INDEXED BY record_live
      WHERE kind = ? AND key = ? AND value IS NOT NULL AND write_id = ? ORDER BY is_retry, claim_id`),
    liveClaims: sql(`SELECT claim_id FROM record INDEXED BY record_live
      WHERE kind = ? AND key = ? AND value IS NOT NULL ORDER BY claim_id`),
    liveClaimsAlike: sql(`SELECT claim_id FROM record INDEXED BY record_alike
      WHERE kind = ? AND alike = ? AND alike <> '' AND value IS NOT NULL ORDER BY claim_id`),
    pendingClaims: sql("SELECT claim_id FROM pending_claim ORDER BY claim_id"),
    addPendingClaim: sql("INSERT OR IGNORE INTO pending_claim (claim_id) VALUES (?)"),
    removePendingClaim: sql("DELETE FROM pending_claim WHERE claim_id = ?"),
    claimRow: sql(`SELECT ${COLUMNS} FROM record INDEXED BY record_claim
      WHERE kind = ? AND claim_id = ? AND claim_id <> ''`),
    rowsOfWrite: sql(`SELECT ${COLUMNS} FROM record INDEXED BY record_write WHERE write_id = ? ORDER BY seq`),
    history: sql(
      `SELECT ${COLUMNS} FROM record INDEXED BY record_history WHERE origin = ? AND seq > ? ORDER BY seq`,
    ),
    insert: sql(`INSERT INTO record (${COLUMNS}, anchor, alike) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (kind, key, claim_id) DO NOTHING`),
    replace: sql(`UPDATE record INDEXED BY record_place
      SET value = ?, stamp = ?, origin = ?, seq = ?, write_id = ?, is_retry = ?, paid_by = ?, anchor = ?
      WHERE kind = ? AND key = ? AND claim_id = ?`),
    versions: sql("SELECT origin, seq FROM version"),
    saveVersion: sql("INSERT OR REPLACE INTO version (origin, seq) VALUES (?, ?)"),
    state: sql("SELECT value FROM state WHERE name = ?"),
    saveState: sql("INSERT OR REPLACE INTO state (name, value) VALUES (?, ?)"),
    removeState: sql("DELETE FROM state WHERE name = ?"),
    rowsAfter: sql(`SELECT rowid, ${COLUMNS} FROM record NOT INDEXED WHERE rowid > ? ORDER BY rowid LIMIT ?`),
    rowidOf: sql(
      "SELECT rowid FROM record INDEXED BY record_place WHERE kind = ? AND key = ? AND claim_id = ?",
    ),
    addOwnOrigin: sql("INSERT OR IGNORE INTO own_origin (origin) VALUES (?)"),
    total: sql("SELECT amount FROM total WHERE name = ?"),
    addToTotal: sql(`INSERT INTO total (name, amount) VALUES (?, ?)
      ON CONFLICT (name) DO UPDATE SET amount = amount + excluded.amount`),
    ownOrigin: sql("SELECT 1 FROM own_origin WHERE origin = ?"),
    derived: sql("SELECT value, lists, totals FROM derived WHERE place = ?"),
    addDerived: sql("INSERT INTO derived (place, value, lists, totals) VALUES (?, ?, ?, ?)"),
    removeDerived: sql("DELETE FROM derived WHERE place = ?"),
    listed: sql(`SELECT sort, place, value FROM listed JOIN derived USING (place)
      WHERE list = ? AND sort > ? ORDER BY sort LIMIT ?`),
    listedFromEnd: sql(`SELECT sort, place, value FROM listed JOIN derived USING (place)
      WHERE list = ? AND sort < ? ORDER BY sort DESC LIMIT ?`),
    addListed: sql("INSERT OR REPLACE INTO listed (list, sort, place) VALUES (?, ?, ?)"),
    removeListed: sql("DELETE FROM listed WHERE list = ? AND sort = ?"),
    allDerived: sql("SELECT totals FROM derived"),
    clearDerived: sql("DELETE FROM derived"),
    clearListed: sql("DELETE FROM listed"),
    allOfKind: sql(`SELECT ${COLUMNS} FROM record INDEXED BY record_place WHERE kind = ? ORDER BY key`),
  };
}

function asRecord(row: Row): RegistryRecord {
  const kind = text(row.kind);
  if (!isRecordKind(kind)) throw damaged();
  return {
    kind,
    key: text(row.key),
    claimId: text(row.claim_id),
    value: row.value === null ? undefined : parse(text(row.value)),
    stamp: text(row.stamp),
    origin: text(row.origin),
    seq: count(row.seq),
    writeId: text(row.write_id),
    ...(row.is_retry === 1 ? { isRetry: true } : {}),
    ...(row.paid_by === "" ? {} : { paidBy: text(row.paid_by) }),
  };
}

function asClaim<V>(row: Row | undefined): Claim<V> | undefined {
  if (row === undefined) return undefined;
  return {
    name: text(row.key),
    claimId: text(row.claim_id),
    value: parse<V>(text(row.value)),
    writeId: text(row.write_id),
  };
}

export function isRecordKind(kind: string): kind is RecordKind {
  return Object.hasOwn(recordKinds, kind);
}

function canonicalText(record: RegistryRecord): string {
  const { kind, key, claimId, value, stamp, origin, seq, writeId, isRetry = false, paidBy = "" } = record;
  const json = value === undefined ? null : JSON.stringify(value);
  return JSON.stringify([kind, key, claimId, json, stamp, origin, seq, writeId, isRetry, paidBy]);
}

/** Approximate size of the row on disk, with its indexes. */
export function rowSizeBytes({ key, claimId, value, paidBy = "" }: RegistryRecord): number {
  const valueBytes = value === undefined ? 0 : Buffer.byteLength(JSON.stringify(value));
  // A key is stored in the row, in the index of keys and, for a live row, in a third index; a claim's id in one more.
  const copies = value === undefined ? 2 : 3;
  const keyBytes = copies * Buffer.byteLength(key) + (copies + 1) * claimId.length;
  return ROW_OVERHEAD_BYTES + keyBytes + valueBytes + Buffer.byteLength(paidBy);
}

function hashOf(canonical: string): bigint {
  return BigInt(`0x${hash("sha256", canonical)}`);
}

/** Parameters of `list` and `claims` after the kind: the range of keys, and the limit. */
function keyRange(prefix: string, page: KeyPage | undefined): [string, string | Uint8Array, number] {
  // Keys contain no NUL, so the next text after one is that text and a NUL.
  const first = page?.after === undefined ? prefix : `${page.after}\0`;
  return [first, endOfPrefix(prefix) ?? AFTER_ALL_TEXT, limitOf(page?.limit ?? Number.POSITIVE_INFINITY)];
}

function limitOf(limit: number): number {
  return Number.isFinite(limit) ? limit : NO_LIMIT;
}

function parse<V>(json: string): V {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw damaged("a value is not JSON", error);
  }
}

function text(value: SQLOutputValue | undefined): string {
  if (typeof value !== "string") throw damaged();
  return value;
}

function count(value: SQLOutputValue | undefined): number {
  if (typeof value !== "number") throw damaged();
  return value;
}

function damaged(what = "a column is not of its type", cause?: unknown): MiniTorrentError {
  return new MiniTorrentError("REGISTRY_DAMAGED", `The registry is damaged: ${what}.`, { cause });
}
