import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { de } from "../../../web/src/i18n/de/all.ts";
import { en } from "../../../web/src/i18n/en/all.ts";
import { formOf, type Message, partsOf, valuesIn } from "../../../web/src/state/messages.ts";

const ROOT = join(import.meta.dirname, "../../..");

const areasOf = (catalogue: object) =>
  Object.entries(catalogue as Record<string, Record<string, Message>>).flatMap(([area, messages]) =>
    Object.entries(messages).map(([key, message]) => [`${area}.${key}`, message] as const),
  );

test("every text of the page is there in each language, with the same values in it", () => {
  const english = new Map(areasOf(en).map(([key, message]) => [key, valuesIn(message)]));
  const german = new Map(areasOf(de).map(([key, message]) => [key, valuesIn(message)]));
  assert.ok(english.size > 20);
  assert.deepEqual(german, english);
});

test("every text of the page is used in it", () => {
  const source = globSync("web/src/**/*.{ts,tsx}", { cwd: ROOT, exclude: ["web/src/i18n/{en,de}/*.ts"] })
    .map((path) => readFileSync(join(ROOT, path), "utf8"))
    .join("\n");
  // `shell.unit.${unit}`
  const beginnings = [...source.matchAll(/`((?:shell|groups|transfers)\.[\w.]*)\$\{/g)].map(
    ([, found = ""]) => found,
  );
  const isUsed = (key: string) =>
    source.includes(`"${key}"`) || beginnings.some((beginning) => key.startsWith(beginning));
  assert.deepEqual(
    areasOf(en)
      .map(([key]) => key)
      .filter((key) => !isUsed(key)),
    [],
  );
});

test("a text that counts has the form of its number", () => {
  const message = { one: "{count} file", other: "{count} files" };
  const rules = new Intl.PluralRules("en");
  assert.deepEqual(
    [0, 1, 2, undefined].map((count) => formOf(message, count, rules)),
    ["{count} files", "{count} file", "{count} files", "{count} files"],
  );
  assert.equal(formOf("one form", 1, rules), "one form");
});

test("a text falls into words and names of values by turns", () => {
  assert.deepEqual(partsOf("a {b} c {d}"), ["a ", "b", " c ", "d", ""]);
  assert.deepEqual(valuesIn({ one: "{b} {a}", other: "{a}" }), ["a", "b"]);
});
