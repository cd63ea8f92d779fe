// Why a download is stalled, or that it is not: which pieces are missing, who has or had them, what is tried next. Pure.
import type { FileStanding } from "../../api/schemas.ts";
import type { Contact } from "../../engine/connection-manager.ts";
import type { Bitfield } from "../../metainfo/bitfield.ts";
import type { PieceHolder } from "../../swarm/torrent-status.ts";
import { NOBODY_HAS_IT } from "../../swarm/torrent-status.ts";
import type { DownloadStatus } from "../status.ts";
import { type NotUsed, notUsedAnyMore, notUsedContact, notUsedPeer, withoutStop } from "./idle-members.ts";

/** Ranges of pieces that are listed; further ones are counted. */
const MAX_RANGES = 50;
/** Members that the reason names; all are in `notUsed`. */
const MAX_NAMED = 3;

export interface PieceRange {
  readonly first: number;
  readonly last: number;
}

/** Pieces by their numbers, from 0. */
export interface PieceRanges {
  readonly pieces: number;
  /** The first of them, at most 50. */
  readonly ranges: readonly PieceRange[];
  readonly rangeCount: number;
}

/** A member's device that has or had some of what is missing. */
export interface Holder {
  readonly userId: string;
  readonly isConnected: boolean;
  /** How many of the missing pieces it has, or had when it was last seen. */
  readonly missingPiecesHad: number;
  /** Milliseconds since 1970; the present time for a connected peer. */
  readonly lastSeenMs: number;
  readonly remarks: readonly string[];
}

/** What happens next. `inMs` 0: it is under way; undefined: as soon as it can, or when you do it. */
export interface NextStep {
  readonly what: string;
  readonly inMs: number | undefined;
}

export interface WhyReport {
  readonly groupId: string;
  readonly fileName: string;
  readonly state: DownloadStatus["state"];
  /** One sentence for a person. */
  readonly reason: string;
  readonly pieceCount: number;
  readonly missing: PieceRanges;
  /** Missing pieces that no connected peer has. */
  readonly nobodyHas: PieceRanges;
  readonly holders: readonly Holder[];
  /** Members who have or had the file, and why nothing comes from each. */
  readonly notUsed: readonly NotUsed[];
  readonly next: readonly NextStep[];
  /** host:port of the tracker that is connected; null while none answers. */
  readonly tracker: string | null;
}

export interface WhyFacts {
  readonly status: DownloadStatus;
  readonly have: Bitfield;
  /** The peers in the swarm, or those when it was last left. */
  readonly holders: readonly PieceHolder[];
  /** Peers that trackers named, and the state of dialling each. */
  readonly contacts: readonly Contact[];
  /** The piece for which that user is banned; undefined if they are not. */
  readonly bannedFor: (userId: string) => number | undefined;
  /** The tracker's view of the file and its earlier peers; undefined if it was not asked, or did not answer. */
  readonly standing: FileStanding | undefined;
  /** Time until the tracker is asked for peers again; undefined while the download does not run. */
  readonly askedAgainInMs: number | undefined;
  /** When a pause ends by itself, in milliseconds since 1970. */
  readonly retryAtMs: number | undefined;
  readonly hasCertificate: boolean;
  /** The warning about this machine's clock; undefined if there is none. */
  readonly clockWarning: string | undefined;
  readonly tracker: string | undefined;
  /** Why no tracker is connected; undefined if one is, or nothing is known yet. */
  readonly trackerProblem: string | undefined;
  readonly nowMs: number;
}

export function whyReport(facts: WhyFacts): WhyReport {
  const { status, have, holders, tracker, nowMs } = facts;
  const connected = holders.filter((holder) => holder.isConnected);
  const notUsed = status.state === "downloading" ? notUsedIn(facts) : [];
  return {
    groupId: status.groupId,
    fileName: status.fileName,
    state: status.state,
    reason: reasonOf(facts, notUsed),
    pieceCount: status.pieceCount,
    missing: rangesOf(have.pieceCount, (piece) => !have.has(piece)),
    nobodyHas: rangesOf(
      have.pieceCount,
      (piece) => !have.has(piece) && !connected.some((holder) => holder.has.has(piece)),
    ),
    holders: holders
      .map((holder) => ({
        userId: holder.userId,
        isConnected: holder.isConnected,
        missingPiecesHad: holder.has.countMissingIn(have),
        lastSeenMs: nowMs - holder.lastSeenAgoMs,
        remarks: holder.remarks,
      }))
      .filter((holder) => holder.missingPiecesHad > 0)
      .sort((a, b) => b.lastSeenMs - a.lastSeenMs || b.missingPiecesHad - a.missingPiecesHad),
    notUsed,
    next: stepsOf(facts),
    tracker: tracker ?? null,
  };
}

