// What each call of the local API does with the client. No logic of its own: a call is one method of the client.

import { homedir } from "node:os";
import { join, parse, resolve, sep } from "node:path";
import { formatAddress } from "../api/addresses.ts";
import { asMiniTorrentError, MiniTorrentError } from "../api/errors.ts";
import { decodeInvite } from "../api/invite.ts";
import type { Account } from "../api/schemas.ts";
import { parseTrackerInfo } from "../api/tracker-list.ts";
import type { Client } from "../client/client.ts";
import type { NameList, ShareOptions, ShareResult } from "../client/status.ts";
import { freeBytes } from "../net/free-space.ts";
import type { ContentTickets } from "./content-tickets.ts";
import type { DaemonServices } from "./daemon-services.ts";
import { type DaemonStore, newSecret, type TokenInfo } from "./daemon-store.ts";
import { destinationsFor } from "./destinations.ts";
import type { AnswerOf, EndpointName, InputOf } from "./endpoints.ts";
import { folderPage, makeFolder } from "./folder-pages.ts";
import type { KnownTrackers } from "./known-trackers.ts";
import type { Roots } from "./roots.ts";
import { STEP_MS } from "./speed-history.ts";
import type { AppliedLimits, DaemonStatus } from "./status-schemas.ts";

/** What the handlers need of a client. */
export type ServedClient = Omit<Client, "close" | "resume">;

export interface HandlerContext {
  readonly client: ServedClient;
  readonly daemon: DaemonStatus["daemon"];
  /** Notes for the next start who is logged in. */
  readonly session: { begun(account: Account): void; ended(): void };
  /** Which trackers the client uses. */
  readonly trackers: Pick<KnownTrackers, "change">;
  /** Reports how far a path is hashed, while it is about to be shared. */
  readonly onHashing: (path: string, progress: { hashedBytes: number; lengthBytes: number }) => void;
  readonly tokens: Pick<DaemonStore, "addToken" | "revokeToken" | "tokens">;
  readonly tickets: Pick<ContentTickets, "create">;
  /** Makes a link that opens the page once; over TCP the daemon answers from then on. */
  readonly onLink: () => Promise<string>;
  /** Begins and ends the session of the browser that calls; undefined on the Unix socket, where no browser calls. */
  readonly browser: { enter(link: string): string; leave(): void } | undefined;
  /** undefined on the Unix socket. */
  readonly caller: TokenInfo | undefined;
  /** Where the caller may name paths, and nothing that is hidden; undefined: everywhere. */
  readonly roots: Roots | undefined;
  readonly services: Pick<DaemonServices, "activity" | "folder" | "schedule" | "speed" | "uploads">;
  /** Ends the daemon soon. */
  readonly onStop: () => void;
  /** Aborted when the caller has gone. */
  readonly signal: AbortSignal;
}

type Handlers = {
  readonly [N in EndpointName]: (
    context: HandlerContext,
    input: InputOf<N>,
  ) => AnswerOf<N> | Promise<AnswerOf<N>>;
};

/** Of a call without an answer. */
const done = (): Record<string, never> => ({});

