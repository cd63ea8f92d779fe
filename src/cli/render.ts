// What a person reads as the answer to a command: tables of groups, members, requests, files and peers, and a line for
// a download. Pure; every name in it may come from somebody else and is made harmless.

import { formatBytes, formatRate } from "../api/byte-units.ts";
import type {
  FileSummary,
  GroupSummary,
  InsideFile,
  InviteSummary,
  JoinRequest,
  Member,
} from "../api/schemas.ts";
import type {
  ClientStatus,
  DownloadSource,
  DownloadStatus,
  FolderProgress,
  HashProgress,
  LimitsStatus,
  NewInvite,
  ShareResult,
  ShareStatus,
  SkippedFiles,
} from "../client/status.ts";
import type { TrackerState } from "../client/trackers/tracker-link.ts";
import type { BandwidthLimits } from "../engine/bandwidth.ts";
import type { PeerStatus } from "../engine/peer-status.ts";
import {
  countOf,
  DEFAULT_COLUMNS,
  displayWidth,
  formatDuration,
  formatTime,
  harmless,
  paint,
  type Tone,
  truncate,
  type View,
} from "./display-text.ts";
import { qrLines } from "./qr-code.ts";
import { type Column, formatTable } from "./table.ts";

/** Hex digits of a SHA-1 that a table shows; the whole of it is in `--json`, and in the answer to `upload_file`. */
const SHA1_DIGITS_SHOWN = 12;
/** Members named in a download's line; the others are counted. */
const MAX_SOURCES_NAMED = 4;
/** Groups named in the prompt; more are counted. */
const MAX_GROUPS_NAMED = 2;
/** Least columns of a long name in a line of progress, whatever else is cut. */
const LEAST_NAME_COLUMNS = 20;
const PROMPT_END = "> ";

export function renderGroups(groups: readonly GroupSummary[], view: View): readonly string[] {
  if (groups.length === 0) return ["There is no group yet; create_group <group_id> makes one."];
  const standings = { owner: "owner", member: "member", requested: "asked to join" } as const;
  return formatTable(
    [{ title: "GROUP" }, { title: "OWNER" }, { title: "MEMBERS", isNumber: true }, { title: "YOU" }],
    groups.map((group) => [
      group.groupId,
      group.ownerId,
      String(group.memberCount),
      group.standing === undefined ? "-" : standings[group.standing],
    ]),
    view,
  );
}

export function renderMembers(members: readonly Member[], view: View): readonly string[] {
  return formatTable(
    [{ title: "USER" }, { title: "ROLE" }, { title: "ONLINE" }, { title: "SINCE", isWhole: true }],
    members.map((member) => [
      member.userId,
      member.isOwner ? "owner" : "member",
      member.isOnline ? "yes" : "no",
      formatTime(member.sinceMs, view),
    ]),
    view,
  );
}

/** The invite as text and as a code, and what it is good for. */
export function renderNewInvite(
  { invite, inviteId, expiresAtMs, uses }: NewInvite,
  groupId: string,
  view: View,
): readonly string[] {
  const who = uses === undefined ? "anybody who has it" : uses === 1 ? "one person" : `${uses} people`;
  const code = qrLines(invite, view);
  return [
    harmless(
      `Until ${formatTime(expiresAtMs, view)} this lets ${who} join ${groupId}; revoke_invite ${groupId} ${inviteId} ends it. It is shown only now:`,
    ),
    ...(code.length > 0 ? ["", ...code, ""] : []),
    harmless(invite),
  ];
}

export function renderInvites(
  invites: readonly InviteSummary[],
  groupId: string,
  view: View,
): readonly string[] {
  if (invites.length === 0)
    return [`There is no invite to ${harmless(groupId)}; create_invite ${harmless(groupId)} makes one.`];
  return formatTable(
    [
      { title: "INVITE", isWhole: true },
      { title: "STATE", isWhole: true },
      { title: "UNTIL", isWhole: true },
      { title: "LEFT", isNumber: true },
      { title: "MADE BY" },
      { title: "USED BY" },
    ],
    invites.map(({ inviteId, state, expiresAtMs, usesLeft, createdBy, usedBy, useCount }) => {
      const others = useCount - usedBy.length;
      const users = [...usedBy, ...(others > 0 ? [`${others} more`] : [])];
      return [
        ...[
          inviteId,
          state,
          formatTime(expiresAtMs, view),
          usesLeft === undefined ? "any" : String(usesLeft),
        ],
        ...[createdBy, users.join(", ")],
      ];
    }),
    view,
  );
}

