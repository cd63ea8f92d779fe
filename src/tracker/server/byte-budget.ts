// Counts the memory that clients hold: unfinished messages, waiting calls, unread answers and events. It bounds their sum by
// connection, account, network and in total, with little for connections without a session, and names the connection to
// close. Pure.
import { LargestFirst } from "./largest-first.ts";

export interface ByteBudgetLimits {
  /** Bounds without a session: for one connection, for a network, and in total. */
  readonly stranger: { readonly connection: number; readonly network: number; readonly total: number };
  /** Bounds with a session: for one connection, for an account, for a network, and in total. */
  readonly member: {
    readonly connection: number;
    readonly account: number;
    readonly network: number;
    readonly total: number;
  };
}

/** Whose bytes they are. */
export interface Holding {
  readonly network: string;
  /** undefined without a session. */
  readonly accountId: string | undefined;
  readonly bytes: number;
}

export interface ByteBudgetOptions<H> {
  readonly limits: ByteBudgetLimits;
  /** Closes the holder: it holds most where a bound is exceeded. Its bytes no longer count. */
  readonly evict: (holder: H) => void;
}

/** What is held at an account, at a network, or by all. */
interface Place<H> {
  bytes: number;
  /** Accounts (networks, without a session) by what they hold there. */
  readonly owners: LargestFirst<string>;
  /** By owner: its holders there. */
  readonly holders: Map<string, LargestFirst<H>>;
}

export class ByteBudget<H> {
  readonly #options: ByteBudgetOptions<H>;
  readonly #holdings = new Map<H, Holding>();
  readonly #places = new Map<string, Place<H>>();
  #bytes = 0;

  constructor(options: ByteBudgetOptions<H>) {
    this.#options = options;
  }

  /** The sum over all holders. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Number of places and of owners there, for a test that what is given back leaves nothing. */
  get placeCount(): number {
    return [...this.#places.values()].reduce((sum, { holders }) => sum + 1 + holders.size, 0);
  }

  /** Replaces the holder's byte count, and evicts holders until every bound holds. */
  hold(holder: H, holding: Holding): void {
    this.release(holder);
    if (holding.bytes === 0) return;
    this.#holdings.set(holder, holding);
    this.#count(holder, holding, 1);
    if (holding.bytes > this.#limitsOf(holding).connection) {
      this.#evict(holder);
      return;
    }
    for (const [place, most] of this.#placesOf(holding)) {
      while ((this.#places.get(place)?.bytes ?? 0) > most) this.#evict(this.#worstIn(place) ?? holder);
    }
  }

  /** Removes the holder. */
  release(holder: H): void {
    const holding = this.#holdings.get(holder);
    if (holding === undefined) return;
    this.#holdings.delete(holder);
    this.#count(holder, holding, -1);
  }

  #limitsOf({ accountId }: Holding): ByteBudgetLimits["stranger"] {
    return accountId === undefined ? this.#options.limits.stranger : this.#options.limits.member;
  }

  /** The places where its bytes count, with their bounds. */
  #placesOf({ network, accountId }: Holding): readonly (readonly [place: string, most: number])[] {
    const { stranger, member } = this.#options.limits;
    if (accountId === undefined) {
      return [
        [`stranger ${network}`, stranger.network],
        ["stranger", stranger.total],
      ];
    }
    return [
      [`account ${accountId}`, member.account],
      [`member ${network}`, member.network],
      ["member", member.total],
    ];
  }

  /** The largest connection of the account that holds most there (of the network, without a session). */
  #worstIn(name: string): H | undefined {
    const place = this.#places.get(name);
    const owner = place?.owners.largest;
    return owner === undefined ? undefined : place?.holders.get(owner)?.largest;
  }

  #evict(holder: H): void {
    this.release(holder);
    this.#options.evict(holder);
  }

  /** @param times 1 to add the holding, -1 to take it out */
  #count(holder: H, holding: Holding, times: 1 | -1): void {
    const { network, accountId, bytes } = holding;
    const owner = accountId ?? network;
    this.#bytes += times * bytes;
    for (const [name] of this.#placesOf(holding)) {
      const place = this.#places.get(name) ?? { bytes: 0, owners: new LargestFirst(), holders: new Map() };
      this.#places.set(name, place);
      place.bytes += times * bytes;
      place.owners.set(owner, place.owners.sizeOf(owner) + times * bytes);
      const ofOwner = place.holders.get(owner) ?? new LargestFirst();
      ofOwner.set(holder, times === 1 ? bytes : 0);
      place.holders.set(owner, ofOwner);
      if (ofOwner.isEmpty) place.holders.delete(owner);
      if (place.bytes === 0) this.#places.delete(name);
    }
  }
}
