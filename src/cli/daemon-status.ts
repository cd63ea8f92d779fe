// What `minitorrent status` shows: who is logged in, the trackers, the daemon's process, and what moves now.

import { formatBytes, formatRate } from "../api/byte-units.ts";
import type { ApiClient } from "../daemon/api-client.ts";
import type { AnswerOf } from "../daemon/endpoints.ts";
import { countOf, formatDuration, formatTime, harmless, type View } from "./display-text.ts";
import { renderDownload, renderLimits } from "./render.ts";

/** Of a daemon that sends hundreds of shares at once, the fastest. */
const MOST_UPLOADS = 20;
const LABEL_COLUMNS = 12;

export interface DaemonSummary {
  readonly status: AnswerOf<"status">;
  readonly trackers: AnswerOf<"trackers">;
  /** Those that are not complete. */
  readonly downloads: AnswerOf<"downloads">;
  /** Shares of which something is sent now, the fastest first. */
  readonly uploads: AnswerOf<"shares">;
  readonly limits: AnswerOf<"limits">;
}

/** @throws MiniTorrentError DAEMON_UNREACHABLE */
export async function summaryOf(api: ApiClient): Promise<DaemonSummary> {
  const status = await api.call("status", {});
  const isLoggedIn = status.account !== undefined;
  const [trackers, limits, downloads, shares] = await Promise.all([
    api.call("trackers", {}),
    api.call("limits", {}),
    api.call("downloads", {}),
    isLoggedIn ? api.call("shares", {}) : [],
  ]);
  return {
    ...{ status, trackers, limits },
    downloads: downloads.filter(({ state }) => state !== "complete"),
    uploads: shares
      .filter(({ uploadBytesPerSecond = 0 }) => uploadBytesPerSecond > 0)
      .sort((a, b) => (b.uploadBytesPerSecond ?? 0) - (a.uploadBytesPerSecond ?? 0)),
  };
}

/** @param nowMs milliseconds since 1970 */
export function renderSummary(summary: DaemonSummary, view: View, nowMs: number): readonly string[] {
  const { status, downloads, uploads } = summary;
  const { daemon } = status;
  const since = `${formatDuration((nowMs - daemon.startedAtMs) / 1000)} (since ${formatTime(daemon.startedAtMs, view)})`;
  const memory = daemon.memoryBytes === undefined ? "" : `, ${formatBytes(daemon.memoryBytes)} of memory`;
  const lines = [
    row("Account", accountText(status)),
    ...trackerRows(summary),
    row("Peers", listeningText(status)),
    row("Daemon", `process ${daemon.pid}, runs for ${since}${memory}`),
    row("", `${daemon.version}, ${daemon.dataDir}`),
    row("Page", daemon.page ?? "not open; minitorrent web opens it"),
    row("Limits", renderLimits({ ...summary.limits, files: [] })[0]?.replace("All together: ", "") ?? ""),
    row("Transfers", transfersText(summary)),
  ].map(harmless);
  const moving = [
    ...downloads.map((download) => renderDownload(download, view)),
    ...uploads.slice(0, MOST_UPLOADS).map(uploadText),
  ];
  const left = uploads.length - MOST_UPLOADS;
  if (left > 0) moving.push(`and ${countOf(left, "more upload")}`);
  return [...lines, ...moving.map((line) => `  ${line}`)];
}

function row(label: string, text: string): string {
  return `${label.padEnd(LABEL_COLUMNS)}${text}`;
}

function accountText({ account, groupIds, sharedFiles }: AnswerOf<"status">): string {
  if (account === undefined) return "nobody is logged in; minitorrent login <user_id> logs in";
  return `${account.userId}, in ${countOf(groupIds.length, "group")}, with ${countOf(sharedFiles, "share")}`;
}

function listeningText({ listeningOn }: AnswerOf<"status">): string {
  const [, port] = /^(?:0\.0\.0\.0|\[::\]):(\d+)$/.exec(listeningOn) ?? [];
  return port === undefined
    ? `reach this machine at ${listeningOn}`
    : `reach port ${port} of all addresses of this machine`;
}

function trackerRows({ status, trackers }: DaemonSummary): string[] {
  if (!status.trackersKnown) return [row("Trackers", status.trackerProblem ?? "none is known yet")];
  const rows = trackers.map(({ address, isConnected, problem }) =>
    isConnected
      ? `${address}  connected`
      : `${address}  not connected${problem === undefined ? "" : `: ${problem}`}`,
  );
  // One connection is enough: why others have none matters only without it.
  if (status.tracker !== undefined || status.trackerProblem === undefined) {
    return rows.map((text, index) => row(index === 0 ? "Trackers" : "", text));
  }
  const problem = status.trackerProblem;
  const summary = problem.startsWith("None of the trackers") ? problem : `none answers. ${problem}`;
  return [summary, ...rows].map((text, index) => row(index === 0 ? "Trackers" : "", text));
}

function transfersText({ downloads, uploads }: DaemonSummary): string {
  const running = downloads.filter((one) => one.state === "downloading");
  const down = running.reduce((sum, one) => sum + one.rateBytesPerSecond, 0);
  const up = [...running, ...uploads].reduce((sum, one) => sum + (one.uploadBytesPerSecond ?? 0), 0);
  if (downloads.length === 0 && uploads.length === 0) return "nothing moves";
  const unfinished = downloads.length === 0 ? "" : `, ${countOf(downloads.length, "unfinished download")}`;
  return `down ${formatRate(down)}, up ${formatRate(up)}${unfinished}`;
}

function uploadText({ groupId, fileName, uploadBytesPerSecond = 0, peerCount }: AnswerOf<"shares">[number]) {
  return harmless(
    `[U] [${groupId}] ${fileName}  ${formatRate(uploadBytesPerSecond)}  ${countOf(peerCount, "peer")}`,
  );
}
