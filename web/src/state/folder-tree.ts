// The tree of a shared folder, made from pages of its files, with what of it is chosen. Sized for 100,000 files: figures stand in
// typed arrays. Paths come in byte order, so a folder's files are neighbours, and a node's subtree is a range of node numbers.

/** The folder itself. */
export const ROOT = 0;
/** Folders of up to that many entries are sorted as people sort; longer ones keep the order of the list, which takes no time. */
const MOST_SORTED = 2_000;
const FIRST_CAPACITY = 1_024;

export interface FileEntry {
  /** Relative to the folder, with "/" between names. */
  readonly path: string;
  readonly lengthBytes: number;
  /** Of a download: what is here already. */
  readonly verifiedBytes?: number;
  /** Undefined: as its folder. */
  readonly isChosen?: boolean;
}

export type Tick = "on" | "off" | "mixed";

/** A row of the tree as it is shown. */
export interface TreeRow {
  readonly node: number;
  /** 0 for the folder itself. */
  readonly depth: number;
  /** Among the entries of its folder that are shown, from 1. */
  readonly position: number;
  readonly siblings: number;
}

const names = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

export class FolderTree {
  readonly #names: string[] = [];
  #parents = new Int32Array(FIRST_CAPACITY);
  /** First node behind the subtree. */
  #ends = new Int32Array(FIRST_CAPACITY);
  #isFolder = new Uint8Array(FIRST_CAPACITY);
  /** What a file or folder that is added below begins with. */
  #isMeant = new Uint8Array(FIRST_CAPACITY);
  #files = new Uint32Array(FIRST_CAPACITY);
  #chosenFiles = new Uint32Array(FIRST_CAPACITY);
  #bytes = new Float64Array(FIRST_CAPACITY);
  #chosenBytes = new Float64Array(FIRST_CAPACITY);
  #verifiedBytes = new Float64Array(FIRST_CAPACITY);
  /** Folders from the root to where the last file was added, with their names. */
  readonly #open: number[] = [ROOT];
  readonly #sorted = new Map<number, Int32Array>();

  constructor(name: string) {
    this.#addNode(name, -1, true, true);
  }

  /** Nodes are numbered from 0, the root; a folder comes before what is in it. */
  get size(): number {
    return this.#names.length;
  }

  /** Adds the next files. Their paths continue the order of those before. */
  add(entries: readonly FileEntry[]): void {
    for (const entry of entries) this.#addFile(entry);
    this.#sorted.clear();
  }

  nameOf(node: number): string {
    return this.#names[node] ?? "";
  }

  parentOf(node: number): number {
    return this.#parents[node] ?? -1;
  }

  isFolder(node: number): boolean {
    return this.#isFolder[node] === 1;
  }

  /** First node behind the subtree. */
  endOf(node: number): number {
    return this.#ends[node] ?? 0;
  }

  fileCountOf(node: number): number {
    return this.#files[node] ?? 0;
  }

  chosenCountOf(node: number): number {
    return this.#chosenFiles[node] ?? 0;
  }

  bytesOf(node: number): number {
    return this.#bytes[node] ?? 0;
  }

  chosenBytesOf(node: number): number {
    return this.#chosenBytes[node] ?? 0;
  }

  verifiedBytesOf(node: number): number {
    return this.#verifiedBytes[node] ?? 0;
  }

  tickOf(node: number): Tick {
    const chosen = this.chosenCountOf(node);
    if (chosen === 0) return "off";
    return chosen === this.fileCountOf(node) ? "on" : "mixed";
  }

  /** Relative to the folder; empty for the folder itself. */
  pathOf(node: number): string {
    const parts: string[] = [];
    for (let at = node; at > ROOT; at = this.parentOf(at)) parts.push(this.nameOf(at));
    return parts.reverse().join("/");
  }

  /** A tick on everything below that is not all chosen chooses it, on what is chosen takes it away. */
  toggle(node: number): void {
    this.choose(node, this.tickOf(node) !== "on");
  }

