// A daemon over a client that answers from memory: its socket, its folder, and what it was asked.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { pino } from "pino";
import { formatAddress, type TrackerAddress } from "../../../src/api/addresses.ts";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import type { Account } from "../../../src/api/schemas.ts";
import type { Client, ClientOptions } from "../../../src/client/client.ts";
import type {
  ClientEvent,
  DownloadStatus,
  LimitsStatus,
  ShareResult,
  TorrentTraffic,
} from "../../../src/client/status.ts";
import { ApiClient } from "../../../src/daemon/api-client.ts";
import { Daemon, type DaemonOptions } from "../../../src/daemon/daemon.ts";
import type { WebOptions } from "../../../src/daemon/web-server.ts";

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "daemon-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export const download = (changes: Partial<DownloadStatus> = {}): DownloadStatus =>
  ({
    groupId: "films",
    fileName: "dune",
    destinationPath: "/films/dune",
    lengthBytes: 100,
    pieceCount: 4,
    piecesVerified: 1,
    bytesVerified: 25,
    duplicateBytes: 0,
    sources: [],
    state: "downloading",
    rateBytesPerSecond: 5,
    peerCount: 1,
    secondsLeft: 15,
    waitingFor: undefined,
    ...changes,
  }) as DownloadStatus;

/** The calls that daemons make of their client; a test replaces what it is about. */
export class FakeClient {
  readonly calls: unknown[][] = [];
  account: Account | undefined;
  downloadList: DownloadStatus[] = [];
  isClosed = false;
  onEvent: (event: ClientEvent) => void = () => undefined;
  identity: unknown;
  trackerList: readonly TrackerAddress[] = [];

  trackerKnown = async (): Promise<void> => undefined;
  status = () => ({
    account: this.account,
    listeningOn: "127.0.0.1:1",
    tracker: "127.0.0.1:2",
    trackersKnown: this.trackerList.length > 0,
    groupIds: ["films"],
    sharedFiles: 0,
    runningDownloads: 0,
  });
  trackers = () =>
    this.trackerList.map((tracker) => ({
      address: formatAddress(tracker),
      fingerprint: tracker.fingerprint,
      isConnected: false,
      problem: undefined,
    }));
  useTrackers = (trackers: readonly TrackerAddress[]): void => {
    this.calls.push(["useTrackers", trackers]);
    this.trackerList = trackers;
  };
  joinByInvite = async (invite: string) => {
    this.calls.push(["joinByInvite", invite]);
    if (this.account === undefined) throw new MiniTorrentError("NOT_LOGGED_IN", "Log in.");
    return { groupId: "films" };
  };
  login = async (userId: string, password: string): Promise<Account> => {
    this.calls.push(["login", userId, password]);
    if (password === "wrong")
      throw new MiniTorrentError("BAD_CREDENTIALS", "Wrong.", { retryAfterMs: 1_500 });
    this.account = { userId, accountId: "a1" };
    return this.account;
  };
  resume = async (account: Account): Promise<void> => {
    this.calls.push(["resume", account]);
    this.account = account;
  };
  logout = async (): Promise<void> => {
    this.account = undefined;
  };
  listFiles = async (groupId: string) => {
    this.calls.push(["listFiles", groupId]);
    return [];
  };
  stopShare = async (...given: unknown[]) => {
    this.calls.push(["stopShare", ...given]);
    return ["bob"];
  };
  limit = (...given: unknown[]): void => void this.calls.push(["limit", ...given]);
  limits = (): LimitsStatus => ({ all: { up: undefined, down: 7 }, files: [] });
  downloads = () => this.downloadList;
  downloadHistory = () => this.downloadList;
  shares = () => [];
  traffic = (): TorrentTraffic[] => [];
  overrideLimits = (...given: unknown[]): void => void this.calls.push(["overrideLimits", ...given]);
  holdDownloads = async (...given: unknown[]): Promise<void> =>
    void this.calls.push(["holdDownloads", ...given]);
  releaseDownloads = async (): Promise<void> => void this.calls.push(["releaseDownloads"]);
  uploadFile = async (
    _path: string,
    _groupId: string,
    options: { signal: AbortSignal; leavesOutHidden?: boolean },
  ): Promise<ShareResult> => {
    this.calls.push(["uploadFile"]);
    return new Promise((_, reject) => {
      options.signal.addEventListener("abort", () => {
        this.calls.push(["abandoned"]);
        reject(options.signal.reason);
      });
    });
  };
  close = async (): Promise<void> => {
    this.isClosed = true;
  };
}

export interface Running {
  readonly daemon: Daemon;
  readonly client: FakeClient;
  readonly api: ApiClient;
  readonly stops: number[];
}

/** Started in a folder of its own, or in one that another daemon had. */
export async function startDaemon(
  t: TestContext,
  dataDir = temporaryFolder(t),
  web: Partial<WebOptions> = {},
  trackers?: readonly TrackerAddress[],
  credentials?: NonNullable<DaemonOptions["credentials"]>,
): Promise<Running> {
  const client = new FakeClient();
  const stops: number[] = [];
  const daemon = await Daemon.start({
    dataDir,
    version: "miniTorrent 9",
    log: pino({ level: "silent" }),
    env: {},
    ...(trackers && { trackers }),
    ...(credentials && { credentials }),
    web: {
      address: undefined,
      hostNames: [],
      roots: [],
      findPage: async () => join(dataDir, "page"),
      ...web,
    },
    folder: join(dataDir, "downloads"),
    onStop: () => void stops.push(1),
    openClient: async ({
      onEvent,
      identity,
      trackers,
    }: Pick<ClientOptions, "identity" | "onEvent" | "trackers">) => {
      Object.assign(client, { onEvent, identity, trackerList: trackers });
      return client as unknown as Client;
    },
  });
  t.after(() => daemon.close());
  return { daemon, client, api: new ApiClient({ socketPath: daemon.socketPath }), stops };
}
