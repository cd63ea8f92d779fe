// Which files of a process are open: so many at once, however many it shares and fetches. A file is opened when it is needed
// and closed, the least recently used one first, when another needs its place; a file in use is never closed. How a file is
// opened again, and that it is the same one, is its owner's to see to (ref-counted-file.ts).
import { setTimeout as sleep } from "node:timers/promises";
import { isOutOfDescriptors } from "./disk-errors.ts";

/** Places, where the caller knows of no limit. */
const DEFAULT_PLACES = 128;
/** Of the places, the most for work that keeps a file for minutes, as hashing a large one does. */
const LONG_SHARE = 1 / 4;
/** Sockets come and go, so a file that cannot be opened for want of a descriptor is tried again for a while. */
const EXHAUSTED_PAUSE_MS = 200;
const EXHAUSTED_ATTEMPTS = 25;

/** An open file that the set may close while it is unused. */
export interface IdleFile {
  /** Closes the handle; from the call on, the file has no place. */
  closeHandle(): Promise<void>;
}

interface Waiter {
  /** Asked when it is its turn. */
  readonly needsPlace: () => boolean;
  /** Its turn has come, and it has a place. */
  readonly admit: () => void;
}

export class OpenFiles {
  readonly #places: number;
  readonly #longPlaces: number;
  readonly #pause: (pauseMs: number) => Promise<unknown>;
  #taken = 0;
  #longTaken = 0;
  #closing = 0;
  /** Open and not in use, the least recently used first. */
  readonly #idle = new Set<IdleFile>();
  /** First come, first served: a file that is always in use must not keep its place for good. */
  readonly #waiting: Waiter[] = [];
  readonly #waitingForLong: (() => void)[] = [];

  /** @throws RangeError for less than one place */
  constructor(places: number = DEFAULT_PLACES, pause: (pauseMs: number) => Promise<unknown> = sleep) {
    if (!Number.isSafeInteger(places) || places < 1) throw new RangeError(`${places} places for open files.`);
    this.#places = places;
    this.#pause = pause;
    this.#longPlaces = Math.max(1, Math.floor(places * LONG_SHARE));
  }

  /** Places that are taken: by files in use, idle ones, and those that are being opened or closed. */
  get taken(): number {
    return this.#taken;
  }

  /** Others wait for a place: uses of a file that is open queue behind them too. */
  get isContended(): boolean {
    return this.#waiting.length > 0;
  }

  /** Calls `admit` once it is the waiter's turn, maybe at once. With `needsPlace` it then has a place, to be given back. */
  wait(waiter: Waiter): void {
    this.#waiting.push(waiter);
    this.#admitNext();
  }

  givePlace(): void {
    this.#taken--;
    this.#admitNext();
  }

  /** The open file is in use, or is closed by its owner: it is not for the set to close. */
  keep(file: IdleFile): void {
    this.#idle.delete(file);
  }

  /** The open file is unused from now on. */
  mayClose(file: IdleFile): void {
    this.#idle.add(file);
    this.#admitNext();
  }

  /**
   * Opens a file in a place that the caller has. Others who open files in this process, or on this machine, may have left no
   * descriptor: then idle files are closed, or some time passes.
   */
  async open<T>(opening: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await opening();
      } catch (error) {
        if (attempt === EXHAUSTED_ATTEMPTS || !isOutOfDescriptors(error)) throw error;
        if (!(await this.#closeOne())) await this.#pause(EXHAUSTED_PAUSE_MS);
      }
    }
  }

  /** Opens a file in a place that is the caller's from then on; not if it is rejected. */
  async openInPlace<T>(opening: () => Promise<T>): Promise<T> {
    await this.#takePlace();
    try {
      return await this.open(opening);
    } catch (error) {
      this.givePlace();
      throw error;
    }
  }

  /** For work that opens one file for itself, and keeps it for long. */
  async whileLong<T>(work: () => Promise<T>): Promise<T> {
    if (this.#longTaken < this.#longPlaces) this.#longTaken++;
    else await new Promise<void>((resolve) => this.#waitingForLong.push(resolve));
    try {
      await this.#takePlace();
      try {
        return await work();
      } finally {
        this.givePlace();
      }
    } finally {
      const next = this.#waitingForLong.shift();
      if (next === undefined) this.#longTaken--;
      else next();
    }
  }

  #takePlace(): Promise<void> {
    return new Promise((admit) => this.wait({ needsPlace: () => true, admit }));
  }

  #admitNext(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const needsPlace = next.needsPlace();
      if (needsPlace && this.#taken >= this.#places) {
        if (this.#closing < this.#waiting.length) void this.#closeOne();
        return;
      }
      if (needsPlace) this.#taken++;
      this.#waiting.shift();
      next.admit();
    }
  }

  /** Closes the file that was used least recently. Resolves to false if all are in use. */
  async #closeOne(): Promise<boolean> {
    const [file] = this.#idle;
    if (file === undefined) return false;
    this.#idle.delete(file);
    this.#closing++;
    // A write that failed late is reported to the next one who syncs the file, or shows when the file is read back.
    await file.closeHandle().catch(() => undefined);
    this.#closing--;
    this.givePlace();
    return true;
  }
}
