// A file that several jobs use at once, open or closed: it has a handle while it is in use, and as long after that as the
// open files of the process have a place for it. Opened again, it must be the same file. It takes no new jobs from the moment
// it is to be closed, and is closed when the last that runs is over. Knows nothing of pieces.
import type { FileHandle } from "node:fs/promises";
import { readError } from "./disk-errors.ts";
import type { FilePlace } from "./disk-jobs.ts";
import { HeldPath } from "./held-path.ts";
import type { OpenFiles } from "./open-files.ts";

/** Opens the file of that path, if it is still the same one. @throws MiniTorrentError if it is not; errors of the system */
export type OpenAgain = (path: string) => Promise<FileHandle>;

export class RefCountedFile extends HeldPath {
  readonly #files: OpenFiles;
  readonly #openAgain: OpenAgain;
  /** While it has a place: its handle, or the opening that is under way. */
  #opened: Promise<FileHandle> | undefined;
  #handle: FileHandle | undefined;
  #useCount = 0;

  /** @param handle open, in a place of `files`; both are this file's from now on */
  constructor(files: OpenFiles, handle: FileHandle, path: string, openAgain: OpenAgain) {
    super(path);
    this.#files = files;
    this.#openAgain = openAgain;
    this.#handle = handle;
    this.#opened = Promise.resolve(handle);
    files.mayClose(this);
  }

  /**
   * Uses the open file, within a job. `use` must not wait for another use of any file: that one may wait for this file's place.
   *
   * @throws MiniTorrentError FILE_CHANGED, FILE_NOT_FOUND if it had to be opened again and is not the same file; LIMIT_REACHED,
   * DISK_FAILED; what `use` throws
   */
  async whileOpen<T>(use: (handle: FileHandle, path: string) => Promise<T>): Promise<T> {
    try {
      const handle = await this.#use();
      try {
        return await use(handle, this.path);
      } finally {
        this.#used();
      }
    } catch (error) {
      throw error instanceof Error && "errno" in error ? readError(error, this.path) : error;
    }
  }

  /** As `whileOpen`, of a part of the file. */
  inRange<T>(positionBytes: number, use: (place: FilePlace) => Promise<T>): Promise<T> {
    return this.whileOpen(({ fd }, path) => use({ fd, path, positionBytes }));
  }

  /** Called once. */
  async close(): Promise<void> {
    await this.endJobs();
    if (this.#handle === undefined) return;
    this.#files.keep(this);
    try {
      await this.closeHandle();
    } finally {
      this.#files.givePlace();
    }
  }

  /** See `IdleFile`. */
  async closeHandle(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    this.#opened = undefined;
    await handle?.close();
  }

  /** A use begins, that is over with `#used`; not if the promise is rejected. */
  #use(): Promise<FileHandle> {
    const handle = this.#handle;
    if (handle !== undefined && !this.#files.isContended) {
      this.#begun();
      return Promise.resolve(handle);
    }
    return new Promise((resolve) => {
      this.#files.wait({
        needsPlace: () => this.#opened === undefined,
        admit: () => {
          this.#begun();
          resolve(
            this.#open().catch((error: unknown) => {
              this.#used();
              throw error;
            }),
          );
        },
      });
    });
  }

  #begun(): void {
    this.#useCount++;
    this.#files.keep(this);
  }

  #used(): void {
    this.#useCount--;
    if (this.#useCount === 0 && this.#handle !== undefined) this.#files.mayClose(this);
  }

  /** The handle, in the place that the file has. */
  #open(): Promise<FileHandle> {
    this.#opened ??= this.#openedAgain();
    return this.#opened;
  }

  async #openedAgain(): Promise<FileHandle> {
    try {
      this.#handle = await this.#files.open(() => this.#openAgain(this.path));
      return this.#handle;
    } catch (error) {
      this.#opened = undefined;
      this.#files.givePlace();
      throw error;
    }
  }
}
