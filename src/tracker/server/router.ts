// The calls that a tracker offers its clients (see api-calls.ts). Each procedure checks the form of
// its input and calls a rule in tracker/rules/. Each write carries a writeId; a repeated one gets the first call's result.
import { randomUUID } from "node:crypto";
import { z } from "zod";
import { MiniTorrentError } from "../../api/errors.ts";
import { hashOfInviteSecret } from "../../api/invite.ts";
import { unpackHashes, unpackTorrents } from "../../api/packed-torrents.ts";
import {
  type Account,
  announceSchema,
  certificateRequestSchema,
  claimIdSchema,
  credentialsSchema,
  type FileStanding,
  type FileSummary,
  fileNameSchema,
  type GroupCertificate,
  type GroupSummary,
  groupIdSchema,
  holderIdSchema,
  type InfoPartAnswer,
  type InsideFile,
  type InviteSummary,
  infoHashSchema,
  infoSchema,
  inviteIdSchema,
  inviteSecretSchema,
  inviteWishSchema,
  type JoinedGroup,
  type JoinRequest,
  type ListPage,
  listOf,
  MAX_GROUPS_TOGETHER,
  MAX_SHARES_CHECKED,
  MAX_STANDING_USERS,
  type MadeInvite,
  type Member,
  type MetainfoAnswer,
  namedGroupSchema,
  namePageRequestSchema,
  type OwnGroup,
  type PeerAddress,
  pageRequestSchema,
  presenceUpdateSchema,
  type Removal,
  type Revocation,
  type ShareDoubts,
  sentInfoPartSchema,
  sha1Schema,
  type TorrentPeers,
  type TrackerEvent,
  type TrackerKeys,
  uploadIdSchema,
  userIdSchema,
  writeAttemptSchema,
} from "../../api/schemas.ts";
import { readCertificateRequest } from "../../identity/certificate-requests.ts";
import { createGroupAuthority } from "../../identity/certificates.ts";
import type { PeerDirectory } from "../presence/peer-directory.ts";
import type { RegistryWriter } from "../registry/registry.ts";
import { authenticate, createUser, logIn, logOut, prepareUser } from "../rules/accounts.ts";
import { checkShares, listFiles, shareFile, stopShare } from "../rules/catalogue.ts";
import { fileStanding } from "../rules/file-standing.ts";
import {
  acceptRequest,
  createGroup,
  idOfCommand,
  type LeaveResult,
  leaveGroup,
  listGroups,
  listMembers,
  listOwnGroups,
  listRequests,
  listRevocations,
  rejectRequest,
  removeMember,
  requestToJoin,
  requireFreeGroupId,
} from "../rules/groups.ts";
import { putInfoPart } from "../rules/info-uploads.ts";
import { createInvite, listInvites, revokeInvite, useInvite } from "../rules/invites.ts";
import { listenedHosts } from "../rules/listened-hosts.ts";
import { requireGroup, requireMember } from "../rules/membership-rows.ts";
import { type IsHeld, infoPartOf, listInside, metainfoOf } from "../rules/metainfo-answers.ts";
import type { OfferedInfo } from "../rules/offered-info.ts";
import { networkIdOf } from "../rules/quota-payers.ts";
import { withinQuotas } from "../rules/quotas.ts";
import type { Command } from "../rules/rule-command.ts";
import { checkInfo } from "./info-check.ts";
import {
  attach,
  type CommandContext,
  command,
  confirmedEndingCommand,
  detach,
  endingCommand,
  loggedIn,
  open,
  readPageOf,
  requireRoom,
  takeTurn,
} from "./procedures.ts";

/** Torrents of one update whose peers are in its answer; for others the client calls `presence.peers`. */
const MAX_ANSWERED_TORRENTS = 20;

const inGroup = z.object({ groupId: groupIdSchema });
/** Without a certificate request, the certificate is for the device's key, proved in TLS. */
const forCertificate = inGroup.extend({ requestPem: certificateRequestSchema.optional() });
/** A page of a list; the rules define its cursors. */
const pageInGroup = inGroup.extend(pageRequestSchema.shape);
const writeInGroup = inGroup.extend(writeAttemptSchema.shape);
const writeAboutUser = writeInGroup.extend({ userId: userIdSchema });

