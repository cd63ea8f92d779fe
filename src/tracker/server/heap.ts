// A binary heap that knows where each item is, so that an item can be removed, or moved when its priority has changed.

export class Heap<T> {
  readonly #isBefore: (item: T, other: T) => boolean;
  readonly #items: T[] = [];
  readonly #indexOf = new Map<T, number>();

  constructor(isBefore: (item: T, other: T) => boolean) {
    this.#isBefore = isBefore;
  }

  get first(): T | undefined {
    return this.#items[0];
  }

  get size(): number {
    return this.#items.length;
  }

  /** @param item not in the heap yet */
  add(item: T): void {
    const at = this.#items.push(item) - 1;
    this.#indexOf.set(item, at);
    this.#settle(at);
  }

  remove(item: T): void {
    const at = this.#indexOf.get(item);
    if (at === undefined) return;
    this.#indexOf.delete(item);
    const last = this.#items.pop();
    if (last === undefined || at === this.#items.length) return;
    this.#place(last, at);
    this.#settle(at);
  }

  takeFirst(): T | undefined {
    const { first } = this;
    if (first !== undefined) this.remove(first);
    return first;
  }

  /** Moves an item whose priority has changed. */
  update(item: T): void {
    const at = this.#indexOf.get(item);
    if (at !== undefined) this.#settle(at);
  }

  /** Moves the item up or down to where it belongs. */
  #settle(from: number): void {
    let at = from;
    while (at > 0 && this.#swapIfBefore(at, (at - 1) >> 1)) at = (at - 1) >> 1;
    for (;;) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      const child = this.#isBeforeAt(right, left) ? right : left;
      if (!this.#swapIfBefore(child, at)) return;
      at = child;
    }
  }

  #swapIfBefore(lower: number, upper: number): boolean {
    if (!this.#isBeforeAt(lower, upper)) return false;
    const [one, other] = [this.#items[lower], this.#items[upper]];
    if (one === undefined || other === undefined) return false;
    this.#place(one, upper);
    this.#place(other, lower);
    return true;
  }

  #place(item: T, at: number): void {
    this.#items[at] = item;
    this.#indexOf.set(item, at);
  }

  #isBeforeAt(at: number, other: number): boolean {
    const [one, two] = [this.#items[at], this.#items[other]];
    return one !== undefined && two !== undefined && this.#isBefore(one, two);
  }
}