/** One entry for each device that is named or connected, and one for each member whose devices have left. */
function notUsedIn({ have, holders, contacts, bannedFor, standing }: WhyFacts): NotUsed[] {
  const isHere = new Set(contacts.map(({ deviceId }) => deviceId));
  const named = contacts.map((contact) => notUsedContact(contact, bannedFor));
  const connected = holders.filter((holder) => holder.isConnected && !isHere.has(holder.deviceId));
  const idle = connected.map((holder) => notUsedPeer(holder, holder.has.countMissingIn(have)));
  const known = [...named, ...idle].filter((one) => one !== undefined);
  const toldUsers = new Set([...contacts, ...connected].map(({ userId }) => userId));
  const gone = new Map<string, Pick<PieceHolder, "userId" | "farewell">>();
  for (const holder of holders) {
    if (holder.isConnected || toldUsers.has(holder.userId) || holder.has.countMissingIn(have) === 0) continue;
    const before = gone.get(holder.userId);
    if (before?.farewell === undefined) gone.set(holder.userId, holder);
  }
  const sharer = standing?.content === "same" ? standing.sharedBy : undefined;
  if (sharer !== undefined && !toldUsers.has(sharer) && !gone.has(sharer))
    gone.set(sharer, { userId: sharer, farewell: undefined });
  return [...known, ...[...gone.values()].map((holder) => notUsedAnyMore(holder, standing, bannedFor))];
}

function reasonOf(facts: WhyFacts, notUsed: readonly NotUsed[]): string {
  const { status, holders, contacts, hasCertificate, clockWarning, tracker, standing } = facts;
  switch (status.state) {
    case "complete":
      return "It is complete.";
    case "verifying":
      return "Every piece is here; the whole file is being checked.";
    case "failed":
      return status.reason;
    case "paused":
      return status.reason ?? "You paused it.";
    case "downloading":
      break;
  }
  const { waitingFor, peerCount } = status;
  // Without a peer, the last blocks may have come from one that has just left.
  if (waitingFor === undefined && peerCount > 0) {
    const from = peerCount === 1 ? "1 peer" : `${peerCount} peers`;
    return `It is downloading, from ${from}.`;
  }
  const isHadByNobody = peerCount > 0 && waitingFor === NOBODY_HAS_IT;
  if (waitingFor !== undefined && !isHadByNobody && (peerCount > 0 || waitingFor.startsWith("the check")))
    return `It waits: ${waitingFor}.`;
  if (clockWarning !== undefined) return clockWarning;
  if (!hasCertificate) return withoutCertificate(facts);
  if (standing?.content === "newer") {
    const by = standing.sharedBy === undefined ? "" : `, shared by ${standing.sharedBy}`;
    const { groupId, fileName } = status;
    return `There is a newer version${by}, and nobody who is online has the rest of this one: cancel ${groupId} ${fileName}, then download_file gets the newer one.`;
  }
  if (standing?.content === "other") {
    const by = standing.sharedBy === undefined ? "" : `, shared by ${standing.sharedBy}`;
    const { groupId, fileName } = status;
    return `The name belongs to other content now${by}: cancel ${groupId} ${fileName}, then download_file gets the new content.`;
  }
  const useless = notUsed.filter(({ cause }) => cause !== "nothing-missing");
  if (isHadByNobody) {
    const who = useless.length === 0 ? "" : ` ${namedWith(useless)}`;
    return `It waits: ${waitingFor}.${who}`;
  }
  const [first] = contacts;
  if (first !== undefined && contacts.every(({ isClockFailure }) => isClockFailure)) {
    const who = contacts.length === 1 ? `${first.userId}'s machine` : "the members who have it";
    return `This machine and ${who} refuse each other's certificates because of the time: a clock is wrong; set it.`;
  }
  const isToBeCalled = ({ cause }: NotUsed) => cause === "being-called" || cause === "not-called-yet";
  if (contacts.length > 0 && useless.length > 0) {
    if (useless.every(isToBeCalled))
      return `Members who have it are online and about to be called. ${namedWith(useless)}`;
    const isUnreachable = useless.every(
      (one) => isToBeCalled(one) || one.cause === "unreachable" || one.cause === "clock",
    );
    const how = isUnreachable ? "none of them can be reached" : "none of them can be used";
    const doubt = tracker === undefined ? ` As far as is known: ${noTracker(facts)}` : "";
    return `Members who have it are online, and ${how}. ${namedWith(useless)}${doubt}`;
  }
  const present = useless.filter(({ cause }) => cause !== "offline" && cause !== "unknown");
  if (present.length > 0) return namedWith(useless);
  const wasKnown = holders.length > 0;
  const people = wasKnown ? "Every member who had it has left" : "No member who has it is online";
  if (tracker === undefined) return `${people} as far as is known: ${noTracker(facts)}`;
  const absent = useless.filter(({ cause }) => cause === "offline");
  if (standing?.content === "none")
    return `${people}, and nobody shares it any more: ask for it to be shared again.`;
  return absent.length === 0 ? `${people}.` : `${people}: ${namedWith(absent)}`;
}

