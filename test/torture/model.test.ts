// Everything that trackers decide, against a simple model of what they promise: random commands at random trackers, links
// that break, swallow and delay, crashes, restarts, old disks brought back, clocks that are wrong by minutes or set by days. A failing
// run is printed by fast-check, smallest first; MODEL_SEED and MODEL_PATH run it again, MODEL_RUNS says how many.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { MiniTorrentError } from "../../src/api/errors.ts";
import { inviteIdOf } from "../../src/api/invite.ts";
import { decodeMetainfo } from "../../src/metainfo/metainfo.ts";
import type {
  FileValue,
  MembershipValue,
  RevocationValue,
  ShareValue,
  VersionValue,
} from "../../src/tracker/registry/record-values.ts";
import {
  lostWriteId,
  type RegistryReader,
  type RegistryRecord,
  recordKey,
} from "../../src/tracker/registry/registry.ts";
import { stampMs } from "../../src/tracker/registry/stamp.ts";
import { createUser } from "../../src/tracker/rules/accounts.ts";
import { listFiles, shareFile, stopShare } from "../../src/tracker/rules/catalogue.ts";
import {
  acceptRequest,
  createGroup,
  leaveGroup,
  rejectRequest,
  removeMember,
  requestToJoin,
  revokedMembershipIds,
} from "../../src/tracker/rules/groups.ts";
import {
  infoPart,
  isUnderWay,
  putInfoPart,
  readPartKey,
  requireUpload,
} from "../../src/tracker/rules/info-uploads.ts";
import {
  createInvite,
  isInviteGone,
  isInviteOver,
  revokeInvite,
  useInvite,
} from "../../src/tracker/rules/invites.ts";
import { MemberCertificates } from "../../src/tracker/rules/member-certificates.ts";
import {
  currentMember,
  currentMembers,
  findGroup,
  isMemberBy,
} from "../../src/tracker/rules/membership-rows.ts";
import { infoPartOf, metainfoOf } from "../../src/tracker/rules/metainfo-answers.ts";
import { describeInfo, type InfoInParts } from "../../src/tracker/rules/offered-info.ts";
import type { Command } from "../../src/tracker/rules/rule-command.ts";
import { type InfoUpload, needsParts, readTorrentKey } from "../../src/tracker/rules/torrents.ts";
import { hasVersion, newestVersion, versionsOf } from "../../src/tracker/rules/versions.ts";
import { folderFor, metainfoFor } from "../unit/tracker/fixture.ts";
import { allRows } from "../unit/tracker/registry/compliance.ts";
import {
  type Asked,
  COLLECT_AFTER_MS,
  type VirtualTracker,
  VirtualTrackers,
  type Work,
} from "./virtual-trackers.ts";

const RUNS = Number(process.env.MODEL_RUNS ?? 200);
/** The search ends then, and has to have come that far at least: a slow machine may do less, but not next to nothing. */
const LIMIT_MS = Number(process.env.MODEL_LIMIT_MS ?? 100_000);
const LEAST_RUNS = Number(process.env.MODEL_LEAST_RUNS ?? Math.ceil(RUNS / 4));
const PROGRESS_INTERVAL_MS = 60_000;
const ALL = { limit: Number.POSITIVE_INFINITY };
const MAX_SKEW_MS = 10 * 60 * 1000;
const CONVERGENCE_MS = 1_000;
/** Fewer later versions than that are all remembered (versions.ts). */
const VERSIONS_KEPT = 8;
const HOUR_MS = 60 * 60 * 1000;
/** What a clock is set to by mistake: hours, a day, years. It is put right in the end, or before. */
const CLOCK_ERRORS_MS = [-50 * 365 * 24, -24, -3, 3, 24, 365 * 24].map((hours) => hours * HOUR_MS);
/** In that time trackers that are connected have compared their clocks several times. */
const CLOCKS_COMPARED_MS = 3_000;
/** A write waits at most 2 s for a tracker that is silent. */
const WRITES_OVER_MS = 3_000;

const what = [
  "create-user",
  "create-group",
  "join",
  "accept",
  "reject",
  "remove",
  "leave",
  "invite",
  "use-invite",
  "revoke-invite",
  "share",
  "send-parts",
  "update",
  "stop",
  "stop-everywhere",
] as const;

interface CommandStep {
  readonly type: "command";
  readonly at: number;
  readonly what: (typeof what)[number];
  readonly by: number;
  readonly about: number;
  readonly group: number;
  readonly file: number;
  readonly content: number;
  /** The group's owner does it, whoever that is, instead of `by`. */
  readonly isByOwner?: boolean;
  /** Which of the account's machines; the first if it is left out. */
  readonly machine?: number;
}

/** What the owner of a group does with its invites. */
const OWNERS_OF_INVITES: readonly CommandStep["what"][] = ["invite", "revoke-invite"];

/** Of the files, the one that is a folder, whose metainfo goes in parts. */
const FOLDER = 2;
const CONTENTS = 3;

const place = fc.nat(4);
const commandStep: fc.Arbitrary<CommandStep> = fc.record({
  type: fc.constant("command" as const),
  at: place,
  what: fc.constantFrom(...what),
  by: fc.nat(3),
  about: fc.nat(3),
  group: fc.nat(1),
  file: fc.nat(FOLDER),
  content: fc.integer({ min: 1, max: CONTENTS }),
  machine: fc.nat(1),
});
/** Others than those that `settle` makes are rarely there to be updated. */
const updateStep = fc
  .record({ step: commandStep, file: fc.constantFrom(0, FOLDER), isByOwner: fc.boolean() })
  .map(({ step, ...about }): CommandStep => ({ ...step, ...about, what: "update", group: 0, by: 1 }));
const stepArbitrary = fc.oneof(
  { weight: 12, arbitrary: commandStep },
  { weight: 4, arbitrary: updateStep },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("wait" as const),
      forMs: fc.oneof(fc.nat(60), fc.nat(4000), fc.constant(COLLECT_AFTER_MS)),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("cut" as const),
      at: place,
      from: place,
      isSilent: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("collect" as const), at: place }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("isolate" as const), at: place }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("let-in-twice" as const), at: place, from: place }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("mend" as const), at: place, from: place }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("crash" as const), at: place, next: place }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("start" as const), at: place }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("set-clock" as const),
      at: place,
      aheadMs: fc.constantFrom(0, 0, ...CLOCK_ERRORS_MS),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("back-up" as const), at: place }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("restore" as const), at: place }) },
);
type Step = typeof stepArbitrary extends fc.Arbitrary<infer S> ? S : never;

