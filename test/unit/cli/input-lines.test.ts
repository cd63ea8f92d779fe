import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeText, type InputLine, readLines } from "../../../src/cli/input-lines.ts";

async function linesOf(...chunks: (Uint8Array | string)[]): Promise<string[]> {
  const shown = (line: InputLine): string => (line.kind === "line" ? line.text : `! ${line.error.message}`);
  return (await Array.fromAsync(readLines(streamOf(chunks)))).map(shown);
}

async function* streamOf<T>(chunks: readonly T[]): AsyncGenerator<T> {
  yield* chunks;
}

test("lines end at a line feed and nowhere else, however the bytes come in", async () => {
  assert.deepEqual(await linesOf("login a\r\nupload_file 'x\u2028leave_group g' g\n", "quit"), [
    "login a",
    "upload_file 'x\u2028leave_group g' g",
    "quit",
  ]);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.stringMatching(/^[^\n\r\ufeff]*$/)), fc.nat(), async (lines, cut) => {
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
      const at = bytes.length === 0 ? 0 : cut % bytes.length;
      assert.deepEqual(await linesOf(bytes.subarray(0, at), bytes.subarray(at)), lines);
    }),
  );
});

test("a byte order mark at the beginning is no part of the first command", async () => {
  assert.deepEqual(await linesOf("\ufefflogin a\n"), ["login a"]);
  assert.equal(decodeText(Buffer.from("\ufeffsecret")), "secret");
});

test("a line that is not UTF-8 is refused by its number, and the others are read", async () => {
  const latin1 = Buffer.from("login bj\xf6rn p\xe4ss\n", "latin1");
  assert.deepEqual(await linesOf("whoami\n", latin1, "quit\n"), [
    "whoami",
    "! Line 2 of the input is not UTF-8, so it was not run; save the script as UTF-8.",
    "quit",
  ]);
});

test("an input that cannot be read, or has no line feed in a mebibyte, ends with a sentence", async () => {
  const failing = (async function* () {
    yield "whoami\n";
    throw new Error("EISDIR: illegal operation on a directory, read");
  })();
  await assert.rejects(Array.fromAsync(readLines(failing)), { code: "INVALID_ARGUMENT", message: /EISDIR/ });
  await assert.rejects(linesOf(Buffer.alloc(1024 * 1024 + 1, 0x61)), { code: "INVALID_ARGUMENT" });
});

test("a line may have 1 MiB, also the last, which needs no line feed; a longer one is refused by its number", async () => {
  const most = "a".repeat(1024 * 1024);
  assert.deepEqual(await linesOf(most, "\nb"), [most, "b"]);
  assert.deepEqual(await linesOf("a\n", most), ["a", most]);
  assert.deepEqual(await linesOf("a\n", "b"), ["a", "b"]);
  assert.deepEqual(await linesOf(""), []);
  await assert.rejects(linesOf("a\nb\n", most, "a"), {
    code: "INVALID_ARGUMENT",
    message: /^Line 3 of the input/,
  });
});
