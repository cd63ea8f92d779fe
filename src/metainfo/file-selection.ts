// Which files of a folder are chosen, and which pieces that takes. Pure.
import { Bitfield } from "./bitfield.ts";
import type { FileLayout } from "./file-layout.ts";

/** Files by their number in the layout; a Bitfield of `fileCount` bits is one. */
export interface FileSelection {
  has(fileIndex: number): boolean;
}

export const EVERY_FILE: FileSelection = { has: () => true };

/** The pieces in which a chosen file has bytes. */
export function piecesOf(layout: FileLayout, chosen: FileSelection): Bitfield {
  const pieces = new Bitfield(Math.ceil(layout.lengthBytes / layout.pieceLengthBytes));
  for (let fileIndex = 0; fileIndex < layout.fileCount; fileIndex++) {
    if (!chosen.has(fileIndex)) continue;
    const end = layout.endPieceOf(fileIndex);
    for (let piece = layout.firstPieceOf(fileIndex); piece < end; piece++) pieces.set(piece);
  }
  return pieces;
}
