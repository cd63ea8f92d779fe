// Zod schemas of every value that a client and a tracker exchange, and their types.
// They check form only, and decide nothing. Error codes are in errors.ts.
import { isIP } from "node:net";
import { z } from "zod";
import { INFO_PART_BYTES, MAX_INFO_PARTS, MAX_INLINE_INFO_LENGTH } from "./file-limits.ts";
import { idProblem } from "./ids.ts";
import { packedHashesSchema } from "./packed-torrents.ts";

export const userIdSchema = idSchema("user id");
export const groupIdSchema = idSchema("group id");

/** The name of a group to look up. Its form is not checked: no group has a name of another form. */
export const namedGroupSchema = z.string().max(256).normalize();

function idSchema(what: string) {
  return z
    .string()
    .normalize()
    .superRefine((id, context) => {
      const message = idProblem(what, id);
      if (message !== undefined) context.addIssue({ code: "custom", message });
    });
}

const passwordSchema = z
  .string()
  .min(1, "the password is empty")
  .max(1024, "a password has at most 1,024 characters");
export const fileNameSchema = z.string().min(1).max(255);
/**
 * Identifies the machine that a share belongs to, among the account's machines: random, and stored in the client's profile, since
 * the device has another key after a restart.
 */
export const holderIdSchema = z.uuid();
/** Most files in one `checkShares` call. */
export const MAX_SHARES_CHECKED = 100;
const SHA1_IN_HEX = /^[0-9a-f]{40}$/;
/** SHA-1 of a whole file as 40 lower-case hex digits. */
export const sha1Schema = z.string().regex(SHA1_IN_HEX, "a SHA-1 has 40 hex digits");
/** SHA-1 of an `info` dictionary (BEP 3), in the same form. */
export const infoHashSchema = z.string().regex(SHA1_IN_HEX, "an info-hash has 40 hex digits");
/** Fields of every call that writes. */
export const writeAttemptSchema = z.object({
  /** The client makes one for each command, and repeats it in retries, so that a command applies only once. */
  writeId: z.uuid(),
  /** A retry, since another tracker did not answer. Names that this call claims win over those that the first call claimed. */
  isRetry: z.boolean().optional(),
});
export type WriteAttempt = z.infer<typeof writeAttemptSchema>;
/** A bencoded `info` dictionary (BEP 3), base64, that travels whole. */
export const infoSchema = z.base64().max(MAX_INLINE_INFO_LENGTH);
const infoPartCountSchema = z.number().int().min(1).max(MAX_INFO_PARTS);
/** One part of an `info` dictionary, base64. Cut by `cutInfo`. */
const infoPartSchema = z.base64().max(Math.ceil(INFO_PART_BYTES / 3) * 4);
/** Names one sending of all parts of an `info` dictionary: a random UUID that the client makes before the first part. */
export const uploadIdSchema = z.uuid();
/** A part of an `info` dictionary on its way to a tracker. */
export const sentInfoPartSchema = z.object({
  infoHash: infoHashSchema,
  uploadId: uploadIdSchema,
  partIndex: z
    .number()
    .int()
    .min(0)
    .max(MAX_INFO_PARTS - 1),
  partCount: infoPartCountSchema,
  part: infoPartSchema,
});
/** The answer of `files.infoPart`. */
export const infoPartAnswerSchema = z.object({ part: infoPartSchema });
export type InfoPartAnswer = z.infer<typeof infoPartAnswerSchema>;
/** The answer of `files.metainfo`: the `info` dictionary, or how many parts `files.infoPart` gives of it. */
export const metainfoAnswerSchema = z.union([
  z.object({ info: infoSchema }),
  z.object({ infoHash: infoHashSchema, partCount: infoPartCountSchema }),
]);
export type MetainfoAnswer = z.infer<typeof metainfoAnswerSchema>;
/** A certificate request (PKCS #10), PEM: one for a P-256 key has less than 1 KB. */
export const certificateRequestSchema = z.string().max(4096);
export const portSchema = z.number().int().min(1).max(65535);

export const credentialsSchema = z.object({ userId: userIdSchema, password: passwordSchema });

