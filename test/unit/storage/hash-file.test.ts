import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { choosePieceLengthBytes } from "../../../src/metainfo/geometry.ts";
import { hashFile } from "../../../src/storage/hash-file.ts";
import { content, metainfoOf, sha1Hex, withCode, workplaceFor } from "./workplace.ts";

test("both hashes are those of the bytes, whatever the length and the piece length", async (t) => {
  const place = await workplaceFor(t);
  const source = content(6 * 1024 * 1024);
  const lengths = fc.oneof(
    fc.integer({ min: 0, max: source.length }),
    fc.constantFrom(0, 1, 16384, 1 << 20, (1 << 20) + 1, 4 << 20, 5 << 20),
  );
  const pieceLengths = fc.integer({ min: 14, max: 23 }).map((bits) => 2 ** bits);
  await fc.assert(
    fc.asyncProperty(lengths, pieceLengths, async (lengthBytes, pieceLengthBytes) => {
      const bytes = source.subarray(0, lengthBytes);
      await writeFile(place.path, bytes);
      const hashed = await hashFile(place.path, { disk: place.disk, pieceLengthBytes });
      const expected = metainfoOf(bytes, pieceLengthBytes);
      assert.equal(hashed.sha1, expected.sha1);
      assert.deepEqual(hashed.pieceHashes, new Uint8Array(expected.pieceHashes));
      assert.equal(hashed.lengthBytes, lengthBytes);
    }),
    { numRuns: 25 },
  );
});

test("progress rises to the length of the file; the piece length is chosen by it", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(3 * 1024 * 1024 + 1);
  await writeFile(place.path, bytes);
  const seen: number[] = [];
  const hashed = await hashFile(place.path, {
    disk: place.disk,
    onProgress: ({ hashedBytes }) => seen.push(hashedBytes),
  });
  assert.equal(hashed.pieceLengthBytes, choosePieceLengthBytes(bytes.length));
  assert.equal(hashed.sha1, sha1Hex(bytes));
  assert.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
  );
  assert.equal(seen.at(-1), bytes.length);
});

test("a file that changes while it is hashed is refused", async (t) => {
  const place = await workplaceFor(t);
  await writeFile(place.path, content(2 * 1024 * 1024));
  const hashing = hashFile(place.path, {
    disk: place.disk,
    onProgress: () => appendFileSync(place.path, "x"),
  });
  await assert.rejects(hashing, withCode("FILE_CHANGED"));
});

test("what is not there, or no file, is said to be", async (t) => {
  const place = await workplaceFor(t);
  await assert.rejects(hashFile(join(place.folder, "no"), place), withCode("FILE_NOT_FOUND"));
  await assert.rejects(hashFile(place.folder, place), withCode("NOT_A_FILE"));
  await assert.rejects(hashFile("/dev/null", place), withCode("NOT_A_FILE"));
});

test("hashing that is aborted stops, and the pool works on", async (t) => {
  const place = await workplaceFor(t);
  await writeFile(place.path, content(8 * 1024 * 1024));
  const abort = new AbortController();
  const reason = new Error("never mind");
  let calls = 0;
  const hashing = hashFile(place.path, {
    disk: place.disk,
    signal: abort.signal,
    onProgress: () => {
      calls++;
      abort.abort(reason);
    },
  });
  await assert.rejects(hashing, (error) => error === reason);
  assert.ok(calls < 8);
  assert.equal((await hashFile(place.path, place)).lengthBytes, 8 * 1024 * 1024);
});
