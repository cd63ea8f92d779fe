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
  #byName = new Map<string, Named>();

  /** As it was last. */
  get entries(): readonly Named[] {
    return [...this.#byName.values()];
  }

  /** What follows is compared with this. */
  begin(entries: readonly Named[]): readonly Named[] {
    this.#byName = new Map(entries.map((entry) => [fileKey(entry), entry]));
    return entries;
  }

  next(entries: readonly Named[]): Changes {
    const changed: Named[] = [];
    const now = new Map<string, Named>();
    for (const entry of entries) {
      const name = fileKey(entry);
      now.set(name, entry);
      const before = this.#byName.get(name);
      this.#byName.delete(name);
      if (before === undefined || !isSame(before, entry)) changed.push(entry);
    }
    const ended = [...this.#byName.values()].map(({ groupId, fileName }) => ({ groupId, fileName }));
    this.#byName = now;
    return { changed, ended };
  }

  forget(): void {
    this.#byName.clear();
  }
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
