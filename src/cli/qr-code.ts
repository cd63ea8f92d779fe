// A text as a QR code (ISO/IEC 18004) of half blocks, for a phone that looks at the terminal.
import { encode } from "uqr";
import type { View } from "./display-text.ts";

/** Modules of quiet zone around it; the standard asks for 4, and readers need 2. */
const BORDER = 2;
/** Bytes of the longest code (version 40, level L). */
const MOST_BYTES = 2_953;
/** Black on white whatever the terminal's colours are: some readers do not take an inverted code. */
const BLACK_ON_WHITE = "\u001b[30;107m";
const END_OF_COLOUR = "\u001b[0m";

/** The lines of the code; none where it has no room, or nobody sees it. */
export function qrLines(text: string, { columns, isColored }: View): readonly string[] {
  if (columns === undefined || Buffer.byteLength(text) > MOST_BYTES) return [];
  const { size, data } = encode(text, { border: BORDER, ecc: "L" });
  if (size > columns) return [];
  return Array.from({ length: Math.ceil(size / 2) }, (_, pair) => {
    const [upper = [], lower = []] = [data[2 * pair], data[2 * pair + 1]];
    const line = upper.map((isDark, at) => halfBlock(isDark, lower[at] === true, isColored)).join("");
    return isColored ? `${BLACK_ON_WHITE}${line}${END_OF_COLOUR}` : line;
  });
}

/** Without colours the terminal is taken for a dark one: light modules are the ones that are drawn. */
function halfBlock(upper: boolean, lower: boolean, drawsDark: boolean): string {
  const [isUpper, isLower] = [upper === drawsDark, lower === drawsDark];
  if (isUpper) return isLower ? "█" : "▀";
  return isLower ? "▄" : " ";
}
