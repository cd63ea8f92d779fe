// docs/operations.md and the tracker say the same: metrics, limits, what /health has, what the console can.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Metrics } from "../../../src/tracker/server/metrics.ts";
import { DEFAULT_TRACKER_LIMITS } from "../../../src/tracker/tracker-limits.ts";

const ROOT = join(import.meta.dirname, "../../..");
const docs = readFileSync(join(ROOT, "docs/operations.md"), "utf8");

/** The cells of the table below that heading. */
function tableBelow(heading: string): string[][] {
  const section = docs.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("|"));
  return rows.slice(2).map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

test("the table of metrics has every metric with its kind, and no other", async () => {
  const none = () => 0;
  const metrics = new Metrics({
    clientsConnected: none,
    linksConnected: none,
    lagRecords: none,
    lagSeconds: none,
    cannotWrite: none,
  });
  const exposed = [...(await metrics.expose()).matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, kind]) => [
    name,
    kind,
  ]);
  const documented = tableBelow("Metrics").map(([name, kind]) => [name?.replaceAll("`", ""), kind]);
  assert.ok(exposed.length > 0);
  assert.deepEqual(documented.sort(), exposed.sort());
});

test("the table of limits has every limit with what it is, and no other", () => {
  const documented = tableBelow("Limits").map(([name, now]) => [
    name?.replaceAll("`", ""),
    Number(now?.replaceAll(",", "")),
  ]);
  assert.deepEqual(Object.fromEntries(documented), DEFAULT_TRACKER_LIMITS);
});

test("the fields of /health are those that a tracker gives of itself and of a link", () => {
  const source = readFileSync(join(ROOT, "src/tracker/tracker.ts"), "utf8");
  const health = source.split("#health(): unknown {")[1]?.split("};")[0] ?? "";
  const given = [...health.matchAll(/^ {6}(\w+)/gm)].map(([, name]) => name);
  const link = source.split("export interface TrackerLinkStatus {")[1]?.split("\n}")[0] ?? "";
  const ofLink = [...link.matchAll(/readonly (\w+)/g)].map(([, name]) => name);
  const example = JSON.parse(/```json\n([\s\S]*?)```/.exec(docs)?.[1] ?? "");
  assert.deepEqual(Object.keys(example).sort(), given.sort());
  assert.deepEqual(Object.keys(example.links[0]).sort(), ofLink.sort());
});

test("every line that a tracker logs stands in the docs, up to its first colon or semicolon", () => {
  const messages = new Set<string>();
  for (const entry of readdirSync(join(ROOT, "src/tracker"), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const text = readFileSync(join(entry.parentPath, entry.name), "utf8");
    const logged = /[lL]og(?:\.(?:info|warn|error|debug)|\[[^\]]*\])\(\s*\{[^}]*\},\s*"([^"]+)"/g;
    for (const [, message = ""] of text.matchAll(logged)) messages.add(message.replace(/[:;].*$/, ""));
  }
  assert.ok(messages.size > 10);
  assert.deepEqual(
    [...messages].filter((message) => !docs.includes(`\`${message}`)),
    [],
  );
});
