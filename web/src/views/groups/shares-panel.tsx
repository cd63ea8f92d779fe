// The shares of a group: found as one types, sorted by a column, ticked for what is done with several at once.
import { signal, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { FileSummary } from "../../../../src/api/schemas.ts";
import { downloads, key, shares as ownShares } from "../../api/live.ts";
import { number } from "../../i18n/format.ts";
import { t, tx } from "../../i18n/t.ts";
import { registerKeys } from "../../keys.ts";
import { go } from "../../routes.ts";
import { emptySelection, extendTo, keepOnly, tickOf, toggle, toggleAll } from "../../state/selection.ts";
import {
  filterShares,
  guessMeant,
  prepareShares,
  pressColumn,
  type ShareColumn,
  type ShareOrder,
  sortShares,
} from "../../state/share-list.ts";
import { Button } from "../../ui/button.tsx";
import { Empty, Skeleton } from "../../ui/empty.tsx";
import { Field } from "../../ui/field.tsx";
import { Icon } from "../../ui/icon.tsx";
import { announce } from "../../ui/live-region.tsx";
import { Segments } from "../../ui/segments.tsx";
import { Tick } from "../../ui/tick.tsx";
import { VirtualList } from "../../ui/virtual-list.tsx";
import type { Answer } from "./answers.ts";
import { BulkBar } from "./bulk-bar.tsx";
import { BulkDownload } from "./bulk-download.tsx";
import { FailedAnswer } from "./failed-answer.tsx";
import { type Marks, myUserId } from "./group-answers.ts";
import { isHere, peekFacts } from "./share-facts.ts";
import { openShare, ShareRow } from "./share-row.tsx";
import { useWidth } from "./width.ts";

const ROW_PX = 40;
/** Two lines. */
const NARROW_ROW_PX = 64;
/** Below, a row has two lines. */
const NARROW_PX = 640;
/** Below, the sharer is left out. */
const MIDDLE_PX = 820;

type Which = "all" | "absent" | "mine";

interface Look {
  readonly filter: string;
  readonly which: Which;
  readonly order: ShareOrder;
}

const FIRST_LOOK: Look = { filter: "", which: "all", order: { column: "name", isDescending: false } };
/** How each group's list was looked at last, so that it is so when one comes back. */
const looks = new Map<string, Look>();

export interface SharesPanelProps {
  readonly groupId: string;
  readonly answer: Answer<FileSummary[]>;
  readonly marks: Marks;
}

export function SharesPanel({ groupId, answer, marks }: SharesPanelProps) {
  const look = useSignal<Look>(looks.get(groupId) ?? FIRST_LOOK);
  const selection = useSignal(emptySelection);
  const isChoosingPlace = useSignal(false);
  const active = useMemo(() => signal(-1), [groupId]);
  const search = useRef<HTMLInputElement>(null);
  const panel = useRef<HTMLElement>(null);
  const width = useWidth(panel);
  const isNarrow = width > 0 && width < NARROW_PX;
  const { filter, which, order } = look.value;
  const setLook = (change: Partial<Look>): void => {
    look.value = { ...look.peek(), ...change };
    looks.set(groupId, look.peek());
    active.value = -1;
  };

  const me = myUserId();
  const all = answer.value;
  const prepared = useMemo(() => prepareShares(all ?? []), [all]);
  // Which downloads there are, not how far they are.
  const here = [downloads.value, ownShares.value];
  const counts = useMemo(() => countsOf(prepared, groupId, me), [prepared, ...here]);
  const shown = useMemo(() => {
    const fitting = filterShares(prepared, filter).filter(({ share }) => isOf(which, groupId, share, me));
    return sortShares(fitting, order).map(({ share }) => share);
  }, [prepared, filter, which, order, ...(which === "all" ? [] : here)]);
  const names = useMemo(() => shown.map(({ fileName }) => fileName), [shown]);

  useEffect(() => {
    if (all === undefined) return;
    const existing = new Set(all.map(({ fileName }) => fileName));
    selection.value = keepOnly(selection.peek(), existing);
  }, [all]);
  useEffect(() => {
    if (filter === "") return;
    const timer = setTimeout(() => announce(t("groups.shares.found", { count: shown.length })), 600);
    return () => clearTimeout(timer);
  }, [filter, shown.length]);
  useEffect(
    () =>
      registerKeys("shares", {
        "/": () => search.current?.focus(),
        n: () => go({ view: "share", groupId }),
        Escape: () => {
          const isTicked = selection.peek().keys.size > 0;
          selection.value = emptySelection;
          return isTicked ? undefined : false;
        },
        j: () => focusFirst(panel.current),
        k: () => focusFirst(panel.current),
      }),
    [groupId],
  );

  if (all === undefined) {
    return answer.error === undefined ? (
      <div class="card">
        <Skeleton rows={6} />
      </div>
    ) : (
      <FailedAnswer answer={answer} />
    );
  }
  if (all.length === 0) {
    return (
      <div class="card">
        <Empty
          icon="folder"
          title={t("groups.shares.none")}
          actions={
            <Button kind="main" icon="plus" onClick={() => go({ view: "share", groupId })}>
              {t("groups.share")}
            </Button>
          }
        >
          {t("groups.shares.noneHint", { group: groupId })}
        </Empty>
      </div>
    );
  }
  const { keys } = selection.value;
  const chosen = keys.size === 0 ? [] : all.filter(({ fileName }) => keys.has(fileName));
  const hidden =
    chosen.length - shown.reduce((count, { fileName }) => count + (keys.has(fileName) ? 1 : 0), 0);
  const onRowKey = (event: KeyboardEvent, share: FileSummary, index: number): boolean => {
    const { fileName } = share;
    if (event.key === "Enter") openShare(groupId, share);
    else if (event.key === "x" || event.key === " ") selection.value = toggle(selection.peek(), fileName);
    else if (event.key === "j" || event.key === "k") stepFrom(event.currentTarget, event.key);
    else if (event.shiftKey && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      const to = names[index + (event.key === "ArrowDown" ? 1 : -1)];
      if (to === undefined) return true;
      const from = selection.peek();
      const begun = from.anchor === undefined || !from.keys.has(fileName) ? toggle(from, fileName) : from;
      selection.value = extendTo(begun, to, names);
      // The list moves on.
      return false;
    } else return false;
    return true;
  };
  return (
    <section
      ref={panel}
      class={`shares${isNarrow ? " shares-narrow" : width < MIDDLE_PX ? " shares-middle" : ""}`}
      aria-labelledby="shares-head"
    >
      <h2 id="shares-head" class="unseen">
        {t("groups.tab.shares")}
      </h2>
      <div class="shares-tools">
        <div class="grow shares-search">
          <Field
            label={t("groups.shares.filter", { count: all.length })}
            isLabelHidden
            type="search"
            value={filter}
            placeholder={t("groups.shares.filter", { count: all.length })}
            inputRef={search}
            start={<Icon name="search" />}
            end={
              filter === "" ? (
                <kbd class="wide">/</kbd>
              ) : (
                <Button
                  kind="bare"
                  size="small"
                  icon="x"
                  label={t("groups.shares.clearFilter")}
                  onClick={() => {
                    setLook({ filter: "" });
                    search.current?.focus();
                  }}
                />
              )
            }
            onInput={(text) => setLook({ filter: text })}
            onKeyDown={(event) => {
              if (event.key === "Escape" && filter !== "") {
                event.stopPropagation();
                setLook({ filter: "" });
              } else if (event.key === "ArrowDown") {
                event.preventDefault();
                focusFirst(panel.current);
              }
            }}
          />
        </div>
        <Segments
          label={t("groups.shares.which")}
          value={which}
          onChange={(to) => setLook({ which: to })}
          options={[
            { value: "all", label: t("groups.shares.all") },
            { value: "absent", label: t("groups.shares.absent"), count: number(counts.absent) },
            { value: "mine", label: t("groups.shares.mine"), count: number(counts.mine) },
          ]}
        />
      </div>
      {shown.length === 0 ? (
        <NothingFound
          groupId={groupId}
          filter={filter}
          guess={guessMeant(prepared, filter)}
          onFilter={(text) => setLook({ filter: text, which: "all" })}
        />
      ) : (
        // biome-ignore lint/a11y/useSemanticElements: rows are placed by the virtual list.
        <div
          class="card shares-table"
          role="table"
          aria-label={t("groups.shares.label", { group: groupId })}
          aria-rowcount={shown.length + 1}
        >
          {/* biome-ignore lint/a11y/useSemanticElements: as above. */}
          <div role="rowgroup">
            {/* biome-ignore lint/a11y/useSemanticElements: as above. */}
            {/* biome-ignore lint/a11y/useFocusableInteractive: its buttons are. */}
            <div class="share-row share-head" role="row" aria-rowindex={1}>
              {/* biome-ignore lint/a11y/useSemanticElements: as above. */}
              {/* biome-ignore lint/a11y/useFocusableInteractive: as above. */}
              <span role="columnheader" class="share-tick">
                <Tick
                  state={tickOf(selection.value, names)}
                  label={t("groups.shares.tickAll")}
                  isLabelHidden
                  onChange={() => {
                    selection.value = toggleAll(selection.peek(), names);
                  }}
                />
              </span>
              {COLUMNS.map((column) => (
                <Head
                  key={column}
                  column={column}
                  order={order}
                  onPress={() => setLook({ order: pressColumn(order, column) })}
                />
              ))}
              {/* biome-ignore lint/a11y/useSemanticElements: as above. */}
              {/* biome-ignore lint/a11y/useFocusableInteractive: as above. */}
              <span role="columnheader" class="share-do">
                <span class="unseen">{t("groups.shares.here")}</span>
              </span>
            </div>
          </div>
          <VirtualList
            rows={shown}
            rowHeight={isNarrow ? NARROW_ROW_PX : ROW_PX}
            keyOf={({ fileName }) => fileName}
            label={t("groups.shares.label", { group: groupId })}
            role="table"
            hasHead
            active={active}
            onRowKey={onRowKey}
            rowProps={({ fileName }) => ({
              class: selection.value.keys.has(fileName) ? "row-ticked" : undefined,
            })}
            render={(share, index) => (
              <ShareRow
                groupId={groupId}
                share={share}
                marks={marks}
                isTicked={selection.value.keys.has(share.fileName)}
                isStop={(active.value < 0 ? 0 : active.value) === index}
                isNarrow={isNarrow}
                onTick={(isRange) => {
                  const { fileName } = share;
                  selection.value = isRange
                    ? extendTo(selection.peek(), fileName, names)
                    : toggle(selection.peek(), fileName);
                }}
                onChanged={answer.refresh}
              />
            )}
          />
        </div>
      )}
      {selection.value.keys.size > 0 && (
        <BulkBar
          groupId={groupId}
          chosen={chosen}
          hiddenCount={hidden}
          onDownload={() => {
            isChoosingPlace.value = true;
          }}
          onClear={() => {
            selection.value = emptySelection;
          }}
          onChanged={answer.refresh}
        />
      )}
      {isChoosingPlace.value && (
        <BulkDownload
          groupId={groupId}
          shares={chosen.filter(({ fileName }) => !isHere(peekFacts(groupId, fileName)))}
          onClose={(isDone) => {
            isChoosingPlace.value = false;
            if (isDone) selection.value = emptySelection;
          }}
        />
      )}
    </section>
  );
}

const COLUMNS = ["name", "files", "size", "online", "by", "when"] as const;

function Head({
  column,
  order,
  onPress,
}: {
  readonly column: ShareColumn;
  readonly order: ShareOrder;
  readonly onPress: () => void;
}) {
  const isSorted = order.column === column;
  return (
    // biome-ignore lint/a11y/useSemanticElements: rows are placed by the virtual list.
    // biome-ignore lint/a11y/useFocusableInteractive: its button is.
    <span
      role="columnheader"
      class={`share-${column}`}
      aria-sort={isSorted ? (order.isDescending ? "descending" : "ascending") : undefined}
    >
      <button type="button" class="head-button" onClick={onPress}>
        {t(`groups.column.${column}`)}
        {isSorted && <Icon name={order.isDescending ? "down" : "up"} />}
      </button>
    </span>
  );
}

function NothingFound({
  groupId,
  filter,
  guess,
  onFilter,
}: {
  readonly groupId: string;
  readonly filter: string;
  readonly guess: { readonly word: string; readonly count: number } | undefined;
  readonly onFilter: (text: string) => void;
}) {
  return (
    <div class="card">
      <Empty
        icon="search"
        title={
          filter === ""
            ? t("groups.shares.noneOfThese")
            : t("groups.shares.noneFound", { filter, group: groupId })
        }
        actions={<Button onClick={() => onFilter("")}>{t("groups.shares.showAll")}</Button>}
      >
        {guess &&
          tx("groups.shares.guess", {
            count: guess.count,
            word: (
              <button type="button" class="link" onClick={() => onFilter(guess.word)}>
                {guess.word}
              </button>
            ),
          })}
      </Empty>
    </div>
  );
}

function isOf(which: Which, groupId: string, share: FileSummary, me: string | undefined): boolean {
  if (which === "mine") return share.sharedBy === me || peekFacts(groupId, share.fileName).own !== undefined;
  return which === "all" || !isHere(peekFacts(groupId, share.fileName));
}

function countsOf(
  prepared: readonly { readonly share: FileSummary }[],
  groupId: string,
  me: string | undefined,
): Readonly<Record<"absent" | "mine", number>> {
  const [there, own] = [downloads.peek(), ownShares.peek()];
  let absent = 0;
  let mine = 0;
  for (const { share } of prepared) {
    const name = key(groupId, share.fileName);
    const isOwn = own.has(name);
    if (!isOwn && !there.has(name)) absent++;
    if (isOwn || share.sharedBy === me) mine++;
  }
  return { absent, mine };
}

function focusFirst(panel: HTMLElement | null): void {
  panel?.querySelector<HTMLElement>(".virtual-row[tabindex='0']")?.focus();
}

/** J and K are the arrows. */
function stepFrom(list: EventTarget | null, letter: string): void {
  const key = letter === "j" ? "ArrowDown" : "ArrowUp";
  const row = (list as HTMLElement | null)?.querySelector(".virtual-row:focus");
  row?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
}
