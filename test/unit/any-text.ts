// Text of any characters. fast-check's unit "binary" builds a table of all million characters first, which takes half a second, and
// hardly ever draws one that a terminal obeys.
import fc from "fast-check";

const codePoints = fc.oneof(
  fc.integer({ min: 0, max: 0x2ff }),
  // General punctuation: what is invisible, ends a line or turns the direction of text.
  fc.integer({ min: 0x2000, max: 0x206f }),
  fc.integer({ min: 0, max: 0xd7ff }),
  fc.integer({ min: 0xe000, max: 0x10ffff }),
);
const character = codePoints.map((codePoint) => String.fromCodePoint(codePoint));

export function anyText(lengths: { minLength?: number; maxLength?: number } = {}): fc.Arbitrary<string> {
  return fc.string({ unit: character, ...lengths });
}
