// What survives a restart of a client, for one account: what it shares and the id that it is known by as a sharer, what it was
// downloading with the pieces it had verified, what it had downloaded, and its limits. One SQLite file a profile, held by one process at a time; nothing secret is in it.
import { createHash, randomUUID } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Logger } from "pino";
import { z } from "zod";
import { MiniTorrentError } from "../api/errors.ts";
import { type Account, holderIdSchema } from "../api/schemas.ts";
import { renameDurably } from "../identity/private-files.ts";
import type { FileFacts } from "../storage/file-facts.ts";
import type { StoredSenders } from "./downloads/piece-map.ts";
import { type FileId, fileKey } from "./file-key.ts";
import type { KnownAuthority } from "./group-authorities.ts";
import type { DownloadSource, FileChoice, FinishedDownload, FolderProgress } from "./status.ts";

/** How many clients of one account may run on one machine, each with a profile of its own. */
const MAX_PROFILES = 16;
/** A profile up to this size is checked at opening, within a tenth of a second; a larger one as it is read. */
const MAX_CHECKED_BYTES = 64 * 1024 * 1024;
/** https://sqlite.org/rescode.html */
const SQLITE_ERROR = 1;
const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

export interface StoredShare {
  readonly groupId: string;
  readonly fileName: string;
  readonly path: string;
  readonly info: Uint8Array;
  /** Of a folder its length, and no time. */
  readonly facts: FileFacts;
  /** Of a folder: when each of its files was changed last, in the order of the layout, in milliseconds since 1970. */
  readonly folderTimesMs?: Float64Array | undefined;
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
  /** Which files of a folder; undefined: all of them. */
  readonly choice?: FileChoice | undefined;
  /** How the files of a folder were when that was saved last (see `FolderFacts`). */
  readonly folderFacts?: Uint8Array | undefined;
}

/** A version of a share that is replaced by a newer one, as it was when it was complete. */
export interface FormerVersion {
  readonly groupId: string;
  readonly fileName: string;
  /** Its place, which the newer one gets. */
  readonly path: string;
  /** Where it is moved to then. */
  readonly asidePath: string;
  readonly info: Uint8Array;
  /** Time of the last write of each file; 0: it was not there. */
  readonly mtimesMs: Float64Array;
}

/**
 * The version that a download replaces, and how far that is: `fetching`, it is in its place; `naming`, it is moved aside and
 * the new one takes its name; `merging`, what was changed in it is moved to the new one.
 */
export interface ReplacedVersion extends FormerVersion {
  readonly stage: "fetching" | "naming" | "merging";
}

/** A limit that the user set. */
export interface StoredLimit {
  /** undefined: it is the total. */
  readonly share: FileId | undefined;
  readonly direction: "up" | "down";
  readonly bytesPerSecond: number;
}

