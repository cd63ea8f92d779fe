// One end of a connection in the simulated network. Blocks wait in its queue for the host's uplink. How many bytes are on
// the way to a host is bounded, over all connections to it, by what its downlink takes in a round trip and a bit more:
// what congestion control comes to, without its oscillations and its slow start. Small messages take no bandwidth; they
// are late by the path's latency, and wait in the receiver's downlink as blocks do, and behind what the sender's kernel
// has in its buffer (`socketBytes` of the network), which counts as sent as soon as it is there.

import { asMiniTorrentError } from "../../src/api/errors.ts";
import { PIECE_HEADER_BYTES } from "../../src/metainfo/piece-header.ts";
import { EXTENSION_HANDSHAKE_ID } from "../../src/wire/extensions.ts";
import { encodeFarewell, type Farewell } from "../../src/wire/farewell.ts";
import { readUint32 } from "../../src/wire/integers.ts";
import type { PeerLink, PeerListener } from "../../src/wire/messages.ts";
import type { Host } from "./simulated-host.ts";

/** Past this many bytes waiting, a connection says that it has enough. */
const HIGH_WATER_BYTES = 256 * 1024;
/** Besides a round trip's worth, routers keep so much of what is on the way to a host. */
const QUEUED_SECONDS = 0.05;
const MIN_ON_THE_WAY_BYTES = 64 * 1024;

export interface Block {
  readonly pieceIndex: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly mark: number;
}

export type Message = (listener: PeerListener) => void;
export type Item = Block | Message;

export class SimulatedLink implements PeerLink {
  readonly host: Host;
  listener: PeerListener | undefined;
  #other: SimulatedLink | undefined;
  #latencyMs = 0;
  #mostOnTheWayBytes = 0;
  #queue: Item[] = [];
  #queueHead = 0;
  #queuedBytes = 0;
  /** All bytes of blocks ever queued, and those that went on their way. */
  #pushedBytes = 0;
  #leftBytes = 0;
  /** What waits until the kernel has taken so many of all bytes. */
  readonly #untaken: { readonly untilBytes: number; readonly sent: () => void }[] = [];
  #isHeld = false;
  /** In one of the two hosts' lists of connections with a block to send, or sending it. */
  #isInTurn = false;
  #isClosed = false;
  closedBecause: string | undefined;

  constructor(host: Host) {
    this.host = host;
  }

