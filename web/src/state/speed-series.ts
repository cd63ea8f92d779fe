// The series of the speed plot, and a scale with a few round lines and one unit. Pure.

export interface SpeedPoint {
  readonly atMs: number;
  readonly down: number;
  readonly up: number;
}

export interface SpeedSeries {
  /** Seconds since 1970, as uPlot takes them. */
  readonly times: Float64Array;
  readonly down: Float64Array;
  readonly up: Float64Array;
}

/** Points that are drawn: a plot is not wider than that. */
const MOST_POINTS = 720;

/** Where nothing was sampled the line falls to nothing: a gap is no speed. */
export function speedSeries(points: readonly SpeedPoint[], stepMs: number): SpeedSeries {
  const each = Math.max(1, Math.ceil(points.length / MOST_POINTS));
  const count = Math.ceil(points.length / each);
  const times = new Float64Array(count);
  const [down, up] = [new Float64Array(count), new Float64Array(count)];
  for (let index = 0; index < count; index++) {
    const bucket = points.slice(index * each, (index + 1) * each);
    const mean = (of: (point: SpeedPoint) => number) =>
      bucket.reduce((sum, point) => sum + of(point), 0) / bucket.length;
    times[index] = ((bucket.at(-1)?.atMs ?? 0) - (stepMs * (bucket.length - 1)) / 2) / 1_000;
    down[index] = mean((point) => point.down);
    up[index] = mean((point) => point.up);
  }
  return { times, down, up };
}

const UNITS = ["B/s", "kB/s", "MB/s", "GB/s"] as const;
/** Mantissas whose third parts are round numbers, or nearly. */
const TOPS = [1.5, 3, 6, 9, 15] as const;

export interface RateScale {
  readonly unit: (typeof UNITS)[number];
  /** Bytes a second in one of the unit. */
  readonly divisor: number;
  /** The end of the scale in bytes a second. */
  readonly top: number;
  /** Lines above zero, in bytes a second. */
  readonly lines: readonly number[];
}

/** Three lines above zero, in numbers that a person reads at a glance: 50, 100, 150. */
export function rateScale(mostBytesPerSecond: number): RateScale {
  const most = Math.max(30, Number.isFinite(mostBytesPerSecond) ? mostBytesPerSecond : 0);
  const power = 10 ** Math.floor(Math.log10(most));
  const top = (TOPS.find((one) => one * power >= most) ?? 15) * power;
  const unitIndex = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(top / 1.5) / 3)));
  const divisor = 1_000 ** unitIndex;
  return {
    unit: UNITS[unitIndex] ?? "B/s",
    divisor,
    top,
    lines: [top / 3, (top * 2) / 3, top],
  };
}
