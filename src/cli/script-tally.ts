// Whether all that a script asked for was done: what its exit code says. A download that the script began counts as
// failed unless it is complete at the end, or the script itself paused or cancelled it. Pure.
import type { ClientEvent, DownloadStatus } from "../client/status.ts";

export class ScriptTally {
  #hasFailedCommand = false;
  /** Begun by this script, and not complete as far as is known. */
  readonly #open = new Set<string>();
  /** Failed or stopped by trouble, whoever began them. */
  readonly #troubled = new Set<string>();
  /** Completed while the present command ran: its answer may come after the news. */
  readonly #justCompleted = new Set<string>();

  get exitCode(): 0 | 1 {
    return this.#hasFailedCommand || this.#open.size > 0 || this.#troubled.size > 0 ? 1 : 0;
  }

  /** Group and file of each download that counts as failed. */
  unfinished(): (readonly [groupId: string, fileName: string])[] {
    return [...new Set([...this.#open, ...this.#troubled])].map((key) => JSON.parse(key));
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
    if (!this.#justCompleted.has(key)) this.#open.add(key);
  }

  /** Paused or cancelled by the script: it wanted that. */
  downloadSetAside(groupId: string, fileName: string): void {
    this.#done(keyOf(groupId, fileName));
  }

  onEvent(event: ClientEvent): void {
    switch (event.type) {
      case "download-complete":
        this.#justCompleted.add(keyOf(event.groupId, event.fileName));
        this.#done(keyOf(event.groupId, event.fileName));
        return;
      case "download-failed":
      case "download-paused":
        this.#troubled.add(keyOf(event.groupId, event.fileName));
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
  }
}

/** Names are compared in the normal form that the trackers keep them in. */
function keyOf(groupId: string, fileName: string): string {
  return JSON.stringify([groupId.normalize(), fileName.normalize()]);
}
