// An event as JSON, made once however many clients are told of it: the same object goes to all of them.

const texts = new WeakMap<object, string>();

/** @param event not changed any more */
export function eventText(event: object): string {
  const known = texts.get(event);
  if (known !== undefined) return known;
  const text = JSON.stringify(event);
  texts.set(event, text);
  return text;
}
