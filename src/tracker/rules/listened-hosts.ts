// The addresses at which a client says that it listens, as far as they may be named to others. The one that its connection comes
// from is proved. Others are its word, and members dial them, again and again: so nothing is named that is not in a network of
// the members' own, or a member could turn all others against anybody on the Internet.
import { BlockList, isIP } from "node:net";
import { canonicalHost } from "../../api/addresses.ts";

/** Unicast addresses that lead nowhere on the Internet (IANA's special-purpose registries, RFC 6890), without loopback and link-local. */
const OF_OWN_NETWORKS = new BlockList();
for (const [network, bits] of [
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["172.16.0.0", 12],
  ["192.0.2.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
] as const) {
  OF_OWN_NETWORKS.addSubnet(network, bits, "ipv4");
}
for (const [network, bits] of [
  ["fc00::", 7],
  ["2001:db8::", 32],
  ["3fff::", 20],
] as const) {
  OF_OWN_NETWORKS.addSubnet(network, bits, "ipv6");
}
const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

export interface ListenClaim {
  /** False if it does not listen at the address that its connection comes from. */
  readonly listensHere?: boolean | undefined;
  readonly otherHosts?: readonly string[] | undefined;
}

/**
 * Addresses to name, the proved one first; perhaps none. Loopback is named only for a client on the tracker's own machine, so
 * that nobody makes others dial their own machines.
 *
 * @param observed where the client's connection comes from
 */
export function listenedHosts(observed: string, claim: ListenClaim): string[] {
  const { listensHere = true, otherHosts = [] } = claim;
  const found = new Set<string>(listensHere ? [observed] : []);
  const isHere = isIn(LOOPBACK, observed);
  for (const claimed of otherHosts) {
    const host = canonicalHost(claimed);
    if (host.includes("%")) continue;
    if (isIn(OF_OWN_NETWORKS, host) || (isHere && isIn(LOOPBACK, host))) found.add(host);
  }
  return [...found];
}

function isIn(list: BlockList, host: string): boolean {
  const [address = ""] = host.split("%");
  return list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}
