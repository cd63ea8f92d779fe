// The difference of two clocks in words, shared by trackers and clients.

const MINUTE_MS = 60_000;
const MINUTES_A_DAY = 24 * 60;

/**
 * The absolute difference, to the minute below a day and to the hour above.
 *
 * @example formatClockDifference(-7_260_000) // "2 h 1 min"
 */
export function formatClockDifference(differenceMs: number): string {
  const minutes = Math.round(Math.abs(differenceMs) / MINUTE_MS);
  if (minutes === 0) return "less than a minute";
  const hours = Math.floor((minutes % MINUTES_A_DAY) / 60);
  const parts = [
    { count: Math.floor(minutes / MINUTES_A_DAY), unit: "d" },
    { count: hours, unit: "h" },
    { count: minutes < MINUTES_A_DAY ? minutes % 60 : 0, unit: "min" },
  ];
  return parts.flatMap(({ count, unit }) => (count === 0 ? [] : [`${count} ${unit}`])).join(" ");
}
