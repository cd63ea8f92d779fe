// Whether all that a script asked for was done: what its exit code says, and which downloads it has still to name at its end.
// A download that the script began counts as failed unless it is complete at the end, or the script itself paused or
// cancelled it. Pure.
import type { ClientEvent, DownloadStatus } from "../client/status.ts";

/** A download that counts as failed, and has not been named with its cause. */
export interface Unfinished {
  readonly groupId: string;
  readonly fileName: string;
  readonly state: DownloadStatus["state"] | "unknown";
  /** Part of a sentence. */
  readonly reason: string;
}

export class ScriptTally {
  #hasFailedCommand = false;
  /** Begun by this script, and not complete as far as is known. */
  readonly #open = new Set<string>();
  /** Failed or stopped by an error, whether or not this script began them. */
  readonly #troubled = new Set<string>();
  /** Completed while the present command ran: its answer may come after the news. */
  readonly #justCompleted = new Set<string>();
  /** Named on stderr with the cause for which they stopped. */
  readonly #named = new Set<string>();
  #sessionEndedFor: string | undefined;

  get exitCode(): 0 | 1 {
    return this.#hasFailedCommand || this.#open.size > 0 || this.#troubled.size > 0 ? 1 : 0;
  }

  /** The downloads that count as failed, except those that stopped for a cause that was said. */
  unfinished(downloads: readonly DownloadStatus[]): Unfinished[] {
    const statuses = Map.groupBy(downloads, ({ groupId, fileName }) => keyOf(groupId, fileName));
    return [...new Set([...this.#open, ...this.#troubled])].flatMap((key) => {
      const [status] = statuses.get(key) ?? [];
      const hasStopped = status?.state === "paused" || status?.state === "failed";
      if (this.#named.has(key) && (hasStopped || status === undefined)) return [];
      const [groupId, fileName]: [string, string] = JSON.parse(key);
      const reason = status === undefined ? this.#whyGone() : whyUnfinished(status);
      return [{ groupId, fileName, state: status?.state ?? "unknown", reason }];
    });
  }

  commandBegins(): void {
    this.#justCompleted.clear();
  }

  commandFailed(): void {
    this.#hasFailedCommand = true;
  }

  downloadBegun(groupId: string, fileName: string): void {
    const key = keyOf(groupId, fileName);
    this.#troubled.delete(key);
    this.#named.delete(key);
    if (!this.#justCompleted.has(key)) this.#open.add(key);
  }

  /** Paused or cancelled by the script: it wanted that. */
  downloadSetAside(groupId: string, fileName: string): void {
    this.#done(keyOf(groupId, fileName));
  }

  /** The error of a command names that download, and why it is not complete. */
  downloadNamed(groupId: string, fileName: string): void {
    this.#named.add(keyOf(groupId, fileName));
  }

  /** The event is said, too. */
  onEvent(event: ClientEvent): void {
    switch (event.type) {
      case "download-complete":
        this.#justCompleted.add(keyOf(event.groupId, event.fileName));
        this.#done(keyOf(event.groupId, event.fileName));
        return;
      case "download-failed":
      case "download-paused":
        this.#troubled.add(keyOf(event.groupId, event.fileName));
        this.downloadNamed(event.groupId, event.fileName);
        return;
      case "session-ended":
        this.#sessionEndedFor = event.reason;
    }
  }

  /** Takes note of how downloads stand: one that was complete from the start brings no news. */
  settle(downloads: readonly DownloadStatus[]): void {
    for (const { state, groupId, fileName } of downloads) {
      if (state === "complete") this.#done(keyOf(groupId, fileName));
    }
  }

  #done(key: string): void {
    this.#open.delete(key);
    this.#troubled.delete(key);
    this.#named.delete(key);
  }

  #whyGone(): string {
    if (this.#sessionEndedFor !== undefined) return `the session ended: ${this.#sessionEndedFor}`;
    return "it was stopped by a logout; it continues after the next login";
  }
}

function whyUnfinished(download: DownloadStatus): string {
  switch (download.state) {
    case "paused":
      return download.reason ?? "it is paused; resume continues it";
    case "failed":
      return download.reason;
    case "downloading":
      return download.waitingFor ?? "it was still running";
    default:
      return `it is ${download.state}`;
  }
}

/** Names are compared in the normal form that the trackers keep them in. */
function keyOf(groupId: string, fileName: string): string {
  return JSON.stringify([groupId.normalize(), fileName.normalize()]);
}
