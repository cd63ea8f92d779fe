import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { PassThrough } from "node:stream";
import { describe, it, test } from "node:test";
import { TLSSocket } from "node:tls";
import { HandshakeBuffer } from "../../../src/transport/handshake-buffer.ts";
import { readAccepted, readOptions } from "../../../src/transport/read-buffer.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("reading an accepted socket", () => {
  it("goes by the one buffer on this Node: if this fails after an update, receiving costs twice the time", async () => {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const client = connect(typeof address === "object" && address !== null ? address.port : 0, "127.0.0.1");
    client.on("error", () => {});
    const [raw]: Socket[] = await once(server, "connection");
    assert.ok(raw !== undefined);
    const socket = new TLSSocket(raw, { isServer: true });
    socket.on("error", () => {});
    assert.equal(readAccepted(socket, new HandshakeBuffer(() => {})), true);
    assert.equal(socket.listenerCount("data"), 0);
    socket.destroy();
    client.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  it("goes by 'data' events where this Node has no such buffer, and stops when the handshake is there", async () => {
    const socket = new PassThrough();
    const handshakes: Uint8Array[] = [];
    const handshakeBuffer = new HandshakeBuffer((bytes) => handshakes.push(bytes));
    assert.equal(readAccepted(socket, handshakeBuffer), false);
    socket.write(new Uint8Array(60).fill(1));
    await turn();
    assert.equal(socket.isPaused(), false);
    socket.write(new Uint8Array(20).fill(2));
    await turn();
    assert.equal(handshakes.length, 1);
    assert.equal(socket.isPaused(), true);
    const behind: number[] = [];
    handshakeBuffer.release((chunk, lengthBytes) => behind.push(...chunk.subarray(0, lengthBytes)));
    assert.deepEqual(behind, new Array(12).fill(2));
  });
});

it("reading a dialled socket gives the handshakeBuffer as many bytes of the buffer as have come", () => {
  const { buffer, callback } = readOptions(new HandshakeBuffer((bytes) => heard.push(...bytes)));
  const heard: number[] = [];
  assert.ok(buffer instanceof Uint8Array && buffer.length === 16 * 1024);
  buffer.fill(7);
  assert.equal(callback(67, buffer), true);
  buffer.fill(8);
  assert.equal(callback(1, buffer), false);
  assert.deepEqual(heard, [...new Array(67).fill(7), 8]);
});

test("a socket of this Node is given the buffer, unless bytes wait in it already", () => {
  const opened = () => {
    const used: unknown[] = [];
    const [bufferKey, callbackKey] = [Symbol("kBuffer"), Symbol("kBufferCb")];
    const socket = Object.assign(new PassThrough(), {
      ...{ [bufferKey]: null, [callbackKey]: null },
      _handle: { useUserBuffer: (buffer: unknown) => used.push(buffer) },
    });
    return { socket, used, bufferKey, callbackKey };
  };
  const fresh = opened();
  assert.equal(readAccepted(fresh.socket, new HandshakeBuffer(() => {})), true);
  assert.deepEqual(fresh.used, [Reflect.get(fresh.socket, fresh.bufferKey)]);
  assert.equal(typeof Reflect.get(fresh.socket, fresh.callbackKey), "function");
  const late = opened();
  late.socket.write("waits");
  assert.equal(readAccepted(late.socket, new HandshakeBuffer(() => {})), false);
  assert.deepEqual(late.used, []);
});
