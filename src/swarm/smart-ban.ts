// Finds the senders of bad data: a piece that fails its hash puts every user who sent a block of it on parole. On parole, whole
// pieces are requested from the user alone; one that fails its hash proves who sent the bad data, and bans the user (libtorrent
// does the same). Users are known by their source index (see contributors.ts): a ban holds for every connection of that user in
// this torrent.

type Standing = "trusted" | "on-parole" | "banned";

export class SmartBan {
  readonly #standings = new Map<number, Exclude<Standing, "trusted">>();
  /** Source index → the piece that it was banned for. */
  readonly #bannedFor = new Map<number, number>();

  isOnParole(sourceIndex: number): boolean {
    return this.#standings.get(sourceIndex) === "on-parole";
  }

  isBanned(sourceIndex: number): boolean {
    return this.#standings.get(sourceIndex) === "banned";
  }

  /** The piece that the source was banned for; undefined if it is not banned. */
  bannedFor(sourceIndex: number): number | undefined {
    return this.#bannedFor.get(sourceIndex);
  }

  /**
   * A piece did not have its hash. A single contributor is banned; several go on parole, as each may be innocent.
   *
   * @returns who is banned by it: an empty list or the one contributor
   */
  pieceFailed(pieceIndex: number, contributors: readonly number[]): readonly number[] {
    const [first] = contributors;
    if (contributors.length === 1 && first !== undefined) {
      this.#standings.set(first, "banned");
      this.#bannedFor.set(first, pieceIndex);
      return contributors;
    }
    for (const sourceIndex of contributors) {
      if (!this.isBanned(sourceIndex)) this.#standings.set(sourceIndex, "on-parole");
    }
    return [];
  }

  /** A piece had its hash. Its only contributor has passed: on parole -> trusted. */
  pieceVerified(contributors: readonly number[]): void {
    const [first] = contributors;
    if (contributors.length === 1 && first !== undefined && this.isOnParole(first)) {
      this.#standings.delete(first);
    }
  }
}
