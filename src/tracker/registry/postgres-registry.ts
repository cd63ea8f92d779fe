// The registry in a PostgreSQL database that several tracker processes share. Rules run on rows in hand (rows-in-hand.ts); what they
// write goes out in one statement with the totals, the derived entries and an entry of the table `change`, which other processes
// read. The database keeps names unique: a rule whose claim met another one runs again, and says so itself.
import { randomBytes, randomInt } from "node:crypto";
import { DatabaseError, Pool, type PoolClient } from "pg";
import { MiniTorrentError } from "../../api/errors.ts";
import { CHANGE_CHANNEL } from "./change-feed.ts";
import { answerTo, lockUser, type ReadMode } from "./postgres-reads.ts";
import { migrate } from "./postgres-schema.ts";
import type {
  AlikeOf,
  Anchors,
  Derivation,
  OriginId,
  RegistryReader,
  RegistryRecord,
  RegistryWriter,
  TotalsOf,
} from "./registry.ts";
import { type HandChanges, HandTransaction, RowsInHand, RowsMissing } from "./rows-in-hand.ts";
import type { RuleStore } from "./rule-store.ts";
import { HybridClock } from "./stamp.ts";

/** Connections of one process: about as many commands at a time. */
const MOST_CONNECTIONS = 16;
/** An answer that takes longer is a database that does not answer. */
const STATEMENT_TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 3_000;
/** Reads of one rule, each of which runs it again. The longest rules have some dozens. */
const MOST_READS = 2_000;
/** Attempts at a transaction that met others'. */
const MOST_ATTEMPTS = 10;
/** Rows that each total is spread over. */
const TOTAL_PARTS = 16;
const ORIGIN_BYTES = 8;
/** https://www.postgresql.org/docs/current/errcodes-appendix.html: unique_violation, serialization_failure, deadlock_detected. */
const MET_ANOTHER: ReadonlySet<string | undefined> = new Set(["23505", "40001", "40P01"]);
export interface PostgresRegistryOptions {
  /** postgres://user:password@host:port/database */
  readonly url: string;
  /** The wall clock, milliseconds since 1970. */
  readonly nowMs: () => number;
  readonly totalsOf?: TotalsOf;
  readonly alikeOf?: AlikeOf;
  readonly derivation?: Derivation;
  readonly anchors?: Anchors;
}

/** One statement for everything that a transaction changes. Each list is JSON; none of its rows is in two of them. */
const WRITE = `
  WITH written AS (
    INSERT INTO record (kind, key, claim_id, value, stamp, origin, seq, write_id, is_retry, paid_by, contest, anchor)
    SELECT kind, key, claim_id, value, stamp, origin, seq, write_id, is_retry, paid_by, contest, anchor
    FROM json_to_recordset($1) AS r (kind text, key text, claim_id text, value text, stamp text, origin text, seq bigint,
      write_id text, is_retry boolean, paid_by text, contest text, anchor text)
    ON CONFLICT (kind, key, claim_id) DO UPDATE SET value = excluded.value, stamp = excluded.stamp,
      origin = excluded.origin, seq = excluded.seq, write_id = excluded.write_id, is_retry = excluded.is_retry,
      paid_by = excluded.paid_by, contest = excluded.contest, anchor = excluded.anchor
  ), underived AS (
    DELETE FROM derived WHERE place IN (SELECT json_array_elements_text($2))
  ), derived_now AS (
    INSERT INTO derived (place, value, lists, totals)
    SELECT place, value, lists, totals FROM json_to_recordset($3) AS d (place text, value text, lists text, totals text)
    ON CONFLICT (place) DO UPDATE SET value = excluded.value, lists = excluded.lists, totals = excluded.totals
  ), unlisted AS (
    DELETE FROM listed USING json_to_recordset($4) AS l (list text, sort text)
    WHERE listed.list = l.list AND listed.sort = l.sort
  ), listed_now AS (
    INSERT INTO listed (list, sort, place)
    SELECT list, sort, place FROM json_to_recordset($5) AS l (list text, sort text, place text)
    ON CONFLICT (list, sort) DO UPDATE SET place = excluded.place
  ), counted AS (
    INSERT INTO total (name, part, amount)
    SELECT name, $7, amount FROM json_to_recordset($6) AS t (name text, amount bigint) ORDER BY name
    ON CONFLICT (name, part) DO UPDATE SET amount = total.amount + excluded.amount
  ), ended AS (
    INSERT INTO ended_anchor (anchor) SELECT json_array_elements_text($8) ON CONFLICT DO NOTHING
  ), dropped AS (
    UPDATE record SET anchor = '' WHERE anchor <> '' AND anchor IN (SELECT json_array_elements_text($8))
      AND NOT EXISTS (SELECT 1 FROM json_to_recordset($1) AS r (kind text, key text, claim_id text)
        WHERE r.kind = record.kind AND r.key = record.key AND r.claim_id = record.claim_id)
  )
  INSERT INTO change (rows) VALUES ($9)`;

