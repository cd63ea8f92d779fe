// A machine with limited up- and downlink and a real Torrent on it. Its uplink serves its connections in turn, block by
// block; its downlink takes what arrives in the order of arrival. Payload is not copied: a block's first byte stands for
// all of it (simulated-storage.ts).

import { Bitfield } from "../../src/metainfo/bitfield.ts";
import { PIECE_HEADER_BYTES } from "../../src/metainfo/piece-header.ts";
import { TokenBucket } from "../../src/swarm/token-bucket.ts";
import { Torrent, type TorrentEvent } from "../../src/swarm/torrent.ts";
import type { TorrentLimits } from "../../src/swarm/torrent-status.ts";
import type { Block, Item, SimulatedLink } from "./simulated-link.ts";
import { SimulatedStorage, type StorageFaults } from "./simulated-storage.ts";
import type { SwarmNetwork } from "./swarm-network.ts";
import { seededRandom } from "./virtual-clock.ts";

const TICK_MS = 100;

export interface HostOptions {
  readonly userId: string;
  readonly upBytesPerSecond?: number;
  readonly downBytesPerSecond?: number;
  /** From here to the middle of the network; half of the network's latency if it is left out. */
  readonly latencyMs?: number;
  readonly has?: "all" | "nothing" | Bitfield;
  /** The pieces to fetch; all if it is left out. */
  readonly wanted?: Bitfield;
  readonly faults?: StorageFaults;
  readonly memoryPieces?: number;
  readonly limits?: Partial<TorrentLimits>;
  readonly supportsFast?: boolean;
  /** Connects to these hosts; to all that are there if it is left out. */
  readonly connectTo?: readonly Host[];
}

export class Host {
  readonly userId: string;
  readonly network: SwarmNetwork;
  readonly torrent: Torrent;
  readonly storage: SimulatedStorage;
  readonly supportsFast: boolean;
  readonly events: TorrentEvent[] = [];
  /** What it allows itself; nothing is limited at first. */
  readonly bandwidth: { readonly up: TokenBucket; readonly down: TokenBucket };
  readonly links = new Set<SimulatedLink>();
  readonly upBytesPerSecond: number;
  readonly downBytesPerSecond: number;
  readonly latencyMs: number;
  sentBytes = 0;
  joinedAtMs: number;
  completedAtMs: number | undefined;
  /** Nothing comes from it or reaches it any more, and nobody is told. */
  isFrozen = false;
  /** Bytes that others have put on the way to this host. */
  onTheWayBytes = 0;
  /** Connections with blocks to send, in turn. */
  #ready: SimulatedLink[] = [];
  /** Others' connections that wait until less is on the way. */
  readonly #waiting: SimulatedLink[] = [];
  #isSending = false;
  #arrivals: { link: SimulatedLink; item: Item }[] = [];
  #arrivalsHead = 0;
  #isReceiving = false;

  constructor(network: SwarmNetwork, options: HostOptions, seed: number) {
    const { geometry, clock } = network;
    this.network = network;
    this.userId = options.userId;
    this.supportsFast = options.supportsFast ?? true;
    this.upBytesPerSecond = options.upBytesPerSecond ?? 12_500_000;
    this.downBytesPerSecond = options.downBytesPerSecond ?? 12_500_000;
    this.latencyMs = options.latencyMs ?? network.latencyMs / 2;
    this.joinedAtMs = clock.nowMs;
    this.storage = new SimulatedStorage(geometry, clock, options.memoryPieces, network.shared);
    this.storage.faults = options.faults ?? {};
    const { has = "nothing" } = options;
    const have = typeof has === "object" ? has : new Bitfield(geometry.pieceCount);
    if (has === "all") have.setAll();
    const nowMs = (): number => clock.nowMs;
    this.bandwidth = { up: new TokenBucket(nowMs), down: new TokenBucket(nowMs) };
    this.torrent = new Torrent({
      bandwidth: this.bandwidth,
      geometry,
      have,
      wanted: options.wanted,
      storage: this.storage,
      nowMs,
      random: seededRandom(seed),
      otherSeedCount: () =>
        network.hosts.filter((host) => host !== this && host.torrent.have.isComplete).length,
      defer: (work) => clock.schedule(0, work),
      onEvent: (event) => {
        this.events.push(event);
        if (event.type === "all-verified") this.completedAtMs = clock.nowMs;
        network.onEvent(this, event);
      },
      ...(options.limits && { limits: options.limits }),
    });
    const tick = (): void => {
      if (this.isFrozen || this.torrent.state.status === "closed") return;
      this.bandwidth.up.tick();
      this.bandwidth.down.tick();
      this.torrent.tick();
      clock.schedule(TICK_MS, tick);
    };
    clock.schedule(seededRandom(seed)() * TICK_MS, tick);
  }

