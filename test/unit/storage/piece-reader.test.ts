// Reading pieces to send them: what is verified before, for how long that holds, and what a change of the file stops.

import assert from "node:assert/strict";
import { appendFile, open as openFile, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { type TestContext, test } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { Bitfield } from "../../../src/metainfo/bitfield.ts";
import type { PieceFrames, PieceRange } from "../../../src/metainfo/piece-types.ts";
import { FileContent } from "../../../src/storage/file-content.ts";
import { type FileFacts, factsOf } from "../../../src/storage/file-facts.ts";
import { FrameCache } from "../../../src/storage/frame-cache.ts";
import { PieceReader } from "../../../src/storage/piece-reader.ts";
import { content, metainfoOf, PIECE_BYTES, workplaceFor } from "./workplace.ts";

const BLOCK = 16 * 1024;
const TRUSTED_MS = 5000;
const bytes = content(3 * PIECE_BYTES + 100);
const metainfo = metainfoOf(bytes);

async function open(t: TestContext, { isPart = false, cache = new FrameCache() } = {}) {
  const place = await workplaceFor(t);
  await writeFile(place.path, bytes);
  const clock = { nowMs: 1000 };
  t.mock.method(performance, "now", () => clock.nowMs);
  const handle = await place.files.openInPlace(() => openFile(place.path, "r+"));
  const expected: FileFacts | undefined = isPart ? undefined : factsOf(await handle.stat());
  const fileContent = new FileContent(
    { ...place, metainfo, have: new Bitfield(metainfo.geometry.pieceCount) },
    { handle, path: place.path, fileId: "of no other", found: undefined, opened: undefined, expected },
  );
  const file = fileContent.root;
  t.after(() => (file.refusal === undefined ? fileContent.close() : undefined));
  const missing = new Set<number>();
  const verified: number[] = [];
  const { hashRange } = place.disk;
  t.mock.method(place.disk, "hashRange", (range: Parameters<typeof hashRange>[0]) => {
    verified.push(range.positionBytes / PIECE_BYTES);
    return hashRange.call(place.disk, range);
  });
  const lost: number[] = [];
  const reader = new PieceReader({
    content: fileContent,
    metainfo,
    cache,
    hasPiece: (pieceIndex) => !missing.has(pieceIndex),
    onLost: (pieceIndex) => void lost.push(pieceIndex),
  });
  const read = (range: Partial<PieceRange>): Promise<PieceFrames | MiniTorrentError> =>
    new Promise((resolve) =>
      reader.read({ pieceIndex: 0, offsetBytes: 0, lengthBytes: BLOCK, ...range }, resolve),
    );
  /** Reads, and gives the frames back; undefined, or the code of the error. */
  const codeOf = async (range: Partial<PieceRange>): Promise<string | undefined> => {
    const frames = await read(range);
    if (frames instanceof MiniTorrentError) return frames.code;
    frames.release();
    return undefined;
  };
  return { ...place, cache, clock, file, reader, read, codeOf, missing, verified, lost };
}

test("a part of a piece is read from its place in the file, each block behind its header", async (t) => {
  const { read } = await open(t);
  const frames = await read({ pieceIndex: 1, offsetBytes: BLOCK });
  assert.ok("bytes" in frames);
  const from = PIECE_BYTES + BLOCK;
  assert.deepEqual(frames.bytes.subarray(13), bytes.subarray(from, from + BLOCK));
  frames.release();
  const last = await read({ pieceIndex: 3, lengthBytes: 100 });
  assert.ok("bytes" in last);
  assert.deepEqual(last.bytes.subarray(13), bytes.subarray(3 * PIECE_BYTES));
  last.release();
});

test("a short part at the end of a file is read into a buffer that others fit in", async (t) => {
  const { codeOf, cache } = await open(t);
  await codeOf({ lengthBytes: PIECE_BYTES });
  const before = cache.heldBytes;
  await codeOf({ pieceIndex: 1, lengthBytes: PIECE_BYTES - 10 });
  assert.equal(cache.heldBytes, 2 * before);
});

test("a piece that is not there, or a file that is closed, is refused later and never at once", async (t) => {
  const { reader, missing, codeOf, file } = await open(t);
  missing.add(2);
  const refusals: unknown[] = [];
  reader.read({ pieceIndex: 2, offsetBytes: 0, lengthBytes: BLOCK }, (result) => refusals.push(result));
  assert.deepEqual(refusals, []);
  assert.equal(await codeOf({ pieceIndex: 2 }), "INTERNAL");
  assert.match(String(refusals[0]), /Piece 2 .*is not there/);
  const closed = file.close();
  assert.equal(await codeOf({}), "INTERNAL");
  await closed;
});

test("a complete file is not verified before it is read: its facts tell of a change", async (t) => {
  const { codeOf, verified } = await open(t);
  assert.equal(await codeOf({}), undefined);
  assert.deepEqual(verified, []);
});

test("a piece of a part file is verified before it is read, and not again for five seconds", async (t) => {
  const { codeOf, verified, clock } = await open(t, { isPart: true });
  assert.equal(await codeOf({}), undefined);
  assert.deepEqual(verified, [0]);
  clock.nowMs += TRUSTED_MS - 1;
  assert.equal(await codeOf({ offsetBytes: BLOCK }), undefined);
  assert.deepEqual(verified, [0]);
  clock.nowMs += 1;
  assert.equal(await codeOf({ offsetBytes: BLOCK, lengthBytes: 100 }), undefined);
  assert.deepEqual(verified, [0], "what is cached was read after it was verified");
  assert.equal(await codeOf({ pieceIndex: 3, lengthBytes: 100 }), undefined);
  assert.deepEqual(verified, [0, 3]);
});

test("a piece that was just written is read as it is, and verified when five seconds are over", async (t) => {
  const { reader, codeOf, verified, clock } = await open(t, { isPart: true });
  reader.written(1);
  clock.nowMs += 3000;
  reader.written(2);
  reader.written(1);
  clock.nowMs += 4999;
  assert.equal(await codeOf({ pieceIndex: 1 }), undefined);
  assert.deepEqual(verified, []);
  clock.nowMs += 1;
  // The one that was written later does not hide that this one's time is over.
  reader.written(0);
  assert.equal(await codeOf({ pieceIndex: 2 }), undefined);
  assert.equal(await codeOf({ pieceIndex: 1, offsetBytes: BLOCK }), undefined);
  assert.deepEqual(verified, [2, 1]);
});

test("a piece of a part file that has changed is lost and not sent; others are", async (t) => {
  const { codeOf, lost, path } = await open(t, { isPart: true });
  const changed = await readFile(path);
  changed[PIECE_BYTES + 5] = (changed[PIECE_BYTES + 5] ?? 0) ^ 1;
  await writeFile(path, changed);
  assert.equal(await codeOf({ pieceIndex: 1 }), "FILE_CHANGED");
  assert.deepEqual(lost, [1]);
  assert.equal(await codeOf({ pieceIndex: 2 }), undefined);
  assert.deepEqual(lost, [1]);
  assert.equal(await codeOf({ pieceIndex: 1 }), "FILE_CHANGED", "it is not taken from memory either");
});

test("after a change nothing of the file is sent, cached or not, also when it is as it was again", async (t) => {
  const { codeOf, path, cache } = await open(t);
  const { atime, mtime } = await stat(path);
  assert.equal(await codeOf({}), undefined);
  await appendFile(path, "x");
  assert.equal(await codeOf({}), "FILE_CHANGED");
  await writeFile(path, bytes);
  await utimes(path, atime, mtime);
  assert.equal(await codeOf({}), "FILE_CHANGED");
  assert.equal(await codeOf({ pieceIndex: 1 }), "FILE_CHANGED");
  const owned = cache.heldBytes;
  assert.ok(owned > 0, "the buffers stay for others");
});

test("a file that can no longer be looked at is not sent, and not read any more", async (t) => {
  const { codeOf, file } = await open(t);
  assert.equal(await codeOf({}), undefined);
  const looking = t.mock.method(file, "whileOpen", async () => {
    throw Object.assign(new Error("it broke"), { code: "EIO" });
  });
  assert.equal(await codeOf({}), "DISK_FAILED");
  looking.mock.restore();
  assert.equal(await codeOf({}), "DISK_FAILED");
});

test("a removed file is said to be removed, also a part file", async (t) => {
  for (const isPart of [false, true]) {
    await t.test(isPart ? "a part file" : "a complete one", async (t) => {
      const { read, path } = await open(t, { isPart });
      await rm(path);
      const refused = await read({});
      assert.ok(refused instanceof MiniTorrentError);
      assert.equal(refused.code, "FILE_NOT_FOUND");
      assert.match(refused.message, /film was removed/);
    });
  }
});

test("a read that waits for memory when the file is closed fails, and the file is closed then", async (t) => {
  // Memory for one part.
  const { reader, read, file } = await open(t, { cache: new FrameCache(1) });
  const held = await read({});
  assert.ok("release" in held);
  const waiting = read({ pieceIndex: 1 });
  reader.close();
  let isTold = false;
  void waiting.then(() => (isTold = true));
  await stat(file.path);
  assert.equal(isTold, false, "the file is open still");
  const closed = file.close();
  reader.close();
  const refused = await waiting;
  assert.ok(refused instanceof MiniTorrentError);
  assert.match(refused.message, /is closed/);
  await closed;
  held.release();
});
