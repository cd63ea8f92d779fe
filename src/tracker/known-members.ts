// Who is in which group, and which group a torrent belongs to, remembered for as long as no row says otherwise: when
// thousands of clients come at once, the same few rows would be read again for each pair of peers.
import { type CurrentMember, currentMember, currentMembers } from "./memberships.ts";
import { type RecordKind, type RevisedReader, recordKey } from "./registry/registry.ts";
import type { TorrentValue } from "./values.ts";

/** Of each; some 200 bytes. A torrent's row has its metainfo in it, 100 KB to be parsed for its group's id. */
const MOST_REMEMBERED = 20_000;
/** Rows that say who is a member (memberships.ts), and whether a group stands. */
const KINDS: readonly RecordKind[] = ["membership", "revocation", "user", "group"];

export class KnownMembers {
  readonly #reader: RevisedReader;
  /** Of KINDS, when the maps after it were begun. */
  #revision = -1;
  readonly #members = new Map<string, CurrentMember | undefined>();
  readonly #accounts = new Map<string, readonly string[]>();
  #accountsListed = 0;
  readonly #standingGroups = new Map<string, boolean>();
  /** Info-hash → group claim, which never changes. */
  readonly #groups = new Map<string, string>();

  constructor(reader: RevisedReader) {
    this.#reader = reader;
  }

  /** The account as a member of that group; undefined if it is none. */
  member(groupClaimId: string, accountId: string): CurrentMember | undefined {
    this.#forgetWhatChanged();
    const key = recordKey(groupClaimId, accountId);
    if (this.#members.has(key)) return this.#members.get(key);
    const member = currentMember(this.#reader, groupClaimId, accountId);
    remember(this.#members, key, member);
    return member;
  }

  /** The accounts in that group. */
  accountsIn(groupClaimId: string): readonly string[] {
    this.#forgetWhatChanged();
    const known = this.#accounts.get(groupClaimId);
    if (known !== undefined) return known;
    const accounts = currentMembers(this.#reader, groupClaimId).map(({ accountId }) => accountId);
    if (this.#accountsListed > MOST_REMEMBERED) this.#forgetAccounts();
    this.#accounts.set(groupClaimId, accounts);
    this.#accountsListed += accounts.length;
    return accounts;
  }

  /** The group that a torrent belongs to, while that stands. */
  groupOf(infoHash: string): string | undefined {
    let groupClaimId = this.#groups.get(infoHash);
    if (groupClaimId === undefined) {
      groupClaimId = this.#reader.get<TorrentValue>("torrent", infoHash)?.groupClaimId;
      if (groupClaimId === undefined) return undefined;
      remember(this.#groups, infoHash, groupClaimId);
    }
    return this.#stands(groupClaimId) ? groupClaimId : undefined;
  }

  #stands(groupClaimId: string): boolean {
    this.#forgetWhatChanged();
    let stands = this.#standingGroups.get(groupClaimId);
    if (stands === undefined) {
      stands = this.#reader.claimById("group", groupClaimId) !== undefined;
      remember(this.#standingGroups, groupClaimId, stands);
    }
    return stands;
  }

  #forgetWhatChanged(): void {
    const revision = KINDS.reduce((sum, kind) => sum + this.#reader.revision(kind), 0);
    if (revision === this.#revision) return;
    this.#revision = revision;
    this.#members.clear();
    this.#forgetAccounts();
    this.#standingGroups.clear();
  }

  #forgetAccounts(): void {
    this.#accounts.clear();
    this.#accountsListed = 0;
  }
}

function remember<V>(map: Map<string, V>, key: string, value: V): void {
  if (map.size >= MOST_REMEMBERED) map.clear();
  map.set(key, value);
}
