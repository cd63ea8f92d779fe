import assert from "node:assert/strict";
import { test } from "node:test";
import { errnoOf } from "../../../src/net/errno.ts";

test("an error of the system has its name; anything else has none", () => {
  assert.equal(errnoOf(Object.assign(new Error("no space left"), { code: "ENOSPC" })), "ENOSPC");
  for (const other of [new Error("ENOSPC"), { code: "ENOSPC" }, "ENOSPC", undefined, null]) {
    assert.equal(errnoOf(other), undefined);
  }
  assert.equal(errnoOf(Object.assign(new Error("odd"), { code: 28 })), undefined);
});
