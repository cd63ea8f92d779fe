// Pins the certificate that each tracker showed when it was first dialled, like SSH's known_hosts: trusted on first use, refused
// when it changes. A fingerprint in tracker_info.txt overrides a pin. Also stores the keys of other trackers that a tracker
// vouched for; client/trackers/tracker-trust.ts decides whether to trust them.
import {
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { MiniTorrentError } from "../api/errors.ts";
import { PRIVATE_FILE_MODE, syncFolder } from "./private-files.ts";

/** Several processes of one user share the file; each holds it for one short statement. */
const BUSY_TIMEOUT_MS = 10_000;

const VOUCHED_SCHEMA = `
  CREATE TABLE IF NOT EXISTS vouched (
    fingerprint TEXT NOT NULL, voucher TEXT NOT NULL, PRIMARY KEY (fingerprint, voucher)
  ) STRICT, WITHOUT ROWID;
`;
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS pin (address TEXT PRIMARY KEY, fingerprint TEXT NOT NULL) STRICT, WITHOUT ROWID;
  ${VOUCHED_SCHEMA}
`;

export class PinStore {
  readonly #path: string;
  readonly #database: DatabaseSync;

  /**
   * Opens the file, or creates it (and its folder) for this user alone. Several processes may have it open.
   *
   * @throws MiniTorrentError DISK_FAILED if it is damaged or cannot be created
   */
  constructor(path: string) {
    this.#path = path;
    let database: DatabaseSync | undefined;
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      if (!existsSync(path)) makeStore(path);
      // Created complete under its name, so an empty file means lost pins; it must not lead to new trust.
      if (statSync(path).size === 0) throw new Error("it is empty");
      chmodSync(path, PRIVATE_FILE_MODE);
      database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
      const [found] = database.prepare("PRAGMA quick_check(1)").all();
      if (found?.quick_check !== "ok") throw new Error(String(found?.quick_check));
      database.prepare("SELECT address, fingerprint FROM pin LIMIT 1").get();
      database.exec(VOUCHED_SCHEMA); // an older file lacks it
      this.#database = database;
    } catch (error) {
      database?.close();
      throw this.#unusable(error);
    }
  }

  /**
   * The fingerprint that is pinned for that address.
   *
   * @throws MiniTorrentError DISK_FAILED
   */
  get(address: string): string | undefined {
    const row = this.#attempt(() =>
      this.#database.prepare("SELECT fingerprint FROM pin WHERE address = ?").get(address),
    );
    return typeof row?.fingerprint === "string" ? row.fingerprint : undefined;
  }

  /**
   * Checks the certificate that a tracker showed. The first one seen at an address is pinned.
   *
   * @param address host:port as in tracker_info.txt
   * @param fingerprint SHA-256 of the certificate that was shown, 64 hex digits
   * @param pinnedByFile the fingerprint that the address's line in tracker_info.txt demands
   * @throws MiniTorrentError TRACKER_KEY_CHANGED when it is another than before, or than the file demands
   * @throws MiniTorrentError DISK_FAILED when a first one cannot be stored
   */
  check(address: string, fingerprint: string, pinnedByFile?: string): void {
    if (pinnedByFile !== undefined) {
      if (pinnedByFile.toLowerCase() === fingerprint) {
        this.#replace(address, fingerprint);
        return;
      }
      throw new MiniTorrentError(
        "TRACKER_KEY_CHANGED",
        `The tracker at ${address} shows the key sha256:${fingerprint}, but tracker_info.txt pins ` +
          `sha256:${pinnedByFile}: somebody may be impersonating the tracker. If the tracker was set up anew, put the new ` +
          "fingerprint into its line.",
      );
    }
    // No write for a known tracker, since the disk may be full.
    if (this.get(address) === undefined) {
      this.#attempt(() =>
        this.#database
          .prepare("INSERT INTO pin (address, fingerprint) VALUES (?, ?) ON CONFLICT DO NOTHING")
          .run(address, fingerprint),
      );
    }
    const pinned = this.get(address);
    if (pinned === fingerprint) return;
    throw new MiniTorrentError(
      "TRACKER_KEY_CHANGED",
      `The tracker at ${address} shows the key sha256:${fingerprint}, but it was sha256:${pinned} before: ` +
        "somebody may be impersonating the tracker. If the tracker was set up anew, compare the new fingerprint with the one it " +
        `prints, then add 'sha256:${fingerprint}' to its line in tracker_info.txt, or remove ${this.#path} to ` +
        "trust anew.",
    );
  }

  /** Fingerprints of the trackers that vouched for that key. */
  vouchersOf(fingerprint: string): string[] {
    const rows = this.#attempt(() =>
      this.#database.prepare("SELECT voucher FROM vouched WHERE fingerprint = ?").all(fingerprint),
    );
    return rows.map(({ voucher }) => String(voucher));
  }

  /**
   * Replaces the keys that a tracker vouches for.
   *
   * @param voucher the tracker's own fingerprint
   * @throws MiniTorrentError DISK_FAILED
   */
  vouchedFor(voucher: string, fingerprints: readonly string[]): void {
    this.#attempt(() => this.#replaceVouched(voucher, fingerprints));
  }

  #replaceVouched(voucher: string, fingerprints: readonly string[]): void {
    const before = this.#database.prepare("SELECT fingerprint FROM vouched WHERE voucher = ?").all(voucher);
    const known = new Set(before.map(({ fingerprint }) => fingerprint));
    const told = new Set(fingerprints);
    if (known.size === told.size && [...told].every((fingerprint) => known.has(fingerprint))) return;
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      this.#database.prepare("DELETE FROM vouched WHERE voucher = ?").run(voucher);
      const insert = this.#database.prepare("INSERT INTO vouched (fingerprint, voucher) VALUES (?, ?)");
      for (const fingerprint of told) insert.run(fingerprint, voucher);
      this.#database.exec("COMMIT");
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  /** The next certificate seen at that address is trusted. */
  forget(address: string): void {
    this.#attempt(() => this.#database.prepare("DELETE FROM pin WHERE address = ?").run(address));
  }

  close(): void {
    this.#database.close();
  }

  #replace(address: string, fingerprint: string): void {
    if (this.get(address) === fingerprint) return;
    this.#attempt(() =>
      this.#database
        .prepare(
          "INSERT INTO pin (address, fingerprint) VALUES (?, ?) ON CONFLICT DO UPDATE SET fingerprint = excluded.fingerprint",
        )
        .run(address, fingerprint),
    );
  }

  #attempt<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw this.#unusable(error);
    }
  }

  #unusable(error: unknown): MiniTorrentError {
    const reason = error instanceof Error ? error.message : String(error);
    return new MiniTorrentError(
      "DISK_FAILED",
      `The trackers' keys cannot be kept in ${this.#path} (${reason}); free space if the disk is full. If the file is damaged, ` +
        "restore it from a backup, or remove it and compare the fingerprints shown at the next start with those that the trackers print.",
      { cause: error },
    );
  }
}

/** Atomic, so that processes that start together share one file and no crash leaves half of it. */
function makeStore(path: string): void {
  const unfinished = `${path}.${process.pid}.new`;
  rmSync(unfinished, { force: true });
  closeSync(openSync(unfinished, "wx", PRIVATE_FILE_MODE));
  try {
    const database = new DatabaseSync(unfinished);
    try {
      database.exec(SCHEMA);
    } finally {
      database.close();
    }
    try {
      linkSync(unfinished, path);
    } catch {
      // Another process was first, or the file system has no hard links.
      if (!existsSync(path)) renameSync(unfinished, path);
    }
  } finally {
    rmSync(unfinished, { force: true });
  }
  syncFolder(dirname(path));
}
