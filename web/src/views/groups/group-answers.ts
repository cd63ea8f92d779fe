// What the views of a group ask the daemon, and how often.
import { useMemo } from "preact/hooks";
import type { Member } from "../../../../src/api/schemas.ts";
import { status } from "../../api/live.ts";
import { type MemberMark, markMembers } from "../../state/member-marks.ts";
import { useAnswer } from "./answers.ts";

const STANDING_EVENTS = [
  ...["request-accepted", "request-rejected", "membership-ended", "became-owner", "group-founded-anew"],
];
const SHARE_EVENTS = ["file-shared", "files-shared", "share-updated", "share-ended"];
/** Who is online has no event. */
const PRESENCE_PERIOD_MS = 15_000;
const SHARES_PERIOD_MS = 20_000;
/** A long list takes the tracker some time. */
const LONG_SHARES_PERIOD_MS = 120_000;
const LONG_SHARES = 2_000;

export function useGroups() {
  return useAnswer("listGroups", {}, { on: STANDING_EVENTS, everyMs: 60_000 });
}

export function useMembers(groupId: string) {
  return useAnswer(
    "listMembers",
    { groupId },
    {
      on: ["request-accepted", "membership-ended", "became-owner", "file-shared"],
      groupId,
      everyMs: PRESENCE_PERIOD_MS,
    },
  );
}

/** Only an owner may see them. */
export function useRequests(groupId: string, isOwner: boolean) {
  return useAnswer(
    "listRequests",
    { groupId },
    { on: ["join-requested", "became-owner"], groupId, everyMs: 60_000, isWanted: isOwner },
  );
}

export function useShares(groupId: string, count: number | undefined) {
  const isLong = (count ?? 0) > LONG_SHARES;
  return useAnswer(
    "listFiles",
    { groupId },
    { on: SHARE_EVENTS, groupId, everyMs: isLong ? LONG_SHARES_PERIOD_MS : SHARES_PERIOD_MS },
  );
}

export type Marks = ReadonlyMap<string, MemberMark>;

const NO_MARKS: Marks = new Map();

/** Colours and letters, by order of joining. */
export function useMarks(members: readonly Member[] | undefined): Marks {
  return useMemo(() => (members === undefined ? NO_MARKS : markMembers(members)), [members]);
}

export function myUserId(): string | undefined {
  return status.value?.account?.userId;
}
