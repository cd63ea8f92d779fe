// Why a member sends nothing to a download: one sentence for each cause, with a remedy where there is one.
// Pure; which members are online is passed in.
import type { FileStanding } from "../../api/schemas.ts";
import type { Contact } from "../../engine/connection-manager.ts";
import type { PieceHolder } from "../../swarm/torrent-status.ts";
import type { Farewell } from "../../wire/farewell.ts";

export type NotUsedCause =
  | "banned"
  | "bans-us"
  | "being-called"
  | "not-called-yet"
  | "unreachable"
  | "clock"
  | "no-room-here"
  | "no-room-there"
  | "no-certificate"
  | "no-longer-shares"
  | "changed"
  | "paused"
  | "offline"
  | "does-not-offer"
  | "not-a-member"
  | "unknown"
  | "nothing-missing"
  | "chokes"
  | "silent";

/** A member, or a member's device, that sends nothing now. */
export interface NotUsed {
  readonly userId: string;
  /** host:port that is dialled; null if it is connected, or not dialled. */
  readonly address: string | null;
  readonly cause: NotUsedCause;
  /** Follows the user id: `alice is online, but …`. */
  readonly words: string;
}

type Cause = Pick<NotUsed, "cause" | "words">;

/** For a peer that trackers name and that is not connected. @param bannedFor the piece for which that user is banned */
export function notUsedContact(
  contact: Contact,
  bannedFor: (userId: string) => number | undefined,
): NotUsed | undefined {
  const { userId, address } = contact;
  const said = (cause: NotUsedCause, words: string): NotUsed => ({ userId, address, cause, words });
  switch (contact.obstacle) {
    case "banned":
      return { userId, address, ...bannedCause(bannedFor(userId)) };
    case "no-certificate":
      return said("no-certificate", "is not called: this client has no certificate of the group now");
    case "not-needed":
      return undefined;
    case "no-room":
      return said(
        "no-room-here",
        "is not called: this client has as many connections as it may for one file",
      );
    case "no-descriptors":
      return said(
        "no-room-here",
        "is not called: all connections that the system lets this client open are taken; raise ulimit -n, and start it again",
      );
    case "user-full":
      return said("no-room-here", "is not called: enough connections to this member stand already");
    case undefined:
      break;
  }
  const parted = contact.farewell === undefined ? undefined : farewellCause(contact.farewell);
  if (parted !== undefined) return { userId, address, ...parted };
  const { lastFailure } = contact;
  if (lastFailure !== undefined) {
    const words = contact.isClockFailure
      ? `refuses, or is refused: ${lastFailure}`
      : `cannot be reached: ${lastFailure}`;
    return said(contact.isClockFailure ? "clock" : "unreachable", withoutStop(words));
  }
  return contact.isDialling
    ? said("being-called", "is being called")
    : said("not-called-yet", "has not been called yet");
}

/** For a connected peer that sends nothing. @param missingPiecesHad how many of the missing pieces it has */
export function notUsedPeer({ userId, remarks }: PieceHolder, missingPiecesHad: number): NotUsed | undefined {
  const said = (cause: NotUsedCause, words: string): NotUsed => ({ userId, address: null, cause, words });
  if (missingPiecesHad === 0)
    return said("nothing-missing", "is connected, but has none of the missing pieces");
  if (remarks.includes("choked"))
    return said("chokes", "is connected, but all its upload slots serve others at the moment");
  const silence = remarks.find((remark) => remark === "snubbed" || remark.startsWith("silent"));
  if (silence !== undefined) return said("silent", "is connected, but does not answer requests");
  return undefined;
}

/** For a peer that was connected and that the tracker no longer names. */
export function notUsedAnyMore(
  { userId, farewell }: Pick<PieceHolder, "userId" | "farewell">,
  standing: FileStanding | undefined,
  bannedFor: (userId: string) => number | undefined,
): NotUsed {
  const member = standing?.members.find((one) => one.userId === userId);
  const said = (cause: NotUsedCause, words: string): NotUsed => ({ userId, address: null, cause, words });
  if (member !== undefined && !member.isMember)
    return said("not-a-member", "is no longer a member of the group, or their account is gone");
  const pieceIndex = bannedFor(userId);
  if (pieceIndex !== undefined) return { userId, address: null, ...bannedCause(pieceIndex) };
  const parted = farewell === undefined ? undefined : farewellCause(farewell);
  if (parted !== undefined && parted.cause !== "no-room-there") {
    const isGone = member?.isOnline === false && parted.cause !== "offline";
    return {
      userId,
      address: null,
      cause: parted.cause,
      words: isGone ? `${parted.words}; offline now` : parted.words,
    };
  }
  if (member === undefined) return said("unknown", "is gone");
  return member.isOnline
    ? said("does-not-offer", "is online, but does not offer it now: ask them to share it again")
    : said("offline", "is offline");
}

function bannedCause(pieceIndex: number | undefined): Cause {
  const piece = pieceIndex === undefined ? "" : ` in piece ${pieceIndex}`;
  return {
    cause: "banned",
    words: `sent bad data${piece}, so nothing more is taken from them: they should check their disk and share it again; pause and resume takes from them again`,
  };
}

/** For the reason that the other end gave when it closed the connection. */
function farewellCause({ reason, pieceIndex }: Farewell): Cause {
  switch (reason) {
    case "bad-data":
      return {
        cause: "bans-us",
        words: `takes nothing from here${pieceIndex === undefined ? "" : `: piece ${pieceIndex} from here was bad`}, and is not connected therefore`,
      };
    case "not-shared":
      return {
        cause: "no-longer-shares",
        words: "is online, but no longer shares it: ask them to share it again",
      };
    case "changed":
      return {
        cause: "changed",
        words:
          "is online, but no longer shares it: the file changed on their machine since they shared it; ask them to share it again",
      };
    case "paused":
      return { cause: "paused", words: "is online, but has paused or cancelled their own download of it" };
    case "offline":
      return { cause: "offline", words: "logged out" };
    case "full":
      return { cause: "no-room-there", words: "has no room for another connection now; it is called again" };
    case "user-full":
      return { cause: "no-room-there", words: "has enough connections of your account; it is called again" };
  }
}

/** The sentence without its full stop, to be part of another one. */
export function withoutStop(sentence: string): string {
  return sentence.replace(/\.\s*$/, "");
}
