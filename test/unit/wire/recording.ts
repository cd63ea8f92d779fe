// A listener that writes down what it hears, and messages as data, for the tests of codecs and sockets.
import fc from "fast-check";
import { BLOCK_LENGTH_BYTES } from "../../../src/metainfo/geometry.ts";
import type { PeerListener, PeerMessages } from "../../../src/wire/messages.ts";

export type Range = readonly [pieceIndex: number, offsetBytes: number, lengthBytes: number];

export type Message =
  | { type: "choke" | "unchoke" | "interested" | "notInterested" | "haveAll" | "haveNone" }
  | { type: "have" | "suggest"; pieceIndex: number }
  | { type: "request" | "cancel" | "reject"; range: Range }
  | { type: "bitfield"; bytes: number[] }
  | { type: "extended"; extensionId: number; payload: number[] }
  | { type: "block"; range: Range; bytes: number[] };

/** Writes down every message; takes every block unless `placeFor` says otherwise. */
export class RecordingListener implements PeerListener {
  readonly heard: Message[] = [];
  readonly closedReasons: string[] = [];
  writableCount = 0;
  placeFor: (range: Range) => Uint8Array | undefined = ([, , lengthBytes]) => new Uint8Array(lengthBytes);
  onMessage: (message: Message) => void = () => {};
  onWritable: () => void = () => {};
  onClosed: (reason: string) => void = () => {};
  #place: Uint8Array = new Uint8Array(0);

  #hear(message: Message): void {
    this.heard.push(message);
    this.onMessage(message);
  }

  choke(): void {
    this.#hear({ type: "choke" });
  }
  unchoke(): void {
    this.#hear({ type: "unchoke" });
  }
  interested(): void {
    this.#hear({ type: "interested" });
  }
  notInterested(): void {
    this.#hear({ type: "notInterested" });
  }
  have(pieceIndex: number): void {
    this.#hear({ type: "have", pieceIndex });
  }
  bitfield(bytes: Uint8Array): void {
    this.#hear({ type: "bitfield", bytes: [...bytes] });
  }
  haveAll(): void {
    this.#hear({ type: "haveAll" });
  }
  haveNone(): void {
    this.#hear({ type: "haveNone" });
  }
  suggest(pieceIndex: number): void {
    this.#hear({ type: "suggest", pieceIndex });
  }
  request(...range: Range): void {
    this.#hear({ type: "request", range });
  }
  cancel(...range: Range): void {
    this.#hear({ type: "cancel", range });
  }
  reject(...range: Range): void {
    this.#hear({ type: "reject", range });
  }
  extended(extensionId: number, payload: Uint8Array): void {
    this.#hear({ type: "extended", extensionId, payload: [...payload] });
  }
  blockBegins(...range: Range): Uint8Array | undefined {
    const place = this.placeFor(range);
    if (place !== undefined) this.#place = place;
    return place;
  }
  blockEnds(...range: Range): void {
    this.#hear({ type: "block", range, bytes: [...this.#place] });
  }
  writable(): void {
    this.writableCount++;
    this.onWritable();
  }
  closed(reason: string): void {
    this.closedReasons.push(reason);
    this.onClosed(reason);
  }
}

/** Says a message; a block is not one of those. */
export function say(speaker: PeerMessages, message: Exclude<Message, { type: "block" }>): void {
  switch (message.type) {
    case "have":
    case "suggest":
      return void speaker[message.type](message.pieceIndex);
    case "request":
    case "cancel":
    case "reject":
      return void speaker[message.type](...message.range);
    case "bitfield":
      return void speaker.bitfield(Uint8Array.from(message.bytes));
    case "extended":
      return void speaker.extended(message.extensionId, Uint8Array.from(message.payload));
    default:
      return void speaker[message.type]();
  }
}

/** Plain objects, so that strict equality compares contents alone. */
const plain = { noNullPrototype: true };
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const byte = fc.integer({ min: 0, max: 255 });

/** Any messages that a correct peer may send in a torrent of that many pieces, in an order that is allowed. */
export function conversations(pieceCount: number): fc.Arbitrary<Message[]> {
  const pieceIndex = fc.integer({ min: 0, max: pieceCount - 1 });
  const bitfieldBytes = Math.ceil(pieceCount / 8);
  const opening = fc.oneof(
    fc.record({ type: fc.constantFrom("haveAll" as const, "haveNone" as const) }, plain),
    fc.record(
      {
        type: fc.constant("bitfield" as const),
        bytes: fc.array(byte, { minLength: bitfieldBytes, maxLength: bitfieldBytes }),
      },
      plain,
    ),
  );
  const extended = fc.record(
    {
      type: fc.constant("extended" as const),
      extensionId: byte,
      payload: fc.array(byte, { maxLength: 300 }),
    },
    plain,
  );
  const block = fc
    .tuple(pieceIndex, uint32, fc.array(byte, { minLength: 1, maxLength: 100 }))
    .chain(([index, offset, seed]) =>
      fc.constantFrom(seed.length, BLOCK_LENGTH_BYTES, 4000).map((length): Message => {
        const bytes = Array.from({ length }, (_, at) => seed[at % seed.length] ?? 0);
        return { type: "block", range: [index, offset, length], bytes };
      }),
    );
  const later = fc.oneof(
    fc.record(
      {
        type: fc.constantFrom(
          "choke" as const,
          "unchoke" as const,
          "interested" as const,
          "notInterested" as const,
        ),
      },
      plain,
    ),
    fc.record({ type: fc.constantFrom("have" as const, "suggest" as const), pieceIndex }, plain),
    fc.record(
      {
        type: fc.constantFrom("request" as const, "cancel" as const, "reject" as const),
        range: fc.tuple(pieceIndex, uint32, uint32),
      },
      plain,
    ),
    extended,
    block,
  );
  return fc
    .tuple(
      fc.array(extended, { maxLength: 1 }),
      fc.array(opening, { maxLength: 1 }),
      fc.array(later, { maxLength: 12 }),
    )
    .map((parts): Message[] => parts.flat());
}
