// The API and the page over TCP, for browsers and scripts: opened at the start or when somebody first asks for a link, and open from
// then on until the daemon ends.
import type { AddressInfo, Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { type Address, formatAddress } from "../api/addresses.ts";
import { asMiniTorrentError, MiniTorrentError } from "../api/errors.ts";
import { isLoopback } from "../client/trackers/reachability.ts";
import { listenError } from "../net/address-errors.ts";
import { PendingConnectionLimiter } from "../net/pending-connection-limiter.ts";
import { Access } from "./access.ts";
import { type ApiOptions, createApi } from "./api-server.ts";
import type { DaemonStore } from "./daemon-store.ts";
import { Page } from "./page.ts";
import { Roots } from "./roots.ts";

/** Where it listens for a link if the settings name no address: first there, else at any free port. */
const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_PORT = 7411;
/** Connections on which nobody has shown a token yet; the one that has waited longest makes room. A browser opens some ten. */
const MOST_STRANGERS = 256;
const LOOPBACK_NAMES = ["127.0.0.1", "[::1]", "localhost"];

/** The API over TCP, for which every call needs a token. */
export interface WebOptions {
  /** A loopback address, since what is sent is not encrypted; undefined: it does not answer until somebody asks for a link. */
  readonly address: Address | undefined;
  /** Finds the folder of the built page. */
  readonly findPage: () => Promise<string>;
  /** Further names that a browser may know this machine by, such as "nas.lan"; with a port if it is another one there. */
  readonly hostNames: readonly string[];
  /** Folders that paths in calls may lie in. Absolute. */
  readonly roots: readonly string[];
}

export interface WebServerOptions {
  readonly web: WebOptions;
  readonly store: DaemonStore;
  readonly served: Omit<ApiOptions, "guard" | "page" | "roots">;
}

interface Opened {
  readonly api: FastifyInstance;
  readonly access: Access;
  readonly page: Page;
  readonly address: Address;
}

export class WebServer {
  readonly #options: WebServerOptions;
  #opened: Promise<Opened> | undefined;
  #address: string | undefined;
  #isClosed = false;

  constructor(options: WebServerOptions) {
    this.#options = options;
  }

  /**
   * Listens, if it does not yet.
   *
   * @throws MiniTorrentError INVALID_ARGUMENT for an address that other machines can reach; ADDRESS_IN_USE, ADDRESS_UNUSABLE
   */
  async open(): Promise<void> {
    await this.#open();
  }

  /** @returns the address of the page with a secret that opens it once. @throws as `open` */
  async link(): Promise<string> {
    const { access, page, address } = await this.#open();
    page.prepare();
    return `http://${formatAddress(address)}/#link=${access.link()}`;
  }

  /** Where the page is, without a secret; undefined while it is not open. */
  get page(): string | undefined {
    return this.#address;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#address = undefined;
    const opened = await this.#opened?.catch(() => undefined);
    await opened?.api.close();
  }

  #open(): Promise<Opened> {
    if (this.#isClosed)
      return Promise.reject(new MiniTorrentError("DAEMON_UNREACHABLE", "The daemon is ending."));
    if (this.#opened === undefined) {
      const opening = this.#listen();
      this.#opened = opening;
      // The next caller tries again: the port may be free then.
      opening.catch(() => {
        this.#opened = undefined;
      });
    }
    return this.#opened;
  }

  async #listen(): Promise<Opened> {
    const { address } = this.#options.web;
    if (address !== undefined) return await this.#listenAt(address);
    try {
      return await this.#listenAt({ host: DEFAULT_HOST, port: DEFAULT_PORT });
    } catch (error) {
      if (asMiniTorrentError(error).code !== "ADDRESS_IN_USE") throw error;
      return await this.#listenAt({ host: DEFAULT_HOST, port: 0 });
    }
  }

  async #listenAt(address: Address): Promise<Opened> {
    const { web, store, served } = this.#options;
    if (!isLoopback(address.host)) {
      throw new MiniTorrentError(
        "INVALID_ARGUMENT",
        `${formatAddress(address)} can be reached from other machines, and the API is not encrypted: give a loopback address, such as ${DEFAULT_HOST}:${DEFAULT_PORT}, and reach it through SSH.`,
      );
    }
    const hosts = new Set<string>();
    const listening = { port: address.port };
    const access = new Access({
      store,
      hosts: () => hosts,
      port: () => listening.port,
      nowMs: Date.now,
    });
    const page = new Page(web.findPage);
    const strangers = new PendingConnectionLimiter<Socket>({
      most: MOST_STRANGERS,
      // All come from this machine.
      mostOfNetwork: MOST_STRANGERS,
      leastWaitMs: 0,
      nowMs: () => performance.now(),
      drop: (socket) => socket.destroy(),
    });
    const api = await createApi({
      ...served,
      ...{ guard: access, page, roots: new Roots(web.roots) },
      onLetIn: (socket) => strangers.leave(socket),
    });
    api.server.on("connection", (socket) => {
      socket.once("close", () => strangers.leave(socket));
      strangers.enter(socket, address.host);
    });
    try {
      await api.listen(address);
    } catch (error) {
      await api.close();
      throw listenError(error, address, {
        taken: "give --web another port",
        notOwn: "give a loopback address",
      });
    }
    const { port } = api.server.address() as AddressInfo;
    listening.port = port;
    this.#address = `http://${formatAddress({ host: address.host, port })}/`;
    for (const name of [...LOOPBACK_NAMES, ...web.hostNames])
      for (const host of hostsOf(name.toLowerCase(), port)) hosts.add(host);
    return { api, access, page, address: { host: address.host, port } };
  }
}

/** As a browser writes it in the Host header: without the port if that is the one of HTTP, or of HTTPS at a proxy. */
function hostsOf(name: string, ownPort: number): readonly string[] {
  const [, host = name, port = String(ownPort)] = /^(.*):(\d+)$/.exec(name) ?? [];
  return port === "80" || port === "443" ? [host, `${host}:${port}`] : [`${host}:${port}`];
}