const session = {
  createUser: open
    .input(credentialsSchema.extend(writeAttemptSchema.shape))
    .mutation(async ({ ctx, input }): Promise<void> => {
      const { tracker, connection } = ctx;
      const { writeId, isRetry, userId, password } = input;
      const { host: address } = connection;
      const isGone = () => tracker.connections.byId(connection.id) === undefined;
      const passwords = tracker.passwords.passwordsFor({ purpose: "new-account", address, userId, isGone });
      const credential = await tracker.limits.createAccount(address, () =>
        prepareUser(tracker.registry, passwords, writeId, userId, password),
      );
      const [nowMs, networkId] = [tracker.nowMs(), networkIdOf(connection.host)];
      const create = (reader: RegistryWriter): void => {
        const payer = { accountId: "", networkId };
        withinQuotas(tracker.accountLimits, { reader, payer, nowMs, kind: "growth" }, () =>
          createUser(reader, writeId, userId, credential, nowMs, networkId),
        );
      };
      await tracker.write(writeId, create, isRetry);
    }),
  login: open
    .input(credentialsSchema.extend(writeAttemptSchema.shape))
    .mutation(async ({ ctx, input }): Promise<Account> => {
      const { tracker, connection } = ctx;
      const { writeId, userId, password } = input;
      try {
        const { host: address } = connection;
        const isGone = () => tracker.connections.byId(connection.id) === undefined;
        const account = await tracker.limits.login(address, userId, (purpose) => {
          const passwords = tracker.passwords.passwordsFor({ purpose, address, userId, isGone });
          return authenticate(tracker.registry, passwords, userId, password);
        });
        requireRoom(ctx, account);
        tracker.limits.write(account.accountId);
        const [nowMs, networkId] = [tracker.nowMs(), networkIdOf(connection.host)];
        const payer = { accountId: account.accountId, networkId };
        await tracker.write(writeId, (reader) =>
          withinQuotas(tracker.accountLimits, { reader, payer, nowMs, kind: "login" }, () =>
            logIn(reader, connection.deviceId, account, nowMs, networkId),
          ),
        );
        attach(ctx, account);
        return account;
      } catch (error) {
        tracker.counters.loginRefused();
        throw error;
      }
    }),
  resume: loggedIn.mutation(({ ctx }): Account => ctx.account),
  logout: open.input(writeAttemptSchema).mutation(async ({ ctx, input }): Promise<void> => {
    const { tracker, connection } = ctx;
    // Not rate-limited before a login, so it must not cost a flush to disk.
    if (tracker.registry.get("device", connection.deviceId) !== undefined) {
      await tracker.write(input.writeId, (writer) => logOut(writer, connection.deviceId));
    }
    for (const other of tracker.connections.ofDevice(connection.deviceId)) detach(tracker, other);
  }),
};