  /** It has all it wants. */
  get isComplete(): boolean {
    return this.torrent.hasAllWanted;
  }

  /** Closes its connections properly. */
  leave(): void {
    this.torrent.close("it left");
  }

  /** As when a cable is pulled. */
  freeze(): void {
    this.isFrozen = true;
  }

  /** The connection has a block to send. */
  isReady(link: SimulatedLink): void {
    this.#ready.push(link);
    this.#send();
  }

  /** Too much is on the way to this host: the connection is called when there is less. */
  waitForRoom(link: SimulatedLink): void {
    this.#waiting.push(link);
  }

  /** Uplink: the next block of the next connection. */
  #send(): void {
    while (!this.#isSending && !this.isFrozen) {
      const link = this.#ready.shift();
      if (link === undefined) return;
      const block = link.takeBlock();
      if (block === undefined) continue;
      this.#isSending = true;
      this.sentBytes += block.lengthBytes;
      const durationMs = ((block.lengthBytes + PIECE_HEADER_BYTES) * 1000) / this.upBytesPerSecond;
      this.network.clock.schedule(durationMs, () => {
        this.#isSending = false;
        link.carry(block);
        link.blockIsSent();
        this.#send();
      });
    }
  }

  /** Downlink: takes what has arrived, in order. */
  arrived(link: SimulatedLink, item: Item): void {
    const mustWait = this.#isReceiving || this.#arrivalsHead < this.#arrivals.length;
    if (mustWait) this.#arrivals.push({ link, item });
    else this.#take(link, item);
  }

  #receive(): void {
    while (!this.#isReceiving && this.#arrivalsHead < this.#arrivals.length) {
      const arrival = this.#arrivals[this.#arrivalsHead++];
      if (this.#arrivalsHead > 256) {
        this.#arrivals = this.#arrivals.slice(this.#arrivalsHead);
        this.#arrivalsHead = 0;
      }
      if (arrival !== undefined) this.#take(arrival.link, arrival.item);
    }
  }

  #take(link: SimulatedLink, item: Item): void {
    if (this.isFrozen) return;
    if (typeof item === "function") link.listen(item);
    else this.#receiveBlock(link, item);
  }

  #receiveBlock(link: SimulatedLink, block: Block): void {
    this.#isReceiving = true;
    const { pieceIndex, offsetBytes, lengthBytes } = block;
    let place: Uint8Array | undefined;
    link.listen((listener) => {
      place = listener.blockBegins(pieceIndex, offsetBytes, lengthBytes);
    });
    this.network.clock.schedule((lengthBytes * 1000) / this.downBytesPerSecond, () => {
      this.#isReceiving = false;
      if (place !== undefined && !this.isFrozen) {
        place[0] = block.mark;
        link.listen((listener) => listener.blockEnds(pieceIndex, offsetBytes, lengthBytes));
      }
      this.onTheWayBytes -= lengthBytes;
      const next = this.#waiting.shift();
      next?.host.isReady(next);
      this.#receive();
    });
  }
}