export const handlers: Handlers = {
  status: async ({ client, daemon }) => {
    // Right after the start, the first tracker may still be dialled.
    await client.trackerKnown();
    return { ...client.status(), daemon: { ...daemon, memoryBytes: process.memoryUsage.rss() } };
  },
  trackers: ({ client }) => [...client.trackers()],
  setTrackers: ({ client, trackers }, { text, invite }) => {
    if ((text === undefined) === (invite === undefined))
      throw new MiniTorrentError("INVALID_ARGUMENT", "Give text or invite: one of them.");
    const list =
      invite === undefined ? parseTrackerInfo(text ?? "", "The list") : decodeInvite(invite).trackers;
    trackers.change(client, list);
    return [...client.trackers()];
  },
  createUser: ({ client }, { userId, password }) => client.createUser(userId, password).then(done),
  login: async ({ client, session }, { userId, password }) => {
    const account = await client.login(userId, password);
    session.begun(account);
    return account;
  },
  logout: async ({ client, session }) => {
    await client.logout();
    session.ended();
    return {};
  },
  listGroups: async ({ client }) => [...(await client.listGroups())],
  createGroup: ({ client }, { groupId }) => client.createGroup(groupId).then(done),
  joinGroup: ({ client }, { groupId }) => client.joinGroup(groupId).then(done),
  createInvite: ({ client }, { groupId, uses, expiresMs }) =>
    client.createInvite(groupId, { uses, expiresMs }),
  listInvites: async ({ client }, { groupId }) => [...(await client.listInvites(groupId))],
  revokeInvite: ({ client }, { groupId, inviteId }) => client.revokeInvite(groupId, inviteId).then(done),
  joinByInvite: async ({ client, trackers }, { invite }) => {
    // A daemon that has just been set up learns of its trackers here, also if joining has to wait.
    const isFirst = !client.status().trackersKnown;
    if (isFirst) trackers.change(client, decodeInvite(invite).trackers);
    return await client.joinByInvite(invite).catch((error: unknown) => {
      if (asMiniTorrentError(error).code !== "NOT_LOGGED_IN") throw error;
      const known = isFirst ? "The invite's trackers are known now. " : "";
      throw new MiniTorrentError(
        "NOT_LOGGED_IN",
        `${known}Joining needs an account: make one (create_user <user_id>), log in (login <user_id>), then use the invite again.`,
      );
    });
  },
  readInvite: (_context, { invite }) => {
    const { groupId, trackers } = decodeInvite(invite);
    return {
      groupId,
      trackers: trackers.map(({ fingerprint, ...address }) => ({
        address: formatAddress(address),
        ...(fingerprint === undefined ? {} : { fingerprint }),
      })),
    };
  },
  leaveGroup: ({ client }, { groupId }) => client.leaveGroup(groupId),
  listMembers: async ({ client }, { groupId }) => [...(await client.listMembers(groupId))],
  removeMember: ({ client }, { groupId, userId }) => client.removeMember(groupId, userId),
  listRequests: async ({ client }, { groupId }) => [...(await client.listRequests(groupId))],
  acceptRequest: ({ client }, { groupId, userId }) => client.acceptRequest(groupId, userId).then(done),
  rejectRequest: ({ client }, { groupId, userId }) => client.rejectRequest(groupId, userId).then(done),
  listFiles: async ({ client }, { groupId }) => [...(await client.listFiles(groupId))],
  listInside: async ({ client }, { groupId, fileName, after }) => {
    const { items, next } = await client.listInside(groupId, fileName, after);
    return { items: [...items], next };
  },
  activity: ({ services }, { groupId, after }) => {
    const { items, next } = services.activity.page(groupId, after);
    return { items: [...items], next };
  },
  shares: ({ client }) => [...client.shares()],
  uploadFile: async (context, { path, groupId }) =>
    noted(context, await context.client.uploadFile(path, groupId, shareOptions(context, path))),
  updateShare: async (context, { groupId, fileName, path }) => {
    const options = shareOptions(context, path ?? fileName);
    return noted(
      context,
      await context.client.updateShare(groupId, fileName, path, options),
      "share-updated",
    );
  },
  stopShare: async ({ client }, { groupId, fileName, everywhere }) => ({
    interrupted: [...(await client.stopShare(groupId, fileName, everywhere))],
  }),
  beginUpload: ({ client, services, roots }, { name, destinationPath, ...given }) => {
    const { account, groupIds } = client.status();
    if (account === undefined)
      throw new MiniTorrentError("NOT_LOGGED_IN", "Log in first: what is sent is to be shared.");
    if (!groupIds.includes(given.groupId)) {
      throw new MiniTorrentError(
        "NOT_A_MEMBER",
        `You are not in ${given.groupId}: join_group ${given.groupId} asks to be let in.`,
      );
    }
    roots?.check(join(destinationPath ?? services.folder, name));
    return services.uploads.begin({ ...given, name, destinationPath, isConfined: roots !== undefined });
  },
  upload: ({ services }, { uploadId, path }) => services.uploads.progress(uploadId, path),
  finishUpload: (context, { uploadId }) =>
    context.services.uploads.finish(uploadId, async (path, { groupId }) =>
      noted(context, await context.client.uploadFile(path, groupId, shareOptions(context, path))),
    ),
  cancelUpload: ({ services }, { uploadId }) => services.uploads.cancel(uploadId).then(done),
  downloads: ({ client }, { history }) => [
    ...(history === true ? client.downloadHistory() : client.downloads()),
  ],
  downloadFile: ({ client, services }, { groupId, fileName, destinationPath, only, except }) => {
    // The daemon's own folder may not be there yet, and is one all the same.
    const isOwn = resolve(destinationPath) === services.folder;
    const destination = isOwn ? `${services.folder}${sep}` : destinationPath;
    return client.downloadFile(groupId, fileName, destination, { only, except });
  },
  select: ({ client }, { groupId, fileName, only, except }) =>
    client.select(groupId, fileName, { only, except }),
  follow: ({ client }, { groupId, fileName }) => client.follow(groupId, fileName).then(done),
  unfollow: ({ client }, { groupId, fileName }) => client.unfollow(groupId, fileName).then(done),
  pauseDownload: ({ client }, { groupId, fileName }) => client.pauseDownload(groupId, fileName).then(done),
  resumeDownload: ({ client }, { groupId, fileName }) => client.resumeDownload(groupId, fileName).then(done),
  cancelDownload: async ({ client }, { groupId, fileName }) => {
    const keptPath = await client.cancelDownload(groupId, fileName);
    return keptPath === undefined ? {} : { keptPath };
  },
  downloadFiles: ({ client }, { groupId, fileName, after }) => {
    const { items, next } = client.downloadFiles(groupId, fileName, after);
    return { items: [...items], next };
  },
  why: ({ client }, { groupId, fileName }) => client.why(groupId, fileName),
  peers: ({ client }, { groupId, fileName }) => [...client.peers(groupId, fileName)],
  pieces: ({ client }, { groupId, fileName }) => client.pieces(groupId, fileName),
  speed: ({ services }, { groupId, fileName }) => ({
    stepMs: STEP_MS,
    points: services.speed.points(shareIn({ groupId, fileName }), Date.now()),
  }),
  limits: (context) => limitsNow(context),
  limit: (context, { direction, bytesPerSecond, groupId, fileName }) => {
    context.client.limit(direction, bytesPerSecond ?? undefined, shareIn({ groupId, fileName }));
    return limitsNow(context);
  },
  schedule: ({ services }) => ({ rules: [...services.schedule.rules] }),
  setSchedule: ({ services: { schedule } }, { rules }) => {
    schedule.set(rules);
    return { rules: [...schedule.rules] };
  },
  roots: async ({ roots }) => {
    const paths = roots?.paths ?? [homedir(), parse(homedir()).root];
    const found = paths.map(async (path) => {
      const room = await freeBytes(path).catch(() => undefined);
      return room === undefined ? [] : [{ path, freeBytes: room }];
    });
    return { roots: (await Promise.all(found)).flat() };
  },
  folder: ({ roots }, { path, after }) => folderPage(path, after, roots),
  makeFolder: async (_context, { path }) => ({ path: await makeFolder(path) }),
  destinations: ({ client, roots, services: { folder } }, { groupId, fileName, lengthBytes }) =>
    destinationsFor({
      ...{ groupId, lengthBytes, folder, downloads: client.downloadHistory() },
      isAllowed: (path) => roots?.contains(join(path, fileName)) ?? true,
    }),
  namesOf: async ({ client }, { kind, groupId, prefix = "" }) => [
    ...(await client.namesOf(nameList(kind, groupId), prefix)),
  ],
  exportTorrent: ({ client }, { groupId, fileName, path }) =>
    client.exportTorrent(groupId, fileName, path).then(done),
  exportCertificate: ({ client }, { groupId, path }) => client.exportCertificate(groupId, path).then(done),
  tokens: ({ tokens }) => [...tokens.tokens(Date.now())],
  createToken: ({ tokens }, { name, scope }) => {
    const token = newSecret();
    tokens.addToken(name, token, scope, Date.now());
    return { token };
  },
  revokeToken: ({ tokens }, { name }) => {
    tokens.revokeToken(name);
    return {};
  },
  createLink: async ({ onLink }) => ({ url: await onLink() }),
  enter: ({ browser }, { link }) => ({ pageKey: (browser ?? notOverTcp()).enter(link) }),
  leave: ({ browser }) => {
    (browser ?? notOverTcp()).leave();
    return {};
  },
  contentTicket: async ({ client, tickets, caller }, file) => {
    // What cannot be read is said now, not to a player.
    const reader = await client.openReader(file.groupId, file.fileName, file.path);
    await reader.close();
    return { url: tickets.create(file, caller?.name) };
  },
  stop: ({ onStop }) => {
    onStop();
    return {};
  },
};

