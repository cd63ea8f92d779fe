// The bar of a download: whose pieces are here, in the colour of each member. Pure.

/** Members that get a segment of their own: more would be slivers. The rest share one. */
const MOST_SEGMENTS = 8;
/** The least of the whole that a segment takes, so that it can be seen. */
const LEAST_SHARE = 0.008;

export interface BarSource {
  readonly userId: string;
  readonly bytes: number;
}

export interface BarFacts {
  readonly lengthBytes: number;
  readonly bytesVerified: number;
  readonly sources: readonly BarSource[];
  /** Share of the whole that nobody who is online has, 0 to 1. */
  readonly goneShare?: number | undefined;
  /** A member's place in the order of joining, from 0. */
  readonly orderOf: (userId: string) => number;
}

export interface BarSegment {
  /** A member; `others`: several small ones together; `before`: it was here before, or nobody knows; `gone`: nobody online has it. */
  readonly kind: "member" | "others" | "before" | "gone";
  /** Of a member; else empty. */
  readonly userId: string;
  /** Of the whole bar, 0 to 1. */
  readonly share: number;
}

/**
 * The segments from the left: the largest members in the order of joining, which does not change while shares grow, then what
 * came otherwise; `gone` stands at the right end. Their shares are at most 1 together, and what is here takes what it is of the
 * whole.
 */
export function barSegments({
  lengthBytes,
  bytesVerified,
  sources,
  goneShare = 0,
  orderOf,
}: BarFacts): readonly BarSegment[] {
  const here = lengthBytes <= 0 ? 1 : Math.min(1, Math.max(0, bytesVerified / lengthBytes));
  const giving = sources.filter(({ bytes }) => bytes > 0).toSorted((a, b) => b.bytes - a.bytes);
  const arrivedBytes = giving.reduce((sum, { bytes }) => sum + bytes, 0);
  const ofOne = here === 0 ? 0 : here / Math.max(bytesVerified, 1);
  const named = giving.length > MOST_SEGMENTS ? giving.slice(0, MOST_SEGMENTS - 1) : giving;
  const otherBytes = giving.slice(named.length).reduce((sum, { bytes }) => sum + bytes, 0);
  const segments: BarSegment[] = named
    .toSorted((a, b) => orderOf(a.userId) - orderOf(b.userId) || (a.userId < b.userId ? -1 : 1))
    .map(({ userId, bytes }) => ({ kind: "member", userId, share: bytes * ofOne }));
  if (otherBytes > 0) segments.push({ kind: "others", userId: "", share: otherBytes * ofOne });
  const before = here - (arrivedBytes * ofOne || 0);
  if (before > 0.001) segments.push({ kind: "before", userId: "", share: before });
  const seen = widened(segments, here);
  const gone = Math.min(1 - here, Math.max(0, goneShare));
  return gone > 0 ? [...seen, { kind: "gone", userId: "", share: Math.max(gone, LEAST_SHARE) }] : seen;
}

/** Each takes at least what can be seen, and all together what is here: blocks that came twice count for their sender only. */
function widened(segments: readonly BarSegment[], here: number): BarSegment[] {
  const least = Math.min(LEAST_SHARE, here / Math.max(1, segments.length));
  const wide = segments.map((segment) => ({ ...segment, share: Math.max(segment.share, least) }));
  const over = wide.reduce((sum, { share }) => sum + share, 0) - here;
  if (over <= 0) return wide;
  const spare = wide.reduce((sum, { share }) => sum + (share - least), 0);
  return wide.map((segment) => ({
    ...segment,
    share: spare <= 0 ? segment.share : segment.share - (over * (segment.share - least)) / spare,
  }));
}