export function renderRequests(
  requests: readonly JoinRequest[],
  groupId: string,
  view: View,
): readonly string[] {
  if (requests.length === 0) return [`Nobody is waiting to join ${harmless(groupId)}.`];
  return formatTable(
    [{ title: "USER" }, { title: "SINCE", isWhole: true }],
    requests.map((request) => [request.userId, formatTime(request.sinceMs, view)]),
    view,
  );
}

export function renderFiles(files: readonly FileSummary[], groupId: string, view: View): readonly string[] {
  if (files.length === 0)
    return [`${harmless(groupId)} has no file yet; upload_file <file_path> ${harmless(groupId)} shares one.`];
  const hasFolder = files.some(({ fileCount }) => fileCount !== undefined);
  return formatTable(
    [
      { title: "FILE" },
      ...filesColumn(hasFolder),
      { title: "SIZE", isNumber: true },
      { title: "SEEDERS", isNumber: true },
      { title: "LEECHERS", isNumber: true },
      { title: "SHARED BY" },
      { title: "SHA-1", isWhole: true },
    ],
    files.map((file) => [
      file.fileName,
      ...(hasFolder ? [filesCell(file)] : []),
      formatBytes(file.lengthBytes),
      String(file.seedersOnline),
      String(Math.max(0, file.peersOnline - file.seedersOnline)),
      file.sharedBy === "" ? "nobody: parts only" : file.sharedBy,
      file.sha1?.slice(0, SHA1_DIGITS_SHOWN) ?? "-",
    ]),
    view,
  );
}

/** A page of the files in a folder. */
export function renderInside(files: readonly InsideFile[], fileName: string, view: View): readonly string[] {
  if (files.length === 0) return [`There are no more files in ${harmless(fileName)}.`];
  return formatTable(
    [
      { title: "PATH" },
      { title: "SIZE", isNumber: true },
      { title: "SHA-1", isWhole: true },
      { title: "REMARKS" },
    ],
    files.map(({ path, lengthBytes, sha1, isExecutable, linkTarget }) => [
      path,
      linkTarget === undefined ? formatBytes(lengthBytes) : "-",
      sha1?.slice(0, SHA1_DIGITS_SHOWN) ?? "-",
      linkTarget === undefined ? (isExecutable ? "executable" : "") : `link to ${linkTarget}`,
    ]),
    view,
  );
}

/** `[films] holiday is shared: 2,000 files, 33 MB, 16 pieces.` and what of a folder is not shared. */
export function renderShared(share: ShareResult, how: string): readonly string[] {
  const { groupId, fileName, fileCount, sha1, skipped } = share;
  const facts = [
    ...(fileCount === undefined ? [] : [countOf(fileCount, "file")]),
    formatBytes(share.lengthBytes),
    countOf(share.pieceCount, "piece"),
    ...(sha1 === undefined ? [] : [`SHA-1 ${sha1}`]),
  ];
  const notShared = skipped === undefined ? "" : skippedText(skipped);
  const lines = [`[${groupId}] ${fileName} ${how}: ${facts.join(", ")}.`];
  if (notShared !== "") lines.push(`Not shared: ${notShared}.`);
  return lines.map(harmless);
}

/** `3 ignored, 1 FIFO, 2 empty folders`; empty if all is shared. */
function skippedText({ ignored, fifos, sockets, devices, emptyFolders }: SkippedFiles): string {
  const counts = [
    [ignored, `${ignored} ignored`],
    [fifos, countOf(fifos, "FIFO")],
    [sockets, countOf(sockets, "socket")],
    [devices, countOf(devices, "device")],
    [emptyFolders, countOf(emptyFolders, "empty folder")],
  ] as const;
  return counts
    .filter(([count]) => count > 0)
    .map(([, text]) => text)
    .join(", ");
}

