// The jobs that run on a file, or a folder, of one path. It takes no new jobs from the moment it is to be closed, and is
// closed when the last that runs is over. Opens nothing.
import { MiniTorrentError } from "../api/errors.ts";

export class HeldPath {
  #path: string;
  #runningJobs = 0;
  #isClosing = false;
  #whenIdle: (() => void) | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Where it is now. */
  get path(): string {
    return this.#path;
  }

  /** The same file, or folder, has another name. */
  renamed(path: string): void {
    this.#path = path;
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

  /** @throws MiniTorrentError INTERNAL if it is to be closed; what `work` throws */
  async whileHeld<T>(work: () => Promise<T>): Promise<T> {
    const { refusal } = this;
    if (refusal !== undefined) throw refusal;
    this.begin();
    try {
      return await work();
    } finally {
      this.end(() => undefined);
    }
  }

  /** No job begins any more; those that run come to their end. Called once. */
  async endJobs(): Promise<void> {
    this.#isClosing = true;
    if (this.#runningJobs === 0) return;
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
  }
}
