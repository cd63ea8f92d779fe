// Which colour and letter a member of a group has. By order of joining, and then fixed.

/** The first letter, for a member whose group is not known here. */
export function letterOf(userId: string): string {
  return ([...userId][0] ?? "?").toUpperCase();
}

export interface MemberMark {
  readonly colourIndex: number;
  readonly letter: string;
}

/**
 * @param userIds all members of a group, in order of joining
 * @returns for each its colour, and the shortest beginning of its name that no earlier one has, of one or two letters
 */
export function memberMarks(userIds: readonly string[]): ReadonlyMap<string, MemberMark> {
  const taken = new Set<string>();
  const marks = new Map<string, MemberMark>();
  for (const [colourIndex, userId] of userIds.entries()) {
    const characters = [...userId];
    const one = letterOf(userId);
    const two = one + (characters[1] ?? "").toLowerCase();
    const letter = taken.has(one) ? two : one;
    taken.add(letter);
    marks.set(userId, { colourIndex, letter });
  }
  return marks;
}
