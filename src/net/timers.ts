// Timers and background work whose failure cannot end the process: listeners get each exception and rejection, to count and log
// it. A repeating timer continues after a failure. Within one connection use its guard instead (connection-guard.ts), which
// also closes the connection.
import { guardOf } from "./connection-guard.ts";

/** Time for code that decides: the real one, or a virtual one in tests. */
export interface Clock {
  /** Milliseconds on a monotonic clock with an unspecified start, for durations only. */
  nowMs(): number;
  /** @returns cancels the timer */
  setTimer(delayMs: number, callback: () => void): () => void;
}

type FaultListener = (error: unknown, where: string) => void;

const listeners = new Set<FaultListener>();

/**
 * Calls the listener with each failure in this process.
 *
 * @returns removes the listener
 */
export function onTimerFault(listener: FaultListener): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** Reports the failure of work that nobody awaits. @param where names it in the log */
export function reportFault(error: unknown, where: string): void {
  if (listeners.size === 0) process.emitWarning(`${where} failed: ${String(error)}`);
  for (const listener of listeners) {
    try {
      listener(error, where);
    } catch {
      // There is no other way to report it.
    }
  }
}

const guard = guardOf(reportFault);

/** As `setTimeout`. */
export function later(where: string, delayMs: number, work: () => unknown): NodeJS.Timeout {
  return setTimeout(guard(where, work), delayMs);
}

/** As `setInterval`. */
export function every(where: string, intervalMs: number, work: () => unknown): NodeJS.Timeout {
  return setInterval(guard(where, work), intervalMs);
}

/** As `setImmediate`. */
export function soon(where: string, work: () => unknown): NodeJS.Immediate {
  return setImmediate(guard(where, work));
}

/** Does the work for each item; a failure is reported, and the others still get theirs. */
export function forEachGuarded<T>(where: string, all: Iterable<T>, work: (one: T) => void): void {
  for (const one of all) guard(where, work)(one);
}
