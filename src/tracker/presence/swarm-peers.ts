// The peers of one torrent, with random access, so that the cost of a sample depends on its size and not on the swarm's. Each
// device is listed once, however many connections it has. peer-directory.ts decides which clients learn of them.

/** A client of this tracker, or of another one that reported it. */
export interface PresentClient {
  /** Connected to this tracker. */
  readonly isLocal: boolean;
  readonly connectionId: string;
  readonly accountId: string;
  readonly deviceId: string;
  /** Addresses that it listens at, in the order in which to dial; empty if none may be named to others. */
  hosts: readonly string[];
  /** undefined before its first announcement. */
  port: number | undefined;
  /** Its torrents, by group claim and info-hash. */
  readonly groups: Map<string, Map<string, Part>>;
  partCount: number;
  /** Announced torrents that are unknown to this tracker, or whose group it is not in according to this tracker. */
  readonly waiting: Map<string, { readonly isSeed: boolean }>;
  isGone: boolean;
  /** Sequence number of its connection: a device's highest one is the live connection. */
  readonly connectionNumber: number;
}

/** One client in the swarm of one torrent. */
export interface Part {
  readonly client: PresentClient;
  readonly swarm: SwarmPeers;
  isSeed: boolean;
  /** Index in the swarm's list of devices; NOWHERE if another connection represents the device, or it has no port. */
  listedAt: number;
  /** Index in the list of this tracker's clients; NOWHERE for another tracker's client. */
  localAt: number;
}

const NOWHERE = -1;
/** For each account that is named: a person has a few devices, so most of a list are not looked at. */
const DEVICES_LOOKED_AT = 4;

type Place = "listedAt" | "localAt";

/** Seeds and leechers, kept apart. */
interface Sides {
  readonly seeds: Part[];
  readonly leechers: Part[];
}

export class SwarmPeers {
  readonly infoHash: string;
  readonly groupClaimId: string;
  readonly #listed: Sides = { seeds: [], leechers: [] };
  readonly #local: Sides = { seeds: [], leechers: [] };
  #partCount = 0;

  constructor(infoHash: string, groupClaimId: string) {
    this.infoHash = infoHash;
    this.groupClaimId = groupClaimId;
  }

  get isEmpty(): boolean {
    return this.#partCount === 0;
  }

  /** Devices. */
  get counts(): { readonly seeders: number; readonly peers: number } {
    const { seeds, leechers } = this.#listed;
    return { seeders: seeds.length, peers: seeds.length + leechers.length };
  }

  /** Accounts of seeds: all, or some if there are more than `most`. Looks at a few devices of each at most. */
  seedAccounts(most: number): string[] {
    const accounts = new Set<string>();
    for (const { client } of this.#listed.seeds.slice(0, most * DEVICES_LOOKED_AT)) {
      if (accounts.size === most) break;
      accounts.add(client.accountId);
    }
    return [...accounts];
  }

  /** Clients of this tracker. */
  get localCount(): number {
    return this.#local.seeds.length + this.#local.leechers.length;
  }

  partOf(client: PresentClient): Part | undefined {
    return client.groups.get(this.groupClaimId)?.get(this.infoHash);
  }

  add(client: PresentClient, isSeed: boolean): Part {
    const part: Part = { client, swarm: this, isSeed, listedAt: NOWHERE, localAt: NOWHERE };
    if (client.isLocal) insert(this.#local, part, "localAt");
    const parts = client.groups.get(this.groupClaimId) ?? new Map<string, Part>();
    parts.set(this.infoHash, part);
    client.groups.set(this.groupClaimId, parts);
    client.partCount++;
    this.#partCount++;
    return part;
  }

  remove(part: Part): void {
    const { client } = part;
    const parts = client.groups.get(this.groupClaimId);
    if (!parts?.delete(this.infoHash)) return;
    if (parts.size === 0) client.groups.delete(this.groupClaimId);
    takeOut(this.#local, part, "localAt");
    takeOut(this.#listed, part, "listedAt");
    client.partCount--;
    this.#partCount--;
  }

  setSeed(part: Part, isSeed: boolean): void {
    const isListed = part.listedAt !== NOWHERE;
    const isLocal = part.localAt !== NOWHERE;
    takeOut(this.#listed, part, "listedAt");
    takeOut(this.#local, part, "localAt");
    part.isSeed = isSeed;
    if (isListed) insert(this.#listed, part, "listedAt");
    if (isLocal) insert(this.#local, part, "localAt");
  }

  /** Makes this part represent the device; undefined: none. */
  list(part: Part | undefined, before: Part | undefined): void {
    if (part === before) return;
    if (before !== undefined) takeOut(this.#listed, before, "listedAt");
    if (part !== undefined) insert(this.#listed, part, "listedAt");
  }

  isListed(part: Part): boolean {
    return part.listedAt !== NOWHERE;
  }

  /**
   * Devices to be named to a peer: all, if there are no more than `most`. Otherwise a random sample. For a peer that
   * lacks pieces, half of it are seeds, or as many as there are. For a seed, it has peers that lack pieces, and two seeds:
   * the seed learns that it is not alone even if one of them is itself.
   */
  sample(most: number, isForSeed: boolean, random: () => number): Part[] {
    const { seeds, leechers } = this.#listed;
    if (seeds.length + leechers.length <= most) return [...seeds, ...leechers];
    const seedCount = isForSeed
      ? Math.min(seeds.length, 2)
      : Math.min(seeds.length, Math.max(most - leechers.length, Math.ceil(most / 2)));
    return [...pick(seeds, seedCount, random), ...pick(leechers, most - seedCount, random)];
  }

  /**
   * Clients of this tracker to be told of a peer: all, if there are no more than `most`. Otherwise a random sample, half of
   * it seeds or as many as there are; no seeds if the peer is one, since seeds have no use for each other.
   */
  listeners(most: number, isOfSeed: boolean, random: () => number): Part[] {
    const { seeds, leechers } = this.#local;
    if (this.localCount <= most) return [...seeds, ...leechers];
    const seedCount = isOfSeed
      ? 0
      : Math.min(seeds.length, Math.max(most - leechers.length, Math.ceil(most / 2)));
    return [...pick(leechers, most - seedCount, random), ...pick(seeds, seedCount, random)];
  }
}

function insert(sides: Sides, part: Part, place: Place): void {
  const list = part.isSeed ? sides.seeds : sides.leechers;
  part[place] = list.push(part) - 1;
}

function takeOut(sides: Sides, part: Part, place: Place): void {
  if (part[place] === NOWHERE) return;
  const list = part.isSeed ? sides.seeds : sides.leechers;
  const last = list.pop();
  if (last !== undefined && last !== part) {
    list[part[place]] = last;
    last[place] = part[place];
  }
  part[place] = NOWHERE;
}

/** A random sample without repetition, in as many steps as it has items (R. Floyd, "A sample of brilliance", CACM 30(9), 1987). */
function pick(parts: readonly Part[], count: number, random: () => number): Part[] {
  if (parts.length <= count) return [...parts];
  const chosen = new Set<number>();
  for (let last = parts.length - count; last < parts.length; last++) {
    const at = Math.floor(random() * (last + 1));
    chosen.add(chosen.has(at) ? last : at);
  }
  return [...chosen].map((at) => parts[at]).filter((part) => part !== undefined);
}
