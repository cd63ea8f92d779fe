// Runs work that nobody awaits: its failure is logged, and never ends the process.
import type { Logger } from "pino";

/** @param what the work, as the log names it when it fails */
export function runInBackground(log: Logger, what: string, work: Promise<unknown>): void {
  work.catch((error: unknown) => log.error({ err: error }, `${what} failed`));
}
