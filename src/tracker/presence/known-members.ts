// Caches the members of groups and the group of each torrent: when thousands of clients connect at once, the same few rows would
// be read for each pair of peers. A written row invalidates only the entries that depend on it.

import { BoundedMap } from "../../api/bounded-map.ts";
import { type RecordKind, type RevisedReader, recordKey } from "../registry/registry.ts";
import {
  type CurrentMember,
  countMembers,
  currentMember,
  membersPage,
  userIdOf,
} from "../rules/membership-rows.ts";
import { groupOfTorrent } from "../rules/torrents.ts";

/** Entries of each kind, some 200 bytes each. Without the cache, 100 KB of metainfo are parsed to find a torrent's group. */
const MOST_REMEMBERED = 50_000;
/** Largest group whose members are read at once, in some 5 ms; larger ones are read page by page. */
const MOST_READ_AT_ONCE = 500;
const MEMBERS_PER_STEP = 50;
/** Kinds of rows that decide who is a member (membership-rows.ts), and whether a group stands. */
const KINDS: readonly RecordKind[] = ["membership", "revocation", "user", "group"];

interface Roster {
  readonly accounts: Set<string>;
  /** Position of the next page; undefined once all members are read. */
  readUpTo: string | undefined;
}

export class KnownMembers {
  readonly #reader: RevisedReader;
  readonly #mostRemembered: number;
  /** For each of KINDS, the revision up to which rows were applied. */
  readonly #revisions = new Map<RecordKind, number>();
  /** By account and group claim; undefined: not a member (an account that lost its name is not cached). */
  readonly #members = new Map<string, Map<string, CurrentMember | undefined>>();
  #memberCount = 0;
  /** User id → the account that was found under it. */
  readonly #accountNames = new Map<string, string>();
  /** Group claim → its accounts, with or without a standing name: events go only to connected clients, whose names stand. */
  readonly #rosters = new Map<string, Roster>();
  #rosterSize = 0;
  /** Standing claims of groups, by name and vice versa. */
  readonly #standing: BoundedMap<string, string>;
  readonly #standingNames = new Map<string, string>();
  /** Info-hash → group claim, which never changes. */
  readonly #groups: BoundedMap<string, string>;

  /** @param mostRemembered of each kind of entry */
  constructor(reader: RevisedReader, mostRemembered = MOST_REMEMBERED) {
    this.#reader = reader;
    this.#mostRemembered = mostRemembered;
    this.#standing = new BoundedMap(mostRemembered);
    this.#groups = new BoundedMap(mostRemembered);
  }

