// A network of hosts (simulated-host.ts) and connections (simulated-link.ts) in virtual time, and the bound that no
// schedule on it beats.
import { Geometry } from "../../src/metainfo/geometry.ts";
import type { TorrentEvent } from "../../src/swarm/torrent.ts";
import { Host, type HostOptions } from "./simulated-host.ts";
import { SimulatedLink } from "./simulated-link.ts";
import { SharedPieces } from "./simulated-storage.ts";
import { VirtualClock } from "./virtual-clock.ts";

export interface NetworkOptions {
  readonly lengthBytes: number;
  readonly pieceLengthBytes?: number;
  /** Instead of these two: pieces with padding. */
  readonly geometry?: Geometry;
  readonly latencyMs?: number;
  readonly seed?: number;
  /** What the kernel takes of each connection's bytes before they go on their way; nothing takes it back. */
  readonly socketBytes?: number;
  /** Blocks are not looked at, so that many hosts fit into memory. */
  readonly isLight?: boolean;
}

export class SwarmNetwork {
  readonly clock = new VirtualClock();
  readonly geometry: Geometry;
  readonly latencyMs: number;
  readonly socketBytes: number;
  readonly hosts: Host[] = [];
  onEvent: (host: Host, event: TorrentEvent) => void = () => {};
  readonly shared: SharedPieces | undefined;
  #seed: number;

  constructor({
    lengthBytes,
    pieceLengthBytes = 256 * 1024,
    geometry = new Geometry(lengthBytes, pieceLengthBytes),
    latencyMs = 1,
    seed = 1,
    socketBytes = 0,
    isLight = false,
  }: NetworkOptions) {
    this.geometry = geometry;
    this.latencyMs = latencyMs;
    this.socketBytes = socketBytes;
    this.#seed = seed;
    if (isLight) this.shared = new SharedPieces(this.geometry);
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
    dialler.links.add(near);
    listener.links.add(far);
    // Both ends exist before either speaks.
    this.clock.schedule(dialler.latencyMs + listener.latencyMs, () => {
      const identity = ({ userId }: Host) => ({ userId, deviceId: `device of ${userId}`, address: userId });
      near.listener = dialler.torrent.connect(near, identity(listener), supportsFast);
      far.listener = listener.torrent.connect(far, identity(dialler), supportsFast);
    });
  }

  /** Runs until all of them are complete. Returns when that was, in seconds; Infinity if it did not come to that. */
  runUntilComplete(hosts: readonly Host[], withinSeconds = 600): number {
    const startMs = this.clock.nowMs;
    // Who is complete stays so: only the first that is not is looked at after each event.
    let incomplete = 0;
    const isDone = this.clock.runUntil(
      () => {
        while (hosts[incomplete]?.isComplete) incomplete++;
        return incomplete === hosts.length;
      },
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
