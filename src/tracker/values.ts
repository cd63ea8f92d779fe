// What the values of the registry's rows look like, kind by kind, and where each row stands (see registry.ts for what a
// claim is). "Claim id" of a user is his account id. A row that hangs on something that is over counts for nothing:
// the readers in memberships.ts and catalogue.ts see to it, so that ending something is one row, not thousands.
import type { MembershipState } from "../api/schemas.ts";
import type { GroupAuthority } from "../identity/certificates.ts";

/** `user`: claim on the user id. */
export interface UserValue {
  readonly createdAtMs: number;
}

/** `credential`: latest, key accountId. */
export interface CredentialValue {
  /** PHC string. */
  readonly passwordHash: string;
}

/** `device`: latest, key deviceId. A device that is logged in; removed at logout. */
export interface DeviceValue {
  readonly accountId: string;
}

/** `group`: claim on the group id. */
export interface GroupValue {
  /** Who owns it, while he is a member; otherwise the member of longest standing does. */
  readonly ownerAccountId: string;
  readonly authorityCertificatePem: string;
  readonly authorityPrivateKeyPem: string;
}

/** `membership`: latest, key (group claim, account). */
export interface MembershipValue {
  readonly state: MembershipState;
  /** Since when it is in that state. */
  readonly sinceMs: number;
  /**
   * New with each request to join, and kept when it is accepted, so that the same request accepted at two trackers is one
   * membership. Certificates carry it, shares hang on it, a revocation names it.
   */
  readonly membershipId: string;
  /** Earlier memberships of this account in this group that ended while their certificates may still be valid. */
  readonly ended?: readonly EndedMembership[];
  /** In state `left`: whom the owner who left handed the group to. */
  readonly successorAccountId?: string;
}

export interface EndedMembership {
  readonly membershipId: string;
  readonly endedAtMs: number;
}

/** `file`: claim on (group claim, file name). */
export interface FileValue {
  readonly infoHash: string;
  /** Of the whole file, 40 hex digits. */
  readonly sha1: string;
  readonly lengthBytes: number;
  readonly sharedByAccountId: string;
}

/**
 * `torrent`: latest, key info-hash. Follows from the info dictionary alone (its `ssl-cert` is the group's), so it is true
 * wherever and whenever it is written, and is never removed.
 */
export interface TorrentValue {
  readonly groupClaimId: string;
  readonly fileName: string;
  /** The info dictionary, base64. */
  readonly info: string;
  /** Whose limits it counts for: the account that shared it first, as this tracker saw it. */
  readonly broughtByAccountId: string;
}

/** `share`: latest, key (file claim, account). Over when that membership is. */
export interface ShareValue {
  readonly sinceMs: number;
  readonly membershipId: string;
}

export function authorityOf(group: GroupValue): GroupAuthority {
  return { certificatePem: group.authorityCertificatePem, privateKeyPem: group.authorityPrivateKeyPem };
}
