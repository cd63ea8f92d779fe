// Rows and columns for a terminal: widths follow the contents, and when they do not fit, the widest text column gives way. Pure.
import { displayWidth, harmless, paint, truncate, type View } from "./display-text.ts";

export interface Column {
  readonly title: string;
  /** Stands to the right, and is never cut. */
  readonly isNumber?: boolean;
  /** Is never cut: a part of it would say nothing. */
  readonly isWhole?: boolean;
}

const GAP = "  ";
/** A column is not cut below this: an ellipsis and a few letters still tell two names apart. */
const MIN_CUT_COLUMNS = 8;

/** The lines of a table with a heading. Cells are made harmless here. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  view: View,
): readonly string[] {
  const cells = rows.map((row) => columns.map((_, index) => harmless(row[index] ?? "")));
  const widths = columns.map(({ title }, index) =>
    Math.max(displayWidth(title), ...cells.map((row) => displayWidth(row[index] ?? ""))),
  );
  fit(widths, columns, view.columns);
  const line = (row: readonly string[]): string =>
    row
      .map((cell, index) => {
        const width = widths[index] ?? 0;
        const text = truncate(cell, width);
        const space = " ".repeat(width - displayWidth(text));
        return columns[index]?.isNumber === true ? space + text : text + space;
      })
      .join(GAP)
      .trimEnd();
  return [paint(line(columns.map(({ title }) => title)), "dim", view), ...cells.map(line)];
}

function fit(widths: number[], columns: readonly Column[], available: number | undefined): void {
  if (available === undefined) return;
  let surplus = widths.reduce((sum, width) => sum + width, GAP.length * (widths.length - 1)) - available;
  while (surplus > 0) {
    const cuttable = widths.map((width, index) =>
      columns[index]?.isNumber === true || columns[index]?.isWhole === true ? 0 : width,
    );
    const widest = Math.max(...cuttable);
    if (widest <= MIN_CUT_COLUMNS) return;
    widths[cuttable.indexOf(widest)] = widest - 1;
    surplus--;
  }
}
