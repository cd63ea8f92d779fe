// Many jobs beside each other, or one alone.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SharedGate } from "../../../src/storage/shared-gate.ts";

/** Jobs that end when they are told to, and what was running at each moment. */
function jobs(gate: SharedGate) {
  const running: string[] = [];
  const ends = new Map<string, () => void>();
  const job = (name: string) => async () => {
    running.push(name);
    await new Promise<void>((resolve) => ends.set(name, resolve));
    running.splice(running.indexOf(name), 1);
    return name;
  };
  return {
    running,
    together: (name: string) => gate.together(job(name)),
    alone: (name: string) => gate.alone(job(name)),
    end: async (name: string) => {
      ends.get(name)?.();
      await settled();
    },
  };
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

test("jobs run beside each other; one alone waits for them, and later ones wait for it", async () => {
  const { running, together, alone, end } = jobs(new SharedGate());
  const results = [together("a"), together("b"), alone("alone"), together("c")];
  await settled();
  assert.deepEqual(running, ["a", "b"]);
  await end("a");
  assert.deepEqual(running, ["b"]);
  await end("b");
  assert.deepEqual(running, ["alone"]);
  await end("alone");
  assert.deepEqual(running, ["c"]);
  await end("c");
  assert.deepEqual(await Promise.all(results), ["a", "b", "alone", "c"]);
});

test("two that want to be alone have their turns one after the other", async () => {
  const { running, alone, together, end } = jobs(new SharedGate());
  const results = [alone("first"), alone("second"), together("third")];
  await settled();
  assert.deepEqual(running, ["first"]);
  await end("first");
  assert.equal(running.length, 1);
  for (let ended = 0; ended < 2; ended++) {
    assert.equal(running.length, 1);
    await end(running[0] ?? "");
  }
  assert.deepEqual(await Promise.all(results), ["first", "second", "third"]);
});

test("a job that fails lets the next one in", async () => {
  const gate = new SharedGate();
  const failing = async () => {
    throw new Error("made to fail");
  };
  await assert.rejects(gate.alone(failing), { message: "made to fail" });
  await assert.rejects(gate.together(failing), { message: "made to fail" });
  assert.equal(await gate.alone(async () => "next"), "next");
  assert.equal(await gate.together(async () => "last"), "last");
});
