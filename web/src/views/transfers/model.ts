// What the list of transfers shows: its rows, made from what the daemon tells, with the filter, the order and the ticks of this
// browser.
import { computed, effect, type Signal, signal } from "@preact/signals";
import { type DownloadStatus, downloads, type ShareStatus, shares } from "../../api/live.ts";
import { keep, kept } from "../../state/kept.ts";
import { emptySelection, keepOnly, type Selection } from "../../state/selection.ts";
import { TimeLeft } from "../../state/time-left.ts";
import {
  FILTERS,
  filterCounts,
  found,
  inPlace,
  isIn,
  ORDERS,
  ordered,
  type TransferFilter,
  type TransferOrder,
  type TransferRow,
  totalsOf,
  transferRow,
} from "../../state/transfer-rows.ts";

const KEPT_ORDER = "transfers.order";

export const filter: Signal<TransferFilter> = signal("all");
export const searched = signal("");
export const order: Signal<TransferOrder> = signal(ORDERS.find((one) => one === kept(KEPT_ORDER)) ?? "state");
export const selection: Signal<Selection> = signal(emptySelection);
/** The list is under the pointer: rows keep their places. */
export const isHeld = signal(false);
/** Rows that are about to be removed, unless that is undone. */
export const leaving: Signal<ReadonlySet<string>> = signal(new Set());

export function setOrder(to: TransferOrder): void {
  order.value = to;
  keep(KEPT_ORDER, to);
}

interface Made {
  readonly download: DownloadStatus | undefined;
  readonly share: ShareStatus | undefined;
  readonly row: TransferRow;
}

let made = new Map<string, Made>();
const timesLeft = new Map<string, TimeLeft>();
const shownLeft = new Map<string, number>();

/** Seconds to show, smoothed. */
export function leftOf({ key, state }: TransferRow): number | undefined {
  return state === "moving" ? shownLeft.get(key) : undefined;
}

function noteTimeLeft({ key, state, secondsLeft }: TransferRow): void {
  if (state !== "moving" && state !== "starting") {
    timesLeft.delete(key);
    shownLeft.delete(key);
    return;
  }
  let time = timesLeft.get(key);
  if (time === undefined) {
    time = new TimeLeft();
    timesLeft.set(key, time);
  }
  const shown = time.update(secondsLeft, Date.now());
  if (shown === undefined) shownLeft.delete(key);
  else shownLeft.set(key, shown);
}

/** A row is made anew only when its download or share changed. */
function rowFor(key: string, now: Map<string, Made>): TransferRow | undefined {
  const download = downloads.value.get(key)?.value;
  const share = shares.value.get(key)?.value;
  const before = made.get(key);
  if (before !== undefined && before.download === download && before.share === share) {
    now.set(key, before);
    return before.row;
  }
  const row = transferRow(key, download, share);
  if (row === undefined) return undefined;
  now.set(key, { download, share, row });
  noteTimeLeft(row);
  return row;
}

/** Everything, in no order. */
export const allRows = computed((): readonly TransferRow[] => {
  const now = new Map<string, Made>();
  const rows: TransferRow[] = [];
  const gone = leaving.value;
  const take = (key: string): void => {
    const row = rowFor(key, now);
    if (row !== undefined && !gone.has(key)) rows.push(row);
  };
  for (const key of downloads.value.keys()) take(key);
  for (const key of shares.value.keys()) if (!downloads.value.has(key)) take(key);
  for (const key of timesLeft.keys()) {
    if (now.has(key)) continue;
    timesLeft.delete(key);
    shownLeft.delete(key);
  }
  made = now;
  return rows;
});

export const counts = computed(() => filterCounts(allRows.value));
export const totals = computed(() => totalsOf(allRows.value));

/** The longest time left of what moves; undefined if nothing is known. */
export const totalLeft = computed(() => {
  let longest: number | undefined;
  for (const row of allRows.value) {
    const left = leftOf(row);
    if (left !== undefined && left > (longest ?? 0)) longest = left;
  }
  return longest;
});

let places: readonly string[] = [];
let placesOf = "";

/** What the list shows, in its order. */
export const shownRows = computed((): readonly TransferRow[] => {
  const chosen = FILTERS.find((one) => one === filter.value) ?? "all";
  const matching = found(
    chosen === "all" ? allRows.value : allRows.value.filter((row) => isIn(row, chosen)),
    searched.value,
  );
  const asked = `${chosen} ${order.value} ${searched.value}`;
  // Sorting what is nearly sorted takes one look at each.
  const before = inPlace(matching, places);
  const rows = isHeld.value && asked === placesOf ? before : ordered(before, order.value, leftOf);
  places = rows.map(({ key }) => key);
  placesOf = asked;
  return rows;
});

/** By key; for the details and the ticks. */
export const rowByKey = computed(() => new Map(allRows.value.map((row) => [row.key, row])));

export const tickedRows = computed(() =>
  [...selection.value.keys].flatMap((key) => rowByKey.value.get(key) ?? []),
);

effect(() => {
  const kept = keepOnly(selection.value, rowByKey.value);
  if (kept !== selection.peek()) selection.value = kept;
});
