// What a person types into a field for a limit: a number of MB/s, or a number with its unit; empty is no limit. Pure.
import { BYTES_IN_UNIT, LEAST_LIMIT_BYTES_PER_SECOND } from "../../../src/api/byte-units.ts";

const AMOUNT = /^(\d+(?:[.,]\d+)?)\s*([kmg]i?)?(b?)(?:\/s)?$/i;

/** @returns bytes a second; null: no limit; undefined: it cannot be read, or is too low to be a limit */
export function parseRateField(text: string): number | null | undefined {
  const typed = text.trim();
  if (typed === "") return null;
  const [, digits, prefix, byte] = AMOUNT.exec(typed) ?? [];
  if (digits === undefined) return undefined;
  const unit = prefix ?? (byte === "" ? "m" : "");
  const rate = Math.round(Number(digits.replace(",", ".")) * (BYTES_IN_UNIT[unit.toLowerCase()] ?? 1));
  return rate < LEAST_LIMIT_BYTES_PER_SECOND || !Number.isSafeInteger(rate) ? undefined : rate;
}

/** As it stands in the field, whose unit is MB/s. */
export function rateFieldText(bytesPerSecond: number | null | undefined): string {
  if (bytesPerSecond === null || bytesPerSecond === undefined) return "";
  return String(Number((bytesPerSecond / 1e6).toPrecision(4)));
}
