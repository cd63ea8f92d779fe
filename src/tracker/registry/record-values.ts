// The value and the key of each kind of row in the registry (registry.ts explains claims). A user's claim id is the account id.
// Rows that depend on something that has ended are ignored by the readers in membership-rows.ts and catalogue.ts, so that ending
// something takes one row, not thousands.
import { randomUUID } from "node:crypto";
import type { GroupAuthority } from "../../identity/certificates.ts";

/** The type of the value of each kind of row. */
export interface RecordValues {
  readonly user: UserValue;
  readonly group: GroupValue;
  readonly file: FileValue;
  readonly version: VersionValue;
  readonly credential: CredentialValue;
  readonly device: DeviceValue;
  readonly membership: MembershipValue;
  readonly revocation: RevocationValue;
  readonly invite: InviteValue;
  readonly inviteRevocation: InviteRevocationValue;
  readonly inviteUse: InviteUseValue;
  readonly share: ShareValue;
  readonly torrent: TorrentValue;
  readonly infoUpload: InfoUploadValue;
  readonly infoPart: InfoPartValue;
}

/** `user`: claim on the user id. */
export interface UserValue {
  readonly createdAtMs: number;
}

/** `credential`: latest, key accountId. */
export interface CredentialValue {
  /** PHC string. */
  readonly passwordHash: string;
}

/** `device`: latest, key deviceId. A device's session; removed at logout, or after a long absence. */
export interface DeviceValue {
  readonly accountId: string;
  /** When it was last connected, to the day. */
  readonly seenAtMs: number;
}

/** `group`: claim on the group id. */
export interface GroupValue {
  /** The owner, while a member; otherwise the longest-standing member owns the group. */
  readonly ownerAccountId: string;
  readonly authorityCertificatePem: string;
  readonly authorityPrivateKeyPem: string;
}

/**
 * `membership`: latest, key (group claim, account, membership id), for the request to join; and one for the owner's answer
 * (the same key and "answer"), which counts before it: a request that was made again at a tracker whose clock is ahead
 * does not write over the answer that it got. The id changes only when the membership ends, so that an account that asks
 * again and again writes to the same two rows. Read together with `revocation`: a row of a membership that ended counts
 * for nothing, whatever is written to it later.
 */
export interface MembershipValue {
  /** `replaced`: another request took its place before it was answered; it is kept so that a removal ends it too. */
  readonly state: "requested" | "member" | "rejected" | "replaced";
  /** Since when it is in that state. */
  readonly sinceMs: number;
  /**
   * The same for all requests until the membership ends, so that requests accepted at two trackers are one membership.
   * Certificates carry it, shares hang on it, a revocation names it.
   */
  readonly membershipId: string;
  /** Which request it is, or answers; none for a founder's own membership, or one by an invite. */
  readonly requestId?: string;
  /** The invite that it was begun with. */
  readonly inviteId?: string;
}

/**
 * `revocation`: latest, key (group claim, membership id). That membership is over for good: no row takes this one back,
 * so a tracker that accepts the same request later, knowing nothing of it, lets nobody in.
 */
export interface RevocationValue {
  readonly accountId: string;
  readonly how: "removed" | "left";
  readonly endedAtMs: number;
  /** If the owner left: the member that the group was handed to. */
  readonly successorAccountId?: string;
}

/** `invite`: latest, key (group claim, invite id). Written once; the id is the start of the hash. */
export interface InviteValue {
  /** SHA-256 of the secret, 64 hex digits. */
  readonly secretHash: string;
  readonly createdByAccountId: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  /** How many accounts may use it; absent: any number. */
  readonly uses?: number;
}

/** `inviteRevocation`: latest, key (group claim, invite id, "revoked"). The invite holds no longer, whatever is written to its row later. */
export interface InviteRevocationValue {
  readonly revokedAtMs: number;
}

/** `inviteUse`: latest, key (group claim, invite id, account). */
export interface InviteUseValue {
  readonly usedAtMs: number;
  /** The membership that it began. */
  readonly membershipId: string;
}

/** A file or folder as it is shared: one version of it. */
export interface SharedContent {
  readonly infoHash: string;
  /** Of the whole file, 40 hex digits; absent for a folder. */
  readonly sha1?: string;
  /** Of the content: of a folder without padding. */
  readonly lengthBytes: number;
  /** Files and links in a folder; absent for a single file. */
  readonly fileCount?: number;
}

/** `file`: claim on (group claim, file name). Its content is the share's first version. */
export interface FileValue extends SharedContent {
  /**
   * The first sharer; empty once the last sharer stopped. The claim is kept then, since a member may have joined at another
   * tracker at that moment, whose share depends on it. It ends when other content takes the name.
   */
  readonly sharedByAccountId: string;
}

/** `version`: latest, key (file claim, write id of the share): a later version of a share (versions.ts). */
export interface VersionValue extends SharedContent {
  /** One more than that of the version that it replaced; the claim's own has 0. */
  readonly number: number;
  readonly publishedByAccountId: string;
}

/**
 * `torrent`: latest, key (info-hash, group claim, file name, write id of the share): see torrents.ts. It follows from
 * the info dictionary alone (its `ssl-cert` is the group's), so it is true wherever and whenever it is written.
 */
export interface TorrentValue {
  /** The info dictionary, base64; absent if it is in parts. */
  readonly info?: string;
  /** The upload by `broughtByAccountId` that its parts came with. */
  readonly parts?: { readonly uploadId: string; readonly partCount: number };
  /** Whose limits it counts for: the account that shared it first, as this tracker saw it. */
  readonly broughtByAccountId: string;
}

/** `infoUpload`: latest, key (account, upload id). Parts of an info dictionary that a share is to follow (info-uploads.ts). */
export interface InfoUploadValue {
  readonly infoHash: string;
  readonly groupClaimId: string;
  readonly partCount: number;
  readonly beganAtMs: number;
}

/** `infoPart`: latest, key (info-hash, account, upload id, index in 4 digits). Written once. */
export interface InfoPartValue {
  /** Base64. */
  readonly part: string;
}

/**
 * `share`: latest, key (file claim, account, holder id). The holder is one of the account's machines, or rather a client's
 * profile there, which outlasts the device keys of its runs. Over when that membership is.
 */
export interface ShareValue {
  readonly sinceMs: number;
  readonly membershipId: string;
  /** The version that the machine has; absent for the first. */
  readonly infoHash?: string;
  /** Set when another machine of the account ended it; the holder may not have heard of it yet. */
  readonly withdrawnAtMs?: number;
}

/** Prefix of the operator's write ids; clients' are UUIDs. It marks rows that an operator ended. */
const OPERATOR_WRITE = "operator:";

export function operatorWriteId(): string {
  return OPERATOR_WRITE + randomUUID();
}

export function isOperatorWrite(writeId: string): boolean {
  return writeId.startsWith(OPERATOR_WRITE);
}

export function authorityOf(group: GroupValue): GroupAuthority {
  return { certificatePem: group.authorityCertificatePem, privateKeyPem: group.authorityPrivateKeyPem };
}