export function renderShares(shares: readonly ShareStatus[], view: View): readonly string[] {
  if (shares.length === 0)
    return ["You share nothing from this machine; upload_file <file_path> <group_id> shares a file."];
  const hasFolder = shares.some(({ fileCount }) => fileCount !== undefined);
  return formatTable(
    [
      { title: "GROUP" },
      { title: "FILE" },
      ...filesColumn(hasFolder),
      { title: "SIZE", isNumber: true },
      { title: "PEERS", isNumber: true },
      { title: "STATE" },
      { title: "PATH" },
    ],
    shares.map((share) => [
      share.groupId,
      share.fileName,
      ...(hasFolder ? [filesCell(share)] : []),
      formatBytes(share.lengthBytes),
      String(share.peerCount),
      shareState(share),
      share.path,
    ]),
    view,
  );
}

/** A column that only a list with a folder has. */
function filesColumn(hasFolder: boolean): readonly Column[] {
  return hasFolder ? [{ title: "FILES", isNumber: true }] : [];
}

function filesCell({ fileCount }: { readonly fileCount?: number | undefined }): string {
  return fileCount === undefined ? "-" : String(fileCount);
}

function shareState({ state, reason, changedFiles = 0 }: ShareStatus): string {
  if (state === "served" && changedFiles > 0)
    return `shared, except ${countOf(changedFiles, "changed file")}`;
  if (state === "served") return "shared";
  return state === "waiting" ? "waits for a tracker" : `not shared: ${reason}`;
}

export function renderPeers(peers: readonly PeerStatus[], view: View): readonly string[] {
  if (peers.length === 0) return ["No peer is connected for that file."];
  return formatTable(
    [
      { title: "USER" },
      { title: "ADDRESS" },
      { title: "HAS", isNumber: true },
      { title: "DOWN", isNumber: true },
      { title: "UP", isNumber: true },
      { title: "GAVE", isNumber: true },
      { title: "TOOK", isNumber: true },
      { title: "REMARKS" },
    ],
    peers.map((peer) => [
      peer.userId,
      peer.address,
      `${percentOf(peer.piecesHad, peer.pieceCount)}%`,
      formatRate(peer.downloadBytesPerSecond),
      formatRate(peer.uploadBytesPerSecond),
      formatBytes(peer.downloadedBytes),
      formatBytes(peer.uploadedBytes),
      peer.remarks.join(", "),
    ]),
    view,
  );
}

export function renderStatus(status: ClientStatus): readonly string[] {
  const { account, tracker, trackersKnown, trackerProblem, groupIds } = status;
  const nobody =
    trackerProblem === undefined
      ? "No tracker answers."
      : trackersKnown
        ? noTrackerAnswers(trackerProblem)
        : trackerProblem;
  const groups =
    groupIds.length === 0 ? "no group" : `${countOf(groupIds.length, "group")}: ${groupIds.join(", ")}`;
  return [
    account === undefined ? "Not logged in." : `Logged in as ${account.userId}, in ${groups}.`,
    tracker === undefined ? nobody : `Connected to tracker ${tracker}.`,
    `Peers reach this client at ${status.listeningOn}.`,
    `${countOf(status.sharedFiles, "file")} shared, ${countOf(status.runningDownloads, "download")} running.`,
  ].map(harmless);
}

/** @param problem a sentence, which may begin with the same words */
export function noTrackerAnswers(problem: string): string {
  const [, remedy] = /^None of the trackers answers; (.*)$/s.exec(problem) ?? [];
  if (remedy === undefined && problem.startsWith("None of the trackers")) return problem;
  return `No tracker answers: ${remedy ?? problem}`;
}

export function renderLimits({ all, outsideSchedule, files }: LimitsStatus): readonly string[] {
  const ofFiles = files.map(
    ({ groupId, fileName, ...own }) => `[${groupId}] ${fileName}: ${limitsText(own)}`,
  );
  const together =
    outsideSchedule === undefined
      ? [`All together: ${limitsText(all)}`]
      : [
          `All together, by the schedule: ${limitsText(all)}`,
          `Outside of it: ${limitsText(outsideSchedule)}`,
        ];
  return [...together, ...ofFiles].map(harmless);
}