const scenario = fc.record({
  skewsMs: fc.array(fc.integer({ min: -MAX_SKEW_MS, max: MAX_SKEW_MS }), { minLength: 1, maxLength: 5 }),
  delaysMs: fc.array(fc.nat(150), { minLength: 1, maxLength: 10 }),
  steps: fc.array(stepArbitrary, { minLength: 1, maxLength: 40, size: "max" }),
});

/** One command as a client sees it: asked here, perhaps asked again there, answered or not. */
interface Attempt {
  readonly step: CommandStep;
  readonly writeId: string;
  /** Who asks; none for create-user. */
  readonly accountId: string | undefined;
  /** Whom it is about. */
  readonly aboutAccountId: string | undefined;
  readonly work: Work;
  asked: Asked;
  /** Of who is removed or leaves: every request of his that is known where that is done, also one that was turned down. */
  readonly ends: Set<string>;
  /** What it wrote, once a client was told that it is done. */
  promised: readonly RegistryRecord[] | undefined;
}

const userName = (number: number) => `user${number}`;
const groupName = (number: number) => `group${number}`;
const fileName = (number: number) => `file${number}`;
/** Not a certificate: rules only compare it. */
const authority = { certificatePem: "a CA", privateKeyPem: "its key" };
const folders = await Promise.all(
  Array.from({ length: CONTENTS }, (_, at) =>
    folderFor(fileName(FOLDER), 3, at + 1, authority.certificatePem),
  ),
);

class Model {
  readonly trackers: VirtualTrackers;
  readonly attempts: Attempt[] = [];
  #hasOldDisk = false;
  /** The hash of an invite's secret → the group that it is for. */
  readonly #invites = new Map<string, string>();
  /** By account and info-hash: the upload that the account began last. */
  readonly #uploads = new Map<string, string>();
  /** Rows that were promised, and that nobody had any more once an old disk was brought back: stamps. */
  readonly #excused = new Set<string>();
  /** Claims of which no disk knows that they were answered: the one that did was set back to before. They yield to any that was. */
  readonly #answersForgotten = new Set<string>();

  constructor(trackers: VirtualTrackers) {
    this.trackers = trackers;
  }

  async take(step: Step): Promise<void> {
    const { trackers } = this;
    switch (step.type) {
      case "command":
        this.command(step);
        break;
      case "wait":
        await trackers.run(step.forMs);
        break;
      case "cut":
        trackers.cut(trackers.at(step.at), trackers.at(step.from), step.isSilent);
        break;
      case "let-in-twice":
        await this.letInTwice(trackers.at(step.at), trackers.at(step.from));
        break;
      case "collect":
        trackers.collect(trackers.at(step.at));
        break;
      case "isolate":
        for (const other of trackers.all) trackers.cut(trackers.at(step.at), other, false);
        break;
      case "mend":
        trackers.mend(trackers.at(step.at), trackers.at(step.from));
        break;
      case "crash":
        trackers.crash(trackers.at(step.at));
        this.#askAgain(trackers.at(step.next));
        break;
      case "start":
        trackers.at(step.at).isUp = true;
        break;
      case "set-clock":
        trackers.at(step.at).clock.setAheadMs = step.aheadMs;
        break;
      case "back-up":
        trackers.backUp(trackers.at(step.at));
        break;
      case "restore":
        this.#restore(trackers.at(step.at));
        break;
    }
    await trackers.run(0);
    this.check();
  }

  command(step: CommandStep): void {
    const tracker = this.trackers.at(step.at);
    if (!tracker.isUp || tracker.replica.clockWatch.doubt !== undefined) return;
    // The other machine of an account shares what was sent before, perhaps elsewhere.
    const sendsParts = isFolderShare(step) && step.machine !== 1;
    if (sendsParts) this.command({ ...step, what: "send-parts" });
    const attempt = this.#attempt(step, tracker);
    if (attempt !== undefined) this.attempts.push(attempt);
  }

  /** What must hold at any moment. */
  check(): void {
    for (const attempt of this.attempts) {
      const { outcome } = attempt.asked;
      if (attempt.promised !== undefined || outcome.status !== "ok") continue;
      attempt.promised = outcome.rows;
      this.#checkOnDisks(attempt, attempt.promised);
      this.#checkNameGivenOnce(attempt, attempt.promised);
    }
    for (const tracker of this.trackers.all) {
      if (tracker.isUp) this.#checkNoneReturns(tracker.replica.registry);
    }
  }

  async rest(): Promise<void> {
    const { trackers } = this;
    await trackers.run(WRITES_OVER_MS);
    trackers.mendAll();
    for (let waitedMs = 0; !trackers.areAllConnected; waitedMs += 250) {
      assert.ok(waitedMs < 60_000, "the trackers find each other");
      await trackers.run(250);
    }
    await trackers.run(CONVERGENCE_MS);
    this.check();
    await this.#checkClocks();
    const [first, ...others] = trackers.all.map(({ replica }) => replica.registry);
    assert.ok(first);
    for (const other of others) {
      if (other.digest() === first.digest()) continue;
      assert.deepEqual(allRows(other), allRows(first), "the same rows within a second");
    }
    for (const { asked, step } of this.attempts) {
      const { outcome } = asked;
      assert.notEqual(outcome.status, "waiting", `${step.what} is answered`);
      if (outcome.status === "refused")
        assert.ok(
          outcome.error instanceof MiniTorrentError && outcome.error.code !== "INTERNAL",
          String(outcome.error),
        );
    }
    this.#checkPromises(first);
    this.#checkOnce(first);
    await this.#checkMemberships(first);
    this.#checkShares(first);
    this.#checkVersions(first);
    await this.#checkInvites(first);
    await this.#checkCollected();
    this.#checkEnded(first);
  }

