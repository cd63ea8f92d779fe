// Several of many jobs at a time, so that all disk threads stay busy.

/** One that runs and one that waits for each of two workers. */
const LANES = 4;

/**
 * Uses all items, a few at a time, in their order.
 *
 * @throws what the first use that failed threw, when nothing runs any more
 */
export async function inLanes<T>(items: Iterable<T>, use: (item: T) => Promise<void>): Promise<void> {
  const remaining = items[Symbol.iterator]();
  let hasFailed = false;
  const lane = async (): Promise<void> => {
    for (let next = remaining.next(); !next.done && !hasFailed; next = remaining.next()) {
      try {
        await use(next.value);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  const lanes = Array.from({ length: LANES }, lane);
  await Promise.allSettled(lanes);
  await Promise.all(lanes);
}
