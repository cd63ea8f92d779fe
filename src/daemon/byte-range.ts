// The Range header of a request (RFC 9110, 14.2): the one range of bytes that it asks for. Several ranges at once are not answered;
// the whole is, as the RFC allows.

/** Bytes from `begin` up to, and without, `end`. */
export interface ByteRange {
  readonly begin: number;
  readonly end: number;
}

/**
 * @returns `whole` also for a header that is not of the form, which the RFC says to ignore; `unsatisfiable` for a range that begins
 * behind the end
 */
export function byteRangeIn(
  header: string | undefined,
  lengthBytes: number,
): ByteRange | "whole" | "unsatisfiable" {
  const [, first, last] = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header ?? "") ?? [];
  if (first === undefined || last === undefined || (first === "" && last === "")) return "whole";
  if (first === "") {
    const suffixBytes = Number(last);
    if (suffixBytes === 0) return "unsatisfiable";
    return lengthBytes === 0 ? "whole" : { begin: Math.max(0, lengthBytes - suffixBytes), end: lengthBytes };
  }
  const begin = Number(first);
  const lastByte = last === "" ? Number.POSITIVE_INFINITY : Number(last);
  if (lastByte < begin) return "whole";
  if (begin >= lengthBytes) return "unsatisfiable";
  return { begin, end: Math.min(lastByte + 1, lengthBytes) };
}