/** Most completed downloads that are listed: one row each, of some 500 bytes. */
const MAX_FINISHED = 1_000;
/** Files shared in groups that the user has left, which can be shared again after the next acceptance. */
const MAX_FORMER_SHARES = 10_000;
/** A longer dictionary is not written again with each note of what was verified. */
const MAX_INLINE_INFO_BYTES = 64 * 1024;
/** Senders remembered per unfinished download: those that sent the most. */
const MAX_SOURCES = 100;
const directionSchema = z.enum(["up", "down"]);
const choiceSchema: z.ZodType<FileChoice> = z.object({
  only: z.array(z.string()).optional(),
  except: z.array(z.string()).optional(),
});
const folderProgressSchema: z.ZodType<FolderProgress> = z.object({
  fileCount: z.number(),
  chosenFiles: z.number(),
  completeFiles: z.number(),
  choice: choiceSchema.optional(),
  isFollowed: z.boolean(),
});
const stageSchema = z.enum(["fetching", "naming", "merging"]);
const sourcesSchema: z.ZodType<DownloadSource[]> = z.array(
  z.object({
    userId: z.string(),
    isConnected: z.boolean(),
    pieces: z.number(),
    bytes: z.number(),
    rateBytesPerSecond: z.number(),
  }),
);
const finishedSchema: z.ZodType<FinishedDownload> = z.object({
  groupId: z.string(),
  fileName: z.string(),
  destinationPath: z.string(),
  lengthBytes: z.number(),
  pieceCount: z.number(),
  piecesVerified: z.number(),
  bytesVerified: z.number(),
  duplicateBytes: z.number(),
  sources: sourcesSchema,
  state: z.literal("complete"),
  sha1: z.string().optional(),
  folder: folderProgressSchema.optional(),
  finishedAtMs: z.number(),
  averageBytesPerSecond: z.number().optional(),
});

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS share (
    group_id TEXT NOT NULL, file_name TEXT NOT NULL, path TEXT NOT NULL, info BLOB NOT NULL,
    length_bytes INTEGER NOT NULL, mtime_ms REAL NOT NULL, is_registered INTEGER NOT NULL,
    PRIMARY KEY (group_id, file_name)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS share_folder (
    group_id TEXT NOT NULL, file_name TEXT NOT NULL, times_ms BLOB NOT NULL, PRIMARY KEY (group_id, file_name)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS download (
    group_id TEXT NOT NULL, file_name TEXT NOT NULL, destination_path TEXT NOT NULL, info BLOB NOT NULL,
    have BLOB NOT NULL, length_bytes INTEGER, mtime_ms REAL, part_id TEXT, is_paused INTEGER NOT NULL,
    PRIMARY KEY (group_id, file_name)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS download_sources (
    group_id TEXT NOT NULL, file_name TEXT NOT NULL, sources TEXT NOT NULL, PRIMARY KEY (group_id, file_name)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS download_senders (
    group_id TEXT NOT NULL, file_name TEXT NOT NULL, user_ids TEXT NOT NULL, senders BLOB NOT NULL,
    PRIMARY KEY (group_id, file_name)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS download_info (
    group_id TEXT NOT NULL, file_name TEXT NOT NULL, info BLOB NOT NULL, PRIMARY KEY (group_id, file_name)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS download_choice (
    group_id TEXT NOT NULL, file_name TEXT NOT NULL, choice TEXT NOT NULL, PRIMARY KEY (group_id, file_name)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS download_folder (
    group_id TEXT NOT NULL, file_name TEXT NOT NULL, facts BLOB NOT NULL, PRIMARY KEY (group_id, file_name)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS followed_share (
    group_id TEXT NOT NULL, file_name TEXT NOT NULL, PRIMARY KEY (group_id, file_name)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS replaced_version (
    group_id TEXT NOT NULL, file_name TEXT NOT NULL, path TEXT NOT NULL, aside_path TEXT NOT NULL,
    info BLOB NOT NULL, mtimes_ms BLOB NOT NULL, stage TEXT NOT NULL, PRIMARY KEY (group_id, file_name)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS former_version (
    aside_path TEXT PRIMARY KEY, group_id TEXT NOT NULL, file_name TEXT NOT NULL, path TEXT NOT NULL,
    info BLOB NOT NULL, mtimes_ms BLOB NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS finished (
    group_id TEXT NOT NULL, file_name TEXT NOT NULL, finished_at_ms INTEGER NOT NULL, status TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS former_share (
    group_id TEXT NOT NULL, path TEXT NOT NULL, PRIMARY KEY (group_id, path)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS bandwidth (
    info_hash TEXT NOT NULL, direction TEXT NOT NULL, bytes_per_second INTEGER NOT NULL,
    PRIMARY KEY (info_hash, direction)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS share_limit (
    group_id TEXT NOT NULL, file_name TEXT NOT NULL, direction TEXT NOT NULL, bytes_per_second INTEGER NOT NULL,
    PRIMARY KEY (group_id, file_name, direction)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS set_aside (
    kind TEXT NOT NULL, group_id TEXT NOT NULL, file_name TEXT NOT NULL, reason TEXT NOT NULL, entry TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS group_authority (
    group_id TEXT PRIMARY KEY, group_claim_id TEXT NOT NULL, fingerprint TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS holder (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), id TEXT NOT NULL) STRICT;
`;

const STATEMENTS = {
  begin: "BEGIN IMMEDIATE",
  commit: "COMMIT",
  saveShare: "INSERT OR REPLACE INTO share VALUES (?, ?, ?, ?, ?, ?, ?)",
  updateShare:
    "UPDATE share SET path = ?, length_bytes = ?, mtime_ms = ?, is_registered = ? WHERE group_id = ? AND file_name = ?",
  saveShareFolder: "INSERT OR REPLACE INTO share_folder VALUES (?, ?, ?)",
  shareFolderOf: "SELECT times_ms FROM share_folder WHERE group_id = ? AND file_name = ?",
  removeShareFolder: "DELETE FROM share_folder WHERE group_id = ? AND file_name = ?",
  removeShare: "DELETE FROM share WHERE group_id = ? AND file_name = ?",
  saveDownload: "INSERT OR REPLACE INTO download VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
  removeDownload: "DELETE FROM download WHERE group_id = ? AND file_name = ?",
  saveInfo: "INSERT OR REPLACE INTO download_info VALUES (?, ?, ?)",
  infoOf: "SELECT info FROM download_info WHERE group_id = ? AND file_name = ?",
  removeInfo: "DELETE FROM download_info WHERE group_id = ? AND file_name = ?",
  saveChoice: "INSERT OR REPLACE INTO download_choice VALUES (?, ?, ?)",
  choiceOf: "SELECT choice FROM download_choice WHERE group_id = ? AND file_name = ?",
  removeChoice: "DELETE FROM download_choice WHERE group_id = ? AND file_name = ?",
  saveFolderFacts: "INSERT OR REPLACE INTO download_folder VALUES (?, ?, ?)",
  folderFactsOf: "SELECT facts FROM download_folder WHERE group_id = ? AND file_name = ?",
  removeFolderFacts: "DELETE FROM download_folder WHERE group_id = ? AND file_name = ?",
  follow: "INSERT OR IGNORE INTO followed_share VALUES (?, ?)",
  unfollow: "DELETE FROM followed_share WHERE group_id = ? AND file_name = ?",
  saveReplaced: "INSERT OR REPLACE INTO replaced_version VALUES (?, ?, ?, ?, ?, ?, ?)",
  replacedBy: "SELECT * FROM replaced_version WHERE group_id = ? AND file_name = ?",
  noteStage: "UPDATE replaced_version SET stage = ? WHERE group_id = ? AND file_name = ?",
  removeReplaced: "DELETE FROM replaced_version WHERE group_id = ? AND file_name = ?",
  saveFormerVersion: "INSERT OR REPLACE INTO former_version VALUES (?, ?, ?, ?, ?, ?)",
  removeFormerVersion: "DELETE FROM former_version WHERE aside_path = ?",
  saveSources: "INSERT OR REPLACE INTO download_sources VALUES (?, ?, ?)",
  sourcesOf: "SELECT sources FROM download_sources WHERE group_id = ? AND file_name = ?",
  removeSources: "DELETE FROM download_sources WHERE group_id = ? AND file_name = ?",
  saveSenders: "INSERT OR REPLACE INTO download_senders VALUES (?, ?, ?, ?)",
  sendersOf: "SELECT user_ids, senders FROM download_senders WHERE group_id = ? AND file_name = ?",
  removeSenders: "DELETE FROM download_senders WHERE group_id = ? AND file_name = ?",
  saveFinished: "INSERT INTO finished VALUES (?, ?, ?, ?)",
  trimFinished:
    "DELETE FROM finished WHERE rowid <= (SELECT rowid FROM finished ORDER BY rowid DESC LIMIT 1 OFFSET ?)",
  saveFormer: "INSERT OR REPLACE INTO former_share VALUES (?, ?)",
  trimFormer:
    "DELETE FROM former_share WHERE rowid <= (SELECT rowid FROM former_share ORDER BY rowid DESC LIMIT 1 OFFSET ?)",
  formerOf: "SELECT path FROM former_share WHERE group_id = ? ORDER BY rowid",
  removeFormer: "DELETE FROM former_share WHERE group_id = ?",
  saveTotalLimit: "INSERT OR REPLACE INTO bandwidth VALUES ('', ?, ?)",
  removeTotalLimit: "DELETE FROM bandwidth WHERE info_hash = '' AND direction = ?",
  saveShareLimit: "INSERT OR REPLACE INTO share_limit VALUES (?, ?, ?, ?)",
  removeShareLimit: "DELETE FROM share_limit WHERE group_id = ? AND file_name = ? AND direction = ?",
  removeVersionLimits: "DELETE FROM bandwidth WHERE info_hash != ''",
  setAside: "INSERT INTO set_aside VALUES (?, ?, ?, ?, ?)",
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

interface VersionRow {
  group_id: string;
  file_name: string;
  path: string;
  aside_path: string;
  info: Uint8Array;
  mtimes_ms: Uint8Array;
}

interface LimitRow {
  direction: string;
  bytes_per_second: number;
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

type ReadTable =
  | "share"
  | "download"
  | "finished"
  | "bandwidth"
  | "share_limit"
  | "followed_share"
  | "former_version";

export class Profile {
  readonly #database: DatabaseSync;
  readonly #log: Logger;
  /** Long dictionaries that are in their table, by group and name. */
  readonly #savedInfos = new Map<string, Uint8Array>();
  /** Prepared once: that costs as much as running them. */
  readonly #statements: Readonly<Record<keyof typeof STATEMENTS, StatementSync>>;

  /** Names this profile among those of the account, on this and other machines: a share belongs to one of them. */
  readonly holderId: string;

  private constructor(database: DatabaseSync, log: Logger) {
    this.#database = database;
    this.#log = log;
    this.holderId = holderIdIn(database);
    this.#statements = {
      begin: database.prepare(STATEMENTS.begin),
      commit: database.prepare(STATEMENTS.commit),
      saveShare: database.prepare(STATEMENTS.saveShare),
      updateShare: database.prepare(STATEMENTS.updateShare),
      saveShareFolder: database.prepare(STATEMENTS.saveShareFolder),
      shareFolderOf: database.prepare(STATEMENTS.shareFolderOf),
      removeShareFolder: database.prepare(STATEMENTS.removeShareFolder),
      removeShare: database.prepare(STATEMENTS.removeShare),
      saveDownload: database.prepare(STATEMENTS.saveDownload),
      removeDownload: database.prepare(STATEMENTS.removeDownload),
      saveInfo: database.prepare(STATEMENTS.saveInfo),
      infoOf: database.prepare(STATEMENTS.infoOf),
      removeInfo: database.prepare(STATEMENTS.removeInfo),
      saveChoice: database.prepare(STATEMENTS.saveChoice),
      choiceOf: database.prepare(STATEMENTS.choiceOf),
      removeChoice: database.prepare(STATEMENTS.removeChoice),
      saveFolderFacts: database.prepare(STATEMENTS.saveFolderFacts),
      folderFactsOf: database.prepare(STATEMENTS.folderFactsOf),
      removeFolderFacts: database.prepare(STATEMENTS.removeFolderFacts),
      follow: database.prepare(STATEMENTS.follow),
      unfollow: database.prepare(STATEMENTS.unfollow),
      saveReplaced: database.prepare(STATEMENTS.saveReplaced),
      replacedBy: database.prepare(STATEMENTS.replacedBy),
      noteStage: database.prepare(STATEMENTS.noteStage),
      removeReplaced: database.prepare(STATEMENTS.removeReplaced),
      saveFormerVersion: database.prepare(STATEMENTS.saveFormerVersion),
      removeFormerVersion: database.prepare(STATEMENTS.removeFormerVersion),
      saveSources: database.prepare(STATEMENTS.saveSources),
      sourcesOf: database.prepare(STATEMENTS.sourcesOf),
      removeSources: database.prepare(STATEMENTS.removeSources),
      saveSenders: database.prepare(STATEMENTS.saveSenders),
      sendersOf: database.prepare(STATEMENTS.sendersOf),
      removeSenders: database.prepare(STATEMENTS.removeSenders),
      saveFinished: database.prepare(STATEMENTS.saveFinished),
      trimFinished: database.prepare(STATEMENTS.trimFinished),
      saveFormer: database.prepare(STATEMENTS.saveFormer),
      trimFormer: database.prepare(STATEMENTS.trimFormer),
      formerOf: database.prepare(STATEMENTS.formerOf),
      removeFormer: database.prepare(STATEMENTS.removeFormer),
      saveTotalLimit: database.prepare(STATEMENTS.saveTotalLimit),
      removeTotalLimit: database.prepare(STATEMENTS.removeTotalLimit),
      saveShareLimit: database.prepare(STATEMENTS.saveShareLimit),
      removeShareLimit: database.prepare(STATEMENTS.removeShareLimit),
      removeVersionLimits: database.prepare(STATEMENTS.removeVersionLimits),
      setAside: database.prepare(STATEMENTS.setAside),
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
      const database = openOrBegin(path, log);
      if (database !== undefined) return new Profile(database, log);
    }
    throw new MiniTorrentError(
      "DATA_DIR_IN_USE",
      `${MAX_PROFILES} clients of ${account.userId} run on this machine already; close one, or give --data-dir.`,
    );
  }

  shares(): StoredShare[] {
    return this.#read<ShareRow, StoredShare>("share", (row) => ({
      groupId: row.group_id,
      fileName: row.file_name,
      path: row.path,
      info: row.info,
      facts: { lengthBytes: row.length_bytes, mtimeMs: row.mtime_ms },
      ...this.#folderTimes(row),
      isRegistered: row.is_registered === 1,
    }));
  }

  #folderTimes({ group_id, file_name }: ShareRow): Pick<StoredShare, "folderTimesMs"> {
    const row = this.#statements.shareFolderOf.get(group_id, file_name);
    if (row === undefined) return {};
    // A copy begins where a number may.
    const bytes = Uint8Array.from(row.times_ms as Uint8Array);
    return { folderTimesMs: new Float64Array(bytes.buffer, 0, Math.floor(bytes.length / 8)) };
  }

  saveShare(share: StoredShare): void {
    this.#inOneStep(() => this.#saveShare(share));
  }

  /** Saves what may change of a share while its metainfo, which may be long, stays. */
  updateShare(share: StoredShare): void {
    this.#inOneStep(() => {
      const { groupId, fileName, path, facts } = share;
      const isRegistered = share.isRegistered ? 1 : 0;
      this.#statements.updateShare.run(
        path,
        facts.lengthBytes,
        facts.mtimeMs,
        isRegistered,
        groupId,
        fileName,
      );
      this.#saveFolderTimes(share);
    });
  }

  #saveShare(share: StoredShare): void {
    this.#saveFolderTimes(share);
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

  #saveFolderTimes({ groupId, fileName, folderTimesMs }: StoredShare): void {
    if (folderTimesMs === undefined) this.#statements.removeShareFolder.run(groupId, fileName);
    else this.#statements.saveShareFolder.run(groupId, fileName, bytesOf(folderTimesMs));
  }

  removeShare(groupId: string, fileName: string): void {
    this.#inOneStep(() => this.#removeShare(groupId, fileName));
  }

  #removeShare(groupId: string, fileName: string): void {
    this.#statements.removeShare.run(groupId, fileName);
    this.#statements.removeShareFolder.run(groupId, fileName);
  }

  downloads(): StoredDownload[] {
    return this.#read<DownloadRow, StoredDownload>("download", (row) => ({
      groupId: row.group_id,
      fileName: row.file_name,
      destinationPath: row.destination_path,
      info: row.info.length > 0 ? row.info : this.#longInfo(row.group_id, row.file_name),
      have: row.have,
      facts:
        row.length_bytes === null || row.mtime_ms === null
          ? undefined
          : { lengthBytes: row.length_bytes, mtimeMs: row.mtime_ms },
      partId: row.part_id ?? undefined,
      isPaused: row.is_paused === 1,
      ...this.#choiceOf(row.group_id, row.file_name),
      ...this.#folderFactsOf(row.group_id, row.file_name),
    }));
  }

  #longInfo(groupId: string, fileName: string): Uint8Array {
    const info = this.#statements.infoOf.get(groupId, fileName)?.info;
    return info instanceof Uint8Array ? info : new Uint8Array(0);
  }

  #folderFactsOf(groupId: string, fileName: string): { folderFacts?: Uint8Array } {
    const facts = this.#statements.folderFactsOf.get(groupId, fileName)?.facts;
    return facts instanceof Uint8Array ? { folderFacts: facts } : {};
  }

  #choiceOf(groupId: string, fileName: string): { choice?: FileChoice } {
    const choice = this.#statements.choiceOf.get(groupId, fileName)?.choice;
    return choice === undefined ? {} : { choice: choiceSchema.parse(JSON.parse(String(choice))) };
  }

  saveDownload(download: StoredDownload): void {
    const { groupId, fileName, info } = download;
    const key = fileKey(download);
    const isLong = info.length > MAX_INLINE_INFO_BYTES;
    this.#attempt(() => {
      if (isLong && this.#savedInfos.get(key) !== info) {
        this.#statements.saveInfo.run(groupId, fileName, info);
        this.#savedInfos.set(key, info);
      }
      this.#statements.saveDownload.run(
        groupId,
        fileName,
        download.destinationPath,
        isLong ? new Uint8Array(0) : info,
        download.have,
        download.facts?.lengthBytes ?? null,
        download.facts?.mtimeMs ?? null,
        download.partId ?? null,
        download.isPaused ? 1 : 0,
      );
    });
  }

  /** How the files of a folder are that is being downloaded. */
  saveFolderFacts({ groupId, fileName }: FileId, facts: Uint8Array): void {
    this.#attempt(() => this.#statements.saveFolderFacts.run(groupId, fileName, facts));
  }

  /** @param choice undefined: all files */
  saveChoice({ groupId, fileName }: FileId, choice: FileChoice | undefined): void {
    this.#attempt(() => {
      if (choice === undefined) this.#statements.removeChoice.run(groupId, fileName);
      else this.#statements.saveChoice.run(groupId, fileName, JSON.stringify(choice));
    });
  }

  /** @param isFollowed new versions are fetched without being asked for */
  saveFollowed({ groupId, fileName }: FileId, isFollowed: boolean): void {
    this.#attempt(() => this.#statements[isFollowed ? "follow" : "unfollow"].run(groupId, fileName));
  }

  followed(): FileId[] {
    return this.#read<{ group_id: string; file_name: string }, FileId>("followed_share", (row) => ({
      groupId: row.group_id,
      fileName: row.file_name,
    }));
  }

  /** A download of that share is a new version of one that is here. */
  saveReplaced(version: ReplacedVersion): void {
    const { groupId, fileName, path, asidePath, info, mtimesMs, stage } = version;
    this.#attempt(() =>
      this.#statements.saveReplaced.run(groupId, fileName, path, asidePath, info, bytesOf(mtimesMs), stage),
    );
  }

  /** The version that a download of that share replaces. */
  replacedBy({ groupId, fileName }: FileId): ReplacedVersion | undefined {
    let found: ReplacedVersion | undefined;
    this.#attempt(() => {
      const row = this.#statements.replacedBy.get(groupId, fileName);
      if (row === undefined) return;
      const stage = stageSchema.parse(row.stage);
      found = { ...versionOf(row as unknown as VersionRow), stage };
    });
    return found;
  }

  /** The old version is about to be moved aside: it is no share any more, and is served from where it will be. */
  beginNaming({ groupId, fileName, path, asidePath, info, mtimesMs }: FormerVersion): void {
    this.#inOneStep(() => {
      this.#statements.noteStage.run("naming", groupId, fileName);
      this.#removeShare(groupId, fileName);
      this.#statements.saveFormerVersion.run(asidePath, groupId, fileName, path, info, bytesOf(mtimesMs));
    });
  }

  noteMerging({ groupId, fileName }: FileId): void {
    this.#attempt(() => this.#statements.noteStage.run("merging", groupId, fileName));
  }

  /** Versions that were replaced, and are served while somebody is in the middle of them. */
  formerVersions(): FormerVersion[] {
    return this.#read<VersionRow, FormerVersion>("former_version", versionOf);
  }

  removeFormerVersion(asidePath: string): void {
    this.#attempt(() => this.#statements.removeFormerVersion.run(asidePath));
  }

  /** What each member sent of an unfinished download. */
  sources(groupId: string, fileName: string): readonly DownloadSource[] {
    let sources: readonly DownloadSource[] = [];
    this.#attempt(() => {
      const row = this.#statements.sourcesOf.get(groupId, fileName);
      if (row !== undefined) sources = sourcesSchema.parse(JSON.parse(String(row.sources)));
    });
    return sources;
  }

  saveSources(groupId: string, fileName: string, sources: readonly DownloadSource[]): void {
    const most = sources.toSorted((a, b) => b.bytes - a.bytes).slice(0, MAX_SOURCES);
    this.#attempt(() => this.#statements.saveSources.run(groupId, fileName, JSON.stringify(most)));
  }

  /** Which member each piece of an unfinished download came from. */
  senders({ groupId, fileName }: FileId): StoredSenders | undefined {
    let stored: StoredSenders | undefined;
    this.#attempt(() => {
      const row = this.#statements.sendersOf.get(groupId, fileName);
      if (row === undefined) return;
      const userIds = z.array(z.string()).parse(JSON.parse(String(row.user_ids)));
      stored = { userIds, senders: row.senders as Uint8Array };
    });
    return stored;
  }

  saveSenders({ groupId, fileName }: FileId, { userIds, senders }: StoredSenders): void {
    this.#attempt(() =>
      this.#statements.saveSenders.run(groupId, fileName, JSON.stringify(userIds), senders),
    );
  }

  removeDownload(groupId: string, fileName: string): void {
    this.#attempt(() => this.#removeDownload(groupId, fileName));
  }

  #removeDownload(groupId: string, fileName: string): void {
    this.#savedInfos.delete(fileKey({ groupId, fileName }));
    this.#statements.removeDownload.run(groupId, fileName);
    this.#statements.removeInfo.run(groupId, fileName);
    this.#statements.removeChoice.run(groupId, fileName);
    this.#statements.removeFolderFacts.run(groupId, fileName);
    this.#statements.removeReplaced.run(groupId, fileName);
    this.#statements.removeSources.run(groupId, fileName);
    this.#statements.removeSenders.run(groupId, fileName);
  }

  /**
   * Moves a damaged entry to a table of its own, so that the rest can be used.
   *
   * @param reason what is wrong with it
   */
  setAside(kind: "share" | "download", entry: StoredShare | StoredDownload, reason: string): void {
    const { groupId, fileName } = entry;
    this.#log.error(
      { kind, groupId, fileName, reason },
      "an entry of the profile is damaged; it was set aside",
    );
    this.#inOneStep(() => {
      this.#statements.setAside.run(kind, groupId, fileName, reason, asText(entry));
      if (kind === "share") this.#removeShare(groupId, fileName);
      else this.#statements.removeDownload.run(groupId, fileName);
    });
  }

  /** A download that is complete is a share from now on: in one step, so that a crash leaves one or the other. */
  completeDownload(share: StoredShare): void {
    this.#inOneStep(() => {
      this.#removeDownload(share.groupId, share.fileName);
      this.#saveShare(share);
    });
  }

  /** The CA that the group had when its first certificate came. */
  groupAuthority(groupId: string): KnownAuthority | undefined {
    const row = this.#database.prepare("SELECT * FROM group_authority WHERE group_id = ?").get(groupId);
    return row && { groupClaimId: String(row.group_claim_id), fingerprint: String(row.fingerprint) };
  }

  saveGroupAuthority(groupId: string, { groupClaimId, fingerprint }: KnownAuthority): void {
    this.#attempt(() =>
      this.#database
        .prepare("INSERT OR REPLACE INTO group_authority VALUES (?, ?, ?)")
        .run(groupId, groupClaimId, fingerprint),
    );
  }

  /** Remembers a completed download, and forgets the oldest past the bound. */
  saveFinished(download: FinishedDownload): void {
    const { groupId, fileName, finishedAtMs } = download;
    this.#attempt(() => {
      this.#statements.saveFinished.run(groupId, fileName, finishedAtMs, JSON.stringify(download));
      this.#statements.trimFinished.run(MAX_FINISHED);
    });
  }

  /** Completed downloads, oldest first. */
  finished(): FinishedDownload[] {
    return this.#read<{ status: string }, FinishedDownload>("finished", ({ status }) =>
      finishedSchema.parse(JSON.parse(status)),
    );
  }

  /** Remembers a shared file of a group that the user has left. */
  saveFormerShare(groupId: string, path: string): void {
    this.#attempt(() => {
      this.#statements.saveFormer.run(groupId, path);
      this.#statements.trimFormer.run(MAX_FORMER_SHARES);
    });
  }

  /** Returns and forgets the paths of files shared in that group before the user left it. */
  takeFormerShares(groupId: string): string[] {
    const paths: string[] = [];
    this.#attempt(() => {
      for (const { path } of this.#statements.formerOf.iterate(groupId)) paths.push(String(path));
      this.#statements.removeFormer.run(groupId);
    });
    return paths;
  }

  /**
   * @param share undefined: the total
   * @param bytesPerSecond undefined: removes the limit
   */
  saveLimit(share: FileId | undefined, direction: "up" | "down", bytesPerSecond: number | undefined): void {
    this.#attempt(() => {
      if (share === undefined) {
        if (bytesPerSecond === undefined) this.#statements.removeTotalLimit.run(direction);
        else this.#statements.saveTotalLimit.run(direction, bytesPerSecond);
        return;
      }
      const { groupId, fileName } = share;
      if (bytesPerSecond === undefined) this.#statements.removeShareLimit.run(groupId, fileName, direction);
      else this.#statements.saveShareLimit.run(groupId, fileName, direction, bytesPerSecond);
    });
  }

  limits(): StoredLimit[] {
    const totals: StoredLimit[] = [];
    const ofVersions: (Omit<StoredLimit, "share"> & { infoHash: string })[] = [];
    this.#read<LimitRow & { info_hash: string }, void>("bandwidth", ({ info_hash: infoHash, ...row }) => {
      if (infoHash === "") totals.push({ share: undefined, ...limitIn(row) });
      else ofVersions.push({ infoHash, ...limitIn(row) });
    });
    if (ofVersions.length > 0) this.#nameLimits(ofVersions);
    const ofShares = this.#read<LimitRow & { group_id: string; file_name: string }, StoredLimit>(
      "share_limit",
      (row) => ({ share: { groupId: row.group_id, fileName: row.file_name }, ...limitIn(row) }),
    );
    return [...totals, ...ofShares];
  }

  /** Profiles of earlier releases have limits of single versions: each becomes one of the share. */
  #nameLimits(ofVersions: readonly (Omit<StoredLimit, "share"> & { infoHash: string })[]): void {
    const shareOf = new Map<string, FileId>();
    for (const { groupId, fileName, info } of [...this.downloads(), ...this.shares()])
      shareOf.set(createHash("sha1").update(info).digest("hex"), { groupId, fileName });
    for (const { infoHash, direction, bytesPerSecond } of ofVersions) {
      const share = shareOf.get(infoHash);
      if (share !== undefined) this.saveLimit(share, direction, bytesPerSecond);
    }
    this.#attempt(() => this.#statements.removeVersionLimits.run());
  }

  close(): void {
    this.#database.close();
  }

  /** The rows up to the first damaged page of the file; later ones are lost. */
  #read<R, T>(table: ReadTable, asEntry: (row: R) => T): T[] {
    const found: T[] = [];
    try {
      for (const row of this.#database.prepare(`SELECT * FROM ${table} ORDER BY rowid`).iterate()) {
        found.push(asEntry(row as unknown as R));
      }
    } catch (error) {
      this.#log.error({ err: error, table }, "the profile could not be read to its end");
    }
    return found;
  }

  /** All of it, or nothing after a crash. */
  #inOneStep(work: () => void): void {
    this.#attempt(() => {
      this.#statements.begin.run();
      work();
      this.#statements.commit.run();
    });
  }

  /**
   * Writes all or nothing. A full or failing disk must not stop what runs in memory: it is logged, and the next change is
   * written if possible.
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

/**
 * Opens the profile. A damaged one is kept beside it and replaced by a new one. Undefined if another process
 * has it.
 */
function openOrBegin(path: string, log: Logger): DatabaseSync | undefined {
  try {
    return openExclusively(path);
  } catch (error) {
    if (!isDamage(error)) throw unusable(path, error);
    const kept = `${path}.damaged-${new Date().toISOString().replaceAll(/[-:]|\.\d+/g, "")}`;
    try {
      for (const suffix of ["-wal", "-journal", ""]) {
        if (existsSync(path + suffix)) renameDurably(path + suffix, kept + suffix);
      }
      log.error({ err: error, kept }, "the profile is damaged; it was set aside, and a new one begun");
      return openExclusively(path);
    } catch (again) {
      throw unusable(path, again);
    }
  }
}

/** The operating system releases the lock when the process ends, even if it is killed. */
function openExclusively(path: string): DatabaseSync | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    database.exec(
      `PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; BEGIN EXCLUSIVE; ${SCHEMA} COMMIT;`,
    );
    chmodSync(path, 0o600);
    if (statSync(path).size <= MAX_CHECKED_BYTES) {
      const [found] = database.prepare("PRAGMA quick_check(1)").all();
      if (found?.quick_check !== "ok") throw new ProfileDamage(String(found?.quick_check));
    }
    // Fails if a column is missing.
    for (const statement of Object.values(STATEMENTS)) database.prepare(statement);
    return database;
  } catch (error) {
    database?.close();
    if (errcodeOf(error) === SQLITE_BUSY) return undefined;
    throw error;
  }
}

function limitIn(row: LimitRow): Omit<StoredLimit, "share"> {
  return { direction: directionSchema.parse(row.direction), bytesPerSecond: row.bytes_per_second };
}

function versionOf(row: VersionRow): FormerVersion {
  return {
    groupId: row.group_id,
    fileName: row.file_name,
    path: row.path,
    asidePath: row.aside_path,
    info: row.info,
    // A copy: it need not be aligned in the row's bytes.
    mtimesMs: new Float64Array(row.mtimes_ms.slice().buffer),
  };
}

class ProfileDamage extends Error {}

/** The profile's id, made when it is opened for the first time. One that is not of its form is replaced. */
function holderIdIn(database: DatabaseSync): string {
  const known = holderIdSchema.safeParse(database.prepare("SELECT id FROM holder").get()?.id);
  if (known.success) return known.data;
  const made = randomUUID();
  database.prepare("INSERT OR REPLACE INTO holder VALUES (1, ?)").run(made);
  return made;
}

function isDamage(error: unknown): boolean {
  const code = errcodeOf(error);
  return (
    error instanceof ProfileDamage ||
    code === SQLITE_CORRUPT ||
    code === SQLITE_NOTADB ||
    code === SQLITE_ERROR
  );
}

/** SQLite's primary result code. */
function errcodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error && "errcode" in error && typeof error.errcode === "number")) return undefined;
  return error.errcode & 0xff;
}

function unusable(path: string, error: unknown): MiniTorrentError {
  const reason = error instanceof Error ? error.message : String(error);
  return new MiniTorrentError(
    "DISK_FAILED",
    `The profile ${path} cannot be opened (${reason}); free space if the disk is full, or give another --data-dir.`,
    { cause: error },
  );
}

/** All of an entry as JSON, bytes as base64. */
function asText(entry: StoredShare | StoredDownload): string {
  return JSON.stringify(entry, (_key, value: unknown) =>
    value instanceof Uint8Array || value instanceof Float64Array
      ? Buffer.from(bytesOf(value)).toString("base64")
      : value,
  );
}

function bytesOf({ buffer, byteOffset, byteLength }: Uint8Array | Float64Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
