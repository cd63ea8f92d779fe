import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { describe, it } from "node:test";
import { TLSSocket } from "node:tls";
import { Intake } from "../../../src/transport/intake.ts";
import { readAccepted } from "../../../src/transport/read-buffer.ts";

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
    assert.equal(readAccepted(socket, new Intake(() => {})), true);
    socket.destroy();
    client.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});
