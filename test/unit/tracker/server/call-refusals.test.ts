// What a client is told about a call that failed: numbers, code, sentence.
import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { MiniTorrentError } from "../../../../src/api/errors.ts";
import { refusalOf, UnknownProcedure } from "../../../../src/tracker/server/call-refusals.ts";
import { MalformedInput } from "../../../../src/tracker/server/procedure-builder.ts";

function told(error: unknown, isRead = true) {
  const { code, message, data } = refusalOf(error, isRead);
  return [code, data.code, data.httpStatus, data.minitorrentCode, message];
}

const badForm = z.object({ groupId: z.string("must be text") }).safeParse({ groupId: 7 }).error;
assert.ok(badForm);
const full = new MiniTorrentError("LIMIT_REACHED", "It is full.");

test("a refusal has the numbers of JSON-RPC and HTTP, our code and a sentence", () => {
  assert.deepEqual(told(full), [-32_603, "INTERNAL_SERVER_ERROR", 500, "LIMIT_REACHED", "It is full."]);
  assert.deepEqual(told(new MalformedInput(badForm)), [
    ...[-32_600, "BAD_REQUEST", 400],
    ...["INVALID_ARGUMENT", "groupId is refused: must be text."],
  ]);
  const unknown = new UnknownProcedure("There is no such call.");
  assert.deepEqual(told(unknown), [
    ...[-32_004, "NOT_FOUND", 404],
    ...["INVALID_ARGUMENT", "There is no such call."],
  ]);
});

test("a client is told why its message cannot be read", () => {
  assert.deepEqual(told(full, false), [-32_700, "PARSE_ERROR", 400, "LIMIT_REACHED", "It is full."]);
  const notJson = new SyntaxError("Unexpected end of JSON input");
  assert.deepEqual(told(notJson, false).slice(3), ["INVALID_ARGUMENT", "Unexpected end of JSON input"]);
  assert.deepEqual(told(badForm, false).slice(3), ["INVALID_ARGUMENT", "groupId is refused: must be text."]);
});

test("a client is told nothing of a tracker's fault but that the log says more", () => {
  // A ZodError that is no input's comes from what the tracker itself read, such as a row.
  for (const fault of [new TypeError("secret of the tracker"), "a string", badForm]) {
    assert.deepEqual(told(fault).slice(3), [
      "INTERNAL",
      "Something went wrong inside the tracker; its log says more.",
    ]);
  }
});

test("a refusal that waiting resolves says for how long, others have no such field", () => {
  const busy = new MiniTorrentError("TRACKER_BUSY", "Later.", { retryAfterMs: 250 });
  assert.equal(refusalOf(busy, true).data.retryAfterMs, 250);
  assert.equal("retryAfterMs" in refusalOf(full, true).data, false);
});
