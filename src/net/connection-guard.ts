// Confines a failure to its connection: every handler of the connection (events, timers, callbacks and their promises) runs
// through its guard, and an exception closes that connection. A process-wide handler could not, since it does not know which
// connection failed.

/** Wraps a handler so that it never throws. `where` names it in the log. */
export type Guard = <A extends readonly unknown[]>(
  where: string,
  handler: (...given: A) => unknown,
) => (...given: A) => void;

/**
 * Creates the guard of one connection.
 *
 * @param onFault closes the connection, then counts and logs; its own exceptions are dropped
 */
export function guardOf(onFault: (error: unknown, where: string) => void): Guard {
  const fail = (error: unknown, where: string): void => {
    try {
      onFault(error, where);
    } catch {
      // Every `onFault` closes first, so what failed is the report, and there is no other way to report it.
    }
  };
  return (where, handler) =>
    (...given) => {
      try {
        const result = handler(...given);
        if (result instanceof Promise) result.catch((error: unknown) => fail(error, where));
      } catch (error) {
        fail(error, where);
      }
    };
}
