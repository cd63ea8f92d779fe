// What a message may make the tracker do before any of its calls has a turn: little, whatever stands in it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_API_MESSAGE_BYTES } from "../../../../src/api/file-limits.ts";
import { unpackTorrents } from "../../../../src/api/packed-torrents.ts";
import { announceSchema, listOf, userIdSchema } from "../../../../src/api/schemas.ts";
import { readCalls } from "../../../../src/tracker/server/call-messages.ts";

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

test("only the first of many bad elements is put into words", () => {
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
  const packed = { listenPort: 1, seeding: "g".repeat(3_000_000), downloading: "" };
  assert.ok(textOf(() => announceSchema.parse(packed)).length < 1_000);
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

test("an announcement is read a few torrents at a time, and only its form is looked at before", () => {
  const hashes = Array.from({ length: 100_000 }, (_, at) => at.toString(16).padStart(40, "a"));
  const text = JSON.stringify({ ...call, params: { path: "a", input: { seeding: hashes.join("") } } });
  const list = JSON.stringify({ ...call, params: { path: "a", input: hashes.slice(0, 20_000) } });
  assert.equal(readCalls(text).length, 1);
  assert.throws(() => readCalls(list), { code: "LIMIT_REACHED" });
  const announcement = announceSchema.parse({
    listenPort: 1,
    seeding: hashes.join(""),
    downloading: hashes[0],
  });
  const torrents = unpackTorrents(announcement);
  assert.deepEqual([...torrents].slice(99_998), [
    { infoHash: hashes[99_998], isSeed: true },
    { infoHash: hashes[99_999], isSeed: true },
    { infoHash: hashes[0], isSeed: false },
  ]);
  assert.equal([...torrents].length, 100_001, "and can be read again");
  for (const seeding of ["a".repeat(39), "A".repeat(40), "a".repeat(41), `${"a".repeat(39)}\n`, 1]) {
    assert.throws(() => announceSchema.parse({ listenPort: 1, seeding, downloading: "" }), String(seeding));
  }
  const tooMany = "a".repeat(100_001 * 40);
  assert.throws(() => announceSchema.parse({ listenPort: 1, seeding: tooMany, downloading: "" }), /100000/);
});

test("each bound of a message lets through what is at it, and names itself beyond it", () => {
  const nested = (levels: number) => withInput("[".repeat(levels) + "]".repeat(levels));
  const refused = (text: string, message: RegExp) =>
    assert.throws(() => readCalls(text), { code: "LIMIT_REACHED", message });
  assert.equal(readCalls(nested(30)).length, 1);
  refused(nested(31), /32 levels/);
  const fields = (count: number) =>
    withInput(`{${Array.from({ length: count }, (_, at) => `"k${at}":0`).join()}}`);
  assert.equal(readCalls(fields(16)).length, 1);
  refused(fields(17), /16 fields/);
  const small = { id: 1, method: "subscription.stop" };
  assert.equal(readCalls(JSON.stringify(Array(1_000).fill(small))).length, 1_000);
  refused(JSON.stringify(Array(1_001).fill(small)), /1000 calls; this one has 1001/);
  assert.equal(readCalls(withInput(`[${"0,".repeat(9_900)}0]`)).length, 1);
  refused(withInput(`[${"0,".repeat(10_000)}0]`), /10000 values/);
  refused("{}".repeat(10_001), /10000 values/);
  refused(`"${"x".repeat(MAX_API_MESSAGE_BYTES)}"`, /bytes/);
  refused(`${"]".repeat(100)}${"[".repeat(33)}`, /32 levels/);
  const withId = (length: number) => JSON.stringify({ ...small, id: "x".repeat(length) });
  assert.equal(readCalls(withId(64)).length, 1);
  assert.throws(() => readCalls(withId(65)));
  assert.throws(() => readCalls(undefined), { code: "INVALID_ARGUMENT" });
});

test("characters in a string do not count, also after an escaped quote, and an unfinished string ends the message", () => {
  const path = `"${"[".repeat(100)}\\"${"{".repeat(100)}`;
  const quoted = { ...call, params: { path, input: "" } };
  assert.deepEqual(readCalls(JSON.stringify(quoted)), [quoted]);
  assert.throws(() => readCalls(`"${"[".repeat(100_000)}`), SyntaxError);
});
