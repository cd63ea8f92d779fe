// A TLS connection to a member that carries the wire protocol (BEP 3, 6, 10): incoming bytes go through the decoder to a
// listener, outgoing messages and blocks through the send queue. It makes no decisions about the swarm.
import type { Duplex } from "node:stream";
import type { Logger } from "pino";
import { type Address, canonicalHost, formatAddress } from "../api/addresses.ts";
import { MiniTorrentError } from "../api/errors.ts";
import type { MemberIdentity } from "../identity/certificates.ts";
import { Bitfield } from "../metainfo/bitfield.ts";
import { type Guard, guardOf } from "../net/connection-guard.ts";
import { MessageDecoder } from "../wire/decoder.ts";
import { MessageEncoder } from "../wire/encoder.ts";
import { EXTENSION_HANDSHAKE_ID } from "../wire/extensions.ts";
import { encodeFarewell, type Farewell } from "../wire/farewell.ts";
import type { Handshake } from "../wire/handshake.ts";
import type { PeerLink, PeerListener } from "../wire/messages.ts";
import type { HandshakeBuffer } from "./handshake-buffer.ts";
import { SendQueue } from "./send-queue.ts";

/** How often idle and stalled connections are checked. */
const TICK_MS = 30_000;
/** BEP 3: keep-alives are "generally sent once every two minutes". */
const KEEP_ALIVE_TICKS = 4;
/** Twice as long without a byte: the peer is gone without having closed the connection. */
const SILENCE_TICKS = 8;
/**
 * A write still pending after this many ticks: the peer has not read for at least 30 s. Closing it frees the pieces that wait for
 * it. A write has at most 1 MiB, and far less to a slow peer.
 */
const STALLED_TICKS = 2;
/** How long a farewell may take to be sent: a peer that still reads has it after one round trip. */
const FAREWELL_MS = 1_000;
/**
 * TCP keep-alive (tcp(7), SO_KEEPALIVE): the kernel probes a quiet connection, and closes it after 10 + 5 · 2 s without an
 * answer. The peer's kernel answers, so a slow or busy peer is not taken for a dead one.
 */
const KEEP_ALIVE = { idleMs: 10_000, intervalMs: 2_000, count: 5 };
/** Longest delay of setTimeout. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The part of TLSSocket that is used. */
export interface PeerStream extends Duplex {
  readonly localAddress?: string | undefined;
  setKeepAlive(isOn: boolean, idleMs: number, intervalMs: number, count: number): unknown;
}

export interface PeerSocketParts {
  readonly socket: PeerStream;
  /** Receives the socket's bytes; reading is paused until `start`. */
  readonly handshakeBuffer: HandshakeBuffer;
  readonly member: MemberIdentity;
  readonly handshake: Handshake;
  readonly address: Address;
  readonly isDialled: boolean;
  readonly log: Logger;
}

export class PeerSocket implements PeerLink {
  /** 40 hex digits. */
  readonly infoHash: string;
  /** From the peer's certificate, as are the next three. */
  readonly userId: string;
  readonly deviceId: string;
  readonly membershipId: string;
  readonly certificateValidUntilMs: number;
  /** The other end's address; the port is the one it listens on only if `isDialled`. */
  readonly address: Address;
  readonly isDialled: boolean;
  readonly supportsFast: boolean;
  readonly supportsExtensions: boolean;
  /** From the BitTorrent handshake, 20 bytes. */
  readonly peerId: Uint8Array;
  /** The address of this machine that the connection uses. */
  readonly localHost: string;

  readonly #socket: PeerStream;
  readonly #handshakeBuffer: HandshakeBuffer;
  readonly #log: Logger;
  /** Wraps all handlers of the socket, its timers and its queue. */
  readonly #guard: Guard = guardOf((error) => this.#closeFor(error));
  readonly #queue: SendQueue;
  readonly #ticker: NodeJS.Timeout;
  #certificateTimer: NodeJS.Timeout | undefined;
  #listener: PeerListener | undefined;
  #onGone: () => void = () => undefined;
  #decoder: MessageDecoder | undefined;
  #pieceCount = 0;
  #ticksSinceSent = 0;
  #ticksSinceReceived = 0;
  #receivedAtMs = performance.now();
  #ticksInWrite = 0;
  /** Set when closing begins. */
  #closeReason: string | undefined;
  #isGone = false;
  #isClosedTold = false;

