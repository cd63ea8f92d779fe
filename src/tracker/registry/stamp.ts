// Hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", 2014): readings that never go back, that come after
// everything that was heard of, and that stay near the wall clock. A reading is text that sorts in time order:
// milliseconds, counter, tracker. It does not keep itself across a restart: the registry stores its latest reading.
import { MiniTorrentError } from "../../api/errors.ts";
import type { OriginId, Stamp } from "./registry.ts";

/**
 * A stamp further ahead of the wall clock does not move this clock: trackers' clocks may be 10 min off; an hour
 * means a wrong clock.
 */
export const MAX_AHEAD_MS = 60 * 60 * 1000;
/** The year 6429: no clock is set above it, and every stamp below it has a higher one. */
const MAX_STAMP_MS = 2 ** 47;
/** 2^48 ms is the year 10889. */
const MS_DIGITS = 12;
const COUNTER_DIGITS = 6;
const MAX_COUNTER = 16 ** COUNTER_DIGITS - 1;
const STAMP_PATTERN = new RegExp(`^[0-9a-f]{${MS_DIGITS}}-[0-9a-f]{${COUNTER_DIGITS}}-[0-9a-z]{1,32}$`);

export class HybridClock {
  readonly #nowMs: () => number;
  readonly #origin: OriginId;
  #ms = 0;
  #counter = 0;

  /**
   * @param nowMs the wall clock, milliseconds since 1970
   * @param origin whose clock it is: 1 to 32 lower-case letters and digits, unique
   * @param latest the highest stamp that this replica has made or seen before, if any
   */
  constructor(nowMs: () => number, origin: OriginId, latest?: Stamp) {
    this.#nowMs = nowMs;
    this.#origin = origin;
    if (latest !== undefined) this.#moveTo(latest);
  }

  /** The highest reading that was made or observed, as this clock would write it. */
  get latest(): Stamp {
    return this.#write();
  }

  /** A stamp higher than every one that this clock made or observed. */
  next(): Stamp {
    const nowMs = Math.floor(this.#nowMs());
    if (nowMs > this.#ms) {
      this.#ms = nowMs;
      this.#counter = 0;
    } else if (this.#counter < MAX_COUNTER) {
      this.#counter++;
    } else {
      this.#ms++;
      this.#counter = 0;
    }
    return this.#write();
  }

  /**
   * Observes another tracker's stamp: this clock's later readings are higher. A stamp more than an hour
   * ahead of the wall clock does not count, since it was made by a wrong clock. A row that replaces one
   * with such a stamp gets a higher one still (see `stampAfter`).
   *
   * @throws MiniTorrentError MALFORMED_MESSAGE for text that is not a stamp, or a stamp that no clock can have made
   */
  observe(stamp: Stamp): void {
    const ms = stampMs(stamp);
    if (ms > MAX_STAMP_MS) {
      throw new MiniTorrentError("MALFORMED_MESSAGE", `No clock can have made the stamp ${stamp}.`);
    }
    if (ms - this.#nowMs() <= MAX_AHEAD_MS) this.#moveTo(stamp);
  }

  #moveTo(stamp: Stamp): void {
    const ms = stampMs(stamp);
    const counter = counterOf(stamp);
    if (ms < this.#ms || (ms === this.#ms && counter <= this.#counter)) return;
    this.#ms = ms;
    this.#counter = counter;
  }

  #write(): Stamp {
    return writeStamp(this.#ms, this.#counter, this.#origin);
  }
}

/** The lowest stamp of that origin that is higher than the given one. */
export function stampAfter(stamp: Stamp, origin: OriginId): Stamp {
  const [ms, counter] = [stampMs(stamp), counterOf(stamp)];
  return counter < MAX_COUNTER ? writeStamp(ms, counter + 1, origin) : writeStamp(ms + 1, 0, origin);
}

function writeStamp(ms: number, counter: number, origin: OriginId): Stamp {
  const [msText, counterText] = [ms.toString(16), counter.toString(16)];
  return `${msText.padStart(MS_DIGITS, "0")}-${counterText.padStart(COUNTER_DIGITS, "0")}-${origin}`;
}

function counterOf(stamp: Stamp): number {
  return Number.parseInt(stamp.slice(MS_DIGITS + 1, MS_DIGITS + 1 + COUNTER_DIGITS), 16);
}

export function isStamp(text: string): boolean {
  return STAMP_PATTERN.test(text);
}

/**
 * The wall clock part of a stamp, milliseconds since 1970.
 *
 * @throws MiniTorrentError MALFORMED_MESSAGE if it is no stamp
 */
export function stampMs(stamp: Stamp): number {
  checkForm(stamp);
  return Number.parseInt(stamp.slice(0, MS_DIGITS), 16);
}

/**
 * Whose clock made the stamp.
 *
 * @throws MiniTorrentError MALFORMED_MESSAGE if it is no stamp
 */
export function stampOrigin(stamp: Stamp): OriginId {
  checkForm(stamp);
  return stamp.slice(MS_DIGITS + COUNTER_DIGITS + 2);
}

function checkForm(stamp: Stamp): void {
  if (!isStamp(stamp)) throw new MiniTorrentError("MALFORMED_MESSAGE", `'${stamp}' is not a stamp.`);
}
