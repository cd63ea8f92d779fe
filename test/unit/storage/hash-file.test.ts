import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { mkdir, open, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { MAX_FILE_LENGTH_BYTES } from "../../../src/api/file-limits.ts";
import { choosePieceLengthBytes } from "../../../src/metainfo/geometry.ts";
import { DiskPool } from "../../../src/storage/disk-pool.ts";
import { hashFile } from "../../../src/storage/hash-file.ts";
import { FakeThread } from "./fake-threads.ts";
import { content, metainfoOf, openCount, sha1Hex, withCode, workplaceFor } from "./workplace.ts";

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
      const hashed = await hashFile(place.path, { ...place, pieceLengthBytes });
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
    ...place,
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
    ...place,
    onProgress: () => appendFileSync(place.path, "x"),
  });
  await assert.rejects(hashing, withCode("FILE_CHANGED"));
});

test("a missing path, or one that is no file, is said to be so", async (t) => {
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
    ...place,
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

test("a file that is larger than may be shared is refused before any of it is hashed", async (t) => {
  const place = await workplaceFor(t);
  const file = await open(place.path, "w");
  await file.truncate(MAX_FILE_LENGTH_BYTES + 1);
  await file.close();
  let hashedBytes = 0;
  const hashing = hashFile(place.path, {
    ...place,
    onProgress: (progress) => (hashedBytes = progress.hashedBytes),
  });
  await assert.rejects(hashing, { code: "LIMIT_REACHED", message: /2 TiB.*split it/ });
  assert.equal(hashedBytes, 0);
});

test("hashing the largest file that may be shared begins", async (t) => {
  const place = await workplaceFor(t);
  const file = await open(place.path, "w");
  await file.truncate(MAX_FILE_LENGTH_BYTES);
  await file.close();
  const ending = new AbortController();
  const hashing = hashFile(place.path, {
    ...place,
    signal: ending.signal,
    onProgress: () => ending.abort(),
  });
  await assert.rejects(hashing, { name: "AbortError" });
});

const isLinux = process.platform === "linux";
test("a file whose size is not how many bytes it gives is not shared as empty", {
  skip: !isLinux,
}, async (t) => {
  const place = await workplaceFor(t);
  // Both say another size than they have: 0, and a page.
  for (const path of ["/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled"]) {
    const refused = { code: "NOT_A_FILE", message: /copy it .* share the copy/ };
    await assert.rejects(hashFile(path, { ...place }), refused);
  }
});

test("each path that cannot be read is refused with what is wrong with it", { skip: !isLinux }, async (t) => {
  const place = await workplaceFor(t);
  const at = (name: string) => join(place.folder, name);
  const server = createServer().listen(at("socket"));
  t.after(() => server.close());
  await symlink(at("loop"), at("loop"));
  await mkdir(at("folder"));
  await writeFile(at("unreadable"), "x", { mode: 0 });
  const refusals = [
    ["socket", "NOT_A_FILE", /a socket or a device/],
    ["loop", "FILE_NOT_FOUND", /in a circle/],
    ["folder", "NOT_A_FILE", /folder/],
    ["none", "FILE_NOT_FOUND", /check the path/],
    ["n".repeat(300), "FILE_NOT_FOUND", /longer than/],
    ["folder/../none/x", "FILE_NOT_FOUND", /check the path/],
    // root may read all.
    ...(process.getuid?.() === 0 ? [] : [["unreadable", "FILE_UNREADABLE", /permissions/] as const]),
  ] as const;
  for (const [name, code, message] of refusals) {
    await assert.rejects(hashFile(at(name), { ...place }), { code, message }, name);
  }
});

test("when a chunk cannot be read, memory and file are let go only when no thread uses them any more", async (t) => {
  const place = await workplaceFor(t);
  await writeFile(place.path, new Uint8Array(8 * 1024 * 1024));
  const thread = new FakeThread();
  const disk = new DiskPool({ workerCount: 1, startThread: () => thread });
  const given = t.mock.method(disk, "giveChunk");
  const before = await openCount();
  const hashing = hashFile(place.path, { disk, files: place.files });
  let isOver = false;
  const rejected = assert.rejects(hashing, withCode("DISK_FAILED")).then(() => (isOver = true));
  while (thread.listenerCount("message") === 0) await settle();
  thread.ready();
  await settle();
  thread.answer();
  thread.answer();
  await settle();
  assert.deepEqual(thread.kinds, ["digest-file", "digest-file", "digest-file", "digest-file"]);
  // The first chunk is read, and the other hash has it; then the second cannot be read.
  thread.answer();
  await settle();
  thread.refuse("EIO");
  await settle();
  assert.equal(thread.kinds.at(-1), "digest-memory");
  while (thread.kinds.some((kind) => kind !== "digest-close")) {
    assert.deepEqual([given.mock.callCount(), isOver], [0, false], `${thread.kinds} are under way`);
    assert.ok((await openCount()) > before, "the file is open");
    thread.answer();
    await settle();
  }
  assert.deepEqual(thread.kinds, ["digest-close", "digest-close"]);
  assert.equal(given.mock.callCount(), 4);
  thread.answer();
  thread.answer();
  await rejected;
  assert.deepEqual([await openCount(), place.files.taken], [before, 0]);
});

/** All that promises lead to has happened: no I/O is waited for. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
