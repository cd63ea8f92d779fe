// This client's upload and download limits, in total and for single shares. A share keeps its limits when its versions change. The
// profile of the logged-in user stores them (client.ts).
import { LEAST_LIMIT_BYTES_PER_SECOND } from "../api/byte-units.ts";
import { MiniTorrentError } from "../api/errors.ts";
import { TokenBucket } from "../swarm/token-bucket.ts";

/** Bytes a second; undefined: no limit. */
export interface BandwidthLimits {
  readonly up: number | undefined;
  readonly down: number | undefined;
}

export type Direction = keyof BandwidthLimits;
type Buckets = Readonly<Record<Direction, TokenBucket>>;

/** A share, whatever its version. */
export interface LimitedShare {
  readonly groupId: string;
  readonly fileName: string;
}

interface ShareBuckets {
  readonly buckets: Buckets;
  /** Running torrents that spend them: versions of one share run beside each other. */
  torrents: number;
}

export class Bandwidth {
  readonly #nowMs: () => number;
  readonly #all: Buckets;
  /** The limits on all together that were set, whatever applies now. */
  #set: BandwidthLimits = { up: undefined, down: undefined };
  /** Applies in their place; undefined: they apply. */
  #override: BandwidthLimits | undefined;
  /** By the share's key: those that torrents run of, and those that have a limit. */
  readonly #ofShares = new Map<string, ShareBuckets>();

  /** @param nowMs milliseconds on a clock that never goes back */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#all = { up: new TokenBucket(nowMs), down: new TokenBucket(nowMs) };
  }

  /** A torrent of the share begins: these buckets and those of all are spent together. */
  begun(share: LimitedShare): Buckets {
    const entry = this.#entryOf(share);
    entry.torrents++;
    return entry.buckets;
  }

  /** A torrent of the share has ended; the share's own limit is kept. */
  ended(share: LimitedShare): void {
    const entry = this.#ofShares.get(keyOf(share));
    if (entry === undefined) return;
    entry.torrents--;
    this.#forgetIfUnused(share, entry);
  }

  /**
   * Takes effect at once.
   *
   * @param share without it the limit is on all together
   * @throws MiniTorrentError INVALID_ARGUMENT for less than 16 KiB a second
   */
  limit(direction: Direction, bytesPerSecond: number | undefined, share?: LimitedShare): void {
    checkLimit(bytesPerSecond);
    if (share !== undefined) {
      const entry = this.#entryOf(share);
      entry.buckets[direction].limitTo(bytesPerSecond);
      this.#forgetIfUnused(share, entry);
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

  limitsOf(share: LimitedShare): BandwidthLimits {
    const entry = this.#ofShares.get(keyOf(share));
    return entry === undefined ? { up: undefined, down: undefined } : limitsOf(entry.buckets);
  }

  /** Called about every 100 ms: serves the waiting callers whose turn has come. */
  tick(): void {
    this.#all.up.tick();
    this.#all.down.tick();
  }

  #entryOf(share: LimitedShare): ShareBuckets {
    let entry = this.#ofShares.get(keyOf(share));
    if (entry === undefined) {
      const { up, down } = this.#all;
      const buckets = { up: new TokenBucket(this.#nowMs, up), down: new TokenBucket(this.#nowMs, down) };
      entry = { buckets, torrents: 0 };
      this.#ofShares.set(keyOf(share), entry);
    }
    return entry;
  }

  #forgetIfUnused(share: LimitedShare, { buckets, torrents }: ShareBuckets): void {
    if (torrents === 0 && !isLimited(limitsOf(buckets))) this.#ofShares.delete(keyOf(share));
  }
}

/** @throws MiniTorrentError INVALID_ARGUMENT for less than 16 KiB a second */
function checkLimit(bytesPerSecond: number | undefined): void {
  if (bytesPerSecond === undefined || bytesPerSecond >= LEAST_LIMIT_BYTES_PER_SECOND) return;
  throw new MiniTorrentError("INVALID_ARGUMENT", "A limit is at least 16 KiB/s; off removes it.");
}

export function isLimited({ up, down }: BandwidthLimits): boolean {
  return up !== undefined || down !== undefined;
}

function keyOf({ groupId, fileName }: LimitedShare): string {
  return JSON.stringify([groupId, fileName]);
}

function limitsOf({ up, down }: Buckets): BandwidthLimits {
  return { up: up.bytesPerSecond, down: down.bytesPerSecond };
}
