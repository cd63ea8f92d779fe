// A running SHA-1 that lives in one thread of the disk. What is fed to it is hashed in the order of the calls; it is lost
// with its thread, and whoever uses it begins again.
import { MiniTorrentError } from "../api/errors.ts";
import { readError } from "./disk-errors.ts";
import type { DigestJob, DiskResult, NamedFileRange, SharedBytes } from "./disk-jobs.ts";

/** The place of the thread that a digest lives in. */
interface DigestHome {
  /** Which thread is there now. */
  readonly thread: object | undefined;
  digestBegins(): void;
  digestEnds(): void;
}

/** Has the thread do a job. @param explain from what the thread said to what a person is told */
type Submit = (job: DigestJob, explain: (error: unknown) => MiniTorrentError) => Promise<DiskResult>;

export class Digest {
  readonly #home: DigestHome;
  readonly #thread: object | undefined;
  readonly #digestId: number;
  readonly #submit: Submit;
  readonly #opened: Promise<DiskResult>;
  #isOpen = true;

  constructor(home: DigestHome, digestId: number, cutBytes: number, submit: Submit) {
    this.#home = home;
    this.#digestId = digestId;
    this.#submit = submit;
    home.digestBegins();
    this.#opened = submit({ kind: "digest-open", digestId, cutBytes }, explainInside);
    this.#thread = home.thread;
    // Whoever uses the digest hears of it: its worker is lost, or the pool is closed.
    this.#opened.catch(() => undefined);
  }

  livesIn(home: object): boolean {
    return this.#home === home;
  }

  /** The thread it lived in has died, and with it what was hashed so far: begin again with a new one. */
  get isLost(): boolean {
    return this.#home.thread !== this.#thread;
  }

  /**
   * Hashes the parts one after the other. They must not change until the promise settles.
   *
   * @returns the hashes that became whole, 20 bytes each
   * @throws MiniTorrentError DISK_FAILED
   */
  async update(...parts: SharedBytes[]): Promise<Uint8Array> {
    return this.#feed({ kind: "digest-memory", digestId: this.#digestId, parts }, explainInside);
  }

  /**
   * @param into where the bytes are left for somebody else to use; at least as long as the range
   * @returns the hashes that became whole, 20 bytes each
   * @throws MiniTorrentError FILE_CHANGED if the file is shorter; DISK_FAILED
   */
  async updateFromFile(range: NamedFileRange, into?: SharedBytes): Promise<Uint8Array> {
    const { fd, positionBytes, lengthBytes, path } = range;
    return this.#feed(
      { kind: "digest-file", digestId: this.#digestId, fd, positionBytes, lengthBytes, into },
      (error) => readError(error, path),
    );
  }

  /** Ends it. @returns the hash of what came since the last cut: 20 bytes, or none if nothing did and it is cut */
  async finish(): Promise<Uint8Array> {
    const result = this.#feed({ kind: "digest-close", digestId: this.#digestId }, explainInside);
    if (this.#isOpen && !this.isLost) this.#home.digestEnds();
    this.#isOpen = false;
    return result;
  }

  async #feed(job: DigestJob, explain: Parameters<Submit>[1]): Promise<Uint8Array> {
    if (this.isLost) {
      throw new MiniTorrentError("DISK_FAILED", "A thread that hashed a file died: try again.");
    }
    return bytesOf(await this.#submit(job, explain));
  }
}

function explainInside(error: unknown): MiniTorrentError {
  const reason = error instanceof Error ? error.message : String(error);
  return new MiniTorrentError("INTERNAL", `Hashing failed inside: ${reason}`, { cause: error });
}

/** @throws MiniTorrentError INTERNAL if the job gave no hashes */
export function bytesOf(result: DiskResult): Uint8Array {
  if (typeof result === "boolean") throw new MiniTorrentError("INTERNAL", "A hash was expected of the disk.");
  return result;
}
