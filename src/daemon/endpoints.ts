// Every call of the local API, /api/v1: method, path, what goes in, what comes out, and what a token must allow. The server, the
// typed client and the OpenAPI document are made from this one table. Names and units are those of `--json`.
import { z } from "zod";
import {
  accountSchema,
  fileSummarySchema,
  groupSummarySchema,
  insideFileSchema,
  inviteSummarySchema,
  inviteWishSchema,
  joinedGroupSchema,
  joinRequestSchema,
  memberSchema,
  pageSchema,
  removalSchema,
} from "../api/schemas.ts";
import { scheduleSchema } from "./schedule.ts";
import {
  activitySchema,
  clientStatusSchema,
  destinationSchema,
  downloadSchema,
  fileProgressSchema,
  folderPageSchema,
  limitsSchema,
  peerSchema,
  pieceMapSchema,
  shareResultSchema,
  shareSchema,
  speedSchema,
  trackerSchema,
  whySchema,
} from "./status-schemas.ts";

export const API_PREFIX = "/api/v1";

/** What a caller may do: look, or also change things. */
export type Scope = "read" | "control";

export interface Endpoint {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Below /api/v1, with `:name` for parameters. */
  readonly path: string;
  /** `none`: no token is needed; what it takes instead, its handler checks. */
  readonly scope: Scope | "none";
  /** One line for the OpenAPI document. */
  readonly summary: string;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodObject;
  /** Its `path` is one in a share, not of the daemon's machine. */
  readonly isPathInside?: true;
  readonly answer: z.ZodType;
}

/** Keeps the literal types of an entry. */
const endpoint = <const E extends Endpoint>(one: E): E => one;

const nothing = z.object({});
const name = z.string().min(1).max(1_024);
const inGroup = z.object({ groupId: name });
const ofUser = inGroup.extend({ userId: name });
const ofShare = inGroup.extend({ fileName: name });
/** Globs of paths in a folder, see `FileChoice`. */
const globs = z.array(z.string().min(1).max(4_096)).max(100).optional();
/** An absolute path on the daemon's machine. */
const path = z.string().min(1).max(4_096);
const credentials = z.object({ userId: name, password: z.string().min(1).max(1_024) });
const invite = z.string().min(1).max(20_000);
const invited = z.object({ invite });
const bytesPerSecond = z.number().int().positive().nullable();
const bytes = z.number().int().nonnegative();
/** `next` of the page before. */
const after = z.object({ after: z.string().max(1_024).optional() });
const ofUpload = z.object({ uploadId: name });

const tokenSchema = z.object({
  name: z.string(),
  kind: z.enum(["token", "browser"]),
  scope: z.enum(["read", "control"]),
  createdAtMs: z.number(),
  lastUsedAtMs: z.number().optional(),
});

