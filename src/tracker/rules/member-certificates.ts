// Issues members' certificates: short-lived, for a member's device, signed by the group's CA.
import { BoundedMap } from "../../api/bounded-map.ts";
import type { Account, GroupCertificate } from "../../api/schemas.ts";
import { deviceIdOfKey, issueMemberCertificate } from "../../identity/certificates.ts";
import { namesKeyOf } from "../../identity/member-names.ts";
import { authorityOf } from "../registry/record-values.ts";
import type { RegistryReader } from "../registry/registry.ts";
import { CertifiedKeys } from "./certified-keys.ts";
import { requireGroup, requireMember } from "./membership-rows.ts";

/** How long a certificate is returned again: issuing costs 2 ms, and a client that changes its tracker requests all of its own. */
const REUSED_MS = 60_000;
/** Certificates cached for that, some 2 KB each. */
const MOST_REUSED = 2_000;

export class MemberCertificates {
  readonly #keys: CertifiedKeys;
  /** By group, membership and key. */
  readonly #issued: BoundedMap<string, { readonly certificate: GroupCertificate; readonly atMs: number }>;

  /** @param mostKeys of an account that may have valid certificates at a time */
  constructor(mostKeys: number, mostReused = MOST_REUSED) {
    this.#keys = new CertifiedKeys(mostKeys);
    this.#issued = new BoundedMap(mostReused);
  }

  /**
   * A certificate of the group for a key that the member has proved to hold: in TLS, or by a certificate request.
   *
   * @param publicKeySpki DER
   * @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER, LIMIT_REACHED, INVALID_ARGUMENT for a key that is not P-256
   */
  issue(
    reader: RegistryReader,
    { accountId, userId }: Account,
    publicKeySpki: Uint8Array,
    groupId: string,
    nowMs: number,
  ): GroupCertificate {
    const group = requireGroup(reader, groupId);
    const { membershipId } = requireMember(reader, group, accountId);
    this.#keys.admit(accountId, publicKeySpki, nowMs);
    const place = `${group.claimId} ${membershipId} ${deviceIdOfKey(publicKeySpki)}`;
    const issued = this.#issued.get(place);
    if (issued !== undefined && Math.abs(nowMs - issued.atMs) < REUSED_MS) return issued.certificate;
    const authority = authorityOf(group.value);
    const made = issueMemberCertificate({ authority, userId, membershipId, publicKeySpki, nowMs });
    const certificate: GroupCertificate = {
      groupId: group.groupId,
      groupClaimId: group.claimId,
      certificatePem: made.certificatePem,
      authorityPem: authority.certificatePem,
      namesKey: namesKeyOf(authority.privateKeyPem),
      validUntilMs: made.validUntilMs,
      membershipId,
    };
    this.#issued.set(place, { certificate, atMs: nowMs });
    return certificate;
  }
}