function limitsText({ up, down }: BandwidthLimits): string {
  const most = (rate: number | undefined): string =>
    rate === undefined ? "no limit" : `at most ${formatRate(rate)}`;
  return `up ${most(up)}, down ${most(down)}.`;
}

/** The trackers of the list, a line each. */
export function renderTrackers(trackers: readonly TrackerState[]): string[] {
  if (trackers.length === 0) return ["No tracker is known yet."];
  return trackers.map(({ address, fingerprint, isConnected, problem }) => {
    const key = fingerprint === undefined ? "key not seen yet" : `sha256:${fingerprint}`;
    const state = isConnected
      ? "connected"
      : problem === undefined
        ? "not connected"
        : `not connected: ${problem}`;
    return harmless(`${address}  ${key}  ${state}`);
  });
}

/** `alice@127.0.0.1:9001 [films]> `: who, at which tracker, in which groups; never wider than half of the terminal. */
export function renderPrompt(status: ClientStatus, view: View): string {
  const who = harmless(status.account?.userId ?? "(not logged in)");
  const where = harmless(status.tracker ?? "(no tracker)");
  const { groupIds } = status;
  const listed =
    groupIds.length <= MAX_GROUPS_NAMED ? groupIds.join(", ") : countOf(groupIds.length, "group");
  const groups = groupIds.length === 0 ? "" : ` [${harmless(listed)}]`;
  const room = Math.floor((view.columns ?? DEFAULT_COLUMNS) / 2) - PROMPT_END.length;
  const full = `${who}@${where}${groups}`;
  const shown = displayWidth(full) <= room ? full : truncate(`${who}@${where}`, room);
  return paint(shown, status.tracker === undefined ? "warn" : "accent", view) + PROMPT_END;
}

/** The lines of `show_downloads`. */
export function renderDownloads(downloads: readonly DownloadStatus[], view: View): readonly string[] {
  if (downloads.length === 0) return ["There are no downloads; download_file starts one."];
  const width = Math.max(...downloads.map((download) => displayWidth(title(download))));
  return downloads.map((download) => renderDownload(download, view, width));
}

/**
 * `[D] [group] file  42%  118/280 pieces  96 MB/s  3 peers  0:12 left`
 *
 * @param titleColumns width that the name is filled up to, so that lines stand under each other
 */
export function renderDownload(download: DownloadStatus, view: View, titleColumns = 0): string {
  const name = title(download);
  const [tone, ...parts] = describe(download, view);
  const facts = parts.filter((part) => part !== "").map(harmless);
  const padded = name + " ".repeat(Math.max(0, titleColumns - displayWidth(name)));
  return `${paint(letter(download), tone, view)} ${[padded, ...facts].join("  ")}`;
}

/** One line of live progress, never wider than the terminal; says from whom the pieces come where there is room. */
export function renderProgress(download: DownloadStatus, view: View): string {
  const uncolored = { ...view, isColored: false };
  const columns = (view.columns ?? Number.POSITIVE_INFINITY) - 1;
  const whole = renderDownload(download, uncolored);
  // How far it is counts more than the end of a long name.
  const nameColumns = displayWidth(title(download));
  const overColumns = Math.max(0, displayWidth(whole) - columns);
  const kept = truncate(
    title(download),
    Math.max(Math.min(nameColumns, LEAST_NAME_COLUMNS), nameColumns - overColumns),
  );
  const shown = whole.replace(title(download), () => kept);
  const line = [shown, sourcesText(download.sources, true)].filter((part) => part !== "");
  const cut = truncate(line.join("  "), columns);
  return paint(cut.slice(0, 3), describe(download, view)[0], view) + cut.slice(3);
}