function withoutCertificate({ tracker, trackerProblem, status: { groupId } }: WhyFacts): string {
  if (tracker === undefined) {
    const problem = trackerProblem === undefined ? "" : ` ${trackerProblem}`;
    return `There is no certificate for the group at the moment, and no tracker to give one.${problem}`;
  }
  return `There is no certificate for ${groupId} at the moment; the tracker is asked for one.`;
}

function noTracker({ trackerProblem }: WhyFacts): string {
  return trackerProblem === undefined ? "no tracker answers." : `no tracker answers. ${trackerProblem}`;
}

/** `alice is offline; bob …; 3 more, see below.` */
function namedWith(notUsed: readonly NotUsed[]): string {
  const named = notUsed.slice(0, MAX_NAMED).map(({ userId, words }) => `${userId} ${words}`);
  const others = notUsed.length - named.length;
  return `${[...named, ...(others > 0 ? [`and ${others} more`] : [])].join("; ")}.`;
}

function stepsOf({
  status,
  contacts,
  holders,
  askedAgainInMs,
  retryAtMs,
  tracker,
  nowMs,
}: WhyFacts): NextStep[] {
  const { groupId, fileName } = status;
  switch (status.state) {
    case "complete":
    case "verifying":
      return [];
    case "failed":
      return [{ what: `resume ${groupId} ${fileName} tries again, cancel gives it up`, inMs: undefined }];
    case "paused":
      return retryAtMs === undefined
        ? [{ what: `resume ${groupId} ${fileName} goes on`, inMs: undefined }]
        : [{ what: "it is tried again", inMs: Math.max(0, retryAtMs - nowMs) }];
    case "downloading":
      break;
  }
  const steps: NextStep[] = [];
  for (const { userId, address, isDialling, nextDialInMs, lastFailure } of contacts) {
    const why = lastFailure === undefined ? "" : `; the last time: ${withoutStop(lastFailure)}`;
    if (isDialling) steps.push({ what: `${userId} is being called at ${address}${why}`, inMs: 0 });
    else if (nextDialInMs !== undefined)
      steps.push({ what: `${userId} is called at ${address}${why}`, inMs: nextDialInMs });
  }
  for (const { userId, isConnected, isTried } of holders) {
    if (isConnected && isTried)
      steps.push({ what: `${userId} is asked for a block now and then`, inMs: undefined });
  }
  if (tracker === undefined) {
    steps.push({
      what: "trackers are called until one answers; it then says who has the file",
      inMs: undefined,
    });
  } else {
    const says = `the tracker at ${tracker} reports at once when a member who has the file comes online`;
    steps.push({ what: `${says}; next query`, inMs: askedAgainInMs });
  }
  return steps;
}

function rangesOf(pieceCount: number, isMeant: (pieceIndex: number) => boolean): PieceRanges {
  const ranges: PieceRange[] = [];
  let pieces = 0;
  let rangeCount = 0;
  let first = -1;
  for (let piece = 0; piece <= pieceCount; piece++) {
    if (piece < pieceCount && isMeant(piece)) {
      pieces++;
      if (first === -1) first = piece;
    } else if (first !== -1) {
      rangeCount++;
      if (ranges.length < MAX_RANGES) ranges.push({ first, last: piece - 1 });
      first = -1;
    }
  }
  return { pieces, ranges, rangeCount };
}