/** The account of a session. A client names a folder after the user id. `accountId` identifies the account; it is never reused, unlike the user id. */
export const accountSchema = z.object({ userId: userIdSchema, accountId: z.string().max(128) });
export type Account = z.infer<typeof accountSchema>;

/** Most entries that a page of a list may have; a tracker's have fewer (list-pages.ts). */
const MAX_PAGE_ITEMS = 10_000;
/**
 * A list in a call. Checking stops at the first bad element: z.array formats an issue for each, which takes 700 ms for
 * 100,000.
 */
export function listOf<T extends z.ZodType>(item: T, most: number): z.ZodType<z.output<T>[], z.input<T>[]> {
  return z.custom<z.input<T>[]>(Array.isArray, "it must be a list").transform((elements, context) => {
    const list: z.output<T>[] = [];
    if (elements.length > most) {
      context.addIssue({ code: "custom", message: `it has more than ${most} elements` });
      return z.NEVER;
    }
    for (const [index, element] of elements.entries()) {
      const { data, error } = item.safeParse(element);
      if (error !== undefined) {
        const [issue] = error.issues;
        context.addIssue({
          ...{ code: "custom", message: issue?.message ?? "wrong form" },
          path: [index, ...(issue?.path ?? [])],
        });
        return z.NEVER;
      }
      list.push(data);
    }
    return list;
  });
}

/** Where the next page begins; opaque to clients, which send it back unchanged. */
const cursorSchema = z.string().max(1_024);
/** The page that a call requests: the entries after the cursor, or from the beginning. */
export const pageRequestSchema = z.object({ after: cursorSchema.optional() });
/** The same for a list sorted by name; `prefix` selects names that begin with it. */
export const namePageRequestSchema = pageRequestSchema.extend({
  prefix: z
    .string()
    .max(1_024)
    .transform((text) => text.normalize())
    .optional(),
});
/** A page of a list, and where the next one begins, if there is one. An empty page need not be the last. */
export function pageSchema<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item).max(MAX_PAGE_ITEMS), next: cursorSchema.optional() });
}
/** See `pageSchema`. */
export interface ListPage<T> {
  readonly items: readonly T[];
  readonly next?: string | undefined;
}

export const groupSummarySchema = z.object({
  groupId: z.string(),
  ownerId: z.string(),
  memberCount: z.number().int(),
  /** The requesting user's standing in the group; undefined: none. */
  standing: z.enum(["owner", "member", "requested"]).optional(),
});
export type GroupSummary = z.infer<typeof groupSummarySchema>;

/** A group that the requesting user is in or asked to join. */
export const ownGroupSchema = z.object({
  groupId: groupIdSchema,
  standing: z.enum(["owner", "member", "requested"]),
  /** The id that certificates carry; it changes if the user leaves and joins again. */
  membershipId: z.string().max(128),
});
export type OwnGroup = z.infer<typeof ownGroupSchema>;

export const memberSchema = z.object({
  userId: z.string(),
  isOwner: z.boolean(),
  isOnline: z.boolean(),
  sinceMs: z.number(),
});
export type Member = z.infer<typeof memberSchema>;

/** Result of a removal: addresses of trackers that have not confirmed it, where the user still counts as a member. */
export const removalSchema = z.object({ unconfirmedTrackers: z.array(z.string().max(300)).max(1_000) });
export type Removal = z.infer<typeof removalSchema>;

export const joinRequestSchema = z.object({ userId: z.string(), sinceMs: z.number() });
export type JoinRequest = z.infer<typeof joinRequestSchema>;

/** Most users that one invite may let in, unless it lets in any number. */
export const MAX_INVITE_USES = 10_000;
const DAY_MS = 24 * 60 * 60 * 1000;
/** How long an invite may hold: time enough to send it, up to a year. */
export const INVITE_LASTS_MS = { least: 60_000, most: 366 * DAY_MS } as const;
/** Of a secret of 16 random bytes. */
const secretHashSchema = z.string().regex(/^[0-9a-f]{64}$/, "the hash of a secret has 64 hex digits");
export const inviteSecretSchema = z
  .string()
  .regex(/^[A-Za-z0-9_-]{22}$/, "a secret has 16 bytes in base64url");
