// The daemon: one client that runs in the background and is reached over a Unix socket. It keeps its device's key, so that its
// session at the trackers outlives a restart, and nobody has to type a password again. Over TCP it answers when its settings say so,
// or once somebody asks for a link to the page.
import { chmodSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import type { TrackerAddress } from "../api/addresses.ts";
import { MiniTorrentError } from "../api/errors.ts";
import type { Account } from "../api/schemas.ts";
import type { Client, ClientOptions } from "../client/client.ts";
import type { ClientEvent } from "../client/status.ts";
import { makePrivateFolder, PRIVATE_FILE_MODE } from "../identity/private-files.ts";
import { openIdentity } from "../identity/stored-identity.ts";
import { type Clock, later } from "../net/timers.ts";
import { createApi } from "./api-server.ts";
import { ContentServer } from "./content-server.ts";
import { ContentTickets } from "./content-tickets.ts";
import { DaemonServices } from "./daemon-services.ts";
import { DaemonStore } from "./daemon-store.ts";
import { defaultFolder } from "./destinations.ts";
import { EventStream, type WatchedState } from "./event-stream.ts";
import { KnownTrackers } from "./known-trackers.ts";
import { socketPathOf } from "./socket-path.ts";
import type { DaemonStatus } from "./status-schemas.ts";
import { UnattendedLogin } from "./unattended-login.ts";
import { type WebOptions, WebServer } from "./web-server.ts";

const clock: Clock = {
  nowMs: () => performance.now(),
  setTimer: (delayMs, work) => {
    const timer = later("daemon", delayMs, work);
    return () => clearTimeout(timer);
  },
};

export interface DaemonOptions {
  /** Absolute. */
  readonly dataDir: string;
  readonly version: string;
  readonly log: Logger;
  readonly env?: NodeJS.ProcessEnv;
  /** Of the setting; undefined: those that an earlier daemon of the directory was told, if any. */
  readonly trackers?: readonly TrackerAddress[];
  readonly web: WebOptions;
  /** Where downloads and uploads go if nothing else is said; ~/miniTorrent if it is left out. Absolute. */
  readonly folder?: string;
  /** Whose session it begins by itself whenever it has none; undefined: a person logs in. */
  readonly credentials?: { readonly userId: string; readonly readPassword: () => string };
  /** Somebody asks for the daemon's end. */
  readonly onStop: () => void;
  /** `Client.open` with the options that the daemon does not decide. */
  readonly openClient: (
    options: Pick<ClientOptions, "identity" | "onEvent" | "dataDir" | "log" | "trackers">,
  ) => Promise<Client>;
}

/** What a daemon has opened, in the order in which it is closed. */
interface DaemonParts {
  readonly socketPath: string;
  readonly events: EventStream;
  readonly local: FastifyInstance;
  readonly web: WebServer;
  readonly client: Client;
  readonly services: DaemonServices;
  readonly store: DaemonStore;
  readonly unattended: UnattendedLogin | undefined;
}

export class Daemon {
  readonly socketPath: string;
  readonly #parts: DaemonParts;
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
      const watched: { events?: EventStream; services?: DaemonServices; web?: WebServer } = {};
      const isGood = (name: string): boolean => store.has(name, Date.now());
      const tickets = new ContentTickets({ isGood, nowMs: Date.now });
      const session = {
        begun: (account: Account) => store.saveAccount(account),
        ended: () => {
          store.forgetAccount();
          tickets.clear();
        },
      };
      const onEvent = (event: ClientEvent): void => {
        if (event.type === "session-ended") {
          session.ended();
          unattended?.begin();
        }
        const { type, ...facts } = event;
        watched.events?.happened(type, facts);
        watched.services?.happened(event);
      };
      const { credentials } = options;
      const unattended =
        credentials &&
        new UnattendedLogin({
          login: async () => {
            session.begun(await client.login(credentials.userId, credentials.readPassword()));
          },
          clock,
          log,
        });
      closers.unshift(() => unattended?.close());
      const client = await options.openClient({
        ...{ identity, dataDir, log, onEvent },
        trackers: trackers.list,
      });
      closers.unshift(() => client.close());
      const { folder = defaultFolder() } = options;
      const services = new DaemonServices({ store, client, folder, log });
      closers.unshift(() => services.close());
      watched.services = services;
      const facts: DaemonStatus["daemon"] = {
        ...{ pid: process.pid, version, dataDir, startedAtMs: Date.now() },
        get page() {
          return watched.web?.page;
        },
      };
      const events = new EventStream(watchedState(client, facts));
      watched.events = events;
      if (store.account !== undefined) await client.resume(store.account);
      const content = new ContentServer({ client, clock, log });
      const onLink = (): Promise<string> => web.link();
      const served = {
        ...{ client, session, trackers, daemon: facts, events, tokens: store, tickets, content },
        ...{ services, log, version, onStop, onLink, isGood },
      };
      const web = new WebServer({ web: options.web, store, served });
      watched.web = web;
      closers.unshift(() => web.close());
      const local = await createApi(served);
      closers.unshift(() => local.close());
      // The socket last: whoever waits until it answers finds everything else there.
      if (options.web.address !== undefined) await web.open();
      await listenOnSocket(local, socketPath);
      if (client.status().account === undefined) unattended?.begin();
      return new Daemon({ socketPath, events, local, web, client, services, store, unattended });
    } catch (error) {
      for (const close of closers) await close();
      throw error;
    }
  }

  private constructor(parts: DaemonParts) {
    this.socketPath = parts.socketPath;
    this.#parts = parts;
  }

  /** host:port of each tracker that the client uses. */
  get trackers(): readonly string[] {
    return this.#parts.client.trackers().map(({ address }) => address);
  }

  get account(): Account | undefined {
    return this.#parts.client.status().account;
  }

  /** Ends calls and events, then the client; the session stays, for the next start. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const { events, local, web, client, services, store, unattended } = this.#parts;
    unattended?.close();
    events.close();
    await Promise.all([local.close(), web.close()]);
    rmSync(this.socketPath, { force: true });
    await client.close();
    await services.close();
    store.close();
  }
}

function watchedState(client: Client, daemon: DaemonStatus["daemon"]): WatchedState {
  return {
    status: () => ({ ...client.status(), daemon }),
    downloads: () => client.downloads(),
    shares: () => (client.status().account === undefined ? [] : client.shares()),
  };
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
