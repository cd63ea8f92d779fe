// Files and folders of the daemon's machine, within the folders that it allows. Folders open; what is ticked is to be shared.
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { FolderItem } from "../../../../src/daemon/status-schemas.ts";
import { ApiError, call, sentenceOf } from "../../api/call.ts";
import { shares as ownShares } from "../../api/live.ts";
import { bytes, time } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { Button } from "../../ui/button.tsx";
import { Banner, Skeleton } from "../../ui/empty.tsx";
import { Icon } from "../../ui/icon.tsx";
import { Select } from "../../ui/select.tsx";
import { Tick } from "../../ui/tick.tsx";
import { VirtualList } from "../../ui/virtual-list.tsx";
import { useAnswer } from "../groups/answers.ts";
import { iconOf } from "../groups/share-facts.ts";

const ROW_PX = 36;
const TOUCH_ROW_PX = 48;

export interface Picked {
  readonly path: string;
  readonly kind: "file" | "folder";
  readonly lengthBytes: number | undefined;
}

export interface FolderPickerProps {
  readonly groupId: string;
  readonly picked: ReadonlyMap<string, Picked>;
  readonly onPick: (item: Picked, isPicked: boolean) => void;
}

interface Listing {
  readonly items: readonly FolderItem[];
  readonly isWhole: boolean;
}

/** Where one was last, to begin there the next time. */
let lastPath: string | undefined;

export function FolderPicker({ groupId, picked, onPick }: FolderPickerProps) {
  const roots = useAnswer("roots", {});
  const chosenPath = useSignal<string | undefined>(lastPath);
  const listing = useSignal<Listing | undefined>(undefined);
  const problem = useSignal<string | undefined>(undefined);
  const all = roots.value?.roots ?? [];
  const path = chosenPath.value ?? all[0]?.path;
  const root = all.filter((one) => path !== undefined && isWithin(path, one.path)).sort(byLength)[0];
  const shared = useMemo(
    () =>
      new Set(
        [...ownShares.value.values()]
          .map((share) => share.peek())
          .filter((one) => one.groupId === groupId)
          .map((one) => one.path),
      ),
    [ownShares.value, groupId],
  );
  useEffect(() => {
    if (path === undefined) return;
    lastPath = path;
    listing.value = undefined;
    problem.value = undefined;
    const stop = new AbortController();
    const read = async (): Promise<void> => {
      let after: string | undefined;
      let items: readonly FolderItem[] = [];
      do {
        const page = await call(
          "folder",
          { path, ...(after !== undefined && { after }) },
          { signal: stop.signal },
        );
        items = [...items, ...page.items];
        after = page.next;
        listing.value = { items, isWhole: after === undefined };
      } while (after !== undefined);
    };
    read().catch((error: unknown) => {
      if (stop.signal.aborted) return;
      problem.value = sentenceOf(error);
      // A folder that is gone since the last visit.
      if (error instanceof ApiError && lastPath === path) lastPath = undefined;
    });
    return () => stop.abort();
  }, [path]);
  const open = (to: string): void => {
    chosenPath.value = to;
  };
  const isTouch = matchMedia("(pointer: coarse), (max-width: 759px)").matches;
  if (roots.value === undefined) {
    return roots.error === undefined ? (
      <Skeleton />
    ) : (
      <Banner kind="danger" icon="warn">
        {sentenceOf(roots.error)}
      </Banner>
    );
  }
  const items = listing.value?.items;
  return (
    <div class="picker">
      {all.length > 1 && (
        <Select
          label={t("groups.send.roots")}
          isLabelHidden
          value={root?.path ?? ""}
          options={all.map((one) => ({ value: one.path, label: one.path }))}
          onChange={open}
        />
      )}
      <nav class="crumbs" aria-label={t("groups.send.folder")}>
        {crumbsOf(path ?? "", root?.path ?? "").map(({ label, to }, index, crumbs) =>
          index === crumbs.length - 1 ? (
            <b key={to} aria-current="page">
              {label}
            </b>
          ) : (
            <span key={to}>
              <button type="button" class="link" onClick={() => open(to)}>
                {label}
              </button>
              <Icon name="right" />
            </span>
          ),
        )}
        {items !== undefined && (
          <span class="quiet crumbs-count">
            {listing.value?.isWhole === true
              ? t("groups.send.entries", { count: items.length })
              : t("groups.send.entriesSoFar", { count: items.length })}
          </span>
        )}
      </nav>
      {problem.value !== undefined ? (
        <Banner
          kind="danger"
          icon="warn"
          actions={root !== undefined && <Button onClick={() => open(root.path)}>{root.path}</Button>}
        >
          {problem.value}
        </Banner>
      ) : items === undefined ? (
        <div class="card picker-list">
          <Skeleton />
        </div>
      ) : items.length === 0 ? (
        <div class="card picker-list picker-empty">{t("groups.send.emptyFolder")}</div>
      ) : (
        <div class="card picker-list" data-scroll>
          <VirtualList
            rows={items}
            rowHeight={isTouch ? TOUCH_ROW_PX : ROW_PX}
            keyOf={({ name }) => name}
            label={t("groups.send.entriesOf", { folder: path ?? "" })}
            onRowKey={(event, item) => {
              const at = joined(path ?? "", item.name);
              if (event.key === " " || event.key === "x") onPick(pickedOf(at, item), !picked.has(at));
              else if ((event.key === "Enter" || event.key === "ArrowRight") && item.kind === "folder")
                open(at);
              else if (event.key === "ArrowLeft" && root !== undefined && path !== root.path)
                open(parentOf(path ?? ""));
              else return false;
              return true;
            }}
            render={(item) => {
              const at = joined(path ?? "", item.name);
              return (
                <Entry
                  item={item}
                  isPicked={picked.has(at)}
                  isShared={shared.has(at)}
                  onPick={(isPicked) => onPick(pickedOf(at, item), isPicked)}
                  onOpen={() => open(at)}
                />
              );
            }}
          />
        </div>
      )}
      <p class="hint">{t("groups.send.rootsHint")}</p>
    </div>
  );
}

