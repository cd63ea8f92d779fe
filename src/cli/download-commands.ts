// Commands about downloads: start, list, pause, limit and explain them. The whole table is commands.ts.
import { type ErrorCode, MiniTorrentError } from "../api/errors.ts";
import { fileKey } from "../client/file-key.ts";
import type { DownloadStatus, FileChoice } from "../client/status.ts";
import type { BandwidthLimits } from "../engine/bandwidth.ts";
import { parseRate } from "./byte-amounts.ts";
import { fileArgument, groupArgument, shareArgument } from "./command-arguments.ts";
import { absolutePath } from "./command-line.ts";
import type { CommandOption, GivenOptions } from "./command-options.ts";
import {
  type ClientCommands,
  type Command,
  type CommandContext,
  type FileOfGroup,
  said,
} from "./command-types.ts";
import { renderDownload, renderDownloads, renderLimits, renderPeers } from "./render.ts";
import { renderWhy } from "./render-why.ts";

const download = [groupArgument("download-group"), fileArgument("download-file")];

const CHOICE_OPTIONS: readonly CommandOption[] = [
  { name: "--only", value: "glob", isRepeatable: true },
  { name: "--except", value: "glob", isRepeatable: true },
];

const isStopped = ({ state }: DownloadStatus): boolean => state === "paused" || state === "failed";
const isFolder = ({ folder }: DownloadStatus): boolean => folder !== undefined;
const unfinished = (client: ClientCommands): readonly FileOfGroup[] =>
  client.downloads().filter(({ state }) => state !== "complete");

/** Downloads under way; if there are none, or a name chooses among them, also what is shared. */
function active(client: ClientCommands, isFileTyped: boolean): readonly FileOfGroup[] {
  const running = client.downloads().filter(isRunning);
  return running.length > 0 && !isFileTyped ? running : [...running, ...client.shares()];
}

/** What a new version can be of: downloads, and what is shared, as a finished download is. */
function downloadedOrShared(client: ClientCommands): readonly FileOfGroup[] {
  const found = [...client.downloads(), ...client.shares()];
  return [...new Map(found.map((file) => [fileKey(file), file])).values()];
}

