// Everything that can be done with one transfer.
import { t } from "../../i18n/t.ts";
import { href } from "../../routes.ts";
import { previewKind } from "../../state/preview-kind.ts";
import { canDo, isFollowed, type TransferRow } from "../../state/transfer-rows.ts";
import { Menu, type MenuItem } from "../../ui/menu.tsx";
import { toast, toastError } from "../../ui/toasts.tsx";
import { follow, pause, publish, remove, resume, stopSharing } from "./actions.ts";
import { limiting } from "./limiting.ts";

export function canPreview({ isFolder, fileName, state }: TransferRow): boolean {
  if (state === "share-unusable" || state === "share-waits") return false;
  return isFolder || previewKind(fileName) !== undefined;
}

export function RowMenu({ row }: { readonly row: TransferRow }) {
  return (
    <Menu
      label={t("transfers.action.moreOf", { name: row.fileName })}
      button={{ size: "small" }}
      items={itemsOf(row)}
    />
  );
}

function itemsOf(row: TransferRow): MenuItem[] {
  const { groupId, fileName, state, download, share } = row;
  const items: MenuItem[] = [
    {
      label: t("transfers.action.details"),
      icon: "info",
      href: href({ view: "transfers", groupId, fileName }),
    },
  ];
  if (canPreview(row)) {
    items.push({
      label: t("transfers.action.preview"),
      icon: "eye",
      href: href({ view: "preview", groupId, fileName }),
    });
  }
  if (canDo(row, "pause")) {
    items.push({ label: t("transfers.action.pause"), icon: "pause", onClick: () => void pause([row]) });
  }
  if (canDo(row, "resume")) {
    items.push({ label: t("transfers.action.resume"), icon: "play", onClick: () => void resume([row]) });
  }
  if (canDo(row, "limit")) {
    items.push({
      label: t("transfers.action.limitMore"),
      icon: "limit",
      onClick: () => {
        limiting.value = [row];
      },
    });
  }
  if (download?.folder !== undefined) {
    items.push({
      label: t("transfers.action.choose"),
      icon: "folder-open",
      href: href({ view: "choose", groupId, fileName }),
    });
  }
  if (download !== undefined) {
    const isOn = isFollowed(row);
    items.push({
      label: t(isOn ? "transfers.action.unfollow" : "transfers.action.follow"),
      icon: "refresh",
      onClick: () => void follow(row, !isOn),
    });
  }
  const path = download?.destinationPath ?? share?.path;
  if (path !== undefined) {
    items.push({ label: t("transfers.action.copyPath"), icon: "copy", onClick: () => void copy(path) });
  }
  if (state === "share-unusable") {
    items.push({
      label: t("transfers.action.publish"),
      icon: "share",
      onClick: () => void publish(row),
    });
  }
  if (canDo(row, "stop")) {
    items.push({
      label: t("transfers.action.stop"),
      icon: "user-minus",
      isDangerous: true,
      onClick: () => stopSharing([row]),
    });
  }
  if (canDo(row, "remove")) {
    items.push({
      label: t(state === "complete" ? "transfers.action.remove" : "transfers.action.cancel"),
      icon: "remove",
      isDangerous: true,
      onClick: () => remove([row]),
    });
  }
  return items;
}

async function copy(path: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(path);
    toast(t("transfers.said.copied"));
  } catch (error) {
    toastError(error);
  }
}
