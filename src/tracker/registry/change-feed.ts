// Reads the table of changes of a shared registry from the last position on, so that every process hears of every change, once and
// in order. NOTIFY only wakes it; it also looks by itself, since a notification can be lost, and a pooler may pass none.
//
// The order is that of transaction ids. A transaction gets its id with its only statement that writes, when it has its locks: of
// two that change the same rows, the later one has the higher id. An entry is read once no transaction with a lower id runs.
import { Client, type ClientBase } from "pg";
import { MiniTorrentError } from "../../api/errors.ts";
import type { Clock } from "../../net/timers.ts";
import type { RegistryRecord } from "./registry.ts";

const POLL_MS = 1_000;
/** After a failure; the database is probably down. */
const RETRY_MS = 1_000;
/** Woken again while a transaction with a lower id runs: as long as its commit takes. */
const SOON_MS = 5;
const MOST_AT_ONCE = 500;
const CONNECT_TIMEOUT_MS = 3_000;
/** The channel on which a committed change is announced. */
export const CHANGE_CHANNEL = "minitorrent_change";

export interface ChangeFeedOptions {
  /** postgres://user:password@host:port/database */
  readonly url: string;
  readonly clock: Clock;
  /** Called for each transaction with its rows. What it throws ends the process's feed: it must not throw. */
  readonly onChange: (records: readonly RegistryRecord[]) => void;
  /** The database answers, or does not: told when that changes. */
  readonly onReachable: (isReachable: boolean) => void;
}

interface Position {
  /** An xid8, as text. */
  readonly transactionId: string;
  readonly position: string;
}

export class ChangeFeed {
  readonly #options: ChangeFeedOptions;
  #client: Client | undefined;
  /** Of the last change that was told; undefined before the first look. */
  #last: Position | undefined;
  #isReading = false;
  #isWoken = false;
  #isClosed = false;
  #isReachable = true;
  #cancel: () => void = () => {};

  constructor(options: ChangeFeedOptions) {
    this.#options = options;
  }

  /**
   * Begins after everything that is in the table now; resolves once nothing that is written later can be missed.
   *
   * @throws MiniTorrentError REGISTRY_UNREACHABLE
   */
  async open(): Promise<void> {
    try {
      await this.#connect();
    } catch (error) {
      throw new MiniTorrentError(
        "REGISTRY_UNREACHABLE",
        "The trackers' database does not answer; start it, or correct its address.",
        { cause: error },
      );
    }
    this.#later(POLL_MS);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancel();
    await this.#client?.end().catch(() => undefined);
  }

  async #connect(): Promise<void> {
    const client = new Client({
      connectionString: this.#options.url,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    });
    client.on("notification", () => this.#wake());
    client.on("error", () => undefined); // the next look meets it
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANGE_CHANNEL}`);
      this.#last ??= await endOf(client);
      this.#client = client;
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    }
  }

  #later(delayMs: number): void {
    this.#cancel();
    if (!this.#isClosed) this.#cancel = this.#options.clock.setTimer(delayMs, () => this.#wake());
  }

  #wake(): void {
    if (this.#isReading) {
      this.#isWoken = true;
      return;
    }
    this.#isReading = true;
    void this.#read().then((delayMs) => {
      this.#isReading = false;
      if (this.#isWoken && !this.#isClosed) {
        this.#isWoken = false;
        this.#wake();
      } else this.#later(delayMs);
    });
  }

  /** Tells everything new. @returns when to look again; never rejects */
  async #read(): Promise<number> {
    try {
      if (this.#client === undefined) await this.#connect();
      let isWaiting = false;
      for (;;) {
        const { client, last } = { client: this.#client, last: this.#last };
        if (this.#isClosed || client === undefined || last === undefined) return POLL_MS;
        const { changes, hasRunning } = await changesAfter(client, last);
        for (const { records, ...position } of changes) {
          this.#last = position;
          this.#options.onChange(records);
        }
        isWaiting = hasRunning;
        if (changes.length < MOST_AT_ONCE) break;
      }
      this.#tell(true);
      return isWaiting ? SOON_MS : POLL_MS;
    } catch {
      const lost = this.#client;
      this.#client = undefined;
      await lost?.end().catch(() => undefined);
      if (!this.#isClosed) this.#tell(false);
      return RETRY_MS;
    }
  }

  #tell(isReachable: boolean): void {
    if (this.#isReachable === isReachable) return;
    this.#isReachable = isReachable;
    this.#options.onReachable(isReachable);
  }
}

/** The position of everything that has been committed, and of nothing that may yet be. */
async function endOf(client: ClientBase): Promise<Position> {
  const { rows } = await client.query<{ xmin: string }>(
    "SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin",
  );
  // Ids below xmin are over. Position 0 comes before all of that id, and so do all ids below it.
  return { transactionId: rows[0]?.xmin ?? "0", position: "0" };
}

async function changesAfter(
  client: ClientBase,
  { transactionId, position }: Position,
): Promise<{ changes: readonly (Position & { records: readonly RegistryRecord[] })[]; hasRunning: boolean }> {
  const { rows } = await client.query<{ xid: string; position: string; rows: string; is_over: boolean }>({
    name: "changes",
    text: `SELECT transaction_id::text AS xid, position::text, rows,
             transaction_id < pg_snapshot_xmin(pg_current_snapshot()) AS is_over
           FROM change WHERE (transaction_id, position) > ($1::xid8, $2::bigint)
           ORDER BY transaction_id, position LIMIT $3`,
    values: [transactionId, position, MOST_AT_ONCE],
  });
  // What follows one that may be preceded by another waits with it.
  const end = rows.findIndex(({ is_over: isOver }) => !isOver);
  const over = end === -1 ? rows : rows.slice(0, end);
  return {
    changes: over.map(({ xid, position: at, rows: text }) => ({
      transactionId: xid,
      position: at,
      records: JSON.parse(text) as readonly RegistryRecord[],
    })),
    hasRunning: end !== -1,
  };
}
