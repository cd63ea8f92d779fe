// Calls the daemon again and again while a view is open and the page is seen.
import { useEffect, useState } from "preact/hooks";
import { type AnswerOf, call, type EndpointName, type InputOf, sentenceOf } from "../../api/call.ts";

export interface Polled<N extends EndpointName> {
  /** The last answer; undefined until the first. */
  readonly answer: AnswerOf<N> | undefined;
  /** Why the last call failed, as a sentence; undefined if it did not. */
  readonly error: string | undefined;
}

/**
 * @param input undefined: do not call. Another input forgets the answer.
 * @param periodMs from an answer to the next call
 */
export function usePolled<N extends EndpointName>(
  name: N,
  input: InputOf<N> | undefined,
  periodMs: number,
): Polled<N> {
  const [polled, setPolled] = useState<Polled<N> & { readonly of: string }>();
  const of = JSON.stringify(input);
  useEffect(() => {
    if (input === undefined) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isAsking = false;
    const ask = async (): Promise<void> => {
      if (isAsking) return;
      isAsking = true;
      clearTimeout(timer);
      if (!document.hidden) {
        try {
          const answer = await (call as (...all: unknown[]) => Promise<AnswerOf<N>>)(name, input, {
            signal: stop.signal,
          });
          setPolled({ answer, error: undefined, of });
        } catch (error) {
          if (stop.signal.aborted) return;
          setPolled((before) => ({
            answer: before?.of === of ? before.answer : undefined,
            error: sentenceOf(error),
            of,
          }));
        }
      }
      isAsking = false;
      if (!stop.signal.aborted) timer = setTimeout(() => void ask(), periodMs);
    };
    void ask();
    const onSeen = (): void => {
      if (!document.hidden) void ask();
    };
    document.addEventListener("visibilitychange", onSeen);
    return () => {
      stop.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onSeen);
    };
  }, [name, of, periodMs]);
  return polled !== undefined && polled.of === of ? polled : { answer: undefined, error: undefined };
}
