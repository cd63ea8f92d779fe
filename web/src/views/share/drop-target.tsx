// Files and folders dropped anywhere on a group's page are sent to the daemon, to be shared in that group.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { t } from "../../i18n/t.ts";
import { go } from "../../routes.ts";
import { type DroppedEntry, readDropped } from "../../state/dropped.ts";
import { Icon } from "../../ui/icon.tsx";
import { toastError } from "../../ui/toasts.tsx";
import { addUploads } from "./uploads.ts";

export interface DropTargetProps {
  readonly groupId: string;
  readonly children: ComponentChildren;
}

export function DropTarget({ groupId, children }: DropTargetProps) {
  const isOver = useSignal(false);
  useEffect(() => {
    const over = (event: DragEvent): void => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      isOver.value = true;
    };
    const leave = (event: DragEvent): void => {
      if (event.relatedTarget === null) isOver.value = false;
    };
    const drop = (event: DragEvent): void => {
      isOver.value = false;
      if (!hasFiles(event)) return;
      event.preventDefault();
      void take(groupId, event.dataTransfer);
    };
    addEventListener("dragover", over);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", over);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
    };
  }, [groupId]);
  return (
    <>
      {children}
      {isOver.value && (
        <div class="drop-over" aria-hidden="true">
          <div>
            <Icon name="share" size="large" />
            <b>{t("groups.send.dropOver", { group: groupId })}</b>
          </div>
        </div>
      )}
    </>
  );
}

function hasFiles({ dataTransfer }: DragEvent): boolean {
  return dataTransfer?.types.includes("Files") === true;
}

/** The entries must be taken before the event is over. */
async function take(groupId: string, transfer: DataTransfer | null): Promise<void> {
  const entries = [...(transfer?.items ?? [])].map(entryOf).filter((entry) => entry !== undefined);
  if (entries.length === 0) return;
  go({ view: "share", groupId });
  try {
    addUploads(groupId, await readDropped(entries));
  } catch (error) {
    toastError(error);
  }
}

/** A browser that knows no entries gives files alone. */
function entryOf(item: DataTransferItem): DroppedEntry<Blob> | undefined {
  const entry = item.webkitGetAsEntry() as unknown as DroppedEntry<Blob> | null;
  const file = item.getAsFile();
  if (entry !== null || file === null) return entry ?? undefined;
  return { name: file.name, isFile: true, isDirectory: false, file: (onFile) => onFile(file) };
}