  /** Chooses everything below the node, or nothing of it. */
  choose(node: number, isChosen: boolean): void {
    const files = isChosen ? this.fileCountOf(node) : 0;
    const bytes = isChosen ? this.bytesOf(node) : 0;
    this.#addToAncestors(node, files - this.chosenCountOf(node), bytes - this.chosenBytesOf(node));
    for (let at = node; at < this.endOf(node); at++) {
      this.#isMeant[at] = isChosen ? 1 : 0;
      this.#chosenFiles[at] = isChosen ? (this.#files[at] ?? 0) : 0;
      this.#chosenBytes[at] = isChosen ? (this.#bytes[at] ?? 0) : 0;
    }
  }

  /** Chooses these files, or takes them away. @param isOneOf 1 for each node that is meant; folders do not count */
  chooseFiles(isOneOf: Uint8Array, isChosen: boolean): void {
    for (let node = 0; node < this.size; node++) {
      if (isOneOf[node] !== 1 || this.isFolder(node)) continue;
      if ((this.chosenCountOf(node) === 1) !== isChosen) this.choose(node, isChosen);
    }
  }

  /** What is in a folder: folders first. */
  childrenOf(folder: number): Int32Array {
    const known = this.#sorted.get(folder);
    if (known !== undefined) return known;
    const folders: number[] = [];
    const files: number[] = [];
    for (let at = folder + 1; at < this.endOf(folder); at = this.endOf(at)) {
      (this.isFolder(at) ? folders : files).push(at);
    }
    const children = Int32Array.from([...this.#inOrder(folders), ...this.#inOrder(files)]);
    this.#sorted.set(folder, children);
    return children;
  }

  /**
   * The rows that are to be seen.
   *
   * @param isExpanded whether what is in a folder is shown
   * @param isShown 1 for each node that a filter leaves; undefined: all
   */
  rows(isExpanded: (folder: number) => boolean, isShown?: Uint8Array): TreeRow[] {
    const rows: TreeRow[] = [{ node: ROOT, depth: 0, position: 1, siblings: 1 }];
    if (isExpanded(ROOT)) this.#addRows(ROOT, 1, rows, isExpanded, isShown);
    return rows;
  }

  /**
   * Marks nodes whose file fits, and their folders. A long tree is marked in several calls, so that the page stays quick.
   *
   * @param marks one for each node; the caller keeps it between the calls
   * @returns how many files fit
   */
  mark(
    marks: Uint8Array,
    fits: (name: string, path: () => string) => boolean,
    from: number,
    to: number,
  ): number {
    let count = 0;
    for (let node = Math.max(from, 1); node < Math.min(to, this.size); node++) {
      if (this.isFolder(node) || !fits(this.nameOf(node), () => this.pathOf(node))) continue;
      count++;
      for (let at = node; at >= ROOT && marks[at] !== 1; at = this.parentOf(at)) marks[at] = 1;
    }
    return count;
  }

  #addRows(
    folder: number,
    depth: number,
    rows: TreeRow[],
    isExpanded: (folder: number) => boolean,
    isShown: Uint8Array | undefined,
  ): void {
    const all = this.childrenOf(folder);
    const shown = isShown === undefined ? all : all.filter((node) => isShown[node] === 1);
    for (let index = 0; index < shown.length; index++) {
      const node = shown[index] ?? 0;
      rows.push({ node, depth, position: index + 1, siblings: shown.length });
      if (this.isFolder(node) && isExpanded(node)) this.#addRows(node, depth + 1, rows, isExpanded, isShown);
    }
  }

  #inOrder(nodes: number[]): number[] {
    if (nodes.length > MOST_SORTED) return nodes;
    return nodes.sort((one, other) => names.compare(this.nameOf(one), this.nameOf(other)));
  }

