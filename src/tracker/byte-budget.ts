// Counts the memory that clients hold: unfinished messages, waiting calls, unread answers and events. It bounds their sum by
// connection, account, network and in total, with little for connections without a session, and names the connection to
// close. Pure.

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
  readonly letGo: (holder: H) => void;
}

export class ByteBudget<H> {
  readonly #options: ByteBudgetOptions<H>;
  readonly #holdings = new Map<H, Holding>();
  /** Bytes by place: an account, a network, all. */
  readonly #sums = new Map<string, number>();

  constructor(options: ByteBudgetOptions<H>) {
    this.#options = options;
  }

  /** The sum over all holders. */
  get bytes(): number {
    let bytes = 0;
    for (const holding of this.#holdings.values()) bytes += holding.bytes;
    return bytes;
  }

  /** Replaces the holder's byte count, and evicts holders until every bound holds. */
  hold(holder: H, holding: Holding): void {
    this.release(holder);
    if (holding.bytes === 0) return;
    this.#holdings.set(holder, holding);
    for (const [place] of this.#placesOf(holding)) this.#add(place, holding.bytes);
    if (holding.bytes > this.#limitsOf(holding).connection) {
      this.#letGo(holder);
      return;
    }
    for (const [place, most] of this.#placesOf(holding)) {
      while ((this.#sums.get(place) ?? 0) > most) this.#letGo(this.#worstIn(place) ?? holder);
    }
  }

  /** Removes the holder. */
  release(holder: H): void {
    const holding = this.#holdings.get(holder);
    if (holding === undefined) return;
    this.#holdings.delete(holder);
    for (const [place] of this.#placesOf(holding)) this.#add(place, -holding.bytes);
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
  #worstIn(place: string): H | undefined {
    const ofOwner = new Map<string, { bytes: number; most: number; worst: H }>();
    for (const [holder, holding] of this.#holdings) {
      if (!this.#placesOf(holding).some(([other]) => other === place)) continue;
      const { network, accountId, bytes } = holding;
      const owner = accountId ?? network;
      const known = ofOwner.get(owner) ?? { bytes: 0, most: 0, worst: holder };
      const isWorse = bytes > known.most;
      ofOwner.set(owner, {
        bytes: known.bytes + bytes,
        most: Math.max(bytes, known.most),
        worst: isWorse ? holder : known.worst,
      });
    }
    let worst: { bytes: number; worst: H } | undefined;
    for (const owner of ofOwner.values()) if (worst === undefined || owner.bytes > worst.bytes) worst = owner;
    return worst?.worst;
  }

  #letGo(holder: H): void {
    this.release(holder);
    this.#options.letGo(holder);
  }

  #add(place: string, bytes: number): void {
    const sum = (this.#sums.get(place) ?? 0) + bytes;
    if (sum === 0) this.#sums.delete(place);
    else this.#sums.set(place, sum);
  }
}
