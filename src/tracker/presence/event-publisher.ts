// Publishes changes of the registry as events to the clients of this tracker that they concern. Every tracker gets the same rows,
// written there or merged, so an event reaches a client at whichever tracker it is connected. Nothing is kept for clients that are
// not connected: they read the current state when they connect.
import type { TrackerEvent } from "../../api/schemas.ts";
import type { Clock } from "../../net/timers.ts";
import { isOperatorWrite } from "../registry/record-values.ts";
import {
  type LostClaim,
  lostWriteId,
  type RegistryReader,
  type RegistryRecord,
  recordKey,
  valueOfKind,
} from "../registry/registry.ts";
import { currentMember, groupByClaim, membershipBy, userIdOf } from "../rules/membership-rows.ts";
import { hasVersion, newestVersion, versionsOf } from "../rules/versions.ts";
import type { Connections } from "./client-connections.ts";
import type { KnownMembers } from "./known-members.ts";
import { TurnSlices } from "./turn-slices.ts";

/** Connections of this tracker's clients that announced the torrent. */
type AnnouncersOf = (infoHash: string) => readonly string[];
/** Window in which events of a group are counted together. */
const WINDOW_MS = 1_000;
/** New files of a group that are announced one by one in a window; further ones only as a number and the first names. */
const FILES_TOLD_SINGLY = 10;
const NAMES_TOLD = 10;
/** Ended memberships of a group that are announced one by one in a window; past that, members are told to ask. */
const ENDS_TOLD_SINGLY = 50;
/** Members of a large group that are examined in a step, to find those who are connected. */
const MEMBERS_PER_STEP = 20;
/** Cost in steps (turn-slices.ts) of reading a page of members, and one of them, from the registry. */
const PAGE_STEPS = 150;
const LOOKUP_STEPS = 5;

/** Events of a group in the current window. */
interface Window {
  filesTold: number;
  /** Held back until the window ends. */
  filesHeld: number;
  fileNames: string[];
  /** The sharer of all held files, if it is one person. */
  sharedBy: { readonly accountId: string; readonly userId: string } | undefined;
  endsTold: number;
  hasEndsHeld: boolean;
}

/** By group claim: the accounts that get its events; "many": they are looked up in steps. */
type Listeners = Map<string, readonly string[] | "many">;

export class EventPublisher {
  readonly #reader: RegistryReader;
  readonly #members: KnownMembers;
  readonly #connections: Connections;
  readonly #announcersOf: AnnouncersOf;
  readonly #setTimer: Clock["setTimer"];
  readonly #slices: TurnSlices;
  /** By group claim. */
  readonly #windows = new Map<string, Window>();
  readonly #cancels = new Set<() => void>();

  constructor(
    reader: RegistryReader,
    members: KnownMembers,
    connections: Connections,
    announcersOf: AnnouncersOf,
    setTimer: Clock["setTimer"],
  ) {
    this.#reader = reader;
    this.#members = members;
    this.#connections = connections;
    this.#announcersOf = announcersOf;
    this.#setTimer = setTimer;
    this.#slices = new TurnSlices(setTimer);
  }