const groups = {
  create: loggedIn.input(writeInGroup).mutation(async ({ ctx, input }): Promise<void> => {
    const { registry } = ctx.tracker;
    if (!registry.hasWrite(input.writeId)) requireFreeGroupId(registry, input.groupId);
    const authority = createGroupAuthority();
    await command(ctx, input, (run) => createGroup(run, input.groupId, authority, idOfCommand(run)));
  }),
  join: loggedIn.input(writeInGroup).mutation(async ({ ctx, input }): Promise<void> => {
    await command(ctx, input, (run) => requestToJoin(run, input.groupId));
  }),
  leave: loggedIn.input(writeInGroup).mutation(async ({ ctx, input }): Promise<LeaveResult> => {
    return await endingCommand(ctx, input, (run) => leaveGroup(run, input.groupId));
  }),
  mine: loggedIn.input(pageRequestSchema).query(({ ctx, input }): Promise<ListPage<OwnGroup>> => {
    const { registry } = ctx.tracker;
    return readPageOf(ctx, input.after, (page) => listOwnGroups(registry, ctx.account.accountId, page));
  }),
  list: loggedIn.input(namePageRequestSchema).query(({ ctx, input }): Promise<ListPage<GroupSummary>> => {
    const { registry } = ctx.tracker;
    const { after, prefix } = input;
    return readPageOf(ctx, after, (page) => listGroups(registry, ctx.account.accountId, page, prefix));
  }),
  requests: loggedIn.input(pageInGroup).query(({ ctx, input }): Promise<ListPage<JoinRequest>> => {
    const { registry } = ctx.tracker;
    const { groupId, after } = input;
    return readPageOf(ctx, after, (page) => listRequests(registry, ctx.account.accountId, groupId, page));
  }),
  accept: loggedIn.input(writeAboutUser).mutation(async ({ ctx, input }): Promise<void> => {
    await command(ctx, input, (run) => acceptRequest(run, input.groupId, input.userId));
  }),
  reject: loggedIn.input(writeAboutUser).mutation(async ({ ctx, input }): Promise<void> => {
    await endingCommand(ctx, input, (run) => rejectRequest(run, input.groupId, input.userId));
  }),
  remove: loggedIn.input(writeAboutUser).mutation(async ({ ctx, input }): Promise<Removal> => {
    const { groupId, userId } = input;
    const { unconfirmedAt } = await confirmedEndingCommand(ctx, input, (run) =>
      removeMember(run, groupId, userId),
    );
    return { unconfirmedTrackers: [...unconfirmedAt] };
  }),
  members: loggedIn.input(pageInGroup).query(({ ctx, input }): Promise<ListPage<Member>> => {
    const { registry, presence } = ctx.tracker;
    const { groupId, after } = input;
    const isOnline = (id: string) => presence.isOnline(id);
    return readPageOf(ctx, after, (page) =>
      listMembers(registry, ctx.account.accountId, groupId, isOnline, page),
    );
  }),
  createInvite: loggedIn
    .input(writeInGroup.extend(inviteWishSchema.shape))
    .mutation(({ ctx, input }): Promise<MadeInvite> => {
      const { groupId, secretHash, uses, lastsMs } = input;
      return command(ctx, input, (run) => createInvite(run, { groupId, secretHash, uses, lastsMs }));
    }),
  invites: loggedIn.input(pageInGroup).query(({ ctx, input }): Promise<ListPage<InviteSummary>> => {
    const { registry } = ctx.tracker;
    const { groupId, after } = input;
    const nowMs = ctx.tracker.nowMs();
    return readPageOf(ctx, after, (page) =>
      listInvites(registry, ctx.account.accountId, groupId, nowMs, page),
    );
  }),
  revokeInvite: loggedIn
    .input(writeInGroup.extend({ inviteId: inviteIdSchema }))
    .mutation(async ({ ctx, input }): Promise<void> => {
      await endingCommand(ctx, input, (run) => revokeInvite(run, input.groupId, input.inviteId));
    }),
  useInvite: loggedIn
    .input(writeAttemptSchema.extend({ groupClaimId: claimIdSchema, secret: inviteSecretSchema }))
    .mutation(async ({ ctx, input }): Promise<JoinedGroup> => {
      const { tracker, connection, account } = ctx;
      const secretHash = hashOfInviteSecret(input.secret);
      const groupId = await tracker.limits.useInvite(connection.host, account.accountId, () =>
        command(ctx, input, (run) => useInvite(run, input.groupClaimId, secretHash)),
      );
      return { groupId };
    }),
  /** Covers all groups of a client in one call, since a client asks for all of them at each connection. */
  revocations: loggedIn
    .input(pageRequestSchema.extend({ groupIds: listOf(namedGroupSchema, MAX_GROUPS_TOGETHER) }))
    .query(({ ctx, input }): Promise<ListPage<Revocation>> => {
      const { registry } = ctx.tracker;
      const endedAfterMs = ctx.tracker.revocationsSinceMs();
      return readPageOf(ctx, input.after, (page) =>
        listRevocations(registry, ctx.account.accountId, input.groupIds, endedAfterMs, page),
      );
    }),
  certificate: loggedIn.input(forCertificate).query(({ ctx, input }): GroupCertificate => {
    const { tracker, connection, account } = ctx;
    const { requestPem } = input;
    const publicKeySpki =
      requestPem === undefined ? connection.publicKeySpki : readCertificateRequest(requestPem);
    const certificate = tracker.certificates.issue(
      tracker.registry,
      account,
      publicKeySpki,
      input.groupId,
      tracker.nowMs(),
    );
    tracker.counters.certificateIssued();
    return certificate;
  }),
};

