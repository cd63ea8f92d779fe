// How a program is ended: by a signal of the system or Ctrl-C at its prompt. The first one shuts it down cleanly, the
// second one at once.

/** As a shell reports a process that Ctrl-C ended: 128 + SIGINT. */
export const EXIT_FORCED = 130;
const END_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface EndOptions {
  /** Aborted the first time. */
  readonly ending: AbortController;
  /** Ends the process at once. */
  readonly exit: (code: number) => void;
  /** True while nothing would be lost by an end at once: then the first time is enough. */
  readonly hasNothingToLose?: () => boolean;
}

/** The source of signals: the process. */
export interface SignalSource {
  on(signal: (typeof END_SIGNALS)[number], listener: () => void): unknown;
}

/** What tells the program to end: called once it ends in good order, called again it ends at once. */
export function programEnd({ ending, exit, hasNothingToLose = () => false }: EndOptions): () => void {
  return () => {
    if (ending.signal.aborted) exit(EXIT_FORCED);
    else if (hasNothingToLose()) exit(0);
    else ending.abort();
  };
}

export function onEndSignals(source: SignalSource, end: () => void): void {
  for (const name of END_SIGNALS) source.on(name, end);
}