export class PostgresRegistry implements RuleStore {
  /** Of this process: in its stamps, so that no two processes make the same one. */
  readonly origin: OriginId;
  readonly #pool: Pool;
  readonly #options: PostgresRegistryOptions;
  readonly #clock: HybridClock;
  readonly #alikeOf: AlikeOf;
  #nextSeq = 1;

  private constructor(options: PostgresRegistryOptions, pool: Pool) {
    this.#options = options;
    this.#pool = pool;
    this.#alikeOf = options.alikeOf ?? (() => "");
    this.origin = randomBytes(ORIGIN_BYTES).toString("hex");
    this.#clock = new HybridClock(options.nowMs, this.origin);
  }

  /**
   * Connects, and makes the tables if there are none.
   *
   * @throws MiniTorrentError REGISTRY_UNREACHABLE
   */
  static async open(options: PostgresRegistryOptions): Promise<PostgresRegistry> {
    const pool = new Pool({
      connectionString: options.url,
      max: MOST_CONNECTIONS,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
    });
    // Of a connection that nobody uses; whoever uses the next one gets an error of their own.
    pool.on("error", () => undefined);
    const registry = new PostgresRegistry(options, pool);
    try {
      await registry.#withClient(migrate);
      return registry;
    } catch (error) {
      await pool.end();
      throw error;
    }
  }