export interface SharedAnswer {
  readonly infoHash: string;
  /** Others share it already. */
  readonly joinedSwarm: boolean;
  /** The client is listed as a seed. */
  readonly isAnnounced: boolean;
}

const aFile = inGroup.extend({ fileName: fileNameSchema });
/** Without it, a share belongs to the device of this connection. */
const ofHolder = z.object({ holderId: holderIdSchema.optional() });
const believedShare = z.object({ fileName: fileNameSchema, infoHash: infoHashSchema });

const aboutStanding = aFile.extend({
  infoHash: infoHashSchema,
  userIds: listOf(userIdSchema, MAX_STANDING_USERS),
});

/** `info`, or else `infoHash`: with `uploadId` if its parts were sent for this share, without if it is shared already. */
const contentToShare = z.object({
  info: infoSchema.optional(),
  infoHash: infoHashSchema.optional(),
  uploadId: uploadIdSchema.optional(),
  /** Of the whole file, for a single one. */
  sha1: sha1Schema.optional(),
});

const partOfInfo = inGroup.extend({
  infoHash: infoHashSchema,
  partIndex: sentInfoPartSchema.shape.partIndex,
});

const files = {
  list: loggedIn
    .input(inGroup.extend(namePageRequestSchema.shape))
    .query(({ ctx, input }): Promise<ListPage<FileSummary>> => {
      const { registry, peers } = ctx.tracker;
      const { groupId, after, prefix } = input;
      const { claimId } = requireGroup(registry, groupId);
      const count = (infoHash: string) => peers.count(claimId, infoHash);
      const { accountId } = ctx.account;
      return readPageOf(ctx, after, (page) => listFiles(registry, accountId, groupId, count, page, prefix));
    }),
  share: loggedIn
    .input(
      writeInGroup.extend({
        ...ofHolder.shape,
        ...contentToShare.shape,
        isServed: z.boolean().optional(),
        replaces: infoHashSchema.optional(),
        /** Publishes a new version of the share, in place of the one that `replaces` names. */
        isUpdate: z.boolean().optional(),
      }),
    )
    .mutation(async ({ ctx, input }): Promise<SharedAnswer> => {
      const { groupId, replaces, isUpdate, holderId = ctx.connection.deviceId } = input;
      const offered = await offerOf(ctx, input);
      const share = (run: Command) =>
        shareFile(run, { ...{ groupId, holderId, replaces, isUpdate }, ...offered });
      const shared = await command(ctx, input, share).catch((error: unknown) => {
        // Somebody shared under that name at another tracker in the same moment: perhaps the same content.
        if (!(error instanceof MiniTorrentError && error.code === "NAME_TAKEN_ELSEWHERE")) throw error;
        return command(ctx, { writeId: randomUUID() }, share);
      });
      const isAnnounced =
        input.isServed === true && (await ctx.tracker.presence.addSeed(ctx.connection.id, shared.infoHash));
      return { ...shared, isAnnounced };
    }),
  putInfoPart: loggedIn
    .input(writeInGroup.extend(sentInfoPartSchema.shape))
    .mutation(async ({ ctx, input }): Promise<void> => {
      await command(ctx, input, (run) => putInfoPart(run, input));
    }),
  infoPart: loggedIn.input(partOfInfo).query(({ ctx, input }): InfoPartAnswer => {
    return infoPartOf(ctx.tracker.registry, ctx.account.accountId, input);
  }),
  listInside: loggedIn
    .input(aFile.extend(pageRequestSchema.shape))
    .query(({ ctx, input }): ListPage<InsideFile> => {
      const { registry, peers } = ctx.tracker;
      return listInside(registry, ctx.account.accountId, input, input.after, isHeldAt(peers));
    }),
  stopShare: loggedIn
    .input(
      aFile.extend({ ...ofHolder.shape, ...writeAttemptSchema.shape, everywhere: z.boolean().optional() }),
    )
    .mutation(async ({ ctx, input }): Promise<void> => {
      const { groupId, fileName, everywhere, holderId = ctx.connection.deviceId } = input;
      await endingCommand(ctx, input, (run) => stopShare(run, { groupId, fileName, holderId, everywhere }));
    }),
  /** Called after connecting, by a machine that may have missed that its shares ended. */
  checkShares: loggedIn
    .input(
      inGroup.extend({
        holderId: holderIdSchema,
        files: listOf(believedShare, MAX_SHARES_CHECKED),
      }),
    )
    .query(({ ctx, input }): ShareDoubts => {
      const { groupId, holderId, files: believed } = input;
      return checkShares(ctx.tracker.registry, ctx.account.accountId, groupId, holderId, believed);
    }),
  standing: loggedIn.input(aboutStanding).query(({ ctx, input }): FileStanding => {
    const { registry, presence } = ctx.tracker;
    const isOnline = (accountId: string) => presence.isOnline(accountId);
    return fileStanding(registry, ctx.account.accountId, input, isOnline);
  }),
  metainfo: loggedIn.input(aFile).query(({ ctx, input }): MetainfoAnswer => {
    const { registry, peers } = ctx.tracker;
    return metainfoOf(registry, ctx.account.accountId, input, isHeldAt(peers));
  }),
};

