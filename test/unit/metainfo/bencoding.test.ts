// The form of bencoding from strangers: what is one dictionary, and what is refused before the library reads it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeDictionary, isDictionary } from "../../../src/metainfo/bencoding.ts";

const read = (text: string): Record<string, unknown> => decodeDictionary(Buffer.from(text, "latin1"));
const refused = (text: string, reason: RegExp): void => {
  assert.throws(() => read(text), { code: "MALFORMED_MESSAGE", message: reason }, JSON.stringify(text));
};
const textOf = (value: unknown): string => Buffer.from(value as Uint8Array).toString();

test("a dictionary is read with its numbers, strings, lists and dictionaries", () => {
  const whole = read("d1:ai-5e1:b0:1:cli1e2:xyleee");
  assert.equal(whole.a, -5);
  assert.equal(textOf(whole.b), "");
  const { c } = whole;
  assert.ok(Array.isArray(c));
  assert.deepEqual([c[0], textOf(c[1]), c[2]], [1, "xy", []]);
  assert.deepEqual(read("de"), {});
  assert.deepEqual(read("d1:ade1:bd1:ci0eee"), { a: {}, b: { c: 0 } });
});

test("anything but exactly one dictionary is refused", () => {
  for (const text of ["", "i1e", "le", "3:abc", "e"]) refused(text, /it is no dictionary/);
  refused("dei1e", /something follows it/);
  refused("dee", /something follows it/);
  for (const text of ["d", "d1:ai1e", "d1:a"]) refused(text, /not of its form|no string/);
});

test("a key is a string, and has a value", () => {
  for (const text of ["di1ei1ee", "dlei1ee", "ddei1ee", "d1:ai1ei2ee", "d-1:ai1ee"])
    refused(text, /a key is no string/);
  for (const text of ["d1:ae", "d1:ai1e1:be"]) refused(text, /not of its form/);
});

test("a string ends within the bytes", () => {
  assert.equal(textOf(read("d1:a3:xyee").a), "xye");
  refused("d1:a3:xy", /cut off/);
  refused("d1:a99:xe", /cut off/);
  refused("d1:a2:xe", /not of its form|no string|cut off/);
});

test("a number has one to sixteen digits, and a sign if it is not a length", () => {
  assert.equal(read(`d1:ai${"1".repeat(16)}ee`).a, Number("1".repeat(16)));
  assert.equal(read(`d1:ai-${"1".repeat(15)}ee`).a, -Number("1".repeat(15)));
  for (const text of [
    `d1:ai${"1".repeat(17)}ee`,
    `d1:a${"0".repeat(16)}1:xe`,
    "d1:aiee",
    "d1:ai-ee",
    "d1:ai--1ee",
    "d1:ai1.5ee",
    "d1:ai1",
    "d1:a-1:xe",
    "d1:a1xe",
    "d1:a/:xe",
    "d1:a;:xe",
  ]) {
    refused(text, /not of its form/);
  }
});

test("sixteen levels are read, more are refused", () => {
  const nested = (levels: number): string => `d1:a${"l".repeat(levels - 1)}${"e".repeat(levels - 1)}e`;
  assert.ok(Array.isArray(read(nested(16)).a));
  refused(nested(17), /nests too deep/);
  const inDictionaries = (levels: number): string => `${"d1:a".repeat(levels)}i1e${"e".repeat(levels)}`;
  assert.ok(isDictionary(read(inDictionaries(16)).a));
  refused(inDictionaries(17), /nests too deep/);
});

test("a dictionary is no list, no bytes and not nothing", () => {
  assert.deepEqual([{}, { a: 1 }, null, undefined, [], new Uint8Array(1), "d", 1].map(isDictionary), [
    true,
    true,
    false,
    false,
    false,
    false,
    false,
    false,
  ]);
});
