// Downloads and what this machine shares, and the details of one of them: beside the list where there is room, else as a view of
// their own.
import { effect, type Signal, signal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { link, watch } from "../../api/live.ts";
import { duration } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { registerKeys } from "../../keys.ts";
import { go, href, route } from "../../routes.ts";
import { emptySelection, extendTo, toggle } from "../../state/selection.ts";
import { shareKey } from "../../state/share-key.ts";
import { FILTERS, ORDERS, type TransferFilter, type TransferRow } from "../../state/transfer-rows.ts";
import { Button } from "../../ui/button.tsx";
import { Empty, Skeleton } from "../../ui/empty.tsx";
import { Field } from "../../ui/field.tsx";
import { Icon } from "../../ui/icon.tsx";
import { announce } from "../../ui/live-region.tsx";
import { Menu } from "../../ui/menu.tsx";
import { Segments } from "../../ui/segments.tsx";
import { VirtualList } from "../../ui/virtual-list.tsx";
import "../../styles/transfers.css";
import { pauseOrResume } from "./actions.ts";
import { BulkBar } from "./bulk-bar.tsx";
import { Details } from "./details.tsx";
import { Legend } from "./legend.tsx";
import { LimitDialog } from "./limit-dialog.tsx";
import { limiting } from "./limiting.ts";
import { memberNames } from "./members.ts";
import {
  allRows,
  counts,
  filter,
  isHeld,
  order,
  rowByKey,
  searched,
  selection,
  setOrder,
  shownRows,
  totalLeft,
  totals,
} from "./model.ts";
import { Row, rowHeight } from "./row.tsx";
import { rowText, sentence } from "./words.ts";

/** From this width on, details stand beside the list. */
const isWide = following("(min-width: 1080px)");
/** Below this width, what a row says stands in lines below each other. */
const isPhone = following("(max-width: 759px)");

function following(condition: string): Signal<boolean> {
  const query = matchMedia(condition);
  const holds = signal(query.matches);
  query.addEventListener("change", () => {
    holds.value = query.matches;
  });
  return holds;
}

/** Index of the row that the keyboard is on; it goes along when its row moves. */
const active = signal(-1);
let activeKey: string | undefined;

effect(() => {
  activeKey = shownRows.peek()[active.value]?.key;
});
effect(() => {
  const rows = shownRows.value;
  if (activeKey === undefined || rows[active.peek()]?.key === activeKey) return;
  active.value = rows.findIndex(({ key }) => key === activeKey);
});
const isSearching = signal(false);

export default function Transfers() {
  useEffect(() => watch(["downloads", "shares"]), []);
  useAnnouncements();
  const now = route.value;
  const { groupId, fileName } = now.view === "transfers" ? now : {};
  const isOpen = groupId !== undefined && fileName !== undefined;
  const opened = isOpen ? shareKey(groupId, fileName) : undefined;
  const isBeside = isOpen && isWide.value;
  return (
    <div class={isBeside ? "transfers transfers-split" : "transfers"}>
      {(!isOpen || isBeside) && <List opened={opened} />}
      {isOpen && <Details key={opened} groupId={groupId} fileName={fileName} isBeside={isBeside} />}
      {limiting.value !== undefined && (
        <LimitDialog rows={limiting.value} onClose={() => (limiting.value = undefined)} />
      )}
    </div>
  );
}

function List({ opened }: { readonly opened: string | undefined }) {
  const rows = shownRows.value;
  const search = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLElement>(null);
  useListKeys(search, list);
  const isKnown = link.value !== "connecting" || allRows.value.length > 0;
  return (
    <section class="transfers-list" aria-labelledby="transfers-title" data-scroll ref={list}>
      <Head searchRef={search} />
      {!isKnown && <Skeleton rows={6} />}
      {isKnown && rows.length === 0 && <Nothing />}
      {rows.length > 0 && (
        <div
          class="transfers-rows card"
          onPointerEnter={() => {
            isHeld.value = true;
          }}
          onPointerLeave={() => {
            isHeld.value = false;
          }}
        >
          <VirtualList
            rows={rows}
            rowHeight={isPhone.value ? heightOnPhone : heightElsewhere}
            keyOf={keyOf}
            label={t("transfers.list.label", { count: rows.length })}
            active={active}
            rowProps={(row) => ({
              class: rowClass(row, opened),
              "aria-label": rowText(row),
              "aria-current": row.key === opened ? "true" : undefined,
            })}
            onRowKey={onRowKey}
            render={(row) => <Row key={row.key} row={row} isOpen={row.key === opened} />}
          />
        </div>
      )}
      <BulkBar />
    </section>
  );
}

const keyOf = ({ key }: TransferRow): string => key;
const heightOnPhone = (row: TransferRow): number => rowHeight(row, true);
const heightElsewhere = (row: TransferRow): number => rowHeight(row, false);

function rowClass(row: TransferRow, opened: string | undefined): string {
  const classes = ["transfer"];
  if (row.key === opened) classes.push("transfer-open");
  if (selection.value.keys.has(row.key)) classes.push("transfer-ticked");
  return classes.join(" ");
}

function open({ groupId, fileName }: TransferRow): void {
  go({ view: "transfers", groupId, fileName });
}

/** Keys on a row that has the focus. */
function onRowKey(event: KeyboardEvent, row: TransferRow, index: number): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const rows = shownRows.peek();
  if (event.shiftKey && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    const to = rows[index + (event.key === "ArrowDown" ? 1 : -1)];
    if (to === undefined) return true;
    const begun =
      selection.peek().anchor === undefined ? toggle(selection.peek(), row.key) : selection.peek();
    selection.value = extendTo(begun, to.key, rows.map(keyOf));
    // The list moves the focus itself.
    return false;
  }
  if (event.key === " ") selection.value = toggle(selection.peek(), row.key);
  else if (event.key === "Enter") open(row);
  else return false;
  return true;
}

