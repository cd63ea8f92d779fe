// Waiting in tests: for an event, or until something holds, and no longer than a deadline, whose error says what did not happen.

/** Longest that anything which a test waits for may take on a slow machine. */
export const PATIENCE_MS = 30_000;
/** Between two looks at what has no event. */
const POLL_MS = 20;
/** Taken here, since a test may put a clock of its own in their place. */
const { setTimeout: startTimer, clearTimeout: stopTimer } = globalThis;

/** Waits no longer than that; then fails, and says for what. */
export async function within<T>(
  promise: Promise<T>,
  awaited: string | (() => string),
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = startTimer(() => reject(waitedInVain(awaited, patienceMs)), patienceMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    stopTimer(timer);
  }
}

/** Waits until that holds, for what tells of itself by no event. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  awaited: string | (() => string),
  patienceMs = PATIENCE_MS,
): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw waitedInVain(awaited, patienceMs);
    await new Promise<void>((resolve) => startTimer(resolve, POLL_MS));
  }
}

function waitedInVain(awaited: string | (() => string), patienceMs: number): Error {
  return new Error(
    `Waited ${patienceMs} ms in vain for ${typeof awaited === "string" ? awaited : awaited()}`,
  );
}
