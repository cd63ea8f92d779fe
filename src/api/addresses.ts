// Parses and formats `host:port`, with IPv6 in brackets; canonical forms of hosts.
import { isIP } from "node:net";
import { MiniTorrentError } from "./errors.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** One line of tracker_info.txt. */
export interface TrackerAddress extends Address {
  /** SHA-256 of the tracker's certificate (DER), 64 hex digits, if the line pins it. */
  readonly fingerprint?: string;
}

const EXAMPLE_PORT = 9000;
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?$/i;

/** @example formatAddress({ host: "::1", port: 9000 }) // "[::1]:9000" */
export function formatAddress({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Reads `IP:PORT`, `[IPv6]:PORT` or `host:PORT`. Port 0 is allowed where `allowAnyPort` says so.
 *
 * @throws MiniTorrentError INVALID_ADDRESS, which says what is wrong
 */
export function parseAddress(text: string, allowAnyPort = false): Address {
  const match = /^(?:\[(?<v6>[^\]]*)\]|(?<host>[^:\s[\]]+)):(?<port>\d+)$/.exec(text);
  if (match?.groups === undefined) {
    const withPort = ifPortIsMissing(text);
    if (withPort !== undefined) {
      throw new MiniTorrentError("INVALID_ADDRESS", `The port is missing; write ${withPort}.`);
    }
    throw new MiniTorrentError(
      "INVALID_ADDRESS",
      `'${text}' is not an address; write IP:PORT, such as 127.0.0.1:9000 or [::1]:9000.`,
    );
  }
  const host = match.groups.v6 ?? match.groups.host ?? "";
  checkHost(host, match.groups.v6 !== undefined);
  return { host, port: parsePort(match.groups.port ?? "", allowAnyPort) };
}

/** For an IPv4 address or a host name alone, how it reads with a port; undefined for anything else. */
export function ifPortIsMissing(text: string): string | undefined {
  const isHost = isIP(text) === 4 || (HOST_NAME.test(text) && /[a-z]/i.test(text));
  return isHost ? formatAddress({ host: text, port: EXAMPLE_PORT }) : undefined;
}

/** @throws MiniTorrentError INVALID_ADDRESS */
export function checkHost(host: string, mustBeIPv6 = false): void {
  const looksLikeIPv4 = /^[\d.]+$/.test(host);
  const isGood = mustBeIPv6 ? isIP(host) === 6 : isIP(host) !== 0 || (!looksLikeIPv4 && HOST_NAME.test(host));
  if (!isGood)
    throw new MiniTorrentError("INVALID_ADDRESS", `'${host}' is neither an IP address nor a host name.`);
}

/** @throws MiniTorrentError INVALID_ADDRESS */
export function parsePort(text: string, allowAnyPort = false): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  if (port > 65535 || port < (allowAnyPort ? 0 : 1)) {
    throw new MiniTorrentError(
      "INVALID_ADDRESS",
      `'${text}' is not a port: ${allowAnyPort ? 0 : 1} to 65535.`,
    );
  }
  return port;
}

/**
 * The canonical form of a host: lower case, no trailing dot, IPv6 as in RFC 5952, IPv4-mapped
 * IPv6 as IPv4. Names are not resolved: `localhost` stays `localhost`.
 *
 * @example canonicalHost("::FFFF:127.0.0.1") // "127.0.0.1"
 */
export function canonicalHost(host: string): string {
  const lower = host.toLowerCase();
  if (isIP(lower) !== 6) return lower.replace(/(?<=.)\.$/, "");
  if (lower.includes("%")) return lower; // a link-local address with a zone, which RFC 5952 does not cover
  const address = new URL(`http://[${lower}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address);
  if (mapped === null) return address;
  const bytes = mapped.slice(1).flatMap((word) => {
    const value = Number.parseInt(word, 16);
    return [value >> 8, value & 0xff];
  });
  return bytes.join(".");
}

/** An address that node:net reports, with an IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) as IPv4. */
export function plainHost(host: string): string {
  return host.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "");
}

/**
 * The network that an address counts for in limits: an IPv4 address itself; the /64 of an IPv6 address, since its holder
 * controls all of it (RFC 6177).
 *
 * @param host as node:net reports it: an IP address, perhaps with a zone
 */
export function networkOf(host: string): string {
  const address = plainHost(host.replace(/%.*/, ""));
  if (isIP(address) !== 6) return address;
  const [left = "", right] = address.toLowerCase().split("::");
  const groups = left === "" ? [] : left.split(":");
  if (right !== undefined) {
    const behind = right === "" ? [] : right.split(":");
    while (groups.length + behind.length < 8) groups.push("0");
    groups.push(...behind);
  }
  const network = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(":")}::/64`;
}
