// A network of hosts with limited up- and downlinks, and real Torrents on them, in virtual time. Blocks travel one by
// one: a host's uplink serves its connections in turn, a connection has a bounded number of bytes on the way (as TCP's
// window has), the receiver's downlink takes them in the order of arrival. Payload is not copied: its first byte
// stands for all of it (simulated-storage.ts). Small messages take no bandwidth, but wait their turn behind blocks.
import { asMiniTorrentError } from "../../src/api/errors.ts";
import { Bitfield } from "../../src/metainfo/bitfield.ts";
import { Geometry } from "../../src/metainfo/geometry.ts";
import { Torrent, type TorrentEvent } from "../../src/swarm/torrent.ts";
import type { TorrentLimits } from "../../src/swarm/torrent-status.ts";
import { readUint32 } from "../../src/wire/integers.ts";
import { type PeerLink, type PeerListener, PIECE_HEADER_BYTES } from "../../src/wire/messages.ts";
import { SimulatedStorage, type StorageFaults } from "./simulated-storage.ts";
import { seededRandom, VirtualClock } from "./virtual-clock.ts";

/** Past this many bytes waiting, a connection says that it has enough. */
const HIGH_WATER_BYTES = 256 * 1024;
/** Bytes of one connection and direction that are on the way at once. */
const IN_FLIGHT_BYTES = 128 * 1024;
const TICK_MS = 100;

interface Block {
  readonly pieceIndex: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly mark: number;
  readonly sent: (() => void) | undefined;
}
type Item = Block | (() => void);

export interface HostOptions {
  readonly userId: string;
  readonly upBytesPerSecond?: number;
  readonly downBytesPerSecond?: number;
  readonly has?: "all" | "nothing" | Bitfield;
  readonly faults?: StorageFaults;
  readonly memoryPieces?: number;
  readonly limits?: Partial<TorrentLimits>;
  readonly supportsFast?: boolean;
  /** Connects to these hosts; to all that are there if it is left out. */
  readonly connectTo?: readonly Host[];
}

/** One machine with its torrent. */
export class Host {
  readonly userId: string;
  readonly network: SwarmNetwork;
  readonly torrent: Torrent;
  readonly storage: SimulatedStorage;
  readonly supportsFast: boolean;
  readonly events: TorrentEvent[] = [];
  readonly links: SimulatedLink[] = [];
  readonly upBytesPerSecond: number;
  readonly downBytesPerSecond: number;
  sentBytes = 0;
  completedAtMs: number | undefined;
  /** Nothing comes from it or reaches it any more, and nobody is told. */
  isFrozen = false;
  #isSending = false;
  #nextLink = 0;
  readonly #arrivals: { link: SimulatedLink; item: Item }[] = [];
  #arrivalsHead = 0;
  #isReceiving = false;

  constructor(network: SwarmNetwork, options: HostOptions, seed: number) {
    const { geometry, clock } = network;
    this.network = network;
    this.userId = options.userId;
    this.supportsFast = options.supportsFast ?? true;
    this.upBytesPerSecond = options.upBytesPerSecond ?? 12_500_000;
    this.downBytesPerSecond = options.downBytesPerSecond ?? 12_500_000;
    this.storage = new SimulatedStorage(geometry, clock, options.memoryPieces);
    this.storage.faults = options.faults ?? {};
    const { has = "nothing" } = options;
    const have = typeof has === "object" ? has : new Bitfield(geometry.pieceCount);
    if (has === "all") have.setAll();
    this.torrent = new Torrent({
      geometry,
      have,
      storage: this.storage,
      nowMs: () => clock.nowMs,
      random: seededRandom(seed),
      defer: (work) => clock.schedule(0, work),
      deviceId: `device of ${options.userId}`,
      onEvent: (event) => {
        this.events.push(event);
        if (event.type === "all-verified") this.completedAtMs = clock.nowMs;
        network.onEvent(this, event);
      },
      ...(options.limits && { limits: options.limits }),
    });
    const tick = (): void => {
      if (this.isFrozen || this.torrent.state.status === "closed") return;
      this.torrent.tick();
      clock.schedule(TICK_MS, tick);
    };
    clock.schedule(seededRandom(seed)() * TICK_MS, tick);
  }

  get isComplete(): boolean {
    return this.torrent.have.isComplete;
  }

  /** Closes its connections properly. */
  leave(): void {
    this.torrent.close("it left");
  }

  /** As when a cable is pulled. */
  freeze(): void {
    this.isFrozen = true;
  }

