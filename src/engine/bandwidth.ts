// This client's upload and download limits, in total and for single torrents. The profile of the logged-in user stores them
// (client.ts).
import { MiniTorrentError } from "../api/errors.ts";
import { TokenBucket } from "../swarm/token-bucket.ts";

/** One block a second: at a lower rate, requests time out before their block arrives. */
const LEAST_BYTES_PER_SECOND = 16 * 1024;

/** Bytes a second; undefined: no limit. */
export interface BandwidthLimits {
  readonly up: number | undefined;
  readonly down: number | undefined;
}

export type Direction = keyof BandwidthLimits;
type Buckets = Readonly<Record<Direction, TokenBucket>>;

export class Bandwidth {
  readonly #nowMs: () => number;
  readonly #all: Buckets;
  /** The limits on all together that were set, whatever applies now. */
  #set: BandwidthLimits = { up: undefined, down: undefined };
  /** Applies in their place; undefined: they apply. */
  #override: BandwidthLimits | undefined;
  /** By info-hash: those of running torrents, and those that have a limit. */
  readonly #ofTorrents = new Map<string, Buckets>();

  /** @param nowMs milliseconds on a clock that never goes back */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#all = { up: new TokenBucket(nowMs), down: new TokenBucket(nowMs) };
  }

  /** The buckets of a torrent: theirs and those of all are spent together. */
  of(infoHash: string): Buckets {
    let buckets = this.#ofTorrents.get(infoHash);
    if (buckets === undefined) {
      const { up, down } = this.#all;
      buckets = { up: new TokenBucket(this.#nowMs, up), down: new TokenBucket(this.#nowMs, down) };
      this.#ofTorrents.set(infoHash, buckets);
    }
    return buckets;
  }

  /** The torrent has ended; its own limit is kept. */
  ended(infoHash: string): void {
    const buckets = this.#ofTorrents.get(infoHash);
    if (buckets !== undefined && !isLimited(limitsOf(buckets))) this.#ofTorrents.delete(infoHash);
  }

  /**
   * Takes effect at once.
   *
   * @param infoHash of one torrent; without it the limit is on all together
   * @throws MiniTorrentError INVALID_ARGUMENT for less than 16 KiB a second
   */
  limit(direction: Direction, bytesPerSecond: number | undefined, infoHash?: string): void {
    checkLimit(bytesPerSecond);
    if (infoHash !== undefined) {
      this.of(infoHash)[direction].limitTo(bytesPerSecond);
      return;
    }
    this.#set = { ...this.#set, [direction]: bytesPerSecond };
    if (this.#override === undefined) this.#all[direction].limitTo(bytesPerSecond);
  }

  /**
   * Other limits on all together apply in place of those that were set, from now on.
   *
   * @param limits undefined: those that were set apply again
   * @throws MiniTorrentError INVALID_ARGUMENT for less than 16 KiB a second
   */
  override(limits: BandwidthLimits | undefined): void {
    checkLimit(limits?.up);
    checkLimit(limits?.down);
    this.#override = limits;
    const { up, down } = limits ?? this.#set;
    this.#all.up.limitTo(up);
    this.#all.down.limitTo(down);
  }

  /** The limit on all together that applies now. */
  get limits(): BandwidthLimits {
    return limitsOf(this.#all);
  }

  /** The limit on all together that was set, while another one applies; undefined while it applies itself. */
  get overridden(): BandwidthLimits | undefined {
    return this.#override === undefined ? undefined : this.#set;
  }

  limitsOf(infoHash: string): BandwidthLimits {
    const buckets = this.#ofTorrents.get(infoHash);
    return buckets === undefined ? { up: undefined, down: undefined } : limitsOf(buckets);
  }

  /** Called about every 100 ms: serves the waiting callers whose turn has come. */
  tick(): void {
    this.#all.up.tick();
    this.#all.down.tick();
  }
}

/** @throws MiniTorrentError INVALID_ARGUMENT for less than 16 KiB a second */
function checkLimit(bytesPerSecond: number | undefined): void {
  if (bytesPerSecond === undefined || bytesPerSecond >= LEAST_BYTES_PER_SECOND) return;
  throw new MiniTorrentError("INVALID_ARGUMENT", "A limit is at least 16 KiB/s; off removes it.");
}

export function isLimited({ up, down }: BandwidthLimits): boolean {
  return up !== undefined || down !== undefined;
}

function limitsOf({ up, down }: Buckets): BandwidthLimits {
  return { up: up.bytesPerSecond, down: down.bytesPerSecond };
}
