// Deadlines of the pieces ahead of readers, against a model that computes them anew each time, and who is told when bytes are there.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Bitfield } from "../../../src/metainfo/bitfield.ts";
import { BLOCK_LENGTH_BYTES, Geometry } from "../../../src/metainfo/geometry.ts";
import { OwnPieces } from "../../../src/swarm/own-pieces.ts";
import { type PieceReader, ReadAhead, type ReadAheadOptions } from "../../../src/swarm/read-ahead.ts";

const PIECE = BLOCK_LENGTH_BYTES;

function open({ pieceCount = 10, have = new Bitfield(pieceCount), lastBytes = PIECE } = {}) {
  const geometry = new Geometry((pieceCount - 1) * PIECE + lastBytes, PIECE);
  const pieces = new OwnPieces({ geometry, have });
  const clock = { nowMs: 0 };
  let deadlines = new Map<number, number>();
  let updates = 0;
  const said: boolean[] = [];
  const readAhead = new ReadAhead({
    geometry,
    pieces,
    nowMs: () => clock.nowMs,
    onDeadlines: (next) => {
      deadlines = next;
      updates++;
    },
    onReading: (isReading) => void said.push(isReading),
  });
  const verify = (...pieceIndices: number[]): void => {
    for (const pieceIndex of pieceIndices) {
      pieces.verified(pieceIndex);
      readAhead.pieceVerified();
    }
  };
  const want = (...pieceIndices: number[]): void => {
    const wanted = new Bitfield(pieceCount);
    for (const pieceIndex of pieceIndices) wanted.set(pieceIndex);
    pieces.want(wanted);
    readAhead.wantedChanged();
  };
  return {
    readAhead,
    pieces,
    clock,
    verify,
    want,
    said,
    deadlines: () => [...deadlines],
    updates: () => updates,
  };
}

describe("the pieces ahead of a reader", () => {
  it("are due when it gets there: the piece that it reads at once, the next when that is read", () => {
    const { readAhead, clock, deadlines } = open();
    clock.nowMs = 1000;
    readAhead.open({ positionBytes: 2 * PIECE, windowBytes: 3 * PIECE, bytesPerSecond: PIECE });
    assert.deepEqual(deadlines(), [
      [2, 1000],
      [3, 2000],
      [4, 3000],
    ]);
    const inside = open();
    inside.readAhead.open({ positionBytes: 2.5 * PIECE, windowBytes: 2 * PIECE, bytesPerSecond: PIECE });
    assert.deepEqual(inside.deadlines(), [
      [2, 0],
      [3, 500],
      [4, 1500],
    ]);
  });

  it("are at least the one that is read and the next, at most 256, and none past the end", () => {
    const little = open();
    little.readAhead.open({ positionBytes: 4 * PIECE, windowBytes: 1, bytesPerSecond: PIECE });
    assert.deepEqual(
      little.deadlines().map(([piece]) => piece),
      [4, 5],
    );
    const much = open({ pieceCount: 1000 });
    much.readAhead.open({ positionBytes: PIECE, windowBytes: 900 * PIECE });
    assert.equal(much.deadlines().length, 256);
    const last = open({ lastBytes: 1 });
    last.readAhead.open({ positionBytes: 8 * PIECE, windowBytes: 5 * PIECE });
    assert.deepEqual(
      last.deadlines().map(([piece]) => piece),
      [8, 9],
    );
    const part = open();
    part.readAhead.open({ positionBytes: 2 * PIECE, endBytes: 3 * PIECE, windowBytes: 5 * PIECE });
    assert.deepEqual(
      part.deadlines().map(([piece]) => piece),
      [2],
    );
  });

  it("are 8 MiB in ten seconds if it does not say how much and how fast it reads", () => {
    const { readAhead, deadlines } = open({ pieceCount: 1000 });
    readAhead.open({ positionBytes: 0 });
    // 8 MiB are 512 pieces, of which 256 are fetched ahead.
    assert.deepEqual(deadlines().slice(0, 2), [
      [0, 0],
      [1, 10_000 / 512],
    ]);
    assert.equal(deadlines().length, 256);
  });

  it("are not computed anew while it reads on within a piece", () => {
    const { readAhead, clock, deadlines, updates } = open();
    const reader = readAhead.open({ positionBytes: 0, windowBytes: 2 * PIECE, bytesPerSecond: PIECE });
    const before = updates();
    clock.nowMs = 500;
    reader.moveTo(PIECE / 2);
    reader.moveTo(PIECE - 1);
    assert.equal(updates(), before);
    reader.moveTo(PIECE);
    assert.deepEqual(deadlines(), [
      [1, 500],
      [2, 1500],
    ]);
    reader.moveTo(PIECE - 1);
    assert.equal(updates(), before + 2);
  });

  it("end with the last reader, of which peers are told as of the first", () => {
    const { readAhead, deadlines, said } = open();
    const first = readAhead.open({ positionBytes: 0 });
    const second = readAhead.open({ positionBytes: 0 });
    first.close();
    first.close();
    assert.deepEqual([deadlines().length, readAhead.isReading], [10, true]);
    second.close();
    assert.deepEqual([deadlines(), readAhead.isReading, said], [[], false, [true, false]]);
  });

  it("are those of all readers, each by its first deadline, soonest first, whatever moves, arrives and is wanted", () => {
    const pieceCount = 40;
    const step = fc.oneof(
      fc.record({
        what: fc.constant("open" as const),
        positionBytes: fc.nat(pieceCount * PIECE - 1),
        windowBytes: fc.integer({ min: 1, max: 12 * PIECE }),
        bytesPerSecond: fc.integer({ min: 1000, max: 1_000_000 }),
      }),
      fc.record({ what: fc.constant("jump" as const), which: fc.nat(3), to: fc.nat(pieceCount * PIECE - 1) }),
      fc.record({ what: fc.constant("close" as const), which: fc.nat(3) }),
      fc.record({ what: fc.constant("verify" as const), piece: fc.nat(pieceCount - 1) }),
      fc.record({ what: fc.constant("want" as const), pieces: fc.uniqueArray(fc.nat(pieceCount - 1)) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const { readAhead, pieces, clock, verify, want, deadlines } = open({ pieceCount });
        const readers: {
          reader: PieceReader;
          options: Required<Omit<ReadAheadOptions, "endBytes">>;
          atMs: number;
        }[] = [];
        for (const now of steps) {
          clock.nowMs += 100;
          const at = "which" in now ? readers[now.which] : undefined;
          if (now.what === "open") {
            readers.push({ reader: readAhead.open(now), options: now, atMs: clock.nowMs });
          } else if (now.what === "verify") verify(now.piece);
          else if (now.what === "want") want(...now.pieces);
          else if (at === undefined) continue;
          else if (now.what === "close") {
            at.reader.close();
            readers.splice(now.which, 1);
          } else {
            // Away and back: else a move within its piece would change nothing.
            at.reader.moveTo((now.to + 20 * PIECE) % (pieceCount * PIECE));
            at.reader.moveTo(now.to);
            at.options = { ...at.options, positionBytes: now.to };
            at.atMs = clock.nowMs;
          }
          if (now.what === "verify") readAhead.update();
          const expected = new Map<number, number>();
          for (const { options, atMs } of readers) {
            const { positionBytes, windowBytes, bytesPerSecond } = options;
            const first = Math.floor(positionBytes / PIECE);
            const end = Math.max(first + 2, Math.ceil((positionBytes + windowBytes) / PIECE));
            for (let piece = first; piece < Math.min(end, pieceCount); piece++) {
              if (!pieces.isMissing(piece)) continue;
              const dueMs = atMs + (Math.max(0, piece * PIECE - positionBytes) * 1000) / bytesPerSecond;
              expected.set(piece, Math.min(dueMs, expected.get(piece) ?? Number.POSITIVE_INFINITY));
            }
          }
          const found = deadlines();
          assert.deepEqual(new Map(found), expected);
          assert.deepEqual(
            found,
            [...found].sort((a, b) => a[1] - b[1] || a[0] - b[0]),
          );
        }
      }),
    );
  });
});

