// What a daemon keeps in its data directory beside the profiles: who is logged in, and the access tokens, as hashes. The file is
// locked while the daemon runs, so that one process at a time uses the directory; a second one learns which.
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { chmodSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { MiniTorrentError } from "../api/errors.ts";
import { type Account, accountSchema } from "../api/schemas.ts";
import { PRIVATE_FILE_MODE, writePrivate } from "../identity/private-files.ts";
import type { Scope } from "./endpoints.ts";

const STORE_FILE = "daemon.sqlite";
const PID_FILE = "daemon.pid";
/** https://sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;
/** Of a token, or of a link. */
const SECRET_BYTES = 32;
/** Tokens at a time: each is compared with each attempt. */
const MOST_TOKENS = 100;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS session (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1), user_id TEXT NOT NULL, account_id TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS token (
    name TEXT PRIMARY KEY, sha256 BLOB NOT NULL, scope TEXT NOT NULL, created_at_ms INTEGER NOT NULL
  ) STRICT;
`;

export interface TokenInfo {
  readonly name: string;
  readonly scope: Scope;
  /** Milliseconds since 1970. */
  readonly createdAtMs: number;
}

const sessionRow = z.object({ user_id: z.string(), account_id: z.string() });
const tokenRow = z.object({
  name: z.string(),
  sha256: z.instanceof(Uint8Array),
  scope: z.enum(["read", "control"]),
  created_at_ms: z.number(),
});

export class DaemonStore {
  readonly #database: DatabaseSync;
  readonly #dataDir: string;

  /**
   * @param dataDir exists, and is private
   * @throws MiniTorrentError DATA_DIR_IN_USE, which names the process; DISK_FAILED
   */
  constructor(dataDir: string) {
    this.#dataDir = dataDir;
    const path = join(dataDir, STORE_FILE);
    try {
      this.#database = new DatabaseSync(path);
      chmodSync(path, PRIVATE_FILE_MODE);
      // The lock of the first write stays until the process ends, however it ends.
      this.#database.exec(
        `PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL; BEGIN EXCLUSIVE; ${SCHEMA} COMMIT`,
      );
      writePrivate(join(dataDir, PID_FILE), `${process.pid}\n`);
    } catch (error) {
      if (error instanceof Error && "errcode" in error && error.errcode === SQLITE_BUSY)
        throw inUse(dataDir, error);
      throw new MiniTorrentError(
        "DISK_FAILED",
        `${path} cannot be used: ${error instanceof Error ? error.message : String(error)}.`,
        { cause: error },
      );
    }
  }

  /** Who is logged in; undefined if nobody is. */
  get account(): Account | undefined {
    const row = this.#database.prepare("SELECT user_id, account_id FROM session").get();
    if (row === undefined) return undefined;
    const { user_id: userId, account_id: accountId } = sessionRow.parse(row);
    return accountSchema.parse({ userId, accountId });
  }

  saveAccount({ userId, accountId }: Account): void {
    this.#database.prepare("INSERT OR REPLACE INTO session VALUES (1, ?, ?)").run(userId, accountId);
  }

  forgetAccount(): void {
    this.#database.exec("DELETE FROM session");
  }

  tokens(): readonly TokenInfo[] {
    return this.#tokenRows().map(({ name, scope, created_at_ms: createdAtMs }) => ({
      name,
      scope,
      createdAtMs,
    }));
  }

  /** @throws MiniTorrentError INVALID_ARGUMENT if a token has that name; LIMIT_REACHED */
  addToken(name: string, secret: string, scope: Scope, nowMs: number): void {
    const rows = this.#tokenRows();
    if (rows.some((row) => row.name === name)) {
      throw new MiniTorrentError(
        "INVALID_ARGUMENT",
        `There is a token '${name}' already; choose another name.`,
      );
    }
    if (rows.length >= MOST_TOKENS) {
      throw new MiniTorrentError(
        "LIMIT_REACHED",
        `There are ${MOST_TOKENS} tokens, the most; revoke one first.`,
      );
    }
    this.#database.prepare("INSERT INTO token VALUES (?, ?, ?, ?)").run(name, hashOf(secret), scope, nowMs);
  }

  /** @throws MiniTorrentError INVALID_ARGUMENT if there is none of that name */
  revokeToken(name: string): void {
    const { changes } = this.#database.prepare("DELETE FROM token WHERE name = ?").run(name);
    if (changes === 0)
      throw new MiniTorrentError(
        "INVALID_ARGUMENT",
        `There is no token '${name}'; minitorrent token list shows those there are.`,
      );
  }

  /** The token with that secret; undefined if there is none. Takes as long for every secret. */
  tokenWith(secret: string): TokenInfo | undefined {
    const hash = hashOf(secret);
    let found: TokenInfo | undefined;
    for (const { name, sha256, scope, created_at_ms: createdAtMs } of this.#tokenRows()) {
      if (sha256.length === hash.length && timingSafeEqual(sha256, hash))
        found = { name, scope, createdAtMs };
    }
    return found;
  }

  close(): void {
    rmSync(join(this.#dataDir, PID_FILE), { force: true });
    this.#database.close();
  }

  #tokenRows() {
    return z
      .array(tokenRow)
      .parse(this.#database.prepare("SELECT * FROM token ORDER BY created_at_ms").all());
  }
}

/** 256 random bits, as text for a header or a link. */
export function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString("base64url");
}

function hashOf(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

function inUse(dataDir: string, cause: unknown): MiniTorrentError {
  let holder = "Another process";
  try {
    const pid = Number(readFileSync(join(dataDir, PID_FILE), "utf8"));
    if (Number.isSafeInteger(pid) && pid > 0) holder = `The daemon with process id ${pid}`;
  } catch {
    // It has just started, and has not written it yet.
  }
  return new MiniTorrentError(
    "DATA_DIR_IN_USE",
    `${holder} uses ${dataDir}; stop it, or give another --data-dir.`,
    { cause },
  );
}
