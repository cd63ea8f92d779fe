import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { every, forEachGuarded, later, onTimerFault, soon } from "../../../src/net/timers.ts";

const ROOT = join(import.meta.dirname, "../../..");

function faultsOf(t: TestContext): string[] {
  const faults: string[] = [];
  t.after(onTimerFault((error, where) => void faults.push(`${where}: ${String(error)}`)));
  return faults;
}

test("work that throws or rejects is reported with its place, and a timer that repeats itself goes on", async (t) => {
  const faults = faultsOf(t);
  let runs = 0;
  const done = Promise.withResolvers<void>();
  const repeating = every("the beat", 1, () => {
    if (++runs === 3) done.resolve();
    throw new Error(`run ${runs}`);
  });
  later("once", 1, async () => {
    throw new Error("late");
  });
  soon("at once", () => {
    throw new Error("now");
  });
  await done.promise;
  clearInterval(repeating);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(faults.filter((fault) => fault.startsWith("the beat")).slice(0, 3), [
    "the beat: Error: run 1",
    "the beat: Error: run 2",
    "the beat: Error: run 3",
  ]);
  assert.ok(faults.includes("once: Error: late"));
  assert.ok(faults.includes("at once: Error: now"));
});

test("a failure for one keeps the work from none of the others, and a failing listener from no other listener", (t) => {
  t.after(
    onTimerFault(() => {
      throw new Error("the log is full");
    }),
  );
  const faults = faultsOf(t);
  const done: number[] = [];
  forEachGuarded("each", [1, 2, 3], (number) => {
    if (number === 2) throw new Error("two");
    done.push(number);
  });
  assert.deepEqual(done, [1, 3]);
  assert.deepEqual(faults, ["each: Error: two"]);
});

test("no timer in the sources is bare: each has a guard", () => {
  const bare: string[] = [];
  for (const file of globSync("src/**/*.ts", { cwd: ROOT })) {
    if (file === join("src", "net", "timers.ts")) continue;
    const text = readFileSync(join(ROOT, file), "utf8");
    for (const { index } of text.matchAll(/(?<![.\w])set(?:Timeout|Interval|Immediate)\(/g)) {
      const call = text.slice(index, index + 60);
      if (!/^set\w+\(\s*(?:this\.#(?:options\.)?)?guard\(|^set\w+\(\s*this\.#options\.guard\(/.test(call))
        bare.push(`${file}: ${call.split("\n")[0]}`);
    }
    // A promise that nobody waits for ends the process when it is rejected.
    if (/\bvoid this\.#slices\.run\(/.test(text)) bare.push(`${file}: void this.#slices.run(`);
  }
  assert.deepEqual(bare, []);
});
