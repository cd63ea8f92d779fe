// The difference between this machine's clock and the tracker's, as reported at each new connection. Certificates are
// checked by this machine's clock, so with a wrong one it can neither use its own nor accept others'.
import { formatClockDifference } from "../../api/clock-difference.ts";
import { MiniTorrentError } from "../../api/errors.ts";
import {
  ALLOWED_CLOCK_SKEW_MS,
  MEMBER_CERTIFICATE_LIFETIME_MS,
} from "../../identity/certificate-lifetimes.ts";

export interface TrackerTime {
  /** The tracker's clock, milliseconds since 1970, exact to some seconds. */
  readonly trackerMs: number;
  /** When it was reported, by performance.now(). */
  readonly heardAtMs: number;
}

/**
 * The tracker's time from the HTTP response that opens a connection.
 *
 * @returns undefined if there is none that can be read
 */
export function readTrackerTime(date: string | undefined): TrackerTime | undefined {
  const trackerMs = date === undefined ? Number.NaN : Date.parse(date);
  return Number.isNaN(trackerMs) ? undefined : { trackerMs, heardAtMs: performance.now() };
}

/** How far this machine's clock is ahead of the tracker's now, also after being set; negative: behind. */
export function aheadOfTrackerMs({ trackerMs, heardAtMs }: TrackerTime): number {
  return Date.now() - (trackerMs + (performance.now() - heardAtMs));
}

/** The warning for a clock that differs too much. */
export function clockWarning(aheadMs: number): string | undefined {
  return Math.abs(aheadMs) > ALLOWED_CLOCK_SKEW_MS ? sentenceOf(aheadMs) : undefined;
}

/** Why a certificate that is issued now could not be used on this machine. */
export function clockTrouble(aheadMs: number): MiniTorrentError | undefined {
  const isUsable = aheadMs >= -ALLOWED_CLOCK_SKEW_MS && aheadMs < MEMBER_CERTIFICATE_LIFETIME_MS;
  return isUsable ? undefined : new MiniTorrentError("CLOCK_WRONG", sentenceOf(aheadMs));
}

function sentenceOf(aheadMs: number): string {
  const where = `${formatClockDifference(aheadMs)} ${aheadMs > 0 ? "ahead of" : "behind"}`;
  return `This machine's clock is ${where} the tracker's; set it, because until then it and other members' machines refuse each other.`;
}