/** Whether a member who lacks pieces of a torrent is online: a seeder alone has stopped sharing it. */
function isHeldAt(peers: PeerDirectory): IsHeld {
  return (groupClaimId, infoHash) => {
    const count = peers.count(groupClaimId, infoHash);
    return count.peers > count.seeders;
  };
}

/** @throws MiniTorrentError what `checkInfo` throws; NOT_LOGGED_IN if the client is gone */
async function offerOf(
  ctx: CommandContext,
  input: z.infer<typeof contentToShare> & { groupId: string; writeId: string },
): Promise<OfferedInfo> {
  const { tracker, account } = ctx;
  const { registry, infoChecks } = tracker;
  const { info, sha1, infoHash, uploadId, groupId } = input;
  if (info !== undefined) return { info: Buffer.from(info, "base64"), sha1 };
  if (infoHash === undefined) {
    throw new MiniTorrentError("INVALID_ARGUMENT", "A share needs info, or the infoHash of what is shared.");
  }
  // Its parts were read before the first answer was lost.
  if (uploadId === undefined || registry.hasWrite(input.writeId)) return { infoHash };
  const { accountId } = account;
  const group = requireGroup(registry, groupId);
  requireMember(registry, group, accountId);
  const yieldTurn = async (): Promise<void> => {
    if (!(await takeTurn(ctx))) throw new MiniTorrentError("NOT_LOGGED_IN", "The client is gone.");
  };
  const check = {
    ...{ registry, sha1, yieldTurn },
    ...{ upload: { accountId, infoHash, uploadId }, groupClaimId: group.claimId, nowMs: tracker.nowMs() },
  };
  return await infoChecks.run(accountId, () => checkInfo(check));
}

const presence = {
  announce: loggedIn.input(announceSchema).mutation(async ({ ctx, input }): Promise<void> => {
    const { connection, tracker } = ctx;
    const hosts = listenedHosts(connection.host, input);
    await tracker.presence.announce(connection.id, input.listenPort, unpackTorrents(input), hosts);
  }),
  update: loggedIn.input(presenceUpdateSchema).mutation(async ({ ctx, input }): Promise<TorrentPeers[]> => {
    const { presence, peers } = ctx.tracker;
    await presence.update(ctx.connection.id, unpackTorrents(input), unpackHashes(input.over));
    // A client that lacks pieces would ask for peers next.
    return Iterator.from(unpackHashes(input.downloading))
      .take(MAX_ANSWERED_TORRENTS)
      .map((infoHash) => ({ infoHash, peers: peers.peersFor(ctx.connection, infoHash) }))
      .toArray();
  }),
  peers: loggedIn.input(z.object({ infoHash: infoHashSchema })).query(({ ctx, input }): PeerAddress[] => {
    return ctx.tracker.peers.peersFor(ctx.connection, input.infoHash);
  }),
};

const trackers = {
  keys: open.query(({ ctx }): TrackerKeys => {
    const places = [...ctx.tracker.trackerKeys()];
    return { fingerprints: places.map(({ fingerprint }) => fingerprint), places };
  }),
};

/** Events for as long as the connection lasts, whichever account is logged in on it. */
const events = open.subscription(
  ({ ctx }) =>
    (tell: (events: readonly TrackerEvent[]) => void) =>
      ctx.connection.listen(tell),
);

export const appRouter = { session, groups, files, presence, trackers, events };
export type AppRouter = typeof appRouter;
