// What the browser keeps for this page from one visit to the next. Where it keeps nothing (a private window), the page works with
// what it has in memory.

const PREFIX = "minitorrent.";
const memory = new Map<string, string>();

interface Store {
  getItem(name: string): string | null;
  setItem(name: string, value: string): void;
  removeItem(name: string): void;
}

/** undefined where the browser has none, or forbids it. */
function store(): Store | undefined {
  try {
    return (globalThis as { readonly localStorage?: Store }).localStorage;
  } catch {
    return undefined;
  }
}

/** The name that it has in localStorage. */
export function nameOfKept(name: string): string {
  return PREFIX + name;
}

export function kept(name: string): string | undefined {
  try {
    return store()?.getItem(PREFIX + name) ?? memory.get(name);
  } catch {
    return memory.get(name);
  }
}

export function keep(name: string, value: string | undefined): void {
  if (value === undefined) memory.delete(name);
  else memory.set(name, value);
  try {
    if (value === undefined) store()?.removeItem(PREFIX + name);
    else store()?.setItem(PREFIX + name, value);
  } catch {
    // A full or forbidden store: what is in memory lasts as long as the page.
  }
}
