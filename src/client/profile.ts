// What survives a restart of a client, for one account: what it shares, and what it was downloading with the pieces it
// had verified. One SQLite file a profile, held by one process at a time; nothing secret is in it.
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Logger } from "pino";
import { MiniTorrentError } from "../api/errors.ts";
import type { Account } from "../api/schemas.ts";
import type { FileFacts } from "../storage/file-facts.ts";

/** How many clients of one account may run on one machine, each with a profile of its own. */
const MAX_PROFILES = 16;
const SQLITE_BUSY = 5;

export interface StoredShare {
  readonly groupId: string;
  readonly fileName: string;
  readonly path: string;
  readonly info: Uint8Array;
  readonly facts: FileFacts;
  /** False until a tracker has confirmed that it lists this member among those who share the file. */
  readonly isRegistered: boolean;
}

export interface StoredDownload {
  readonly groupId: string;
  readonly fileName: string;
  readonly destinationPath: string;
  readonly info: Uint8Array;
  /** Pieces verified and written, as in a bitfield message. */
  readonly have: Uint8Array;
  /** The part file when `have` was saved; undefined while there was none. */
  readonly facts: FileFacts | undefined;
  /** Which file the part file is (see `partIdOf`); undefined while there is none of this download's own. */
  readonly partId: string | undefined;
  /** True if the user paused it: it then does not go on by itself. */
  readonly isPaused: boolean;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS share (
    group_id TEXT NOT NULL, file_name TEXT NOT NULL, path TEXT NOT NULL, info BLOB NOT NULL,
    length_bytes INTEGER NOT NULL, mtime_ms REAL NOT NULL, is_registered INTEGER NOT NULL,
    PRIMARY KEY (group_id, file_name)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS download (
    group_id TEXT NOT NULL, file_name TEXT NOT NULL, destination_path TEXT NOT NULL, info BLOB NOT NULL,
    have BLOB NOT NULL, length_bytes INTEGER, mtime_ms REAL, part_id TEXT, is_paused INTEGER NOT NULL,
    PRIMARY KEY (group_id, file_name)
  ) STRICT;
`;

const STATEMENTS = {
  begin: "BEGIN IMMEDIATE",
  commit: "COMMIT",
  saveShare: "INSERT OR REPLACE INTO share VALUES (?, ?, ?, ?, ?, ?, ?)",
  removeShare: "DELETE FROM share WHERE group_id = ? AND file_name = ?",
  saveDownload: "INSERT OR REPLACE INTO download VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
  removeDownload: "DELETE FROM download WHERE group_id = ? AND file_name = ?",
} as const;

interface ShareRow {
  group_id: string;
  file_name: string;
  path: string;
  info: Uint8Array;
  length_bytes: number;
  mtime_ms: number;
  is_registered: number;
}

interface DownloadRow {
  group_id: string;
  file_name: string;
  destination_path: string;
  info: Uint8Array;
  have: Uint8Array;
  length_bytes: number | null;
  mtime_ms: number | null;
  part_id: string | null;
  is_paused: number;
}

export class Profile {
  readonly #database: DatabaseSync;
  readonly #log: Logger;
  /** Prepared once: that costs as much as running them. */
  readonly #statements: Readonly<Record<keyof typeof STATEMENTS, StatementSync>>;

  private constructor(database: DatabaseSync, log: Logger) {
    this.#database = database;
    this.#log = log;
    this.#statements = {
      begin: database.prepare(STATEMENTS.begin),
      commit: database.prepare(STATEMENTS.commit),
      saveShare: database.prepare(STATEMENTS.saveShare),
      removeShare: database.prepare(STATEMENTS.removeShare),
      saveDownload: database.prepare(STATEMENTS.saveDownload),
      removeDownload: database.prepare(STATEMENTS.removeDownload),
    };
  }

  /**
   * Opens the profile of that account below the data directory. A second client of the same account on the same
   * machine gets a second profile, so that the two never resume the same download into the same file.
   *
   * @throws MiniTorrentError DATA_DIR_IN_USE when all of them are taken, DISK_FAILED when it cannot be opened
   */
  static open(dataDir: string, account: Account, log: Logger): Profile {
    const identity = createHash("sha256").update(account.accountId).digest("hex").slice(0, 16);
    const folder = join(dataDir, "accounts", `${account.userId}-${identity}`);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (let number = 1; number <= MAX_PROFILES; number++) {
      const path = join(folder, number === 1 ? "profile.sqlite" : `profile-${number}.sqlite`);
      const database = openExclusively(path);
      if (database !== undefined) return new Profile(database, log);
    }
    throw new MiniTorrentError(
      "DATA_DIR_IN_USE",
      `${MAX_PROFILES} clients of ${account.userId} run on this machine already; close one, or give --data-dir.`,
    );
  }

  shares(): StoredShare[] {
    const rows = this.#database.prepare("SELECT * FROM share ORDER BY rowid").all() as unknown as ShareRow[];
    return rows.map((row) => ({
      groupId: row.group_id,
      fileName: row.file_name,
      path: row.path,
      info: row.info,
      facts: { lengthBytes: row.length_bytes, mtimeMs: row.mtime_ms },
      isRegistered: row.is_registered === 1,
    }));
  }

  saveShare(share: StoredShare): void {
    this.#attempt(() => this.#saveShare(share));
  }

  #saveShare(share: StoredShare): void {
    this.#statements.saveShare.run(
      share.groupId,
      share.fileName,
      share.path,
      share.info,
      share.facts.lengthBytes,
      share.facts.mtimeMs,
      share.isRegistered ? 1 : 0,
    );
  }

  removeShare(groupId: string, fileName: string): void {
    this.#attempt(() => this.#statements.removeShare.run(groupId, fileName));
  }

  downloads(): StoredDownload[] {
    const rows = this.#database
      .prepare("SELECT * FROM download ORDER BY rowid")
      .all() as unknown as DownloadRow[];
    return rows.map((row) => ({
      groupId: row.group_id,
      fileName: row.file_name,
      destinationPath: row.destination_path,
      info: row.info,
      have: row.have,
      facts:
        row.length_bytes === null || row.mtime_ms === null
          ? undefined
          : { lengthBytes: row.length_bytes, mtimeMs: row.mtime_ms },
      partId: row.part_id ?? undefined,
      isPaused: row.is_paused === 1,
    }));
  }

  saveDownload(download: StoredDownload): void {
    this.#attempt(() => {
      this.#statements.saveDownload.run(
        download.groupId,
        download.fileName,
        download.destinationPath,
        download.info,
        download.have,
        download.facts?.lengthBytes ?? null,
        download.facts?.mtimeMs ?? null,
        download.partId ?? null,
        download.isPaused ? 1 : 0,
      );
    });
  }

  removeDownload(groupId: string, fileName: string): void {
    this.#attempt(() => this.#removeDownload(groupId, fileName));
  }

  #removeDownload(groupId: string, fileName: string): void {
    this.#statements.removeDownload.run(groupId, fileName);
  }

  /** A download that is complete is a share from now on: in one step, so that a crash leaves one or the other. */
  completeDownload(share: StoredShare): void {
    this.#attempt(() => {
      this.#statements.begin.run();
      this.#removeDownload(share.groupId, share.fileName);
      this.#saveShare(share);
      this.#statements.commit.run();
    });
  }

  close(): void {
    this.#database.close();
  }

  /**
   * All of it or nothing. A disk that is full, or fails, must not stop what goes on in memory: it is logged, and the next
   * change is written if it can be.
   */
  #attempt(work: () => unknown): void {
    try {
      work();
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      this.#log.error({ err: error }, "the profile could not be written");
    }
  }
}

/** The lock goes with the process, also when it is killed: the operating system lets go of it. */
function openExclusively(path: string): DatabaseSync | undefined {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec(
      `PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; BEGIN EXCLUSIVE; ${SCHEMA} COMMIT;`,
    );
    chmodSync(path, 0o600);
    return database;
  } catch (error) {
    database.close();
    if (error instanceof Error && "errcode" in error && error.errcode === SQLITE_BUSY) return undefined;
    throw new MiniTorrentError("DISK_FAILED", `The profile ${path} cannot be opened.`, { cause: error });
  }
}
