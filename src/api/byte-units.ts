// Sizes and rates as text for people, in decimal units (SI: kB is 1,000 bytes), and the units that people type.

/** The lowest limit of a rate, one block a second: at a lower one, requests time out before their block arrives. */
export const LEAST_LIMIT_BYTES_PER_SECOND = 16 * 1024;

/** Bytes in a unit by its prefix, in lower case: decimal, but for those with an i (IEC 80000-13). */
export const BYTES_IN_UNIT: Readonly<Record<string, number>> = {
  k: 1e3,
  m: 1e6,
  g: 1e9,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
};

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** Three digits: `1.07 GB`. */
export function formatBytes(bytes: number): string {
  return scaled(bytes, (value) => Number(value.toPrecision(3)));
}

/** Rounded up, for an amount that must be enough: `2.3 MB`, `101 MB`. */
export function formatBytesRoundedUp(bytes: number): string {
  return scaled(bytes, (value) => (value >= 100 ? Math.ceil(value) : Math.ceil(value * 10) / 10));
}

/** Two digits: `9.6 MB/s`, `96 MB/s`. */
export function formatRate(bytesPerSecond: number): string {
  return `${scaled(bytesPerSecond, (value) => (value < 9.95 ? Number(value.toFixed(1)) : Math.round(value)))}/s`;
}

function scaled(bytes: number, round: (value: number) => number): string {
  let value = Math.max(0, Number.isFinite(bytes) ? bytes : 0);
  let unit = 0;
  while ((unit === 0 ? Math.round(value) : round(value)) >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : round(value)} ${UNITS[unit] ?? ""}`;
}
