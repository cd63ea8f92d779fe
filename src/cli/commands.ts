// The one table of commands: name, arguments, help line, action. The terminal, the pipe and tab completion all read it.
// An action calls the client and says the answer twice: as data for --json and as lines for a person.
import { MiniTorrentError } from "../api/errors.ts";
import type { BandwidthLimits, DownloadStatus } from "../client/status.ts";
import { parseRate } from "./byte-amounts.ts";
import type { Answer, Argument, ArgumentKind, Command, CommandContext } from "./command.ts";
import { absolutePath } from "./command-line.ts";
import { countOf, formatBytes, harmless } from "./display-text.ts";
import {
  renderDownload,
  renderDownloads,
  renderFiles,
  renderGroups,
  renderLimits,
  renderMembers,
  renderPeers,
  renderRequests,
  renderStatus,
} from "./render.ts";
import { renderWhy } from "./render-why.ts";
import { findCommand, renderHelp, usageOf } from "./usage.ts";

const groupArgument = (kind: ArgumentKind): Argument => ({ name: "group_id", kind });
const userArgument = (kind: ArgumentKind): Argument => ({ name: "user_id", kind });
const fileArgument = (kind: ArgumentKind): Argument => ({ name: "file_name", kind });
const passwordArgument: Argument = { name: "passwd", kind: "password" };
const download = [groupArgument("download-group"), fileArgument("download-file")];

/** An answer of one sentence. */
function said(sentence: string, result: unknown): Answer {
  return { result, lines: () => [harmless(sentence)] };
}