  /** The account as a member of that group; undefined if it is not one. */
  member(groupClaimId: string, accountId: string): CurrentMember | undefined {
    this.#keepUp();
    const known = this.#members.get(accountId);
    if (known?.has(groupClaimId)) return known.get(groupClaimId);
    const member = currentMember(this.#reader, groupClaimId, accountId);
    // An account that lost its name may get it back through another account's row.
    if (member === undefined && userIdOf(this.#reader, accountId) === undefined) return undefined;
    while (this.#memberCount >= this.#mostRemembered) this.#forgetAccount(oldest(this.#members));
    const groups = this.#members.get(accountId) ?? new Map<string, CurrentMember | undefined>();
    groups.set(groupClaimId, member);
    this.#members.set(accountId, groups);
    this.#memberCount++;
    if (member !== undefined) this.#accountNames.set(member.userId, accountId);
    return member;
  }

  /** The accounts in that group, as a live view: do not store it. Undefined if there are many: use `roster`. */
  accountsIn(groupClaimId: string): ReadonlySet<string> | undefined {
    if (countMembers(this.#reader, groupClaimId) > MOST_READ_AT_ONCE) return undefined;
    const reading = this.roster(groupClaimId);
    for (;;) {
      const { done, value } = reading.next();
      if (done === true) return value;
    }
  }

  /**
   * Reads the accounts in that group, in steps of a fraction of a millisecond.
   *
   * @returns a live view: do not store it; undefined if there are too many to cache
   */
  *roster(groupClaimId: string): Generator<void, ReadonlySet<string> | undefined> {
    for (;;) {
      this.#keepUp();
      if (countMembers(this.#reader, groupClaimId) > this.#mostRemembered) return undefined;
      let roster = this.#rosters.get(groupClaimId);
      if (roster === undefined) {
        roster = { accounts: new Set(), readUpTo: "" };
        this.#rosters.set(groupClaimId, roster);
      }
      if (roster.readUpTo === undefined) return roster.accounts;
      // The page contains all earlier writes; later ones are applied to the roster.
      const page = { limit: MEMBERS_PER_STEP, after: roster.readUpTo };
      const { items, next } = membersPage(this.#reader, groupClaimId, page);
      const sizeBefore = roster.accounts.size;
      for (const { accountId } of items) roster.accounts.add(accountId);
      this.#rosterSize += roster.accounts.size - sizeBefore;
      roster.readUpTo = next;
      this.#makeRoomFor(groupClaimId);
      yield;
    }
  }

  #makeRoomFor(groupClaimId: string): void {
    for (const other of this.#rosters.keys()) {
      if (this.#rosterSize <= this.#mostRemembered) return;
      if (other !== groupClaimId) this.#forgetRoster(other);
    }
  }

  /** The group that a torrent belongs to; undefined if the group does not stand. */
  groupOf(infoHash: string): string | undefined {
    let groupClaimId = this.#groups.get(infoHash);
    if (groupClaimId === undefined) {
      groupClaimId = groupOfTorrent(this.#reader, infoHash);
      if (groupClaimId === undefined) return undefined;
      this.#groups.set(infoHash, groupClaimId);
    }
    return this.#stands(groupClaimId) ? groupClaimId : undefined;
  }

  #stands(groupClaimId: string): boolean {
    this.#keepUp();
    if (this.#standingNames.has(groupClaimId)) return true;
    const claim = this.#reader.claimById("group", groupClaimId);
    // Not cached: a losing claim stands again when the winning one ends.
    if (claim === undefined) return false;
    const [, forgotten = ""] = this.#standing.set(claim.name, groupClaimId) ?? [];
    this.#standingNames.delete(forgotten);
    this.#standingNames.set(groupClaimId, claim.name);
    return true;
  }

  #keepUp(): void {
    for (const kind of KINDS) {
      const revision = this.#reader.revision(kind);
      const before = this.#revisions.get(kind);
      if (revision === before) continue;
      this.#revisions.set(kind, revision);
      const places = before === undefined ? undefined : this.#reader.placesSince(kind, before);
      if (places === undefined) this.#forgetAll();
      else for (const { key, claimId } of places) this.#written(kind, key, claimId);
    }
  }

  #written(kind: RecordKind, key: string, claimId: string): void {
    if (kind === "group") {
      this.#forgetName(key);
      return;
    }
    if (kind === "user") {
      this.#forgetAccount(claimId);
      // The previous holder of the name may have lost it.
      this.#forgetAccount(this.#accountNames.get(key) ?? "");
      this.#accountNames.delete(key);
      // Ended or lost, which is rare; another claim may stand in its place.
      if (this.#reader.claimById("user", claimId) === undefined) this.#forgetRosters();
      return;
    }
    const [groupClaimId = "", second = ""] = key.split("\u001f");
    const accountId =
      kind === "membership"
        ? second
        : this.#reader.get("revocation", recordKey(groupClaimId, second))?.accountId;
    if (accountId === undefined) return;
    const groups = this.#members.get(accountId);
    if (groups?.delete(groupClaimId)) this.#memberCount--;
    if (groups?.size === 0) this.#members.delete(accountId);
    const roster = this.#rosters.get(groupClaimId)?.accounts;
    if (roster === undefined) return;
    const sizeBefore = roster.size;
    if (currentMember(this.#reader, groupClaimId, accountId) === undefined) roster.delete(accountId);
    else roster.add(accountId);
    this.#rosterSize += roster.size - sizeBefore;
  }

  #forgetAccount(accountId: string): void {
    this.#memberCount -= this.#members.get(accountId)?.size ?? 0;
    for (const member of this.#members.get(accountId)?.values() ?? []) {
      if (member !== undefined) this.#accountNames.delete(member.userId);
    }
    this.#members.delete(accountId);
  }

  #forgetRoster(groupClaimId: string): void {
    this.#rosterSize -= this.#rosters.get(groupClaimId)?.accounts.size ?? 0;
    this.#rosters.delete(groupClaimId);
  }

  #forgetRosters(): void {
    this.#rosters.clear();
    this.#rosterSize = 0;
  }

  #forgetName(groupId: string): void {
    this.#standingNames.delete(this.#standing.get(groupId) ?? "");
    this.#standing.delete(groupId);
  }

  #forgetAll(): void {
    this.#members.clear();
    this.#memberCount = 0;
    this.#accountNames.clear();
    this.#forgetRosters();
    this.#standing.clear();
    this.#standingNames.clear();
  }
}

/** Key of the oldest entry. */
function oldest(map: ReadonlyMap<string, unknown>): string {
  return map.keys().next().value ?? "";
}
