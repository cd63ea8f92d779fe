// Timers, and work that nobody waits for, whose failure cannot end the process: an exception or a rejection is given to whoever
// counts and logs it. A timer that repeats itself goes on. Within one connection use its guard instead (connection-guard.ts),
// which also closes the connection.
import { guardOf } from "./connection-guard.ts";

type FaultListener = (error: unknown, where: string) => void;

const listeners = new Set<FaultListener>();

/**
 * Hears of each failure in this process.
 *
 * @returns ends it
 */
export function onTimerFault(listener: FaultListener): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** Reports the failure of work that nobody waits for. @param where names it in the log */
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

/** Does the work for each of them; a failure is reported, and keeps it from none of the others. */
export function forEachGuarded<T>(where: string, all: Iterable<T>, work: (one: T) => void): void {
  for (const one of all) guard(where, work)(one);
}