  /** Uplink: the next block of the next connection that may send. */
  send(): void {
    if (this.#isSending || this.isFrozen) return;
    for (let turn = 0; turn < this.links.length; turn++) {
      const link = this.links[(this.#nextLink + turn) % this.links.length];
      const block = link?.takeBlock();
      if (link === undefined || block === undefined) continue;
      this.#nextLink = (this.#nextLink + turn + 1) % this.links.length;
      this.#isSending = true;
      this.sentBytes += block.lengthBytes;
      this.network.clock.schedule(
        ((block.lengthBytes + PIECE_HEADER_BYTES) * 1000) / this.upBytesPerSecond,
        () => {
          this.#isSending = false;
          block.sent?.();
          link.carry(block);
          link.flush();
          this.send();
        },
      );
      return;
    }
  }

  /** Downlink: takes what has arrived, in order. */
  arrived(link: SimulatedLink, item: Item): void {
    this.#arrivals.push({ link, item });
    this.#receive();
  }

  #receive(): void {
    while (!this.#isReceiving && this.#arrivalsHead < this.#arrivals.length) {
      const arrival = this.#arrivals[this.#arrivalsHead++];
      if (this.#arrivalsHead > 1000) this.#arrivals.splice(0, this.#arrivalsHead);
      if (this.#arrivalsHead > 1000) this.#arrivalsHead = 0;
      if (arrival === undefined || this.isFrozen) continue;
      const { link, item } = arrival;
      if (typeof item === "function") {
        link.listen(item);
        continue;
      }
      this.#isReceiving = true;
      let place: Uint8Array | undefined;
      link.listen(() => {
        place = link.listener?.blockBegins(item.pieceIndex, item.offsetBytes, item.lengthBytes);
      });
      this.network.clock.schedule((item.lengthBytes * 1000) / this.downBytesPerSecond, () => {
        this.#isReceiving = false;
        const { pieceIndex, offsetBytes, lengthBytes } = item;
        if (place !== undefined && !this.isFrozen) {
          place[0] = item.mark;
          link.listen(() => link.listener?.blockEnds(pieceIndex, offsetBytes, lengthBytes));
        }
        link.received(item);
        this.#receive();
      });
    }
  }
}

/** One end of a connection. */
export class SimulatedLink implements PeerLink {
  readonly host: Host;
  listener: PeerListener | undefined;
  #other: SimulatedLink | undefined;
  #queue: Item[] = [];
  #queuedBytes = 0;
  #inFlightBytes = 0;
  #isHeld = false;
  #isClosed = false;
  closedBecause: string | undefined;

  constructor(host: Host) {
    this.host = host;
  }

  join(other: SimulatedLink): void {
    this.#other = other;
  }

  choke(): void {
    this.#say((listener) => listener.choke());
  }
  unchoke(): void {
    this.#say((listener) => listener.unchoke());
  }
  interested(): void {
    this.#say((listener) => listener.interested());
  }
  notInterested(): void {
    this.#say((listener) => listener.notInterested());
  }
  have(pieceIndex: number): void {
    this.#say((listener) => listener.have(pieceIndex));
  }
  bitfield(bytes: Uint8Array): void {
    this.#say((listener) => listener.bitfield(bytes));
  }
  haveAll(): void {
    this.#say((listener) => listener.haveAll());
  }
  haveNone(): void {
    this.#say((listener) => listener.haveNone());
  }
  request(pieceIndex: number, offsetBytes: number, lengthBytes: number): void {
    this.#say((listener) => listener.request(pieceIndex, offsetBytes, lengthBytes));
  }
  cancel(pieceIndex: number, offsetBytes: number, lengthBytes: number): void {
    this.#say((listener) => listener.cancel(pieceIndex, offsetBytes, lengthBytes));
  }
  reject(pieceIndex: number, offsetBytes: number, lengthBytes: number): void {
    this.#say((listener) => listener.reject(pieceIndex, offsetBytes, lengthBytes));
  }
  extended(extensionId: number, payload: Uint8Array): void {
    this.#say((listener) => listener.extended(extensionId, payload));
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
        sent: end >= frames.length ? sent : undefined,
      });
      this.#queuedBytes += lengthBytes;
      at = end;
    }
    this.#isHeld = this.#queuedBytes > HIGH_WATER_BYTES;
    const hasRoom = !this.#isHeld;
    this.host.send();
    return hasRoom;
  }

  close(reason: string): void {
    this.#end(reason);
    const other = this.#other;
    if (other === undefined || this.host.isFrozen) return;
    this.host.network.clock.schedule(this.host.network.latencyMs, () => other.#end(reason));
  }

  /** The block at the head of the queue, if it may go on its way. */
  takeBlock(): Block | undefined {
    const [head] = this.#queue;
    if (typeof head !== "object" || this.#inFlightBytes >= IN_FLIGHT_BYTES) return undefined;
    this.#queue.shift();
    this.#queuedBytes -= head.lengthBytes;
    this.#inFlightBytes += head.lengthBytes;
    return head;
  }

  /** Small messages at the head of the queue leave at once. */
  flush(): void {
    while (typeof this.#queue[0] === "function") {
      const item = this.#queue.shift();
      if (item !== undefined) this.carry(item);
    }
    if (this.#isHeld && this.#queuedBytes === 0) {
      this.#isHeld = false;
      this.listen(() => this.listener?.writable());
    }
  }

  carry(item: Item): void {
    const other = this.#other;
    if (other === undefined || this.host.isFrozen) return;
    this.host.network.clock.schedule(this.host.network.latencyMs, () => other.host.arrived(other, item));
  }

  /** The other end's block is through. */
  received(block: Block): void {
    const other = this.#other;
    if (other === undefined) return;
    other.#inFlightBytes -= block.lengthBytes;
    other.host.send();
  }

  /** Lets the listener hear something; what it throws closes the connection, as it does on a real one. */
  listen(work: () => void): void {
    if (this.#isClosed || this.host.isFrozen) return;
    try {
      work();
    } catch (error) {
      const known = asMiniTorrentError(error);
      if (known.code === "INTERNAL") throw error;
      this.close(known.message);
    }
  }

  #say(what: (listener: PeerListener) => void): void {
    if (this.#isClosed) return;
    this.#queue.push(() => {
      const listener = this.#other?.listener;
      if (listener !== undefined) what(listener);
    });
    this.flush();
  }

  #end(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.closedBecause = reason;
    const dropped = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.host.links.splice(this.host.links.indexOf(this), 1);
    this.host.network.clock.schedule(0, () => {
      for (const item of dropped) if (typeof item === "object") item.sent?.();
      if (!this.host.isFrozen) this.listener?.closed(reason);
    });
  }
}

export interface NetworkOptions {
  readonly lengthBytes: number;
  readonly pieceLengthBytes?: number;
  readonly latencyMs?: number;
  readonly seed?: number;
}

export class SwarmNetwork {
  readonly clock = new VirtualClock();
  readonly geometry: Geometry;
  readonly latencyMs: number;
  readonly hosts: Host[] = [];
  onEvent: (host: Host, event: TorrentEvent) => void = () => {};
  #seed: number;

