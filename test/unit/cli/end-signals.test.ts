import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { onEndSignals, programEnd } from "../../../src/cli/end-signals.ts";

function program(hasNothingToLose?: () => boolean) {
  const ending = new AbortController();
  const exits: number[] = [];
  const source = new EventEmitter();
  const exit = (code: number): void => void exits.push(code);
  const end = programEnd({ ending, exit, ...(hasNothingToLose && { hasNothingToLose }) });
  onEndSignals(source, end);
  return { ending, exits, source, end };
}

test("the first signal ends a program in good order, the second at once, whichever they are", () => {
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const first of signals) {
    for (const second of signals) {
      const { ending, exits, source } = program();
      source.emit(first);
      assert.deepEqual([ending.signal.aborted, exits], [true, []], first);
      source.emit(second);
      assert.deepEqual(exits, [130], `${first}, ${second}`);
    }
  }
});

test("Ctrl-C at the prompt after a signal ends at once, too", () => {
  const { exits, source, end } = program();
  source.emit("SIGTERM");
  end();
  assert.deepEqual(exits, [130]);
});

test("a program that has nothing to lose ends at the first signal, and in good order once it has", () => {
  let isStarting = true;
  const { ending, exits, end } = program(() => isStarting);
  end();
  assert.deepEqual([ending.signal.aborted, exits], [false, [0]]);
  isStarting = false;
  end();
  assert.deepEqual([ending.signal.aborted, exits], [true, [0]]);
});
