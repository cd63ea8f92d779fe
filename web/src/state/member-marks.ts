// The colour and the letter of each member of a group. Colours go by the order of joining, so a member keeps theirs while earlier
// members stay; the letter is the shortest beginning of the name that no other member has, of at most two letters.

/** Hues of members; from the last one on all have the same. */
const MEMBER_COLOURS = 8;
const MOST_LETTERS = 2;

export interface MemberMark {
  readonly userId: string;
  /** 1 to MEMBER_COLOURS. */
  readonly colour: number;
  readonly letter: string;
}

interface Joined {
  readonly userId: string;
  /** When they joined, in milliseconds since 1970. */
  readonly sinceMs: number;
}

/** The marks of a group's members, by user id. */
export function markMembers(members: readonly Joined[]): ReadonlyMap<string, MemberMark> {
  const ordered = members.toSorted(
    (one, other) => one.sinceMs - other.sinceMs || (one.userId < other.userId ? -1 : 1),
  );
  const letters = lettersOf(ordered.map(({ userId }) => userId));
  return new Map(
    ordered.map(({ userId }, index) => [
      userId,
      { userId, colour: Math.min(index + 1, MEMBER_COLOURS), letter: letters.get(userId) ?? "" },
    ]),
  );
}

/** Of somebody who is not in the group: a colour that no early member has. */
export function markOfStranger(userId: string): MemberMark {
  return { userId, colour: MEMBER_COLOURS, letter: beginningOf(userId, 1) };
}

function lettersOf(userIds: readonly string[]): ReadonlyMap<string, string> {
  const counts = new Map<string, number>();
  for (const userId of userIds) {
    for (let length = 1; length <= MOST_LETTERS; length++) {
      const beginning = beginningOf(userId, length);
      counts.set(beginning, (counts.get(beginning) ?? 0) + 1);
      if (beginning.length < length) break;
    }
  }
  return new Map(
    userIds.map((userId) => {
      const first = beginningOf(userId, 1);
      return [userId, counts.get(first) === 1 ? first : beginningOf(userId, MOST_LETTERS)];
    }),
  );
}

/** `B`, `Bo`: letters of any script, whole. */
function beginningOf(userId: string, letters: number): string {
  const [first = "", ...rest] = [...userId].slice(0, letters);
  return first.toLocaleUpperCase("en") + rest.join("").toLocaleLowerCase("en");
}
