// A connection's sending side that writes down, as short texts, what is said on it.
import { BLOCK_LENGTH_BYTES } from "../../../src/metainfo/geometry.ts";
import { decodeExtensionHandshake, type ExtensionHandshake } from "../../../src/wire/extensions.ts";
import type { Farewell } from "../../../src/wire/farewell.ts";
import { readUint32 } from "../../../src/wire/integers.ts";
import type { PeerLink } from "../../../src/wire/messages.ts";

export class RecordingLink implements PeerLink {
  readonly said: string[] = [];
  readonly farewells: Farewell[] = [];
  readonly handshakes: ExtensionHandshake[] = [];
  readonly sent: { bytes: Uint8Array; done: () => void }[] = [];
  hasRoom = true;

  take(): string[] {
    return this.said.splice(0);
  }
  choke(): void {
    this.said.push("choke");
  }
  unchoke(): void {
    this.said.push("unchoke");
  }
  interested(): void {
    this.said.push("interested");
  }
  notInterested(): void {
    this.said.push("not interested");
  }
  have(pieceIndex: number): void {
    this.said.push(`have ${pieceIndex}`);
  }
  bitfield(bytes: Uint8Array): void {
    this.said.push(`bitfield ${Buffer.from(bytes).toString("hex")}`);
  }
  haveAll(): void {
    this.said.push("have all");
  }
  haveNone(): void {
    this.said.push("have none");
  }
  suggest(pieceIndex: number): void {
    this.said.push(`suggest ${pieceIndex}`);
  }
  request(pieceIndex: number, offsetBytes: number, lengthBytes: number): void {
    this.said.push(`request ${rangeText(pieceIndex, offsetBytes, lengthBytes)}`);
  }
  cancel(pieceIndex: number, offsetBytes: number, lengthBytes: number): void {
    this.said.push(`cancel ${rangeText(pieceIndex, offsetBytes, lengthBytes)}`);
  }
  reject(pieceIndex: number, offsetBytes: number, lengthBytes: number): void {
    this.said.push(`reject ${rangeText(pieceIndex, offsetBytes, lengthBytes)}`);
  }
  extended(extensionId: number, payload: Uint8Array): void {
    this.handshakes.push(decodeExtensionHandshake(payload));
    this.said.push(`extended ${extensionId}`);
  }
  sendBlocks(bytes: Uint8Array, done: () => void): boolean {
    this.sent.push({ bytes, done });
    this.said.push(`blocks ${readUint32(bytes, 5)}:${readUint32(bytes, 9)} ${bytes.length}`);
    return this.hasRoom;
  }
  close(reason: string, farewell?: Farewell): void {
    this.said.push(`close: ${reason}`);
    if (farewell !== undefined) this.farewells.push(farewell);
  }
}

/** Piece and block; with the length, unless it is a whole block's. */
function rangeText(pieceIndex: number, offsetBytes: number, lengthBytes: number): string {
  const place = `${pieceIndex}:${offsetBytes / BLOCK_LENGTH_BYTES}`;
  return lengthBytes === BLOCK_LENGTH_BYTES ? place : `${place} of ${lengthBytes} bytes`;
}

/** Piece and block of each request in what was said. */
export function requestsIn(said: readonly string[]): [number, number][] {
  return rangesIn(said, "request");
}

/** Piece and block of each cancel in what was said. */
export function cancelsIn(said: readonly string[]): [number, number][] {
  return rangesIn(said, "cancel");
}

function rangesIn(said: readonly string[], what: string): [number, number][] {
  return said.flatMap((line) => {
    const match = /^(\w+) (\d+):(\d+)/.exec(line);
    return match === null || match[1] !== what ? [] : [[Number(match[2]), Number(match[3])]];
  });
}
