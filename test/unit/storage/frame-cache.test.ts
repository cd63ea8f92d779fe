import assert from "node:assert/strict";
import { test } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import type { PieceFrames } from "../../../src/metainfo/piece-types.ts";
import { FrameCache } from "../../../src/storage/frame-cache.ts";

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

test("a request for a piece that is being read waits for that read", () => {
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

test("a piece that is larger than the limit is let in when nothing else is there", () => {
  const cache = new FrameCache(LENGTH);
  const { ask, reads } = slowDisk(cache);
  const large = ask(1, 3 * LENGTH);
  assert.equal(cache.heldBytes, 3 * LENGTH);
  const other = ask(2);
  reads[0]?.end();
  assert.equal(reads.length, 1);
  release(large);
  reads[1]?.end();
  assert.ok(other.value);
  assert.equal(cache.heldBytes, LENGTH);
});

test("buffers are used again, and what a reader gets is as long as it asked for", () => {
  const cache = new FrameCache(2 * LENGTH);
  const owner = {};
  const lengths: number[] = [];
  const read = (positionBytes: number, framesLengthBytes: number): PieceFrames => {
    const got: PieceFrames[] = [];
    cache.read(
      {
        owner,
        positionBytes,
        framesLengthBytes,
        bufferLengthBytes: LENGTH,
        load: (bytes, loaded) => {
          lengths.push(bytes.length);
          loaded(undefined);
        },
      },
      (frames) => void ("release" in frames && got.push(frames)),
    );
    return got[0] ?? assert.fail("it was not read");
  };
  const first = read(1, 40);
  assert.equal(first.bytes.length, 40);
  first.release();
  read(2, LENGTH).release();
  const third = read(3, 70);
  assert.deepEqual([lengths, third.bytes.length, cache.heldBytes], [[40, LENGTH, 70], 70, 2 * LENGTH]);
  assert.equal(third.bytes.buffer, first.bytes.buffer);
});

test("pieces of two owners at one place are two, and who forgets one keeps the other", () => {
  const cache = new FrameCache(10 * LENGTH);
  const [one, other] = [slowDisk(cache), slowDisk(cache)];
  one.ask(1);
  other.ask(1);
  assert.deepEqual([one.asked(), other.asked()], [[1], [1]]);
  one.reads[0]?.end();
  other.reads[0]?.end();
  cache.forget(one.owner, new MiniTorrentError("FILE_CHANGED", "It changed."));
  other.ask(1);
  one.ask(1);
  assert.deepEqual([one.asked(), other.asked()], [[1, 1], [1]]);
});

test("memory of a forgotten owner goes to those that wait, in order", () => {
  const cache = new FrameCache(2 * LENGTH);
  const [gone, other] = [slowDisk(cache), slowDisk(cache)];
  const used = gone.ask(1);
  gone.reads[0]?.end();
  other.ask(1);
  const refused = gone.ask(2);
  const waiting = other.ask(2);
  const reason = new MiniTorrentError("FILE_CHANGED", "It changed.");
  release(used);
  assert.deepEqual(gone.asked(), [1, 2], "its turn comes first");
  assert.equal(waiting.value, undefined);
  cache.forget(gone.owner, reason);
  assert.deepEqual([refused.value, other.asked()], [undefined, [1]], "its read runs to its end");
  gone.reads[1]?.end();
  assert.ok(refused.value !== undefined && "release" in refused.value);
  release(refused);
  assert.deepEqual(other.asked(), [1, 2]);
  assert.equal(cache.heldBytes, 2 * LENGTH);
});

test("forgetting frees what nobody uses at once, so that who waits behind a refused request is served", () => {
  const cache = new FrameCache(LENGTH);
  const [gone, other] = [slowDisk(cache), slowDisk(cache)];
  const used = other.ask(1);
  other.reads[0]?.end();
  const refused = gone.ask(1);
  other.ask(2);
  const reason = new MiniTorrentError("FILE_CHANGED", "It changed.");
  cache.forget(gone.owner, reason);
  assert.equal(refused.value, reason);
  release(used);
  assert.deepEqual([other.asked(), gone.asked()], [[1, 2], []]);
});

test("requests that wait for a buffer for the same piece share the first one's read", () => {
  const { ask, reads, asked } = slowDisk(new FrameCache(LENGTH));
  const used = ask(1);
  reads[0]?.end();
  const waiting = [ask(5), ask(5)];
  const other = ask(6);
  release(used);
  assert.deepEqual(asked(), [1, 5]);
  reads[1]?.end();
  for (const answer of waiting) release(answer);
  assert.deepEqual(asked(), [1, 5, 6]);
  reads[2]?.end();
  assert.ok(other.value);
});

test("a cache that is released keeps what is in use or being read, and reads the rest again", () => {
  const cache = new FrameCache(10 * LENGTH);
  const { ask, reads, asked } = slowDisk(cache);
  const [used, idle] = [ask(1), ask(2)];
  for (const read of reads) read.end();
  release(idle);
  const coming = ask(3);
  cache.release();
  assert.equal(cache.heldBytes, 2 * LENGTH);
  reads[2]?.end();
  for (const [index, { value }] of [used, coming].entries()) {
    assert.ok(value !== undefined && "bytes" in value);
    assert.equal(value.bytes[0], index === 0 ? 1 : 3);
  }
  ask(1);
  ask(2);
  assert.deepEqual(asked(), [1, 2, 3, 2]);
  assert.equal(cache.readCount, 5);
});