  close(): void {
    for (const cancel of this.#cancels) cancel();
    this.#slices.close();
  }

  /** @param isLocal the rows were written here, so the end of a lost claim has been published already */
  changed(records: readonly RegistryRecord[], lostClaims: readonly LostClaim[], isLocal = false): void {
    // Nothing is written meanwhile, so the recipients of a group are looked up once, not for each file: a tracker that catches up
    // gets thousands of files at once.
    const listeners: Listeners = new Map();
    // Only its row still has the name of a group that ended.
    const groupNames = new Map<string, string>();
    for (const { kind, key, claimId } of records) if (kind === "group") groupNames.set(claimId, key);
    /** Accounts whose membership of a group ended; each is told once for all requests that end with it. */
    const toldAsEnded = new Set<string>();
    const toldAsLost = new Set(lostClaims.map(({ claimId }) => claimId));
    for (const record of records) {
      const isUntold = !isLocal && !toldAsLost.has(record.claimId);
      if (record.kind === "membership") this.#membershipChanged(record);
      else if (record.kind === "revocation")
        this.#membershipEnded(record, groupNames, listeners, toldAsEnded);
      else if (record.kind === "share") this.#shareChanged(record);
      else if (record.kind === "version") this.#versionPublished(record);
      else if (record.kind === "group") this.#groupChanged(record, isUntold && this.#hasLost(record));
      else if (record.kind === "file")
        this.#fileChanged(record, isUntold && this.#hasLost(record), listeners);
    }
    for (const claim of lostClaims) this.#claimLost(claim, listeners);
  }

  #membershipChanged(record: RegistryRecord): void {
    const [groupClaimId = "", accountId = "", membershipId = ""] = record.key.split("\u001f");
    const membership = valueOfKind("membership", record);
    const group = groupByClaim(this.#reader, groupClaimId);
    const userId = userIdOf(this.#reader, accountId);
    if (membership === undefined || group === undefined || userId === undefined) return;
    // A request may have been answered meanwhile, or made again after this answer.
    const now = membershipBy(this.#reader, groupClaimId, accountId, membershipId);
    if (now?.state !== membership.state || now.requestId !== membership.requestId) return;
    const { groupId } = group;
    switch (membership.state) {
      case "requested":
        this.#connections.tell(group.ownerAccountId, { type: "join-requested", groupId, userId });
        return;
      case "member":
        // A founder's membership was accepted by nobody.
        if (group.ownerAccountId === accountId) return;
        if (membership.inviteId === undefined) {
          this.#connections.tell(accountId, { type: "request-accepted", groupId });
          return;
        }
        for (const told of [group.ownerAccountId, accountId])
          this.#connections.tell(told, { type: "member-joined", groupId, userId });
        return;
      case "rejected":
        this.#connections.tell(accountId, { type: "request-rejected", groupId });
        return;
      case "replaced":
        return;
    }
  }

  #membershipEnded(
    record: RegistryRecord,
    groupNames: ReadonlyMap<string, string>,
    listeners: Listeners,
    toldAsEnded: Set<string>,
  ): void {
    const [groupClaimId = "", membershipId = ""] = record.key.split("\u001f");
    const revocation = valueOfKind("revocation", record);
    if (revocation === undefined) return;
    const { accountId, how } = revocation;
    const groupId = groupByClaim(this.#reader, groupClaimId)?.groupId ?? groupNames.get(groupClaimId);
    const userId = userIdOf(this.#reader, accountId);
    if (groupId === undefined || userId === undefined) return;
    const whose = recordKey(groupClaimId, accountId);
    const isTold = toldAsEnded.has(whose);
    toldAsEnded.add(whose);
    // The row may arrive late, when the user is a member again.
    if (!isTold && currentMember(this.#reader, groupClaimId, accountId) === undefined) {
      // The only membership that an operator ends by itself is that of an account being removed.
      const told = isOperatorWrite(record.writeId) ? "account-removed" : how;
      this.#connections.tell(accountId, { type: "membership-ended", groupId, how: told });
    }
    const told = this.#listeners(groupClaimId, listeners);
    if (told.length === 0) return;
    const window = this.#windowOf(groupClaimId);
    if (window.endsTold >= ENDS_TOLD_SINGLY) {
      window.hasEndsHeld = true;
      return;
    }
    window.endsTold++;
    this.#tellAll(groupClaimId, told, { type: "revoked", groupId, userId, membershipId });
  }

  /** A share was ended by another machine of its account: all the account's machines get the event, and the sharing one stops. */
  #shareChanged(record: RegistryRecord): void {
    if (valueOfKind("share", record)?.withdrawnAtMs === undefined) return;
    const [fileClaimId = "", accountId = "", holderId = ""] = record.key.split("\u001f");
    if (this.#connections.countOf(accountId) === 0) return;
    const [groupClaimId = "", fileName = ""] =
      this.#reader.claimById("file", fileClaimId)?.name.split("\u001f") ?? [];
    const group = groupByClaim(this.#reader, groupClaimId);
    if (group === undefined) return;
    const { groupId } = group;
    this.#connections.tell(accountId, { type: "share-withdrawn", groupId, fileName, holderId });
  }

  /** Clients that have an earlier version, or one that lost to another of the same number, are told of the newest. */
  #versionPublished(record: RegistryRecord): void {
    const published = valueOfKind("version", record);
    if (published === undefined) return;
    const [fileClaimId = ""] = record.key.split("\u001f");
    const claim = this.#reader.claimById("file", fileClaimId);
    if (claim === undefined) return;
    const [groupClaimId = "", fileName = ""] = claim.name.split("\u001f");
    const group = groupByClaim(this.#reader, groupClaimId);
    const [newest, ...earlier] = versionsOf(this.#reader, claim);
    const userId = userIdOf(this.#reader, newest.publishedByAccountId);
    if (group === undefined || userId === undefined) return;
    const { infoHash } = newest;
    const isNewest = infoHash === published.infoHash;
    const outdated = new Set(isNewest ? earlier.map((version) => version.infoHash) : [published.infoHash]);
    outdated.delete(infoHash);
    const event = { type: "share-updated", groupId: group.groupId, fileName, infoHash, userId } as const;
    this.#slices.runBehind(groupClaimId, this.#toAnnouncers([...outdated], event));
  }

  *#toAnnouncers(infoHashes: readonly string[], event: TrackerEvent): Generator<void> {
    for (const infoHash of infoHashes) {
      for (const connectionId of this.#announcersOf(infoHash)) {
        this.#connections.byId(connectionId)?.tell(event);
        yield;
      }
    }
  }

  #groupChanged(record: RegistryRecord, hasLost: boolean): void {
    const { key, claimId, stamp, writeId } = record;
    const group = valueOfKind("group", record);
    // Only an operator can end a group that has members.
    const isRemoved = group === undefined && isOperatorWrite(writeId);
    if (hasLost || isRemoved) {
      this.#groupLost(key, claimId, group?.ownerAccountId);
      return;
    }
    const isNew = stamp === claimId;
    if (isNew || group === undefined) return;
    this.#connections.tell(group.ownerAccountId, { type: "became-owner", groupId: key });
  }

  #fileChanged(record: RegistryRecord, hasLost: boolean, listeners: Listeners): void {
    const { key, claimId } = record;
    const [groupClaimId = "", fileName = ""] = key.split("\u001f");
    if (hasLost) {
      this.#contentLost(key, listeners);
      return;
    }
    const file = valueOfKind("file", record);
    if (file === undefined) return;
    const { sharedByAccountId } = file;
    // The sharer has the answer of its call.
    const told = this.#listeners(groupClaimId, listeners);
    if (!hasOthers(told, sharedByAccountId)) return;
    const group = groupByClaim(this.#reader, groupClaimId);
    if (group === undefined) return;
    if (this.#reader.claimById("file", claimId) === undefined) return;
    const userId = userIdOf(this.#reader, sharedByAccountId);
    if (userId === undefined) return;
    const window = this.#windowOf(groupClaimId);
    if (window.filesTold < FILES_TOLD_SINGLY) {
      window.filesTold++;
      const event = { type: "file-shared", groupId: group.groupId, fileName, userId } as const;
      this.#tellAll(groupClaimId, told, event, sharedByAccountId);
      return;
    }
    const isOfSame = window.filesHeld === 0 || window.sharedBy?.accountId === sharedByAccountId;
    window.sharedBy = isOfSame ? { accountId: sharedByAccountId, userId } : undefined;
    window.filesHeld++;
    if (window.fileNames.length < NAMES_TOLD) window.fileNames.push(fileName);
  }

  #windowOf(groupClaimId: string): Window {
    const open = this.#windows.get(groupClaimId);
    if (open !== undefined) return open;
    const window: Window = {
      ...{ filesTold: 0, filesHeld: 0, fileNames: [], sharedBy: undefined, endsTold: 0, hasEndsHeld: false },
    };
    this.#windows.set(groupClaimId, window);
    const cancel = this.#setTimer(WINDOW_MS, () => {
      this.#cancels.delete(cancel);
      this.#windows.delete(groupClaimId);
      this.#tellHeld(groupClaimId, window);
    });
    this.#cancels.add(cancel);
    return window;
  }

  #tellHeld(groupClaimId: string, { filesHeld, fileNames, sharedBy, hasEndsHeld }: Window): void {
    const told = this.#listeners(groupClaimId, new Map());
    if (hasEndsHeld) this.#tellAll(groupClaimId, told, { type: "look-again" });
    const group = filesHeld === 0 ? undefined : groupByClaim(this.#reader, groupClaimId);
    if (group === undefined) return;
    const { groupId } = group;
    const [fileName] = fileNames;
    const by = sharedBy === undefined ? {} : { userId: sharedBy.userId };
    const event: TrackerEvent =
      filesHeld === 1 && sharedBy !== undefined && fileName !== undefined
        ? { type: "file-shared", groupId, fileName, userId: sharedBy.userId }
        : { type: "files-shared", groupId, count: filesHeld, fileNames, ...by };
    this.#tellAll(groupClaimId, told, event, sharedBy?.accountId);
  }

  /**
   * Sends the event over several turns of the event loop if the group is large; the group's events stay in order.
   *
   * @param except an account that does not get the event
   */
  #tellAll(
    groupClaimId: string,
    told: readonly string[] | "many",
    event: TrackerEvent,
    except?: string,
  ): void {
    this.#slices.runBehind(
      groupClaimId,
      this.#toEach(groupClaimId, told, (accountId) => {
        if (accountId !== except) this.#connections.tell(accountId, event);
      }),
    );
  }

  *#toEach(
    groupClaimId: string,
    told: readonly string[] | "many",
    tell: (accountId: string) => void,
  ): Generator<void> {
    if (told !== "many") {
      for (const accountId of told) yield this.#toOne(accountId, tell);
      return;
    }
    const reading = this.#members.roster(groupClaimId);
    let read = reading.next();
    for (; read.done !== true; read = reading.next()) {
      this.#slices.spend(PAGE_STEPS);
      yield;
    }
    const roster = read.value;
    if (roster === undefined) {
      // More members than are remembered; fewer are connected.
      for (const accountId of this.#connections.accountIds()) {
        if (this.#members.member(groupClaimId, accountId) !== undefined) this.#toOne(accountId, tell);
        this.#slices.spend(LOOKUP_STEPS);
        yield;
      }
      return;
    }
    let looked = 0;
    for (const accountId of roster) {
      if (this.#connections.countOf(accountId) > 0) this.#toOne(accountId, tell);
      if (++looked % MEMBERS_PER_STEP === 0) yield;
    }
  }

  #toOne(accountId: string, tell: (accountId: string) => void): void {
    this.#slices.spend(this.#connections.countOf(accountId));
    tell(accountId);
  }

  /**
   * A claim that has lost its name. It may never have stood here: the clients that it concerns may have come from the tracker where
   * it did. If both claims are from one command, neither has lost.
   */
  #hasLost({ kind, key, claimId, value, writeId }: RegistryRecord): boolean {
    if (value === undefined) return writeId === lostWriteId(claimId);
    const standing = this.#reader.rival(kind, key);
    return standing !== undefined && standing.claimId !== claimId && standing.writeId !== writeId;
  }

