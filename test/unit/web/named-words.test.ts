import assert from "node:assert/strict";
import { test } from "node:test";
import { withNames } from "../../../web/src/state/named-words.ts";

const names = new Set(["alice", "bob.b", "dave"]);

test("names stand out at odd places, with the punctuation left outside", () => {
  assert.deepEqual(withNames("dave is offline; alice, too. Ask bob.b.", names), [
    ...["", "dave", " is offline; ", "alice", ", too. Ask ", "bob.b", "."],
  ]);
});

test("a part of a path, an address or a word is no name", () => {
  for (const text of ["/home/alice/file changed.", "alice@host refuses", "daves film"])
    assert.deepEqual(withNames(text, names), [text]);
});
