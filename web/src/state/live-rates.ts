// How fast everything together moves: the sum over the entries that move, which are few, kept up by what changes.
import type { Named } from "./changes.ts";
import { shareKey } from "./share-key.ts";

/** The parts of a download or share that count here. */
export interface Moving extends Named {
  readonly rateBytesPerSecond?: number | undefined;
  readonly uploadBytesPerSecond?: number | undefined;
}

export interface Rates {
  /** Bytes a second. */
  readonly down: number;
  readonly up: number;
}

export class LiveRates {
  readonly #moving = new Map<string, Rates>();

  /** The whole list, in place of what was known of it. @param list its name */
  replace(list: string, entries: readonly Moving[]): void {
    for (const key of [...this.#moving.keys()]) if (key.startsWith(`${list} `)) this.#moving.delete(key);
    this.change(list, entries, []);
  }

  change(list: string, changed: readonly Moving[], ended: readonly Named[]): void {
    for (const { groupId, fileName } of ended) this.#moving.delete(`${list} ${shareKey(groupId, fileName)}`);
    for (const { groupId, fileName, rateBytesPerSecond: down = 0, uploadBytesPerSecond: up = 0 } of changed) {
      const key = `${list} ${shareKey(groupId, fileName)}`;
      if (down > 0 || up > 0) this.#moving.set(key, { down, up });
      else this.#moving.delete(key);
    }
  }

  get sum(): Rates {
    const all = { down: 0, up: 0 };
    for (const { down, up } of this.#moving.values()) {
      all.down += down;
      all.up += up;
    }
    return all;
  }
}