describe("a reader", () => {
  it("hears how many bytes it can read from a place without a gap", () => {
    const { readAhead, verify } = open({ lastBytes: 100 });
    const reader = readAhead.open({ positionBytes: 0 });
    verify(1, 2, 4, 8, 9);
    assert.equal(reader.readableBytes(0, 100), 0);
    assert.equal(reader.readableBytes(PIECE + 5, 100), 100);
    assert.equal(reader.readableBytes(PIECE + 5, 10 * PIECE), 2 * PIECE - 5);
    assert.equal(reader.readableBytes(8 * PIECE, 10 * PIECE), PIECE + 100);
  });

  it("is called once all it waits for is there: at once, or with the last piece of it", () => {
    const { readAhead, verify } = open();
    const reader = readAhead.open({ positionBytes: 0 });
    const heard: string[] = [];
    const wait = (name: string, positionBytes: number, lengthBytes: number) =>
      reader.whenReadable(positionBytes, lengthBytes, (isReadable) => heard.push(`${name} ${isReadable}`));
    verify(3);
    wait("at once", 3 * PIECE, PIECE);
    wait("two pieces", 4 * PIECE - 1, 2);
    wait("three", 4 * PIECE, 2 * PIECE + 1);
    const forget = wait("forgotten", 4 * PIECE, 1);
    forget();
    assert.deepEqual(heard, ["at once true"]);
    verify(6, 4);
    assert.deepEqual(heard, ["at once true", "two pieces true"]);
    verify(5);
    assert.deepEqual(heard, ["at once true", "two pieces true", "three true"]);
  });

  it("is called with false when what it waits for does not come: not wanted, the reader closed, or the torrent", () => {
    const { readAhead, want } = open();
    const heard: string[] = [];
    const wait = (reader: PieceReader, name: string, piece: number) =>
      reader.whenReadable(piece * PIECE, 1, (isReadable) => heard.push(`${name} ${isReadable}`));
    const first = readAhead.open({ positionBytes: 0 });
    const second = readAhead.open({ positionBytes: 0 });
    wait(first, "dropped", 1);
    wait(first, "kept", 2);
    wait(second, "closing", 2);
    want(2, 3);
    wait(first, "never wanted", 5);
    assert.deepEqual(heard, ["dropped false", "never wanted false"]);
    first.close();
    wait(first, "late", 3);
    assert.deepEqual(heard.slice(2), ["kept false", "late false"]);
    readAhead.close();
    assert.deepEqual(heard.slice(4), ["closing false"]);
    wait(readAhead.open({ positionBytes: 0 }), "after the end", 3);
    assert.deepEqual(heard.slice(5), ["after the end false"]);
  });
});
