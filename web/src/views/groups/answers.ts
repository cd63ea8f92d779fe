// Answers of the daemon that several views show: kept while the page is open, so that a view that opens again shows what was known at
// once; fetched anew when an event says that they changed, and from time to time while somebody looks.
import { type Signal, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type AnswerOf, call, type EndpointName, type InputOf } from "../../api/call.ts";
import { link, onEvent } from "../../api/live.ts";

/** Lists of large groups have megabytes: only the latest are kept. */
const MOST_KEPT = 24;
/** Events that come together cause one call. */
const SETTLE_MS = 250;

export interface Answer<T> {
  /** The latest answer; undefined until there is one. */
  readonly value: T | undefined;
  /** Why there is none, or no newer one. */
  readonly error: unknown;
  /** Resolves when it has been asked again. */
  readonly refresh: () => Promise<void>;
}

interface Kept<T> {
  readonly state: Signal<{ readonly value: T | undefined; readonly error: unknown }>;
  /** Views that show it. */
  viewers: number;
  running: Promise<void> | undefined;
  /** Something changed while it was asked. */
  isStale: boolean;
  readonly ask: () => Promise<T>;
}

const kept = new Map<string, Kept<unknown>>();

export interface AskOptions {
  /** Events after which it is asked again. */
  readonly on?: readonly string[];
  /** Of these events, those that have this group. */
  readonly groupId?: string | undefined;
  /** Asked again so often while the page is seen. */
  readonly everyMs?: number | undefined;
  /** False: it is not asked. */
  readonly isWanted?: boolean;
}

export function useAnswer<N extends EndpointName>(
  name: N,
  input: InputOf<N>,
  options: AskOptions = {},
): Answer<AnswerOf<N>> {
  const key = `${name} ${JSON.stringify(input)}`;
  const { on = [], groupId, everyMs, isWanted = true } = options;
  const one = keptFor<AnswerOf<N>>(key, () => (call as Call<N>)(name, input));
  useEffect(() => {
    if (!isWanted) return;
    one.viewers++;
    void refresh(one);
    let settling: ReturnType<typeof setTimeout> | undefined;
    const soon = (): void => {
      settling ??= setTimeout(() => {
        settling = undefined;
        void refresh(one);
      }, SETTLE_MS);
    };
    const ends = on.map((type) =>
      onEvent(type, (data) => {
        if (groupId === undefined || data.groupId === groupId) soon();
      }),
    );
    let wasLive = link.peek() === "live";
    ends.push(
      link.subscribe((now) => {
        // Whatever happened in between was missed.
        if (now === "live" && !wasLive) soon();
        wasLive = now === "live";
      }),
    );
    const timer =
      everyMs === undefined
        ? undefined
        : setInterval(() => {
            if (document.visibilityState === "visible") void refresh(one);
          }, everyMs);
    return () => {
      one.viewers--;
      clearTimeout(settling);
      clearInterval(timer);
      for (const end of ends) end();
    };
  }, [key, isWanted]);
  return { ...one.state.value, refresh: () => refresh(one) };
}

type Call<N extends EndpointName> = (name: N, input: InputOf<N>) => Promise<AnswerOf<N>>;

function keptFor<T>(key: string, ask: () => Promise<T>): Kept<T> {
  let one = kept.get(key) as Kept<T> | undefined;
  if (one === undefined) {
    one = {
      state: signal({ value: undefined, error: undefined }),
      ask,
      viewers: 0,
      running: undefined,
      isStale: false,
    };
    kept.set(key, one as Kept<unknown>);
    for (const [old, { viewers }] of kept) {
      if (kept.size <= MOST_KEPT) break;
      if (viewers === 0 && old !== key) kept.delete(old);
    }
  }
  return one;
}

function refresh<T>(one: Kept<T>): Promise<void> {
  if (one.running !== undefined) {
    one.isStale = true;
    return one.running;
  }
  one.running = (async () => {
    do {
      one.isStale = false;
      try {
        one.state.value = { value: await one.ask(), error: undefined };
      } catch (error) {
        one.state.value = { ...one.state.peek(), error };
      }
    } while (one.isStale && one.viewers > 0);
    one.running = undefined;
  })();
  return one.running;
}
