// What a person types into a field for a limit: a number of MB/s, or a number with its unit; empty is no limit. Pure.

/** The lowest limit that the daemon takes, in bytes a second. */
const LEAST_LIMIT = 16 * 1024;

const FACTORS: Readonly<Record<string, number>> = {
  b: 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
};
const AMOUNT = /^(\d+(?:[.,]\d+)?)\s*([kmg]i?)?(b?)(?:\/s)?$/i;

/** @returns bytes a second; null: no limit; undefined: it cannot be read, or is too low to be a limit */
export function parseRateField(text: string): number | null | undefined {
  const typed = text.trim();
  if (typed === "") return null;
  const [, digits, prefix, byte] = AMOUNT.exec(typed) ?? [];
  if (digits === undefined) return undefined;
  const unit = (prefix ?? (byte === "" ? "m" : "b")).toLowerCase();
  const rate = Math.round(Number(digits.replace(",", ".")) * (FACTORS[unit] ?? 1));
  return rate < LEAST_LIMIT || !Number.isSafeInteger(rate) ? undefined : rate;
}

/** As it stands in the field, whose unit is MB/s. */
export function rateFieldText(bytesPerSecond: number | null | undefined): string {
  if (bytesPerSecond === null || bytesPerSecond === undefined) return "";
  return String(Number((bytesPerSecond / 1e6).toPrecision(4)));
}
