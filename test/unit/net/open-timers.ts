// Which timers of setTimeout and setInterval are open: set, and neither cleared nor, for setTimeout, run.
import type { TestContext } from "node:test";

/** Watches the timers that are set from now on until the test ends. */
export function watchTimers(t: TestContext): { readonly open: ReadonlySet<unknown> } {
  const open = new Set<unknown>();
  const { setTimeout, setInterval, clearTimeout, clearInterval } = globalThis;
  t.mock.method(globalThis, "setTimeout", (work: () => void, delayMs?: number) => {
    const timer = setTimeout(() => {
      open.delete(timer);
      work();
    }, delayMs);
    open.add(timer);
    return timer;
  });
  t.mock.method(globalThis, "setInterval", (work: () => void, intervalMs?: number) => {
    const timer = setInterval(work, intervalMs);
    open.add(timer);
    return timer;
  });
  t.mock.method(globalThis, "clearTimeout", (timer?: NodeJS.Timeout) => {
    open.delete(timer);
    clearTimeout(timer);
  });
  t.mock.method(globalThis, "clearInterval", (timer?: NodeJS.Timeout) => {
    open.delete(timer);
    clearInterval(timer);
  });
  return { open };
}
