// Messages in several languages: `{name}` stands for a value, and one that counts has a form for each plural category.

export type Message = string | Readonly<Partial<Record<Intl.LDMLPluralRule, string>> & { other: string }>;
export type Messages = Readonly<Record<string, Message>>;
/** A translation has the same keys. */
export type Translation<M extends Messages> = { readonly [K in keyof M]: Message };

/** @param count chooses the form; undefined: `other` */
export function formOf(message: Message, count: number | undefined, rules: Intl.PluralRules): string {
  if (typeof message === "string") return message;
  const category = count === undefined ? "other" : rules.select(count);
  return message[category] ?? message.other;
}

/** Text and names of values by turns: `a {b} c` → `a `, `b`, ` c`. */
export function partsOf(text: string): string[] {
  return text.split(/\{(\w+)\}/);
}

/** The names of values in a message, sorted. */
export function valuesIn(message: Message): string[] {
  const texts = typeof message === "string" ? [message] : Object.values(message);
  return [...new Set(texts.flatMap((text) => partsOf(text).filter((_, index) => index % 2 === 1)))].sort();
}
