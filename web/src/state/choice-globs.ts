// The patterns that stand for what is chosen in a folder: `only` and `except` of a download. They are few, they fit exactly the
// chosen files, and characters that mean something in a pattern are escaped in names. What patterns mean:
// client/downloads/globs.ts. Folders that are chosen whole become one pattern, and so do kinds of files (`*.mov`).
import { type FolderTree, ROOT } from "./folder-tree.ts";

/** Patterns that a choice may have, and the form of one: the daemon refuses more. */
const MOST_PATTERNS = 100;
const LONGEST_PATTERN = 1_024;
const MOST_ALTERNATIVES = 64;
/** Files and folders beyond which no patterns are sought: their names would not fit into those that a choice may have. */
const MOST_ATOMS = 2 * MOST_PATTERNS * MOST_ALTERNATIVES;

export interface Globs {
  readonly only?: string[];
  readonly except?: string[];
}

/** A pattern: a folder's path, escaped, and what in it is meant. */
interface Atom {
  readonly folder: string;
  /** Escaped; `name/` is all that is below a folder. */
  readonly name: string;
  /** May not stand within braces: it has a comma. */
  readonly isAlone: boolean;
}

interface Cover {
  readonly only: readonly Atom[];
  readonly except: readonly Atom[];
}

const NOTHING: Cover = { only: [], except: [] };

/**
 * The patterns of what is chosen; none at all if everything is.
 *
 * @returns undefined if it takes more patterns than the daemon takes, or nothing is chosen
 */
export function globsOf(tree: FolderTree): Globs | undefined {
  const tick = tree.tickOf(ROOT);
  if (tick === "on") return {};
  if (tick === "off") return undefined;
  const covering = new Covering(tree);
  const covers = [{ only: [], except: covering.within(ROOT) }, covering.outside(ROOT, true)];
  if (covering.isTooScattered) return undefined;
  const candidates = covers.map(({ only, except }) => ({ only: merged(only), except: merged(except) }));
  const [best] = candidates.filter(fitsDaemon).sort((one, other) => lengthOf(one) - lengthOf(other));
  if (best === undefined) return undefined;
  return {
    ...(best.only.length > 0 ? { only: best.only } : {}),
    ...(best.except.length > 0 ? { except: best.except } : {}),
  };
}

type Merged = { readonly only: string[]; readonly except: string[] };

function fitsDaemon({ only, except }: Merged): boolean {
  const all = [...only, ...except];
  return all.length <= MOST_PATTERNS && all.every((pattern) => pattern.length <= LONGEST_PATTERN);
}

/** Fewest patterns first, then fewest characters. */
function lengthOf({ only, except }: Merged): number {
  const all = [...only, ...except];
  return all.length * LONGEST_PATTERN * MOST_PATTERNS + all.reduce((sum, pattern) => sum + pattern.length, 0);
}

/** Finds the cheapest patterns for each subtree, from the top. */
class Covering {
  readonly #tree: FolderTree;
  readonly #costsWithin = new Map<number, number>();
  #atoms = 0;

  constructor(tree: FolderTree) {
    this.#tree = tree;
  }

  /** The search ended early, and what it found is not the whole choice. */
  get isTooScattered(): boolean {
    return this.#atoms > MOST_ATOMS;
  }

