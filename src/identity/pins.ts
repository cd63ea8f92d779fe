// Which certificate each tracker showed when it was first dialled, as SSH's known_hosts: trusted on first use, refused
// when it changes. A fingerprint in tracker_info.txt stands above what was seen.
import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { MiniTorrentError } from "../api/errors.ts";

/** Several processes of one user share the file; each holds it for one short statement. */
const BUSY_TIMEOUT_MS = 10_000;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS pin (address TEXT PRIMARY KEY, fingerprint TEXT NOT NULL) STRICT, WITHOUT ROWID;
`;

export class PinStore {
  readonly #path: string;
  readonly #database: DatabaseSync;

  /** Opens the file, or makes it (and its folder) for this user alone. Several processes may have it open. */
  constructor(path: string) {
    this.#path = path;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, "a", 0o600));
    chmodSync(path, 0o600);
    this.#database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    this.#database.exec(SCHEMA);
  }

  /** The fingerprint that is pinned for that address. */
  get(address: string): string | undefined {
    const row = this.#database.prepare("SELECT fingerprint FROM pin WHERE address = ?").get(address);
    return typeof row?.fingerprint === "string" ? row.fingerprint : undefined;
  }

  /**
   * Says whether a tracker may be who it should be. The first certificate seen at an address is stored.
   *
   * @param address host:port as in tracker_info.txt
   * @param fingerprint SHA-256 of the certificate that was shown, 64 hex digits
   * @param pinnedByFile the fingerprint that the address's line in tracker_info.txt demands
   * @throws MiniTorrentError TRACKER_KEY_CHANGED when it is another than before, or than the file demands
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
          `sha256:${pinnedByFile}: somebody may be in between. If the tracker was set up anew, put the new ` +
          "fingerprint into its line.",
      );
    }
    this.#database
      .prepare("INSERT INTO pin (address, fingerprint) VALUES (?, ?) ON CONFLICT DO NOTHING")
      .run(address, fingerprint);
    const pinned = this.get(address);
    if (pinned === fingerprint) return;
    throw new MiniTorrentError(
      "TRACKER_KEY_CHANGED",
      `The tracker at ${address} shows the key sha256:${fingerprint}, but it was sha256:${pinned} before: ` +
        "somebody may be in between. If the tracker was set up anew, compare the new fingerprint with the one it " +
        `prints, then add 'sha256:${fingerprint}' to its line in tracker_info.txt, or remove ${this.#path} to ` +
        "trust anew.",
    );
  }

  /** The next certificate seen at that address is trusted. */
  forget(address: string): void {
    this.#database.prepare("DELETE FROM pin WHERE address = ?").run(address);
  }

  close(): void {
    this.#database.close();
  }

  #replace(address: string, fingerprint: string): void {
    if (this.get(address) === fingerprint) return;
    this.#database
      .prepare(
        "INSERT INTO pin (address, fingerprint) VALUES (?, ?) ON CONFLICT DO UPDATE SET fingerprint = excluded.fingerprint",
      )
      .run(address, fingerprint);
  }
}