/** Identifies a group for good; a later group of the same name has another one. */
export const claimIdSchema = z.string().min(1).max(128);
export const inviteIdSchema = z.string().min(1).max(64);
/** What an invite is to be like; without `uses` for any number of users, without `lastsMs` for seven days. */
export const inviteWishSchema = z.object({
  secretHash: secretHashSchema,
  uses: z.number().int().min(1).max(MAX_INVITE_USES).optional(),
  lastsMs: z.number().int().min(INVITE_LASTS_MS.least).max(INVITE_LASTS_MS.most).optional(),
});
/** The answer of `groups.createInvite`. */
export const madeInviteSchema = z.object({
  groupClaimId: z.string().max(128),
  expiresAtMs: z.number(),
  uses: z.number().int().optional(),
});
export type MadeInvite = z.infer<typeof madeInviteSchema>;

export const inviteSummarySchema = z.object({
  inviteId: z.string(),
  /** Who made it; empty if that account is gone. */
  createdBy: z.string(),
  createdAtMs: z.number(),
  expiresAtMs: z.number(),
  /** How many users may still join with it; undefined: any number. */
  usesLeft: z.number().int().optional(),
  /** How many have. */
  useCount: z.number().int(),
  /** The first of them, at most 20. */
  usedBy: z.array(z.string()).max(100),
  state: z.enum(["active", "expired", "exhausted", "revoked"]),
});
export type InviteSummary = z.infer<typeof inviteSummarySchema>;

/** The answer of `groups.useInvite`. */
export const joinedGroupSchema = z.object({ groupId: groupIdSchema });
export type JoinedGroup = z.infer<typeof joinedGroupSchema>;

/** Most members that a share's summary names: what a row of a list shows. */
export const MOST_HOLDERS_NAMED = 8;
export const fileSummarySchema = z.object({
  fileName: z.string(),
  /** Of the content; of a folder without padding. */
  lengthBytes: z.number().int(),
  /** Of the whole file; undefined for a folder. */
  sha1: sha1Schema.optional(),
  /** Files and links in a folder; undefined for a single file. */
  fileCount: z.number().int().optional(),
  infoHash: infoHashSchema,
  /** Empty if nobody shares the whole file any more, and only members who download it have parts. */
  sharedBy: z.string(),
  /** When they shared this content, in milliseconds since 1970; undefined if nobody shares it, or by a tracker of an earlier version. */
  sharedAtMs: z.number().optional(),
  /** Members online that have all of it, or some of them if there are more; undefined by a tracker of an earlier version. */
  heldBy: z.array(z.string()).max(MOST_HOLDERS_NAMED).optional(),
  seedersOnline: z.number().int(),
  peersOnline: z.number().int(),
});
export type FileSummary = z.infer<typeof fileSummarySchema>;

/** As long as paths in metainfo may be, in bytes. */
const MAX_PATH_CHARACTERS = 4_096;

/** Programs that read `--json` may join it to a path of theirs. */
function staysInside(path: string): boolean {
  return path.split("/").every((name) => name !== "" && name !== "." && name !== "..");
}

/** A file or link in a shared folder. */
export const insideFileSchema = z.object({
  /** Relative to the folder; components are joined by "/". */
  path: z.string().max(MAX_PATH_CHARACTERS).refine(staysInside, "it must lead to a file in the folder"),
  lengthBytes: z.number().int().nonnegative(),
  /** Of the file; undefined for a link. */
  sha1: sha1Schema.optional(),
  isExecutable: z.boolean(),
  /** Set for a symbolic link. */
  linkTarget: z.string().optional(),
});
export type InsideFile = z.infer<typeof insideFileSchema>;

/** A share that has a newer version than the one that the requesting machine has. */
const updatedShareSchema = z.object({
  fileName: fileNameSchema,
  /** Of the newest version. */
  infoHash: infoHashSchema,
  /** Who published it; undefined if they are not in the group any more. */
  userId: z.string().optional(),
});