  /** All clocks are right. Who wrote while its clock was ahead, and has heard nobody else since, has to be told so, once. */
  async #checkClocks(): Promise<void> {
    const { trackers } = this;
    await trackers.run(CLOCKS_COMPARED_MS);
    const told = trackers.all.find(({ replica }) => replica.clockWatch.doubt !== undefined);
    told?.replica.clockWatch.accept();
    await trackers.run(CLOCKS_COMPARED_MS);
    for (const { index, replica } of trackers.all) {
      assert.equal(replica.clockWatch.doubt, undefined, `t${index} writes again`);
      const aheadMs = stampMs(replica.registry.latestStamp) - replica.nowMs();
      assert.ok(aheadMs <= HOUR_MS, `t${index} stamps as its clock says`);
    }
  }

  #attempt(step: CommandStep, tracker: VirtualTracker): Attempt | undefined {
    const { registry } = tracker.replica;
    const writeId = this.trackers.newWriteId();
    const nowMs = tracker.replica.nowMs();
    const groupId = groupName(step.group);
    const about = userName(step.about);
    if (step.what === "create-user") {
      const work: Work = (writer) => createUser(writer, writeId, about, { passwordHash: writeId }, nowMs);
      const nobody = { accountId: undefined, aboutAccountId: undefined };
      return this.#start(tracker, { step, writeId, work, ...nobody, ends: new Set() });
    }
    const isOwners =
      ["accept", "reject", "remove", ...OWNERS_OF_INVITES].includes(step.what) || step.isByOwner === true;
    const ownerId = isOwners ? findGroup(registry, groupId)?.ownerAccountId : undefined;
    const accountId = ownerId ?? registry.claim("user", userName(step.by))?.claimId;
    const userId = accountId && registry.claimById("user", accountId)?.name;
    if (accountId === undefined || userId === undefined) return undefined;
    const rule = this.#ruleOf(step, writeId, accountId, nowMs);
    const isAboutUser = isOwners && !OWNERS_OF_INVITES.includes(step.what);
    const aboutAccountId = isAboutUser ? registry.claim("user", about)?.claimId : accountId;
    const ends = new Set<string>();
    const work: Work = (writer, here) => {
      if (!writer.hasWrite(writeId) && (step.what === "remove" || step.what === "leave")) {
        ends.clear();
        for (const key of membershipKeys(here, groupId, aboutAccountId)) ends.add(key);
      }
      return rule({ writer, writeId, account: { userId, accountId }, nowMs });
    };
    return this.#start(tracker, { step, writeId, work, accountId, aboutAccountId, ends });
  }

  #start(tracker: VirtualTracker, attempt: Omit<Attempt, "asked" | "promised">): Attempt {
    const asked = this.trackers.ask(tracker, attempt.writeId, attempt.work);
    return { ...attempt, asked, promised: undefined };
  }

  /** What was in flight when its tracker died is asked once more at another one, as clients do. */
  #askAgain(tracker: VirtualTracker): void {
    if (!tracker.isUp || tracker.replica.clockWatch.doubt !== undefined) return;
    for (const attempt of this.attempts) {
      const { asked } = attempt;
      if (asked.outcome.status !== "died" || asked.isRetry || asked.tracker === tracker) continue;
      attempt.asked = this.trackers.ask(tracker, attempt.writeId, attempt.work, true);
    }
  }

  #restore(tracker: VirtualTracker): void {
    const { backupPath } = tracker;
    if (backupPath === undefined) return;
    this.check();
    this.trackers.restore(tracker, backupPath);
    this.#hasOldDisk = true;
    for (const row of this.#promisedRows()) {
      const isSomewhere = this.trackers.all.some(({ replica }) => has(replica.registry, row));
      if (!isSomewhere) this.#excused.add(row.stamp);
      const isKnownAnswered = this.trackers.all.some(
        ({ replica: { registry } }) => has(registry, row) && !registry.isDoubtful(row.claimId),
      );
      if (!isKnownAnswered) this.#answersForgotten.add(row.stamp);
    }
  }

  #promisedRows(): RegistryRecord[] {
    return this.attempts.flatMap(({ promised }) => promised ?? []);
  }

  /** An OK says that every tracker which was connected all the while has it on disk. */
  #checkOnDisks({ asked, step }: Attempt, rows: readonly RegistryRecord[]): void {
    for (const other of this.trackers.all) {
      const sinceMs =
        other === asked.tracker ? undefined : this.trackers.connectedSince(asked.tracker, other);
      if (sinceMs === undefined || sinceMs >= asked.startedMs) continue;
      for (const row of rows) {
        assert.ok(has(other.replica.registry, row), `${step.what} is promised and not at t${other.index}`);
      }
    }
  }

  /** Somebody who waits is let in and removed at one tracker, and later let in at another that has not heard of it. */
  async letInTwice(one: VirtualTracker, other: VirtualTracker): Promise<void> {
    this.trackers.cut(one, other, false);
    const command = async ({ index }: VirtualTracker, name: CommandStep["what"]) => {
      this.command({
        type: "command",
        at: index,
        what: name,
        by: 0,
        about: 2,
        group: 0,
        file: 0,
        content: 1,
      });
      await this.trackers.run(5);
    };
    await command(one, "accept");
    await command(one, "remove");
    await command(other, "accept");
  }

  /** One name, one owner: of two trackers that were connected all the while, only one may have given it away. */
  #checkNameGivenOnce(attempt: Attempt, rows: readonly RegistryRecord[]): void {
    for (const row of rows) {
      if (row.claimId === "" || row.claimId !== row.stamp || row.value === undefined) continue;
      if (!this.#isLive(row, attempt.asked.tracker)) continue; // another command has ended it already
      for (const other of this.attempts) {
        if (other === attempt) continue;
        for (const rival of other.promised ?? []) {
          if (rival.kind !== row.kind || rival.key !== row.key || rival.claimId !== rival.stamp) continue;
          if (this.#isLive(rival, attempt.asked.tracker) && this.#wereConnected(attempt.asked, other.asked)) {
            assert.fail(`${row.kind} ${row.key} was given away twice: ${rival.claimId} and ${row.claimId}`);
          }
        }
      }
    }
  }

  #isLive(claim: RegistryRecord, tracker: VirtualTracker): boolean {
    return tracker.replica.registry.row(claim.kind, claim.key, claim.claimId)?.value !== undefined;
  }

  #wereConnected(one: Asked, other: Asked): boolean {
    if (one.tracker === other.tracker) return true;
    const sinceMs = this.trackers.connectedSince(one.tracker, other.tracker);
    return sinceMs !== undefined && sinceMs < Math.min(one.startedMs, other.startedMs);
  }

  /** Where an ended membership is known of, nobody is in by it. */
  #checkNoneReturns(reader: RegistryReader): void {
    for (const { key, value } of reader.list("revocation", "")) {
      const [groupClaimId = "", membershipId = ""] = key.split("\u001f");
      const member = currentMember(reader, groupClaimId, value.accountId);
      assert.notEqual(member?.membershipId, membershipId, "nobody is in by a membership that ended");
      const named = revokedMembershipIds(reader, groupClaimId, value.endedAtMs - 1, ALL).items;
      assert.ok(named.includes(membershipId), "peers are told of it");
    }
  }

  /** An OK survives: what was promised is there, or something later is in its place. */
  #checkPromises(reader: Replica): void {
    for (const row of this.#promisedRows()) {
      if (this.#excused.has(row.stamp)) continue;
      assert.ok(has(reader, row), `a promised ${row.kind} is lost: ${JSON.stringify(row)}`);
    }
    this.#checkLostToPromised(reader);
    for (const kind of ["user", "group", "file"] as const) {
      for (const row of this.#promisedRows()) {
        if (row.kind !== kind || row.claimId !== row.stamp || row.value === undefined) continue;
        const standing = reader.claim(kind, row.key);
        const final = reader.row(kind, row.key, row.claimId);
        if (standing === undefined || final?.value === undefined) continue;
        assert.ok(standing.claimId <= row.claimId, "the earlier claim stands");
      }
      // A claim is over because an earlier one stood, or because somebody said so.
      for (const row of this.#promisedRows()) {
        if (row.kind !== kind || row.claimId !== row.stamp || this.#excused.has(row.stamp)) continue;
        if (this.#answersForgotten.has(row.stamp)) continue;
        const final = reader.row(kind, row.key, row.claimId);
        if (kind === "user" && final?.value === undefined) {
          const standing = reader.claim(kind, row.key);
          const isEarlier = standing !== undefined && standing.claimId < row.claimId;
          assert.ok(isEarlier || standing?.writeId === row.writeId, `user ${row.key} is lost to nobody`);
        }
      }
    }
  }

  /**
   * What was answered does not lose to what was not. With a third tracker it may: one that died can have told another one,
   * which was apart from the third.
   */
  #checkLostToPromised(reader: Replica): void {
    if (this.trackers.all.length > 2 || this.#hasOldDisk) return;
    const promised = this.#promisedRows();
    for (const { kind, key, claimId, stamp } of promised) {
      if (claimId === "" || claimId !== stamp) continue;
      const final = reader.row(kind, key, claimId);
      const standing = reader.claim(kind, key);
      if (standing === undefined || standing.claimId >= claimId || final?.writeId !== `lost:${claimId}`)
        continue;
      const isPromised = promised.some((other) => other.claimId === standing.claimId);
      assert.ok(isPromised, `${kind} ${key} was promised, and lost to a claim that was not`);
    }
  }

  /** A command that was asked twice did one thing. */
  #checkOnce(reader: Replica): void {
    for (const { writeId, step } of this.attempts) {
      const rows = reader.rowsOfWrite(writeId).filter(({ value }) => value !== undefined);
      const claims = rows.filter(({ claimId, stamp, kind, key }) => {
        if (claimId !== stamp || reader.claimById(kind, claimId) === undefined) return false;
        // A name in a group that lost is read by nobody.
        return kind !== "file" || reader.claimById("group", key.split("\u001f")[0] ?? "") !== undefined;
      });
      assert.ok(claims.length <= 1, `${step.what} claimed ${claims.length} names`);
      // Two requests of one account may have been accepted, the second after the first was turned down elsewhere.
      const memberships = new Set<string>();
      for (const { kind, key, value } of rows) {
        if (kind !== "membership" || (value as MembershipValue).state === "replaced") continue;
        const [groupClaimId = "", accountId = "", membershipId] = key.split("\u001f");
        if (reader.claimById("group", groupClaimId) === undefined) continue;
        const isOfAccount = ["accept", "reject", "use-invite"].includes(step.what);
        memberships.add(isOfAccount ? accountId : `${membershipId}`);
      }
      assert.ok(memberships.size <= 1, `${step.what} made ${memberships.size} memberships`);
    }
  }

  async #checkMemberships(reader: Replica): Promise<void> {
    const writes = new Map(this.attempts.map((attempt) => [attempt.writeId, attempt]));
    for (const row of this.#promisedRows()) {
      if (this.#excused.has(row.stamp)) continue;
      const [groupClaimId = "", second = "", membershipId = ""] = row.key.split("\u001f");
      const group = reader.claimById("group", groupClaimId);
      if (group === undefined) continue;
      if (row.kind === "revocation" && row.value !== undefined) {
        const { accountId } = row.value as RevocationValue;
        assert.equal(isMemberBy(reader, groupClaimId, accountId, second), false, "he stays out");
        this.#checkCertificate(reader, group.name, accountId);
      }
      if (row.kind !== "membership" || (row.value as MembershipValue | undefined)?.state !== "member")
        continue;
      if (reader.claimById("user", second) === undefined) continue;
      if (isMemberBy(reader, groupClaimId, second, membershipId)) continue;
      const revocation = findRow(reader, "revocation", recordKey(groupClaimId, membershipId));
      const final = findRow(reader, "membership", row.key);
      const ender = writes.get(revocation?.writeId ?? final?.writeId ?? "");
      const isMeant =
        ender !== undefined &&
        ender.aboutAccountId === second &&
        ["remove", "leave", "reject"].includes(ender.step.what);
      assert.ok(isMeant, `a membership is over, and nobody ended it: ${JSON.stringify(final)}`);
    }
  }

  /** Who was removed, or left, is in by nothing that was known where that was done, whoever accepts it elsewhere. */
  #checkEnded(reader: Replica): void {
    for (const { step, ends, promised = [] } of this.attempts) {
      if (promised.length === 0 || promised.some(({ stamp }) => this.#excused.has(stamp))) continue;
      for (const key of ends) {
        const [groupClaimId = "", accountId = "", membershipId = ""] = key.split("\u001f");
        const isIn = isMemberBy(reader, groupClaimId, accountId, membershipId);
        assert.equal(isIn, false, `${step.what} is over, and ${membershipId} in again`);
      }
    }
  }

  #checkCertificate(reader: Replica, groupId: string, accountId: string): void {
    const group = findGroup(reader, groupId);
    if (group === undefined || currentMember(reader, group.claimId, accountId) !== undefined) return;
    const { nowMs } = this.trackers;
    assert.throws(
      () =>
        new MemberCertificates(1).issue(reader, { userId: "", accountId }, new Uint8Array(), groupId, nowMs),
      { code: "NOT_A_MEMBER" },
    );
  }

  /** Who shares a file, and has not stopped, shares it still, unless other content has the name: then he was told. */
  #checkShares(reader: Replica): void {
    for (const row of this.#promisedRows()) {
      if (row.kind !== "share" || row.value === undefined || this.#excused.has(row.stamp)) continue;
      const [fileClaimId = "", accountId = ""] = row.key.split("\u001f");
      const { membershipId } = row.value as ShareValue;
      const file = this.#fileOf(fileClaimId);
      if (file === undefined || reader.claimById("user", accountId) === undefined) continue;
      const [groupClaimId = "", name = ""] = file.key.split("\u001f");
      const group = reader.claimById("group", groupClaimId);
      if (group === undefined || !isMemberBy(reader, groupClaimId, accountId, membershipId)) continue;
      const now = findRow(reader, "share", row.key)?.value as ShareValue | undefined;
      if (now === undefined || now.withdrawnAtMs !== undefined) continue; // stopped, there or at another machine
      const standing = reader.claim("file", file.key);
      if (standing !== undefined && !hasVersion(reader, standing, (file.value as FileValue).infoHash)) {
        continue;
      }
      const infoHash = standing && newestVersion(reader, standing).infoHash;
      const listed = listFiles(
        reader,
        accountId,
        group.name,
        () => ({ seeders: 0, peers: 0, seederAccounts: [] }),
        ALL,
      ).items.find(({ fileName }) => fileName === name);
      assert.equal(listed?.infoHash, infoHash, `${name} is shared and not listed`);
    }
  }

  /** A version that was promised is the newest, or an earlier one of its share, whatever was published apart from it. */
  #checkVersions(reader: Replica): void {
    for (const row of this.#promisedRows()) {
      if (row.kind !== "version" || row.value === undefined || this.#excused.has(row.stamp)) continue;
      const [fileClaimId = ""] = row.key.split("\u001f");
      const file = this.#fileOf(fileClaimId);
      const standing = file && reader.claim("file", file.key);
      if (file === undefined || standing === undefined) continue;
      if (!hasVersion(reader, standing, (file.value as FileValue).infoHash)) continue;
      const isOfStanding = standing.claimId === fileClaimId;
      // Its share ended, and began anew with the same content.
      const isOver = reader.row("file", file.key, fileClaimId)?.writeId !== lostWriteId(fileClaimId);
      if (!isOfStanding && isOver) continue;
      const { number, infoHash } = row.value as VersionValue;
      const versions = versionsOf(reader, standing);
      assert.ok(versions[0].number >= number, `version ${number} of ${file.key} is lost`);
      if (versions.length < VERSIONS_KEPT) {
        assert.ok(
          versions.some((version) => version.infoHash === infoHash),
          `version ${number} of ${file.key} is forgotten`,
        );
      }
    }
  }

  /** Metainfo is there of what is shared, and of nothing else once that has been so for long enough. */
  async #checkCollected(): Promise<void> {
    // Parts go once their torrent has gone.
    for (let round = 0; round < 6; round++) {
      for (const tracker of this.trackers.all) this.trackers.collect(tracker);
      await this.trackers.run(COLLECT_AFTER_MS);
    }
    for (const { replica } of this.trackers.all) {
      const { registry } = replica;
      const used = new Set<string>();
      for (const { claimId: groupClaimId, name: groupId } of registry.claims("group", "")) {
        const [member] = currentMembers(registry, groupClaimId);
        if (member === undefined) continue;
        const nobody = () => ({ seeders: 0, peers: 0, seederAccounts: [] });
        const files = listFiles(registry, member.accountId, groupId, nobody, ALL).items;
        for (const { fileName, infoHash } of files) {
          used.add(infoHash);
          if (this.#hasOldDisk) continue; // it may have had a share of what the others had collected
          assert.equal(
            sha1Of(readInfo(registry, member.accountId, { groupId, fileName })),
            infoHash,
            `${fileName} has its metainfo`,
          );
        }
      }
      for (const key of registry.keys("torrent", "", { limit: 1_000 })) {
        assert.ok(used.has(readTorrentKey(key).infoHash), `nobody shares ${key}`);
      }
      for (const key of registry.keys("infoPart", "", { limit: 1_000 })) {
        const upload = readPartKey(key);
        const isNeeded = isUnderWay(registry, upload) || needsParts(registry, upload);
        assert.ok(isNeeded, `nothing needs ${key}`);
      }
      // One that has just expired is not due yet.
      const longAgoMs = this.trackers.nowMs - MAX_SKEW_MS - 6 * COLLECT_AFTER_MS;
      for (const key of registry.keys("invite", "", { limit: 1_000 })) {
        assert.equal(isInviteOver(registry, key, longAgoMs), false, `nobody can use ${key}`);
      }
      for (const kind of ["inviteUse", "inviteRevocation"] as const) {
        for (const key of registry.keys(kind, "", { limit: 1_000 }))
          assert.equal(isInviteGone(registry, key), false, `${kind} ${key} is of no invite`);
      }
    }
  }

  #ruleOf(
    step: CommandStep,
    writeId: string,
    accountId: string,
    nowMs: number,
  ): (command: Command) => unknown {
    if (step.what === "invite" || step.what === "use-invite" || step.what === "revoke-invite") {
      return this.#inviteRuleOf(step, writeId);
    }
    const folder = folders[step.content - 1];
    const isShare = isFolderShare(step);
    if (folder === undefined || (step.what !== "send-parts" && !isShare)) {
      return ruleOf(step, writeId);
    }
    const { info, infoHash } = folder;
    const place = recordKey(accountId, infoHash);
    // Sometimes the second part again, perhaps at another tracker.
    const isAgain = step.machine === 1;
    const uploadId = isShare || isAgain ? (this.#uploads.get(place) ?? "none") : writeId;
    this.#uploads.set(place, uploadId);
    if (isShare) {
      return (command) => {
        const upload = { accountId, infoHash, uploadId };
        const checked = checkedParts(command.writer, upload, nowMs, groupName(step.group));
        return shareFile(command, { ...termsOf(step, command), ...(checked ?? { infoHash }) });
      };
    }
    return (command) => {
      for (const [partIndex, half] of halvesOf(info).entries()) {
        if (isAgain && partIndex === 0) continue;
        const request = { groupId: groupName(step.group), infoHash, uploadId, partIndex, partCount: 2 };
        putInfoPart(command, { ...request, part: Buffer.from(half).toString("base64") });
      }
    };
  }

  #inviteRuleOf(step: CommandStep, writeId: string): (command: Command) => unknown {
    const groupId = groupName(step.group);
    if (step.what === "invite") {
      const secretHash = createHash("sha256").update(writeId).digest("hex");
      return (command) => {
        // Some are for one user, and some end soon.
        const [uses, lastsMs] = [step.content === 1 ? 1 : undefined, step.file === 1 ? 60_000 : undefined];
        const { groupClaimId } = createInvite(command, { groupId, secretHash, uses, lastsMs });
        this.#invites.set(secretHash, groupClaimId);
      };
    }
    const known = [...this.#invites];
    const [secretHash, groupClaimId] = known[step.content % Math.max(1, known.length)] ?? [
      "f".repeat(64),
      "",
    ];
    if (step.what === "use-invite") return (command) => useInvite(command, groupClaimId, secretHash);
    return (command) => revokeInvite(command, groupId, inviteIdOf(secretHash));
  }

  /** With a revoked invite nobody joins, nor with one that they used before they were removed, whatever was done apart. */
  async #checkInvites(reader: Replica): Promise<void> {
    const revoked = new Set<string>();
    for (const row of this.#promisedRows()) {
      if (row.kind === "inviteRevocation" && !this.#excused.has(row.stamp))
        revoked.add(row.key.split("\u001f").slice(0, 2).join("\u001f"));
    }
    for (const [secretHash, groupClaimId] of this.#invites) {
      if (reader.claimById("group", groupClaimId) === undefined) continue;
      const key = recordKey(groupClaimId, inviteIdOf(secretHash));
      for (const { name: userId, claimId: accountId } of reader.claims("user", "")) {
        if (currentMember(reader, groupClaimId, accountId) !== undefined) continue;
        const membershipId = reader.get("inviteUse", recordKey(key, accountId))?.membershipId ?? "";
        const wasRemoved = reader.get("revocation", recordKey(groupClaimId, membershipId))?.how === "removed";
        if (!revoked.has(key) && !wasRemoved) continue;
        const writeId = this.trackers.newWriteId();
        const tracker = this.trackers.at(0);
        const { nowMs } = this.trackers;
        const asked = this.trackers.ask(tracker, writeId, (writer) =>
          useInvite({ writer, writeId, account: { userId, accountId }, nowMs }, groupClaimId, secretHash),
        );
        await this.trackers.run(CONVERGENCE_MS);
        const { outcome } = asked;
        const code =
          outcome.status === "refused" && outcome.error instanceof MiniTorrentError && outcome.error.code;
        assert.equal(
          code,
          "INVITE_REFUSED",
          `${userId} joins with an invite that is ${wasRemoved ? "spent" : "revoked"}`,
        );
      }
    }
  }

  #fileOf(claimId: string): RegistryRecord | undefined {
    return this.#promisedRows().find((row) => row.kind === "file" && row.claimId === claimId);
  }
}

