// The certificates that this device holds for its groups: fetched when first needed, renewed at half time, given up
// when the membership ends; and which other memberships are revoked. Peers are checked against what stands here.
import type { Logger } from "pino";
import { asMiniTorrentError } from "../api/errors.ts";
import { type GroupCertificate, groupCertificateSchema } from "../api/schemas.ts";
import type { DeviceIdentity } from "../identity/certificates.ts";
import type { GroupCredentials } from "../transport/group-credentials.ts";
import { behind } from "./behind.ts";
import type { TrackerLink } from "./tracker-link.ts";
import { clockTrouble } from "./tracker-time.ts";

/** After a renewal that failed, the next attempt. */
const RENEWAL_RETRY_MS = 30_000;
/** Between two attempts to get a certificate that is missing. */
const OBTAIN_PAUSE_MS = 2_000;
/** A certificate this close to its end is not offered to a peer any more. */
const EXPIRY_MARGIN_MS = 5_000;

interface Held {
  readonly credentials: GroupCredentials;
  readonly validUntilMs: number;
  readonly renewal: NodeJS.Timeout;
}

export class Memberships {
  readonly #identity: DeviceIdentity;
  readonly #link: () => TrackerLink;
  readonly #log: Logger;
  readonly #onEnded: (groupId: string) => void;
  readonly #onRevoked: (groupId: string, membershipId: string) => void;
  readonly #held = new Map<string, Held>();
  readonly #asking = new Map<string, Promise<GroupCredentials>>();
  readonly #revoked = new Set<string>();
  readonly #notBeforeMs = new Map<string, number>();

  /**
   * @param onEnded a tracker says that the user is not in that group any more
   * @param onRevoked somebody else's membership has ended, as a tracker's answer says
   */
  constructor(
    identity: DeviceIdentity,
    link: () => TrackerLink,
    log: Logger,
    onEnded: (groupId: string) => void,
    onRevoked: (groupId: string, membershipId: string) => void,
  ) {
    this.#identity = identity;
    this.#link = link;
    this.#log = log;
    this.#onEnded = onEnded;
    this.#onRevoked = onRevoked;
  }

  /** Credentials that are valid now; undefined if there are none. Answers from memory. */
  credentials(groupId: string): GroupCredentials | undefined {
    const held = this.#held.get(groupId);
    return held !== undefined && held.validUntilMs - EXPIRY_MARGIN_MS > Date.now()
      ? held.credentials
      : undefined;
  }

  /**
   * Credentials for the group, from the tracker if there are none yet.
   *
   * @throws MiniTorrentError NOT_A_MEMBER, UNKNOWN_GROUP, TRACKERS_UNREACHABLE, CLOCK_WRONG
   */
  async obtain(groupId: string): Promise<GroupCredentials> {
    const present = this.credentials(groupId);
    if (present !== undefined) return present;
    const trouble = clockTrouble(this.#link().clockAheadMs ?? 0);
    if (trouble !== undefined) throw trouble;
    const asking =
      this.#asking.get(groupId) ?? this.#fetch(groupId).finally(() => this.#asking.delete(groupId));
    this.#asking.set(groupId, asking);
    return asking;
  }

  /** A member left, or was removed: his certificates of that membership are refused from now on. */
  revoke(membershipId: string): void {
    this.#revoked.add(membershipId);
  }

  /** The user is not in that group any more: its certificate is not used again. */
  forget(groupId: string): void {
    const held = this.#held.get(groupId);
    if (held === undefined) return;
    clearTimeout(held.renewal);
    this.#held.delete(groupId);
  }

  forgetAll(): void {
    for (const groupId of [...this.#held.keys()]) this.forget(groupId);
  }

  /** Renews all that is held: who was out of reach of the trackers has not heard of revocations meanwhile. */
  async renewAll(): Promise<void> {
    await Promise.all([...this.#held.keys()].map((groupId) => this.#renew(groupId)));
  }

  /** Fetches behind, for the next attempt, what somebody lacked; seldom enough for a tracker that refuses. */
  obtainBehind(groupId: string): void {
    const nowMs = performance.now();
    if ((this.#notBeforeMs.get(groupId) ?? 0) > nowMs) return;
    this.#notBeforeMs.set(groupId, nowMs + OBTAIN_PAUSE_MS);
    if (clockTrouble(this.#link().clockAheadMs ?? 0) !== undefined) return; // said already, and not with each peer again
    behind(this.#log, `fetching the certificate for ${groupId}`, this.obtain(groupId));
  }

  async #fetch(groupId: string): Promise<GroupCredentials> {
    const given = await this.#link().ask(groupCertificateSchema, (api) =>
      api.groups.certificate.query({ groupId }),
    );
    return this.#hold(given);
  }

  #hold(given: GroupCertificate): GroupCredentials {
    this.forget(given.groupId);
    for (const membershipId of given.revokedMembershipIds) {
      this.#revoked.add(membershipId);
      this.#onRevoked(given.groupId, membershipId);
    }
    const credentials: GroupCredentials = {
      certificatePem: given.certificatePem,
      authorityPem: given.authorityPem,
      namesKey: given.namesKey,
      privateKeyPem: this.#identity.privateKeyPem,
      isRevoked: (membershipId) => this.#revoked.has(membershipId),
    };
    // By the tracker's clock: by this machine's, if it is wrong, it would be renewed every second, or never.
    const trackerNowMs = Date.now() - (this.#link().clockAheadMs ?? 0);
    const halfTimeMs = (given.validUntilMs - trackerNowMs) / 2;
    this.#held.set(given.groupId, {
      credentials,
      validUntilMs: given.validUntilMs,
      renewal: this.#renewIn(given.groupId, halfTimeMs),
    });
    return credentials;
  }

  #renewIn(groupId: string, delayMs: number): NodeJS.Timeout {
    return setTimeout(
      () => behind(this.#log, "renewing a certificate", this.#renew(groupId)),
      Math.max(delayMs, 1_000),
    ).unref();
  }

  async #renew(groupId: string): Promise<void> {
    const before = this.#held.get(groupId);
    if (before !== undefined) clearTimeout(before.renewal);
    try {
      const given = await this.#link().ask(groupCertificateSchema, (api) =>
        api.groups.certificate.query({ groupId }),
      );
      // Logged out, or out of the group, while the tracker was asked.
      if (this.#held.get(groupId) === before) this.#hold(given);
    } catch (error) {
      if (this.#held.get(groupId) !== before || before === undefined) return;
      const { code } = asMiniTorrentError(error);
      this.#log.warn({ err: error, groupId }, "certificate not renewed");
      if (code === "NOT_A_MEMBER" || code === "UNKNOWN_GROUP") {
        this.forget(groupId);
        this.#onEnded(groupId);
      } else {
        this.#held.set(groupId, { ...before, renewal: this.#renewIn(groupId, RENEWAL_RETRY_MS) });
      }
    }
  }
}
