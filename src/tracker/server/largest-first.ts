// A set that knows its largest element while sizes change.
import { Heap } from "./heap.ts";

interface Entry<K> {
  readonly key: K;
  size: number;
}

export class LargestFirst<K> {
  readonly #heap = new Heap<Entry<K>>((entry, other) => entry.size > other.size);
  readonly #entries = new Map<K, Entry<K>>();

  get largest(): K | undefined {
    return this.#heap.first?.key;
  }

  get isEmpty(): boolean {
    return this.#heap.size === 0;
  }

  sizeOf(key: K): number {
    return this.#entries.get(key)?.size ?? 0;
  }

  /** Adds, changes or, with size 0, removes the element. */
  set(key: K, size: number): void {
    const known = this.#entries.get(key);
    if (known === undefined) {
      if (size > 0) this.#add({ key, size });
    } else if (size === 0) {
      this.#entries.delete(key);
      this.#heap.remove(known);
    } else {
      known.size = size;
      this.#heap.update(known);
    }
  }

  #add(entry: Entry<K>): void {
    this.#entries.set(entry.key, entry);
    this.#heap.add(entry);
  }
}
