// Keeps the trouble of one connection from everybody else: each of its handlers (events, timers, callbacks and the promises
// that they leave behind) runs through the connection's guard. What a handler throws ends that connection. A process-wide
// handler could not: it does not know whose fault it was.

/** Makes of a handler one that never throws. `where` names it in the log. */
export type Guard = <A extends readonly unknown[]>(
  where: string,
  handler: (...given: A) => unknown,
) => (...given: A) => void;

/**
 * The guard of one connection.
 *
 * @param onFault closes the connection, then counts and logs; what it throws itself has nobody left to be told
 */
export function guardOf(onFault: (error: unknown, where: string) => void): Guard {
  const fail = (error: unknown, where: string): void => {
    try {
      onFault(error, where);
    } catch {
      // Closing comes first in every `onFault`: what failed is the report, and there is no other.
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