export const downloadCommands: readonly Command[] = [
  {
    name: "download_file",
    arguments: [
      groupArgument("my-group"),
      fileArgument("group-file"),
      { name: "destination_path", kind: "path" },
    ],
    arity: [3],
    options: CHOICE_OPTIONS,
    help: "Download a file or a folder into a folder or to a path, in the background. With --only, only files of the folder that fit one of the patterns; with --except, none that fits one. A pattern without a slash, such as *.jpg, fits in all subfolders.",
    example: 'films holiday ~/Videos/ --only "*.mkv"',
    run: async ({ client, options }, groupId: string, fileName: string, destination: string) => {
      const choice = choiceIn(options);
      const status = await client.downloadFile(groupId, fileName, absolutePath(destination), choice);
      return { result: status, lines: (view) => [renderDownload(status, view)] };
    },
  },
  {
    name: "select",
    arguments: [groupArgument("download-group"), shareArgument("download-file")],
    arity: [2],
    options: [...CHOICE_OPTIONS, { name: "--all" }],
    candidates: (client) => client.downloads().filter(isFolder),
    help: "Choose other files of a folder that is being downloaded, or was: those that fit --only and not --except, or --all. Files that are here already are kept.",
    example: 'films holiday --only "*.mkv" --except "raw/**"',
    run: async ({ client, options }, groupId: string, fileName: string) => {
      const choice = choiceIn(options);
      const isOfAll = options?.has("--all") === true;
      if (isOfAll === (choice !== undefined)) {
        const what = isOfAll
          ? "--all goes without --only and --except"
          : "select needs --only, --except or --all";
        throw new MiniTorrentError("USAGE", `${what}: select ${groupId} ${fileName} --only "*.jpg"`);
      }
      const status = await client.select(groupId, fileName, choice ?? {});
      return { result: status, lines: (view) => [renderDownload(status, view)] };
    },
  },
  {
    name: "follow",
    arguments: [groupArgument("my-group"), shareArgument("group-file")],
    arity: [2],
    candidates: downloadedOrShared,
    help: "Fetch the new version of a share that you downloaded, and each later one as soon as it is published.",
    run: async ({ client }, groupId: string, fileName: string) => {
      await client.follow(groupId, fileName);
      return said(`New versions of [${groupId}] ${fileName} are fetched from now on.`, { groupId, fileName });
    },
  },
  {
    name: "unfollow",
    arguments: [groupArgument("my-group"), shareArgument("group-file")],
    arity: [2],
    candidates: downloadedOrShared,
    help: "Fetch no more new versions of a share by itself; you are still told of them.",
    run: async ({ client }, groupId: string, fileName: string) => {
      await client.unfollow(groupId, fileName);
      return said(`New versions of [${groupId}] ${fileName} are no longer fetched by themselves.`, {
        groupId,
        fileName,
      });
    },
  },
  {
    name: "show_downloads",
    arguments: [{ name: "all", kind: "all" }],
    arity: [0, 1],
    help: "List downloads: [D] running, [C] complete, [P] paused, [F] failed. With all, also the last 1,000 completed before this login.",
    run: async ({ client }, which?: string) => {
      if (which !== undefined && which !== "all" && which !== "--all") {
        throw new MiniTorrentError("USAGE", `show_downloads takes no argument or all, but got '${which}'.`);
      }
      const downloads = which === undefined ? client.downloads() : client.downloadHistory();
      return { result: downloads, lines: (view) => renderDownloads(downloads, view) };
    },
  },
  {
    name: "pause",
    arguments: download,
    arity: [2],
    candidates: (client) => client.downloads().filter(isRunning),
    help: "Pause a download.",
    run: async ({ client }, groupId: string, fileName: string) => {
      await client.pauseDownload(groupId, fileName);
      return said(`[P] [${groupId}] ${fileName}`, { groupId, fileName });
    },
  },
  {
    name: "resume",
    arguments: download,
    arity: [2],
    candidates: (client) => client.downloads().filter(isStopped),
    help: "Resume a download that is paused or failed.",
    run: async ({ client }, groupId: string, fileName: string) => {
      await client.resumeDownload(groupId, fileName);
      return said(`[D] [${groupId}] ${fileName}`, { groupId, fileName });
    },
  },
  {
    name: "cancel",
    arguments: download,
    arity: [2],
    isEnding: true,
    candidates: unfinished,
    help: "Cancel a download and remove its part file; a part file that holds the whole file is kept.",
    run: async ({ client }, groupId: string, fileName: string) => {
      const keptPath = await client.cancelDownload(groupId, fileName);
      const cancelled = `The download of [${groupId}] ${fileName} is cancelled.`;
      if (keptPath === undefined) return said(cancelled, { groupId, fileName });
      const kept = `The whole file had arrived and is kept at ${keptPath}; rename or delete it.`;
      return said(`${cancelled} ${kept}`, { groupId, fileName, keptPath });
    },
  },
  {
    name: "wait",
    arguments: download,
    arity: [0, 2],
    candidates: unfinished,
    help: "Wait until that download, or every one, is complete, failed or paused.",
    run: async (
      { client, signal, waitTimeoutMs, onUnfinishedNamed },
      groupId?: string,
      fileName?: string,
    ) => {
      const which = groupId === undefined || fileName === undefined ? undefined : { groupId, fileName };
      const downloads = await client.waitForDownloads(which, withTimeout(signal, waitTimeoutMs));
      throwIfUnfinished(downloads, onUnfinishedNamed);
      return {
        result: downloads,
        lines: (view) =>
          downloads.length === 0 ? ["No download was running."] : renderDownloads(downloads, view),
      };
    },
  },
  {
    name: "peers",
    arguments: [groupArgument("my-group"), fileArgument("group-file")],
    arity: [2],
    candidates: active,
    help: "List the peers of a file: what each has, sends and receives.",
    run: async ({ client }, groupId: string, fileName: string) => {
      const peers = await client.peers(groupId, fileName);
      return { result: peers, lines: (view) => renderPeers(peers, view) };
    },
  },
  {
    name: "limit",
    arguments: [
      { name: "up|down", kind: "direction" },
      { name: "rate", kind: "rate" },
      groupArgument("my-group"),
      fileArgument("group-file"),
    ],
    arity: [0, 2, 4],
    candidates: active,
    help: "Limit the upload (up) or download (down) rate, in total or of one file: 5MB/s, 500kB/s, off. The limit is remembered.",
    run: async ({ client }, direction?: string, rate = "", groupId?: string, fileName?: string) => {
      if (direction !== undefined) {
        const which = groupId === undefined || fileName === undefined ? undefined : { groupId, fileName };
        await client.limit(directionOf(direction), parseRate(rate), which);
      }
      const limits = client.limits();
      const result = {
        all: inJson(limits.all),
        ...(limits.outsideSchedule && { outsideSchedule: inJson(limits.outsideSchedule) }),
        files: limits.files.map(({ groupId, fileName, ...own }) => ({ groupId, fileName, ...inJson(own) })),
      };
      return { result, lines: () => renderLimits(limits) };
    },
  },
  {
    name: "why",
    arguments: download,
    arity: [2],
    candidates: unfinished,
    help: "Explain why a download is stalled: what is missing, who had it, what is tried next.",
    run: async ({ client }, groupId: string, fileName: string) => {
      const report = await client.why(groupId, fileName);
      return { result: report, lines: (view) => renderWhy(report, view) };
    },
  },
];

