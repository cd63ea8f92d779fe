// A set that knows its largest element while sizes change: a binary heap with an index of positions.

export class LargestFirst<K> {
  readonly #heap: { readonly key: K; size: number }[] = [];
  readonly #placeOf = new Map<K, number>();

  get largest(): K | undefined {
    return this.#heap[0]?.key;
  }

  get isEmpty(): boolean {
    return this.#heap.length === 0;
  }

  sizeOf(key: K): number {
    const at = this.#placeOf.get(key);
    return at === undefined ? 0 : (this.#heap[at]?.size ?? 0);
  }

  /** Adds, changes or, with size 0, removes the element. */
  set(key: K, size: number): void {
    const at = this.#placeOf.get(key);
    if (size === 0) {
      if (at !== undefined) this.#remove(at, key);
      return;
    }
    const entry = at === undefined ? undefined : this.#heap[at];
    if (at === undefined || entry === undefined) {
      this.#placeOf.set(key, this.#heap.length);
      this.#settle(this.#heap.push({ key, size }) - 1);
    } else {
      entry.size = size;
      this.#settle(at);
    }
  }

  #remove(at: number, key: K): void {
    this.#placeOf.delete(key);
    const last = this.#heap.pop();
    if (last === undefined || last.key === key) return;
    this.#heap[at] = last;
    this.#placeOf.set(last.key, at);
    this.#settle(at);
  }

  /** Moves the element up or down to where it belongs. */
  #settle(from: number): void {
    let at = from;
    while (at > 0 && this.#swapIfLarger(at, (at - 1) >> 1)) at = (at - 1) >> 1;
    for (;;) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      const child = this.#sizeAt(right) > this.#sizeAt(left) ? right : left;
      if (!this.#swapIfLarger(child, at)) return;
      at = child;
    }
  }

  #swapIfLarger(lower: number, upper: number): boolean {
    const [one, other] = [this.#heap[lower], this.#heap[upper]];
    if (one === undefined || other === undefined || one.size <= other.size) return false;
    this.#heap[lower] = other;
    this.#heap[upper] = one;
    this.#placeOf.set(other.key, lower);
    this.#placeOf.set(one.key, upper);
    return true;
  }

  #sizeAt(at: number): number {
    return this.#heap[at]?.size ?? 0;
  }
}
