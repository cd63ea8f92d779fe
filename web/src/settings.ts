// What this browser keeps of how the page looks and behaves.
import { effect, signal } from "@preact/signals";
import { keep, kept } from "./state/kept.ts";
import { type PageSettings, readSettings } from "./state/page-settings.ts";

const NAME = "settings";

export const settings = signal<PageSettings>(readSettings(kept(NAME)));

export function set(change: Partial<PageSettings>): void {
  settings.value = { ...settings.peek(), ...change };
  keep(NAME, JSON.stringify(settings.peek()));
}

/** Another window of the page changed them. */
addEventListener("storage", (event) => {
  if (event.key?.endsWith(`.${NAME}`)) settings.value = readSettings(event.newValue ?? undefined);
});

effect(() => {
  const { theme, textures } = settings.value;
  const { dataset } = document.documentElement;
  if (theme === "system") delete dataset.theme;
  else dataset.theme = theme;
  const isTextured = textures ?? matchMedia("(prefers-contrast: more)").matches;
  if (isTextured) dataset.textures = "";
  else delete dataset.textures;
});
