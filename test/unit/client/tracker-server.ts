// A tracker's port on loopback: TLS, a WebSocket, and behind it a tracker that answers as the test says.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { TLSSocket } from "node:tls";
import { type WebSocket, WebSocketServer } from "ws";
import { z } from "zod";
import { asMiniTorrentError } from "../../../src/api/errors.ts";
import {
  createDeviceIdentity,
  deviceIdOfKey,
  fingerprintOfPem,
  publicKeySpkiOf,
} from "../../../src/identity/certificates.ts";
import type { FakeTracker } from "./session-fixture.ts";

const callSchema = z.object({
  id: z.number(),
  method: z.enum(["query", "mutation", "subscription", "subscription.stop"]),
  params: z.object({ path: z.string(), input: z.unknown().optional() }).optional(),
});

const serverIdentity = createDeviceIdentity();

export class TrackerServer {
  readonly fake: FakeTracker;
  readonly port: number;
  readonly fingerprint = fingerprintOfPem(serverIdentity.certificatePem);
  /** The connections that stand. */
  readonly sockets = new Set<WebSocket>();
  /** What came, as it came. */
  readonly heard: string[] = [];
  /** The key of each device that connected. */
  readonly deviceIds: string[] = [];
  /** Where each connection came from. */
  readonly remoteHosts: (string | undefined)[] = [];
  /** False: frozen, nothing is answered. */
  isAnswering = true;

  private constructor(fake: FakeTracker, port: number) {
    this.fake = fake;
    this.port = port;
    const fingerprints = [this.fingerprint];
    fake.answer("trackers.keys", () => ({ fingerprints }));
  }

  /** @param aheadMs how far its clock is ahead of this machine's */
  static async open(t: TestContext, fake: FakeTracker, aheadMs = 0): Promise<TrackerServer> {
    const server = createServer({
      ...{ cert: serverIdentity.certificatePem, key: serverIdentity.privateKeyPem },
      ...{ requestCert: true, rejectUnauthorized: false, minVersion: "TLSv1.3" },
    });
    const webSockets = new WebSocketServer({ server, path: "/api", perMessageDeflate: false });
    webSockets.on("headers", (headers) =>
      headers.push(`Date: ${new Date(Date.now() + aheadMs).toUTCString()}`),
    );
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const tracker = new TrackerServer(fake, (server.address() as AddressInfo).port);
    webSockets.on("connection", (socket, request) => {
      assert.ok(request.socket instanceof TLSSocket);
      const certificate = new X509Certificate(request.socket.getPeerCertificate().raw);
      tracker.remoteHosts.push(request.socket.remoteAddress);
      tracker.#connected(socket, deviceIdOfKey(publicKeySpkiOf(certificate)));
    });
    t.after(async () => {
      for (const socket of webSockets.clients) socket.terminate();
      webSockets.close();
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    });
    return tracker;
  }

  get address(): { host: string; port: number } {
    return { host: "127.0.0.1", port: this.port };
  }

  say(text: string): void {
    for (const socket of this.sockets) socket.send(text);
  }

  #connected(socket: WebSocket, deviceId: string): void {
    this.sockets.add(socket);
    this.deviceIds.push(deviceId);
    const ended = new Map<number, () => void>();
    socket.on("close", () => {
      this.sockets.delete(socket);
      for (const end of ended.values()) end();
    });
    socket.on("message", (data) => {
      const text = String(data);
      this.heard.push(text);
      if (!this.isAnswering) return;
      if (text === "PING") socket.send("PONG");
      if (text === "PING" || text === "PONG") return;
      const parsed: unknown = JSON.parse(text);
      for (const call of Array.isArray(parsed) ? parsed : [parsed]) {
        void this.#answer(socket, callSchema.parse(call), ended);
      }
    });
  }

  async #answer(
    socket: WebSocket,
    { id, method, params }: z.infer<typeof callSchema>,
    ended: Map<number, () => void>,
  ): Promise<void> {
    const say = (message: object): void => socket.send(JSON.stringify({ id, ...message }));
    if (method === "subscription.stop") {
      ended.get(id)?.();
      return;
    }
    assert.ok(params);
    const { path, input } = params;
    if (method === "subscription") {
      const listening = this.fake.api.events.subscribe(undefined, {
        onStarted: () => say({ result: { type: "started" } }),
        onData: (data: unknown) => say({ result: { type: "data", data } }),
      });
      ended.set(id, () => listening.unsubscribe());
      return;
    }
    try {
      const data = await this.fake.call(path, input);
      say({ result: { type: "data", data } });
    } catch (error) {
      const { code, message } = asMiniTorrentError(error);
      say({ error: { code: -32_603, message, data: { minitorrentCode: code } } });
    }
  }
}
