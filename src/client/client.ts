// CONTRACT ONLY FOR NOW: the signatures are final, the bodies are being written.
import type { Logger } from "pino";
import type { Address, TrackerAddress } from "../api/addresses.ts";
import type { Account, FileSummary, GroupSummary, JoinRequest, Member } from "../api/schemas.ts";
import type {
  ClientEvent,
  ClientStatus,
  DownloadStatus,
  HashProgress,
  PeerStatus,
  ShareResult,
} from "./status.ts";

export interface ClientOptions {
  /** Where to listen for peers; port 0: any. */
  readonly listen: Address;
  readonly trackers: readonly TrackerAddress[];
  /** Index into `trackers` of the one to try first; a random one otherwise. */
  readonly firstTracker?: number;
  readonly dataDir: string;
  readonly log: Logger;
  /** Called for everything that happens unasked. */
  readonly onEvent: (event: ClientEvent) => void;
}

const todo = (): never => {
  throw new Error("contract only");
};

export class Client {
  /** Listens, and starts to look for a tracker behind. @throws MiniTorrentError ADDRESS_IN_USE, DATA_DIR_IN_USE */
  static async open(_options: ClientOptions): Promise<Client> {
    return todo();
  }
  /** Answers at once, from memory. */
  status(): ClientStatus {
    return todo();
  }
  async createUser(_userId: string, _password: string): Promise<void> {
    return todo();
  }
  async login(_userId: string, _password: string): Promise<Account> {
    return todo();
  }
  /** Stops sharing, pauses downloads. */
  async logout(): Promise<void> {
    return todo();
  }
  async createGroup(_groupId: string): Promise<void> {
    return todo();
  }
  async joinGroup(_groupId: string): Promise<void> {
    return todo();
  }
  async leaveGroup(_groupId: string): Promise<{ newOwnerId: string | undefined; groupEnded: boolean }> {
    return todo();
  }
  async listRequests(_groupId: string): Promise<readonly JoinRequest[]> {
    return todo();
  }
  async acceptRequest(_groupId: string, _userId: string): Promise<void> {
    return todo();
  }
  async rejectRequest(_groupId: string, _userId: string): Promise<void> {
    return todo();
  }
  async removeMember(_groupId: string, _userId: string): Promise<void> {
    return todo();
  }
  async listMembers(_groupId: string): Promise<readonly Member[]> {
    return todo();
  }
  async listGroups(): Promise<readonly GroupSummary[]> {
    return todo();
  }
  async listFiles(_groupId: string): Promise<readonly FileSummary[]> {
    return todo();
  }
  async uploadFile(
    _path: string,
    _groupId: string,
    _options?: { onProgress?: (progress: HashProgress) => void; signal?: AbortSignal },
  ): Promise<ShareResult> {
    return todo();
  }
  async stopShare(_groupId: string, _fileName: string): Promise<void> {
    return todo();
  }
  /** Resolves when the download has begun (or the file was there already, complete); it goes on behind. */
  async downloadFile(_groupId: string, _fileName: string, _destinationPath: string): Promise<DownloadStatus> {
    return todo();
  }
  downloads(): readonly DownloadStatus[] {
    return todo();
  }
  async pauseDownload(_groupId: string, _fileName: string): Promise<void> {
    return todo();
  }
  async resumeDownload(_groupId: string, _fileName: string): Promise<void> {
    return todo();
  }
  /** Forgets the download and removes its .part file. */
  async cancelDownload(_groupId: string, _fileName: string): Promise<void> {
    return todo();
  }
  /** Resolves when that download, or every running one, is complete, failed or paused. */
  async waitForDownloads(
    _which?: { groupId: string; fileName: string },
    _signal?: AbortSignal,
  ): Promise<readonly DownloadStatus[]> {
    return todo();
  }
  peers(_groupId: string, _fileName: string): readonly PeerStatus[] {
    return todo();
  }
  /** Saves what a restart needs, says good-bye to tracker and peers, closes everything. */
  async close(): Promise<void> {
    return todo();
  }
}
