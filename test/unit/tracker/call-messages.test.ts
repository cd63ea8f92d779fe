// What a message may make the tracker do before any of its calls has a turn: little, whatever stands in it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { announceSchema, listOf, userIdSchema } from "../../../src/api/schemas.ts";
import { readCalls } from "../../../src/tracker/call-messages.ts";

const call = { id: 1, method: "query", params: { path: "groups.mine", input: {} } };
const withInput = (input: string) => `{"id":1,"method":"query","params":{"path":"a","input":${input}}}`;

test("one call and several are read, with brackets and quotes in their texts", () => {
  assert.deepEqual(readCalls(JSON.stringify(call)), [call]);
  const odd = { ...call, params: { path: '[[[{{{"\\"::::,,,,\\', input: "[".repeat(1_000) } };
  assert.deepEqual(readCalls(JSON.stringify([call, odd])), [call, odd]);
});

test("a message with more than any call has is refused before it is parsed", () => {
  const messages = [
    "[".repeat(500_000),
    '{"a":'.repeat(100_000),
    withInput(`[${"0,".repeat(500_000)}0]`),
    withInput(`[${"{},".repeat(150_000)}0]`),
    withInput(`{${Array.from({ length: 1_000 }, (_, at) => `"k${at}":[]`).join()}}`),
  ];
  for (const text of messages) assert.throws(() => readCalls(text), { code: "LIMIT_REACHED" });
  assert.throws(() => readCalls(JSON.stringify(Array(20_000).fill(call))), { code: "LIMIT_REACHED" });
});

test("of many bad elements only the first is put into words", () => {
  const textOf = (read: () => unknown): string => {
    try {
      read();
    } catch (error) {
      return String(error);
    }
    return assert.fail("it was read");
  };
  const zeros = (count: number): number[] => new Array<number>(count).fill(0);
  assert.ok(textOf(() => readCalls(JSON.stringify(zeros(900)))).length < 1_000);
  assert.ok(textOf(() => announceSchema.parse({ listenPort: 1, torrents: zeros(90_000) })).length < 1_000);
  const list = listOf(userIdSchema, 3);
  assert.match(
    textOf(() => list.parse(["alice", "", "b"])),
    /"path": \[\s*1\s*\]/,
  );
  assert.match(
    textOf(() => list.parse(["a", "b", "c", "d"])),
    /more than 3/,
  );
  assert.deepEqual(list.parse(["a", "b"]), ["a", "b"]);
});