type Replica = VirtualTracker["replica"]["registry"];

/** Keys of all that was ever written between that account and the group, as (group, account, membership id). */
function* membershipKeys(registry: Replica, groupId: string, accountId = ""): Iterable<string> {
  const prefix = recordKey(findGroup(registry, groupId)?.claimId ?? "", accountId, "");
  for (const { kind, key } of registry.since({}, Number.MAX_SAFE_INTEGER)) {
    if (kind === "membership" && key.startsWith(prefix)) yield key.split("\u001f").slice(0, 3).join("\u001f");
  }
}

function findRow(reader: Replica, kind: "revocation" | "membership" | "share", key: string) {
  return reader.row(kind, key, "");
}

function has(registry: Replica, { kind, key, claimId, stamp }: RegistryRecord): boolean {
  return (registry.row(kind, key, claimId)?.stamp ?? "") >= stamp;
}

function ruleOf(step: CommandStep, writeId: string): (command: Command) => unknown {
  const groupId = groupName(step.group);
  const about = userName(step.about);
  const holderId = `machine${step.machine ?? 0}`;
  switch (step.what) {
    case "create-group":
      return (command) => createGroup(command, groupId, authority, `m-${writeId}`);
    case "join":
      return (command) => requestToJoin(command, groupId);
    case "accept":
      return (command) => acceptRequest(command, groupId, about);
    case "reject":
      return (command) => rejectRequest(command, groupId, about);
    case "remove":
      return (command) => removeMember(command, groupId, about);
    case "leave":
      return (command) => leaveGroup(command, groupId);
    case "stop":
    case "stop-everywhere": {
      const everywhere = step.what === "stop-everywhere";
      return (command) =>
        stopShare(command, { groupId, fileName: fileName(step.file), holderId, everywhere });
    }
    default: {
      const { info, sha1 } = metainfoFor(fileName(step.file), step.content, authority.certificatePem);
      return (command) => shareFile(command, { ...termsOf(step, command), info, sha1 });
    }
  }
}

