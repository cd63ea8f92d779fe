// Commands about the files of a group: list, share, stop sharing, and export for other clients. The whole table is
// commands.ts.

import { MiniTorrentError } from "../api/errors.ts";
import { fileArgument, groupArgument, shareArgument } from "./command-arguments.ts";
import { absolutePath, quoteText } from "./command-line.ts";
import { type Command, said } from "./command-types.ts";
import { harmless } from "./display-text.ts";
import { renderFiles, renderInside, renderShared, renderShares } from "./render.ts";

/** Members that a sentence names; the others are counted. */
const MAX_NAMED = 10;

export const fileCommands: readonly Command[] = [
  {
    name: "list_files",
    arguments: [groupArgument("my-group"), shareArgument("group-file")],
    arity: [1, 2],
    options: [{ name: "--after", value: "place" }],
    help: "List the files and folders of a group and, for each, how many online devices have all of it (seeders) or are downloading it (leechers); or a page of the files in a folder: --after lists the next one.",
    example: "films",
    run: async ({ client, options }, groupId: string, fileName?: string) => {
      const after = options?.get("--after")?.[0];
      if (fileName === undefined) {
        if (after !== undefined)
          throw new MiniTorrentError("USAGE", "--after is for the files in a folder: name the folder, too.");
        const files = await client.listFiles(groupId);
        return { result: files, lines: (view) => renderFiles(files, groupId, view) };
      }
      const { items, next } = await client.listInside(groupId, fileName, after);
      const rest =
        next === undefined
          ? []
          : [
              `More: ${["list_files", groupId, fileName, "--after", next].map((word) => quoteText(word, undefined)).join(" ")}`,
            ];
      return {
        result: { files: items, next: next ?? null },
        lines: (view) => [...renderInside(items, fileName, view), ...rest.map(harmless)],
      };
    },
  },
  {
    name: "upload_file",
    aliases: ["upload_folder"],
    arguments: [{ name: "file_path", kind: "path" }, groupArgument("my-group")],
    arity: [2],
    help: "Share a file or a folder in a group, without copying it. A .minitorrentignore in the folder says what is left out (the syntax is that of .gitignore).",
    run: async ({ client, signal, onHashing }, path: string, groupId: string) => {
      const share = await client.uploadFile(absolutePath(path), groupId, {
        onProgress: (progress) => onHashing(path, progress),
        signal,
      });
      const anew = share.replacesEarlier ? "is shared in the place of its earlier content" : "is shared";
      const how = share.joinedSwarm ? "is in the group already: you share it too" : anew;
      return { result: share, lines: () => renderShared(share, how) };
    },
  },
  {
    name: "update_share",
    arguments: [groupArgument("my-group"), shareArgument("group-file"), { name: "path", kind: "path" }],
    arity: [2, 3],
    isEnding: true,
    candidates: (client) => client.shares(),
    help: "Publish a new version of a share: the file or folder as it is now, or the one at another path. The first sharer and the group's owner may do that; members who have the share are told.",
    example: "films holiday",
    run: async ({ client, signal, onHashing }, groupId: string, fileName: string, path?: string) => {
      const share = await client.updateShare(
        groupId,
        fileName,
        path === undefined ? undefined : absolutePath(path),
        {
          onProgress: (progress) => onHashing(path ?? fileName, progress),
          signal,
        },
      );
      const how = share.replacesEarlier ? "has a new version" : "is as it was, and has no new version";
      return { result: share, lines: () => renderShared(share, how) };
    },
  },
  {
    name: "list_shares",
    arguments: [],
    arity: [0],
    help: "List your shares on this machine: state, path, and number of connected peers.",
    run: async ({ client }) => {
      const shares = client.shares();
      return { result: shares, lines: (view) => renderShares(shares, view) };
    },
  },
  {
    name: "stop_share",
    arguments: [
      groupArgument("my-group"),
      fileArgument("group-file"),
      { name: "everywhere", kind: "everywhere" },
    ],
    arity: [2, 3],
    isEnding: true,
    candidates: (client) => client.shares(),
    help: "Stop sharing a file, which stays where it is. Your other machines keep sharing it unless you add everywhere.",
    run: async ({ client }, groupId: string, fileName: string, where?: string) => {
      if (where !== undefined && where !== "everywhere") {
        throw new MiniTorrentError(
          "USAGE",
          `stop_share takes everywhere as its third argument, but got '${where}'.`,
        );
      }
      const everywhere = where !== undefined;
      const interrupted = await client.stopShare(groupId, fileName, everywhere);
      const answer = { groupId, fileName, ...(everywhere ? { everywhere } : {}) };
      const ended = `[${groupId}] ${fileName} is no longer shared from ${everywhere ? "any of your machines" : "here"}.`;
      if (interrupted.length === 0) return said(ended, answer);
      const named = interrupted.slice(0, MAX_NAMED).join(", ");
      const others = interrupted.length > MAX_NAMED ? ` and ${interrupted.length - MAX_NAMED} more` : "";
      const told = `${named}${others} did not have all of it yet; upload_file shares it again.`;
      return said(`${ended} ${told}`, { ...answer, interrupted });
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
    help: "Write your certificate for a group and its key, for another BitTorrent client. Valid for an hour; keep it secret.",
    run: async ({ client }, groupId: string, out: string) => {
      const path = absolutePath(out);
      await client.exportCertificate(groupId, path);
      return said(
        `${path} has your certificate for ${groupId} and its key: anybody who has it can act as you there.`,
        {
          groupId,
          path,
        },
      );
    },
  },
];
