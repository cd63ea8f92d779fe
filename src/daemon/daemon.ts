// The daemon: one client that runs in the background and is reached over a Unix socket. It keeps its device's key, so that its
// session at the trackers outlives a restart, and nobody has to type a password again.
import { chmodSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { dirname } from "node:path";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { type Address, formatAddress, type TrackerAddress } from "../api/addresses.ts";
import { MiniTorrentError } from "../api/errors.ts";
import type { Account } from "../api/schemas.ts";
import type { Client, ClientOptions } from "../client/client.ts";
import type { ClientEvent } from "../client/status.ts";
import { isLoopback } from "../client/trackers/reachability.ts";
import { makePrivateFolder, PRIVATE_FILE_MODE } from "../identity/private-files.ts";
import { openIdentity } from "../identity/stored-identity.ts";
import { listenError } from "../net/address-errors.ts";
import { Access } from "./access.ts";
import { type ApiOptions, createApi } from "./api-server.ts";
import { DaemonStore } from "./daemon-store.ts";
import { EventStream, type Snapshot } from "./event-stream.ts";
import { KnownTrackers } from "./known-trackers.ts";
import { Roots } from "./roots.ts";
import { socketPathOf } from "./socket-path.ts";
import type { DaemonStatus } from "./status-schemas.ts";

export interface DaemonOptions {
  /** Absolute. */
  readonly dataDir: string;
  readonly version: string;
  readonly log: Logger;
  readonly env?: NodeJS.ProcessEnv;
  /** Of the setting; undefined: those that an earlier daemon of the directory was told, if any. */
  readonly trackers?: readonly TrackerAddress[];
  /** undefined: the API does not answer over TCP. */
  readonly web?: WebOptions;
  /** Somebody asks for the daemon's end. */
  readonly onStop: () => void;
  /** `Client.open` with the options that the daemon does not decide. */
  readonly openClient: (
    options: Pick<ClientOptions, "identity" | "onEvent" | "dataDir" | "log" | "trackers">,
  ) => Promise<Client>;
}

/** The API over TCP, for which every call needs a token. */
export interface WebOptions {
  /** A loopback address: what is sent is not encrypted. */
  readonly address: Address;
  /** Further names that a browser may know this machine by, such as "nas.lan". */
  readonly hostNames: readonly string[];
  /** Folders that paths in calls may lie in. Absolute. */
  readonly roots: readonly string[];
}

export class Daemon {
  readonly socketPath: string;
  readonly #client: Client;
  readonly #store: DaemonStore;
  readonly #events: EventStream;
  readonly #servers: readonly FastifyInstance[];
  #closed: Promise<void> | undefined;

  /**
   * Opens the client, continues the session of the last run, and answers on the socket.
   *
   * @throws MiniTorrentError DATA_DIR_IN_USE, DISK_FAILED, ADDRESS_IN_USE; what `Client.open` throws
   */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { dataDir, log, version, env, onStop } = options;
    const socketPath = socketPathOf(dataDir, env);
    makePrivateFolder(dataDir);
    const store = new DaemonStore(dataDir);
    const closers: (() => unknown)[] = [() => store.close()];
    try {
      const trackers = new KnownTrackers(dataDir, options.trackers);
      const identity = openIdentity(dataDir, { name: "This device", newKey: ", and log in again." });
      const watched: { events?: EventStream } = {};
      const onEvent = (event: ClientEvent): void => {
        if (event.type === "session-ended") store.forgetAccount();
        const { type, ...facts } = event;
        watched.events?.happened(type, facts);
      };
      const client = await options.openClient({
        ...{ identity, dataDir, log, onEvent },
        trackers: trackers.list,
      });
      closers.unshift(() => client.close());
      const facts = { pid: process.pid, version, dataDir, startedAtMs: Date.now() };
      const events = new EventStream(() => snapshotOf(client, facts));
      watched.events = events;
      if (store.account !== undefined) await client.resume(store.account);
      const session = {
        begun: (account: Account) => store.saveAccount(account),
        ended: () => store.forgetAccount(),
      };
      const served = {
        ...{ client, session, trackers, daemon: facts, events },
        ...{ tokens: store, log, version, onStop },
      };
      const local = await createApi(served);
      closers.unshift(() => local.close());
      await listenOnSocket(local, socketPath);
      const servers = [local];
      if (options.web !== undefined) {
        const web = await openWeb(options.web, store, served);
        closers.unshift(() => web.close());
        servers.push(web);
      }
      return new Daemon(socketPath, client, store, events, servers);
    } catch (error) {
      for (const close of closers) await close();
      throw error;
    }
  }

  private constructor(
    socketPath: string,
    client: Client,
    store: DaemonStore,
    events: EventStream,
    servers: readonly FastifyInstance[],
  ) {
    this.socketPath = socketPath;
    this.#client = client;
    this.#store = store;
    this.#events = events;
    this.#servers = servers;
  }

  /** host:port of each tracker that the client uses. */
  get trackers(): readonly string[] {
    return this.#client.trackers().map(({ address }) => address);
  }

  get account(): Account | undefined {
    return this.#client.status().account;
  }

  /** Ends calls and events, then the client; the session stays, for the next start. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#events.close();
    await Promise.all(this.#servers.map((server) => server.close()));
    rmSync(this.socketPath, { force: true });
    await this.#client.close();
    this.#store.close();
  }
}

function snapshotOf(client: Client, daemon: DaemonStatus["daemon"]): Snapshot {
  const status = { ...client.status(), daemon };
  const isLoggedIn = status.account !== undefined;
  return { status, downloads: client.downloads(), shares: isLoggedIn ? client.shares() : [] };
}

/** Only its owner can open the socket: the folder and the socket are private. What a crash left of it is removed. */
async function listenOnSocket(api: FastifyInstance, socketPath: string): Promise<void> {
  makePrivateFolder(dirname(socketPath));
  // The store's lock says that no other daemon of this directory runs.
  rmSync(socketPath, { force: true });
  try {
    await api.listen({ path: socketPath });
    chmodSync(socketPath, PRIVATE_FILE_MODE);
  } catch (error) {
    throw new MiniTorrentError(
      "ADDRESS_UNUSABLE",
      `The socket ${socketPath} cannot be made (${String(error)}): set XDG_RUNTIME_DIR to a folder of yours.`,
      {
        cause: error,
      },
    );
  }
}

/**
 * @throws MiniTorrentError INVALID_ARGUMENT for an address that other machines can reach; ADDRESS_IN_USE, ADDRESS_UNUSABLE
 */
async function openWeb(web: WebOptions, store: DaemonStore, served: ApiOptions): Promise<FastifyInstance> {
  const { address, hostNames, roots } = web;
  if (!isLoopback(address.host)) {
    throw new MiniTorrentError(
      "INVALID_ARGUMENT",
      `${formatAddress(address)} can be reached from other machines, and the API is not encrypted: give a loopback address, such as 127.0.0.1:7411, and reach it through SSH.`,
    );
  }
  const hosts = new Set<string>();
  const guard = new Access({ store, hosts: () => hosts, nowMs: Date.now });
  const api = await createApi({ ...served, guard, roots: new Roots(roots) });
  try {
    await api.listen(address);
  } catch (error) {
    throw listenError(error, address, {
      taken: "give --web another port",
      notOwn: "give a loopback address",
    });
  }
  const { port } = api.server.address() as AddressInfo;
  for (const name of ["127.0.0.1", "[::1]", "localhost", ...hostNames])
    hosts.add(`${name.toLowerCase()}:${port}`);
  return api;
}
