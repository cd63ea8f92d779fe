// Which CA each group of an account has: remembered in its profile when the first certificate comes, and never replaced
// while the group is the same one. An attacker who could give a client another CA would get what is shared in the group.
import { MiniTorrentError } from "../api/errors.ts";
import type { GroupCertificate } from "../api/schemas.ts";
import { fingerprintOfPem } from "../identity/certificates.ts";

export interface KnownAuthority {
  /** Identifies the group that has the name: a group founded again under the same name has another claim. */
  readonly groupClaimId: string;
  /** SHA-256 of the CA's certificate. */
  readonly fingerprint: string;
}

/** What survives a restart; `Profile` fits it. */
export interface AuthorityStore {
  groupAuthority(groupId: string): KnownAuthority | undefined;
  saveGroupAuthority(groupId: string, authority: KnownAuthority): void;
}

export interface GroupAuthoritiesOptions {
  readonly store: AuthorityStore;
  /** The name belongs to another group than before. */
  readonly onFoundedAnew: (groupId: string) => void;
  /** Another CA was refused; reported once for each, since certificates are requested repeatedly. */
  readonly onRefused: (groupId: string, reason: string) => void;
}

export class GroupAuthorities {
  readonly #options: GroupAuthoritiesOptions;
  /** As in the store, which may fail to keep it. */
  readonly #known = new Map<string, KnownAuthority>();
  readonly #refused = new Set<string>();

  constructor(options: GroupAuthoritiesOptions) {
    this.#options = options;
  }

  /**
   * Checks the CA that comes with a certificate, before anything of it is used.
   *
   * @param groupId the group that the certificate was asked for
   * @throws MiniTorrentError GROUP_KEY_CHANGED, MALFORMED_MESSAGE
   */
  admit(groupId: string, given: GroupCertificate): void {
    if (given.groupId !== groupId.normalize()) throw malformed(groupId, undefined);
    const { groupClaimId } = given;
    const authority = { groupClaimId, fingerprint: fingerprintOf(given) };
    const { store } = this.#options;
    const known = this.#known.get(given.groupId) ?? store.groupAuthority(given.groupId);
    if (known?.groupClaimId === groupClaimId && known.fingerprint !== authority.fingerprint) {
      throw this.#refusal(given.groupId, known, authority);
    }
    this.#known.set(given.groupId, authority);
    if (known?.groupClaimId === groupClaimId) return;
    store.saveGroupAuthority(given.groupId, authority);
    if (known !== undefined) this.#options.onFoundedAnew(given.groupId);
  }

  #refusal(groupId: string, known: KnownAuthority, given: KnownAuthority): MiniTorrentError {
    const sentence =
      `A tracker presented another key for the group ${groupId} (sha256:${given.fingerprint}) than before (sha256:` +
      `${known.fingerprint}), so nothing is shared or downloaded under it. Somebody may be impersonating a tracker; ask the operator of ` +
      "the trackers.";
    if (!this.#refused.has(given.fingerprint)) this.#options.onRefused(groupId, sentence);
    this.#refused.add(given.fingerprint);
    return new MiniTorrentError("GROUP_KEY_CHANGED", sentence);
  }
}

function fingerprintOf({ groupId, authorityPem }: GroupCertificate): string {
  try {
    return fingerprintOfPem(authorityPem);
  } catch (error) {
    throw malformed(groupId, error);
  }
}

function malformed(groupId: string, cause: unknown): MiniTorrentError {
  const sentence = `The tracker's certificate for the group ${groupId} is not of the form it must have.`;
  return new MiniTorrentError("MALFORMED_MESSAGE", sentence, { cause });
}
