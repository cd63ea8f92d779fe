// The certificates that this device holds for its groups: fetched when first needed, renewed at half time, given up
// when the membership ends; and which other memberships are revoked. Peers are checked against this state. A new
// connection to a tracker needs no new certificates: the client asks only for new revocations.

import type { Logger } from "pino";
import { asMiniTorrentError, MiniTorrentError } from "../api/errors.ts";
import {
  type GroupCertificate,
  groupCertificateSchema,
  MAX_GROUPS_TOGETHER,
  type OwnGroup,
  revocationSchema,
} from "../api/schemas.ts";
import type { DeviceIdentity } from "../identity/certificates.ts";
import { runInBackground } from "../net/run-in-background.ts";
import { later } from "../net/timers.ts";
import type { GroupCredentials } from "../transport/group-credentials.ts";
import type { GroupAuthorities } from "./group-authorities.ts";
import { Revocations } from "./revocations.ts";
import type { TrackerLink } from "./trackers/tracker-link.ts";
import { clockTrouble } from "./trackers/tracker-time.ts";
import { wholeList } from "./trackers/whole-lists.ts";

/** After a renewal that failed, the next attempt. */
const RENEWAL_RETRY_MS = 30_000;
/** Between two attempts to get a certificate that is missing. */
const OBTAIN_PAUSE_MS = 2_000;
/** A certificate this close to its expiry is no longer shown to peers. */
const EXPIRY_MARGIN_MS = 5_000;

interface Held {
  readonly credentials: GroupCredentials;
  readonly membershipId: string;
  readonly validUntilMs: number;
  readonly renewal: NodeJS.Timeout;
}

/** What depends on the account that is logged in. */
export interface MembershipsLogin {
  /** Which CA each group has. */
  readonly authorities: Pick<GroupAuthorities, "admit">;
  /** A tracker says that the user is no longer in that group. */
  readonly onEnded: (groupId: string) => void;
  /** A membership has ended: its peers are to be disconnected. */
  readonly onRevoked: (groupId: string, membershipId: string) => void;
}

export class Memberships {
  readonly #identity: DeviceIdentity;
  readonly #link: Pick<TrackerLink, "ask" | "clockAheadMs">;
  readonly #log: Logger;
  #login: MembershipsLogin | undefined;
  readonly #held = new Map<string, Held>();
  readonly #asking = new Map<string, Promise<GroupCredentials>>();
  readonly #revocations = new Revocations();
  readonly #renewing = new Set<string>();
  readonly #notBeforeMs = new Map<string, number>();

  constructor(identity: DeviceIdentity, link: Pick<TrackerLink, "ask" | "clockAheadMs">, log: Logger) {
    this.#identity = identity;
    this.#link = link;
    this.#log = log;
  }

