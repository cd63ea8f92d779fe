// The daemon: one client that runs in the background and is reached over a Unix socket. It keeps its device's key, so that its
// session at the trackers outlives a restart, and nobody has to type a password again.
import { chmodSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { MiniTorrentError } from "../api/errors.ts";
import type { Account } from "../api/schemas.ts";
import type { Client, ClientOptions } from "../client/client.ts";
import type { ClientEvent } from "../client/status.ts";
import { makePrivateFolder, PRIVATE_FILE_MODE } from "../identity/private-files.ts";
import { openIdentity } from "../identity/stored-identity.ts";
import { createApi } from "./api-server.ts";
import { DaemonStore } from "./daemon-store.ts";
import { EventStream, type Snapshot } from "./event-stream.ts";
import { socketPathOf } from "./socket-path.ts";
import type { DaemonStatus } from "./status-schemas.ts";

export interface DaemonOptions {
  /** Absolute. */
  readonly dataDir: string;
  readonly version: string;
  readonly log: Logger;
  readonly env?: NodeJS.ProcessEnv;
  /** Somebody asks for the daemon's end. */
  readonly onStop: () => void;
  /** `Client.open` with the options that the daemon does not decide. */
  readonly openClient: (
    options: Pick<ClientOptions, "identity" | "onEvent" | "dataDir" | "log">,
  ) => Promise<Client>;
}

export class Daemon {
  readonly socketPath: string;
  readonly #client: Client;
  readonly #store: DaemonStore;
  readonly #events: EventStream;
  readonly #server: { close(): Promise<unknown> };
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
      const identity = openIdentity(dataDir, { name: "This device", newKey: ", and log in again." });
      const watched: { events?: EventStream } = {};
      const onEvent = (event: ClientEvent): void => {
        if (event.type === "session-ended") store.forgetAccount();
        const { type, ...facts } = event;
        watched.events?.happened(type, facts);
      };
      const client = await options.openClient({ identity, dataDir, log, onEvent });
      closers.unshift(() => client.close());
      const facts = { pid: process.pid, version, dataDir, startedAtMs: Date.now() };
      const events = new EventStream(() => snapshotOf(client, facts));
      watched.events = events;
      if (store.account !== undefined) await client.resume(store.account);
      const session = {
        begun: (account: Account) => store.saveAccount(account),
        ended: () => store.forgetAccount(),
      };
      const api = await createApi({ client, session, daemon: facts, events, log, version, onStop });
      closers.unshift(() => api.close());
      await listen(api, socketPath);
      return new Daemon(socketPath, client, store, events, api);
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
    server: { close(): Promise<unknown> },
  ) {
    this.socketPath = socketPath;
    this.#client = client;
    this.#store = store;
    this.#events = events;
    this.#server = server;
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
    await this.#server.close();
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
async function listen(api: FastifyInstance, socketPath: string): Promise<void> {
  makePrivateFolder(dirname(socketPath));
  // The store's lock says that no other daemon of this directory runs.
  rmSync(socketPath, { force: true });
  try {
    await api.listen({ path: socketPath });
    chmodSync(socketPath, PRIVATE_FILE_MODE);
  } catch (error) {
    throw new MiniTorrentError(
      "ADDRESS_UNUSABLE",
      `The socket ${socketPath} cannot be made: ${String(error)}.`,
      {
        cause: error,
      },
    );
  }
}
