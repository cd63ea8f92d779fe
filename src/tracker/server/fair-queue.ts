// A bounded, hierarchical round-robin queue. Each item has a path of keys, such as a network and an account in it; at each
// level, every key with waiting items is served once before any is served again. When the queue is full, the key with most
// waiting items loses its newest. Pure.

interface Branch<T> {
  /** Keys in the order in which they are served. */
  readonly children: Map<string, Branch<T>>;
  /** Items at the end of a path, oldest first. */
  readonly items: T[];
  size: number;
}

export class FairQueue<T> {
  readonly #most: number;
  readonly #root: Branch<T> = newBranch();

  /** @param most items that wait at once */
  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#root.size;
  }

  /** Items that wait below that path. */
  sizeOf(path: readonly string[]): number {
    let branch: Branch<T> | undefined = this.#root;
    for (const key of path) branch = branch?.children.get(key);
    return branch?.size ?? 0;
  }

  /**
   * @param path one key for each level; all paths of a queue are equally long
   * @returns the item dropped because the queue is full, perhaps the new one
   */
  push(path: readonly string[], item: T): T | undefined {
    let branch = this.#root;
    branch.size++;
    for (const key of path) {
      let child = branch.children.get(key);
      if (child === undefined) {
        child = newBranch();
        branch.children.set(key, child);
      }
      child.size++;
      branch = child;
    }
    branch.items.push(item);
    return this.size > this.#most ? this.#takeNewestOfLargest() : undefined;
  }

  /** Removes the next item. */
  shift(): T | undefined {
    const path: [Branch<T>, string, Branch<T>][] = [];
    let branch = this.#root;
    for (;;) {
      const [first] = branch.children;
      if (first === undefined) break;
      path.push([branch, ...first]);
      branch = first[1];
    }
    const item = branch.items.shift();
    if (item === undefined) return undefined;
    this.#root.size--;
    for (const [parent, key, child] of path) {
      // To the end of its level, or removed if empty.
      parent.children.delete(key);
      if (--child.size > 0) parent.children.set(key, child);
    }
    return item;
  }

  /** Removes an item that was pushed with that path. @returns false if it was not waiting */
  remove(path: readonly string[], item: T): boolean {
    const branches: Branch<T>[] = [this.#root];
    for (const key of path) {
      const child = branches.at(-1)?.children.get(key);
      if (child === undefined) return false;
      branches.push(child);
    }
    const items = branches.at(-1)?.items;
    const at = items?.indexOf(item) ?? -1;
    if (at < 0) return false;
    items?.splice(at, 1);
    for (const [level, branch] of branches.entries()) {
      branch.size--;
      const key = path[level - 1];
      if (branch.size === 0 && key !== undefined) branches[level - 1]?.children.delete(key);
    }
    return true;
  }

  /** Empties the queue. */
  takeAll(): T[] {
    const all: T[] = [];
    for (let item = this.shift(); item !== undefined; item = this.shift()) all.push(item);
    return all;
  }

  #takeNewestOfLargest(): T | undefined {
    let branch = this.#root;
    branch.size--;
    while (branch.children.size > 0) {
      let largest: [string, Branch<T>] | undefined;
      for (const child of branch.children) if (child[1].size >= (largest?.[1].size ?? 0)) largest = child;
      if (largest === undefined) break;
      const [key, child] = largest;
      if (--child.size === 0) branch.children.delete(key);
      branch = child;
    }
    return branch.items.pop();
  }
}

function newBranch<T>(): Branch<T> {
  return { children: new Map(), items: [], size: 0 };
}
