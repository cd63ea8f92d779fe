// Colours of the theme for a canvas, which knows neither variables nor `light-dark()`.
import { useEffect, useState } from "preact/hooks";
import { settings } from "../../settings.ts";

/** Resolves roles such as `ink` and `m3` as they are where that element stands. */
export function paintsOf(element: HTMLElement): (role: string, share?: number) => string {
  const probe = document.createElement("i");
  element.append(probe);
  const known = new Map<string, string>();
  // All are read before anything else is written: the layout is computed once.
  queueMicrotask(() => probe.remove());
  return (role, share = 1) => {
    const name = `${role} ${share}`;
    let found = known.get(name);
    if (found === undefined) {
      const whole = `var(--${role})`;
      probe.style.color = share === 1 ? whole : `color-mix(in srgb, ${whole} ${share * 100}%, transparent)`;
      found = getComputedStyle(probe).color;
      known.set(name, found);
    }
    return found;
  };
}

/** Differs for each look of the page, so that what is drawn is drawn anew. */
export function useLook(): string {
  const [isDark, setDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const onChange = (): void => setDark(query.matches);
    query.addEventListener("change", onChange);
    return () => query.removeEventListener("change", onChange);
  }, []);
  const { theme } = settings.value;
  return theme === "system" ? `system ${isDark}` : theme;
}
