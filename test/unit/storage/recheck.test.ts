// Looking again at pieces on a disk: how many at once, what is told, and what still runs when it ends early.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pieceHash } from "../../../src/metainfo/metainfo.ts";
import { type RecheckOptions, recheckPieces } from "../../../src/storage/recheck.ts";
import { content, metainfoOf, PIECE_BYTES } from "./workplace.ts";

const LAST_PIECE_BYTES = 100;
const metainfo = metainfoOf(content(9 * PIECE_BYTES + LAST_PIECE_BYTES));
const all = [...Array(10).keys()];

/** A disk whose hashes end when the test says so. */
function slowDisk(options: RecheckOptions = {}, pieces: readonly number[] = all) {
  const running = new Map<number, PromiseWithResolvers<Uint8Array>>();
  const asked: number[] = [];
  const hash = (pieceIndex: number): Promise<Uint8Array> => {
    asked.push(pieceIndex);
    const job = Promise.withResolvers<Uint8Array>();
    running.set(pieceIndex, job);
    return job.promise;
  };
  let outcome = "running";
  const checked = recheckPieces(pieces, metainfo, hash, options);
  checked.then(
    () => (outcome = "done"),
    () => (outcome = "failed"),
  );
  /** Ends the hash of that piece, and lets whatever follows from it happen. */
  const end = async (pieceIndex: number, sha1 = pieceHash(metainfo, pieceIndex)): Promise<void> => {
    running.get(pieceIndex)?.resolve(sha1);
    running.delete(pieceIndex);
    await settle();
  };
  const fail = async (pieceIndex: number, error: Error): Promise<void> => {
    running.get(pieceIndex)?.reject(error);
    running.delete(pieceIndex);
    await settle();
  };
  return { checked, asked, running, end, fail, outcome: () => outcome };
}

/** All that promises lead to has happened: no I/O is waited for. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test("four pieces are hashed at once, and the next one when one of them is", async () => {
  const { asked, end, checked, running } = slowDisk();
  assert.deepEqual(asked, [0, 1, 2, 3]);
  await end(2);
  assert.deepEqual(asked, [0, 1, 2, 3, 4]);
  while (running.size > 0) for (const pieceIndex of [...running.keys()]) await end(pieceIndex);
  assert.deepEqual(asked, all);
  assert.equal((await checked).count, 10);
});

test("pieces whose hash is another are not right; pieces that are not asked about are not either", async () => {
  const { end, checked } = slowDisk({}, [1, 2, 9]);
  await end(1);
  await end(2, pieceHash(metainfo, 1));
  await end(9);
  const right = await checked;
  assert.deepEqual(
    all.filter((pieceIndex) => right.has(pieceIndex)),
    [1, 9],
  );
});

test("progress counts the bytes of the pieces that are asked about, the short last one as it is", async () => {
  const seen: unknown[] = [];
  const { end, checked } = slowDisk({ onProgress: (progress) => seen.push(progress) }, [9, 0]);
  const lengthBytes = PIECE_BYTES + LAST_PIECE_BYTES;
  await end(9);
  await end(0);
  await checked;
  assert.deepEqual(seen, [
    { hashedBytes: LAST_PIECE_BYTES, lengthBytes },
    { hashedBytes: lengthBytes, lengthBytes },
  ]);
});

test("aborted, it begins no further piece, and is over only when no worker reads any more", async () => {
  const abort = new AbortController();
  const reason = new Error("enough");
  const { asked, end, checked, outcome } = slowDisk({ signal: abort.signal });
  abort.abort(reason);
  for (const pieceIndex of [3, 0, 1]) {
    await end(pieceIndex);
    assert.equal(outcome(), "running", `a worker reads on after piece ${pieceIndex}`);
  }
  await end(2);
  assert.equal(outcome(), "failed");
  await assert.rejects(checked, (error) => error === reason);
  assert.deepEqual(asked, [0, 1, 2, 3]);
});

test("aborted before it begins, it reads nothing", async () => {
  const reason = new Error("never mind");
  const { asked, checked } = slowDisk({ signal: AbortSignal.abort(reason) });
  await assert.rejects(checked, (error) => error === reason);
  assert.deepEqual(asked, []);
});

test("when a piece cannot be read no other is begun, and it fails when no worker reads any more", async () => {
  const broken = new Error("it broke");
  const { asked, end, fail, checked, outcome } = slowDisk();
  await fail(1, broken);
  await end(0);
  await end(3);
  assert.deepEqual([asked, outcome()], [[0, 1, 2, 3], "running"]);
  await end(2);
  await assert.rejects(checked, (error) => error === broken);
  assert.deepEqual(asked, [0, 1, 2, 3]);
});
