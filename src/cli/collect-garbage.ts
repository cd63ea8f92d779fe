// A full garbage collection on request. V8 gives memory back only after one, and an idle process never runs one by itself.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Collect = (options: { type: "major"; flavor: "last-resort" }) => void;

/** Takes some 50 ms: for a process that has nothing to do. */
export function collectGarbage(): void {
  // The flag is off again at once: compiled code that is kept on disk is valid only for the same flags.
  setFlagsFromString("--expose-gc");
  try {
    const collect = runInNewContext("gc") as Collect;
    // Only this flavor also shrinks the heap to what is used.
    collect({ type: "major", flavor: "last-resort" });
  } finally {
    setFlagsFromString("--no-expose-gc");
  }
}
