// Caches the JSON of an event, so that it is made once for all clients that receive it.

const texts = new WeakMap<object, string>();

/** @param event must not be changed afterwards */
export function eventText(event: object): string {
  const known = texts.get(event);
  if (known !== undefined) return known;
  const text = JSON.stringify(event);
  texts.set(event, text);
  return text;
}
