// Two ends of a connection, on real sockets.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it, mock } from "node:test";
import { within } from "../../../harness/within.ts";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { BLOCK_LENGTH_BYTES } from "../../../src/metainfo/geometry.ts";
import { PIECE_HEADER_BYTES, writePieceHeader } from "../../../src/metainfo/piece-header.ts";
import type { PeerSocket } from "../../../src/transport/peer-socket.ts";
import { decodeExtensionHandshake } from "../../../src/wire/extensions.ts";
import { type Message, RecordingListener, say } from "../wire/recording.ts";
import { Alice } from "./members.ts";

const PIECE_COUNT = 40;
const PIECE_BYTES = 1024 * 1024;
/** Far longer than anything here takes on a slow machine; for 40 MiB longer still. */
const SOON_MS = 5_000;
const SENT_MS = 20_000;

/** Resolves when the listener has heard that many messages. */
function heard(listener: RecordingListener, count: number): Promise<void> {
  const all = new Promise<void>((resolve) => {
    listener.onMessage = () => listener.heard.length === count && resolve();
    if (listener.heard.length >= count) resolve();
  });
  return within(all, () => `${count} messages; heard ${JSON.stringify(listener.heard)}`, SOON_MS);
}

function closing(listener: RecordingListener): Promise<string> {
  const closed = new Promise<string>((resolve) => {
    listener.onClosed = resolve;
  });
  return within(closed, "the connection to be closed", SOON_MS);
}

/** A whole piece as storage lays it out. */
function framesOf(piece: Uint8Array, pieceIndex: number): Uint8Array {
  const blockCount = Math.ceil(piece.length / BLOCK_LENGTH_BYTES);
  const frames = new Uint8Array(piece.length + blockCount * PIECE_HEADER_BYTES);
  for (let offset = 0, at = 0; offset < piece.length; offset += BLOCK_LENGTH_BYTES) {
    const block = piece.subarray(offset, offset + BLOCK_LENGTH_BYTES);
    const payloadAt = writePieceHeader(frames, at, pieceIndex, offset, block.length);
    frames.set(block, payloadAt);
    at = payloadAt + block.length;
  }
  return frames;
}

/** Sends every piece, as fast as the socket lets it; resolves when all have been reported sent. */
function sendAll(
  socket: PeerSocket,
  listener: RecordingListener,
  pieces: readonly Uint8Array[],
): Promise<boolean[]> {
  const answers: boolean[] = [];
  let sentCount = 0;
  return new Promise((resolve) => {
    const more = (): void => {
      while (answers.length < pieces.length) {
        const pieceIndex = answers.length;
        const piece = pieces[pieceIndex] ?? new Uint8Array(0);
        const frames = framesOf(piece, pieceIndex);
        const isRoomLeft = socket.sendBlocks(frames, () => {
          // Reused at once, as a cache does: it must not be needed any more.
          frames.fill(0);
          if (++sentCount === pieces.length) resolve(answers);
        });
        answers.push(isRoomLeft);
        if (!isRoomLeft) return;
      }
    };
    listener.onWritable = more;
    more();
  });
}

