// Why a download does not move, or how it does: which pieces are missing, who has or had them, what is tried next. Pure.
import type { Bitfield } from "../metainfo/bitfield.ts";
import type { PieceHolder } from "../swarm/torrent-status.ts";
import type { Contact } from "./connector.ts";
import type { DownloadStatus } from "./status.ts";

/** Ranges of pieces that are told; of more only how many there are. */
const MAX_RANGES = 50;

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
  /** Milliseconds since 1970; now for who is connected. */
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
  /** Of these nobody who is connected has a copy. */
  readonly nobodyHas: PieceRanges;
  readonly holders: readonly Holder[];
  readonly next: readonly NextStep[];
  /** host:port of the tracker that is connected; null while none answers. */
  readonly tracker: string | null;
}

export interface WhyFacts {
  readonly status: DownloadStatus;
  readonly have: Bitfield;
  /** Who is in the swarm, or was when it was left last. */
  readonly holders: readonly PieceHolder[];
  /** Whom trackers named, and how it stands with calling them. */
  readonly contacts: readonly Contact[];
  /** Until the tracker is asked again who has the file; undefined while the download does not run. */
  readonly askedAgainInMs: number | undefined;
  /** Of a pause that ends by itself, milliseconds since 1970. */
  readonly retryAtMs: number | undefined;
  readonly hasCertificate: boolean;
  /** The warning about this machine's clock; undefined if there is none. */
  readonly clockWarning: string | undefined;
  readonly tracker: string | undefined;
  readonly nowMs: number;
}

export function whyReport(facts: WhyFacts): WhyReport {
  const { status, have, holders, tracker, nowMs } = facts;
  const connected = holders.filter((holder) => holder.isConnected);
  return {
    groupId: status.groupId,
    fileName: status.fileName,
    state: status.state,
    reason: reasonOf(facts),
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
    next: stepsOf(facts),
    tracker: tracker ?? null,
  };
}

function reasonOf(facts: WhyFacts): string {
  const { status, holders, contacts, hasCertificate, clockWarning, tracker } = facts;
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
  // Of somebody who has just left the last blocks may have come a moment ago.
  if (waitingFor === undefined && peerCount > 0) {
    const from = peerCount === 1 ? "1 peer" : `${peerCount} peers`;
    return `It moves, with ${from}.`;
  }
  if (waitingFor !== undefined && (peerCount > 0 || waitingFor.startsWith("the check")))
    return `It waits: ${waitingFor}.`;
  if (clockWarning !== undefined) return clockWarning;
  if (!hasCertificate)
    return "There is no certificate for the group at the moment, and no tracker to give one.";
  const [first] = contacts;
  if (first !== undefined && contacts.every(({ isClockFailure }) => isClockFailure)) {
    const who = contacts.length === 1 ? `${first.userId}'s machine` : "the members who have it";
    return `This machine and ${who} refuse each other's certificates because of the time: a clock is wrong; set it.`;
  }
  if (contacts.length > 0) return "Members who have it are online, and none of them can be reached.";
  const people = holders.length === 0 ? "No member who has it is online" : "Everybody who had it is gone";
  return tracker === undefined ? `${people} as far as is known: no tracker answers.` : `${people}.`;
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
    const why = lastFailure === undefined ? "" : `; the last time: ${lastFailure}`;
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
    const says = `the tracker at ${tracker} says at once when somebody who has the file comes online`;
    steps.push({ what: `${says}, and is asked again`, inMs: askedAgainInMs });
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