/** An update is of what the name stands for where it is published. */
function termsOf(step: CommandStep, { writer }: Command) {
  const groupId = groupName(step.group);
  const terms = { groupId, holderId: `machine${step.machine ?? 0}` };
  if (step.what !== "update") return terms;
  const group = findGroup(writer, groupId);
  const claim = group && writer.claim("file", recordKey(group.claimId, fileName(step.file)));
  return { ...terms, isUpdate: true, replaces: claim && newestVersion(writer, claim).infoHash };
}

function isFolderShare({ what: command, file }: CommandStep): boolean {
  return file === FOLDER && (command === "share" || command === "update");
}

function halvesOf(info: Uint8Array): readonly [Uint8Array, Uint8Array] {
  const middle = info.length >> 1;
  return [info.subarray(0, middle), info.subarray(middle)];
}

/** What info-check.ts finds; undefined if the parts are not all there. */
function checkedParts(
  reader: RegistryReader,
  upload: InfoUpload,
  nowMs: number,
  groupId: string,
): InfoInParts | undefined {
  const group = findGroup(reader, groupId);
  if (group === undefined) return undefined;
  try {
    requireUpload(reader, upload, group.claimId, nowMs);
  } catch {
    return undefined;
  }
  const halves = [0, 1].map((partIndex) => infoPart(reader, upload, partIndex));
  if (halves.includes(undefined)) return undefined;
  const info = Buffer.concat(halves.map((half = "") => Buffer.from(half, "base64")));
  assert.equal(sha1Of(info), upload.infoHash);
  const described = describeInfo(decodeMetainfo(info));
  return { upload, partCount: 2, described, isUnchanged: () => true };
}