function useListKeys(
  search: { readonly current: HTMLInputElement | null },
  list: { readonly current: HTMLElement | null },
): void {
  useEffect(() => {
    const focused = (): TransferRow | undefined => shownRows.peek()[active.peek()];
    const meant = (): readonly TransferRow[] => {
      const ticked = [...selection.peek().keys].flatMap((key) => rowByKey.peek().get(key) ?? []);
      const one = focused();
      return ticked.length > 0 ? ticked : one === undefined ? [] : [one];
    };
    const move = (by: number): void => {
      const row = list.current?.querySelector<HTMLElement>(".virtual-row[tabindex='0']");
      if (row === null || row === undefined) return;
      if (active.peek() < 0 || document.activeElement !== row) row.focus();
      else
        row.dispatchEvent(
          new KeyboardEvent("keydown", { key: by > 0 ? "ArrowDown" : "ArrowUp", bubbles: true }),
        );
    };
    return registerKeys("transfers", {
      "/": () => {
        isSearching.value = true;
        requestAnimationFrame(() => search.current?.focus());
      },
      j: () => move(1),
      k: () => move(-1),
      x: () => {
        const row = focused();
        if (row === undefined) return false;
        selection.value = toggle(selection.peek(), row.key);
        return undefined;
      },
      p: () => {
        const rows = meant();
        if (rows.length === 0) return false;
        void pauseOrResume(rows);
        return undefined;
      },
      w: () => {
        const row = focused();
        if (row === undefined) return false;
        open(row);
        return undefined;
      },
      Escape: () => {
        const { view, ...named } = route.peek();
        if (view === "transfers" && "fileName" in named && named.fileName !== undefined) {
          go({ view: "transfers" });
        } else if (isSearching.peek() || searched.peek() !== "") {
          isSearching.value = false;
          searched.value = "";
        } else if (selection.peek().keys.size > 0) selection.value = emptySelection;
        else return false;
        return undefined;
      },
    });
  }, []);
}