  #addFile({ path, lengthBytes, verifiedBytes = 0, isChosen }: FileEntry): void {
    const parts = path.split("/");
    const name = parts.pop() ?? "";
    let depth = 0;
    while (depth < parts.length && this.#isOpen(depth + 1, parts[depth] ?? "")) depth++;
    this.#open.length = depth + 1;
    for (const part of parts.slice(depth)) this.#open.push(this.#addBelow(part, true));
    const node = this.#addBelow(name, false);
    const isMeant = isChosen ?? this.#isMeant[this.parentOf(node)] === 1;
    this.#isMeant[node] = isMeant ? 1 : 0;
    for (let at = node; at >= ROOT; at = this.parentOf(at)) {
      this.#files[at] = this.fileCountOf(at) + 1;
      this.#bytes[at] = this.bytesOf(at) + lengthBytes;
      this.#verifiedBytes[at] = this.verifiedBytesOf(at) + verifiedBytes;
      if (isMeant) {
        this.#chosenFiles[at] = this.chosenCountOf(at) + 1;
        this.#chosenBytes[at] = this.chosenBytesOf(at) + lengthBytes;
      }
    }
  }

  #isOpen(depth: number, name: string): boolean {
    const node = this.#open[depth];
    return node !== undefined && this.nameOf(node) === name;
  }

  #addBelow(name: string, isFolder: boolean): number {
    const parent = this.#open.at(-1) ?? ROOT;
    const node = this.#addNode(name, parent, isFolder, this.#isMeant[parent] === 1);
    for (let at = parent; at >= ROOT; at = this.parentOf(at)) this.#ends[at] = node + 1;
    return node;
  }

  #addNode(name: string, parent: number, isFolder: boolean, isMeant: boolean): number {
    const node = this.#names.push(name) - 1;
    if (node >= this.#parents.length) this.#grow();
    this.#parents[node] = parent;
    this.#ends[node] = node + 1;
    this.#isFolder[node] = isFolder ? 1 : 0;
    this.#isMeant[node] = isMeant ? 1 : 0;
    return node;
  }

  #addToAncestors(node: number, files: number, bytes: number): void {
    for (let at = this.parentOf(node); at >= ROOT; at = this.parentOf(at)) {
      this.#chosenFiles[at] = this.chosenCountOf(at) + files;
      this.#chosenBytes[at] = this.chosenBytesOf(at) + bytes;
    }
  }

  #grow(): void {
    const capacity = this.#parents.length * 2;
    this.#parents = copied(this.#parents, new Int32Array(capacity));
    this.#ends = copied(this.#ends, new Int32Array(capacity));
    this.#isFolder = copied(this.#isFolder, new Uint8Array(capacity));
    this.#isMeant = copied(this.#isMeant, new Uint8Array(capacity));
    this.#files = copied(this.#files, new Uint32Array(capacity));
    this.#chosenFiles = copied(this.#chosenFiles, new Uint32Array(capacity));
    this.#bytes = copied(this.#bytes, new Float64Array(capacity));
    this.#chosenBytes = copied(this.#chosenBytes, new Float64Array(capacity));
    this.#verifiedBytes = copied(this.#verifiedBytes, new Float64Array(capacity));
  }
}

function copied<A extends { set(other: A): void }>(from: A, to: A): A {
  to.set(from);
  return to;
}

/** What a person types to find files: words, of which each must be in the path, or a pattern with `*` or `?` for the name. */
export function fileFilter(text: string): ((name: string, path: () => string) => boolean) | undefined {
  const typed = text.trim().toLowerCase();
  if (typed === "") return undefined;
  if (/[*?]/.test(typed)) return (name) => fitsPattern(typed, name.toLowerCase());
  const words = typed.split(/\s+/);
  return (name, path) => {
    const folded = name.toLowerCase();
    if (words.every((word) => folded.includes(word))) return true;
    const whole = path().toLowerCase();
    return words.every((word) => whole.includes(word));
  };
}

/** Goes back to the last `*` alone, so the time is the product of both lengths at most. */
function fitsPattern(pattern: string, name: string): boolean {
  let at = 0;
  let star = -1;
  let retryFrom = 0;
  let index = 0;
  while (index < name.length) {
    if (pattern[at] === "*") {
      star = at++;
      retryFrom = index;
    } else if (at < pattern.length && (pattern[at] === "?" || pattern[at] === name[index])) {
      at++;
      index++;
    } else if (star >= 0) {
      at = star + 1;
      index = ++retryFrom;
    } else return false;
  }
  while (pattern[at] === "*") at++;
  return at === pattern.length;
}
