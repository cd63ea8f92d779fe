// One command's writes: stamps and numbers each row, and remembers the rows for those who must hear of them. Its
// reads see its own writes. It knows nothing of commits: who runs it rolls it back if it throws.
import { MiniTorrentError } from "../../api/errors.ts";
import type { RecordTable } from "./record-table.ts";
import {
  type Claim,
  type KeyPage,
  type OriginId,
  type Page,
  type RecordKind,
  type RegistryRecord,
  type RegistryWriter,
  recordKinds,
  type Stamp,
} from "./registry.ts";
import { type HybridClock, stampAfter } from "./stamp.ts";

export class Transaction implements RegistryWriter {
  readonly #table: RecordTable;
  readonly #clock: HybridClock;
  readonly #origin: OriginId;
  readonly #writeId: string;
  readonly #isRetry: boolean;
  /** By place: of a row that is written twice, the second is what stays and travels. */
  readonly #records = new Map<string, RegistryRecord>();
  #hasEnded = false;
  #payer = "";

  constructor(table: RecordTable, clock: HybridClock, origin: OriginId, writeId: string, isRetry = false) {
    this.#table = table;
    this.#clock = clock;
    this.#origin = origin;
    this.#writeId = writeId;
    this.#isRetry = isRetry;
  }

  /** The rows that were written, in the order of their seq. Nothing can be written from now on. */
  end(): RegistryRecord[] {
    this.#hasEnded = true;
    return [...this.#records.values()].sort((a, b) => a.seq - b.seq);
  }

  get<V>(kind: RecordKind, key: string): V | undefined {
    return this.#table.get(kind, key);
  }

  list<V>(kind: RecordKind, prefix: string, page?: KeyPage): readonly { key: string; value: V }[] {
    return this.#table.list(kind, prefix, page);
  }

  keys(kind: RecordKind, prefix: string, page: KeyPage): readonly string[] {
    return this.#table.keys(kind, prefix, page);
  }

  anchored<V>(kind: RecordKind, prefix: string, page: KeyPage): readonly { key: string; value: V }[] {
    return this.#table.anchored(kind, prefix, page);
  }

  claim<V>(kind: RecordKind, name: string): Claim<V> | undefined {
    return this.#table.claim(kind, name);
  }

  rival<V>(kind: RecordKind, name: string): Claim<V> | undefined {
    return this.#table.rival(kind, name);
  }

  claimById<V>(kind: RecordKind, claimId: Stamp): Claim<V> | undefined {
    return this.#table.claimById(kind, claimId);
  }

  claims<V>(kind: RecordKind, prefix: string, page?: KeyPage): readonly Claim<V>[] {
    return this.#table.claims(kind, prefix, page);
  }

  derived<V>(place: string): V | undefined {
    return this.#table.derived(place);
  }

  listed<V>(list: string, page: Page): readonly { sort: string; place: string; value: V }[] {
    return this.#table.listed(list, page);
  }

  total(name: string): number {
    return this.#table.total(name);
  }

  hasWrite(writeId: string): boolean {
    return this.#table.hasWrite(writeId);
  }

  chargeTo(payer: string): void {
    this.#payer = payer;
  }

  payerOf(kind: RecordKind, key: string): string {
    return this.#table.payerOf(kind, key, "") ?? "";
  }

  makeClaim(kind: RecordKind, name: string, value: unknown): Stamp {
    const stamp = this.#clock.next();
    this.#write(kind, name, stamp, value, this.#payer, stamp);
    this.#table.addPendingClaim(stamp);
    return stamp;
  }

  updateClaim(kind: RecordKind, claimId: Stamp, value: unknown): void {
    const name = this.#table.nameOfLiveClaim(kind, claimId);
    if (name === undefined) throw misuse(`there is no live ${kind} claim ${claimId} to update`);
    this.#write(kind, name, claimId, value);
  }

  endClaim(kind: RecordKind, claimId: Stamp): void {
    const name = this.#table.nameOfLiveClaim(kind, claimId);
    if (name !== undefined) this.#write(kind, name, claimId, undefined);
  }

  put(kind: RecordKind, key: string, value: unknown, payer = this.#payer): void {
    if (value === undefined) throw misuse(`a ${kind} needs a value; remove takes it away`);
    this.#write(kind, key, "", value, payer);
  }

  remove(kind: RecordKind, key: string): void {
    if (this.#table.get(kind, key) !== undefined) this.#write(kind, key, "", undefined);
  }

  #write(
    kind: RecordKind,
    key: string,
    claimId: Stamp | "",
    value: unknown,
    payer = this.#payer,
    stamp: Stamp = this.#clock.next(),
  ): void {
    if (this.#hasEnded) throw misuse("the transaction is over");
    if ((recordKinds[kind] === "claim") !== (claimId !== "")) {
      throw misuse(`a ${kind} is kept as ${recordKinds[kind]}`);
    }
    // Text that SQLite or UTF-8 would not give back as it was would make replicas differ.
    if (!key.isWellFormed() || key.includes("\0")) {
      throw new MiniTorrentError("INVALID_ARGUMENT", "A name must be well-formed text.");
    }
    const place = JSON.stringify([kind, key, claimId]);
    // A row that is written again keeps its number, so that the numbers of what travels have no gap.
    const seq = this.#records.get(place)?.seq ?? this.#table.seqOf(this.#origin) + 1;
    const paidBy = this.#table.payerOf(kind, key, claimId) ?? payer;
    // What travels is what JSON keeps of the value, and later changes to it by the caller are not in it.
    const kept: unknown = value === undefined ? undefined : JSON.parse(JSON.stringify(value));
    const written: RegistryRecord = {
      kind,
      key,
      claimId,
      value: kept,
      stamp,
      origin: this.#origin,
      seq,
      writeId: this.#writeId,
      ...(this.#isRetry ? { isRetry: true } : {}),
      ...(paidBy === "" ? {} : { paidBy }),
    };
    const record = this.#store(written);
    this.#table.advance(this.#origin, seq);
    this.#records.set(place, record);
  }

  /** A row stamped by a clock far ahead can be replaced: the new row gets a stamp just after it. */
  #store(record: RegistryRecord): RegistryRecord {
    if (this.#table.store(record)) return record;
    const { kind, key, claimId } = record;
    const existing = this.#table.row(kind, key, claimId);
    if (existing === undefined) throw misuse(`there is no row in the place of ${kind} ${key}`);
    const later = { ...record, stamp: stampAfter(existing.stamp, this.#origin) };
    this.#table.store(later);
    return later;
  }
}

function misuse(what: string): MiniTorrentError {
  return new MiniTorrentError("INTERNAL", `The registry was misused: ${what}.`);
}
