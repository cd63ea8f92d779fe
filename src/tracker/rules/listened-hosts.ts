// Selects which of the addresses that a client claims to listen at may be named to other members. The address that its connection
// comes from is proved. Others are unproved, and members dial them repeatedly, so only private addresses are named: otherwise
// a member could direct all others against any host on the Internet.
import { BlockList, isIP } from "node:net";
import { canonicalHost } from "../../api/addresses.ts";

/** Unicast addresses that are not routed on the Internet (IANA's special-purpose registries, RFC 6890), without loopback and link-local. */
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
 * The addresses to name, the proved one first; may be empty. Loopback is named only for a client on the tracker's own machine, so
 * that no member makes others dial themselves.
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
