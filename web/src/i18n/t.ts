// Texts of the page in the language of its reader. `t("shell.nav.transfers")`; a component that calls it renders again when the
// language changes. English is in the first load; others are fetched.
import { effect, signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { settings } from "../settings.ts";
import { formOf, type Message, partsOf } from "../state/messages.ts";
import { LANGUAGES, type Language } from "../state/page-settings.ts";
import { en } from "./en/all.ts";

type Catalogue = { readonly [A in keyof typeof en]: Readonly<Record<keyof (typeof en)[A], Message>> };
type Area = keyof typeof en;
export type TextKey = { [A in Area]: `${A}.${keyof (typeof en)[A] & string}` }[Area];
export type Values = Readonly<Record<string, string | number>>;

interface Loaded {
  readonly language: Language;
  readonly catalogue: Catalogue;
  readonly plural: Intl.PluralRules;
}

const loaded = signal<Loaded>({ language: "en", catalogue: en, plural: new Intl.PluralRules("en") });

/** The language that texts are in now. */
export function language(): Language {
  return loaded.value.language;
}

/** For dates and numbers: the reader's own English (en-GB), or the chosen language. */
export function locale(): string {
  const chosen = language();
  return navigator.languages.find((one) => one === chosen || one.startsWith(`${chosen}-`)) ?? chosen;
}

function wanted(): Language {
  const asked = [settings.value.language ?? "", ...navigator.languages.map((one) => one.slice(0, 2))];
  for (const one of asked) {
    const known = LANGUAGES.find((name) => name === one);
    if (known !== undefined) return known;
  }
  return "en";
}

async function load(name: Language): Promise<void> {
  const catalogue: Catalogue = name === "de" ? (await import("./de/all.ts")).de : en;
  if (wanted() !== name) return;
  loaded.value = { language: name, catalogue, plural: new Intl.PluralRules(name) };
  document.documentElement.lang = name;
}

/** Resolves when the texts of the reader's language are there; follows the setting from then on. */
export async function startTexts(): Promise<void> {
  let first: Promise<void> | undefined;
  effect(() => {
    const loading = load(wanted());
    first ??= loading;
  });
  // Without the other language, the page is in English rather than not there.
  await first?.catch(() => undefined);
}

function textOf(key: TextKey, count: unknown): string {
  const { catalogue, plural } = loaded.value;
  const dot = key.indexOf(".");
  const messages = catalogue[key.slice(0, dot) as Area] as Readonly<Record<string, Message>>;
  const message = messages[key.slice(dot + 1)];
  return message === undefined ? key : formOf(message, typeof count === "number" ? count : undefined, plural);
}

function shown(value: string | number | undefined): string {
  return typeof value === "number" ? new Intl.NumberFormat(locale()).format(value) : (value ?? "");
}

/** @param values for `{name}` in the text; `count` chooses the plural form; numbers are written in the language's way */
export function t(key: TextKey, values: Values = {}): string {
  return partsOf(textOf(key, values.count))
    .map((part, index) => (index % 2 === 0 ? part : shown(values[part])))
    .join("");
}

/** The same with elements as values: `tx("groups.asked", { user: <b>erin</b> })`. */
export function tx(key: TextKey, values: Readonly<Record<string, ComponentChildren>>): ComponentChildren[] {
  return partsOf(textOf(key, values.count)).map((part, index) => {
    if (index % 2 === 0) return part;
    const value = values[part];
    return typeof value === "number" ? shown(value) : value;
  });
}
