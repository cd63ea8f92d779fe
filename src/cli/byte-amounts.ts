// Sizes and rates as people type them: `64MiB`, `5MB/s`, `500k`, `off`. Decimal units but for those with an i (IEC 80000-13).
import { MiniTorrentError } from "../api/errors.ts";

const FACTORS: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
};
const AMOUNT = /^(\d+(?:\.\d+)?) ?([kmg]i?)?b?$/i;
const NO_LIMIT: ReadonlySet<string> = new Set(["off", "none", "0"]);

/** Whole bytes. @throws MiniTorrentError INVALID_ARGUMENT */
export function parseSize(text: string): number {
  const bytes = amountOf(text);
  if (bytes !== undefined) return bytes;
  throw new MiniTorrentError("INVALID_ARGUMENT", `'${text}' is not a size: 256MiB or 1GB is expected.`);
}

/** A rate without a unit below this is probably one of megabytes: the lowest limit is 16 KiB/s (bandwidth.ts). */
const LEAST_WITHOUT_UNIT = 16 * 1024;

/** Whole bytes a second; undefined for `off`. @throws MiniTorrentError INVALID_ARGUMENT */
export function parseRate(text: string): number | undefined {
  if (NO_LIMIT.has(text.toLowerCase())) return undefined;
  const bytes = amountOf(text.replace(/\/s$/i, ""));
  if (bytes !== undefined && bytes < LEAST_WITHOUT_UNIT && /^\d+$/.test(text)) {
    const sentence = `${text} means ${bytes} bytes/s, and a limit is at least 16 KiB/s; did you mean ${text}MB/s?`;
    throw new MiniTorrentError("INVALID_ARGUMENT", sentence);
  }
  if (bytes !== undefined) return bytes;
  throw new MiniTorrentError(
    "INVALID_ARGUMENT",
    `'${text}' is not a rate: 500kB/s, 5MB/s or off is expected, in bytes a second.`,
  );
}

function amountOf(text: string): number | undefined {
  const [, digits, unit = ""] = AMOUNT.exec(text) ?? [];
  const factor = FACTORS[unit.toLowerCase()];
  if (digits === undefined || factor === undefined) return undefined;
  const bytes = Math.round(Number(digits) * factor);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
