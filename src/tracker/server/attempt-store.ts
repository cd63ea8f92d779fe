// Keeps this tracker's counts of attempts over a restart (window-counter.ts). Losing them allows only a few more guesses, so
// a fault of the file is logged and the tracker runs on without it.
import { chmodSync, closeSync, openSync, rmSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Logger } from "pino";
import { z } from "zod";
import type { CountStore, KeptCount } from "./window-counter.ts";

/** Rows stored between two removals of expired rows. */
const CLEAN_EVERY = 1_000;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS attempt (
    counter TEXT NOT NULL,
    key TEXT NOT NULL,
    count INTEGER NOT NULL,
    endsAtMs INTEGER NOT NULL,
    PRIMARY KEY (counter, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS attemptByEnd ON attempt (endsAtMs);
`;

const rowSchema = z.object({ key: z.string(), count: z.int().positive(), endsAtMs: z.int() });

interface Statements {
  readonly load: StatementSync;
  readonly put: StatementSync;
  readonly remove: StatementSync;
  readonly clean: StatementSync;
}

export class AttemptStore implements CountStore {
  readonly #log: Logger;
  readonly #nowMs: () => number;
  #database: DatabaseSync | undefined;
  #statements: Statements | undefined;
  #putCount = 0;
  #hasFailed = false;

  /**
   * Opens the file, or creates it for this user alone; a damaged one is recreated.
   *
   * @param nowMs the wall clock: the only one that runs while the tracker is stopped
   */
  constructor(path: string, log: Logger, nowMs: () => number) {
    this.#log = log;
    this.#nowMs = nowMs;
    if (this.#try(() => this.#open(path))) return;
    this.#closeDatabase();
    this.#try(() => {
      for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix, { force: true });
      this.#open(path);
    });
  }

  load(counter: string): KeptCount[] {
    let kept: KeptCount[] = [];
    this.#try(() => {
      const nowMs = this.#nowMs();
      const rows = this.#statements?.load.all(counter, nowMs) ?? [];
      kept = rows.map((row) => {
        const { key, count, endsAtMs } = rowSchema.parse(row);
        return { key, count, remainingMs: endsAtMs - nowMs };
      });
    });
    return kept;
  }

  put(counter: string, { key, count, remainingMs }: KeptCount): void {
    const nowMs = this.#nowMs();
    this.#try(() => {
      this.#statements?.put.run(counter, key, count, Math.ceil(nowMs + remainingMs));
      if (++this.#putCount % CLEAN_EVERY === 0) this.#statements?.clean.run(nowMs);
    });
  }

  remove(counter: string, key: string): void {
    this.#try(() => this.#statements?.remove.run(counter, key));
  }

  close(): void {
    this.#try(() => this.#closeDatabase());
  }

  #open(path: string): void {
    closeSync(openSync(path, "a", 0o600));
    chmodSync(path, 0o600);
    this.#database = new DatabaseSync(path);
    // Not flushed for each row: a power cut loses little, and `kill -9` nothing.
    this.#database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
    this.#database.exec(SCHEMA);
    const checked: unknown = this.#database.prepare("PRAGMA quick_check(1)").get()?.quick_check;
    if (checked !== "ok") throw new Error(`the file is damaged: ${String(checked)}`);
    this.#statements = {
      load: this.#database.prepare(
        "SELECT key, count, endsAtMs FROM attempt WHERE counter = ? AND endsAtMs > ?",
      ),
      put: this.#database.prepare("INSERT OR REPLACE INTO attempt VALUES (?, ?, ?, ?)"),
      remove: this.#database.prepare("DELETE FROM attempt WHERE counter = ? AND key = ?"),
      clean: this.#database.prepare("DELETE FROM attempt WHERE endsAtMs <= ?"),
    };
  }

  #closeDatabase(): void {
    const database = this.#database;
    this.#database = undefined;
    this.#statements = undefined;
    database?.close();
  }

  /** True on success. Logs the first of consecutive failures. */
  #try(work: () => void): boolean {
    try {
      work();
      this.#hasFailed = false;
      return true;
    } catch (error) {
      if (!this.#hasFailed) {
        this.#log.warn({ err: error }, "counts of attempts are not kept over a restart: their file failed");
      }
      this.#hasFailed = true;
      return false;
    }
  }
}
