// Names of keys, as handlers are registered for them.

interface Pressed {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
  readonly shiftKey: boolean;
}

/** `j`, `?`, `Shift+ArrowDown`, `Ctrl+a`. Shift is named only with keys that have no character of their own for it. */
export function comboOf({ key, ctrlKey, metaKey, altKey, shiftKey }: Pressed): string {
  const isCharacter = [...key].length === 1;
  const name = key === " " ? "Space" : isCharacter && /^[A-Z]$/.test(key) ? key.toLowerCase() : key;
  const parts = [ctrlKey || metaKey ? "Ctrl" : "", altKey ? "Alt" : ""];
  if (shiftKey && (!isCharacter || key === " ")) parts.push("Shift");
  return [...parts.filter(Boolean), name].join("+");
}

interface Target {
  readonly tagName: string;
  readonly isContentEditable?: boolean;
  readonly type?: string;
}

const WITHOUT_TEXT = new Set(["checkbox", "radio", "button", "submit", "range"]);

/** Whether what has the focus takes characters. */
export function isTyping(target: Target | null): boolean {
  if (target === null) return false;
  if (target.isContentEditable) return true;
  if (target.tagName === "INPUT") return !WITHOUT_TEXT.has(target.type ?? "text");
  return target.tagName === "TEXTAREA" || target.tagName === "SELECT";
}
