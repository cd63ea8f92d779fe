// Which entries of a list of shares or downloads differ from those of a moment ago. Lists have thousands of entries, most of which
// stay as they are, so entries are compared and not written as text.
import { fileKey } from "../client/file-key.ts";

/** An entry: plain data, which nobody changes later. */
interface Named {
  readonly groupId: string;
  readonly fileName: string;
}

export interface Changes {
  readonly changed: readonly Named[];
  readonly ended: readonly Named[];
}

export class ListChanges {
  #entries: readonly Named[] = [];

  /** As it was last. */
  get entries(): readonly Named[] {
    return this.#entries;
  }

  /** What follows is compared with this. */
  begin(entries: readonly Named[]): readonly Named[] {
    this.#entries = entries;
    return entries;
  }

  next(entries: readonly Named[]): Changes {
    const before = this.#entries;
    this.#entries = entries;
    // Nearly always the list has the same entries in the same order.
    if (entries.length === before.length && entries.every((entry, at) => hasNameOf(entry, before[at])))
      return { changed: entries.filter((entry, at) => !isSame(before[at], entry)), ended: [] };
    const byName = new Map(before.map((entry) => [fileKey(entry), entry]));
    const changed: Named[] = [];
    for (const entry of entries) {
      const name = fileKey(entry);
      if (!isSame(byName.get(name), entry)) changed.push(entry);
      byName.delete(name);
    }
    return { changed, ended: [...byName.values()].map(({ groupId, fileName }) => ({ groupId, fileName })) };
  }

  forget(): void {
    this.#entries = [];
  }
}

function hasNameOf({ groupId, fileName }: Named, other: Named | undefined): boolean {
  return fileName === other?.fileName && groupId === other.groupId;
}

/** Whether both are the same as JSON, which has no undefined. */
function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const [left, right] = [a as Readonly<Record<string, unknown>>, b as Readonly<Record<string, unknown>>];
  for (const key in left) if (!isSame(left[key], right[key])) return false;
  for (const key in right) if (left[key] === undefined && right[key] !== undefined) return false;
  return true;
}