  /** The subtree is included already: what has to be excepted. */
  within(node: number): readonly Atom[] {
    const tick = this.#tree.tickOf(node);
    if (tick === "on" || this.isTooScattered) return [];
    if (tick === "off") return [this.#wholeOf(node)];
    const kinds = this.#kindsOf(node, "off");
    if (kinds?.length === 1) return kinds;
    const single = [...this.#childrenOf(node)].flatMap((child) => this.within(child));
    return kinds !== undefined && kinds.length < single.length ? kinds : single;
  }

  /** Nothing of the subtree is included yet. @param isRoot it has no pattern of its own */
  outside(node: number, isRoot = false): Cover {
    const tick = this.#tree.tickOf(node);
    if (tick === "off" || this.isTooScattered) return NOTHING;
    if (tick === "on" && !isRoot) return { only: [this.#wholeOf(node)], except: [] };
    const kinds = this.#kindsOf(node, "on");
    if (kinds?.length === 1) return { only: kinds, except: [] };
    const options: Cover[] = [];
    const parts = [...this.#childrenOf(node)].map((child) => this.outside(child));
    options.push({ only: parts.flatMap(({ only }) => only), except: parts.flatMap(({ except }) => except) });
    if (kinds !== undefined) options.push({ only: kinds, except: [] });
    // Most is chosen: the folder, except what is not.
    if (!isRoot && this.#costWithin(node) + 1 < costOf(options[0] ?? NOTHING)) {
      options.push({ only: [this.#wholeOf(node)], except: this.within(node) });
    }
    return options.reduce((best, option) => (costOf(option) < costOf(best) ? option : best));
  }

  #costWithin(node: number): number {
    let cost = this.#costsWithin.get(node);
    if (cost === undefined) {
      cost = this.within(node).length;
      this.#costsWithin.set(node, cost);
    }
    return cost;
  }

  *#childrenOf(node: number): Generator<number> {
    const tree = this.#tree;
    for (let at = node + 1; at < tree.endOf(node); at = tree.endOf(at)) yield at;
  }

  #wholeOf(node: number): Atom {
    this.#atoms++;
    const name = escaped(this.#tree.nameOf(node));
    return {
      folder: this.#folderOf(this.#tree.parentOf(node)),
      name: this.#tree.isFolder(node) ? `${name}/` : name,
      isAlone: name.includes(","),
    };
  }

  /** With a slash at its end; empty for the root. */
  #folderOf(node: number): string {
    return node <= ROOT
      ? ""
      : `${this.#folderOf(this.#tree.parentOf(node))}${escaped(this.#tree.nameOf(node))}/`;
  }

  /** If endings of names alone decide what is chosen below that folder: those that are chosen, or those that are not. */
  #kindsOf(node: number, wanted: "on" | "off"): readonly Atom[] | undefined {
    const tree = this.#tree;
    const states = new Map<string, "on" | "off">();
    for (let at = node + 1; at < tree.endOf(node); at++) {
      if (tree.isFolder(at)) continue;
      const name = tree.nameOf(at);
      const ending = name.slice(name.lastIndexOf(".") + 1 || name.length);
      const state = tree.chosenCountOf(at) === 1 ? "on" : "off";
      const known = states.get(ending);
      if (known === undefined) states.set(ending, state);
      else if (known !== state) return undefined;
      if (states.size > MOST_ALTERNATIVES * 2) return undefined;
    }
    const endings = [...states].filter(([, state]) => state === wanted).map(([ending]) => ending);
    // No pattern fits just the names without an ending.
    if (endings.includes("") || endings.length > MOST_ALTERNATIVES) return undefined;
    const folder = `${this.#folderOf(node)}**/`;
    return endings.map((ending) => ({
      ...{ folder, name: `*.${escaped(ending)}` },
      isAlone: ending.includes(","),
    }));
  }
}

function costOf({ only, except }: Cover): number {
  return only.length + except.length;
}

/** Patterns of the same folder become one, with braces. */
function merged(atoms: readonly Atom[]): string[] {
  const patterns: string[] = [];
  for (const [folder, together] of Map.groupBy(atoms, (atom) => atom.folder)) {
    let names: string[] = [];
    const flush = () => {
      if (names.length > 0) patterns.push(patternOf(folder, names));
      names = [];
    };
    for (const { name, isAlone } of together) {
      if (isAlone) {
        patterns.push(patternOf(folder, [name]));
        continue;
      }
      const isFull =
        names.length >= MOST_ALTERNATIVES || patternOf(folder, [...names, name]).length > LONGEST_PATTERN;
      if (isFull) flush();
      names.push(name);
    }
    flush();
  }
  return patterns;
}

/** A pattern without a slash would fit names at any depth: `./` keeps it to the top. */
function patternOf(folder: string, names: readonly string[]): string {
  const [first = ""] = names;
  if (names.length > 1) return `${folder === "" ? "./" : folder}{${names.join(",")}}`;
  if (folder === "**/") return first;
  return folder === "" && !first.endsWith("/") ? `./${first}` : `${folder}${first}`;
}

function escaped(name: string): string {
  return name.replace(/[\\*?[\]{}!^]/g, "\\$&");
}
