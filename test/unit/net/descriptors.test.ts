// How what the system lets a process open is divided.
import assert from "node:assert/strict";
import { test } from "node:test";
import { descriptorLimit, descriptorProblem, divideDescriptors } from "../../../src/net/descriptors.ts";

test("whatever the limit, files and connections fit in with what is always open", () => {
  for (const limit of [68, 80, 100, 256, 1_024, 20_000, 1_048_576]) {
    const { files, connections } = divideDescriptors(limit);
    assert.ok(2 * files + connections <= limit - 50, `${limit}`);
    assert.ok(files >= 4 && connections >= 8, `${limit}`);
  }
});

test("a limit with which a client cannot work is refused, with what is needed", () => {
  assert.throws(() => divideDescriptors(60), {
    code: "LIMIT_REACHED",
    message: / 60 .*needs 68.*`ulimit -n /,
  });
});

test("this process has a limit, and an error that says it is reached names what to do", () => {
  assert.ok(descriptorLimit() >= 68);
  assert.match(String(descriptorProblem(Object.assign(new Error(), { code: "EMFILE" }))), /`ulimit -n /);
  assert.match(String(descriptorProblem(Object.assign(new Error(), { code: "ENFILE" }))), /close programs/);
  assert.equal(descriptorProblem(new Error("EMFILE")), undefined);
});
