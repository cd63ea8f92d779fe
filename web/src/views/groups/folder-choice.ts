// The tree of a shared folder as a person chooses in it: which folders are open, what a filter leaves, and what is chosen. It reads the
// pages of the folder, from the share or from a download that is under way.
import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { call, sentenceOf } from "../../api/call.ts";
import { FolderTree, fileFilter, ROOT, type TreeRow } from "../../state/folder-tree.ts";

/** Nodes that are compared with a filter before the page has a turn. */
const NODES_AT_ONCE = 10_000;
/** A filter that leaves more opens no folder: nobody reads so many rows, and to sort them takes time. */
const MOST_OPENED = 2_000;

interface Filtered {
  readonly marks: Uint8Array;
  readonly count: number;
}

export class FolderChoice {
  readonly tree: FolderTree;
  readonly #groupId: string;
  readonly #fileName: string;
  /** What is chosen of the download before; undefined: there is none yet. */
  readonly isDownload: boolean;
  readonly #stop = new AbortController();
  readonly #open: Signal<ReadonlySet<number>> = signal(new Set([ROOT]));
  readonly #folded: Signal<ReadonlySet<number>> = signal(new Set());
  /** Increases when the tree or what is chosen of it changes. */
  readonly version = signal(0);
  readonly readCount = signal(0);
  readonly isComplete = signal(false);
  readonly problem: Signal<string | undefined> = signal(undefined);
  readonly filter = signal("");
  readonly filtered: Signal<Filtered | undefined> = signal(undefined);
  readonly isTouched = signal(false);
  readonly rows: ReadonlySignal<readonly TreeRow[]>;
  #filtering = 0;

  constructor(groupId: string, fileName: string, isDownload: boolean) {
    this.#groupId = groupId;
    this.#fileName = fileName;
    this.isDownload = isDownload;
    this.tree = new FolderTree(fileName);
    this.rows = computed(() => {
      if (!this.isComplete.value) return [];
      const filtered = this.filtered.value;
      const [open, folded] = [this.#open.value, this.#folded.value];
      // A filter opens what it leaves; a person may fold it again.
      return this.#opensAll(filtered)
        ? this.tree.rows((folder) => !folded.has(folder), filtered?.marks)
        : this.tree.rows((folder) => open.has(folder), filtered?.marks);
    });
  }

  /** Reads all pages. Never rejects. */
  async read(): Promise<void> {
    const named = { groupId: this.#groupId, fileName: this.#fileName };
    try {
      let after: string | undefined;
      do {
        const input = { ...named, ...(after !== undefined && { after }) };
        const options = { signal: this.#stop.signal };
        const page = this.isDownload
          ? await call("downloadFiles", input, options)
          : await call("listInside", input, options);
        this.tree.add(page.items);
        this.readCount.value += page.items.length;
        after = page.next;
      } while (after !== undefined);
      batch(() => {
        this.isComplete.value = true;
        this.version.value++;
      });
    } catch (error) {
      if (!this.#stop.signal.aborted) this.problem.value = sentenceOf(error);
    }
  }

  close(): void {
    this.#stop.abort();
    this.#filtering++;
  }

  isExpanded(folder: number): boolean {
    return this.#opensAll(this.filtered.value)
      ? !this.#folded.value.has(folder)
      : this.#open.value.has(folder);
  }

  setExpanded(folder: number, isOpen: boolean): void {
    const opensAll = this.#opensAll(this.filtered.peek());
    const set = opensAll ? this.#folded : this.#open;
    const next = new Set(set.peek());
    if (isOpen !== opensAll) next.add(folder);
    else next.delete(folder);
    set.value = next;
  }

  toggle(node: number): void {
    const filtered = this.filtered.peek();
    if (filtered === undefined || !this.tree.isFolder(node)) this.tree.toggle(node);
    else this.#toggleShown(node, filtered.marks);
    this.#changed();
  }

  /** Everything, or what the filter leaves. */
  chooseAll(isChosen: boolean): void {
    const filtered = this.filtered.peek();
    if (filtered === undefined) this.tree.choose(ROOT, isChosen);
    else this.tree.chooseFiles(filtered.marks, isChosen);
    this.#changed();
  }

  /** Only what the filter leaves. */
  chooseOnlyShown(): void {
    const filtered = this.filtered.peek();
    if (filtered === undefined) return;
    this.tree.choose(ROOT, false);
    this.tree.chooseFiles(filtered.marks, true);
    this.#changed();
  }

  /** Resolves when the rows are those of the filter. */
  async setFilter(text: string): Promise<void> {
    this.filter.value = text;
    const run = ++this.#filtering;
    const fits = fileFilter(text);
    if (fits === undefined) {
      this.filtered.value = undefined;
      return;
    }
    const marks = new Uint8Array(this.tree.size);
    let count = 0;
    for (let from = 0; from < this.tree.size; from += NODES_AT_ONCE) {
      count += this.tree.mark(marks, fits, from, from + NODES_AT_ONCE);
      await new Promise((resolve) => setTimeout(resolve));
      if (run !== this.#filtering) return;
    }
    batch(() => {
      this.#folded.value = new Set();
      this.filtered.value = { marks, count };
    });
  }

  #opensAll(filtered: Filtered | undefined): boolean {
    return filtered !== undefined && filtered.count <= MOST_OPENED;
  }

  /** Under a filter, a folder's tick is for what is shown of it. */
  #toggleShown(folder: number, marks: Uint8Array): void {
    const { tree } = this;
    const shown = new Uint8Array(tree.size);
    let areAll = true;
    for (let node = folder; node < tree.endOf(folder); node++) {
      if (marks[node] !== 1 || tree.isFolder(node)) continue;
      shown[node] = 1;
      if (tree.tickOf(node) === "off") areAll = false;
    }
    tree.chooseFiles(shown, !areAll);
  }

  #changed(): void {
    batch(() => {
      this.isTouched.value = true;
      this.version.value++;
    });
  }
}