export const endpoints = {
  status: endpoint({
    method: "GET",
    path: "/status",
    scope: "read",
    summary: "Who is logged in, at which tracker, and the daemon's process.",
    answer: clientStatusSchema,
  }),
  trackers: endpoint({
    method: "GET",
    path: "/trackers",
    scope: "read",
    summary: "The trackers of the list: their keys, which one is connected, and why others are not.",
    answer: z.array(trackerSchema),
  }),
  setTrackers: endpoint({
    method: "PUT",
    path: "/trackers",
    scope: "control",
    summary:
      "Use other trackers: a list in the form of tracker_info.txt, or those of an invite. Refused while somebody is logged in.",
    body: z.object({ text: z.string().optional(), invite: invite.optional() }),
    answer: z.array(trackerSchema),
  }),
  createUser: endpoint({
    method: "POST",
    path: "/accounts",
    scope: "control",
    summary: "Create an account at the trackers.",
    body: credentials,
    answer: nothing,
  }),
  login: endpoint({
    method: "POST",
    path: "/session",
    scope: "control",
    summary: "Log in; the session outlives a restart of the daemon.",
    body: credentials,
    answer: accountSchema,
  }),
  logout: endpoint({
    method: "DELETE",
    path: "/session",
    scope: "control",
    summary: "Log out: sharing and downloads pause until the next login.",
    answer: nothing,
  }),
  listGroups: endpoint({
    method: "GET",
    path: "/groups",
    scope: "read",
    summary: "All groups, and the user's standing in each.",
    answer: z.array(groupSummarySchema),
  }),
  createGroup: endpoint({
    method: "POST",
    path: "/groups",
    scope: "control",
    summary: "Create a group and own it.",
    body: inGroup,
    answer: nothing,
  }),
  joinGroup: endpoint({
    method: "POST",
    path: "/groups/:groupId/join",
    scope: "control",
    summary: "Ask to join a group.",
    params: inGroup,
    answer: nothing,
  }),
  createInvite: endpoint({
    method: "POST",
    path: "/groups/:groupId/invites",
    scope: "control",
    summary:
      "Make an invite to a group of yours: by default for any number of users within seven days. It is in this answer alone.",
    params: inGroup,
    body: z.object({
      uses: inviteWishSchema.shape.uses,
      expiresMs: inviteWishSchema.shape.lastsMs,
    }),
    answer: z.object({
      invite: z.string(),
      inviteId: z.string(),
      expiresAtMs: z.number(),
      uses: z.number().int().optional(),
    }),
  }),
  listInvites: endpoint({
    method: "GET",
    path: "/groups/:groupId/invites",
    scope: "read",
    summary: "The invites to a group of yours; those that ended are listed for about an hour more.",
    params: inGroup,
    answer: z.array(inviteSummarySchema),
  }),
  revokeInvite: endpoint({
    method: "DELETE",
    path: "/groups/:groupId/invites/:inviteId",
    scope: "control",
    summary: "Revoke an invite: nobody joins with it any more. Who has joined stays.",
    params: inGroup.extend({ inviteId: name }),
    answer: nothing,
  }),
  joinByInvite: endpoint({
    method: "POST",
    path: "/invites/use",
    scope: "control",
    summary: "Join the group of an invite. A daemon that knows no trackers uses the invite's from then on.",
    body: invited,
    answer: joinedGroupSchema,
  }),
  readInvite: endpoint({
    method: "POST",
    path: "/invites/read",
    scope: "read",
    summary: "What an invite says: its group and trackers. Asks no tracker.",
    body: invited,
    answer: z.object({
      groupId: z.string(),
      trackers: z.array(z.object({ address: z.string(), fingerprint: z.string().optional() })),
    }),
  }),
  leaveGroup: endpoint({
    method: "POST",
    path: "/groups/:groupId/leave",
    scope: "control",
    summary: "Leave a group.",
    params: inGroup,
    answer: z.object({ newOwnerId: z.string().optional(), groupEnded: z.boolean() }),
  }),
  listMembers: endpoint({
    method: "GET",
    path: "/groups/:groupId/members",
    scope: "read",
    summary: "A group's members, and which of them are online.",
    params: inGroup,
    answer: z.array(memberSchema),
  }),
  removeMember: endpoint({
    method: "DELETE",
    path: "/groups/:groupId/members/:userId",
    scope: "control",
    summary: "Remove a member from a group.",
    params: ofUser,
    answer: removalSchema,
  }),
  listRequests: endpoint({
    method: "GET",
    path: "/groups/:groupId/requests",
    scope: "read",
    summary: "Pending requests to join a group.",
    params: inGroup,
    answer: z.array(joinRequestSchema),
  }),
  acceptRequest: endpoint({
    method: "POST",
    path: "/groups/:groupId/requests/:userId/accept",
    scope: "control",
    summary: "Accept a request to join.",
    params: ofUser,
    answer: nothing,
  }),
  rejectRequest: endpoint({
    method: "POST",
    path: "/groups/:groupId/requests/:userId/reject",
    scope: "control",
    summary: "Reject a request to join.",
    params: ofUser,
    answer: nothing,
  }),
  listFiles: endpoint({
    method: "GET",
    path: "/groups/:groupId/shares",
    scope: "read",
    summary: "The shares of a group.",
    params: inGroup,
    answer: z.array(fileSummarySchema),
  }),
  listInside: endpoint({
    method: "GET",
    path: "/groups/:groupId/shares/:fileName/files",
    scope: "read",
    summary: "A page of the files in a shared folder; next says where the following one begins.",
    params: ofShare,
    query: after,
    answer: pageSchema(insideFileSchema),
  }),
  activity: endpoint({
    method: "GET",
    path: "/groups/:groupId/activity",
    scope: "read",
    summary: "A page of what happened in a group while this daemon ran, newest first.",
    params: inGroup,
    query: after,
    answer: pageSchema(activitySchema),
  }),
  shares: endpoint({
    method: "GET",
    path: "/shares",
    scope: "read",
    summary: "What this machine shares.",
    answer: z.array(shareSchema),
  }),
  uploadFile: endpoint({
    method: "POST",
    path: "/shares",
    scope: "control",
    summary:
      "Share a file or folder of the daemon's machine in a group, in place. Progress arrives as events.",
    body: z.object({ groupId: name, path }),
    answer: shareResultSchema,
  }),
  updateShare: endpoint({
    method: "POST",
    path: "/shares/:groupId/:fileName/version",
    scope: "control",
    summary: "Publish a new version of a share: what is at its path now, or at another one.",
    params: ofShare,
    body: z.object({ path: path.optional() }),
    answer: shareResultSchema,
  }),
  stopShare: endpoint({
    method: "DELETE",
    path: "/shares/:groupId/:fileName",
    scope: "control",
    summary: "Stop sharing; with everywhere=true also from the account's other machines.",
    params: ofShare,
    query: z.object({ everywhere: z.stringbool().optional() }),
    answer: z.object({ interrupted: z.array(z.string()) }),
  }),
  beginUpload: endpoint({
    method: "POST",
    path: "/uploads",
    scope: "control",
    summary: "Begin to send a file or folder to the daemon's machine, to be shared there.",
    body: inGroup.extend({
      name,
      kind: z.enum(["file", "folder"]),
      destinationPath: path.optional(),
      lengthBytes: bytes,
    }),
    answer: z.object({ uploadId: z.string(), path: z.string() }),
  }),
  upload: endpoint({
    method: "GET",
    path: "/uploads/:uploadId",
    scope: "read",
    summary: "How much of an upload has come, or of one file inside.",
    params: ofUpload,
    /** Empty: of a single file. */
    query: z.object({ path: z.string().max(4_096).optional() }),
    isPathInside: true,
    answer: z.object({ receivedBytes: bytes, lengthBytes: bytes }),
  }),
  finishUpload: endpoint({
    method: "POST",
    path: "/uploads/:uploadId/finish",
    scope: "control",
    summary: "Give an upload its name, and share it. Progress arrives as events.",
    params: ofUpload,
    answer: shareResultSchema,
  }),
  cancelUpload: endpoint({
    method: "DELETE",
    path: "/uploads/:uploadId",
    scope: "control",
    summary: "Give an upload up, and remove what has come.",
    params: ofUpload,
    answer: nothing,
  }),
  downloads: endpoint({
    method: "GET",
    path: "/downloads",
    scope: "read",
    summary: "Downloads; with history=true also those completed before the last login.",
    query: z.object({ history: z.stringbool().optional() }),
    answer: z.array(downloadSchema),
  }),
  downloadFile: endpoint({
    method: "POST",
    path: "/downloads",
    scope: "control",
    summary: "Download a share into a folder or to a path of the daemon's machine.",
    body: ofShare.extend({ destinationPath: path, only: globs, except: globs }),
    answer: downloadSchema,
  }),
  select: endpoint({
    method: "PUT",
    path: "/downloads/:groupId/:fileName/choice",
    scope: "control",
    summary: "Choose other files of a folder, by globs; without any, all of them.",
    params: ofShare,
    body: z.object({ only: globs, except: globs }),
    answer: downloadSchema,
  }),
  follow: endpoint({
    method: "PUT",
    path: "/downloads/:groupId/:fileName/follow",
    scope: "control",
    summary: "Fetch the new version of a share, and each later one.",
    params: ofShare,
    answer: nothing,
  }),
  unfollow: endpoint({
    method: "DELETE",
    path: "/downloads/:groupId/:fileName/follow",
    scope: "control",
    summary: "Fetch no more new versions of a share by itself.",
    params: ofShare,
    answer: nothing,
  }),
  pauseDownload: endpoint({
    method: "POST",
    path: "/downloads/:groupId/:fileName/pause",
    scope: "control",
    summary: "Pause a download.",
    params: ofShare,
    answer: nothing,
  }),
  resumeDownload: endpoint({
    method: "POST",
    path: "/downloads/:groupId/:fileName/resume",
    scope: "control",
    summary: "Resume a download that is paused or failed.",
    params: ofShare,
    answer: nothing,
  }),
  cancelDownload: endpoint({
    method: "DELETE",
    path: "/downloads/:groupId/:fileName",
    scope: "control",
    summary:
      "Cancel a download and remove its part file; one that holds the whole file is kept, and its path returned.",
    params: ofShare,
    answer: z.object({ keptPath: z.string().optional() }),
  }),
  downloadFiles: endpoint({
    method: "GET",
    path: "/downloads/:groupId/:fileName/files",
    scope: "read",
    summary: "A page of the files of a download, with how far each is.",
    params: ofShare,
    query: after,
    answer: pageSchema(fileProgressSchema),
  }),
  why: endpoint({
    method: "GET",
    path: "/downloads/:groupId/:fileName/why",
    scope: "read",
    summary: "Why a download is stalled: what is missing, who had it, what is tried next.",
    params: ofShare,
    answer: whySchema,
  }),
  peers: endpoint({
    method: "GET",
    path: "/torrents/:groupId/:fileName/peers",
    scope: "read",
    summary: "The peers of a share or download: what each has, sends and receives.",
    params: ofShare,
    answer: z.array(peerSchema),
  }),
  pieces: endpoint({
    method: "GET",
    path: "/torrents/:groupId/:fileName/pieces",
    scope: "read",
    summary: "The pieces of a share or download: who sent each, and how many connected members have it.",
    params: ofShare,
    answer: pieceMapSchema,
  }),
  speed: endpoint({
    method: "GET",
    path: "/speed",
    scope: "read",
    summary: "How fast data moved in the last hour, of a share or download or of all, in bytes a second.",
    query: z.object({ groupId: name.optional(), fileName: name.optional() }),
    answer: speedSchema,
  }),
  limits: endpoint({
    method: "GET",
    path: "/limits",
    scope: "read",
    summary: "The upload and download limits that apply now, in bytes a second.",
    answer: limitsSchema,
  }),
  limit: endpoint({
    method: "PUT",
    path: "/limits",
    scope: "control",
    summary: "Set a limit, in total or of one share or download; null removes it.",
    body: z.object({
      direction: z.enum(["up", "down"]),
      bytesPerSecond,
      groupId: name.optional(),
      fileName: name.optional(),
    }),
    answer: limitsSchema,
  }),
  schedule: endpoint({
    method: "GET",
    path: "/schedule",
    scope: "read",
    summary: "The limits by hour and weekday.",
    answer: scheduleSchema,
  }),
  setSchedule: endpoint({
    method: "PUT",
    path: "/schedule",
    scope: "control",
    summary: "Replace the limits by hour and weekday; without rules, those of PUT /limits apply.",
    body: scheduleSchema,
    answer: scheduleSchema,
  }),
  roots: endpoint({
    method: "GET",
    path: "/roots",
    scope: "read",
    summary: "The folders of the daemon's machine that may be looked into.",
    answer: z.object({ roots: z.array(z.object({ path: z.string(), freeBytes: bytes })) }),
  }),
  folder: endpoint({
    method: "GET",
    path: "/folders",
    scope: "read",
    summary: "A page of what is in a folder of the daemon's machine, folders first.",
    query: after.extend({ path }),
    answer: folderPageSchema,
  }),
  makeFolder: endpoint({
    method: "POST",
    path: "/folders",
    scope: "control",
    summary: "Make a folder on the daemon's machine.",
    body: z.object({ path }),
    answer: z.object({ path: z.string() }),
  }),
  destinations: endpoint({
    method: "GET",
    path: "/destinations",
    scope: "read",
    summary: "Folders to download a share to, best first, with the room that each has.",
    query: z.object({
      groupId: name,
      fileName: name,
      lengthBytes: z.coerce.number().int().nonnegative(),
    }),
    answer: z.array(destinationSchema),
  }),
  namesOf: endpoint({
    method: "GET",
    path: "/names",
    scope: "read",
    summary: "At most a page of names that begin with a prefix, for completion.",
    query: z.object({
      kind: z.enum(["groups", "files", "requests", "members"]),
      groupId: name.optional(),
      prefix: z.string().max(1_024).optional(),
    }),
    answer: z.array(z.string()),
  }),
  exportTorrent: endpoint({
    method: "POST",
    path: "/exports/torrent",
    scope: "control",
    summary: "Write a .torrent file for another BitTorrent client.",
    body: ofShare.extend({ path }),
    answer: nothing,
  }),
  exportCertificate: endpoint({
    method: "POST",
    path: "/exports/certificate",
    scope: "control",
    summary: "Write the user's certificate for a group and its key; secret.",
    body: z.object({ groupId: name, path }),
    answer: nothing,
  }),
  tokens: endpoint({
    method: "GET",
    path: "/tokens",
    scope: "control",
    summary: "Access tokens and the sessions of browsers: names, scopes, since when.",
    answer: z.array(tokenSchema),
  }),
  createToken: endpoint({
    method: "POST",
    path: "/tokens",
    scope: "control",
    summary: "Make an access token for calls over TCP. Its secret is in this answer alone.",
    body: z.object({ name, scope: z.enum(["read", "control"]) }),
    answer: z.object({ token: z.string() }),
  }),
  revokeToken: endpoint({
    method: "DELETE",
    path: "/tokens/:name",
    scope: "control",
    summary: "Revoke an access token, or end the session of a browser: the next call with it is refused.",
    params: z.object({ name }),
    answer: nothing,
  }),
  createLink: endpoint({
    method: "POST",
    path: "/links",
    scope: "control",
    summary:
      "Make a link that opens the page once, within two minutes. Answers over TCP from then on, if that was off.",
    answer: z.object({ url: z.string() }),
  }),
  enter: endpoint({
    method: "POST",
    path: "/enter",
    scope: "none",
    summary:
      "Begin the session of a browser that has opened a link: sets a cookie, which counts together with the page key alone.",
    body: z.object({ link: z.string().min(1).max(200) }),
    answer: z.object({ pageKey: z.string() }),
  }),
  leave: endpoint({
    method: "POST",
    path: "/leave",
    scope: "read",
    summary: "End the session of this browser.",
    answer: nothing,
  }),
  contentTicket: endpoint({
    method: "POST",
    path: "/content-tickets",
    scope: "read",
    summary:
      "Make an address of a file of a share that is here, or downloads: read with HTTP ranges, without a token, for 12 hours.",
    body: ofShare.extend({ path: path.optional() }),
    isPathInside: true,
    answer: z.object({ url: z.string() }),
  }),
  stop: endpoint({
    method: "POST",
    path: "/stop",
    scope: "control",
    summary: "End the daemon; its session stays for the next start.",
    answer: nothing,
  }),
} as const satisfies Record<string, Endpoint>;

export type EndpointName = keyof typeof endpoints;
type PartOf<N extends EndpointName, K extends "params" | "query" | "body"> = (typeof endpoints)[N] extends {
  readonly [key in K]: infer S extends z.ZodObject;
}
  ? z.output<S>
  : unknown;
/** Parameters, query and body of a call in one object: their names do not overlap. */
export type InputOf<N extends EndpointName> = PartOf<N, "params"> & PartOf<N, "query"> & PartOf<N, "body">;
export type AnswerOf<N extends EndpointName> = z.output<(typeof endpoints)[N]["answer"]>;
