// The least of a BitTorrent tracker (BEP 3, 23), for clients that are measured beside ours and find peers in no other
// way: tells everybody of all who announced so far, and forgets nobody. One torrent, loopback alone.
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import bencode from "bencode";

const LOOPBACK = [127, 0, 0, 1];
const INTERVAL_SECONDS = 60;

export class PlainTracker implements AsyncDisposable {
  readonly #server: Server;
  readonly #ports = new Set<number>();
  #joined = Promise.withResolvers<void>();
  readonly url: string;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.url = `http://127.0.0.1:${port}/announce`;
    server.on("request", (request, response) => {
      const port = Number(new URL(request.url ?? "", this.url).searchParams.get("port"));
      const others = [...this.#ports].filter((other) => other !== port);
      const peers = Buffer.from(others.flatMap((other) => [...LOOPBACK, other >> 8, other & 255]));
      response.end(bencode.encode({ interval: INTERVAL_SECONDS, peers }));
      this.#ports.add(port);
      this.#joined.resolve();
    });
  }

  static async open(): Promise<PlainTracker> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return new PlainTracker(server, address.port);
  }

  /** Resolves when somebody has announced itself. */
  get joined(): Promise<void> {
    return this.#joined.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }
}
