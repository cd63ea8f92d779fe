// What to download of a share, and where to: a folder opens as a tree with boxes to tick. While a download is under way, the same tree
// changes what it is of.
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { FileSummary } from "../../../../src/api/schemas.ts";
import { call, sentenceOf } from "../../api/call.ts";
import { type DownloadStatus, downloads, key } from "../../api/live.ts";
import { bytes, list } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { go } from "../../routes.ts";
import { globsOf } from "../../state/choice-globs.ts";
import { ROOT } from "../../state/folder-tree.ts";
import { Button } from "../../ui/button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Banner, Skeleton } from "../../ui/empty.tsx";
import { Field } from "../../ui/field.tsx";
import { Icon } from "../../ui/icon.tsx";
import { toast } from "../../ui/toasts.tsx";
import { useAnswer } from "./answers.ts";
import { DestinationField, RoomBar } from "./destination-field.tsx";
import { FolderChoice } from "./folder-choice.ts";
import { FolderTreeView } from "./folder-tree-view.tsx";
import { useShares } from "./group-answers.ts";

export interface ChooseDialogProps {
  readonly groupId: string;
  readonly fileName: string;
  readonly onClose: () => void;
}

export function ChooseDialog(props: ChooseDialogProps) {
  const { groupId, fileName, onClose } = props;
  const shares = useShares(groupId, undefined);
  const share = shares.value?.find((one) => one.fileName === fileName);
  const download = downloads.value.get(key(groupId, fileName))?.peek();
  const before = useRef(download);
  if (share === undefined) {
    return (
      <Dialog title={fileName} subtitle={groupId} onClose={onClose}>
        {shares.value !== undefined ? (
          <Banner kind="warn" icon="warn">
            {t("groups.choose.gone", { name: fileName, group: groupId })}
          </Banner>
        ) : shares.error === undefined ? (
          <Skeleton />
        ) : (
          <Banner kind="danger" icon="warn">
            {sentenceOf(shares.error)}
          </Banner>
        )}
      </Dialog>
    );
  }
  return <Choosing {...props} share={share} download={before.current} />;
}

function Choosing({
  groupId,
  fileName,
  onClose,
  share,
  download,
}: ChooseDialogProps & { readonly share: FileSummary; readonly download: DownloadStatus | undefined }) {
  const isFolder = share.fileCount !== undefined;
  const isChange = download !== undefined && isFolder;
  const choice = useMemo(
    () => (isFolder ? new FolderChoice(groupId, fileName, isChange) : undefined),
    [groupId, fileName],
  );
  useEffect(() => {
    void choice?.read();
    return () => choice?.close();
  }, [choice]);
  const destination = useSignal<string | undefined>(undefined);
  const problem = useSignal<string | undefined>(undefined);
  const isBusy = useSignal(false);
  const places = useAnswer(
    "destinations",
    { groupId, fileName, lengthBytes: share.lengthBytes },
    { isWanted: !isChange },
  );

  choice?.version.value;
  const isRead = choice === undefined || choice.isComplete.value;
  const chosenBytes = choice === undefined || !isRead ? share.lengthBytes : choice.tree.chosenBytesOf(ROOT);
  const chosenFiles =
    choice === undefined || !isRead ? (share.fileCount ?? 1) : choice.tree.chosenCountOf(ROOT);
  const isNothing = isRead && chosenFiles === 0;
  const path = destination.value ?? places.value?.[0]?.path ?? "";
  const place = places.value?.find((one) => one.path === path);

  const submit = async (): Promise<void> => {
    const globs = choice?.isTouched.peek() === true ? globsOf(choice.tree) : {};
    if (globs === undefined) {
      problem.value = t("groups.choose.scattered");
      return;
    }
    isBusy.value = true;
    try {
      if (isChange) {
        await call("select", { groupId, fileName, ...globs });
        toast(t("groups.choose.changed", { name: fileName, size: bytes(chosenBytes) }));
      } else {
        await call("downloadFile", { groupId, fileName, destinationPath: path, ...globs });
        toast({
          text: t("groups.choose.started", { name: fileName }),
          action: {
            label: t("groups.choose.show"),
            onClick: () => go({ view: "transfers", groupId, fileName }),
          },
        });
      }
      onClose();
    } catch (error) {
      problem.value = sentenceOf(error);
      isBusy.value = false;
    }
  };
  const holders = share.heldBy ?? [];
  const facts = [
    groupId,
    holders.length > 0 && t("groups.choose.from", { users: list(holders) }),
    share.fileCount === undefined
      ? bytes(share.lengthBytes)
      : t("groups.choose.facts", { count: share.fileCount, size: bytes(share.lengthBytes) }),
  ].filter(Boolean);
  const verb = share.peersOnline > 0 ? "groups.choose.download" : "groups.choose.queue";
  return (
    <Dialog
      title={t(isChange ? "groups.choose.changeTitle" : "groups.choose.title", { name: fileName })}
      subtitle={facts.join(" · ")}
      width={isFolder ? "wide" : "normal"}
      onClose={onClose}
      onSubmit={() => {
        if (!isNothing && (isChange || path !== "")) void submit();
      }}
      footer={
        <>
          <small class="grow choose-note">
            {choice !== undefined &&
              isRead &&
              t("groups.choose.chosen", { chosen: chosenFiles, count: choice.tree.fileCountOf(ROOT) })}
          </small>
          <Button onClick={onClose}>{t("shell.action.cancel")}</Button>
          <Button
            kind="main"
            type="submit"
            disabled={
              isNothing || (!isChange && path === "") || (isChange && choice?.isTouched.value !== true)
            }
            isBusy={isBusy.value}
          >
            {t(isChange ? "groups.choose.change" : verb, { size: bytes(chosenBytes) })}
          </Button>
        </>
      }
    >
      <div class={choice === undefined || isChange ? "choose choose-single" : "choose"}>
        {choice !== undefined && <Tree choice={choice} share={share} />}
        <div class={isChange ? "stack" : "stack choose-place"}>
          {!isChange && (
            <>
              <DestinationField
                value={path}
                suggestions={places.value ?? []}
                neededBytes={chosenBytes}
                problem={problem.value ?? (places.error === undefined ? undefined : sentenceOf(places.error))}
                onChange={(typed) => {
                  destination.value = typed;
                  problem.value = undefined;
                }}
              />
              {place !== undefined && <RoomBar freeBytes={place.freeBytes} neededBytes={chosenBytes} />}
              {share.peersOnline === 0 && (
                <Banner kind="warn" icon="warn">
                  {t("groups.choose.nobody", { user: share.sharedBy })}
                </Banner>
              )}
            </>
          )}
          {isChange && problem.value !== undefined && (
            <Banner kind="danger" icon="warn" isAlert>
              {problem.value}
            </Banner>
          )}
        </div>
      </div>
    </Dialog>
  );
}

