// An open file that several jobs use at once. It takes no new ones from the moment it is to be closed, and is closed when
// the last that runs is over. Knows nothing of pieces.
import type { FileHandle } from "node:fs/promises";
import { MiniTorrentError } from "../api/errors.ts";
import { readError } from "./disk-errors.ts";
import type { NamedFileRange } from "./disk-jobs.ts";

export class HeldFile {
  readonly #handle: FileHandle;
  #path: string;
  #runningJobs = 0;
  #isClosing = false;
  #whenIdle: (() => void) | undefined;

  constructor(handle: FileHandle, path: string) {
    this.#handle = handle;
    this.#path = path;
  }

  get fd(): number {
    return this.#handle.fd;
  }

  /** Where the file is now. */
  get path(): string {
    return this.#path;
  }

  /** The same file has another name. */
  renamed(path: string): void {
    this.#path = path;
  }

  range(positionBytes: number, lengthBytes: number): NamedFileRange {
    return { fd: this.fd, path: this.#path, positionBytes, lengthBytes };
  }

  /** Why no job may begin; undefined while it may. */
  get refusal(): MiniTorrentError | undefined {
    return this.#isClosing ? new MiniTorrentError("INTERNAL", `${this.#path} is closed.`) : undefined;
  }

  /** A job begins that is over with `end`. There is no `refusal`. */
  begin(): void {
    this.#runningJobs++;
  }

  /** A job is over once its caller has been told. */
  end(tell: () => void): void {
    try {
      tell();
    } finally {
      this.#runningJobs--;
      if (this.#runningJobs === 0) this.#whenIdle?.();
    }
  }

  /** @throws MiniTorrentError INTERNAL if it is to be closed; DISK_FAILED; what `work` throws */
  async whileOpen<T>(work: (handle: FileHandle) => Promise<T>): Promise<T> {
    const { refusal } = this;
    if (refusal !== undefined) throw refusal;
    this.begin();
    try {
      return await work(this.#handle);
    } catch (error) {
      throw error instanceof Error && "errno" in error ? readError(error, this.#path) : error;
    } finally {
      this.end(() => undefined);
    }
  }

  /** Called once. */
  async close(): Promise<void> {
    this.#isClosing = true;
    if (this.#runningJobs > 0) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    }
    await this.#handle.close();
  }
}
