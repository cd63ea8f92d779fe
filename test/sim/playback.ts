// A member that plays a file while it downloads: reads at a steady rate from a position on, waits when bytes are missing.
import type { PieceReader } from "../../src/swarm/torrent.ts";
import type { Host } from "./simulated-host.ts";

const STEP_MS = 50;
/** A player shows something once it has so much. */
const START_SECONDS = 1;
const WINDOW_SECONDS = 10;

export class Player {
  readonly #host: Host;
  readonly #reader: PieceReader;
  readonly #bytesPerSecond: number;
  readonly #endBytes: number;
  readonly #openedAtMs: number;
  positionBytes: number;
  /** From opening to the first bytes; NaN before. */
  startSeconds = Number.NaN;
  /** Since it last started to wait; undefined while it plays. */
  #waitingSinceMs: number | undefined;
  #isClosed = false;
  stallCount = 0;
  stalledSeconds = 0;

  constructor(host: Host, options: { positionBytes: number; bytesPerSecond: number; endBytes?: number }) {
    const { bytesPerSecond } = options;
    const positionBytes = Math.floor(options.positionBytes);
    const { clock, geometry } = host.network;
    this.#host = host;
    this.#bytesPerSecond = bytesPerSecond;
    this.#endBytes = Math.floor(options.endBytes ?? geometry.lengthBytes);
    this.positionBytes = positionBytes;
    this.#openedAtMs = clock.nowMs;
    this.#reader = host.torrent.readAhead({
      ...{ positionBytes, bytesPerSecond, windowBytes: bytesPerSecond * WINDOW_SECONDS },
      endBytes: this.#endBytes,
    });
    const startBytes = Math.min(bytesPerSecond * START_SECONDS, this.#endBytes - positionBytes);
    this.#reader.whenReadable(positionBytes, startBytes, () => {
      this.startSeconds = (clock.nowMs - this.#openedAtMs) / 1000;
      this.#play();
    });
  }

  get isAtEnd(): boolean {
    return this.positionBytes >= this.#endBytes;
  }

  close(): void {
    this.#isClosed = true;
    this.#reader.close();
  }

  #play(): void {
    const { clock } = this.#host.network;
    if (this.#isClosed) return;
    if (this.isAtEnd) {
      this.close();
      return;
    }
    const step = Math.floor((this.#bytesPerSecond * STEP_MS) / 1000);
    const stepBytes = Math.min(step, this.#endBytes - this.positionBytes);
    if (this.#reader.readableBytes(this.positionBytes, stepBytes) < stepBytes) {
      this.stallCount++;
      this.#waitingSinceMs = clock.nowMs;
      this.#reader.whenReadable(this.positionBytes, stepBytes, () => {
        this.stalledSeconds += (clock.nowMs - (this.#waitingSinceMs ?? clock.nowMs)) / 1000;
        this.#waitingSinceMs = undefined;
        this.#play();
      });
      return;
    }
    this.positionBytes += stepBytes;
    this.#reader.moveTo(this.positionBytes);
    clock.schedule(STEP_MS, () => this.#play());
  }
}
