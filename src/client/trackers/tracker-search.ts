// Looks for a tracker that answers: dials one, a moment later also the next one, and so on, and takes the first that is
// connected. A silent tracker is not given up at once: one that thousands dial at the same time answers them in turn, and a
// client that dials again starts at the end of the queue. Sockets are opened through `open`; what is sent over them is not
// known here.
import { later } from "../../net/timers.ts";
import {
  DIAL_TIMEOUT_MS,
  FIRST_PAUSE_MS,
  LONGEST_PAUSE_MS,
  STAGGER_MS,
  WAITING_FACTOR,
} from "./retry-policy.ts";

export interface TrackerSearchOptions<S> {
  /** How many trackers there are. */
  readonly count: number;
  /** Which to dial first, from 0; the others follow in their order. */
  readonly first: number;
  /** Dials it, for as long as `signal` lasts. */
  readonly open: (index: number, signal: AbortSignal) => Promise<S>;
  /** Prepares a connected socket for use, one at a time. Closes it if that fails. */
  readonly prepare: (socket: S, index: number) => Promise<void>;
  readonly close: (socket: S) => void;
  readonly onFailure: (index: number, error: unknown) => void;
  /** Every tracker has failed or been silent for a while. Called once; the search continues. */
  readonly onNobody: () => void;
  /** Ends the search. */
  readonly signal: AbortSignal;
  /** From 0 up to 1: clients that lost their tracker together do not come back together. */
  readonly random?: () => number;
  /** Resolves after so many milliseconds, or when the signal aborts. */
  readonly wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

/** @returns the first connected socket, prepared; undefined if the search was ended */
export async function findTracker<S>(
  options: TrackerSearchOptions<S>,
): Promise<{ socket: S; index: number } | undefined> {
  const { count, first, open, prepare, close, onFailure, onNobody, signal } = options;
  const { random = Math.random, wait = sleepUntil } = options;
  const over = new AbortController();
  const stop = (): void => over.abort();
  if (signal.aborted) return undefined;
  signal.addEventListener("abort", stop);
  let found: { socket: S; index: number } | undefined;
  let preparing: Promise<void> = Promise.resolve();
  let dialling = 0;

  const prepareInTurn = async (socket: S, index: number): Promise<void> => {
    if (over.signal.aborted) return close(socket);
    await prepare(socket, index);
    if (over.signal.aborted) return close(socket);
    found = { socket, index };
    stop();
  };

  const attempt = async (index: number): Promise<void> => {
    const attemptEnded = new AbortController();
    const giveUp = (): void => attemptEnded.abort();
    over.signal.addEventListener("abort", giveUp);
    dialling++;
    try {
      void wait(DIAL_TIMEOUT_MS, attemptEnded.signal).then(giveUp);
      const socket = await open(index, attemptEnded.signal);
      const turn = preparing.then(() => prepareInTurn(socket, index));
      preparing = turn.catch(() => undefined); // thrown by `turn` itself
      await turn;
    } catch (error) {
      if (!over.signal.aborted) onFailure(index, error);
    } finally {
      dialling--;
      over.signal.removeEventListener("abort", giveUp);
      giveUp();
    }
  };

  /** Again and again, with growing pauses. `tried`: the first attempt is over. */
  const pursue = async (index: number, tried: () => void): Promise<void> => {
    let pauseMs = FIRST_PAUSE_MS;
    while (!over.signal.aborted) {
      await attempt(index);
      tried();
      const isWaiting = dialling > 0;
      const thisPauseMs = isWaiting ? pauseMs * WAITING_FACTOR : Math.min(pauseMs, LONGEST_PAUSE_MS);
      await wait(thisPauseMs * (0.5 + random()), over.signal);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS * 2);
    }
  };

  const pursuits: Promise<void>[] = [];
  for (let at = 0; at < count && !over.signal.aborted; at++) {
    const { promise: tried, resolve } = Promise.withResolvers<void>();
    pursuits.push(pursue((first + at) % count, resolve));
    const next = new AbortController();
    const goOn = (): void => next.abort();
    over.signal.addEventListener("abort", goOn);
    void tried.then(goOn);
    await wait(STAGGER_MS, next.signal);
    over.signal.removeEventListener("abort", goOn);
  }
  if (!over.signal.aborted) onNobody();
  await Promise.all(pursuits);
  signal.removeEventListener("abort", stop);
  return found;
}

/** Not the sleep of node:timers/promises: its end by a signal is an error, with a stack, which nobody reads. */
function sleepUntil(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const wake = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", wake);
      resolve();
    };
    const timer = later("a search for trackers", milliseconds, wake);
    signal.addEventListener("abort", wake);
  });
}