/** As a member reads it: whole, or part by part. */
function readInfo(reader: Replica, accountId: string, file: { groupId: string; fileName: string }): Buffer {
  const answer = metainfoOf(reader, accountId, file);
  if ("info" in answer) return Buffer.from(answer.info, "base64");
  const parts = Array.from({ length: answer.partCount }, (_, partIndex) => {
    const { part } = infoPartOf(reader, accountId, {
      ...{ groupId: file.groupId, infoHash: answer.infoHash, partIndex },
    });
    return Buffer.from(part, "base64");
  });
  return Buffer.concat(parts);
}

function sha1Of(bytes: Uint8Array): string {
  return createHash("sha1").update(bytes).digest("hex");
}

/** Three users, a group with two of them in it and one waiting, and a file. */
async function settle(model: Model): Promise<void> {
  const command = async (name: CommandStep["what"], by: number, about = by) => {
    model.command({ type: "command", at: 0, what: name, by, about, group: 0, file: 0, content: 1 });
    await model.trackers.run(400);
  };
  await model.trackers.run(2_000);
  for (const user of [0, 1, 2]) await command("create-user", user);
  await command("create-group", 0);
  await command("join", 1);
  await command("accept", 0, 1);
  await command("share", 1);
  await command("join", 2);
  model.check();
}

