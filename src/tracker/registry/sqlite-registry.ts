// The registry on SQLite (node:sqlite; WAL, synchronous=FULL: what was committed survives a power cut). Writes and
// merges that are queued in one turn of the event loop share one commit. It talks to nobody (see replication.ts).

import { randomBytes } from "node:crypto";
import { chmodSync, closeSync, openSync, statSync } from "node:fs";
import { backup, DatabaseSync } from "node:sqlite";
import { MiniTorrentError } from "../../api/errors.ts";
import { soon } from "../../net/timers.ts";
import {
  asDiskError,
  asOpeningError,
  type DiskTrouble,
  diskTroubleOf,
  isSqliteError,
} from "./disk-trouble.ts";
import { RecordTable, type TableSnapshot } from "./record-table.ts";
import {
  type AlikeOf,
  type Anchors,
  type Derivation,
  type LostClaim,
  lostWriteId,
  type MergeResult,
  type OriginId,
  type RecordKind,
  type RecordPlace,
  type Registry,
  type RegistryReader,
  type RegistryRecord,
  type RegistryWriter,
  type Stamp,
  type TotalsOf,
  type VersionVector,
} from "./registry.ts";
import type { RuleStore } from "./rule-store.ts";
import { HybridClock, stampOrigin } from "./stamp.ts";
import { TableReader } from "./table-reader.ts";
import { Transaction } from "./transaction.ts";

/** Passwords' hashes and groups' CA keys lie in the file: for its owner alone. */
const FILE_MODE = 0o600;
const ORIGIN_BYTES = 8;
/** SQLite's own 2 MiB hold too little of six indexes: pages would be read again, and spilled while a commit grows. */
const CACHE_KIB = 16 * 1024;
/**
 * Pages in the log before they go to their places: 16 MiB. At SQLite's own 1,000 that happens every hundred writes, each
 * time with two more flushes; a start after a crash reads the log in less than a second.
 */
const CHECKPOINT_PAGES = 4_000;
/** Pages that a backup copies at a time, while which no write goes on: a millisecond. */
const BACKUP_PAGES = 256;
/** One backup in fifty met a transaction under steady writes, so that many attempts never fail by chance. */
const MAX_BACKUP_ATTEMPTS = 20;
/** Largest file whose pages and indexes SQLite checks at start: measured below a second. */
const MAX_QUICK_CHECK_BYTES = 64 * 1024 * 1024;
/** Default time for checking rows at start; the rest is checked while serving. */
const START_CHECK_MS = 1_000;
/** Rows checked between two readings of the clock. */
const CHECKED_ROWS = 500;

export interface SqliteRegistryOptions {
  /** The database's file, made if there is none, or ":memory:". */
  readonly path: string;
  /** The wall clock, milliseconds since 1970. */
  readonly nowMs: () => number;
  /** A new id for an origin, unlike any other; 16 random hex digits otherwise. */
  readonly newOrigin?: () => OriginId;
  /** What is kept count of; nothing otherwise. The same for a file as long as it lives. */
  readonly totalsOf?: TotalsOf;
  /** Which names count as the same; by default every name is distinct. */
  readonly alikeOf?: AlikeOf;
  /** Called for each failure of the disk; the caller of the operation gets an error too. */
  readonly onTrouble?: (trouble: DiskTrouble) => void;
  /** Time for the check at opening; Infinity to check the whole file. */
  readonly checkMs?: number;
  /** Set if it replaces a lost registry: how that one was lost. */
  readonly incomplete?: string;
  /** The derivation, if any. Its version tells whether stored entries must be derived again. */
  readonly derivation?: Derivation;
  /** Which rows count only while something else lasts; by default none. */
  readonly anchors?: Anchors;
}

/** A write or merge that waits for the next commit. */
interface Queued {
  run(): void;
  committed(): void;
  failed(error: unknown): void;
}

export class SqliteRegistry extends TableReader implements Registry, RuleStore {
  readonly #database: DatabaseSync;
  readonly #nowMs: () => number;
  readonly #newOrigin: () => OriginId;
  readonly #onTrouble: (trouble: DiskTrouble) => void;
  #origin: OriginId;
  #clock: HybridClock;
  #queue: Queued[] = [];
  #isClosed = false;
  readonly #doubtful: Set<Stamp>;

