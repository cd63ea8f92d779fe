// A tracker that answers what a test tells it to: HTTPS and the WebSocket of /api, tRPC's messages as they go over it.
import { once } from "node:events";
import { createServer } from "node:https";
import { type WebSocket, WebSocketServer } from "ws";
import { z } from "zod";
import type { DeviceIdentity } from "../../src/identity/certificates.ts";

const callSchema = z.object({
  id: z.number(),
  method: z.string(),
  params: z.object({ path: z.string(), input: z.unknown().optional() }).optional(),
});

export interface LyingTracker {
  readonly port: number;
  /** Path → what is answered; a path that is not there is answered with null. */
  readonly answers: Map<string, unknown>;
  /** Paths that were called. */
  readonly calls: string[];
  /** WebSockets that were asked for. */
  readonly upgrades: () => number;
  /** Sends that to everybody, as it is. */
  say(message: string | Buffer): void;
  close(): Promise<void>;
}

export async function lyingTracker(identity: DeviceIdentity, port = 0): Promise<LyingTracker> {
  const { privateKeyPem: key, certificatePem: cert } = identity;
  const server = createServer({ key, cert, requestCert: true, rejectUnauthorized: false });
  const sockets = new WebSocketServer({ server });
  const answers = new Map<string, unknown>();
  const calls: string[] = [];
  let upgrades = 0;
  server.on("upgrade", () => upgrades++);
  const answer = (socket: WebSocket, { id, method, params }: z.infer<typeof callSchema>): void => {
    if (params === undefined) return;
    calls.push(params.path);
    const data = answers.get(params.path) ?? null;
    const result = method === "subscription" ? { type: "started" } : { type: "data", data };
    socket.send(JSON.stringify({ id, result }));
  };
  sockets.on("connection", (socket) => {
    socket.on("error", () => undefined);
    socket.on("message", (data) => {
      const text = String(data);
      if (text === "PING") return socket.send("PONG");
      if (text === "PONG") return;
      const given: unknown = JSON.parse(text);
      for (const call of z.array(callSchema).parse(Array.isArray(given) ? given : [given]))
        answer(socket, call);
    });
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    answers,
    calls,
    upgrades: () => upgrades,
    say: (message) => {
      for (const socket of sockets.clients) socket.send(message);
    },
    close: async () => {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
