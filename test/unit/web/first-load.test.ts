import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { type BuiltChunk, firstLoadBytes } from "../../../web/build/first-load.ts";

/** Of random bytes, so that its size compressed is known. */
const chunk = (name: string, bytes: number, more: Partial<BuiltChunk> = {}): [string, BuiltChunk] => [
  name,
  { name, content: randomBytes(bytes), isEntry: false, imports: [], styles: [], ...more },
];

test("the first load is the document, the entry, what it imports, and their styles, each once", () => {
  const chunks = new Map([
    chunk("entry", 10_000, { isEntry: true, imports: ["shared", "kit"], styles: ["base.css"] }),
    chunk("kit", 20_000, { imports: ["shared", "entry"], styles: ["base.css"] }),
    chunk("shared", 5_000),
    chunk("view fetched later", 500_000, { styles: ["view.css"] }),
  ]);
  const assets = new Map([
    ["base.css", randomBytes(3_000)],
    ["view.css", randomBytes(90_000)],
  ]);
  const bytes = firstLoadBytes("<html>", chunks, assets);
  assert.ok(bytes > 38_000 && bytes < 38_500, `${bytes}`);
});
