// The tree of a folder with boxes to tick: one Tab stop, arrows move and fold, space chooses.
import { type Signal, useSignal } from "@preact/signals";
import { bytes, number, percent } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { ROOT, type Tick, type TreeRow } from "../../state/folder-tree.ts";
import { Icon } from "../../ui/icon.tsx";
import { VirtualList } from "../../ui/virtual-list.tsx";
import type { FolderChoice } from "./folder-choice.ts";
import { iconOf } from "./share-facts.ts";

const ROW_PX = 32;
const TOUCH_ROW_PX = 44;

export interface FolderTreeViewProps {
  readonly choice: FolderChoice;
  readonly label: string;
}

export function FolderTreeView({ choice, label }: FolderTreeViewProps) {
  const active = useSignal(0);
  const { tree } = choice;
  const rows = choice.rows.value;
  // Ticks are in the tree itself.
  choice.version.value;
  const isTouch = matchMedia("(pointer: coarse), (max-width: 759px)").matches;
  const onRowKey = (event: KeyboardEvent, { node, depth }: TreeRow, index: number): boolean => {
    const isFolder = tree.isFolder(node);
    switch (event.key) {
      case " ":
      case "Enter":
        choice.toggle(node);
        return true;
      case "ArrowRight":
        if (isFolder && !choice.isExpanded(node)) choice.setExpanded(node, true);
        else if (isFolder) moveBy(event, "ArrowDown");
        return true;
      case "ArrowLeft":
        if (isFolder && choice.isExpanded(node) && node !== ROOT) choice.setExpanded(node, false);
        else goToParent(rows, index, depth, active, event);
        return true;
      default:
        return false;
    }
  };
  return (
    <VirtualList
      rows={rows}
      rowHeight={isTouch ? TOUCH_ROW_PX : ROW_PX}
      keyOf={({ node }) => String(node)}
      label={label}
      role="tree"
      class="tree"
      active={active}
      onRowKey={onRowKey}
      rowProps={({ node, depth, position, siblings }) => ({
        "aria-level": depth + 1,
        "aria-posinset": position,
        "aria-setsize": siblings,
        "aria-checked": CHECKED[tree.tickOf(node)],
        ...(tree.isFolder(node) && { "aria-expanded": choice.isExpanded(node) }),
      })}
      render={(row) => <Row choice={choice} row={row} />}
    />
  );
}

const CHECKED = { on: "true", off: "false", mixed: "mixed" } as const;

function Row({ choice, row: { node, depth } }: { readonly choice: FolderChoice; readonly row: TreeRow }) {
  const { tree, isDownload } = choice;
  // Its properties are the same before and after a tick.
  choice.version.value;
  const isFolder = tree.isFolder(node);
  const tick = tree.tickOf(node);
  const [count, chosen] = [tree.fileCountOf(node), tree.chosenCountOf(node)];
  const [size, there] = [tree.bytesOf(node), tree.verifiedBytesOf(node)];
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: as above.
    <div class="tree-row" style={{ "--depth": depth }} onClick={() => choice.toggle(node)}>
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: as above. */}
      <span
        class={isFolder && choice.isExpanded(node) ? "twist twist-open" : "twist"}
        onClick={(event) => {
          event.stopPropagation();
          if (isFolder) choice.setExpanded(node, !choice.isExpanded(node));
        }}
      >
        {isFolder && <Icon name="right" />}
      </span>
      <TickMark tick={tick} />
      <Icon name={iconOf(tree.nameOf(node), isFolder)} />
      <span class={isFolder ? "grow cut tree-folder" : "grow cut"} title={tree.nameOf(node)}>
        {tree.nameOf(node)}
      </span>
      {isDownload && tick !== "off" && there > 0 && (
        <span class="tree-there quiet">
          {there >= size ? <Icon name="check" label={t("groups.choose.complete")} /> : percent(there / size)}
        </span>
      )}
      <span class="tree-count quiet">
        {isFolder && (
          <>
            {tick === "mixed" ? t("groups.choose.of", { chosen, count }) : number(count)}
            <span class="unseen">{t("groups.column.files")}</span>
          </>
        )}
      </span>
      <span class={tick === "off" ? "tree-size quiet" : "tree-size"}>{bytes(size)}</span>
    </div>
  );
}

/** A drawing: the row has the state and takes the click. */
function TickMark({ tick }: { readonly tick: Tick }) {
  return <i class={`tick-mark tick-${tick}`} aria-hidden="true" />;
}

function moveBy(event: KeyboardEvent, key: string): void {
  event.target?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
}

function goToParent(
  rows: readonly TreeRow[],
  index: number,
  depth: number,
  active: Signal<number>,
  event: KeyboardEvent,
): void {
  let at = index;
  while (at > 0 && (rows[at]?.depth ?? 0) >= depth) at--;
  const list = event.currentTarget;
  if (at === index || !(list instanceof HTMLElement)) return;
  const rowPx = (event.target as HTMLElement).offsetHeight;
  const focus = (): boolean => {
    const row = list.querySelector<HTMLElement>(`.virtual-row[data-index="${at}"]`);
    row?.focus({ preventScroll: true });
    row?.scrollIntoView({ block: "nearest" });
    return row !== null;
  };
  active.value = at;
  if (focus()) return;
  // It is not in the document before the list has scrolled.
  const scroller = list.closest("[data-scroll]");
  scroller?.scrollBy({ top: (at - index) * rowPx });
  requestAnimationFrame(() => requestAnimationFrame(focus));
}