describe("a connection", () => {
  it("delivers messages in the order in which they were said, in both directions", async () => {
    await using alice = await Alice.listen();
    const { accepted, dialled } = await alice.connect();
    const messages: Exclude<Message, { type: "block" }>[] = [
      { type: "extended", extensionId: 0, payload: [0x64, 0x65] },
      { type: "haveNone" },
      { type: "interested" },
      { type: "request", range: [1, 16384, 16384] },
      { type: "cancel", range: [1, 16384, 16384] },
      { type: "have", pieceIndex: 39 },
      { type: "suggest", pieceIndex: 38 },
      { type: "notInterested" },
      { type: "reject", range: [1, 16384, 16384] },
      { type: "unchoke" },
      { type: "choke" },
    ];
    for (const [from, to] of [
      [accepted, dialled],
      [dialled, accepted],
    ] as const) {
      const listener = new RecordingListener();
      // What was said before the other end listens waits for it.
      for (const message of messages) say(from, message);
      to.start(listener, PIECE_COUNT);
      assert.equal(listener.heard.length, 0);
      await heard(listener, messages.length);
      assert.deepEqual(listener.heard, messages);
    }
  });

  it("lets a message go before blocks, but keeps the order of blocks, choke and unchoke", async () => {
    await using alice = await Alice.listen();
    const { accepted, dialled } = await alice.connect();
    const listener = new RecordingListener();
    dialled.start(listener, PIECE_COUNT);
    accepted.start(new RecordingListener(), PIECE_COUNT);
    const block = randomBytes(100);
    accepted.unchoke();
    accepted.sendBlocks(framesOf(block, 1), () => {});
    accepted.have(2);
    accepted.sendBlocks(framesOf(block, 3), () => {});
    accepted.choke();
    await heard(listener, 5);
    assert.deepEqual(
      listener.heard.map(({ type }) => type),
      ["unchoke", "have", "block", "block", "choke"],
    );
  });

  for (const direction of ["dialled", "accepted"] as const) {
    it(`carries pieces intact to the end that ${direction}, and says when to stop and go on`, async () => {
      await using alice = await Alice.listen();
      const ends = await alice.connect();
      const to = ends[direction];
      const from = direction === "dialled" ? ends.accepted : ends.dialled;
      const pieces = Array.from({ length: PIECE_COUNT }, (_, at) =>
        randomBytes(at === PIECE_COUNT - 1 ? 100_001 : PIECE_BYTES),
      );
      const received = pieces.map((piece) => new Uint8Array(piece.length));
      const listener = new RecordingListener();
      let arrivedBytes = 0;
      const complete = new Promise<void>((resolve) => {
        const totalBytes = pieces.reduce((sum, { length }) => sum + length, 0);
        listener.blockEnds = (_pieceIndex, _offset, length) => {
          arrivedBytes += length;
          if (arrivedBytes === totalBytes) resolve();
        };
      });
      listener.placeFor = ([pieceIndex, offset, length]) =>
        received[pieceIndex]?.subarray(offset, offset + length);
      to.start(listener, PIECE_COUNT);
      const sender = new RecordingListener();
      from.start(sender, PIECE_COUNT);
      const answers = await within(sendAll(from, sender, pieces), "all pieces to be sent", SENT_MS);
      await within(complete, () => `all pieces to arrive; ${arrivedBytes} bytes did`, SENT_MS);
      assert.ok(pieces.every((piece, at) => piece.equals(received[at] ?? new Uint8Array(0))));
      assert.ok(answers.includes(false), "it never said to stop");
      assert.equal(sender.writableCount, answers.filter((isRoomLeft) => !isRoomLeft).length);
    });
  }

  it("calls every sent once and closed once, when it is closed under way, and refuses blocks after that", async () => {
    await using alice = await Alice.listen();
    const { accepted, dialled } = await alice.connect();
    const listener = new RecordingListener();
    const closed = closing(listener);
    accepted.start(listener, PIECE_COUNT);
    // Nobody reads at the other end, so that most of it waits.
    const sentCounts = new Map<number, number>();
    const send = (pieceIndex: number): boolean =>
      accepted.sendBlocks(framesOf(new Uint8Array(PIECE_BYTES), pieceIndex), () => {
        sentCounts.set(pieceIndex, (sentCounts.get(pieceIndex) ?? 0) + 1);
      });
    for (let pieceIndex = 0; pieceIndex < 30; pieceIndex++) send(pieceIndex);
    accepted.close("enough");
    assert.equal(await closed, "enough");
    assert.equal(send(30), false);
    await Promise.resolve();
    accepted.close("again");
    assert.deepEqual([...sentCounts.values()], new Array(31).fill(1));
    assert.deepEqual(listener.closedReasons, ["enough"]);
    dialled.close("enough");
  });

  it("tells the other end that it was closed, also one that starts to listen only then", async () => {
    await using alice = await Alice.listen();
    const { accepted, dialled } = await alice.connect();
    const listener = new RecordingListener();
    const closed = closing(listener);
    accepted.start(listener, PIECE_COUNT);
    dialled.close("enough");
    assert.match(await closed, /closed the connection|ECONNRESET/);
    const late = new RecordingListener();
    const lateClosed = closing(late);
    dialled.start(late, PIECE_COUNT);
    assert.equal(await lateClosed, "enough");
  });

  it("says farewell behind the block that is being written, also to one that starts to listen only then", async () => {
    await using alice = await Alice.listen();
    for (const isListening of [true, false]) {
      const { accepted, dialled } = await alice.connect();
      const [here, there] = [new RecordingListener(), new RecordingListener()];
      const [closedHere, closedThere] = [closing(here), closing(there)];
      accepted.start(here, PIECE_COUNT);
      if (isListening) dialled.start(there, PIECE_COUNT);
      let sentCount = 0;
      for (let piece = 0; piece < 2; piece++)
        accepted.sendBlocks(framesOf(new Uint8Array(PIECE_BYTES), piece), () => void sentCount++);
      accepted.close("enough", { reason: "full" });
      if (!isListening) dialled.start(there, PIECE_COUNT);
      assert.equal(await closedHere, "enough");
      await closedThere;
      const last = there.heard.at(-1);
      assert.ok(last?.type === "extended");
      assert.deepEqual(decodeExtensionHandshake(Uint8Array.from(last.payload)).farewell, { reason: "full" });
      assert.equal(sentCount, 2);
    }
  });

  it("closes with the reason on a malformed message, and leaves other connections alone", async () => {
    await using alice = await Alice.listen();
    const broken = await alice.connect("mallory");
    const good = await alice.connect("bob");
    const listener = new RecordingListener();
    const closed = closing(listener);
    broken.accepted.start(listener, PIECE_COUNT);
    broken.dialled.start(new RecordingListener(), PIECE_COUNT);
    broken.dialled.have(PIECE_COUNT);
    broken.dialled.choke();
    assert.match(await closed, /piece 40 of 40/);
    assert.deepEqual(listener.heard, []);
    const other = new RecordingListener();
    good.accepted.start(other, PIECE_COUNT);
    good.dialled.have(1);
    await heard(other, 1);
    assert.deepEqual(other.closedReasons, []);
  });

  it("closes with the reason when its listener refuses a message, and hides a failure of the listener itself", async () => {
    await using alice = await Alice.listen();
    for (const [error, reason] of [
      [new MiniTorrentError("MALFORMED_MESSAGE", "Nobody asked for that."), /Nobody asked/],
      [new TypeError("a mistake"), /went wrong inside/],
    ] as const) {
      const { accepted, dialled } = await alice.connect();
      const listener = new RecordingListener();
      const closed = closing(listener);
      listener.onMessage = () => {
        throw error;
      };
      dialled.start(listener, PIECE_COUNT);
      accepted.choke();
      accepted.unchoke();
      assert.match(await closed, reason);
      assert.equal(listener.heard.length, 1);
    }
  });

  it("stays while something arrives, and is closed after four minutes without a byte", async () => {
    const alice = await Alice.listen();
    mock.timers.enable({ apis: ["setInterval"] });
    try {
      const { accepted, dialled } = await alice.connect();
      const ends = [accepted, dialled].map((socket) => {
        const listener = new RecordingListener();
        socket.start(listener, PIECE_COUNT);
        return { socket, listener, closed: closing(listener) };
      });
      const [first, second] = ends;
      assert.ok(first !== undefined && second !== undefined);
      for (let round = 1; round <= 3; round++) {
        mock.timers.tick(120_000);
        first.socket.choke();
        second.socket.choke();
        await Promise.all([heard(first.listener, round), heard(second.listener, round)]);
      }
      assert.deepEqual([first.listener.closedReasons, second.listener.closedReasons], [[], []]);
      // Four minutes at once: nothing can arrive meanwhile.
      mock.timers.tick(240_000);
      assert.match(await first.closed, /nothing was received for 4 minutes/);
    } finally {
      mock.timers.reset();
      await alice.listener.close();
    }
  });
});