  /** An account has logged in. */
  begin(login: MembershipsLogin): void {
    this.#login = login;
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
   * @throws MiniTorrentError NOT_A_MEMBER, UNKNOWN_GROUP, TRACKERS_UNREACHABLE, CLOCK_WRONG, GROUP_KEY_CHANGED
   */
  async obtain(groupId: string): Promise<GroupCredentials> {
    const present = this.credentials(groupId);
    if (present !== undefined) return present;
    const trouble = clockTrouble(this.#link.clockAheadMs ?? 0);
    if (trouble !== undefined) throw trouble;
    return this.#asking.get(groupId) ?? this.#fetch(groupId);
  }

  /** A member left or was removed: certificates of that membership are refused from now on. */
  revoke(groupId: string, membershipId: string): void {
    this.#revocations.add(membershipId);
    this.#login?.onRevoked(groupId, membershipId);
    // The user's own: after being accepted again, the user needs a certificate for the new membership.
    if (this.#held.get(groupId)?.membershipId !== membershipId || this.#renewing.has(groupId)) return;
    runInBackground(this.#log, "renewing a certificate", this.#renew(groupId));
  }

  /** The user is not in that group any more: its certificate is not used again. */
  forget(groupId: string): void {
    const held = this.#held.get(groupId);
    if (held === undefined) return;
    clearTimeout(held.renewal);
    this.#held.delete(groupId);
  }

  /** The account has logged out: the one that logs in next gets nothing of it. */
  end(): void {
    for (const groupId of [...this.#held.keys()]) this.forget(groupId);
    this.#asking.clear();
    this.#notBeforeMs.clear();
    this.#login = undefined;
  }

  /**
   * Checks a certificate's CA. Every certificate must pass here before it is used.
   *
   * @throws MiniTorrentError GROUP_KEY_CHANGED, MALFORMED_MESSAGE, NOT_LOGGED_IN
   */
  admit(groupId: string, given: GroupCertificate): void {
    if (this.#login === undefined) throw loggedOut(groupId);
    this.#login.authorities.admit(groupId, given);
  }

  /**
   * Catches up on revocations after a time without a tracker. Certificates stay in use, except those
   * of an earlier membership of the group: the user left and was accepted again, or the group was
   * founded again.
   */
  async catchUp(own: readonly OwnGroup[]): Promise<void> {
    const now = new Map(own.map(({ groupId, membershipId }) => [groupId, membershipId]));
    const isOver = ([groupId, { membershipId }]: [string, Held]) => now.get(groupId) !== membershipId;
    const renewed = [...this.#held].filter(isOver).map(([groupId]) => this.#renew(groupId));
    await Promise.all([...renewed, this.#fetchRevocations([...this.#held.keys()])]);
  }

  /** Fetches a missing certificate in the background, for the next attempt; rate-limited, since a tracker may refuse each time. */
  obtainInBackground(groupId: string): void {
    const nowMs = performance.now();
    if ((this.#notBeforeMs.get(groupId) ?? 0) > nowMs) return;
    this.#notBeforeMs.set(groupId, nowMs + OBTAIN_PAUSE_MS);
    if (clockTrouble(this.#link.clockAheadMs ?? 0) !== undefined) return; // reported already; not again for each peer
    runInBackground(this.#log, `fetching the certificate for ${groupId}`, this.obtain(groupId));
  }

  /** One question at a time for each group. An answer that comes after a logout is not used. */
  #fetch(groupId: string): Promise<GroupCredentials> {
    const isStillAsked = (): boolean => this.#asking.get(groupId) === asking;
    const fetch = async (): Promise<GroupCredentials> => {
      try {
        return this.#hold(await this.#ask(groupId, isStillAsked));
      } finally {
        if (isStillAsked()) this.#asking.delete(groupId);
      }
    };
    const asking = fetch();
    this.#asking.set(groupId, asking);
    return asking;
  }

  /**
   * Fetches a certificate, and with it the group's revocations, which are needed to use it.
   *
   * @param isStillAsked false once the answer is of no use any more: logged out, or out of the group
   * @throws MiniTorrentError NOT_LOGGED_IN then
   */
  async #ask(groupId: string, isStillAsked: () => boolean): Promise<GroupCertificate> {
    const asked = this.#link.ask(groupCertificateSchema, (api) => api.groups.certificate.query({ groupId }));
    const [given] = await Promise.all([asked, this.#fetchRevocations([groupId])]);
    if (!isStillAsked()) {
      throw loggedOut(groupId);
    }
    this.admit(groupId, given);
    return given;
  }

  async #fetchRevocations(groupIds: readonly string[]): Promise<void> {
    for (let at = 0; at < groupIds.length; at += MAX_GROUPS_TOGETHER) {
      const some = groupIds.slice(at, at + MAX_GROUPS_TOGETHER);
      const revoked = await wholeList(
        revocationSchema,
        (answer, question) => this.#link.ask(answer, question),
        (api, from) => api.groups.revocations.query({ groupIds: some, ...from }),
      );
      for (const { groupId, membershipId } of revoked) this.revoke(groupId, membershipId);
    }
  }

  #hold(given: GroupCertificate): GroupCredentials {
    this.forget(given.groupId);
    const credentials: GroupCredentials = {
      certificatePem: given.certificatePem,
      authorityPem: given.authorityPem,
      namesKey: given.namesKey,
      privateKeyPem: this.#identity.privateKeyPem,
      isRevoked: (membershipId) => this.#revocations.has(membershipId),
    };
    // By the tracker's clock: a wrong local clock would renew every second, or never.
    const trackerNowMs = Date.now() - (this.#link.clockAheadMs ?? 0);
    const halfTimeMs = (given.validUntilMs - trackerNowMs) / 2;
    this.#held.set(given.groupId, {
      credentials,
      membershipId: given.membershipId,
      validUntilMs: given.validUntilMs,
      renewal: this.#renewIn(given.groupId, halfTimeMs),
    });
    return credentials;
  }

  #renewIn(groupId: string, delayMs: number): NodeJS.Timeout {
    return later("renewing a certificate", Math.max(delayMs, 1_000), () => this.#renew(groupId)).unref();
  }

  async #renew(groupId: string): Promise<void> {
    const before = this.#held.get(groupId);
    if (before !== undefined) clearTimeout(before.renewal);
    this.#renewing.add(groupId);
    try {
      this.#hold(await this.#ask(groupId, () => this.#held.get(groupId) === before));
    } catch (error) {
      if (this.#held.get(groupId) !== before || before === undefined) return;
      const { code } = asMiniTorrentError(error);
      this.#log.warn({ err: error, groupId }, "certificate not renewed");
      if (code === "NOT_A_MEMBER" || code === "UNKNOWN_GROUP") {
        this.forget(groupId);
        this.#login?.onEnded(groupId);
      } else {
        this.#held.set(groupId, { ...before, renewal: this.#renewIn(groupId, RENEWAL_RETRY_MS) });
      }
    } finally {
      this.#renewing.delete(groupId);
    }
  }
}

function loggedOut(groupId: string): MiniTorrentError {
  return new MiniTorrentError("NOT_LOGGED_IN", `You logged out, or left ${groupId}, meanwhile.`);
}