/** Files whose shares differ from what the requesting machine has recorded: see `checkShares` in catalogue.ts. */
export const shareDoubtsSchema = z.object({
  withdrawn: z.array(fileNameSchema).max(MAX_SHARES_CHECKED),
  unknown: z.array(fileNameSchema).max(MAX_SHARES_CHECKED),
  /** The machine shares an earlier version. */
  updated: z.array(updatedShareSchema).max(MAX_SHARES_CHECKED),
});
export type ShareDoubts = z.infer<typeof shareDoubtsSchema>;

/** Most members in one query about a file's standing. */
export const MAX_STANDING_USERS = 20;
/** The state in its group of a file that is being downloaded. */
export const fileStandingSchema = z.object({
  /** Whether the name means that content now: a `newer` version or `other` content has it, or nobody shares anything under it. */
  content: z.enum(["same", "newer", "other", "none"]),
  /** The first sharer of what has the name now, if they are in the group. */
  sharedBy: z.string().optional(),
  /** The users in the query, and the sharer. */
  members: z
    .array(z.object({ userId: z.string(), isMember: z.boolean(), isOnline: z.boolean() }))
    .max(MAX_STANDING_USERS + 1),
});
export type FileStanding = z.infer<typeof fileStandingSchema>;

const fingerprintSchema = z.string().regex(/^[0-9a-f]{64}$/);
/**
 * SHA-256 of trackers' certificates (DER), in hex: the answering tracker's own, and those that it has seen at the other
 * addresses of its tracker_info.txt. A client that trusts this tracker accepts them. `places` says at which address it saw each.
 */
export const trackerKeysSchema = z.object({
  fingerprints: z.array(fingerprintSchema).max(1_000),
  places: z
    .array(z.object({ address: z.string().max(300), fingerprint: fingerprintSchema }))
    .max(1_000)
    .optional(),
});
export type TrackerKeys = z.infer<typeof trackerKeysSchema>;

/** A certificate of the group for this client's device, and the CA to check other members' certificates with. */
export const groupCertificateSchema = z.object({
  groupId: z.string(),
  /** Identifies the group: a later group of the same name has another claim and another CA. */
  groupClaimId: z.string().max(128),
  certificatePem: z.string(),
  authorityPem: z.string(),
  /** Key that seals the names in members' certificates, so that only members of the group can read them. */
  namesKey: z.string().regex(/^[0-9a-f]{64}$/),
  validUntilMs: z.number(),
  /** The membership that the certificate stands for; the certificate is void once the membership ends. */
  membershipId: z.string().max(128),
});
export type GroupCertificate = z.infer<typeof groupCertificateSchema>;

/** Most groups in one call for revocations; a client in more groups makes several calls. */
export const MAX_GROUPS_TOGETHER = 500;
/** An ended membership whose certificates may not have expired yet; peers refuse them. */
export const revocationSchema = z.object({ groupId: groupIdSchema, membershipId: z.string().max(128) });
export type Revocation = z.infer<typeof revocationSchema>;

/** An IP address, perhaps with a zone. Names are refused: clients dial these addresses without a DNS look-up. */
const ipSchema = z
  .string()
  .max(64)
  .refine((host) => isIP(host) !== 0, "it must be an IP address");

/** Most addresses of a client beside the one that trackers see: a few for each address family. */
export const MAX_OTHER_HOSTS = 4;

/** A peer of a torrent that accepts connections. */
export const peerAddressSchema = z.object({
  userId: z.string(),
  /** SHA-256 of the device's public key (SPKI, DER) in hex. */
  deviceId: z.string(),
  host: ipSchema,
  /** Further addresses, with the same port: dialled in turn if the first does not answer. */
  otherHosts: z.array(ipSchema).max(MAX_OTHER_HOSTS).optional(),
  port: portSchema,
  isSeed: z.boolean(),
});
export type PeerAddress = z.infer<typeof peerAddressSchema>;

export const announcedTorrentSchema = z.object({ infoHash: infoHashSchema, isSeed: z.boolean() });
export type AnnouncedTorrent = z.infer<typeof announcedTorrentSchema>;

/** Most peers in one answer: all if there are fewer, otherwise a random sample (BEP 3 names 50 by default). */
export const MOST_NAMED_PEERS = 100;

