// What a procedure does before its own work, and how it is found.
import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { MalformedInput, procedure, proceduresOf } from "../../../../src/tracker/server/procedure-builder.ts";

interface Caller {
  readonly name?: string;
}

const named = procedure(({ name }: Caller) => {
  if (name === undefined) throw new Error("nobody is logged in");
  return { name };
});
const greet = named
  .input(z.object({ times: z.int().default(1) }))
  .query(({ ctx, input }) => ctx.name.repeat(input.times));

test("a procedure gets what its caller is, and its input as the schema gives it", async () => {
  assert.equal(greet.kind, "query");
  assert.equal(await greet.run({ name: "ab" }, { times: 2, more: "ignored" }), "abab");
  assert.equal(await greet.run({ name: "ab" }, {}), "ab");
});

test("a caller that may not call learns nothing about the form of the input", async () => {
  await assert.rejects(greet.run({}, { times: "many" }), /nobody is logged in/);
  await assert.rejects(greet.run({ name: "ab" }, { times: "many" }), MalformedInput);
});

test("a procedure without a schema ignores whatever comes as input", async () => {
  const given = named.mutation(({ input }) => [input]);
  for (const input of [undefined, null, { a: 1 }]) {
    assert.deepEqual(await given.run({ name: "ab" }, input), [undefined]);
  }
});

test("procedures are found by their whole path only, and no inherited name is one", () => {
  const all = proceduresOf({ greetings: { greet }, greet });
  assert.deepEqual([...all.keys()], ["greetings.greet", "greet"]);
  assert.equal(all.get("greetings.greet"), greet);
  for (const path of ["greetings", "constructor", "__proto__", "greet.run"]) {
    assert.equal(all.get(path), undefined, path);
  }
});