test("what trackers promise holds through random histories", async (context) => {
  let runs = 0;
  let toldMs = performance.now();
  await fc.assert(
    fc.asyncProperty(scenario, async ({ skewsMs, delaysMs, steps }) => {
      runs++;
      if (performance.now() - toldMs > PROGRESS_INTERVAL_MS) {
        toldMs = performance.now();
        console.error(`model: ${runs} of ${RUNS} histories`);
      }
      using trackers = new VirtualTrackers(skewsMs, delaysMs);
      const model = new Model(trackers);
      await settle(model);
      const folder = { by: 1, about: 1, group: 0, file: FOLDER, content: 1, machine: 0 } as const;
      await model.take({ type: "command", at: 0, what: "share", ...folder });
      for (const step of steps) await model.take(step);
      await model.rest();
    }),
    {
      numRuns: RUNS,
      ...(process.env.MODEL_SEED === undefined ? {} : { seed: Number(process.env.MODEL_SEED) }),
      ...(process.env.MODEL_PATH === undefined ? {} : { path: process.env.MODEL_PATH }),
      interruptAfterTimeLimit: LIMIT_MS,
      markInterruptAsFailure: false,
    },
  );
  context.diagnostic(`${runs} of ${RUNS} histories`);
  if (process.env.MODEL_PATH === undefined) {
    assert.ok(runs >= LEAST_RUNS, `only ${runs} of ${RUNS} histories in ${LIMIT_MS} ms`);
  }
});

/** Users 0 to 2 and what settle() makes, at two trackers that are connected. */
async function pair(skewsMs: readonly number[] = [0, 0]) {
  const trackers = new VirtualTrackers(skewsMs, [5]);
  const model = new Model(trackers);
  await settle(model);
  await trackers.run(2_000);
  const at = (index: number) => trackers.at(index);
  const found = (index: number, by: number, group: number) => {
    const step = { type: "command", what: "create-group", about: by, file: 0, content: 1 } as const;
    model.command({ ...step, at: index, by, group });
  };
  return { trackers, model, at, found };
}

test("a claim that nobody was told of, on the disk of a tracker that died, yields to a later one that was answered", async () => {
  const { trackers, model, at, found } = await pair();
  using _ = trackers;
  found(0, 0, 1);
  await trackers.run(0); // on its disk, and on its way
  trackers.crash(at(0));
  assert.equal(model.attempts.at(-1)?.asked.outcome.status, "died");
  await trackers.run(2_500);
  found(1, 1, 1);
  await trackers.run(100);
  model.check();
  const given = model.attempts.at(-1);
  assert.equal(given?.asked.outcome.status, "ok");
  at(0).isUp = true;
  await model.rest();
  for (const { replica } of trackers.all) {
    const { registry } = replica;
    assert.equal(findGroup(registry, groupName(1))?.ownerAccountId, given?.accountId);
  }
  const lost = at(0).replica.lostClaims.map(({ name }) => name);
  assert.deepEqual(lost, [groupName(1)], "its claimant is told");
});

test("a claim that another tracker has heard of is in doubt no more, and stands before a later one made apart", async () => {
  const { trackers, model, at, found } = await pair();
  using _ = trackers;
  found(0, 0, 1);
  await trackers.run(6); // stored at the other, whose answer is still on its way
  trackers.crash(at(0));
  const first = model.attempts.at(-1);
  assert.equal(first?.asked.outcome.status, "died");
  await trackers.run(100);
  found(1, 1, 1);
  await trackers.run(3_000);
  assert.equal(model.attempts.at(-1)?.asked.outcome.status, "refused");
  at(0).isUp = true;
  await model.rest();
  assert.equal(findGroup(at(0).replica.registry, groupName(1))?.ownerAccountId, first?.accountId);
});