function Entry({
  item: { name, kind, lengthBytes, modifiedAtMs },
  isPicked,
  isShared,
  onPick,
  onOpen,
}: {
  readonly item: FolderItem;
  readonly isPicked: boolean;
  readonly isShared: boolean;
  readonly onPick: (isPicked: boolean) => void;
  readonly onOpen: () => void;
}) {
  return (
    <div class={isPicked ? "entry row-ticked" : "entry"}>
      <Tick
        state={isPicked ? "on" : "off"}
        label={t("groups.send.pick", { name })}
        isLabelHidden
        tabIndex={-1}
        disabled={isShared}
        onChange={onPick}
      />
      <Icon name={iconOf(name, kind === "folder")} />
      {kind === "folder" ? (
        <button type="button" class="entry-name entry-open cut" tabIndex={-1} onClick={onOpen}>
          {name}
        </button>
      ) : (
        // biome-ignore lint/a11y/useKeyWithClickEvents: as above.
        <span class="entry-name grow cut" title={name} onClick={() => !isShared && onPick(!isPicked)}>
          {name}
        </span>
      )}
      <small class="entry-note quiet">{isShared ? t("groups.send.isShared") : time(modifiedAtMs)}</small>
      <span class="entry-size">{lengthBytes === undefined ? "" : bytes(lengthBytes)}</span>
    </div>
  );
}

function pickedOf(path: string, { kind, lengthBytes }: FolderItem): Picked {
  return { path, kind, lengthBytes };
}

interface Crumb {
  readonly label: string;
  readonly to: string;
}

function crumbsOf(path: string, root: string): readonly Crumb[] {
  const separator = separatorOf(path);
  const crumbs: Crumb[] = [{ label: root, to: root }];
  const rest = path.slice(root.length).split(separator).filter(Boolean);
  let to = root;
  for (const name of rest) {
    to = joined(to, name);
    crumbs.push({ label: name, to });
  }
  return crumbs;
}

/** The daemon's machine may be another one. */
function separatorOf(path: string): string {
  return path.includes("\\") && !path.startsWith("/") ? "\\" : "/";
}

function joined(folder: string, name: string): string {
  const separator = separatorOf(folder);
  return folder.endsWith(separator) ? `${folder}${name}` : `${folder}${separator}${name}`;
}

function parentOf(path: string): string {
  const separator = separatorOf(path);
  return path.slice(0, Math.max(1, path.lastIndexOf(separator)));
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(joined(folder, ""));
}

function byLength(one: { readonly path: string }, other: { readonly path: string }): number {
  return other.path.length - one.path.length;
}

/** `3 from this machine, 48.2 GB` */
export function pickedText(picked: Iterable<Picked>): string {
  const all = [...picked];
  const known = all.reduce((sum, { lengthBytes = 0 }) => sum + lengthBytes, 0);
  const count = t("groups.send.picked", { count: all.length });
  return known === 0
    ? count
    : `${count}, ${bytes(known)}${all.some(({ kind }) => kind === "folder") ? " +" : ""}`;
}
