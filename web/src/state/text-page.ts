// A long text in pages, each read as one range of bytes. A page begins and ends with a line, where lines are not longer than a page
// may reach over. Pure.

export const TEXT_PAGE_BYTES = 64 * 1024;
/** How far a page reaches over its end for the end of its last line. */
const OVER_BYTES = 8 * 1024;
const NEWLINE = 10;

/** At least one, also of an empty file. */
export function textPageCount(lengthBytes: number): number {
  return Math.max(1, Math.ceil(lengthBytes / TEXT_PAGE_BYTES));
}

/** The bytes to read for a page, counted from 0. @returns `to` is the first byte that is not read */
export function textRange(page: number, lengthBytes: number): { readonly from: number; readonly to: number } {
  return {
    // The byte before says whether a line begins here.
    from: Math.max(0, page * TEXT_PAGE_BYTES - 1),
    to: Math.min(lengthBytes, (page + 1) * TEXT_PAGE_BYTES + OVER_BYTES),
  };
}

/** The text of a page. @param bytes those of `textRange` */
export function textOfPage(bytes: Uint8Array, page: number, lengthBytes: number): string {
  const { from } = textRange(page, lengthBytes);
  const begin = page === 0 ? 0 : edgeIn(bytes, page * TEXT_PAGE_BYTES - from);
  const end = edgeIn(bytes, (page + 1) * TEXT_PAGE_BYTES - from);
  return new TextDecoder().decode(bytes.subarray(begin, Math.max(begin, end)));
}

/** Where the page that begins at that byte has its first line; the byte itself if no line ends near. */
function edgeIn(bytes: Uint8Array, at: number): number {
  const newline = bytes.subarray(0, at + OVER_BYTES).indexOf(NEWLINE, Math.max(0, at - 1));
  return newline < 0 ? Math.min(at, bytes.length) : newline + 1;
}