function notOverTcp(): never {
  throw new MiniTorrentError("INVALID_ARGUMENT", "Only a browser has a session, over TCP.");
}

/** What is shared here is activity of the group too; trackers tell the others of it, not this client. */
function noted(
  { client, services }: HandlerContext,
  result: ShareResult,
  type: "file-shared" | "share-updated" = "file-shared",
): ShareResult {
  const userId = client.status().account?.userId;
  const { groupId, fileName } = result;
  if (userId !== undefined) {
    const event = { groupId, fileName, userId };
    services.activity.happened(
      type === "file-shared" ? { type, ...event } : { type, ...event, isFollowed: false },
    );
  }
  return result;
}

/** @param shown what progress is reported of */
function shareOptions({ onHashing, signal, roots }: HandlerContext, shown: string): ShareOptions {
  const leavesOutHidden = roots !== undefined;
  return { onProgress: (progress) => onHashing(shown, progress), signal, leavesOutHidden };
}

function limitsNow({ client, services }: HandlerContext): AppliedLimits {
  const { applied: rule } = services.schedule;
  return { ...client.limits(), ...(rule && { rule }) };
}

/** @returns undefined: all of them are meant */
function shareIn({
  groupId,
  fileName,
}: {
  groupId?: string | undefined;
  fileName?: string | undefined;
}): { groupId: string; fileName: string } | undefined {
  if ((groupId === undefined) !== (fileName === undefined))
    throw new MiniTorrentError("INVALID_ARGUMENT", "One share needs groupId and fileName.");
  return groupId === undefined || fileName === undefined ? undefined : { groupId, fileName };
}

function nameList(kind: NameList["kind"], groupId: string | undefined): NameList {
  if (kind === "groups") return { kind };
  if (groupId !== undefined) return { kind, groupId };
  throw new MiniTorrentError("INVALID_ARGUMENT", `Names of ${kind} need groupId.`);
}
