// Which files of a folder a download is of, and which pieces they need. A choice is kept as its patterns, which are short
// whatever the number of files.
import { setImmediate as turn } from "node:timers/promises";
import { MiniTorrentError } from "../../api/errors.ts";
import { Bitfield } from "../../metainfo/bitfield.ts";
import { piecesOf } from "../../metainfo/file-selection.ts";
import type { FileMetainfo, FolderMetainfo, Metainfo } from "../../metainfo/metainfo.ts";
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
  /** What is fetched for them: the length of these pieces, without padding. */
  readonly neededBytes: number;
}

/** What is downloaded: a single file, or some files of a folder. */
export type Wanted =
  | { readonly kind: "file"; readonly metainfo: FileMetainfo }
  | { readonly kind: "folder"; readonly metainfo: FolderMetainfo; readonly chosen: ChosenFiles };

/** What has to be fetched of it altogether. */
export function sizeOf(wanted: Wanted): { readonly lengthBytes: number; readonly pieceCount: number } {
  if (wanted.kind === "folder") {
    const { neededBytes, pieces } = wanted.chosen;
    return { lengthBytes: neededBytes, pieceCount: pieces.count };
  }
  const { lengthBytes, pieceCount } = wanted.metainfo.geometry;
  return { lengthBytes, pieceCount };
}

/** The wanted ones among those pieces. */
export function wantedAmong(wanted: Wanted, pieces: Bitfield): Bitfield {
  if (wanted.kind === "file" || wanted.chosen.choice === undefined) return pieces;
  const both = new Bitfield(pieces.pieceCount);
  for (let i = 0; i < pieces.pieceCount; i++) if (pieces.has(i) && wanted.chosen.pieces.has(i)) both.set(i);
  return both;
}

/** Pieces that are there, or not wanted. */
export function notMissing(wanted: Wanted, have: Bitfield): Bitfield {
  if (wanted.kind === "file" || wanted.chosen.choice === undefined) return have;
  const either = have.clone();
  for (let i = 0; i < have.pieceCount; i++) if (!wanted.chosen.pieces.has(i)) either.set(i);
  return either;
}

/** All wanted pieces are there. */
export function hasAll(wanted: Wanted, have: Bitfield): boolean {
  return notMissing(wanted, have).isComplete;
}

/** A part of the folder is chosen. */
export function isPartial(wanted: Wanted): boolean {
  return wanted.kind === "folder" && wanted.chosen.choice !== undefined;
}

/** True if the choice has no pattern, and means all files. */
export function isOfAll({ only = [], except = [] }: FileChoice): boolean {
  return only.length + except.length === 0;
}

/**
 * What is downloaded of a share by that choice.
 *
 * @throws MiniTorrentError INVALID_ARGUMENT: no file fits, a pattern is not one, or patterns were given for a single file
 */
export async function chooseFiles(
  metainfo: Metainfo,
  { groupId, fileName }: FileId,
  choice: FileChoice,
): Promise<Wanted> {
  if (metainfo.kind === "file") {
    if (isOfAll(choice)) return { kind: "file", metainfo };
    throw new MiniTorrentError(
      "INVALID_ARGUMENT",
      `${fileName} is a single file: leave --only and --except out.`,
    );
  }
  if (isOfAll(choice)) return allOf(metainfo);
  const { layout } = metainfo;
  const isChosen = testOf(choice);
  const files = new Bitfield(layout.fileCount);
  for (let index = 0; index < layout.fileCount; index++) {
    if (index % FILES_AT_ONCE === FILES_AT_ONCE - 1) await turn();
    if (isChosen(layout.pathOf(index))) files.set(index);
  }
  if (files.isComplete) return allOf(metainfo);
  if (files.count > 0) return { kind: "folder", metainfo, chosen: ofFiles(metainfo, files, choice) };
  throw new MiniTorrentError(
    "INVALID_ARGUMENT",
    `No file in ${fileName} fits; list_files ${groupId} ${fileName} shows its files, by the paths that patterns are compared with.`,
  );
}

/** All that the share has. */
export function allOf(metainfo: Metainfo): Wanted {
  if (metainfo.kind === "file") return { kind: "file", metainfo };
  const files = Bitfield.full(metainfo.layout.fileCount);
  return { kind: "folder", metainfo, chosen: ofFiles(metainfo, files, undefined) };
}

function ofFiles(
  { layout, geometry }: FolderMetainfo,
  files: Bitfield,
  choice: FileChoice | undefined,
): ChosenFiles {
  const pieces = piecesOf(layout, files);
  return { choice, files, pieces, neededBytes: geometry.contentBytesOf(pieces) };
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
