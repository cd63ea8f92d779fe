// What connections hold of the tracker's memory: bytes that are not yet a whole message, calls that wait, answers and events
// that nobody has read yet. Each bound alone is harmless; this one is for all of them together: by connection, account,
// network and in total, and little for connections on which nobody is logged in. Pure: it counts, and says who has to go.

export interface ByteBudgetLimits {
  /** A connection's, on which nobody is logged in, and all of those of a network and together. */
  readonly stranger: { readonly connection: number; readonly network: number; readonly total: number };
  /** A connection's on which somebody is, and all of those of an account, of a network and together. */
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
  /** undefined while nobody is logged in. */
  readonly accountId: string | undefined;
  readonly bytes: number;
}

export interface ByteBudgetOptions<H> {
  readonly limits: ByteBudgetLimits;
  /** It holds most of what is too much: to be closed. Its bytes are counted no more. */
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

  /** Held by all of them. */
  get bytes(): number {
    let bytes = 0;
    for (const holding of this.#holdings.values()) bytes += holding.bytes;
    return bytes;
  }

  /** What the holder holds from now on, in place of what it held. Whoever holds too much is let go. */
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

  /** It holds nothing any more. */
  release(holder: H): void {
    const holding = this.#holdings.get(holder);
    if (holding === undefined) return;
    this.#holdings.delete(holder);
    for (const [place] of this.#placesOf(holding)) this.#add(place, -holding.bytes);
  }

  #limitsOf({ accountId }: Holding): ByteBudgetLimits["stranger"] {
    return accountId === undefined ? this.#options.limits.stranger : this.#options.limits.member;
  }

  /** Where its bytes count, and how many there may be there. */
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

  /** Of the account that holds most there (a network where nobody is logged in), the connection that holds most. */
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