  constructor({ lengthBytes, pieceLengthBytes = 256 * 1024, latencyMs = 1, seed = 1 }: NetworkOptions) {
    this.geometry = new Geometry(lengthBytes, pieceLengthBytes);
    this.latencyMs = latencyMs;
    this.#seed = seed;
  }

  add(options: HostOptions): Host {
    const host = new Host(this, options, this.#seed++);
    for (const other of options.connectTo ?? this.hosts) this.connect(host, other);
    this.hosts.push(host);
    return host;
  }

  connect(dialler: Host, listener: Host): void {
    const near = new SimulatedLink(dialler);
    const far = new SimulatedLink(listener);
    near.join(far);
    far.join(near);
    const supportsFast = dialler.supportsFast && listener.supportsFast;
    dialler.links.push(near);
    listener.links.push(far);
    // Both ends exist before either speaks.
    this.clock.schedule(this.latencyMs, () => {
      const identity = ({ userId }: Host) => ({ userId, deviceId: `device of ${userId}`, address: userId });
      near.listener = dialler.torrent.connect(near, identity(listener), supportsFast);
      far.listener = listener.torrent.connect(far, identity(dialler), supportsFast);
    });
  }

  /** Runs until all of them are complete. Returns when that was, in seconds; Infinity if it did not come to that. */
  runUntilComplete(hosts: readonly Host[], withinSeconds = 600): number {
    const startMs = this.clock.nowMs;
    const isDone = this.clock.runUntil(
      () => hosts.every((host) => host.isComplete),
      startMs + withinSeconds * 1000,
    );
    return isDone ? (this.clock.nowMs - startMs) / 1000 : Number.POSITIVE_INFINITY;
  }
}

/** The fluid bound: no schedule spreads `lengthBytes` from one seeder to `leechers` sooner (Kumar and Ross, 2006). */
export function fluidBoundSeconds(lengthBytes: number, seeder: Host, leechers: readonly Host[]): number {
  const slowestDown = Math.min(...leechers.map((host) => host.downBytesPerSecond));
  const totalUp = leechers.reduce((sum, host) => sum + host.upBytesPerSecond, seeder.upBytesPerSecond);
  return Math.max(
    lengthBytes / seeder.upBytesPerSecond,
    lengthBytes / slowestDown,
    (leechers.length * lengthBytes) / totalUp,
  );
}