/** undefined: no option says which files. */
function choiceIn(options: GivenOptions | undefined): FileChoice | undefined {
  const only = options?.get("--only");
  const except = options?.get("--except");
  if (only === undefined && except === undefined) return undefined;
  return { ...(only && { only }), ...(except && { except }) };
}

function directionOf(word: string): "up" | "down" {
  if (word === "up" || word === "down") return word;
  throw new MiniTorrentError("INVALID_ARGUMENT", `'${word}' is not a direction: write up or down.`);
}

export function isRunning({ state }: DownloadStatus): boolean {
  return state === "downloading" || state === "verifying";
}

/** JSON has no undefined. */
function inJson({ up, down }: BandwidthLimits): { up: number | null; down: number | null } {
  return { up: up ?? null, down: down ?? null };
}

/** Aborts when `signal` aborts or the timeout expires. */
export function withTimeout(signal: AbortSignal, timeoutMs: number | undefined): AbortSignal {
  return timeoutMs === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
}

/** @throws MiniTorrentError if a download is not complete, except those that the user paused */
function throwIfUnfinished(
  downloads: readonly DownloadStatus[],
  onNamed: CommandContext["onUnfinishedNamed"],
): void {
  const problems = downloads.map(problemOf).filter((problem) => problem !== undefined);
  const [first] = problems;
  if (first === undefined) return;
  onNamed?.(first.download);
  const others = problems.length - 1;
  const more =
    others === 0
      ? ""
      : ` (and ${others} more ${others === 1 ? "is" : "are"} not complete; see show_downloads)`;
  throw new MiniTorrentError(first.code, first.sentence + more);
}

function problemOf(
  download: DownloadStatus,
): { code: ErrorCode; sentence: string; download: DownloadStatus } | undefined {
  const name = `[${download.groupId}] ${download.fileName}`;
  switch (download.state) {
    case "complete":
      return undefined;
    case "failed":
      return { code: download.code, sentence: `[F] ${name}: ${download.reason}`, download };
    case "paused":
      if (download.reason === undefined) return undefined;
      return { code: "DOWNLOAD_PAUSED", sentence: `[P] ${name}: ${download.reason}`, download };
    default: {
      const cause = download.state === "downloading" ? download.waitingFor : undefined;
      const why = cause === undefined ? "" : `: ${cause}`;
      return {
        code: "TIMED_OUT",
        sentence: `[D] ${name} is not complete yet${why}; it continues.`,
        download,
      };
    }
  }
}
