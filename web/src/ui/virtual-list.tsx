// A list of any length, of which only what is seen is in the document. It scrolls with the nearest element that has `data-scroll`,
// so what stands above it scrolls along. One Tab stop; arrows, Home and End move the row that has it.
import type { Signal } from "@preact/signals";
import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  type VirtualItem,
  Virtualizer,
} from "@tanstack/virtual-core";
import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

export interface VirtualListProps<Row> {
  readonly rows: readonly Row[];
  /** In pixels. With `isMeasured` a guess, until a row has been seen. */
  readonly rowHeight: number | ((row: Row, index: number) => number);
  readonly keyOf: (row: Row) => string;
  readonly render: (row: Row, index: number) => ComponentChildren;
  /** What the list is, for screen readers. */
  readonly label: string;
  /** table: rows have cells with role=cell. tree: set `rowProps` for levels. */
  readonly role?: "list" | "table" | "grid" | "listbox" | "tree";
  /** Rows may be of another height than `rowHeight` says. */
  readonly isMeasured?: boolean;
  /** Index of the row that the keyboard is on; -1: none. The list writes it, too. */
  readonly active?: Signal<number>;
  /** More attributes of a row: aria-selected, aria-level, class, and so on. */
  readonly rowProps?: (row: Row, index: number) => Readonly<Record<string, unknown>>;
  /** A key on the active row; true: it was for it. Arrows, Home, End and the page keys are the list's own. */
  readonly onRowKey?: (event: KeyboardEvent, row: Row, index: number) => boolean;
  /** A row of column heads that precedes the rows (role=table): counts in aria-rowindex. */
  readonly hasHead?: boolean;
  readonly class?: string;
}

const ROW_ROLE = {
  list: "listitem",
  table: "row",
  grid: "row",
  listbox: "option",
  tree: "treeitem",
} as const;
/** Rows above and below what is seen: the next wheel notch shows no gap. */
const OVERSCAN = 8;

export function VirtualList<Row>(props: VirtualListProps<Row>) {
  const { rows, rowHeight, keyOf, render, label, role = "list", isMeasured = false, hasHead = false } = props;
  const list = useRef<HTMLDivElement>(null);
  const [, setVersion] = useState(0);
  const [own, setOwn] = useState(-1);
  const [virtualizer] = useState(
    () =>
      new Virtualizer<HTMLElement, HTMLElement>({
        count: 0,
        getScrollElement: () => list.current?.closest<HTMLElement>("[data-scroll]") ?? null,
        estimateSize: () => 0,
        observeElementRect,
        observeElementOffset,
        scrollToFn: elementScroll,
      }),
  );
  // Another function makes the virtualizer place all rows anew.
  const getItemKey = useCallback(
    (index: number) => {
      const row = rows[index];
      return row === undefined ? index : keyOf(row);
    },
    [rows, keyOf],
  );
  virtualizer.setOptions({
    ...virtualizer.options,
    count: rows.length,
    overscan: OVERSCAN,
    estimateSize: (index) => {
      if (typeof rowHeight === "number") return rowHeight;
      const row = rows[index];
      return row === undefined ? 0 : rowHeight(row, index);
    },
    getItemKey,
    onChange: () => setVersion((version) => version + 1),
  });
  useLayoutEffect(() => {
    const end = virtualizer._didMount();
    virtualizer._willUpdate();
    return end;
  }, [virtualizer]);
  useLayoutEffect(() => virtualizer._willUpdate());
  useLayoutEffect(() => {
    const scroller = virtualizer.scrollElement;
    if (list.current === null || scroller === null) return;
    // What stands above the list may have another height: then the content of the scroller has, too.
    const place = (): void => {
      if (list.current === null) return;
      const ofScroller = scroller.getBoundingClientRect();
      const top = list.current.getBoundingClientRect().top - ofScroller.top + scroller.scrollTop;
      if (Math.abs(top - (virtualizer.options.scrollMargin ?? 0)) < 1) return;
      virtualizer.setOptions({ ...virtualizer.options, scrollMargin: top });
      setVersion((version) => version + 1);
    };
    place();
    const observer = new ResizeObserver(place);
    for (let inside: Element | null = list.current; inside !== null && inside !== scroller; ) {
      observer.observe(inside);
      inside = inside.parentElement;
    }
    return () => observer.disconnect();
  }, [virtualizer]);
  // Rows of another height are measured anew.
  useEffect(() => virtualizer.measure(), [rowHeight, virtualizer]);

  const active = props.active?.value ?? own;
  const focusable = active >= 0 && active < rows.length ? active : 0;
  const setActive = (index: number): void => {
    setOwn(index);
    if (props.active !== undefined) props.active.value = index;
  };
  const moveTo = (index: number): void => {
    const to = Math.max(0, Math.min(rows.length - 1, index));
    setActive(to);
    virtualizer.scrollToIndex(to, { align: "auto" });
    // The row may not be in the document before the list has scrolled.
    requestAnimationFrame(() => focusRow(list.current, to));
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || !isRow(event.target)) return;
    const row = rows[focusable];
    if (row !== undefined && props.onRowKey?.(event, row, focusable)) {
      event.preventDefault();
      return;
    }
    const page = Math.max(
      1,
      Math.floor((virtualizer.scrollRect?.height ?? 400) / virtualizer.options.estimateSize(focusable)) - 1,
    );
    const steps: Readonly<Record<string, number>> = {
      ArrowDown: focusable + 1,
      ArrowUp: focusable - 1,
      PageDown: focusable + page,
      PageUp: focusable - page,
      Home: 0,
      End: rows.length - 1,
    };
    const to = steps[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    moveTo(to);
  };
  const margin = virtualizer.options.scrollMargin ?? 0;
  const rowOf = (item: VirtualItem): ComponentChildren => {
    const row = rows[item.index];
    if (row === undefined) return null;
    const { class: rowClass, ...more } = props.rowProps?.(row, item.index) ?? {};
    return (
      <div
        key={item.key}
        role={ROW_ROLE[role]}
        class={rowClass === undefined ? "virtual-row" : `virtual-row ${rowClass}`}
        data-index={item.index}
        ref={isMeasured ? (element: HTMLElement | null) => virtualizer.measureElement(element) : undefined}
        tabIndex={item.index === focusable ? 0 : -1}
        {...positionOf(role, item.index, rows.length, hasHead)}
        {...more}
        style={{
          transform: `translateY(${item.start - margin}px)`,
          ...(!isMeasured && { height: `${item.size}px` }),
        }}
        onFocus={() => {
          if (active !== item.index) setActive(item.index);
        }}
      >
        {render(row, item.index)}
      </div>
    );
  };
  return (
    <div
      ref={list}
      class={props.class === undefined ? "virtual" : `virtual ${props.class}`}
      role={role === "table" || role === "grid" ? "rowgroup" : role}
      aria-label={label}
      style={{ height: `${virtualizer.getTotalSize()}px` }}
      onKeyDown={onKeyDown}
    >
      {virtualizer.getVirtualItems().map(rowOf)}
    </div>
  );
}

function positionOf(
  role: string,
  index: number,
  count: number,
  hasHead: boolean,
): Readonly<Record<string, number>> {
  if (role === "table" || role === "grid") return { "aria-rowindex": index + (hasHead ? 2 : 1) };
  return { "aria-posinset": index + 1, "aria-setsize": count };
}

function isRow(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.classList.contains("virtual-row");
}

function focusRow(list: HTMLElement | null, index: number): void {
  list?.querySelector<HTMLElement>(`.virtual-row[data-index="${index}"]`)?.focus({ preventScroll: true });
}
