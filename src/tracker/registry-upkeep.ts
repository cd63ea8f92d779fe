// Work on the registry in the background, in small steps: looks for damage in rows that are never read, and removes the shares of
// former members from the index of shares.
import type { Clock } from "../net/timers.ts";
import type { SqliteRegistry } from "./registry/sqlite-registry.ts";

/**
 * The background check for damage examines 500 rows a second, a million in 33 minutes. After a full round it
 * rests.
 */
const CHECK_INTERVAL_MS = 100;
const CHECKED_ROWS = 50;
const CHECK_REST_MS = 10 * 60 * 1000;
/** Shares of former members that are removed from the index of shares at a time, in some 5 ms. */
const ANCHORED_DROPPED = 500;
const DROP_INTERVAL_MS = 100;

export interface RegistryUpkeepOptions {
  readonly registry: Pick<SqliteRegistry, "checkRows" | "dropAnchored" | "hasAnchoredLeft">;
  readonly clock: Clock;
  readonly mayWrite: () => boolean;
}

export class RegistryUpkeep {
  readonly #options: RegistryUpkeepOptions;
  #cancelCheck: () => void = () => {};
  #cancelDrop: () => void = () => {};

  constructor(options: RegistryUpkeepOptions) {
    this.#options = options;
  }

  /** Runs until it is closed. */
  start(): void {
    this.#checkRows();
    this.#dropAnchored();
  }

  close(): void {
    this.#cancelCheck();
    this.#cancelDrop();
  }

  /** The registry reports what it finds; damage ends the check. */
  #checkRows(): void {
    const { clock, registry } = this.#options;
    let delayMs = CHECK_INTERVAL_MS;
    try {
      if (registry.checkRows(CHECKED_ROWS)) delayMs = CHECK_REST_MS;
    } catch {
      return;
    }
    this.#cancelCheck = clock.setTimer(delayMs, () => this.#checkRows());
  }

  #dropAnchored(): void {
    const { clock, mayWrite, registry } = this.#options;
    this.#cancelDrop = clock.setTimer(DROP_INTERVAL_MS, () => this.#dropAnchored());
    if (registry.hasAnchoredLeft && mayWrite()) {
      registry.dropAnchored(ANCHORED_DROPPED).catch(() => {}); // the registry reports trouble with the disk
    }
  }
}
