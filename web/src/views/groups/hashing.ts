// How far files are hashed that are about to be shared, as the daemon tells it.
import { signal } from "@preact/signals";
import { onEvent } from "../../api/live.ts";

/** An entry that is not told of any more is over. */
const FORGOTTEN_MS = 5_000;

interface Hashing {
  /** 0 to 1. */
  readonly share: number;
  readonly atMs: number;
}

const hashing = signal<ReadonlyMap<string, Hashing>>(new Map());
let timer: ReturnType<typeof setInterval> | undefined;

onEvent("hash-progress", (data) => {
  const { path, hashedBytes, lengthBytes } = data as {
    path: string;
    hashedBytes: number;
    lengthBytes: number;
  };
  const now = Date.now();
  const next = new Map(hashing.peek());
  next.set(path, { share: lengthBytes === 0 ? 0 : hashedBytes / lengthBytes, atMs: now });
  hashing.value = next;
  timer ??= setInterval(forget, 1_000);
});

function forget(): void {
  const now = Date.now();
  const next = new Map([...hashing.peek()].filter(([, { atMs }]) => now - atMs < FORGOTTEN_MS));
  if (next.size !== hashing.peek().size) hashing.value = next;
  if (next.size > 0) return;
  clearInterval(timer);
  timer = undefined;
}

/** 0 to 1; undefined while nothing is hashed there. @param names the path, or what else the daemon may call it */
export function hashingOf(...names: readonly string[]): number | undefined {
  if (hashing.value.size === 0) return undefined;
  for (const name of names) {
    const found = hashing.value.get(name);
    if (found !== undefined) return found.share;
  }
  return undefined;
}
