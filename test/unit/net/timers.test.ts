import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { until, within } from "../../../harness/within.ts";
import { every, forEachGuarded, later, onTimerFault, reportFault, soon } from "../../../src/net/timers.ts";

const SOON_MS = 5_000;
const ROOT = join(import.meta.dirname, "../../..");

function faultsOf(t: TestContext): string[] {
  const faults: string[] = [];
  t.after(onTimerFault((error, where) => void faults.push(`${where}: ${String(error)}`)));
  return faults;
}

test("work that throws or rejects is reported with its place, and a repeating timer continues", async (t) => {
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
  await within(done.promise, () => `three runs of a timer that fails; there were ${runs}`, SOON_MS);
  clearInterval(repeating);
  await until(
    () =>
      faults.some((fault) => fault.startsWith("once")) && faults.some((fault) => fault.startsWith("at once")),
    () => `three kinds of faults; there are ${faults}`,
    SOON_MS,
  );
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

test("a timer runs once, or again and again, when its time has come", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  const runs = { once: 0, again: 0 };
  later("once", 50, () => runs.once++);
  const repeating = every("again", 20, () => runs.again++);
  t.mock.timers.tick(19);
  assert.deepEqual(runs, { once: 0, again: 0 });
  t.mock.timers.tick(30);
  assert.deepEqual(runs, { once: 0, again: 2 });
  t.mock.timers.tick(100);
  assert.deepEqual(runs, { once: 1, again: 7 });
  clearInterval(repeating);
});

test("a removed listener gets no failure, and a failure without a listener is a warning", (t) => {
  const faults: string[] = [];
  const end = onTimerFault((error, where) => void faults.push(`${where}: ${String(error)}`));
  reportFault(new Error("first"), "work");
  end();
  const emitted = t.mock.method(process, "emitWarning", () => undefined);
  reportFault(new Error("second"), "work");
  assert.deepEqual(faults, ["work: Error: first"]);
  assert.deepEqual(
    emitted.mock.calls.map(({ arguments: [said] }) => said),
    ["work failed: Error: second"],
  );
});

test("no timer in the sources is bare: each has a guard", () => {
  const bare: string[] = [];
  for (const file of globSync("src/**/*.ts", { cwd: ROOT })) {
    if (file === join("src", "net", "timers.ts")) continue;
    const text = readFileSync(join(ROOT, file), "utf8");
    for (const { index } of text.matchAll(/(?<![.\w])set(?:Timeout|Interval|Immediate)\(/g)) {
      const call = text.slice(index, index + 60);
      // A promise's own function does not fail, and without arguments it is that of node:timers/promises.
      if (/^set\w+\((?:resolve\b|\))/.test(call)) continue;
      if (!/^set\w+\(\s*(?:this\.#(?:options\.)?)?guard\(|^set\w+\(\s*this\.#options\.guard\(/.test(call))
        bare.push(`${file}: ${call.split("\n")[0]}`);
    }
    // A promise that nobody waits for ends the process when it is rejected.
    if (/\bvoid this\.#slices\.run\(/.test(text)) bare.push(`${file}: void this.#slices.run(`);
  }
  assert.deepEqual(bare, []);
});