  query<T>(work: (reader: RegistryReader) => T): Promise<T> {
    return this.#withClient(async (client) => {
      // One moment for all reads of the work.
      await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
      const { result } = await this.#onRowsInHand(client, "reading", "", false, work);
      await client.query("COMMIT");
      return result;
    });
  }

  async transact<T>(
    writeId: string,
    work: (writer: RegistryWriter) => T,
    isRetry = false,
  ): Promise<{ result: T; records: readonly RegistryRecord[] }> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#withClient((client) => this.#transactOnce(client, writeId, isRetry, work));
      } catch (error) {
        const hasMetAnother = error instanceof DatabaseError && MET_ANOTHER.has(error.code);
        if (!hasMetAnother || attempt === MOST_ATTEMPTS) throw error;
      }
    }
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async #transactOnce<T>(
    client: PoolClient,
    writeId: string,
    isRetry: boolean,
    work: (writer: RegistryWriter) => T,
  ): Promise<{ result: T; records: readonly RegistryRecord[] }> {
    await client.query("BEGIN");
    const { result, changes } = await this.#onRowsInHand(client, "writing", writeId, isRetry, work);
    if (changes.records.length > 0) {
      for (const { kind, key } of changes.records) {
        if (kind === "user") await lockUser(client, this.#alikeOf(kind, key) || key);
      }
      await this.#write(client, changes);
      await client.query(`NOTIFY ${CHANGE_CHANNEL}`);
    }
    await client.query("COMMIT");
    return { result, records: changes.records };
  }

  /** Runs the work again whenever a read is missing, until all are in hand. */
  async #onRowsInHand<T>(
    client: PoolClient,
    mode: ReadMode,
    writeId: string,
    isRetry: boolean,
    work: (writer: RegistryWriter) => T,
  ): Promise<{ result: T; changes: HandChanges }> {
    const { totalsOf = () => ({}), derivation, anchors } = this.#options;
    const hand = new RowsInHand();
    // The same stamps in each run, so that a claim that a run made is the one that the next run reads.
    const stamps: string[] = [];
    const firstSeq = this.#nextSeq;
    for (let reads = 0; reads < MOST_READS; reads++) {
      let made = 0;
      const transaction = new HandTransaction({
        ...{ hand, origin: this.origin, firstSeq, writeId, isRetry, totalsOf, derivation, anchors },
        alikeOf: this.#alikeOf,
        clock: {
          next: () => {
            const stamp = stamps[made] ?? this.#clock.next();
            stamps[made] = stamp;
            made++;
            return stamp;
          },
        },
      });
      try {
        const result = work(transaction);
        const changes = transaction.end();
        this.#nextSeq = Math.max(this.#nextSeq, firstSeq + changes.records.length);
        return { result, changes };
      } catch (error) {
        if (!(error instanceof RowsMissing)) throw error;
        hand.give(error.read, await answerTo(client, error.read, mode));
      }
    }
    throw new MiniTorrentError("INTERNAL", `A command needs more than ${MOST_READS} reads.`);
  }

  async #write(client: PoolClient, changes: HandChanges): Promise<void> {
    const { records, derived, totals, endedAnchors, anchorOf } = changes;
    const rows = records.map((record) => ({
      kind: record.kind,
      key: record.key,
      claim_id: record.claimId,
      value: record.value === undefined ? null : JSON.stringify(record.value),
      ...{ stamp: record.stamp, origin: record.origin, seq: record.seq, write_id: record.writeId },
      is_retry: record.isRetry === true,
      paid_by: record.paidBy ?? "",
      contest: this.#contestOf(record),
      anchor: anchorOf(record),
    }));
    const now = derived.filter(({ now }) => now !== undefined);
    const gone = derived.filter(({ now }) => now === undefined);
    const added = now.flatMap(({ place, now }) =>
      Object.entries(now?.lists ?? {}).map(([list, sort]) => ({ list, sort, place })),
    );
    const isAdded = new Set(added.map(({ list, sort }) => JSON.stringify([list, sort])));
    const removed = derived
      .flatMap(({ before }) => Object.entries(before?.lists ?? {}))
      .filter(([list, sort]) => !isAdded.has(JSON.stringify([list, sort])))
      .map(([list, sort]) => ({ list, sort }));
    await client.query({
      name: "change",
      text: WRITE,
      values: [
        JSON.stringify(rows),
        JSON.stringify(gone.map(({ place }) => place)),
        JSON.stringify(
          now.map(({ place, now }) => ({
            place,
            value: JSON.stringify(now?.value),
            lists: JSON.stringify(now?.lists),
            totals: JSON.stringify(now?.totals),
          })),
        ),
        JSON.stringify(removed),
        JSON.stringify(added),
        JSON.stringify(
          [...totals].filter(([, amount]) => amount !== 0).map(([name, amount]) => ({ name, amount })),
        ),
        randomInt(TOTAL_PARTS),
        JSON.stringify(endedAnchors),
        JSON.stringify(records),
      ],
    });
  }

  #contestOf({ kind, key, claimId, value }: RegistryRecord): string | null {
    if (claimId === "" || value === undefined) return null;
    return this.#alikeOf(kind, key) || key;
  }

  /** A connection for one transaction, which is rolled back if the work fails. @throws MiniTorrentError REGISTRY_UNREACHABLE */
  async #withClient<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect().catch((error: unknown) => {
      throw unreachable(error);
    });
    let isLost = false;
    try {
      return await work(client);
    } catch (error) {
      isLost =
        isConnectionLost(error) ||
        (await client.query("ROLLBACK").then(
          () => false,
          () => true,
        ));
      throw isConnectionLost(error) ? unreachable(error) : error;
    } finally {
      client.release(isLost);
    }
  }
}

/** Class 08: connection exceptions; 57P0x: the server is shut down, crashed or starts. Others come from the socket. */
function isConnectionLost(error: unknown): boolean {
  if (error instanceof MiniTorrentError || error instanceof RowsMissing) return false;
  if (error instanceof DatabaseError) return /^(08|57P0)/.test(error.code ?? "");
  return error instanceof Error && ("syscall" in error || /connection|timeout|terminat/i.test(error.message));
}

function unreachable(cause: unknown): MiniTorrentError {
  return new MiniTorrentError(
    "REGISTRY_UNREACHABLE",
    "The trackers' database does not answer; what runs continues. Try again, or ask the trackers' operator.",
    { cause },
  );
}