test("when one command made two claims, the answered one stands, also if its tracker's clock is behind", async () => {
  const { trackers, model, at, found } = await pair([MAX_SKEW_MS, 0]);
  using _ = trackers;
  trackers.cut(at(0), at(1), true);
  await trackers.run(500); // the other's clock has not heard of this one's for so long
  found(0, 0, 1);
  await trackers.run(0); // on its disk, and waiting for the other's
  await model.take({ type: "crash", at: 0, next: 1 });
  await trackers.run(WRITES_OVER_MS);
  model.check();
  const founded = model.attempts.at(-1);
  assert.ok(founded?.asked.isRetry);
  assert.equal(founded?.asked.outcome.status, "ok");
  const [claim] = founded.promised ?? [];
  at(0).isUp = true;
  await model.rest();
  const standing = findGroup(at(0).replica.registry, groupName(1))?.claimId;
  assert.equal(standing, claim?.claimId, "what hangs on the answer is kept");
});

test("what an OK is about is on every connected disk, also when the first attempt's row comes back at that moment", async () => {
  using trackers = new VirtualTrackers([0, 0, 0], [1]);
  const model = new Model(trackers);
  await settle(model);
  await model.take({ type: "let-in-twice", at: 1, from: 2 });
  const share = { type: "command", what: "share", by: 0, about: 0, group: 0, file: 0, content: 1 } as const;
  await model.take({ ...share, at: 1 });
  await model.take({ type: "crash", at: 1, next: 0 });
  await model.take({ type: "start", at: 1 });
  await model.take({ type: "wait", forMs: 2 });
  const again = model.attempts.at(-1);
  assert.equal(again?.asked.outcome.status, "ok");
  const [promised] = again.promised ?? [];
  const standing = trackers.at(0).replica.registry.rowsOfWrite(again.writeId);
  assert.equal(standing.length, 1, "one command, one row");
  assert.ok(
    promised && standing[0] && promised.stamp < standing[0].stamp,
    "and the first attempt's is the later",
  );
  await model.rest();
});

test("metainfo that one tracker removes at the moment when a share begins at another one is there", async () => {
  const { trackers, model, at } = await pair();
  using _ = trackers;
  const file = { type: "command", by: 1, about: 1, group: 0, file: 0, content: 1 } as const;
  model.command({ ...file, at: 0, what: "stop" });
  await trackers.run(1_000);
  trackers.collect(at(0));
  await trackers.run(COLLECT_AFTER_MS);
  const before = at(1).replica.registry.keys("torrent", "", { limit: 10 });
  assert.equal(before.length, 1);
  trackers.collect(at(0));
  await trackers.run(0); // removed there, and the other has yet to hear of it
  assert.deepEqual(at(0).replica.registry.keys("torrent", "", { limit: 10 }), []);
  assert.deepEqual(at(1).replica.registry.keys("torrent", "", { limit: 10 }), before);
  model.command({ ...file, at: 1, what: "share" });
  await model.rest();
});

test("a disk that was brought back is an old one, and what it has lost comes back from the others", async () => {
  const { trackers, model, at, found } = await pair();
  using _ = trackers;
  trackers.backUp(at(0));
  found(0, 0, 1);
  await trackers.run(100);
  await model.take({ type: "restore", at: 0 });
  // Alone, it gives out numbers anew that stand for other writes at the other.
  at(0).isUp = true;
  trackers.cut(at(0), at(1), false);
  model.command({
    ...{ type: "command", at: 0, what: "join", by: 2, about: 2, group: 0, file: 0, content: 1 },
  });
  model.command({
    ...{ type: "command", at: 0, what: "stop", by: 1, about: 1, group: 0, file: 0, content: 1 },
  });
  await trackers.run(100);
  await model.rest();
});

test("a clock that is a day ahead for some seconds, and a write in them, keep no tracker from any other", async () => {
  const { trackers, model, at } = await pair();
  using _ = trackers;
  at(0).clock.setAheadMs = 24 * HOUR_MS;
  const write = (tracker: VirtualTracker) =>
    tracker.replica.replication.write("w", (writer) => writer.put("share", `at t${tracker.index}`, 1));
  // What the tracker itself has to write, such as the end of a claim that lost, is written meanwhile.
  const written = write(at(0));
  await trackers.run(3_000);
  await written;
  assert.equal(at(0).replica.clockWatch.doubt?.why, "jumped");
  at(0).clock.setAheadMs = 0;
  await trackers.run(1_000);
  assert.ok(trackers.areAllConnected);
  for (const { replica } of trackers.all) {
    assert.equal(replica.clockWatch.doubt, undefined);
    assert.ok(stampMs(replica.registry.latestStamp) <= replica.nowMs());
    assert.equal(replica.registry.get("share", "at t0"), 1);
    assert.deepEqual(replica.warnings, []);
  }
  trackers.crash(at(0));
  at(0).isUp = true;
  await model.rest();
});

test("what was written by trackers that began with a clock ahead is kept when the clocks are right, with no hand of a person", async () => {
  const { trackers, model, at, found } = await pair();
  using _ = trackers;
  trackers.cut(at(0), at(1), false);
  trackers.crash(at(0));
  at(0).clock.setAheadMs = 24 * HOUR_MS;
  trackers.restart(at(0));
  await trackers.run(2_000);
  assert.equal(at(0).replica.clockWatch.doubt, undefined, "alone it cannot know");
  found(0, 0, 1);
  await trackers.run(1_000);
  assert.equal(model.attempts.at(-1)?.asked.outcome.status, "ok");
  trackers.crash(at(0));
  at(0).clock.setAheadMs = 0;
  trackers.restart(at(0));
  await trackers.run(2_000);
  assert.equal(at(0).replica.clockWatch.doubt?.why, "behind its past");
  trackers.mend(at(0), at(1));
  await trackers.run(3_000);
  assert.ok(trackers.areAllConnected);
  assert.equal(at(0).replica.clockWatch.doubt, undefined);
  await model.rest();
});
