import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { BLOCK_LENGTH_BYTES } from "../../../src/metainfo/geometry.ts";
import { PIECE_HEADER_BYTES, writePieceHeader } from "../../../src/metainfo/piece-header.ts";
import { MessageDecoder } from "../../../src/wire/decoder.ts";
import { MessageEncoder } from "../../../src/wire/encoder.ts";
import { conversations, type Message, RecordingListener, say } from "./recording.ts";

const PIECE_COUNT = 21;

function encode(messages: readonly Message[]): Uint8Array {
  const encoder = new MessageEncoder();
  return Buffer.concat(
    messages.map((message) => {
      if (message.type !== "block") {
        say(encoder, message);
        return encoder.take();
      }
      const frame = new Uint8Array(PIECE_HEADER_BYTES + message.bytes.length);
      frame.set(message.bytes, writePieceHeader(frame, 0, ...message.range));
      return frame;
    }),
  );
}

function decode(bytes: Uint8Array, cuts: readonly number[] = [], supportsFast = true): RecordingListener {
  const listener = new RecordingListener();
  const decoder = new MessageDecoder({ listener, pieceCount: PIECE_COUNT, supportsFast });
  // One buffer is used again for every chunk, as a socket does.
  const chunk = new Uint8Array(bytes.length);
  let at = 0;
  for (const cut of [...cuts.map((part) => part % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)) {
    chunk.fill(0xee);
    chunk.set(bytes.subarray(at, cut), 3 % (bytes.length - (cut - at) + 1));
    const begin = 3 % (bytes.length - (cut - at) + 1);
    decoder.push(chunk, begin, begin + cut - at);
    at = cut;
  }
  return listener;
}

function hex(text: string): Uint8Array {
  return Uint8Array.fromHex(text.replaceAll(" ", ""));
}

function refused(bytes: Uint8Array, reason: RegExp, supportsFast = true): void {
  const isMalformed = (error: unknown): boolean =>
    error instanceof MiniTorrentError && error.code === "MALFORMED_MESSAGE" && reason.test(error.message);
  assert.throws(() => decode(bytes, [], supportsFast), isMalformed);
  const everyCut = Array.from(bytes, (_, at) => at);
  assert.throws(() => decode(bytes, everyCut, supportsFast), isMalformed);
}

describe("messages to bytes and back", () => {
  it("gives what went in, however the stream is cut", () => {
    fc.assert(
      fc.property(conversations(PIECE_COUNT), fc.array(fc.nat(), { maxLength: 20 }), (messages, cuts) => {
        assert.deepEqual(decode(encode(messages), cuts).heard, messages);
      }),
      { numRuns: 150 },
    );
  });

  it("gives what went in, byte by byte", () => {
    fc.assert(
      fc.property(conversations(PIECE_COUNT), (messages) => {
        const bytes = encode(messages);
        const everyCut = Array.from(bytes, (_, at) => at);
        if (bytes.length < 1000) assert.deepEqual(decode(bytes, everyCut).heard, messages);
      }),
    );
  });

  it("writes the bytes that BEP 3, 6 and 10 show", () => {
    const encoder = new MessageEncoder();
    const written = (speak: () => void): string => {
      speak();
      return encoder.take().toHex();
    };
    assert.equal(
      written(() => encoder.keepAlive()),
      "00000000",
    );
    assert.equal(
      written(() => encoder.notInterested()),
      "0000000103",
    );
    assert.equal(
      written(() => encoder.have(0x01020304)),
      "000000050401020304",
    );
    assert.equal(
      written(() => encoder.request(1, 0x8000, 0x4000)),
      "0000000d06000000010000800000004000",
    );
    assert.equal(
      written(() => encoder.haveAll()),
      "000000010e",
    );
    assert.equal(
      written(() => encoder.suggest(0x01020304)),
      "000000050d01020304",
    );
    assert.equal(
      written(() => encoder.reject(1, 2, 3)),
      "0000000d10000000010000000200000003",
    );
    assert.equal(
      written(() => encoder.extended(0, hex("6465"))),
      "0000000414006465",
    );
  });

  it("makes one batch of what is said until it is taken, however much that is", () => {
    fc.assert(
      fc.property(conversations(PIECE_COUNT), fc.integer({ min: 1, max: 60 }), (messages, times) => {
        const spoken = Array.from({ length: times }, () => messages)
          .flat()
          .filter((message) => message.type !== "block");
        const encoder = new MessageEncoder();
        for (const message of spoken) say(encoder, message);
        const expected = encode(spoken);
        assert.equal(encoder.lengthBytes, expected.length);
        assert.deepEqual(Buffer.from(encoder.take()), expected);
        assert.equal(encoder.lengthBytes, 0);
      }),
      { numRuns: 60 },
    );
  });

  it("gives bytes that are the caller's: what is said later does not change them", () => {
    const encoder = new MessageEncoder();
    for (const bitfieldBytes of [2, 5000, 2]) {
      encoder.keepAlive();
      encoder.bitfield(new Uint8Array(bitfieldBytes).fill(7));
      const bytes = encoder.take();
      const before = bytes.toHex();
      assert.equal(bytes.length, 9 + bitfieldBytes);
      assert.equal(bytes.buffer.byteLength, bytes.length, "no more memory is held than its own");
      encoder.bitfield(new Uint8Array(6000).fill(9));
      encoder.take();
      assert.equal(bytes.toHex(), before);
    }
    assert.equal(encoder.take().length, 0);
  });

  it("takes a bitfield of any torrent, also one of more than 64 KiB, and an empty one", () => {
    for (const pieceCount of [0, 1, 8, 9, 1_000_000]) {
      const bitfield = new Uint8Array(Math.ceil(pieceCount / 8)).fill(1);
      for (const chunkBytes of [1e9, 1000]) {
        const listener = new RecordingListener();
        const decoder = new MessageDecoder({ listener, pieceCount, supportsFast: true });
        const bytes = encode([{ type: "bitfield", bytes: [...bitfield] }, { type: "choke" }]);
        for (let at = 0; at < bytes.length; at += chunkBytes)
          decoder.push(bytes.subarray(at, at + chunkBytes));
        assert.equal(listener.heard.length, 2);
        const [heard] = listener.heard;
        assert.ok(heard?.type === "bitfield" && heard.bytes.length === bitfield.length);
      }
    }
  });

  it("takes extended and unknown messages of 64 KiB, and blocks of 16 KiB and of one byte", () => {
    const payload = Array.from({ length: 64 * 1024 }, (_, at) => at & 255);
    const extended: Message = { type: "extended", extensionId: 255, payload };
    assert.deepEqual(decode(encode([extended])).heard, [extended]);
    const unknown = new Uint8Array(4 + 1 + 64 * 1024);
    unknown.set([0, 1, 0, 1, 99]);
    assert.deepEqual(decode(Buffer.concat([unknown, encode([{ type: "choke" }])])).heard, [
      { type: "choke" },
    ]);
    for (const lengthBytes of [1, BLOCK_LENGTH_BYTES]) {
      const block: Message = {
        type: "block",
        range: [20, 0, lengthBytes],
        bytes: Array.from({ length: lengthBytes }, () => 3),
      };
      assert.deepEqual(decode(encode([block])).heard, [block]);
    }
    assert.deepEqual(decode(encode([{ type: "extended", extensionId: 1, payload: [] }])).heard, [
      { type: "extended", extensionId: 1, payload: [] },
    ]);
  });

  it("takes a run of blocks as storage lays it out, into the places that the listener names", () => {
    const file = Uint8Array.from({ length: 5 * BLOCK_LENGTH_BYTES - 77 }, (_, at) => (at * 31) ^ (at >> 8));
    const frames = new Uint8Array(file.length + 5 * PIECE_HEADER_BYTES);
    for (let offset = 0, at = 0; offset < file.length; offset += BLOCK_LENGTH_BYTES) {
      const block = file.subarray(offset, offset + BLOCK_LENGTH_BYTES);
      const payloadAt = writePieceHeader(frames, at, 3, offset, block.length);
      frames.set(block, payloadAt);
      at = payloadAt + block.length;
    }
    const piece = new Uint8Array(file.length);
    const listener = new RecordingListener();
    listener.placeFor = ([, offset, length]) => piece.subarray(offset, offset + length);
    const decoder = new MessageDecoder({ listener, pieceCount: PIECE_COUNT, supportsFast: true });
    for (let at = 0; at < frames.length; at += 16_000) decoder.push(frames.subarray(at, at + 16_000));
    assert.equal(listener.heard.length, 5);
    assert.deepEqual(piece, file);
  });

  it("skips a block that nobody wants, and goes on behind it", () => {
    const listener = new RecordingListener();
    listener.placeFor = ([pieceIndex]) => (pieceIndex === 1 ? undefined : new Uint8Array(3));
    const decoder = new MessageDecoder({ listener, pieceCount: PIECE_COUNT, supportsFast: true });
    const unwanted: Message = { type: "block", range: [1, 0, 3], bytes: [1, 2, 3] };
    const wanted: Message = { type: "block", range: [2, 0, 3], bytes: [4, 5, 6] };
    for (const byte of encode([unwanted, wanted])) decoder.push(Uint8Array.of(byte));
    assert.deepEqual(listener.heard, [wanted]);
  });

  it("delivers nothing after stop, not even the rest of the chunk", () => {
    const listener = new RecordingListener();
    const decoder = new MessageDecoder({ listener, pieceCount: PIECE_COUNT, supportsFast: true });
    listener.onMessage = () => decoder.stop();
    decoder.push(encode([{ type: "choke" }, { type: "unchoke" }]));
    decoder.push(encode([{ type: "unchoke" }]));
    assert.deepEqual(listener.heard, [{ type: "choke" }]);
  });

  it("passes by keep-alives, allowed-fast and messages it does not know", () => {
    const bytes = hex("00000000 00000005 11 00000002 00000003 09 1ae1 0000000100 00000002 63 ff");
    assert.deepEqual(decode(bytes).heard, [{ type: "choke" }]);
  });

  it("lets an extended message come before the bitfield, as other clients send it", () => {
    const messages: Message[] = [
      { type: "extended", extensionId: 0, payload: [0x64, 0x65] },
      { type: "bitfield", bytes: [1, 2, 8] },
    ];
    assert.deepEqual(decode(encode(messages)).heard, messages);
  });
});

describe("what a stranger sends", () => {
  it("refuses a huge length at once, with four bytes seen", () => {
    refused(hex("ffffffff"), /4294967295 bytes/);
    refused(hex("00100000"), /1048576 bytes/);
  });

  it("refuses a message that has not the length of its id", () => {
    refused(hex("00000002 00 00"), /message 0 has 1 bytes, not 2/);
    refused(hex("00000004 04 000000"), /message 4/);
    refused(hex("0000000c 06"), /message 6/);
    refused(hex("0000000e 10"), /message 16/);
    refused(hex("00000003 05 0000"), /bitfield of 2 bytes for 21 pieces/);
    refused(hex("00000001 14"), /extended message of 0 bytes/);
    refused(hex("00010003 14"), /message/);
    refused(hex("00010003 63"), /message/);
  });

  it("refuses a block that is empty or longer than 16 KiB", () => {
    refused(hex("00000009 07 00000000 00000000"), /block of 0 bytes/);
    refused(hex("00000001 07"), /block of -8 bytes/);
    refused(hex("0000400a 07"), /block of 16385 bytes/);
  });

  it("refuses a piece that the torrent has not", () => {
    const range = "00000015 00000000 00000001";
    for (const id of ["04", "0d"]) refused(hex(`00000005 ${id} 00000015`), /piece 21 of 21/);
    for (const id of ["06", "08", "10"]) refused(hex(`0000000d ${id} ${range}`), /piece 21 of 21/);
    refused(hex("0000000a 07 ffffffff 00000000 00"), /piece 4294967295 of 21/);
  });

  it("refuses bitfield, have all and have none that do not come first", () => {
    for (const late of ["00000004 05 000000", "00000001 0e", "00000001 0f"]) {
      refused(hex(`0000000100 ${late}`), /only come first/);
      refused(hex(`000000010e ${late}`), /only come first/);
    }
  });

  it("refuses the fast extension's messages where it was not agreed on, and no others", () => {
    for (const message of [
      "00000005 0d 00000001",
      "00000001 0e",
      "00000001 0f",
      "0000000d 10 000000010000000200000003",
      "00000005 11 00000001",
    ]) {
      refused(hex(message), /not agreed on/, false);
      decode(hex(message));
    }
    const others =
      "0000000d 08 00000001 00000002 00000003  00000002 0c ff  00000002 12 ff  00000003 14 01 02";
    assert.deepEqual(
      decode(hex(others), [], false).heard.map(({ type }) => type),
      ["cancel", "extended"],
    );
  });

  it("lets messages that it does not know come before the bitfield", () => {
    const bytes = hex("00000002 63 ff 00000000 00000004 05 010208");
    assert.deepEqual(decode(bytes).heard, [{ type: "bitfield", bytes: [1, 2, 8] }]);
  });

  it("is told of a wrong place by an error, not by overwritten memory", () => {
    const listener = new RecordingListener();
    listener.placeFor = () => new Uint8Array(2);
    const decoder = new MessageDecoder({ listener, pieceCount: PIECE_COUNT, supportsFast: true });
    assert.throws(() => decoder.push(encode([{ type: "block", range: [0, 0, 3], bytes: [1, 2, 3] }])), {
      code: "INTERNAL",
    });
  });

  it("never makes the decoder throw anything but MALFORMED_MESSAGE, or deliver anything after that", () => {
    const garbage = fc.uint8Array({ maxLength: 400 });
    const mutated = fc
      .tuple(
        conversations(PIECE_COUNT),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      )
      .map(([messages, changes]) => {
        const bytes = encode(messages);
        for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(garbage, mutated), fc.array(fc.nat(), { maxLength: 8 }), (bytes, cuts) => {
        const whole = outcome(bytes, []);
        assert.deepEqual(outcome(bytes, cuts), whole);
      }),
      { numRuns: 400 },
    );
  });

  function outcome(bytes: Uint8Array, cuts: readonly number[]): unknown {
    const listener = new RecordingListener();
    const decoder = new MessageDecoder({ listener, pieceCount: PIECE_COUNT, supportsFast: true });
    const places = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
    try {
      places.reduce((at, place) => {
        decoder.push(bytes.subarray(at, place));
        return place;
      }, 0);
      return { heard: listener.heard };
    } catch (error) {
      assert.ok(error instanceof MiniTorrentError && error.code === "MALFORMED_MESSAGE", String(error));
      const heard = listener.heard.length;
      decoder.push(hex("0000000100"));
      assert.equal(listener.heard.length, heard);
      return { heard: listener.heard, refused: true };
    }
  }
});