  /**
   * The group has ended, since another one claimed its name earlier. Clients drop everything under that name, so accounts that
   * are in the other group by now do not get the event.
   *
   * @param owner undefined if only the end of the group is known
   */
  #groupLost(name: string, claimId: string, owner: string | undefined): void {
    const standing = this.#reader.claim("group", name);
    const tell = (accountId: string, event: TrackerEvent): void => {
      if (standing !== undefined && standing.claimId !== claimId) {
        if (currentMember(this.#reader, standing.claimId, accountId) !== undefined) return;
      }
      this.#connections.tell(accountId, event);
    };
    if (owner !== undefined) tell(owner, { type: "name-taken-elsewhere", kind: "group", name });
    const steps = this.#toEach(claimId, this.#listeners(claimId, new Map()), (accountId) => {
      if (accountId === owner) return;
      tell(accountId, { type: "membership-ended", groupId: name, how: "group-ended" });
    });
    this.#slices.runBehind(claimId, steps);
  }

  /**
   * A claim on a file's name lost to a claim with other content. All connected members are told which content has the name, since
   * only their clients know whether they share or download the other one.
   */
  #contentLost(name: string, listeners: Listeners): void {
    const [groupClaimId = "", fileName = ""] = name.split("\u001f");
    const group = groupByClaim(this.#reader, groupClaimId);
    const standing = this.#reader.claim("file", name);
    if (group === undefined || standing === undefined) return;
    const { groupId } = group;
    const { infoHash } = newestVersion(this.#reader, standing);
    const event = { type: "name-taken-elsewhere", kind: "file", name: fileName, groupId, infoHash } as const;
    this.#tellAll(groupClaimId, this.#listeners(groupClaimId, listeners), event);
  }

  #claimLost(lost: LostClaim, listeners: Listeners): void {
    const { kind, name, claimId } = lost;
    switch (kind) {
      case "user":
        this.#connections.tell(claimId, { type: "name-taken-elsewhere", kind, name });
        return;
      case "group": {
        this.#groupLost(name, claimId, valueOfKind("group", lost)?.ownerAccountId);
        return;
      }
      case "file": {
        const standing = this.#reader.claim("file", name);
        const file = valueOfKind("file", lost);
        // Both trackers have the same content, so nobody lost anything (see adoptShares in catalogue.ts).
        if (
          standing !== undefined &&
          file !== undefined &&
          hasVersion(this.#reader, standing, file.infoHash)
        ) {
          return;
        }
        this.#contentLost(name, listeners);
        return;
      }
    }
  }

  /** The group's connected members. @param known looked up already for this change */
  #listeners(groupClaimId: string, known: Listeners): readonly string[] | "many" {
    const before = known.get(groupClaimId);
    if (before !== undefined) return before;
    const members = this.#members.accountsIn(groupClaimId);
    const found =
      members === undefined
        ? "many"
        : [...members].filter((accountId) => this.#connections.countOf(accountId) > 0);
    known.set(groupClaimId, found);
    return found;
  }
}

function hasOthers(told: readonly string[] | "many", accountId: string): boolean {
  return told === "many" || told.some((member) => member !== accountId);
}