/** `Hashing film.mkv  42%  450 MB of 1.07 GB`, `Listing pictures  50%  5 MB of 10 MB`; a long name gives way, not how far it is. */
export function renderHashing(path: string, progress: HashProgress, view: View): string {
  const { hashedBytes, lengthBytes, isListing } = progress;
  const doing = isListing === true ? "Listing " : "Hashing ";
  const name = harmless(path.slice(path.lastIndexOf("/") + 1));
  const rest = `  ${percentOf(hashedBytes, lengthBytes)}%  ${formatBytes(hashedBytes)} of ${formatBytes(lengthBytes)}`;
  const columns = (view.columns ?? Number.POSITIVE_INFINITY) - 1;
  const room = columns - doing.length - displayWidth(rest);
  return truncate(`${doing}${truncate(name, Math.max(room, LEAST_NAME_COLUMNS))}${rest}`, columns);
}

/** The line that tells of a completion: `[C] [group] file`. */
export function renderCompletion(groupId: string, fileName: string): string {
  return `[C] [${harmless(groupId)}] ${harmless(fileName)}`;
}

function title({ groupId, fileName }: DownloadStatus): string {
  return `[${harmless(groupId)}] ${harmless(fileName)}`;
}

function letter({ state }: DownloadStatus): string {
  return { downloading: "[D]", verifying: "[D]", complete: "[C]", paused: "[P]", failed: "[F]" }[state];
}

function describe(download: DownloadStatus, view: View): [Tone, ...string[]] {
  const progress = [
    `${percentOf(download.bytesVerified, download.lengthBytes)}%`,
    `${download.piecesVerified}/${download.pieceCount} pieces`,
    download.folder === undefined
      ? ""
      : `${download.folder.completeFiles}/${download.folder.chosenFiles} files`,
  ];
  switch (download.state) {
    case "downloading": {
      const { waitingFor, rateBytesPerSecond, peerCount, secondsLeft } = download;
      if (waitingFor !== undefined) return ["warn", ...progress, waitingFor];
      const left = secondsLeft === undefined ? "" : `${formatDuration(secondsLeft)} left`;
      return ["accent", ...progress, formatRate(rateBytesPerSecond), countOf(peerCount, "peer"), left];
    }
    case "verifying":
      return ["accent", ...progress, "checking the whole file"];
    case "complete":
      return [
        "good",
        formatBytes(download.lengthBytes),
        download.sha1 === undefined ? filesText(download.folder) : `SHA-1 ${download.sha1}`,
        sourcesText(download.sources, false),
        download.destinationPath,
        download.finishedAtMs === undefined ? "" : formatTime(download.finishedAtMs, view),
        download.averageBytesPerSecond === undefined ? "" : formatRate(download.averageBytesPerSecond),
      ];
    case "paused":
      return [
        "warn",
        ...progress,
        sourcesText(download.sources, false),
        download.reason === undefined ? "paused" : `paused: ${download.reason}`,
      ];
    case "failed":
      return ["bad", ...progress, sourcesText(download.sources, false), download.reason];
  }
}

/** `2000 files`, `12 of 2000 files` */
function filesText(folder: FolderProgress | undefined): string {
  if (folder === undefined) return "";
  const { chosenFiles, fileCount } = folder;
  return chosenFiles === fileCount
    ? countOf(fileCount, "file")
    : `${chosenFiles} of ${countOf(fileCount, "file")}`;
}

/** `from alice 140, bob 138`: pieces that each gave, the most first. */
function sourcesText(sources: readonly DownloadSource[], onlyConnected: boolean): string {
  const giving = sources
    .filter((source) => source.pieces > 0 && (source.isConnected || !onlyConnected))
    .toSorted((a, b) => b.pieces - a.pieces);
  if (giving.length === 0) return "";
  const named = giving
    .slice(0, MAX_SOURCES_NAMED)
    .map(({ userId, pieces }) => `${harmless(userId)} ${pieces}`);
  const others = giving.length - named.length;
  return `from ${named.join(", ")}${others > 0 ? ` and ${others} more` : ""}`;
}

/** Whole percents, rounded down: 100 means all of it. Nothing of nothing is all of it. */
function percentOf(part: number, whole: number): number {
  if (whole <= 0) return 100;
  return Math.min(100, Math.max(0, Math.floor((part / whole) * 100)));
}
