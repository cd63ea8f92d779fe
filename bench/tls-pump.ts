// One end of a bare TLS 1.3 connection, for the roofline: pumps so many bytes with node:tls as fast as it goes, then
// tells its parent what processor time that took. Nothing is looked at, hashed or kept.
//
//   send BYTES: listens, and tells its parent the port.   receive BYTES PORT: dials; dialled sockets are read fastest.
import type { OnReadOpts } from "node:net";
import { type ConnectionOptions, connect, createServer } from "node:tls";
import { createDeviceIdentity } from "../src/identity/certificates.ts";
import { TLS_OPTIONS } from "../src/transport/group-credentials.ts";

/** The fastest here of 64 KiB to 1 MiB: node:tls encrypts each write as a whole. */
const WRITE_BYTES = 1024 * 1024;
/** node:tls gives one record at a time, at most 16 KiB. */
const READ_BYTES = 16 * 1024;

const [direction, lengthText, portText] = process.argv.slice(2);
const lengthBytes = Number(lengthText);

if (direction === "send") await send();
else receive(Number(portText));

async function send(): Promise<void> {
  const { privateKeyPem: key, certificatePem: cert } = createDeviceIdentity();
  const server = createServer({ ...TLS_OPTIONS, key, cert }, (socket) => {
    server.close();
    const before = process.cpuUsage();
    const chunk = Buffer.alloc(WRITE_BYTES, 1);
    let leftBytes = lengthBytes;
    const writeMore = (): void => {
      if (leftBytes <= 0) {
        tell({ cpuSeconds: secondsSince(before) });
        socket.end();
        return;
      }
      const part = leftBytes < WRITE_BYTES ? chunk.subarray(0, leftBytes) : chunk;
      leftBytes -= part.length;
      socket.write(part, writeMore);
    };
    writeMore();
  });
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    tell(typeof address === "object" ? address?.port : undefined);
  });
}

function receive(port: number): void {
  let before = process.cpuUsage();
  let leftBytes = lengthBytes;
  const onread: OnReadOpts = {
    buffer: Buffer.allocUnsafeSlow(READ_BYTES),
    callback: (readBytes) => {
      leftBytes -= readBytes;
      if (leftBytes === 0) tell({ cpuSeconds: secondsSince(before) });
      return true;
    },
  };
  // Node takes `onread` here; its types know it for plain sockets alone.
  const options: ConnectionOptions & { onread: OnReadOpts } = {
    ...{ ...TLS_OPTIONS, host: "127.0.0.1", port, rejectUnauthorized: false },
    onread,
  };
  const socket = connect(options);
  socket.once("secureConnect", () => {
    before = process.cpuUsage();
  });
  socket.once("close", () => process.disconnect?.());
}

function secondsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

function tell(what: unknown): void {
  process.send?.(what);
}
