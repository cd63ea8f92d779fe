// Leaving a group, and what happens then.
import { useSignal } from "@preact/signals";
import type { Member } from "../../../../src/api/schemas.ts";
import { call } from "../../api/call.ts";
import { t } from "../../i18n/t.ts";
import { go } from "../../routes.ts";
import { Button } from "../../ui/button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { toast, toastError } from "../../ui/toasts.tsx";
import { myUserId } from "./group-answers.ts";

export interface LeaveDialogProps {
  readonly groupId: string;
  readonly isOwner: boolean;
  readonly members: readonly Member[];
  readonly onClose: () => void;
}

export function LeaveDialog({ groupId, isOwner, members, onClose }: LeaveDialogProps) {
  const isBusy = useSignal(false);
  const leave = async (): Promise<void> => {
    isBusy.value = true;
    try {
      const { newOwnerId, groupEnded } = await call("leaveGroup", { groupId });
      const what = groupEnded
        ? t("groups.leave.ended", { group: groupId })
        : newOwnerId === undefined
          ? t("groups.leave.done", { group: groupId })
          : t("groups.leave.handedOver", { group: groupId, user: newOwnerId });
      onClose();
      go({ view: "groups" });
      toast(what);
    } catch (error) {
      toastError(error);
      isBusy.value = false;
    }
  };
  const others = members.filter(({ userId }) => userId !== myUserId()).length;
  return (
    <Dialog
      title={t("groups.leave.title", { group: groupId })}
      width="narrow"
      onClose={onClose}
      onSubmit={() => void leave()}
      footer={
        <>
          <Button onClick={onClose}>{t("shell.action.cancel")}</Button>
          <Button kind="main" type="submit" isBusy={isBusy.value}>
            {t("groups.leave.leave")}
          </Button>
        </>
      }
    >
      <ul class="prose bullets">
        <li>{t("groups.leave.shares")}</li>
        <li>{t("groups.leave.downloads")}</li>
        {isOwner && <li>{t(others === 0 ? "groups.leave.lastOwner" : "groups.leave.owner")}</li>}
        {(!isOwner || others > 0) && <li>{t("groups.leave.again")}</li>}
      </ul>
    </Dialog>
  );
}