export const commands: readonly Command[] = [
  {
    name: "create_user",
    arguments: [userArgument("user-id"), passwordArgument],
    arity: [1, 2],
    help: "Make an account. Without a password it is asked for.",
    run: async (context, userId: string, given?: string) => {
      const password = given ?? (await askNewPassword(context, "create_user"));
      await context.client.createUser(userId, password);
      return said(`The user ${userId} is made; login ${userId} is next.`, { userId });
    },
  },
  {
    name: "login",
    arguments: [userArgument("user-id"), passwordArgument],
    arity: [1, 2],
    help: "Log in. Without a password it is asked for.",
    run: async (context, userId: string, given?: string) => {
      const password = given ?? (await askerOf(context, "login")("Password: "));
      const account = await context.client.login(userId, password);
      return said(`Logged in as ${account.userId}.`, account);
    },
  },
  {
    name: "logout",
    arguments: [],
    arity: [0],
    help: "Log out: nothing is shared or downloaded until the next login.",
    run: async ({ client }) => {
      const running = client.status().runningDownloads;
      await client.logout();
      const paused = running === 0 ? "" : ` ${countOf(running, "download")} paused until the next login.`;
      return said(`Logged out.${paused}`, { pausedDownloads: running });
    },
  },
  {
    name: "create_group",
    arguments: [groupArgument("new-group")],
    arity: [1],
    help: "Make a group and own it.",
    run: async ({ client }, groupId: string) => {
      await client.createGroup(groupId);
      return said(`The group ${groupId} is made; you own it.`, { groupId });
    },
  },
  {
    name: "join_group",
    arguments: [groupArgument("any-group")],
    arity: [1],
    help: "Ask the owner of a group to let you in.",
    run: async ({ client }, groupId: string) => {
      await client.joinGroup(groupId);
      return said(`You asked to join ${groupId}; its owner decides.`, { groupId });
    },
  },
  {
    name: "leave_group",
    arguments: [groupArgument("my-group")],
    arity: [1],
    help: "Leave a group; if you own it, its longest-standing member does then.",
    run: async ({ client }, groupId: string) => {
      const { newOwnerId, groupEnded } = await client.leaveGroup(groupId);
      const heir = newOwnerId === undefined ? "" : ` ${newOwnerId} owns it now.`;
      return said(`You left ${groupId}.${groupEnded ? " You were its last member: it has ended." : heir}`, {
        groupId,
        newOwnerId: newOwnerId ?? null,
        groupEnded,
      });
    },
  },
  {
    name: "list_requests",
    arguments: [groupArgument("my-group")],
    arity: [1],
    help: "Who waits to be let into a group of yours.",
    run: async ({ client }, groupId: string) => {
      const requests = await client.listRequests(groupId);
      return { result: requests, lines: (view) => renderRequests(requests, groupId, view) };
    },
  },
  {
    name: "accept_request",
    arguments: [groupArgument("my-group"), userArgument("requester")],
    arity: [2],
    help: "Let somebody into a group of yours.",
    run: async ({ client }, groupId: string, userId: string) => {
      await client.acceptRequest(groupId, userId);
      return said(`${userId} is a member of ${groupId} now.`, { groupId, userId });
    },
  },
  {
    name: "reject_request",
    arguments: [groupArgument("my-group"), userArgument("requester")],
    arity: [2],
    help: "Turn down who asked to join a group of yours.",
    run: async ({ client }, groupId: string, userId: string) => {
      await client.rejectRequest(groupId, userId);
      return said(`The request of ${userId} to join ${groupId} is rejected.`, { groupId, userId });
    },
  },
  {
    name: "remove_member",
    arguments: [groupArgument("my-group"), userArgument("member")],
    arity: [2],
    help: "Put somebody out of a group of yours; no peer gives them anything from then on.",
    run: async ({ client }, groupId: string, userId: string) => {
      await client.removeMember(groupId, userId);
      return said(`${userId} is no longer in ${groupId}.`, { groupId, userId });
    },
  },
  {
    name: "list_members",
    arguments: [groupArgument("my-group")],
    arity: [1],
    help: "Who is in a group, and who of them is online.",
    run: async ({ client }, groupId: string) => {
      const members = await client.listMembers(groupId);
      return { result: members, lines: (view) => renderMembers(members, view) };
    },
  },
  {
    name: "list_groups",
    arguments: [],
    arity: [0],
    help: "All groups, and how you stand to each.",
    run: async ({ client }) => {
      const groups = await client.listGroups();
      return { result: groups, lines: (view) => renderGroups(groups, view) };
    },
  },
  {
    name: "list_files",
    arguments: [groupArgument("my-group")],
    arity: [1],
    help: "The files of a group, and how many online have each.",
    run: async ({ client }, groupId: string) => {
      const files = await client.listFiles(groupId);
      return { result: files, lines: (view) => renderFiles(files, groupId, view) };
    },
  },
  {
    name: "upload_file",
    arguments: [{ name: "file_path", kind: "path" }, groupArgument("my-group")],
    arity: [2],
    help: "Share a file in a group, from where it lies.",
    run: async ({ client, signal, onHashing }, path: string, groupId: string) => {
      const share = await client.uploadFile(absolutePath(path), groupId, {
        onProgress: (progress) => onHashing(path, progress),
        signal,
      });
      const how = share.joinedSwarm ? "is in the group already: you share it too" : "is shared";
      const facts = `${formatBytes(share.lengthBytes)}, ${countOf(share.pieceCount, "piece")}, SHA-1 ${share.sha1}`;
      return said(`[${share.groupId}] ${share.fileName} ${how}: ${facts}.`, share);
    },
  },
  {
    name: "download_file",
    arguments: [
      groupArgument("my-group"),
      fileArgument("group-file"),
      { name: "destination_path", kind: "path" },
    ],
    arity: [3],
    help: "Download a file into a folder, or to a path of its own. It goes on behind.",
    run: async ({ client }, groupId: string, fileName: string, destination: string) => {
      const status = await client.downloadFile(groupId, fileName, absolutePath(destination));
      return { result: status, lines: (view) => [renderDownload(status, view)] };
    },
  },
  {
    name: "show_downloads",
    arguments: [],
    arity: [0],
    help: "How each download stands: [D] running, [C] complete, [P] paused, [F] failed.",
    run: async ({ client }) => {
      const downloads = client.downloads();
      return { result: downloads, lines: (view) => renderDownloads(downloads, view) };
    },
  },
  {
    name: "stop_share",
    arguments: [groupArgument("my-group"), fileArgument("group-file")],
    arity: [2],
    help: "Share a file no longer; it stays where it is.",
    run: async ({ client }, groupId: string, fileName: string) => {
      await client.stopShare(groupId, fileName);
      return said(`[${groupId}] ${fileName} is no longer shared from here.`, { groupId, fileName });
    },
  },
  {
    name: "pause",
    arguments: download,
    arity: [2],
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
    help: "Go on with a download that is paused or failed.",
    run: async ({ client }, groupId: string, fileName: string) => {
      await client.resumeDownload(groupId, fileName);
      return said(`[D] [${groupId}] ${fileName}`, { groupId, fileName });
    },
  },
  {
    name: "cancel",
    arguments: download,
    arity: [2],
    help: "Give a download up, and remove what there is of it.",
    run: async ({ client }, groupId: string, fileName: string) => {
      await client.cancelDownload(groupId, fileName);
      return said(`The download of [${groupId}] ${fileName} is cancelled.`, { groupId, fileName });
    },
  },
  {
    name: "wait",
    arguments: download,
    arity: [0, 2],
    help: "Wait until that download, or every one, is complete, failed or paused.",
    run: async ({ client, signal }, groupId?: string, fileName?: string) => {
      const which = groupId === undefined || fileName === undefined ? undefined : { groupId, fileName };
      const downloads = await client.waitForDownloads(which, signal);
      throwIfFailed(downloads);
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
    help: "Who gives and takes pieces of a file, and how fast.",
    run: async ({ client }, groupId: string, fileName: string) => {
      const peers = client.peers(groupId, fileName);
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
    help: "Limit what is sent (up) or fetched (down) a second, of all or of one file: 5MB/s, 500kB/s, off.",
    run: async ({ client }, direction?: string, rate = "", groupId?: string, fileName?: string) => {
      if (direction !== undefined) {
        const which = groupId === undefined || fileName === undefined ? undefined : { groupId, fileName };
        client.limit(directionOf(direction), parseRate(rate), which);
      }
      const limits = client.limits();
      const result = {
        all: inJson(limits.all),
        files: limits.files.map(({ groupId, fileName, ...own }) => ({ groupId, fileName, ...inJson(own) })),
      };
      return { result, lines: () => renderLimits(limits) };
    },
  },
  {
    name: "why",
    arguments: download,
    arity: [2],
    help: "Why a download does not move: what is missing, who had it, what is tried next.",
    run: async ({ client }, groupId: string, fileName: string) => {
      const report = client.why(groupId, fileName);
      return { result: report, lines: (view) => renderWhy(report, view) };
    },
  },
  {
    name: "export_torrent",
    arguments: [groupArgument("my-group"), fileArgument("group-file"), { name: "out_path", kind: "path" }],
    arity: [3],
    help: "Write a .torrent file for another BitTorrent client that speaks SSL torrents.",
    run: async ({ client }, groupId: string, fileName: string, out: string) => {
      const path = absolutePath(out);
      await client.exportTorrent(groupId, fileName, path);
      return said(`${path} describes [${groupId}] ${fileName}.`, { groupId, fileName, path });
    },
  },
  {
    name: "export_certificate",
    arguments: [groupArgument("my-group"), { name: "out_path", kind: "path" }],
    arity: [2],
    help: "Write your certificate for a group, with its key, for such a client. Good for an hour; keep it to yourself.",
    run: async ({ client }, groupId: string, out: string) => {
      const path = absolutePath(out);
      await client.exportCertificate(groupId, path);
      return said(
        `${path} has your certificate for ${groupId} and its key: whoever has it can act as you there.`,
        {
          groupId,
          path,
        },
      );
    },
  },
  {
    name: "whoami",
    arguments: [],
    arity: [0],
    help: "Who is logged in, at which tracker, in which groups.",
    run: async ({ client }) => {
      const status = client.status();
      return {
        result: { ...status, account: status.account ?? null, tracker: status.tracker ?? null },
        lines: () => renderStatus(status),
      };
    },
  },
  {
    name: "help",
    arguments: [{ name: "command", kind: "command" }],
    arity: [0, 1],
    help: "What the commands are, or what one of them does.",
    run: async (_context, name?: string) => {
      const shown = name === undefined ? commands : [findCommand(commands, name)];
      return {
        result: shown.map((command) => ({ name: command.name, usage: usageOf(command), help: command.help })),
        lines: (view) => renderHelp(shown, view),
      };
    },
  },
  {
    name: "quit",
    arguments: [],
    arity: [0],
    help: "Log out and end. In a script: once the running downloads are done.",
    run: async () => ({ result: {}, lines: () => [] }),
  },
];

function directionOf(word: string): "up" | "down" {
  if (word === "up" || word === "down") return word;
  throw new MiniTorrentError(
    "INVALID_ARGUMENT",
    `'${word}' is neither up, what is sent, nor down, what is fetched.`,
  );
}

/** JSON has no undefined. */
function inJson({ up, down }: BandwidthLimits): { up: number | null; down: number | null } {
  return { up: up ?? null, down: down ?? null };
}

function askerOf(context: CommandContext, name: string): (question: string) => Promise<string> {
  if (context.askPassword !== undefined) return context.askPassword;
  throw new MiniTorrentError(
    "USAGE",
    `${name} needs the password in its line here: ${name} <user_id> <passwd>. Or start the client with --password-file; only a prompt at a terminal asks for it.`,
  );
}

async function askNewPassword(context: CommandContext, name: string): Promise<string> {
  const ask = askerOf(context, name);
  const password = await ask("Password: ");
  if ((await ask("Once more: ")) !== password) {
    throw new MiniTorrentError("INVALID_ARGUMENT", "The two passwords differ; nothing was done.");
  }
  return password;
}

function throwIfFailed(downloads: readonly DownloadStatus[]): void {
  const failed = downloads.filter((status) => status.state === "failed");
  const [first] = failed;
  if (first === undefined) return;
  const others = failed.length === 1 ? "" : ` (and ${failed.length - 1} more failed; show_downloads tells)`;
  throw new MiniTorrentError(
    first.code,
    `[F] [${first.groupId}] ${first.fileName}: ${first.reason}${others}`,
  );
}
