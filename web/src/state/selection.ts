// What is ticked in a long list: single rows, ranges with Shift, all that is shown. Rows are known by their key, so ticks stay with
// their rows when the list is sorted, filtered or changed.

export interface Selection {
  readonly keys: ReadonlySet<string>;
  /** Where a range begins: the row that was ticked or unticked last. */
  readonly anchor: string | undefined;
}

export const emptySelection: Selection = { keys: new Set(), anchor: undefined };

/** Ticks the row, or unticks it. */
export function toggle(selection: Selection, key: string): Selection {
  const keys = new Set(selection.keys);
  if (!keys.delete(key)) keys.add(key);
  return { keys, anchor: key };
}

/** Gives all rows between the anchor and this one the state of the anchor. @param shown the keys, in the order of the list */
export function extendTo(selection: Selection, key: string, shown: readonly string[]): Selection {
  const { anchor } = selection;
  const from = anchor === undefined ? -1 : shown.indexOf(anchor);
  const to = shown.indexOf(key);
  if (anchor === undefined || from < 0 || to < 0) return toggle(selection, key);
  const keys = new Set(selection.keys);
  const isTicked = keys.has(anchor);
  for (let index = Math.min(from, to); index <= Math.max(from, to); index++) {
    const one = shown[index];
    if (one === undefined) continue;
    if (isTicked) keys.add(one);
    else keys.delete(one);
  }
  return { keys, anchor };
}

/** Ticks all rows that are shown; if they all are, unticks them. Rows that a filter hides keep their state. */
export function toggleAll(selection: Selection, shown: readonly string[]): Selection {
  const keys = new Set(selection.keys);
  const areAll = tickOf(selection, shown) === "on";
  for (const key of shown) {
    if (areAll) keys.delete(key);
    else keys.add(key);
  }
  return { keys, anchor: undefined };
}

/** Forgets rows that are in the list no longer. */
export function keepOnly(selection: Selection, existing: { has(key: string): boolean }): Selection {
  const keys = new Set([...selection.keys].filter((key) => existing.has(key)));
  return keys.size === selection.keys.size ? selection : { keys, anchor: selection.anchor };
}

/** The tick above the list. */
export function tickOf(selection: Selection, shown: readonly string[]): "on" | "off" | "mixed" {
  const ticked = shown.reduce((count, key) => count + (selection.keys.has(key) ? 1 : 0), 0);
  if (ticked === 0) return "off";
  return ticked === shown.length ? "on" : "mixed";
}
