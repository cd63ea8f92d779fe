// Keys of the keyboard. A view registers its own under a scope; the scope that was registered last is asked first.
import { settings } from "./settings.ts";
import { comboOf, isTyping } from "./state/key-names.ts";

/** A handler that returns false leaves the key to others. */
// biome-ignore lint/suspicious/noConfusingVoidType: most handlers return nothing.
type Handler = (event: KeyboardEvent) => void | false;
/** `j`, `?`, `Enter`, `Shift+ArrowDown`, `g t` (one after the other). */
export type KeyHandlers = Readonly<Record<string, Handler>>;

const scopes: { readonly scope: string; readonly handlers: KeyHandlers }[] = [];
/** The first key of a sequence such as `g t`. */
let pendingKey: string | undefined;
/** The second key of a sequence must follow within this time. */
const SEQUENCE_MS = 1_500;
let pendingTimer: ReturnType<typeof setTimeout> | undefined;

/** @returns ends it */
export function registerKeys(scope: string, handlers: KeyHandlers): () => void {
  const entry = { scope, handlers };
  scopes.push(entry);
  return () => {
    const index = scopes.indexOf(entry);
    if (index >= 0) scopes.splice(index, 1);
  };
}

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  const combo = comboOf(event);
  const isSingle = [...combo].length === 1;
  if (isTyping(event.target as HTMLElement | null) && combo !== "Escape") return;
  if (isSingle && !settings.value.singleKeys) return;
  const sequence = pendingKey === undefined ? combo : `${pendingKey} ${combo}`;
  setPending(undefined);
  // While a dialog is open, only its own keys count.
  const isModal = document.querySelector("dialog[open]") !== null;
  for (const { scope, handlers } of scopes.toReversed()) {
    if (isModal && scope !== "dialog") continue;
    const handler = handlers[sequence];
    if (handler !== undefined && handler(event) !== false) {
      event.preventDefault();
      return;
    }
    if (isSingle && Object.keys(handlers).some((name) => name.startsWith(`${sequence} `))) {
      setPending(sequence);
      event.preventDefault();
      return;
    }
  }
});

function setPending(key: string | undefined): void {
  clearTimeout(pendingTimer);
  pendingKey = key;
  if (key !== undefined) pendingTimer = setTimeout(() => setPending(undefined), SEQUENCE_MS);
}