function Head({ searchRef }: { readonly searchRef: RefObject<HTMLInputElement | null> }) {
  const numbers = counts.value;
  const options = FILTERS.filter(
    (one) => one === "all" || one === "active" || numbers[one] > 0 || one === filter.value,
  ).map((value) => ({ value, label: t(`transfers.filter.${value}`), count: numbers[value] }));
  return (
    <header class="transfers-head">
      <div class="page-head">
        <div class="grow">
          <h1 id="transfers-title">{t("transfers.title")}</h1>
          <p class="sub transfers-sum">{sumText()}</p>
        </div>
        <div class="actions">
          <Menu
            label={t("transfers.order.label")}
            button={{ class: "transfers-order", children: orderButton() }}
            items={ORDERS.map((one) => ({
              label: t(`transfers.order.${one}`),
              isChecked: order.value === one,
              onClick: () => setOrder(one),
            }))}
          />
          <Button
            icon="search"
            label={t("transfers.search.open")}
            isPressed={isSearching.value}
            onClick={() => {
              isSearching.value = !isSearching.value;
              if (isSearching.value) requestAnimationFrame(() => searchRef.current?.focus());
              else searched.value = "";
            }}
          />
          <Button kind="main" icon="plus" href={href({ view: "share" })} class="transfers-share">
            {t("transfers.action.share")}
          </Button>
        </div>
      </div>
      {isSearching.value && (
        <Field
          label={t("transfers.search.label")}
          isLabelHidden
          type="search"
          placeholder={t("transfers.search.label")}
          value={searched.value}
          start={<Icon name="search" />}
          inputRef={searchRef}
          onInput={(value) => (searched.value = value)}
        />
      )}
      <div class="transfers-choose">
        <Segments
          label={t("transfers.filter.label")}
          value={filter.value}
          options={options}
          onChange={(value: TransferFilter) => (filter.value = value)}
        />
        <Legend />
      </div>
    </header>
  );
}

function orderButton() {
  return (
    <>
      {t(`transfers.order.${order.value}`)}
      <Icon name="down" />
    </>
  );
}

/** `3 active, about 1 h 44 min left` */
function sumText(): string {
  const { active: running, count } = totals.value;
  if (count === 0) return "\u00a0";
  if (running === 0) return t("transfers.sum.none", { count });
  const left = totalLeft.value;
  const text = t("transfers.sum.active", { count: running });
  return left === undefined ? text : `${text}, ${t("transfers.sum.left", { time: duration(left) })}`;
}

function Nothing() {
  const text = searched.value.trim();
  if (text !== "" || filter.value !== "all") {
    return (
      <div class="card">
        <Empty
          icon="search"
          title={
            text === ""
              ? t("transfers.nothing.filter")
              : t("transfers.nothing.search", { text: text.slice(0, 60) })
          }
          actions={
            <Button
              onClick={() => {
                filter.value = "all";
                searched.value = "";
              }}
            >
              {t("transfers.nothing.showAll")}
            </Button>
          }
        />
      </div>
    );
  }
  return (
    <div class="card">
      <Empty
        icon="transfers"
        title={t("transfers.nothing.title")}
        actions={
          <Button kind="main" href={href({ view: "groups" })}>
            {t("transfers.nothing.action")}
          </Button>
        }
      >
        {t("transfers.nothing.text")}
      </Empty>
    </div>
  );
}

/** States are read out when they change, as long as they are few; rates never are. */
function useAnnouncements(): void {
  useEffect(() => {
    const known = new Map<string, string>();
    const end = allRows.subscribe((rows) => {
      const isFirst = known.size === 0;
      const said: string[] = [];
      for (const { key, groupId, state, fileName, reason } of rows) {
        const before = known.get(key);
        known.set(key, state);
        if (isFirst || before === undefined || before === state) continue;
        if (state === "complete") said.push(t("transfers.said.complete", { name: fileName }));
        else if (state === "stuck" && reason !== undefined) {
          said.push(
            t("transfers.said.stuck", { name: fileName, reason: sentence(reason, memberNames(groupId)) }),
          );
        } else if (before === "stuck" && state === "moving")
          said.push(t("transfers.said.moves", { name: fileName }));
        else if (state === "failed" && reason !== undefined) {
          said.push(
            t("transfers.said.failed", { name: fileName, reason: sentence(reason, memberNames(groupId)) }),
          );
        }
      }
      if (said.length > 0 && said.length <= 3) announce(said.join(" "));
    });
    return end;
  }, []);
}
