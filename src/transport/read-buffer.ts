// How a socket's bytes are read: into one buffer, again and again, instead of into a new one for every TLS record with
// the stream machinery behind each. Measured on loopback: half the receiver's processor time, twice the throughput.
//
// For sockets that are dialled this is the option `onread`. For accepted ones node:tls has no such option (it ignores
// it where it wraps a socket), so the same fields are set here that the option sets (lib/net.js: kBuffer, kBufferCb,
// useUserBuffer). Where this Node has them not, the bytes come by 'data' events: slower, and nothing else changes.
import type { OnReadOpts } from "node:net";
import type { Readable } from "node:stream";
import type { HandshakeBuffer } from "./handshake-buffer.ts";

/** node:tls gives one TLS record at a time, at most 16 KiB. */
const READ_BUFFER_BYTES = 16 * 1024;

/** The option `onread` for a socket that is to be dialled. */
export function readOptions(handshakeBuffer: HandshakeBuffer): OnReadOpts {
  return {
    buffer: Buffer.allocUnsafeSlow(READ_BUFFER_BYTES),
    callback: (lengthBytes, buffer) => handshakeBuffer.take(buffer, lengthBytes),
  };
}

/**
 * Lets the bytes of a socket that was accepted go to `handshakeBuffer`, which has seen none of them yet.
 *
 * @returns whether they come by the one buffer
 */
export function readAccepted(socket: Readable, handshakeBuffer: HandshakeBuffer): boolean {
  if (readIntoBuffer(socket, readOptions(handshakeBuffer))) return true;
  socket.on("data", (chunk: Buffer) => {
    if (!handshakeBuffer.take(chunk, chunk.length)) socket.pause();
  });
  return false;
}

function readIntoBuffer(socket: Readable, { buffer, callback }: OnReadOpts): boolean {
  const keys = Object.getOwnPropertySymbols(socket);
  const bufferKey = keys.find((key) => key.description === "kBuffer");
  const callbackKey = keys.find((key) => key.description === "kBufferCb");
  const handle: unknown = Reflect.get(socket, "_handle");
  if (bufferKey === undefined || callbackKey === undefined || typeof handle !== "object" || handle === null) {
    return false;
  }
  const useUserBuffer: unknown = Reflect.get(handle, "useUserBuffer");
  if (typeof useUserBuffer !== "function" || socket.readableLength > 0) return false;
  Reflect.set(socket, bufferKey, buffer);
  Reflect.set(socket, callbackKey, callback);
  Reflect.apply(useUserBuffer, handle, [buffer]);
  return true;
}
