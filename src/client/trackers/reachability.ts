// Where this client can be reached, and from where it dials trackers: what follows from the addresses that it listens on. Trackers
// see the address that a connection comes from, and tell it to peers, so that should be one that somebody listens on.
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { canonicalHost } from "../../api/addresses.ts";
import { MAX_OTHER_HOSTS } from "../../api/schemas.ts";

/** What a client tells a tracker of where it listens: see `announceSchema`. */
export interface ListenClaim {
  readonly listensHere: boolean;
  readonly otherHosts: readonly string[];
}

const UNSPECIFIED = new Set(["0.0.0.0", "::"]);

/**
 * @param bound IP addresses that this client listens on
 * @param localHost the address of this machine that the connection to the tracker uses
 * @param own this machine's addresses, without loopback and link-local ones
 */
export function listenClaim(bound: readonly string[], localHost: string, own: Iterable<string>): ListenClaim {
  const family = isIP(localHost);
  const hasAny = (version: number): boolean =>
    bound.some((host) => UNSPECIFIED.has(host) && isIP(host) === version);
  const listensHere = hasAny(family) || bound.includes(localHost);
  const others = new Set(bound.filter((host) => !UNSPECIFIED.has(host) && host !== localHost));
  // The address of the tracker's family is the one that it sees; of the other family it sees none.
  for (const host of own) if (isIP(host) !== family && hasAny(isIP(host))) others.add(host);
  return { listensHere, otherHosts: [...others].slice(0, MAX_OTHER_HOSTS) };
}

/** How to dial a tracker. */
export interface DialPlan {
  readonly host: string;
  /** The address to dial from; undefined: the operating system chooses. */
  readonly localAddress: string | undefined;
}

/**
 * The ways to dial a tracker, the best first: from an address that this client listens on, where it has one from which the tracker
 * can be reached; then as the system chooses, since that address may be gone, or the tracker be at another one of its name's.
 *
 * @param bound IP addresses that this client listens on
 * @param own this machine's addresses
 * @throws what node:dns throws for a name
 */
export async function dialPlans(
  host: string,
  bound: readonly string[],
  own: ReadonlySet<string>,
  resolve: (name: string) => Promise<readonly string[]> = addressesOf,
): Promise<readonly DialPlan[]> {
  const anyhow: DialPlan = { host, localAddress: undefined };
  // Unspecified addresses are as good as any that the system chooses.
  const from = bound.filter((address) => !UNSPECIFIED.has(address) && !address.includes("%"));
  if (from.length === 0) return [anyhow];
  for (const address of isIP(host) === 0 ? await resolve(host) : [host]) {
    const isHere = isLoopback(address) || own.has(canonicalHost(address));
    const localAddress = from.find(
      (candidate) => isIP(candidate) === isIP(address) && (isHere || !isLoopback(candidate)),
    );
    if (localAddress !== undefined) return [{ host: address, localAddress }, anyhow];
  }
  return [anyhow];
}

export function isLoopback(host: string): boolean {
  return host === "::1" || host === "localhost" || (isIP(host) === 4 && host.startsWith("127."));
}

async function addressesOf(name: string): Promise<readonly string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}
