// Sizes and rates as people type them: `64MiB`, `5MB/s`, `500k`, `off`. Decimal units but for those with an i (IEC 80000-13).
import { BYTES_IN_UNIT, LEAST_LIMIT_BYTES_PER_SECOND } from "../api/byte-units.ts";
import { MiniTorrentError } from "../api/errors.ts";

const AMOUNT = /^(\d+(?:\.\d+)?) ?([kmg]i?)?b?$/i;
const NO_LIMIT: ReadonlySet<string> = new Set(["off", "none", "0"]);

/** Whole bytes. @throws MiniTorrentError INVALID_ARGUMENT */
export function parseSize(text: string): number {
  const bytes = amountOf(text);
  if (bytes !== undefined) return bytes;
  throw new MiniTorrentError("INVALID_ARGUMENT", `'${text}' is not a size: 256MiB or 1GB is expected.`);
}

/** Whole bytes a second; undefined for `off`. @throws MiniTorrentError INVALID_ARGUMENT */
export function parseRate(text: string): number | undefined {
  if (NO_LIMIT.has(text.toLowerCase())) return undefined;
  const bytes = amountOf(text.replace(/\/s$/i, ""));
  // Without a unit, and too low to be a limit: probably megabytes are meant.
  if (bytes !== undefined && bytes < LEAST_LIMIT_BYTES_PER_SECOND && /^\d+$/.test(text)) {
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
  const factor = unit === "" ? 1 : BYTES_IN_UNIT[unit.toLowerCase()];
  if (digits === undefined || factor === undefined) return undefined;
  const bytes = Math.round(Number(digits) * factor);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
