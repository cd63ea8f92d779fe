// The certificates that make membership real: issued to a member's device, for a short time, by the group's authority.
import type { Account, GroupCertificate } from "../api/schemas.ts";
import { issueMemberCertificate } from "../identity/certificates.ts";
import { namesKeyOf } from "../identity/member-names.ts";
import type { CertifiedKeys } from "./certified-keys.ts";
import { requireGroup, requireMember } from "./memberships.ts";
import type { RegistryReader } from "./registry/registry.ts";
import { authorityOf } from "./values.ts";

/**
 * A certificate of the group for a key that the member has proved to hold: in TLS, or by a certificate request.
 *
 * @param publicKeySpki DER
 * @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER, LIMIT_REACHED, INVALID_ARGUMENT for a key that is not P-256
 */
export async function certifyMember(
  reader: RegistryReader,
  account: Account,
  publicKeySpki: Uint8Array,
  groupId: string,
  nowMs: number,
  keys: CertifiedKeys,
): Promise<GroupCertificate> {
  const group = requireGroup(reader, groupId);
  const { membershipId } = requireMember(reader, group, account.accountId);
  keys.admit(account.accountId, publicKeySpki, nowMs);
  const authority = authorityOf(group.value);
  const { userId } = account;
  const issued = await issueMemberCertificate({ authority, userId, membershipId, publicKeySpki, nowMs });
  return {
    groupId: group.groupId,
    groupClaimId: group.claimId,
    certificatePem: issued.certificatePem,
    authorityPem: authority.certificatePem,
    namesKey: namesKeyOf(authority.privateKeyPem),
    validUntilMs: issued.validUntilMs,
    membershipId,
  };
}
