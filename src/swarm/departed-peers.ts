// Departed peers and the pieces they had, for `why`. It decides nothing.
import type { Farewell } from "../wire/farewell.ts";
import type { PieceSet } from "./piece-set.ts";

/** Of more devices than this the one that left first is forgotten; a set of 4,096 pieces takes 512 bytes. */
const MAX_REMEMBERED = 200;

export interface DepartedPeer {
  readonly userId: string;
  readonly deviceId: string;
  readonly has: PieceSet;
  /** It had everything, or all that it wanted. */
  readonly neededNothing: boolean;
  readonly leftAtMs: number;
}

export class DepartedPeers {
  /** By device, in the order in which they left. */
  readonly #gone = new Map<string, DepartedPeer>();
  readonly #farewells = new Map<string, Farewell>();

  left(acquaintance: DepartedPeer): void {
    remember(this.#gone, acquaintance.deviceId, acquaintance);
  }

  /** The device said why it closes the connection, maybe before it said what it has. */
  saidFarewell(deviceId: string, farewell: Farewell): void {
    remember(this.#farewells, deviceId, farewell);
  }

  /** Why the device left, as it said; undefined if it did not, or came back. */
  farewellOf(deviceId: string): Farewell | undefined {
    return this.#farewells.get(deviceId);
  }

  /** The device is back: what it says now counts. */
  cameBack(deviceId: string): void {
    this.#gone.delete(deviceId);
    this.#farewells.delete(deviceId);
  }

  /** The device had everything, or all that it wanted, when it left. */
  neededNothing(deviceId: string): boolean {
    return this.#gone.get(deviceId)?.neededNothing ?? false;
  }

  gone(): IterableIterator<DepartedPeer> {
    return this.#gone.values();
  }
}

function remember<T>(known: Map<string, T>, deviceId: string, what: T): void {
  known.delete(deviceId);
  known.set(deviceId, what);
  if (known.size <= MAX_REMEMBERED) return;
  for (const oldest of known.keys()) {
    known.delete(oldest);
    break;
  }
}
