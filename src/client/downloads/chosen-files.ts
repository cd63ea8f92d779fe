// Which files of a folder a download is of, and which pieces they need. A choice is kept as its patterns, which are short
// whatever the number of files.
import { setImmediate as turn } from "node:timers/promises";
import { MiniTorrentError } from "../../api/errors.ts";
import { Bitfield } from "../../metainfo/bitfield.ts";
import type { FileLayout } from "../../metainfo/file-layout.ts";
import type { FolderMetainfo, Metainfo } from "../../metainfo/metainfo.ts";
import type { FileId } from "../file-key.ts";
import type { FileChoice } from "../status.ts";
import { type Glob, parseGlob } from "./globs.ts";

/** Files that are compared with the patterns before other work has a turn: some milliseconds. */
const FILES_AT_ONCE = 2_000;
const MAX_PATTERNS = 100;

/** The chosen files of a folder. */
export interface ChosenFiles {
  /** The patterns that they were chosen by; undefined: all files are chosen. */
  readonly choice: FileChoice | undefined;
  /** One bit a file. */
  readonly files: Bitfield;
  /** Pieces with bytes of these files. */
  readonly pieces: Bitfield;
  /** Length of these files. */
  readonly contentBytes: number;
}

/** True if the choice has no pattern, and means all files. */
function isOfAll({ only = [], except = [] }: FileChoice): boolean {
  return only.length + except.length === 0;
}

/**
 * @returns undefined for a single file, of which there is nothing to choose
 * @throws MiniTorrentError INVALID_ARGUMENT: no file fits, a pattern is not one, or patterns were given for a single file
 */
export async function chooseFiles(
  metainfo: Metainfo,
  { groupId, fileName }: FileId,
  choice: FileChoice,
): Promise<ChosenFiles | undefined> {
  if (metainfo.kind === "file") {
    if (isOfAll(choice)) return undefined;
    throw new MiniTorrentError(
      "INVALID_ARGUMENT",
      `${fileName} is a single file: leave --only and --except out.`,
    );
  }
  if (isOfAll(choice)) return allFiles(metainfo);
  const { layout } = metainfo;
  const isChosen = testOf(choice);
  const files = new Bitfield(layout.fileCount);
  for (let index = 0; index < layout.fileCount; index++) {
    if (index % FILES_AT_ONCE === FILES_AT_ONCE - 1) await turn();
    if (isChosen(layout.pathOf(index))) files.set(index);
  }
  if (files.count > 0) return ofFiles(layout, files, choice);
  throw new MiniTorrentError(
    "INVALID_ARGUMENT",
    `No file in ${fileName} fits; list_files ${groupId} ${fileName} shows its files, by the paths that patterns are compared with.`,
  );
}

export function allFiles({ layout }: FolderMetainfo): ChosenFiles {
  return ofFiles(layout, Bitfield.full(layout.fileCount), undefined);
}

function ofFiles(layout: FileLayout, files: Bitfield, choice: FileChoice | undefined): ChosenFiles {
  const pieces = new Bitfield(Math.ceil(layout.lengthBytes / layout.pieceLengthBytes));
  let contentBytes = 0;
  for (let index = 0; index < layout.fileCount; index++) {
    if (!files.has(index)) continue;
    contentBytes += layout.lengthOf(index);
    const end = layout.endPieceOf(index);
    for (let piece = layout.firstPieceOf(index); piece < end; piece++) pieces.set(piece);
  }
  return { choice, files, pieces, contentBytes };
}

/** How many of the chosen files have all their pieces. */
export function countComplete({ layout }: FolderMetainfo, { files }: ChosenFiles, have: Bitfield): number {
  if (have.isComplete) return files.count;
  let complete = 0;
  for (let index = 0; index < layout.fileCount; index++) {
    if (!files.has(index)) continue;
    const end = layout.endPieceOf(index);
    let piece = layout.firstPieceOf(index);
    while (piece < end && have.has(piece)) piece++;
    if (piece === end) complete++;
  }
  return complete;
}

/** Chosen is what fits one of `only`, or everything if there is none, and fits none of `except`. */
function testOf({ only = [], except = [] }: FileChoice): Glob {
  if (only.length + except.length > MAX_PATTERNS)
    throw new MiniTorrentError("INVALID_ARGUMENT", `A choice has at most ${MAX_PATTERNS} patterns.`);
  const [chosen, excepted] = [only.map(parseGlob), except.map(parseGlob)];
  return (path) =>
    (chosen.length === 0 || chosen.some((fits) => fits(path))) && !excepted.some((fits) => fits(path));
}
