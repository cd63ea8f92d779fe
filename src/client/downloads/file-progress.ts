// How far each file of a download is: a page of them, which costs what the page has, however many files there are.
import { MiniTorrentError } from "../../api/errors.ts";
import type { ListPage } from "../../api/schemas.ts";
import type { Bitfield } from "../../metainfo/bitfield.ts";
import type { FileSelection } from "../../metainfo/file-selection.ts";
import type { Metainfo } from "../../metainfo/metainfo.ts";
import type { FileProgress } from "../status.ts";

const PAGE_ITEMS = 500;

/**
 * @param after `next` of the page before; undefined: the first page
 * @throws MiniTorrentError INVALID_ARGUMENT for an `after` of another form
 */
export function fileProgressPage(
  metainfo: Metainfo,
  have: Bitfield,
  chosen: FileSelection,
  after: string | undefined,
): ListPage<FileProgress> {
  if (metainfo.kind === "file") {
    const { geometry, fileName: path } = metainfo;
    const { lengthBytes, pieceCount } = geometry;
    const verifiedBytes = geometry.bytesOf(have);
    return { items: [{ path, lengthBytes, verifiedBytes, isChosen: true, firstPiece: 0, pieceCount }] };
  }
  const { layout } = metainfo;
  const first = after === undefined ? 0 : Number(after);
  if (!Number.isSafeInteger(first) || first < 0 || first > layout.fileCount)
    throw new MiniTorrentError("INVALID_ARGUMENT", "after: give next of the page before.");
  const end = Math.min(first + PAGE_ITEMS, layout.fileCount);
  const items: FileProgress[] = [];
  for (let index = first; index < end; index++) {
    const lengthBytes = layout.lengthOf(index);
    const verifiedBytes = verifiedOf(layout, index, have);
    const firstPiece = layout.firstPieceOf(index);
    items.push({
      ...{ path: layout.pathOf(index), lengthBytes, verifiedBytes, isChosen: chosen.has(index) },
      ...{ firstPiece, pieceCount: layout.endPieceOf(index) - firstPiece },
    });
  }
  return end < layout.fileCount ? { items, next: String(end) } : { items };
}

/** The bytes of the file in pieces that are here. */
function verifiedOf(
  layout: Extract<Metainfo, { kind: "folder" }>["layout"],
  index: number,
  have: Bitfield,
): number {
  const { pieceLengthBytes } = layout;
  const begin = layout.offsetOf(index);
  const end = begin + layout.lengthOf(index);
  let verifiedBytes = 0;
  for (let piece = layout.firstPieceOf(index); piece < layout.endPieceOf(index); piece++) {
    if (!have.has(piece)) continue;
    const pieceBegin = piece * pieceLengthBytes;
    verifiedBytes += Math.min(end, pieceBegin + pieceLengthBytes) - Math.max(begin, pieceBegin);
  }
  return verifiedBytes;
}
