// What the daemon tells of itself, as signals. The stream of events is read with fetch, since EventSource cannot send the page's
// key. When it breaks, the page keeps what it has, says so, and tries again.
import { batch, computed, effect, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { DownloadStatus, ShareStatus } from "../../../src/client/status.ts";
import type { DaemonStatus } from "../../../src/daemon/status-schemas.ts";
import { type Entries, LiveList, type Named } from "../state/changes.ts";
import { EventReader, type ServerEvent } from "../state/event-reader.ts";
import { LiveRates, type Rates } from "../state/live-rates.ts";
import { retryDelayMs } from "../state/retry-delay.ts";
import { shareKey } from "../state/share-key.ts";
import { ApiError, isSignedOut, request } from "./call.ts";

export type { DaemonStatus, DownloadStatus, ShareStatus };
export { shareKey as key };

export type ListName = "downloads" | "shares";
export interface LostLink {
  readonly lostAtMs: number;
  readonly nextTryAtMs: number;
  /** The daemon's sentence, if it answered and refused. */
  readonly refusal: string | undefined;
}
export type Link = "connecting" | "live" | LostLink;

/** The daemon sends a comment every 15 s; a stream that is silent for longer is broken. */
const MOST_SILENCE_MS = 40_000;
/**
 * A page that nobody has looked at for this long stops listening until somebody does: a browser opens six connections to a host, and
 * each page that listens holds one (HTTP/1.1).
 */
const ASLEEP_AFTER_MS = 60_000;

const downloadList = new LiveList<DownloadStatus>();
const shareList = new LiveList<ShareStatus>();

/** undefined until the daemon has answered once. */
export const status: Signal<DaemonStatus | undefined> = signal(undefined);
/** By `key(groupId, fileName)`; each entry changes by itself, the map when one comes or goes. */
export const downloads: ReadonlySignal<Entries<DownloadStatus>> = downloadList.entries;
export const shares: ReadonlySignal<Entries<ShareStatus>> = shareList.entries;
export const link: Signal<Link> = signal("connecting");
const liveRates = new LiveRates();
/** Of all downloads and shares together. */
export const rates: Signal<Rates> = signal(liveRates.sum);
/** When something was last heard of the daemon, in milliseconds since 1970. */
export const heardAtMs: Signal<number> = signal(0);

type Listener = (data: Record<string, unknown>) => void;
const listeners = new Map<string, Set<Listener>>();

/**
 * Calls `listener` when an event of that type arrives.
 *
 * @param type as in docs/api.md: `changed`, `hash-progress`, or what the terminal reports under that name
 * @returns ends it
 */
export function onEvent(type: string, listener: Listener): () => void {
  let ofType = listeners.get(type);
  if (ofType === undefined) {
    ofType = new Set();
    listeners.set(type, ofType);
  }
  ofType.add(listener);
  return () => ofType.delete(listener);
}

const watchers: Signal<readonly (readonly ListName[])[]> = signal([]);
const watched = computed(() => [...new Set(watchers.value.flat())].sort().join(","));

/**
 * Keeps these lists up to date.
 *
 * @returns ends it
 */
export function watch(lists: readonly ListName[]): () => void {
  watchers.value = [...watchers.peek(), lists];
  return () => {
    watchers.value = watchers.peek().filter((one) => one !== lists);
  };
}

let lastEventId: string | undefined;
let wake: (() => void) | undefined;

/** Does not wait for the next try. */
export function tryNow(): void {
  wake?.();
}

const isAsleep = signal(false);

/** Notifications need the events of a page that nobody looks at. */
function sleepUnseen(isWanted: () => boolean): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.visibilityState === "visible") isAsleep.value = false;
    else {
      timer = setTimeout(() => {
        isAsleep.value = !isWanted();
      }, ASLEEP_AFTER_MS);
    }
  });
}

/**
 * Follows the daemon as long as the page is open.
 *
 * @param isWantedUnseen whether events count also while nobody looks at the page
 */
export function follow(isWantedUnseen: () => boolean): void {
  sleepUnseen(isWantedUnseen);
  let running: AbortController | undefined;
  effect(() => {
    const lists = watched.value;
    const isAllowed = !isSignedOut.value && !isAsleep.value;
    running?.abort();
    if (!isAllowed) {
      link.value = "connecting";
      return;
    }
    running = new AbortController();
    void keepReading(lists, running.signal);
  });
  addEventListener("online", tryNow);
}

async function keepReading(lists: string, stop: AbortSignal): Promise<void> {
  // Views that open and close one after the other ask once.
  await Promise.resolve();
  for (let failures = 0; !stop.aborted; ) {
    let refusal: string | undefined;
    try {
      await readEvents(lists, stop, () => {
        failures = 0;
      });
    } catch (error) {
      if (stop.aborted) return;
      if (error instanceof ApiError && error.status === 401) return;
      if (error instanceof ApiError && error.status > 0) refusal = error.message;
    }
    if (stop.aborted) return;
    failures++;
    const now = Date.now();
    const delayMs = retryDelayMs(failures);
    const before = link.peek();
    const lostAtMs = typeof before === "object" ? before.lostAtMs : now;
    link.value = { lostAtMs, nextTryAtMs: now + delayMs, refusal };
    await pause(delayMs, stop);
  }
}

function pause(delayMs: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      stop.removeEventListener("abort", end);
      wake = undefined;
      resolve();
    };
    const timer = setTimeout(end, delayMs);
    stop.addEventListener("abort", end);
    wake = end;
  });
}

async function readEvents(lists: string, stop: AbortSignal, onLive: () => void): Promise<void> {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), MOST_SILENCE_MS);
  try {
    const answer = await request(`/events?lists=${lists}`, {
      headers: { accept: "text/event-stream", ...(lastEventId && { "last-event-id": lastEventId }) },
      signal: AbortSignal.any([stop, silence.signal]),
    });
    if (answer.body === null) return;
    const reader = new EventReader();
    const text = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await text.read();
      if (done || stop.aborted) return;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), MOST_SILENCE_MS);
      const events = reader.read(value);
      batch(() => {
        heardAtMs.value = Date.now();
        for (const event of events) take(event);
        if (events.some(({ type }) => type === "snapshot")) {
          link.value = "live";
          onLive();
        }
      });
    }
  } finally {
    clearTimeout(timer);
  }
}

interface Told {
  readonly status?: DaemonStatus;
  readonly downloads?: readonly DownloadStatus[];
  readonly shares?: readonly ShareStatus[];
  readonly downloadsEnded?: readonly Named[];
  readonly sharesEnded?: readonly Named[];
}

function take({ id, type, data }: ServerEvent): void {
  if (id !== undefined) lastEventId = id;
  const told = JSON.parse(data) as Told & Record<string, unknown>;
  if (type === "snapshot") {
    status.value = told.status;
    if (told.downloads !== undefined) {
      downloadList.replace(told.downloads);
      liveRates.replace("downloads", told.downloads);
    }
    if (told.shares !== undefined) {
      shareList.replace(told.shares);
      liveRates.replace("shares", told.shares);
    }
    rates.value = liveRates.sum;
  } else if (type === "changed") {
    if (told.status !== undefined) status.value = told.status;
    downloadList.change(told.downloads ?? [], told.downloadsEnded ?? []);
    shareList.change(told.shares ?? [], told.sharesEnded ?? []);
    liveRates.change("downloads", told.downloads ?? [], told.downloadsEnded ?? []);
    liveRates.change("shares", told.shares ?? [], told.sharesEnded ?? []);
    rates.value = liveRates.sum;
  }
  for (const listener of [...(listeners.get(type) ?? [])]) listener(told);
}
