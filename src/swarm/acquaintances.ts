// Departed peers and the pieces they had, for the user who asks why nothing arrives. It decides nothing.
import type { PieceSet } from "./piece-set.ts";

/** Of more devices than this the one that left first is forgotten; a set of 4,096 pieces takes 512 bytes. */
const MAX_REMEMBERED = 200;

export interface Acquaintance {
  readonly userId: string;
  readonly deviceId: string;
  readonly has: PieceSet;
  readonly leftAtMs: number;
}

export class Acquaintances {
  /** By device, in the order in which they left. */
  readonly #gone = new Map<string, Acquaintance>();

  left(acquaintance: Acquaintance): void {
    const { deviceId } = acquaintance;
    this.#gone.delete(deviceId);
    this.#gone.set(deviceId, acquaintance);
    if (this.#gone.size <= MAX_REMEMBERED) return;
    for (const oldest of this.#gone.keys()) {
      this.#gone.delete(oldest);
      break;
    }
  }

  /** What the device says now counts. */
  cameBack(deviceId: string): void {
    this.#gone.delete(deviceId);
  }

  /** The device had everything when it left. */
  wasComplete(deviceId: string): boolean {
    return this.#gone.get(deviceId)?.has.isFull ?? false;
  }

  gone(): IterableIterator<Acquaintance> {
    return this.#gone.values();
  }
}