function Tree({ choice, share }: { readonly choice: FolderChoice; readonly share: FileSummary }) {
  const search = useRef<HTMLInputElement>(null);
  choice.version.value;
  if (choice.problem.value !== undefined) {
    return (
      <Banner kind="danger" icon="warn">
        {choice.problem.value}
      </Banner>
    );
  }
  const filtered = choice.filtered.value;
  const count = share.fileCount ?? 0;
  return (
    <div class="choose-tree">
      <div class="choose-tools">
        <div class="grow">
          <Field
            label={t("groups.choose.filter")}
            isLabelHidden
            type="search"
            value={choice.filter.value}
            placeholder={t("groups.choose.filterHint")}
            inputRef={search}
            start={<Icon name="search" />}
            onInput={(text) => void choice.setFilter(text)}
            onKeyDown={(event) => {
              if (event.key === "Enter") event.preventDefault();
              if (event.key !== "Escape" || choice.filter.value === "") return;
              event.preventDefault();
              event.stopPropagation();
              void choice.setFilter("");
            }}
          />
        </div>
        <span class="actions nowrap">
          {filtered !== undefined && filtered.count > 0 && (
            <Button kind="bare" size="small" onClick={() => choice.chooseOnlyShown()}>
              {t("groups.choose.onlyThese", { count: filtered.count })}
            </Button>
          )}
          <Button kind="bare" size="small" onClick={() => choice.chooseAll(true)}>
            {t("groups.choose.all")}
          </Button>
          <Button kind="bare" size="small" onClick={() => choice.chooseAll(false)}>
            {t("groups.choose.none")}
          </Button>
        </span>
      </div>
      {!choice.isComplete.value ? (
        <div class="choose-reading" role="status">
          <p>{t("groups.choose.reading", { read: choice.readCount.value, count })}</p>
          <div class="bar bar-thin">
            <i style={{ width: percentOf(choice.readCount.value, count) }} />
          </div>
        </div>
      ) : (
        <>
          <div class="tree-head" aria-hidden="true">
            <span class="grow">{t("groups.column.name")}</span>
            <span class="tree-count">{t("groups.column.files")}</span>
            <span class="tree-size">{t("groups.column.size")}</span>
          </div>
          <div class="choose-rows" data-scroll>
            {filtered !== undefined && filtered.count === 0 ? (
              <p class="choose-empty">{t("groups.choose.noneFound", { filter: choice.filter.value })}</p>
            ) : (
              <FolderTreeView
                choice={choice}
                label={t("groups.choose.treeLabel", { name: share.fileName })}
              />
            )}
          </div>
        </>
      )}
    </div>
  );
}

function percentOf(part: number, whole: number): string {
  return whole === 0 ? "0%" : `${Math.min(100, (part / whole) * 100)}%`;
}