/** The other peers of a torrent: the answer of `presence.update` for each torrent that the client starts to download. */
export const torrentPeersSchema = z.object({ infoHash: infoHashSchema, peers: z.array(peerAddressSchema) });
export type TorrentPeers = z.infer<typeof torrentPeersSchema>;

/** Most torrents that a client may announce. */
const MAX_ANNOUNCED = 100_000;
/** Most torrents in one update. */
const MAX_PRESENCE_CHANGES = 10_000;
export const announceSchema = z.object({
  listenPort: portSchema,
  /** False if the client does not listen at the address that this connection comes from. */
  listensHere: z.boolean().optional(),
  /** Further addresses that it listens at; trackers name those that may be (listened-hosts.ts). */
  otherHosts: z.array(ipSchema).max(MAX_OTHER_HOSTS).optional(),
  /** All torrents that this client takes part in (packed-torrents.ts); others that it announced end. */
  seeding: packedHashesSchema(MAX_ANNOUNCED),
  downloading: packedHashesSchema(MAX_ANNOUNCED),
});
export const presenceUpdateSchema = z.object({
  seeding: packedHashesSchema(MAX_PRESENCE_CHANGES),
  downloading: packedHashesSchema(MAX_PRESENCE_CHANGES),
  over: packedHashesSchema(MAX_PRESENCE_CHANGES),
});

/** Events that a tracker pushes to a client. Each concerns the logged-in user, or a torrent that the client announced. */
export const trackerEventSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("join-requested"), groupId: z.string(), userId: z.string() }),
  z.object({ type: z.literal("request-accepted"), groupId: z.string() }),
  z.object({ type: z.literal("request-rejected"), groupId: z.string() }),
  /** Somebody joined with an invite: tells the owner, and the account's own clients. */
  z.object({ type: z.literal("member-joined"), groupId: z.string(), userId: z.string() }),
  /** The user is no longer in the group. */
  z.object({
    type: z.literal("membership-ended"),
    groupId: z.string(),
    how: z.enum(["removed", "left", "group-ended", "account-removed"]),
  }),
  /** The operator of the trackers has removed the account that is logged in here. */
  z.object({ type: z.literal("account-removed") }),
  z.object({ type: z.literal("became-owner"), groupId: z.string() }),
  /** Another machine of the account ended this holder's share. */
  z.object({
    type: z.literal("share-withdrawn"),
    groupId: z.string(),
    fileName: z.string(),
    holderId: z.string(),
  }),
  /** A share that this client has, in whole or in part, has a new version. */
  z.object({
    type: z.literal("share-updated"),
    groupId: z.string(),
    fileName: z.string(),
    /** Of the new version. */
    infoHash: infoHashSchema,
    /** Who published it. */
    userId: z.string(),
  }),
  /** Another member's membership ended: drop that member and refuse certificates of the membership. */
  z.object({ type: z.literal("revoked"), groupId: z.string(), userId: z.string(), membershipId: z.string() }),
  z.object({
    type: z.literal("name-taken-elsewhere"),
    kind: z.enum(["user", "group", "file"]),
    name: z.string(),
    /** The group whose file it is. */
    groupId: z.string().optional(),
    /** The content that the file's name stands for now. A client with other content under that name has lost it. */
    infoHash: infoHashSchema.optional(),
  }),
  /** Events were dropped: the client fetches the current state and announces all its torrents again. */
  z.object({ type: z.literal("look-again") }),
  z.object({ type: z.literal("peer-online"), infoHash: infoHashSchema, peer: peerAddressSchema }),
  z.object({ type: z.literal("peer-offline"), infoHash: infoHashSchema, deviceId: z.string() }),
  /** Many files shared in a short time: their number, the first names, and the sharer if it was one person. */
  z.object({
    type: z.literal("files-shared"),
    groupId: z.string(),
    count: z.number().int(),
    fileNames: z.array(z.string()).max(100),
    userId: z.string().optional(),
  }),
  z.object({ type: z.literal("file-shared"), groupId: z.string(), fileName: z.string(), userId: z.string() }),
]);
export type TrackerEvent = z.infer<typeof trackerEventSchema>;
