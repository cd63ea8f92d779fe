// A list that the daemon tells in whole, then in parts: each entry has a signal of its own, so that a row renders when its own
// entry changes, and the list only when an entry comes or goes.
import { batch, type Signal, signal } from "@preact/signals";
import { shareKey } from "./share-key.ts";

export interface Named {
  readonly groupId: string;
  readonly fileName: string;
}

export type Entries<T> = ReadonlyMap<string, Signal<T>>;

export class LiveList<T extends Named> {
  /** By `shareKey`. */
  readonly entries: Signal<Entries<T>> = signal(new Map());

  replace(all: readonly T[]): void {
    batch(() => {
      const before = this.entries.peek();
      const now = new Map<string, Signal<T>>();
      let isSame = before.size === all.length;
      for (const entry of all) {
        const key = shareKey(entry.groupId, entry.fileName);
        const known = before.get(key);
        if (known === undefined) isSame = false;
        else known.value = entry;
        now.set(key, known ?? signal(entry));
      }
      if (!isSame) this.entries.value = now;
    });
  }

  change(changed: readonly T[], ended: readonly Named[]): void {
    batch(() => {
      const before = this.entries.peek();
      let now: Map<string, Signal<T>> | undefined;
      for (const entry of changed) {
        const key = shareKey(entry.groupId, entry.fileName);
        const known = before.get(key);
        if (known !== undefined) known.value = entry;
        else {
          now ??= new Map(before);
          now.set(key, signal(entry));
        }
      }
      for (const { groupId, fileName } of ended) {
        const key = shareKey(groupId, fileName);
        if (!(now ?? before).has(key)) continue;
        now ??= new Map(before);
        now.delete(key);
      }
      if (now !== undefined) this.entries.value = now;
    });
  }
}
