// The map of a download's pieces: a bounded number of cells, each of which stands for as many pieces and takes the colour of most;
// and how many copies of each part are online. Pure, on packed arrays: a download may have millions of pieces.

/** Where a piece came from: an index into `sources`, or one of these. */
export const BEFORE = -1;
export const MISSING = -2;
/** Of files that are not chosen. */
export const LEFT_OUT = -3;

export interface PieceRun {
  readonly count: number;
  readonly from: number;
  readonly isComing?: boolean | undefined;
  readonly isLeftOut?: boolean | undefined;
}

function stateOf({ from, isLeftOut }: PieceRun): number {
  return from === MISSING && isLeftOut === true ? LEFT_OUT : from;
}

export interface CopiesRun {
  readonly count: number;
  readonly copies: number;
}

export interface PiecesMap {
  readonly piecesPerCell: number;
  /** For each cell where most of its pieces came from. */
  readonly from: Int32Array;
  /** 1: a piece of the cell is coming now. */
  readonly isComing: Uint8Array;
}

/** @param mostCells cells that there is room for */
export function piecesMap(runs: readonly PieceRun[], pieceCount: number, mostCells: number): PiecesMap {
  const piecesPerCell = Math.max(1, Math.ceil(pieceCount / Math.max(1, mostCells)));
  const cellCount = Math.ceil(pieceCount / piecesPerCell);
  const from = new Int32Array(cellCount).fill(MISSING);
  const isComing = new Uint8Array(cellCount);
  const votes = new Map<number, number>();
  let cell = 0;
  let inCell = 0;
  const close = () => {
    from[cell] = most(votes);
    votes.clear();
    cell++;
    inCell = 0;
  };
  for (const run of runs) {
    const state = stateOf(run);
    let left = run.count;
    while (left > 0 && cell < cellCount) {
      const taken = Math.min(left, piecesPerCell - inCell);
      votes.set(state, (votes.get(state) ?? 0) + taken);
      if (run.isComing === true) isComing[cell] = 1;
      inCell += taken;
      left -= taken;
      if (inCell === piecesPerCell) close();
    }
  }
  if (inCell > 0) close();
  return { piecesPerCell, from, isComing };
}

/** What most are of. Of a tie, something that is here before something that is missing. */
function most(votes: ReadonlyMap<number, number>): number {
  let [best, bestCount] = [MISSING, 0];
  for (const [from, count] of votes) {
    if (count > bestCount || (count === bestCount && best < BEFORE)) [best, bestCount] = [from, count];
  }
  return best;
}

/** Pieces from each source, by its index; and those that are missing or were here before. */
export function piecesBySource(
  runs: readonly PieceRun[],
  sourceCount: number,
): { readonly bySource: readonly number[]; readonly before: number; readonly missing: number } {
  const bySource = new Array<number>(sourceCount).fill(0);
  let [before, missing] = [0, 0];
  for (const { count, from } of runs) {
    if (from === MISSING) missing += count;
    else if (from < 0 || from >= sourceCount) before += count;
    else bySource[from] = (bySource[from] ?? 0) + count;
  }
  return { bySource, before, missing };
}

export interface CopiesColumns {
  /** Copies for each column: the least of its pieces, so that a gap is seen. */
  readonly least: Uint16Array;
  readonly most: number;
  /** Pieces of which there is no copy. */
  readonly without: number;
}

/**
 * The copies online, this machine's own counted.
 *
 * @param others copies of connected members
 * @param runs what is here
 * @param mostColumns columns that there is room for
 */
export function copiesColumns(
  others: readonly CopiesRun[],
  runs: readonly PieceRun[],
  pieceCount: number,
  mostColumns: number,
): CopiesColumns {
  const columns = Math.min(Math.max(1, mostColumns), Math.max(1, pieceCount));
  const least = new Uint16Array(columns).fill(0xffff);
  let [most, without] = [0, 0];
  for (const { first, count, copies } of together(others, runs, pieceCount)) {
    const lastColumn = Math.floor(((first + count - 1) * columns) / pieceCount);
    for (let column = Math.floor((first * columns) / pieceCount); column <= lastColumn; column++)
      least[column] = Math.min(least[column] ?? 0xffff, copies);
    most = Math.max(most, copies);
    if (copies === 0) without += count;
  }
  for (const [column, copies] of least.entries()) if (copies === 0xffff) least[column] = 0;
  return { least, most, without };
}

/** Runs of pieces that have the same number of copies and are here, or are not. */
function* together(
  others: readonly CopiesRun[],
  runs: readonly PieceRun[],
  pieceCount: number,
): Generator<{ readonly first: number; readonly count: number; readonly copies: number }> {
  let [run, runEnd] = [0, runs[0]?.count ?? pieceCount];
  let first = 0;
  for (const { count, copies } of others) {
    const end = Math.min(pieceCount, first + count);
    while (first < end) {
      while (runEnd <= first && run < runs.length) runEnd += runs[++run]?.count ?? pieceCount;
      const to = Math.min(end, runEnd);
      const own = (runs[run]?.from ?? MISSING) === MISSING ? 0 : 1;
      yield { first, count: to - first, copies: copies + own };
      first = to;
    }
  }
}

/** The runs of some of the pieces: those of one file. */
export function runsWithin(runs: readonly PieceRun[], firstPiece: number, pieceCount: number): PieceRun[] {
  const found: PieceRun[] = [];
  let at = 0;
  for (const run of runs) {
    const [from, to] = [Math.max(at, firstPiece), Math.min(at + run.count, firstPiece + pieceCount)];
    if (from < to) found.push({ ...run, count: to - from });
    at += run.count;
  }
  return found;
}

/** Parts of the whole that are here, as fractions from 0 to 1, in order: for a player's line of time. */
export function hereRanges(
  runs: readonly PieceRun[],
  pieceCount: number,
): readonly { readonly from: number; readonly to: number }[] {
  const ranges: { from: number; to: number }[] = [];
  let first = 0;
  for (const { count, from } of runs) {
    const [start, end] = [first / Math.max(1, pieceCount), (first + count) / Math.max(1, pieceCount)];
    first += count;
    if (from === MISSING) continue;
    const last = ranges.at(-1);
    if (last !== undefined && Math.abs(last.to - start) < 1e-9) last.to = end;
    else ranges.push({ from: start, to: end });
  }
  return ranges;
}
