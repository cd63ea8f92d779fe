// The colour and the letter of members, for every group that is on the screen. They are asked for once, and again when somebody joins
// or leaves.
import { type Signal, signal } from "@preact/signals";
import { call } from "../../api/call.ts";
import { onEvent } from "../../api/live.ts";
import { type MemberMark, markMembers, markOfStranger } from "../../state/member-marks.ts";

type Marks = ReadonlyMap<string, MemberMark>;

const marksByGroup = new Map<string, Signal<Marks>>();
const NO_MARKS: Marks = new Map();

async function load(groupId: string, marks: Signal<Marks>): Promise<void> {
  try {
    marks.value = markMembers(await call("listMembers", { groupId }));
  } catch {
    // Without a tracker nobody can tell: members have the colour of strangers until then.
  }
}

/** By user id; empty until they are known. */
function marksOf(groupId: string): Marks {
  let marks = marksByGroup.get(groupId);
  if (marks === undefined) {
    marks = signal(NO_MARKS);
    marksByGroup.set(groupId, marks);
    void load(groupId, marks);
  }
  return marks.value;
}

export function markOf(groupId: string, userId: string): MemberMark {
  return marksOf(groupId).get(userId) ?? markOfStranger(userId);
}

/** A member's place in the order of joining. */
export function orderIn(groupId: string): (userId: string) => number {
  const places = new Map([...marksOf(groupId).keys()].map((userId, index) => [userId, index]));
  return (userId) => places.get(userId) ?? places.size;
}

const namesByMarks = new WeakMap<Marks, ReadonlySet<string>>();

/** The group's members, as far as they are known. */
export function memberNames(groupId: string): ReadonlySet<string> {
  const marks = marksOf(groupId);
  let names = namesByMarks.get(marks);
  if (names === undefined) {
    names = new Set(marks.keys());
    namesByMarks.set(marks, names);
  }
  return names;
}

for (const type of ["request-accepted", "membership-ended", "file-shared", "tracker-connected"]) {
  onEvent(type, ({ groupId }) => {
    for (const [known, marks] of marksByGroup)
      if (groupId === undefined || groupId === known) void load(known, marks);
  });
}
