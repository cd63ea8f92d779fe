// The list of a group's shares as a person looks at it: filtered as they type, sorted by a column, with a guess when nothing fits.
// Sized for 10,000 shares: what is compared is prepared once.

export interface ListedShare {
  readonly fileName: string;
  readonly lengthBytes: number;
  readonly fileCount?: number | undefined;
  readonly sharedBy: string;
  readonly seedersOnline: number;
  /** Undefined: not known. */
  readonly sharedAtMs?: number | undefined;
}

export type ShareColumn = "name" | "files" | "size" | "online" | "by" | "when";
export interface ShareOrder {
  readonly column: ShareColumn;
  readonly isDescending: boolean;
}

/** A share, with what it is found and sorted by. */
export interface PreparedShare<S extends ListedShare> {
  readonly share: S;
  readonly foldedName: string;
  readonly foldedSharer: string;
}

/** Names with numbers in their natural order: `build-9` before `build-10`. */
const names = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
/** A guess may differ by a third of its letters. */
const GUESS_SHARE = 3;
/** Names that are compared for a guess. */
const MOST_GUESSED = 10_000;

/** Letters without case and marks, so that "resume" finds "Résumé". */
export function fold(text: string): string {
  return text
    .normalize("NFKD")
    .replace(/\p{M}+/gu, "")
    .toLowerCase();
}

/** In order of their names. */
export function prepareShares<S extends ListedShare>(shares: readonly S[]): PreparedShare<S>[] {
  return shares
    .map((share) => ({ share, foldedName: fold(share.fileName), foldedSharer: fold(share.sharedBy) }))
    .sort((one, other) => names.compare(one.share.fileName, other.share.fileName));
}

/** Those that have every word of the filter in their name or their sharer's. */
export function filterShares<S extends ListedShare>(
  prepared: readonly PreparedShare<S>[],
  filter: string,
): readonly PreparedShare<S>[] {
  const words = fold(filter).split(/\s+/).filter(Boolean);
  if (words.length === 0) return prepared;
  return prepared.filter(({ foldedName, foldedSharer }) =>
    words.every((word) => foldedName.includes(word) || foldedSharer.includes(word)),
  );
}

/** @param prepared in order of names, as `prepareShares` gives them: equal ones keep that order */
export function sortShares<S extends ListedShare>(
  prepared: readonly PreparedShare<S>[],
  { column, isDescending }: ShareOrder,
): readonly PreparedShare<S>[] {
  if (column === "name") return isDescending ? prepared.toReversed() : prepared;
  const sign = isDescending ? -1 : 1;
  if (column === "by") {
    return prepared.toSorted((one, other) => sign * compareText(one.foldedSharer, other.foldedSharer));
  }
  return prepared.toSorted(
    (one, other) => sign * (figureOf(one.share, column) - figureOf(other.share, column)),
  );
}

function compareText(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

function figureOf(share: ListedShare, column: "files" | "size" | "online" | "when"): number {
  switch (column) {
    case "files":
      return share.fileCount ?? 1;
    case "size":
      return share.lengthBytes;
    case "online":
      return share.seedersOnline;
    case "when":
      return share.sharedAtMs ?? 0;
  }
}

/** The next order when a column's head is pressed: names begin with A, figures with the largest, times with the latest. */
export function pressColumn(order: ShareOrder, column: ShareColumn): ShareOrder {
  if (order.column === column) return { column, isDescending: !order.isDescending };
  return { column, isDescending: column !== "name" && column !== "by" };
}

export interface Guess {
  readonly word: string;
  /** Shares that have it in their name. */
  readonly count: number;
}

/** A word of the names that the filter may have meant; undefined if none is near. */
export function guessMeant<S extends ListedShare>(
  prepared: readonly PreparedShare<S>[],
  filter: string,
): Guess | undefined {
  const typed = fold(filter).trim();
  if (typed.length < 3) return undefined;
  const most = Math.max(1, Math.floor(typed.length / GUESS_SHARE));
  const counts = new Map<string, number>();
  for (const { foldedName } of prepared.slice(0, MOST_GUESSED)) {
    for (const word of new Set(foldedName.split(/[^\p{L}\p{N}]+/u))) {
      if (word.length >= 2) counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  let best: (Guess & { readonly distance: number }) | undefined;
  for (const [word, count] of counts) {
    const limit = best?.distance ?? most;
    if (Math.abs(word.length - typed.length) > limit) continue;
    const distance = editDistance(typed, word, limit);
    if (distance > limit || distance === 0) continue;
    if (best === undefined || distance < best.distance || count > best.count)
      best = { word, count, distance };
  }
  return best && { word: best.word, count: best.count };
}

/** Insertions, deletions, replacements and swaps of neighbours; anything above the limit if there are more than that. */
function editDistance(one: string, other: string, limit: number): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let row = 1; row <= one.length; row++) {
    const current = [row];
    let least = row;
    for (let column = 1; column <= other.length; column++) {
      const isSame = one[row - 1] === other[column - 1];
      let cost = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
      );
      const areSwapped = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      if (row > 1 && column > 1 && areSwapped) cost = Math.min(cost, (beforeLast[column - 2] ?? 0) + 1);
      current.push(cost);
      least = Math.min(least, cost);
    }
    if (least > limit) return limit + 1;
    [beforeLast, last] = [last, current];
  }
  return last[other.length] ?? 0;
}
