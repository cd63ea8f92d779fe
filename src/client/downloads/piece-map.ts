// A download, piece by piece: which member each came from, which are coming, and how many connected peers have each. What is
// reported is bounded: runs of equal pieces, and beyond that cells of several pieces.
import type { PieceMap, PieceRun } from "../status.ts";

/** Most runs, and cells, of a map. */
const MOST_RUNS = 4_096;
/** Members that a piece can be said to come from: one byte a piece names them. What came from a further one is of nobody known. */
const MOST_SENDERS = 255;
/** `from` of a piece that is not here. */
const MISSING = -2;

/** What the profile keeps of them. */
export interface StoredSenders {
  readonly userIds: readonly string[];
  /** One byte a piece: 1 + the place of its sender in the list; 0: unknown. */
  readonly senders: Uint8Array;
}

/** Which member each piece came from: one byte a piece, once the first one came. */
export class PieceSenders {
  readonly #pieceCount: number;
  /** 1 + the place of the sender in the list; 0: unknown. */
  #senders: Uint8Array | undefined;
  readonly #userIds: string[] = [];
  readonly #placeOf = new Map<string, number>();

  /** @param stored of an earlier run; one that does not fit the pieces is not used */
  constructor(pieceCount: number, stored?: StoredSenders) {
    this.#pieceCount = pieceCount;
    if (stored?.senders.length !== pieceCount) return;
    this.#senders = stored.senders.slice();
    for (const userId of stored.userIds.slice(0, MOST_SENDERS))
      this.#placeOf.set(userId, this.#userIds.push(userId) - 1);
  }

  /** undefined: nobody is known to have sent any. */
  get stored(): StoredSenders | undefined {
    return this.#senders && { userIds: this.#userIds, senders: this.#senders };
  }

  /** Each once; places in it are what `senderOf` says. */
  get userIds(): readonly string[] {
    return this.#userIds;
  }

  /** @param userId who sent the last block of it; undefined: unknown */
  came(pieceIndex: number, userId: string | undefined): void {
    if (userId === undefined) return;
    let place = this.#placeOf.get(userId);
    if (place === undefined) {
      if (this.#userIds.length === MOST_SENDERS) return;
      place = this.#userIds.push(userId) - 1;
      this.#placeOf.set(userId, place);
    }
    this.#senders ??= new Uint8Array(this.#pieceCount);
    this.#senders[pieceIndex] = place + 1;
  }

  /** -1: unknown. */
  senderOf(pieceIndex: number): number {
    const place = (this.#senders?.[pieceIndex] ?? 0) - 1;
    return place < this.#userIds.length ? place : -1;
  }
}

export interface PieceFacts {
  readonly pieceCount: number;
  readonly senders: PieceSenders;
  readonly has: (pieceIndex: number) => boolean;
  readonly isWanted: (pieceIndex: number) => boolean;
  readonly isComing: (pieceIndex: number) => boolean;
  /** Connected peers that have it. */
  readonly copiesOf: (pieceIndex: number) => number;
}

type PieceState = Omit<PieceRun, "count">;

export function pieceMap(facts: PieceFacts): PieceMap {
  const { pieceCount, senders } = facts;
  const stateOf = (pieceIndex: number): PieceState => {
    if (facts.has(pieceIndex)) return { from: senders.senderOf(pieceIndex) };
    if (facts.isComing(pieceIndex)) return { from: MISSING, isComing: true };
    return facts.isWanted(pieceIndex) ? { from: MISSING } : { from: MISSING, isLeftOut: true };
  };
  const areRunsFew =
    pieceCount <= MOST_RUNS ||
    (runsAreFew(pieceCount, stateOf, isSameState) && runsAreFew(pieceCount, facts.copiesOf, Object.is));
  const piecesPerCell = areRunsFew ? 1 : Math.ceil(pieceCount / MOST_RUNS);
  const runs: { -readonly [K in keyof PieceRun]: PieceRun[K] }[] = [];
  const availability: { count: number; copies: number }[] = [];
  for (let first = 0; first < pieceCount; first += piecesPerCell) {
    const count = Math.min(piecesPerCell, pieceCount - first);
    const state = count === 1 ? stateOf(first) : stateOfCell(first, count, stateOf);
    let copies = facts.copiesOf(first);
    for (let at = first + 1; at < first + count; at++) copies = Math.min(copies, facts.copiesOf(at));
    const [run, level] = [runs.at(-1), availability.at(-1)];
    if (run !== undefined && isSameState(run, state)) run.count += count;
    else runs.push({ count, ...state });
    if (level !== undefined && level.copies === copies) level.count += count;
    else availability.push({ count, copies });
  }
  return { pieceCount, piecesPerCell, runs, sources: senders.userIds, availability };
}

function runsAreFew<T>(
  pieceCount: number,
  of: (pieceIndex: number) => T,
  isSame: (a: T, b: T) => boolean,
): boolean {
  let runCount = 1;
  let last = of(0);
  for (let at = 1; at < pieceCount; at++) {
    const value = of(at);
    if (isSame(last, value)) continue;
    last = value;
    if (++runCount > MOST_RUNS) return false;
  }
  return true;
}

/** That of most of its pieces; it is coming if one of them is. */
function stateOfCell(first: number, count: number, stateOf: (pieceIndex: number) => PieceState): PieceState {
  const counts = new Map<string, { state: PieceState; count: number }>();
  let most: { state: PieceState; count: number } | undefined;
  for (let at = first; at < first + count; at++) {
    const state = stateOf(at);
    if (state.isComing === true) return state;
    const name = `${state.from} ${state.isLeftOut === true}`;
    const seen = counts.get(name) ?? { state, count: 0 };
    seen.count++;
    counts.set(name, seen);
    if (most === undefined || seen.count > most.count) most = seen;
  }
  return most?.state ?? { from: MISSING };
}

function isSameState(a: PieceState, b: PieceState): boolean {
  return a.from === b.from && a.isComing === b.isComing && a.isLeftOut === b.isLeftOut;
}
