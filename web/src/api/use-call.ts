// An answer of the daemon in a component: asked for when it appears and when its input changes.
import { useEffect, useState } from "preact/hooks";
import { type AnswerOf, call, type EndpointName, type InputOf, sentenceOf } from "./call.ts";
import { link } from "./live.ts";

export interface Asked<T> {
  /** undefined until the first answer; the last one stays while another is asked for. */
  readonly answer: T | undefined;
  /** The sentence of the last error, until an answer comes. */
  readonly error: string | undefined;
  /** Asks again, or takes what is known to be the answer now. */
  readonly reload: (known?: T) => void;
}

/** @param input undefined: it is not asked */
export function useCall<N extends EndpointName>(name: N, input: InputOf<N> | undefined): Asked<AnswerOf<N>> {
  const [answer, setAnswer] = useState<AnswerOf<N>>();
  const [error, setError] = useState<string>();
  const [turn, setTurn] = useState(0);
  const asked = input === undefined ? undefined : JSON.stringify(input);
  // After the daemon was away, what it answered before may be old.
  const isLive = link.value === "live";
  useEffect(() => {
    if (asked === undefined || !isLive) return;
    const gone = new AbortController();
    const ask = call as (name: N, input: unknown, options: { signal: AbortSignal }) => Promise<AnswerOf<N>>;
    ask(name, JSON.parse(asked), { signal: gone.signal }).then(
      (given) => {
        setAnswer(() => given);
        setError(undefined);
      },
      (failure: unknown) => {
        if (!gone.signal.aborted) setError(sentenceOf(failure));
      },
    );
    return () => gone.abort();
  }, [name, asked, turn, isLive]);
  const reload = (known?: AnswerOf<N>): void => {
    if (known === undefined) setTurn((count) => count + 1);
    else setAnswer(() => known);
  };
  return { answer, error, reload };
}