  constructor({ socket, handshakeBuffer, member, handshake, address, isDialled, log }: PeerSocketParts) {
    this.infoHash = handshake.infoHash;
    this.userId = member.userId;
    this.deviceId = member.deviceId;
    this.membershipId = member.membershipId;
    this.certificateValidUntilMs = member.validUntilMs;
    this.address = address;
    this.isDialled = isDialled;
    this.supportsFast = handshake.supportsFast;
    this.supportsExtensions = handshake.supportsExtensions;
    this.peerId = handshake.peerId;
    this.localHost = canonicalHost(socket.localAddress ?? "");
    socket.setKeepAlive(true, KEEP_ALIVE.idleMs, KEEP_ALIVE.intervalMs, KEEP_ALIVE.count);
    this.#socket = socket;
    this.#handshakeBuffer = handshakeBuffer;
    this.#log = log;
    this.#queue = new SendQueue({
      write: (bytes, written) => {
        this.#ticksSinceSent = 0;
        this.#ticksInWrite = 0;
        socket.write(bytes, this.#guard("written", written));
      },
      guard: this.#guard,
      onRoom: () => this.#tell((listener) => listener.writable()),
      onFlooded: () => this.close("it does not read the answers to what it says"),
    });
    this.#ticker = setInterval(
      this.#guard("tick", () => this.#tick()),
      TICK_MS,
    ).unref();
    this.#watchCertificate();
    socket.on("error", (error) => this.close(`the connection failed: ${error.message}`));
    socket.on("end", () => {
      this.close("the peer closed the connection");
      socket.destroy();
    });
    // One guard each, so that a failure of one does not skip the other.
    socket.on(
      "close",
      this.#guard("end", () => this.#gone()),
    );
    socket.on(
      "close",
      this.#guard("end", () => this.#tellClosed()),
    );
  }

  /**
   * Starts to deliver messages, beginning with those received since the handshake, after this call has returned.
   *
   * @param pieceCount of the torrent with that info-hash
   * @param onGone called once, after the listener's `closed`
   */
  start(listener: PeerListener, pieceCount: number, onGone: () => void = () => undefined): void {
    if (this.#listener !== undefined)
      throw new MiniTorrentError("INTERNAL", "A peer socket is started once.");
    this.#listener = listener;
    this.#onGone = onGone;
    this.#pieceCount = pieceCount;
    const decoder = new MessageDecoder({ listener, pieceCount, supportsFast: this.supportsFast });
    this.#decoder = decoder;
    const take = (chunk: Uint8Array, lengthBytes: number): void => {
      this.#ticksSinceReceived = 0;
      this.#receivedAtMs = performance.now();
      if (this.#closeReason === undefined) decoder.push(chunk, 0, lengthBytes);
    };
    const begin = (): void => {
      if (this.#isGone) {
        this.#tellClosed();
        return;
      }
      this.#handshakeBuffer.release(this.#guard("message", take));
      this.#socket.resume();
    };
    queueMicrotask(this.#guard("start", begin));
  }

  /** Sent after the waiting blocks: a choked peer expects no blocks (BEP 3). `unchoke` and `reject` keep that order too. */
  choke(): void {
    this.#queue.messagesInOrder.choke();
  }

  unchoke(): void {
    this.#queue.messagesInOrder.unchoke();
  }

  interested(): void {
    this.#queue.messages.interested();
  }

  notInterested(): void {
    this.#queue.messages.notInterested();
  }

  have(pieceIndex: number): void {
    this.#queue.messages.have(pieceIndex);
  }

  bitfield(bytes: Uint8Array): void {
    this.#queue.messages.bitfield(bytes);
  }

  /** Sent as a bitfield to a peer without the fast extension. */
  haveAll(): void {
    if (this.supportsFast) {
      this.#queue.messages.haveAll();
    } else {
      this.#queue.messages.bitfield(Bitfield.full(this.#pieceCount).toBytes());
    }
  }

  /** Not sent to a peer without the fast extension: no bitfield means the same. */
  haveNone(): void {
    if (this.supportsFast) this.#queue.messages.haveNone();
  }

  /** Not sent to a peer without the fast extension. */
  suggest(pieceIndex: number): void {
    if (this.supportsFast) this.#queue.messages.suggest(pieceIndex);
  }

  request(pieceIndex: number, offsetBytes: number, lengthBytes: number): void {
    this.#queue.messages.request(pieceIndex, offsetBytes, lengthBytes);
  }

  cancel(pieceIndex: number, offsetBytes: number, lengthBytes: number): void {
    this.#queue.messages.cancel(pieceIndex, offsetBytes, lengthBytes);
  }

  /** Not sent to a peer without the fast extension. */
  reject(pieceIndex: number, offsetBytes: number, lengthBytes: number): void {
    if (this.supportsFast) this.#queue.messagesInOrder.reject(pieceIndex, offsetBytes, lengthBytes);
  }

  extended(extensionId: number, payload: Uint8Array): void {
    if (this.supportsExtensions) this.#queue.messages.extended(extensionId, payload);
  }

  sendBlocks(frames: Uint8Array, sent: () => void): boolean {
    return this.#queue.sendBlocks(frames, sent);
  }

  /** Time since the last received byte. */
  get silentMs(): number {
    return performance.now() - this.#receivedAtMs;
  }

  close(reason: string, farewell?: Farewell): void {
    if (this.#closeReason !== undefined) return;
    this.#closeReason = reason;
    this.#decoder?.stop();
    this.#log.debug({ ...this.#logFacts(), reason }, "peer connection closed");
    if (farewell === undefined || !this.supportsExtensions || !this.#socket.writable) this.#socket.destroy();
    else this.#leave(farewell);
  }

  /** Closed at once for this side; the socket stays open until the farewell has arrived, at most a second. */
  #leave(farewell: Farewell): void {
    const socket = this.#socket;
    const encoder = new MessageEncoder();
    encoder.extended(EXTENSION_HANDSHAKE_ID, encodeFarewell(farewell));
    this.#queue.stop();
    socket.end(encoder.take());
    // Reads and discards further input: closing a socket with unread bytes resets the connection and loses the farewell.
    const drop = (): void => {
      this.#handshakeBuffer.release(() => undefined);
      socket.resume();
    };
    queueMicrotask(this.#guard("farewell", drop));
    const timer = setTimeout(
      this.#guard("farewell", () => socket.destroy()),
      FAREWELL_MS,
    ).unref();
    socket.on("close", () => clearTimeout(timer));
    setImmediate(
      this.#guard("end", () => {
        this.#endTimers();
        this.#tellClosed();
      }),
    );
  }

  #closeFor(error: unknown): void {
    if (error instanceof MiniTorrentError && error.code !== "INTERNAL") {
      this.#log.info({ ...this.#logFacts(), err: error }, "peer broke the protocol");
      this.close(error.message);
    } else {
      this.#log.error({ ...this.#logFacts(), err: error }, "a listener failed");
      this.close("something went wrong inside");
    }
  }

  #tell(say: (listener: PeerListener) => void): void {
    if (this.#listener === undefined || this.#closeReason !== undefined) return;
    try {
      say(this.#listener);
    } catch (error) {
      this.#closeFor(error);
    }
  }

  #gone(): void {
    this.#closeReason ??= "the peer closed the connection";
    this.#endTimers();
    this.#decoder?.stop();
    this.#queue.close();
  }

  #endTimers(): void {
    this.#isGone = true;
    clearInterval(this.#ticker);
    clearTimeout(this.#certificateTimer);
  }

  /** Called when the connection closes, or at `start` if it closed before. */
  #tellClosed(): void {
    const listener = this.#listener;
    if (listener === undefined || this.#isClosedTold) return;
    this.#isClosedTold = true;
    this.#guard("end", () => listener.closed(this.#closeReason ?? ""))();
    this.#onGone();
  }

  #tick(): void {
    this.#ticksSinceReceived++;
    this.#ticksSinceSent++;
    this.#ticksInWrite++;
    if (this.#queue.hasBlocks && this.#ticksInWrite >= STALLED_TICKS) {
      this.close("it reads nothing of the blocks that it asked for");
    } else if (this.#ticksSinceReceived >= SILENCE_TICKS) {
      this.close(`nothing was received for ${(SILENCE_TICKS * TICK_MS) / 60_000} minutes`);
    } else if (this.#ticksSinceSent >= KEEP_ALIVE_TICKS && this.#queue.isIdle) {
      this.#queue.messages.keepAlive();
    }
  }

  #watchCertificate(): void {
    const leftMs = this.certificateValidUntilMs - Date.now();
    if (leftMs <= 0) {
      this.close(`the certificate of ${this.userId} has run out`);
      return;
    }
    this.#certificateTimer = setTimeout(
      this.#guard("certificate", () => this.#watchCertificate()),
      Math.min(leftMs, MAX_TIMER_MS),
    ).unref();
  }

  #logFacts(): Record<string, string> {
    return { peer: this.userId, address: formatAddress(this.address), infoHash: this.infoHash };
  }
}