  private constructor(database: DatabaseSync, options: SqliteRegistryOptions) {
    const { totalsOf = () => ({}), alikeOf = () => "", derivation, anchors } = options;
    super(new RecordTable(database, totalsOf, alikeOf, derivation, anchors));
    this.#database = database;
    this.#nowMs = options.nowMs;
    this.#newOrigin = options.newOrigin ?? (() => randomBytes(ORIGIN_BYTES).toString("hex"));
    this.#onTrouble = options.onTrouble ?? (() => {});
    // A new origin at each start: the disk may be an old copy that was restored, and others may have writes with the numbers
    // that would be given next. That cannot be detected later, nor from this copy alone.
    this.#doubtful = new Set(this.table.pendingClaims());
    this.#origin = this.#newOrigin();
    this.table.addOwnOrigin(this.#origin);
    this.#clock = new HybridClock(this.#nowMs, this.#origin, this.table.state("clock"));
  }

  /**
   * @throws MiniTorrentError DATA_DIR_IN_USE if another process has it open
   * @throws MiniTorrentError DISK_FAILED, DISK_FULL
   * @throws MiniTorrentError REGISTRY_DAMAGED if the check finds damage
   */
  static open(options: SqliteRegistryOptions): SqliteRegistry {
    let database: DatabaseSync | undefined;
    try {
      if (options.path !== ":memory:") makePrivate(options.path);
      database = new DatabaseSync(options.path);
      // One process alone: a second one fails at once.
      database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
      database.exec(`PRAGMA cache_size = -${CACHE_KIB}; PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
      database.exec("BEGIN IMMEDIATE");
      const registry = new SqliteRegistry(database, options);
      registry.#checkAtStart(options);
      if (options.incomplete !== undefined) registry.table.setState("incomplete", options.incomplete);
      database.exec("COMMIT");
      return registry;
    } catch (error) {
      database?.close();
      throw asOpeningError(error, options.path);
    }
  }

  get isIncomplete(): boolean {
    return this.incomplete !== undefined;
  }

  /** Why acknowledged rows are missing; undefined if the registry is complete. */
  get incomplete(): string | undefined {
    return this.read(() => this.table.state("incomplete"));
  }

  /** All rows of the others are here. */
  complete(): Promise<void> {
    return this.#enqueue(() => this.table.removeState("incomplete"));
  }

  /**
   * Checks some more rows.
   *
   * @returns true when the last row has been checked
   * @throws MiniTorrentError REGISTRY_DAMAGED; the owner is told too
   */
  checkRows(limit: number): boolean {
    return this.read(() => this.table.checkRows(limit));
  }

  get origin(): OriginId {
    return this.#origin;
  }

  get vector(): VersionVector {
    return this.table.vector;
  }

  get latestStamp(): Stamp {
    return this.#clock.latest;
  }

  observe(stamp: Stamp): void {
    this.#clock.observe(stamp);
  }

  isOwn(stamp: Stamp): boolean {
    return this.table.isOwnOrigin(stampOrigin(stamp));
  }

  isDoubtful(claimId: Stamp): boolean {
    return this.#doubtful.has(claimId);
  }

  get doubtfulClaims(): readonly Stamp[] {
    return [...this.#doubtful];
  }

  async settle(vector: VersionVector, doubtful: readonly Stamp[]): Promise<void> {
    const settled = this.doubtfulClaims.filter((claimId) => {
      if (doubtful.includes(claimId)) return false;
      const row = this.table.claimRow(claimId);
      return row === undefined || (vector[row.origin] ?? 0) >= row.seq;
    });
    if (settled.length > 0) await this.confirm(settled);
  }

  /** The text stored under that name by `keepNote`, at this tracker only. */
  note(name: string): string | undefined {
    return this.read(() => this.table.state(`note ${name}`));
  }

  /** Stores a text that is local to this tracker, over restarts. */
  keepNote(name: string, text: string): Promise<void> {
    return this.#enqueue(() => this.table.setState(`note ${name}`, text));
  }

  /** A test write; resolves if the disk accepts it. */
  probe(): Promise<void> {
    return this.#enqueue(() => {}); // every commit writes the clock
  }

  confirm(claimIds: readonly Stamp[]): Promise<void> {
    return this.#enqueue(() => {
      for (const claimId of claimIds) this.#settle(claimId);
    });
  }

  renewOrigin(clock: "goes on" | "is set back" = "goes on"): OriginId {
    this.commitQueued();
    const origin = this.#newOrigin();
    const hybridClock = new HybridClock(
      this.#nowMs,
      origin,
      clock === "goes on" ? this.#clock.latest : undefined,
    );
    try {
      this.#database.exec("BEGIN IMMEDIATE");
      this.table.addOwnOrigin(origin);
      this.table.setState("clock", hybridClock.next());
      this.#database.exec("COMMIT");
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw this.#failure(error);
    }
    this.#origin = origin;
    this.#clock = hybridClock;
    return origin;
  }

  transact<T>(
    writeId: string,
    work: (writer: RegistryWriter) => T,
    isRetry = false,
  ): Promise<{ result: T; records: RegistryRecord[] }> {
    return this.#enqueue(() => {
      const transaction = new Transaction(this.table, this.#clock, this.#origin, writeId, isRetry);
      const result = work(transaction);
      return { result, records: transaction.end() };
    });
  }

  async query<T>(work: (reader: RegistryReader) => T): Promise<T> {
    return work(this);
  }

  merge(
    records: readonly RegistryRecord[],
    upTo: VersionVector = {},
    after: VersionVector = {},
    doubtful: readonly Stamp[] = [],
  ): Promise<MergeResult> {
    return this.#enqueue(() => this.#merge(records, upTo, after, new Set(doubtful)));
  }

  get hasAnchoredLeft(): boolean {
    return this.table.hasAnchoredLeft;
  }

  dropAnchored(limit: number): Promise<void> {
    return this.#enqueue(() => this.table.dropAnchored(limit));
  }

  revision(kind: RecordKind): number {
    return this.table.revision(kind);
  }

  placesSince(kind: RecordKind, revision: number): readonly RecordPlace[] | undefined {
    return this.table.placesSince(kind, revision);
  }

  rowsOfWrite(writeId: string): RegistryRecord[] {
    return this.read(() => this.table.rowsOfWrite(writeId));
  }

  row(kind: RecordKind, key: string, claimId: Stamp | ""): RegistryRecord | undefined {
    return this.read(() => this.table.row(kind, key, claimId));
  }

  since(vector: VersionVector, limit: number): RegistryRecord[] {
    return this.read(() => this.table.since(vector, limit));
  }

  digest(): string {
    return this.table.digest;
  }

  /**
   * Writes a copy of all that is committed to a new file, while others go on reading and writing here.
   *
   * @throws MiniTorrentError DISK_FAILED, DISK_FULL; also if there is such a file
   */
  async backUp(path: string): Promise<void> {
    try {
      closeSync(openSync(path, "wx", FILE_MODE));
      await this.#copyTo(path);
    } catch (error) {
      throw asDiskError(error, path);
    }
  }

  /**
   * Node fails a backup with the code 0 ("not an error") if its first step meets an open transaction. Nothing is copied by
   * then, so it is tried again.
   */
  async #copyTo(path: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await backup(this.#database, path, { rate: BACKUP_PAGES });
        return;
      } catch (error) {
        const isLocked = error instanceof Error && "errcode" in error && error.errcode === 0;
        if (!isLocked || attempt === MAX_BACKUP_ATTEMPTS) throw error;
      }
    }
  }

  /** Commits what is queued, then closes. A second call does nothing. */
  close(): void {
    if (this.#isClosed) return;
    this.commitQueued();
    this.#isClosed = true;
    this.#database.close();
  }

  /** @throws MiniTorrentError REGISTRY_DAMAGED, whatever SQLite throws */
  #checkAtStart({ path, checkMs = START_CHECK_MS }: SqliteRegistryOptions): void {
    if (path !== ":memory:" && (checkMs === Infinity || statSync(path).size <= MAX_QUICK_CHECK_BYTES)) {
      const found = this.#database.prepare("PRAGMA quick_check(1)").get()?.quick_check;
      if (found !== "ok") throw new MiniTorrentError("REGISTRY_DAMAGED", `SQLite reports: ${String(found)}.`);
    }
    const endMs = performance.now() + checkMs;
    while (!this.table.checkRows(CHECKED_ROWS) && performance.now() < endMs);
  }

  #merge(
    records: readonly RegistryRecord[],
    upTo: VersionVector,
    after: VersionVector,
    doubtful: ReadonlySet<Stamp>,
  ): MergeResult {
    const hasGap = Object.entries(after).some(([origin, seq]) => this.table.seqOf(origin) < seq);
    const standing = new Map<string, LostClaim | undefined>();
    const changed: RegistryRecord[] = [];
    /** Names that have, or may have, more than one claim. */
    const contested = new Set<string>();
    for (const record of records) {
      this.#clock.observe(record.stamp);
      if (record.claimId !== "") {
        const name = this.table.contestOf(record.kind, record.key);
        if (standing.has(name)) contested.add(name);
        else {
          const claim = this.table.rival(record.kind, record.key);
          standing.set(
            name,
            claim && { kind: record.kind, name: claim.name, claimId: claim.claimId, value: claim.value },
          );
          if (claim !== undefined) contested.add(name);
        }
      }
      if (this.table.store(record)) {
        changed.push(record);
        if (doubtful.has(record.claimId)) this.#doubt(record.claimId);
      } else if (this.isDoubtful(record.claimId) && !doubtful.has(record.claimId)) {
        this.#settle(record.claimId); // it is known elsewhere, and not in doubt
      }
      if (record.seq === this.table.seqOf(record.origin) + 1) this.table.advance(record.origin, record.seq);
    }
    if (!hasGap) {
      for (const [origin, seq] of Object.entries(upTo)) this.table.advance(origin, seq);
    }
    const rivals = changed.filter(
      ({ kind, key, claimId }) => claimId !== "" && contested.has(this.table.contestOf(kind, key)),
    );
    const endings = rivals.flatMap((record) => this.#endTwins(record));
    endings.push(...rivals.flatMap((record) => this.#endDoubtful(record)));
    const lostClaims: LostClaim[] = [];
    for (const claim of standing.values()) {
      if (claim === undefined || this.table.claimById(claim.kind, claim.claimId) !== undefined) continue;
      const row = this.table.row(claim.kind, claim.name, claim.claimId);
      // One that was ended because it had lost may be heard of as ended before what beat it is.
      if (row?.value !== undefined || row?.writeId === lostWriteId(claim.claimId)) lostClaims.push(claim);
    }
    endings.push(...lostClaims.flatMap((lost) => this.#endIfOwn(lost)));
    return { changed, lostClaims, endings: endings.sort((a, b) => a.seq - b.seq), hasGap };
  }

  #doubt(claimId: Stamp): void {
    this.table.addPendingClaim(claimId);
    this.#doubtful.add(claimId);
  }

  #settle(claimId: Stamp): void {
    this.table.removePendingClaim(claimId);
    this.#doubtful.delete(claimId);
  }

  /**
   * Ends one of two claims of the same command: its tracker died or could not answer, and the client retried it, once, at
   * another tracker that did not have the first claim. The retry's claim is kept, because only the retry may have been
   * answered; the rows say which that is. Only the rows decide, and nothing that trackers may know differently, such as a
   * doubt: otherwise two trackers might each end another one.
   */
  #endTwins({ kind, key, claimId, value, writeId }: RegistryRecord): RegistryRecord[] {
    if (claimId === "" || value === undefined) return [];
    const twins = this.table.liveClaimsOf(kind, key, writeId);
    const kept = twins.at(-1);
    if (kept === undefined) return [];
    const ended = twins.filter((id) => id !== kept);
    return ended.flatMap((twin) => this.#end(kind, twin, twinWriteId(twin, kept)));
  }

  /**
   * A doubtful claim, of which no client was told because its tracker died, meets another claim on its name. That one was
   * made while the doubtful one was unknown here, and a client may have been told of it. So the doubtful claim yields, even if
   * it is earlier. Only the tracker that made the other claim ends the doubtful one: it alone may end its own claim too, so
   * never both are ended.
   */
  #endDoubtful({ kind, key, claimId, value }: RegistryRecord): RegistryRecord[] {
    if (claimId === "" || value === undefined || this.#doubtful.size === 0) return [];
    const live = this.table.liveClaims(kind, key);
    const inDoubt = live.filter((id) => this.isDoubtful(id));
    if (!live.some((id) => !this.isDoubtful(id) && this.isOwn(id))) return [];
    return inDoubt.flatMap((id) => this.#end(kind, id, lostWriteId(id)));
  }

  /**
   * Only the tracker that made a claim knows that the name was free then, so only there has an earlier claim beaten it for
   * good. Elsewhere the earlier claim may have ended, with the row that ended it still in transit.
   */
  #endIfOwn({ kind, claimId }: LostClaim): RegistryRecord[] {
    return this.isOwn(claimId) ? this.#end(kind, claimId, lostWriteId(claimId)) : [];
  }

  #end(kind: RecordKind, claimId: Stamp, writeId: string): RegistryRecord[] {
    const transaction = new Transaction(this.table, this.#clock, this.#origin, writeId);
    transaction.endClaim(kind, claimId);
    return transaction.end();
  }

  #enqueue<T>(run: () => T): Promise<T> {
    if (this.#isClosed) {
      return Promise.reject(new MiniTorrentError("INTERNAL", "The registry is closed."));
    }
    return new Promise((resolve, reject) => {
      let result: { value: T } | undefined;
      this.#queue.push({
        run: () => {
          result = { value: run() };
        },
        committed: () => {
          if (result !== undefined) resolve(result.value);
        },
        failed: reject,
      });
      if (this.#queue.length === 1) soon("a commit", () => this.commitQueued());
    });
  }

  /**
   * Commits the queue now rather than in the next turn of the event loop: one BEGIN … COMMIT, with a savepoint for each
   * entry, so that one that throws does not affect the others. A single entry needs no savepoint, which makes SQLite copy each
   * changed page: a tenth of the work of catching up.
   */
  commitQueued(): void {
    const batch = this.#queue;
    this.#queue = [];
    if (batch.length === 0) return;
    try {
      this.#commit(batch);
    } catch (error) {
      // An unforeseen error: the callers must not wait for ever.
      for (const queued of batch) queued.failed(error);
      throw error;
    }
  }

  #commit(batch: readonly Queued[]): void {
    const before = this.table.snapshot();
    const done: Queued[] = [];
    try {
      this.#database.exec("BEGIN IMMEDIATE");
      const [first] = batch;
      if (batch.length === 1 && first !== undefined) {
        if (!this.#runAlone(first, before)) return;
        done.push(first);
      } else {
        for (const queued of batch) if (this.#runInSavepoint(queued)) done.push(queued);
      }
      this.table.save(before);
      this.table.setState("clock", this.#clock.latest);
      this.#database.exec("COMMIT");
    } catch (error) {
      this.table.restore(before);
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      const failure = this.#failure(error);
      for (const queued of batch) queued.failed(failure); // those that failed already stay as they are
      return;
    }
    for (const queued of done) queued.committed();
  }

  /** Runs it. If it throws, rolls the transaction back and rejects it. @returns true if it succeeded */
  #runAlone(queued: Queued, before: TableSnapshot): boolean {
    try {
      queued.run();
      return true;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      this.table.restore(before);
      queued.failed(this.#failure(error));
      return false;
    }
  }

  /** Runs it. If it throws, undoes its writes and rejects it. @returns true if it succeeded */
  #runInSavepoint(queued: Queued): boolean {
    const before = this.table.snapshot();
    this.#database.exec("SAVEPOINT work");
    try {
      queued.run();
      this.#database.exec("RELEASE work");
      return true;
    } catch (error) {
      // On a full disk SQLite may roll the whole transaction back by itself, and with it the whole batch.
      if (!this.#database.isTransaction) throw error;
      this.#database.exec("ROLLBACK TO work; RELEASE work");
      this.table.restore(before);
      queued.failed(this.#failure(error));
      return false;
    }
  }

  protected override read<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** The error for the caller. Also reports disk trouble to the owner. */
  #failure(error: unknown): unknown {
    const trouble = diskTroubleOf(error);
    if (trouble !== undefined) this.#onTrouble(trouble);
    return isSqliteError(error) ? asDiskError(error, "the registry") : error;
  }
}

/** Write id of a row that ends one of two claims of the same command; it names the one that is kept. */
function twinWriteId(ended: Stamp, kept: Stamp): string {
  return `twin:${ended}:${kept}`;
}

function makePrivate(path: string): void {
  closeSync(openSync(path, "a", FILE_MODE));
  chmodSync(path, FILE_MODE);
}
