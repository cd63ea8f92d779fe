import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { asMiniTorrentError, errorCodes, isErrorCode, MiniTorrentError } from "../../../src/api/errors.ts";

const ROOT = join(import.meta.dirname, "../../..");

/** Every code that the source names where it makes an error, or compares one. */
function codesInSource(): Set<string> {
  const found = new Set<string>();
  for (const entry of readdirSync(join(ROOT, "src"), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name === "errors.ts") continue;
    const text = readFileSync(join(entry.parentPath, entry.name), "utf8");
    for (const [, code] of text.matchAll(/"([A-Z]+(?:_[A-Z]+)+|USAGE|INTERNAL)"/g)) {
      if (isErrorCode(code)) found.add(code);
    }
  }
  return found;
}

test("every error code is used by the source: the registry has no dead entries", () => {
  const used = codesInSource();
  assert.deepEqual(
    Object.keys(errorCodes).filter((code) => !used.has(code)),
    [],
  );
});

test("docs/protocol.md explains every error code, and no other", () => {
  const text = readFileSync(join(ROOT, "docs/protocol.md"), "utf8");
  const documented = [...text.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code]) => code);
  assert.deepEqual(documented.sort(), Object.keys(errorCodes).sort());
});

test("an error that is not ours becomes INTERNAL, with itself as the cause", () => {
  const cause = new TypeError("broken");
  const error = asMiniTorrentError(cause);
  assert.equal(error.code, "INTERNAL");
  assert.equal(error.cause, cause);
  const own = new MiniTorrentError("USAGE", "What?");
  assert.equal(asMiniTorrentError(own), own);
  assert.ok(!isErrorCode("toString"));
});

test("an error has its sentence, its cause, and how long to wait where waiting helps", () => {
  const cause = new Error("why");
  const error = new MiniTorrentError("TRACKER_BUSY", "Wait.", { cause, retryAfterMs: 500 });
  assert.deepEqual(
    [error.name, error.code, error.message, error.cause, error.retryAfterMs],
    ["MiniTorrentError", "TRACKER_BUSY", "Wait.", cause, 500],
  );
  assert.equal(new MiniTorrentError("USAGE", "What?").retryAfterMs, undefined);
  assert.equal(asMiniTorrentError("text").message, "Something went wrong inside: text");
  assert.ok(isErrorCode("USAGE") && !isErrorCode(7) && !isErrorCode(undefined));
});
