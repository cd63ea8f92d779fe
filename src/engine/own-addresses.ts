// Watches which addresses this machine has: a connection from one that is gone is dead, though TCP would try for minutes, and
// what could not be reached may be reachable from a new one.

import { type NetworkInterfaceInfo, networkInterfaces } from "node:os";
import { canonicalHost } from "../api/addresses.ts";
import { every } from "../net/timers.ts";

/** Reading them takes some 50 µs. */
const INTERVAL_MS = 1_000;

/** The difference, without link-local addresses, which come and go with virtual interfaces. */
export interface AddressChange {
  readonly lost: ReadonlySet<string>;
  readonly gained: ReadonlySet<string>;
}

export interface OwnAddressesOptions {
  readonly onChange: (change: AddressChange) => void;
  /** The addresses now; those of node:os unless a test says otherwise. */
  readonly read?: () => ReadonlySet<string>;
}

export class OwnAddresses {
  readonly #onChange: (change: AddressChange) => void;
  readonly #read: () => ReadonlySet<string>;
  readonly #timer: NodeJS.Timeout;
  #known: ReadonlySet<string>;
  /** Missing at the last look: lost if they are at the next one too, as an address that is renewed may be away for a moment. */
  #missing: ReadonlySet<string> = new Set();

  constructor({ onChange, read = readAddresses }: OwnAddressesOptions) {
    this.#onChange = onChange;
    this.#read = read;
    this.#known = read();
    this.#timer = every("looking at this machine's addresses", INTERVAL_MS, () => this.look()).unref();
  }

  /** Compares; called by itself every second. */
  look(): void {
    const now = this.#read();
    const absent = this.#known.difference(now);
    const lost = absent.intersection(this.#missing);
    const gained = now.difference(this.#known);
    this.#missing = absent.difference(lost);
    this.#known = now.union(this.#missing);
    if (lost.size > 0 || gained.size > 0) this.#onChange({ lost, gained });
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

/** This machine's addresses, loopback among them. */
export function readAddresses(): ReadonlySet<string> {
  return new Set(addressesWhere(() => true));
}

/** Those that other machines may reach. */
export function outsideAddresses(): readonly string[] {
  return addressesWhere(({ internal }) => !internal);
}

function addressesWhere(isMeant: (one: NetworkInterfaceInfo) => boolean): string[] {
  return Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter((one) => (one.scopeid === undefined || one.scopeid === 0) && isMeant(one))
    .map(({ address }) => canonicalHost(address));
}
