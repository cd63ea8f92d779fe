import assert from "node:assert/strict";
import { test } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { FrameCache, type PieceFrames } from "../../../src/storage/frame-cache.ts";

const LENGTH = 100;

/** A disk whose reads end when the test says so. */
function slowDisk(cache: FrameCache) {
  const owner = {};
  const reads: { pieceIndex: number; end: (error?: MiniTorrentError) => void }[] = [];
  const ask = (pieceIndex: number, lengthBytes = LENGTH) => {
    const answer: { value: PieceFrames | MiniTorrentError | undefined } = { value: undefined };
    const load = (bytes: Uint8Array, loaded: (error: MiniTorrentError | undefined) => void) => {
      reads.push({
        pieceIndex,
        end: (error) => {
          bytes.fill(pieceIndex);
          loaded(error);
        },
      });
    };
    cache.read(
      {
        owner,
        positionBytes: pieceIndex,
        framesLengthBytes: lengthBytes,
        bufferLengthBytes: lengthBytes,
        load,
      },
      (value) => {
        assert.equal(answer.value, undefined, "answered twice");
        answer.value = value;
      },
    );
    return answer;
  };
  const asked = () => reads.map(({ pieceIndex }) => pieceIndex);
  return { owner, reads, ask, asked };
}

function release(answer: { value: PieceFrames | MiniTorrentError | undefined }): void {
  assert.ok(answer.value !== undefined && "release" in answer.value);
  answer.value.release();
}

test("who asks for a piece that is being read waits for that read", () => {
  const { ask, reads, asked } = slowDisk(new FrameCache(10 * LENGTH));
  const answers = [ask(7), ask(7), ask(7)];
  assert.deepEqual(asked(), [7]);
  reads[0]?.end();
  for (const { value } of answers) {
    assert.ok(value !== undefined && "bytes" in value);
    assert.ok(value.bytes.every((byte) => byte === 7));
  }
  assert.ok(ask(7).value);
  assert.deepEqual(asked(), [7]);
});

test("past the limit the piece that was used longest ago goes, one in use never", () => {
  const cache = new FrameCache(3 * LENGTH);
  const { ask, reads, asked } = slowDisk(cache);
  const [first, second, third] = [ask(1), ask(2), ask(3)];
  for (const read of reads) read.end();
  release(second);
  release(third);
  release(ask(2));
  ask(4);
  reads[3]?.end();
  assert.equal(cache.heldBytes, 3 * LENGTH);
  release(ask(2));
  assert.deepEqual(asked(), [1, 2, 3, 4]);
  assert.ok(first.value !== undefined && "bytes" in first.value);
  assert.ok(first.value.bytes.every((byte) => byte === 1));
  ask(3);
  assert.deepEqual(asked(), [1, 2, 3, 4, 3]);
});

test("when all of it is in use the next waits until something is released, in order", () => {
  const cache = new FrameCache(2 * LENGTH);
  const { ask, reads, asked } = slowDisk(cache);
  const [one, two] = [ask(1), ask(2)];
  const three = ask(3);
  const alsoOne = ask(1);
  for (const read of [...reads]) read.end();
  assert.deepEqual(asked(), [1, 2]);
  assert.ok(alsoOne.value);
  release(two);
  assert.deepEqual(asked(), [1, 2, 3]);
  reads[2]?.end();
  assert.ok(three.value);
  assert.ok(one.value);
  assert.equal(cache.heldBytes, 2 * LENGTH);
});

test("releasing twice counts once", () => {
  const { ask, reads, asked } = slowDisk(new FrameCache(LENGTH));
  const [one, alsoOne] = [ask(1), ask(1)];
  reads[0]?.end();
  release(one);
  release(one);
  ask(2);
  assert.deepEqual(asked(), [1]);
  release(alsoOne);
  assert.deepEqual(asked(), [1, 2]);
});

test("a read that fails tells all who waited, and is tried again for the next", () => {
  const { ask, reads, asked } = slowDisk(new FrameCache(LENGTH));
  const answers = [ask(1), ask(1)];
  const error = new MiniTorrentError("DISK_FAILED", "It broke.");
  reads[0]?.end(error);
  for (const { value } of answers) assert.equal(value, error);
  ask(1);
  assert.deepEqual(asked(), [1, 1]);
});

test("an owner that is forgotten has nothing cached, what it uses stays, and what it waits for is refused", () => {
  const cache = new FrameCache(2 * LENGTH);
  const { owner, ask, reads, asked } = slowDisk(cache);
  const used = ask(1);
  const running = ask(2);
  const waiting = ask(3);
  reads[0]?.end();
  const reason = new MiniTorrentError("FILE_CHANGED", "It changed.");
  cache.forget(owner, reason);
  assert.equal(waiting.value, reason);
  reads[1]?.end();
  release(running);
  assert.ok(used.value !== undefined && "bytes" in used.value);
  assert.ok(used.value.bytes.every((byte) => byte === 1));
  release(used);
  ask(1);
  assert.deepEqual(asked(), [1, 2, 1]);
});

test("buffers of one length make room for those of another", () => {
  const cache = new FrameCache(3 * LENGTH);
  const { ask, reads } = slowDisk(cache);
  for (const pieceIndex of [1, 2, 3]) {
    const answer = ask(pieceIndex);
    reads.at(-1)?.end();
    release(answer);
  }
  ask(4, 2 * LENGTH);
  reads.at(-1)?.end();
  assert.ok(cache.heldBytes <= 3 * LENGTH);
  assert.equal(reads.length, 4);
});
