// Why something stands still, in the daemon's words; members stand out.

import { withNames } from "../../state/named-words.ts";
import type { TransferRow } from "../../state/transfer-rows.ts";
import { namesIn, sentence } from "./words.ts";

export function Reason({ row, text }: { readonly row: TransferRow; readonly text: string }) {
  const names = namesIn(row);
  // Names stand at the odd places.
  return (
    <>
      {withNames(sentence(text, names), names).map((part, index) => (index % 2 === 1 ? <b>{part}</b> : part))}
    </>
  );
}
