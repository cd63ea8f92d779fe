// What a daemon keeps in its data directory beside the profiles: who is logged in, the access tokens and the sessions of browsers,
// their secrets as hashes, the schedule of limits, what happened in the groups, and where uploads are under way. The file is locked
// while the daemon runs, so that one process at a time uses the directory; a second one learns which.
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
/** Browsers at a time; another one ends the session that was not used for longest. */
const MOST_BROWSERS = 32;
/** A session that is not used for so long ends. */
export const BROWSER_SESSION_MS = 90 * 24 * 3_600_000;
/** Use is noted at most so often: each note is a write to the disk. */
const USE_NOTED_EVERY_MS = 600_000;
/** Activity that is kept: of a group, and of all. An entry has some 200 bytes. */
const MOST_ACTIVITY_OF_GROUP = 500;
const MOST_ACTIVITY = 50_000;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS session (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1), user_id TEXT NOT NULL, account_id TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS token (
    name TEXT PRIMARY KEY, sha256 BLOB NOT NULL, scope TEXT NOT NULL, created_at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS browser (
    name TEXT PRIMARY KEY, sha256 BLOB NOT NULL, page_key_sha256 BLOB NOT NULL, created_at_ms INTEGER NOT NULL,
    last_used_at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS schedule (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1), rules TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS activity (
    id INTEGER PRIMARY KEY AUTOINCREMENT, account_id TEXT NOT NULL, group_id TEXT NOT NULL, at_ms INTEGER NOT NULL,
    type TEXT NOT NULL, facts TEXT NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS activity_of_group ON activity (account_id, group_id, id);
  CREATE TABLE IF NOT EXISTS upload (path TEXT PRIMARY KEY, folder_id TEXT NOT NULL) STRICT;
`;

export interface TokenInfo {
  readonly name: string;
  /** `browser`: the session of a browser that opened the page. */
  readonly kind: "token" | "browser";
  readonly scope: Scope;
  /** Milliseconds since 1970. */
  readonly createdAtMs: number;
  /** Of a browser's session, to some minutes. Milliseconds since 1970. */
  readonly lastUsedAtMs?: number;
}

/** What a browser keeps: the cookie's value, and what its page alone knows. */
export interface BrowserSecrets {
  readonly cookie: string;
  readonly pageKey: string;
}

/** Something that happened in a group. */
export interface ActivityEntry {
  readonly accountId: string;
  readonly groupId: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** Of the event, as in `--json`. */
  readonly type: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** A folder that an upload writes to. */
export interface UploadFolder {
  /** Absolute. */
  readonly path: string;
  /** Which folder it is: see `fileIdOf`. */
  readonly folderId: string;
}

const activityRow = z.object({
  id: z.number(),
  account_id: z.string(),
  group_id: z.string(),
  at_ms: z.number(),
  type: z.string(),
  facts: z.string(),
});
const uploadRow = z.object({ path: z.string(), folder_id: z.string() });
const sessionRow = z.object({ user_id: z.string(), account_id: z.string() });
const tokenRow = z.object({
  name: z.string(),
  sha256: z.instanceof(Uint8Array),
  scope: z.enum(["read", "control"]),
  created_at_ms: z.number(),
});
const browserRow = z.object({
  name: z.string(),
  sha256: z.instanceof(Uint8Array),
  page_key_sha256: z.instanceof(Uint8Array),
  created_at_ms: z.number(),
  last_used_at_ms: z.number(),
});
type BrowserRow = z.output<typeof browserRow>;

export class DaemonStore {
  readonly #database: DatabaseSync;
  readonly #dataDir: string;
  /** As they are in the file, since the last change: thousands of wrong tokens cost no reading. */
  #rows: { tokens?: readonly z.output<typeof tokenRow>[]; browsers?: readonly BrowserRow[] } = {};

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

  /** Tokens, then the sessions of browsers that have not ended. */
  tokens(nowMs: number): readonly TokenInfo[] {
    return [
      ...this.#tokenRows().map(tokenInfo),
      ...this.#browserRows()
        .filter((row) => !hasEnded(row, nowMs))
        .map(browserInfo),
    ];
  }

  /** @throws MiniTorrentError INVALID_ARGUMENT if a token has that name; LIMIT_REACHED */
  addToken(name: string, secret: string, scope: Scope, nowMs: number): void {
    const rows = this.#tokenRows();
    if (rows.some((row) => row.name === name) || this.#browserRows().some((row) => row.name === name)) {
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
    this.#change("INSERT INTO token VALUES (?, ?, ?, ?)", name, hashOf(secret), scope, nowMs);
  }

  /** A browser has opened the page. */
  addBrowser({ cookie, pageKey }: BrowserSecrets, nowMs: number): void {
    const rows = this.#browserRows();
    const ended = rows.filter((row) => hasEnded(row, nowMs));
    const oldestFirst = rows
      .filter((row) => !hasEnded(row, nowMs))
      .sort((a, b) => a.last_used_at_ms - b.last_used_at_ms);
    const superfluous = Math.max(0, oldestFirst.length + 1 - MOST_BROWSERS);
    for (const { name } of [...ended, ...oldestFirst.slice(0, superfluous)])
      this.#change("DELETE FROM browser WHERE name = ?", name);
    // Two browsers may enter in the same millisecond.
    const name = `browser ${new Date(nowMs).toISOString()} ${randomBytes(2).toString("hex")}`;
    const [sha256, pageKeySha256] = [hashOf(cookie), hashOf(pageKey)];
    this.#change("INSERT INTO browser VALUES (?, ?, ?, ?, ?)", name, sha256, pageKeySha256, nowMs, nowMs);
  }

  /** @throws MiniTorrentError INVALID_ARGUMENT if there is none of that name */
  revokeToken(name: string): void {
    const changes =
      this.#change("DELETE FROM token WHERE name = ?", name) +
      this.#change("DELETE FROM browser WHERE name = ?", name);
    if (changes === 0)
      throw new MiniTorrentError(
        "INVALID_ARGUMENT",
        `There is no token '${name}'; minitorrent token list shows those there are.`,
      );
  }

  /** The token with that secret; undefined if there is none. Takes as long for every secret. */
  tokenWith(secret: string): TokenInfo | undefined {
    const hash = hashOf(secret);
    const found = this.#tokenRows().filter(({ sha256 }) => isEqual(sha256, hash));
    return found[0] && tokenInfo(found[0]);
  }

  /** The session of the browser that has both; undefined if there is none, or it has ended. Notes that it is used. */
  browserWith({ cookie, pageKey }: BrowserSecrets, nowMs: number): TokenInfo | undefined {
    const [hash, pageKeyHash] = [hashOf(cookie), hashOf(pageKey)];
    const found = this.#browserRows().find(
      (row) => isEqual(row.sha256, hash) && isEqual(row.page_key_sha256, pageKeyHash),
    );
    if (found === undefined || hasEnded(found, nowMs)) return undefined;
    if (nowMs - found.last_used_at_ms >= USE_NOTED_EVERY_MS)
      this.#change("UPDATE browser SET last_used_at_ms = ? WHERE name = ?", nowMs, found.name);
    return browserInfo(found);
  }

  /** Whether the token or session of that name has neither been revoked nor ended. */
  has(name: string, nowMs: number): boolean {
    return this.tokens(nowMs).some((token) => token.name === name);
  }

  /** The rules of the schedule, as `saveRules` got them; undefined before. */
  get rules(): unknown {
    const row = this.#database.prepare("SELECT rules FROM schedule").get();
    return row === undefined ? undefined : JSON.parse(String(row.rules));
  }

  saveRules(rules: unknown): void {
    this.#database.prepare("INSERT OR REPLACE INTO schedule VALUES (1, ?)").run(JSON.stringify(rules));
  }

  /** Adds entries, and forgets the oldest past the bounds. */
  addActivity(entries: readonly ActivityEntry[]): void {
    this.#inOneStep(() => {
      const insert = this.#database.prepare(
        "INSERT INTO activity (account_id, group_id, at_ms, type, facts) VALUES (?, ?, ?, ?, ?)",
      );
      const groups = new Map<string, ActivityEntry>();
      for (const entry of entries) {
        const { accountId, groupId, atMs, type, facts } = entry;
        insert.run(accountId, groupId, atMs, type, JSON.stringify(facts));
        groups.set(JSON.stringify([accountId, groupId]), entry);
      }
      const trim = this.#database.prepare(`
        DELETE FROM activity WHERE account_id = ?1 AND group_id = ?2 AND id <= (
          SELECT id FROM activity WHERE account_id = ?1 AND group_id = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3
        )`);
      for (const { accountId, groupId } of groups.values())
        trim.run(accountId, groupId, MOST_ACTIVITY_OF_GROUP);
      this.#database
        .prepare(
          "DELETE FROM activity WHERE id <= (SELECT id FROM activity ORDER BY id DESC LIMIT 1 OFFSET ?)",
        )
        .run(MOST_ACTIVITY);
    });
  }

  /**
   * What happened in a group, newest first.
   *
   * @param beforeId the id of the last entry of the page before
   */
  activity(
    { accountId, groupId }: Pick<ActivityEntry, "accountId" | "groupId">,
    beforeId: number,
    most: number,
  ): (ActivityEntry & { readonly id: number })[] {
    const rows = this.#database
      .prepare(
        "SELECT * FROM activity WHERE account_id = ? AND group_id = ? AND id < ? ORDER BY id DESC LIMIT ?",
      )
      .all(accountId, groupId, beforeId, most);
    return z
      .array(activityRow)
      .parse(rows)
      .map(({ id, at_ms: atMs, type, facts }) => ({
        ...{ id, accountId, groupId, atMs, type },
        facts: z.record(z.string(), z.unknown()).parse(JSON.parse(facts)),
      }));
  }

  /** Folders that uploads write to, or that a crash left. */
  uploadFolders(): UploadFolder[] {
    return z
      .array(uploadRow)
      .parse(this.#database.prepare("SELECT * FROM upload").all())
      .map(({ path, folder_id: folderId }) => ({ path, folderId }));
  }

  addUploadFolder({ path, folderId }: UploadFolder): void {
    this.#database.prepare("INSERT OR REPLACE INTO upload VALUES (?, ?)").run(path, folderId);
  }

  removeUploadFolder(path: string): void {
    this.#database.prepare("DELETE FROM upload WHERE path = ?").run(path);
  }

  /** All of it, or nothing. */
  #inOneStep(work: () => void): void {
    this.#database.exec("BEGIN");
    try {
      work();
      this.#database.exec("COMMIT");
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  close(): void {
    rmSync(join(this.#dataDir, PID_FILE), { force: true });
    this.#database.close();
  }

  /** @returns how many rows it changed */
  #change(statement: string, ...values: (string | number | Buffer)[]): number {
    const { changes } = this.#database.prepare(statement).run(...values);
    this.#rows = {};
    return Number(changes);
  }

  #tokenRows(): readonly z.output<typeof tokenRow>[] {
    this.#rows.tokens ??= z
      .array(tokenRow)
      .parse(this.#database.prepare("SELECT * FROM token ORDER BY created_at_ms").all());
    return this.#rows.tokens;
  }

  #browserRows(): readonly BrowserRow[] {
    this.#rows.browsers ??= z
      .array(browserRow)
      .parse(this.#database.prepare("SELECT * FROM browser ORDER BY created_at_ms").all());
    return this.#rows.browsers;
  }
}

function tokenInfo({ name, scope, created_at_ms }: z.output<typeof tokenRow>): TokenInfo {
  return { name, kind: "token", scope, createdAtMs: created_at_ms };
}

function browserInfo({ name, created_at_ms, last_used_at_ms }: BrowserRow): TokenInfo {
  return {
    name,
    kind: "browser",
    scope: "control",
    createdAtMs: created_at_ms,
    lastUsedAtMs: last_used_at_ms,
  };
}

function hasEnded({ last_used_at_ms }: BrowserRow, nowMs: number): boolean {
  return nowMs - last_used_at_ms >= BROWSER_SESSION_MS;
}

function isEqual(hash: Uint8Array, other: Buffer): boolean {
  return hash.length === other.length && timingSafeEqual(hash, other);
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
