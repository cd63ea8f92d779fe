// One command's writes: stamps and numbers each row, and collects the rows for the other trackers. Its reads see its own
// writes. It knows nothing of commits: its caller rolls it back if it throws.
import { checkPlace, misuse } from "./keys.ts";
import type { RecordTable } from "./record-table.ts";
import type { OriginId, RecordKind, RegistryRecord, RegistryWriter, Stamp } from "./registry.ts";
import { type HybridClock, stampAfter } from "./stamp.ts";
import { TableReader } from "./table-reader.ts";

export class Transaction extends TableReader implements RegistryWriter {
  readonly #clock: HybridClock;
  readonly #origin: OriginId;
  readonly #writeId: string;
  readonly #isRetry: boolean;
  /** By place: of a row that is written twice, only the second version is kept and replicated. */
  readonly #records = new Map<string, RegistryRecord>();
  #hasEnded = false;
  #payer = "";

  constructor(table: RecordTable, clock: HybridClock, origin: OriginId, writeId: string, isRetry = false) {
    super(table);
    this.#clock = clock;
    this.#origin = origin;
    this.#writeId = writeId;
    this.#isRetry = isRetry;
  }

  /** Ends the transaction. @returns the rows that it wrote, in order of seq */
  end(): RegistryRecord[] {
    this.#hasEnded = true;
    return [...this.#records.values()].sort((a, b) => a.seq - b.seq);
  }

  chargeTo(payer: string): void {
    this.#payer = payer;
  }

  payerOf(kind: RecordKind, key: string): string {
    return this.table.payerOf(kind, key, "") ?? "";
  }

  makeClaim(kind: RecordKind, name: string, value: unknown): Stamp {
    const stamp = this.#clock.next();
    this.#write(kind, name, stamp, value, this.#payer, stamp);
    this.table.addPendingClaim(stamp);
    return stamp;
  }

  updateClaim(kind: RecordKind, claimId: Stamp, value: unknown): void {
    const name = this.table.nameOfLiveClaim(kind, claimId);
    if (name === undefined) throw misuse(`there is no live ${kind} claim ${claimId} to update`);
    this.#write(kind, name, claimId, value);
  }

  endClaim(kind: RecordKind, claimId: Stamp): void {
    const name = this.table.nameOfLiveClaim(kind, claimId);
    if (name !== undefined) this.#write(kind, name, claimId, undefined);
  }

  put(kind: RecordKind, key: string, value: unknown, payer = this.#payer): void {
    if (value === undefined) throw misuse(`a ${kind} needs a value; remove takes it away`);
    this.#write(kind, key, "", value, payer);
  }

  remove(kind: RecordKind, key: string): void {
    if (this.table.get(kind, key) !== undefined) this.#write(kind, key, "", undefined);
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
    checkPlace(kind, key, claimId);
    const place = JSON.stringify([kind, key, claimId]);
    // A row that is written again keeps its number, so that replicated numbers have no gap.
    const seq = this.#records.get(place)?.seq ?? this.table.seqOf(this.#origin) + 1;
    const paidBy = this.table.payerOf(kind, key, claimId) ?? payer;
    // Replicas get the value as JSON keeps it; a copy, so that the caller may change its own later.
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
    this.table.advance(this.#origin, seq);
    this.#records.set(place, record);
  }

  /** A row stamped by a clock far ahead can be replaced: the new row gets a stamp just after it. */
  #store(record: RegistryRecord): RegistryRecord {
    if (this.table.store(record)) return record;
    const { kind, key, claimId } = record;
    const existing = this.table.row(kind, key, claimId);
    if (existing === undefined) throw misuse(`there is no row in the place of ${kind} ${key}`);
    const later = { ...record, stamp: stampAfter(existing.stamp, this.#origin) };
    this.table.store(later);
    return later;
  }
}