  join(other: SimulatedLink): void {
    this.#other = other;
    this.#latencyMs = this.host.latencyMs + other.host.latencyMs;
    const seconds = (2 * this.#latencyMs) / 1000 + QUEUED_SECONDS;
    this.#mostOnTheWayBytes = Math.max(MIN_ON_THE_WAY_BYTES, other.host.downBytesPerSecond * seconds);
  }

  choke(): void {
    this.#say((listener) => listener.choke());
  }
  unchoke(): void {
    this.#say((listener) => listener.unchoke());
  }
  interested(): void {
    this.#sayAtOnce((listener) => listener.interested());
  }
  notInterested(): void {
    this.#sayAtOnce((listener) => listener.notInterested());
  }
  have(pieceIndex: number): void {
    this.#sayAtOnce((listener) => listener.have(pieceIndex));
  }
  bitfield(bytes: Uint8Array): void {
    this.#sayAtOnce((listener) => listener.bitfield(bytes));
  }
  haveAll(): void {
    this.#sayAtOnce((listener) => listener.haveAll());
  }
  haveNone(): void {
    this.#sayAtOnce((listener) => listener.haveNone());
  }
  suggest(pieceIndex: number): void {
    this.#sayAtOnce((listener) => listener.suggest(pieceIndex));
  }
  request(pieceIndex: number, offsetBytes: number, lengthBytes: number): void {
    this.#sayAtOnce((listener) => listener.request(pieceIndex, offsetBytes, lengthBytes));
  }
  cancel(pieceIndex: number, offsetBytes: number, lengthBytes: number): void {
    this.#sayAtOnce((listener) => listener.cancel(pieceIndex, offsetBytes, lengthBytes));
  }
  reject(pieceIndex: number, offsetBytes: number, lengthBytes: number): void {
    this.#say((listener) => listener.reject(pieceIndex, offsetBytes, lengthBytes));
  }
  extended(extensionId: number, payload: Uint8Array): void {
    this.#sayAtOnce((listener) => listener.extended(extensionId, payload));
  }

  sendBlocks(frames: Uint8Array, sent: () => void): boolean {
    if (this.#isClosed) {
      this.host.network.clock.schedule(0, sent);
      return true;
    }
    for (let at = 0; at < frames.length; ) {
      const lengthBytes = readUint32(frames, at) - (PIECE_HEADER_BYTES - 4);
      const end = at + PIECE_HEADER_BYTES + lengthBytes;
      this.#queue.push({
        pieceIndex: readUint32(frames, at + 5),
        offsetBytes: readUint32(frames, at + 9),
        lengthBytes,
        mark: frames[at + PIECE_HEADER_BYTES] ?? 0,
      });
      this.#queuedBytes += lengthBytes;
      this.#pushedBytes += lengthBytes;
      at = end;
    }
    this.#untaken.push({ untilBytes: this.#pushedBytes, sent });
    this.#isHeld = this.#queuedBytes - this.#socketBytes > HIGH_WATER_BYTES;
    const hasRoom = !this.#isHeld;
    this.#kernelTakes();
    this.#takeTurn();
    return hasRoom;
  }

  close(reason: string, farewell?: Farewell): void {
    const wasClosed = this.#isClosed;
    this.#end(reason);
    const other = this.#other;
    if (other === undefined || this.host.isFrozen) return;
    this.host.network.clock.schedule(this.#latencyMs, () => {
      if (farewell !== undefined && !wasClosed)
        other.listen((listener) => listener.extended(EXTENSION_HANDSHAKE_ID, encodeFarewell(farewell)));
      other.#end(reason);
    });
  }

  /** The block whose turn it is, if it may go on its way; otherwise its turn comes again. */
  takeBlock(): Block | undefined {
    const receiver = this.#other?.host;
    const head = this.#queue[this.#queueHead];
    if (typeof head !== "object" || receiver === undefined) {
      this.#isInTurn = false;
      return undefined;
    }
    if (receiver.onTheWayBytes >= this.#mostOnTheWayBytes) {
      receiver.waitForRoom(this);
      return undefined;
    }
    receiver.onTheWayBytes += head.lengthBytes;
    this.#queueHead++;
    this.#queuedBytes -= head.lengthBytes;
    this.#leftBytes += head.lengthBytes;
    return head;
  }

  /** The block that was taken has left. */
  blockIsSent(): void {
    this.#isInTurn = false;
    this.#kernelTakes();
    this.#flush();
    if (this.#queueHead === this.#queue.length) {
      this.#queue.length = 0;
      this.#queueHead = 0;
    }
    this.#takeTurn();
  }

  carry(item: Item): void {
    const other = this.#other;
    if (other === undefined || this.host.isFrozen) return;
    this.host.network.clock.schedule(this.#latencyMs, () => other.host.arrived(other, item));
  }

  /** Lets the listener hear something; what it throws closes the connection, as it does on a real one. */
  listen(what: Message): void {
    if (this.#isClosed || this.host.isFrozen || this.listener === undefined) return;
    try {
      what(this.listener);
    } catch (error) {
      const known = asMiniTorrentError(error);
      if (known.code === "INTERNAL") throw error;
      this.close(known.message);
    }
  }

  get #socketBytes(): number {
    return this.host.network.socketBytes;
  }

  /** As much as there is room for. */
  #kernelTakes(): void {
    const takenBytes = this.#leftBytes + this.#socketBytes;
    for (let head = this.#untaken[0]; head !== undefined; head = this.#untaken[0]) {
      if (head.untilBytes > takenBytes) return;
      this.#untaken.shift();
      this.host.network.clock.schedule(0, head.sent);
    }
  }

  /** Before the blocks that wait (transport/send-queue.ts), behind those that the kernel has. */
  #sayAtOnce(what: Message): void {
    if (this.#isClosed) return;
    let place = this.#queueHead;
    let aheadBytes = 0;
    for (let item = this.#queue[place]; item !== undefined; item = this.#queue[++place]) {
      if (typeof item === "function") continue;
      aheadBytes += item.lengthBytes;
      if (aheadBytes > this.#socketBytes) break;
    }
    if (place === this.#queueHead) this.carry(what);
    else this.#queue.splice(place, 0, what);
  }

  /** In turn with the blocks. */
  #say(what: Message): void {
    if (this.#isClosed) return;
    this.#queue.push(what);
    this.#flush();
  }

  /** Small messages at the head of the queue leave at once. */
  #flush(): void {
    for (
      let item = this.#queue[this.#queueHead];
      typeof item === "function";
      item = this.#queue[this.#queueHead]
    ) {
      this.#queueHead++;
      this.carry(item);
    }
    if (this.#isHeld && this.#queuedBytes <= this.#socketBytes) {
      this.#isHeld = false;
      this.listen((listener) => listener.writable());
    }
  }

  #takeTurn(): void {
    if (this.#isInTurn || this.#queueHead === this.#queue.length) return;
    this.#isInTurn = true;
    this.host.isReady(this);
  }

  #end(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.closedBecause = reason;
    this.#queue = [];
    this.#queueHead = 0;
    this.#queuedBytes = 0;
    this.host.links.delete(this);
    this.host.network.clock.schedule(0, () => {
      for (const { sent } of this.#untaken.splice(0)) sent();
      if (!this.host.isFrozen) this.listener?.closed(reason);
    });
  }
}
