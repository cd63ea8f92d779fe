// Why transfers stand still, for the rows that are seen: asked for one after the other, and again while they do.
import { type Signal, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type AnswerOf, call } from "../../api/call.ts";
import type { TransferRow } from "../../state/transfer-rows.ts";

export type Why = AnswerOf<"why">;

const AGAIN_MS = 10_000;
const AT_ONCE = 3;
/** Answers that are kept of rows that are not seen any more. */
const MOST_KEPT = 200;

const whys = new Map<string, Signal<Why | undefined>>();
const queue: (() => Promise<void>)[] = [];
let running = 0;

function next(): void {
  if (running >= AT_ONCE) return;
  const ask = queue.shift();
  if (ask === undefined) return;
  running++;
  void ask().finally(() => {
    running--;
    next();
  });
}

function signalOf(key: string): Signal<Why | undefined> {
  const known = whys.get(key) ?? signal(undefined);
  whys.delete(key);
  whys.set(key, known);
  const [oldest] = whys.keys();
  if (whys.size > MOST_KEPT && oldest !== undefined) whys.delete(oldest);
  return known;
}

/** The daemon's report; undefined until it is there, or if the row does not stand still. */
export function useWhy(
  { key, groupId, fileName, state, reason }: TransferRow,
  isAsked: boolean,
): Why | undefined {
  useEffect(() => {
    if (!isAsked) return;
    let isGone = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async (): Promise<void> => {
      if (isGone) return;
      try {
        const why = await call("why", { groupId, fileName });
        if (!isGone) signalOf(key).value = why;
      } catch {
        // What the row says by itself is enough.
      }
      if (!isGone) timer = setTimeout(enqueue, AGAIN_MS);
    };
    const enqueue = (): void => {
      queue.push(ask);
      next();
    };
    enqueue();
    return () => {
      isGone = true;
      clearTimeout(timer);
    };
  }, [key, state, reason, isAsked]);
  const why = signalOf(key).value;
  return isAsked && why?.state === downloadState(state) ? why : undefined;
}

function downloadState(state: TransferRow["state"]): string {
  return state === "stuck" || state === "moving" || state === "starting" ? "downloading" : state;
}
