// How fast data moved in the last hour: of each torrent, and of all together. Sampled from the bytes that torrents have moved, so that
// nothing between two samples is missed. Steps in which nothing moved cost nothing.
import type { TorrentTraffic } from "../client/status.ts";

/** A sample covers so much time. */
export const STEP_MS = 5_000;
/** An hour of them. */
const MOST_STEPS = 720;
/** Torrents with a history of their own: those that moved last. A full history has 6 KB. */
const MOST_SERIES = 500;

export interface SpeedPoint {
  /** Milliseconds since 1970: the end of the step. */
  readonly atMs: number;
  /** Bytes a second. */
  readonly down: number;
  readonly up: number;
}

/** Which torrent; undefined: all together. */
type Which = { readonly groupId: string; readonly fileName: string } | undefined;

export class SpeedHistory {
  /** By name; the one that moved last is the last. */
  readonly #ofTorrents = new Map<string, Series>();
  readonly #ofAll = new Series();
  /** What each run of a torrent had moved at the last sample. */
  readonly #seen = new WeakMap<object, { downloadedBytes: number; uploadedBytes: number }>();

  /**
   * Called every STEP_MS.
   *
   * @param nowMs milliseconds since 1970
   */
  sample(traffic: readonly TorrentTraffic[], nowMs: number): void {
    const step = stepAt(nowMs);
    let [down, up] = [0, 0];
    for (const { groupId, fileName, run, downloadedBytes, uploadedBytes } of traffic) {
      const before = this.#seen.get(run) ?? { downloadedBytes: 0, uploadedBytes: 0 };
      const [downloaded, uploaded] = [
        downloadedBytes - before.downloadedBytes,
        uploadedBytes - before.uploadedBytes,
      ];
      if (downloaded === 0 && uploaded === 0) continue;
      this.#seen.set(run, { downloadedBytes, uploadedBytes });
      down += downloaded;
      up += uploaded;
      this.#seriesOf(keyOf({ groupId, fileName })).add(step, downloaded, uploaded);
    }
    if (down > 0 || up > 0) this.#ofAll.add(step, down, up);
  }

  /** The last hour, oldest first, one point for each step. */
  points(which: Which, nowMs: number): SpeedPoint[] {
    const series = which === undefined ? this.#ofAll : this.#ofTorrents.get(keyOf(which));
    const last = stepAt(nowMs);
    const points: SpeedPoint[] = [];
    for (let step = last - MOST_STEPS + 1; step <= last; step++) {
      const { down, up } = series?.at(step) ?? { down: 0, up: 0 };
      points.push({ atMs: step * STEP_MS, down, up });
    }
    return points;
  }

  #seriesOf(key: string): Series {
    const series = this.#ofTorrents.get(key) ?? new Series();
    this.#ofTorrents.delete(key);
    this.#ofTorrents.set(key, series);
    if (this.#ofTorrents.size > MOST_SERIES) {
      const [oldest] = this.#ofTorrents.keys();
      if (oldest !== undefined) this.#ofTorrents.delete(oldest);
    }
    return series;
  }
}

/** Bytes a second of each step of the last hour, in a ring. */
class Series {
  readonly #down = new Float32Array(MOST_STEPS);
  readonly #up = new Float32Array(MOST_STEPS);
  /** The last step that something moved in; those up to an hour before it are in the ring. */
  #last = Number.NEGATIVE_INFINITY;

  add(step: number, downBytes: number, upBytes: number): void {
    // The clock was set back by more than an hour: what is in the ring is of the future.
    if (step <= this.#last - MOST_STEPS) this.#last = Number.NEGATIVE_INFINITY;
    // Steps in between had nothing.
    const first = Math.max(this.#last + 1, step - MOST_STEPS + 1);
    for (let skipped = first; skipped <= step; skipped++) {
      this.#down[skipped % MOST_STEPS] = 0;
      this.#up[skipped % MOST_STEPS] = 0;
    }
    this.#last = Math.max(this.#last, step);
    const place = step % MOST_STEPS;
    this.#down[place] = (this.#down[place] ?? 0) + (downBytes * 1_000) / STEP_MS;
    this.#up[place] = (this.#up[place] ?? 0) + (upBytes * 1_000) / STEP_MS;
  }

  at(step: number): { readonly down: number; readonly up: number } | undefined {
    if (step > this.#last || step <= this.#last - MOST_STEPS) return undefined;
    const place = step % MOST_STEPS;
    return { down: Math.round(this.#down[place] ?? 0), up: Math.round(this.#up[place] ?? 0) };
  }
}

function stepAt(nowMs: number): number {
  return Math.floor(nowMs / STEP_MS);
}

function keyOf({ groupId, fileName }: NonNullable<Which>): string {
  return JSON.stringify([groupId, fileName]);
}
