// What an outsider sees of a TLS server: every record on the wire by type and length, the certificate that was shown, and
// how it ended.
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { within } from "../../harness/within.ts";
import type { Address } from "../../src/api/addresses.ts";

/** An ECDSA signature in DER has 70 to 72 bytes, mostly: the record that it stands in differs as much. */
const SIGNATURE_SLACK_BYTES = 8;

export interface Sighting {
  /** `TYPE:LENGTH` of each TLS record that came, in order; what is no TLS as `raw:BYTES`. */
  readonly records: readonly string[];
  /** How the TLS library calls the end: the alert that came, or that the connection was closed. */
  readonly end: string;
  /** Decrypted bytes that came behind the handshake. */
  readonly said: Buffer;
  /** The certificate that was shown, DER. */
  readonly certificate: Buffer | undefined;
}

/** Opens a TLS connection with those options, says `hello` in it, and looks until it is closed. */
export async function probe(
  { host, port }: Address,
  options: ConnectionOptions,
  hello = Buffer.alloc(0),
): Promise<Sighting> {
  const tcp = connectTcp(port, host);
  const wire: Buffer[] = [];
  tcp.on("error", () => undefined);
  const tapped = tap(tcp, (chunk) => wire.push(chunk));
  const tls = connectTls({ ...options, socket: tapped, rejectUnauthorized: false });
  const said: Buffer[] = [];
  let end = "closed";
  let certificate: Buffer | undefined;
  tls.on("secureConnect", () => {
    certificate = tls.getPeerX509Certificate()?.raw;
    if (hello.length > 0) tls.write(hello);
  });
  tls.on("data", (chunk: Buffer) => said.push(chunk));
  tls.on("error", (error) => {
    end = "code" in error ? String(error.code) : error.message;
  });
  const closed = once(tls, "close").catch(() => undefined);
  if (!tls.closed) await within(closed, () => `the end of a TLS connection that said ${hello.length} bytes`);
  tcp.destroy();
  return { records: recordsOf(Buffer.concat(wire)), end, said: Buffer.concat(said), certificate };
}

/** Says those bytes over plain TCP, and gives back what came until it was closed. */
export async function probePlain({ host, port }: Address, bytes: Uint8Array): Promise<Buffer> {
  const tcp = connectTcp(port, host, () => tcp.write(bytes));
  const said: Buffer[] = [];
  tcp.on("data", (chunk: Buffer) => said.push(chunk));
  tcp.on("error", () => undefined);
  const closed = new Promise((resolve) => tcp.once("close", resolve));
  if (!tcp.closed) await within(closed, () => `the end of a connection that said ${bytes.length} bytes`);
  return Buffer.concat(said);
}

/** Whether two sightings could be of one server that answers alike, signatures' lengths aside. */
export function looksAlike(one: Sighting, other: Sighting): boolean {
  if (one.end !== other.end || one.records.length !== other.records.length) return false;
  return one.records.every((record, at) => {
    const [type, length] = record.split(":");
    const [otherType, otherLength] = (other.records[at] ?? "").split(":");
    return type === otherType && Math.abs(Number(length) - Number(otherLength)) <= SIGNATURE_SLACK_BYTES;
  });
}

function tap(socket: Socket, onData: (chunk: Buffer) => void): Duplex {
  const duplex = new Duplex({
    read: () => socket.resume(),
    write: (chunk: Buffer, _encoding, done) => {
      socket.write(chunk, () => done());
    },
    final: (done) => {
      socket.end(() => done());
    },
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  socket.on("data", (chunk: Buffer) => {
    onData(chunk);
    if (!duplex.push(chunk)) socket.pause();
  });
  socket.on("end", () => duplex.push(null));
  socket.on("close", () => duplex.destroy());
  return duplex;
}

function recordsOf(bytes: Buffer): string[] {
  const records: string[] = [];
  let at = 0;
  while (at + 5 <= bytes.length) {
    const type = bytes[at] ?? 0;
    const length = bytes.readUInt16BE(at + 3);
    if (type < 20 || type > 24) break;
    records.push(`${type}:${length}`);
    at += 5 + length;
  }
  if (at < bytes.length) records.push(`raw:${bytes.length - at}`);
  return records;
}
