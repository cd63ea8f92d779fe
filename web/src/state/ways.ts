// How a member is reached, as far as their address tells.

export type Way = "same-machine" | "same-network" | "direct";

/** @param address host:port, an IPv6 host in brackets; undefined for one that is not connected (an empty address) */
export function wayOf(address: string): Way | undefined {
  if (address === "") return undefined;
  const host = hostOf(address).replace(/^::ffff:/i, "");
  if (host === "::1" || /^127\./.test(host)) return "same-machine";
  if (/^(10\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.)/.test(host)) return "same-network";
  // Link-local (fe80::/10) and unique local (fc00::/7) addresses.
  return /^(fe[89ab]|f[cd])/i.test(host) && host.includes(":") ? "same-network" : "direct";
}

function hostOf(address: string): string {
  const [, bracketed] = /^\[([^\]]+)\]/.exec(address) ?? [];
  if (bracketed !== undefined) return bracketed;
  const colon = address.lastIndexOf(":");
  return colon < 0 ? address : address.slice(0, colon);
}
