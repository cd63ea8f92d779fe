// When the page tries to reach the daemon again: soon at first, then every 5 seconds: it is on this machine, so asking costs nothing.

const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 5_000;

/** @param failures attempts in a row that failed, at least 1 */
export function retryDelayMs(failures: number): number {
  return Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (failures - 1));
}
