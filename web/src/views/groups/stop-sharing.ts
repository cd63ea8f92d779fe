// Ends shares of this machine. Nothing is removed from its disk, so what was ended can be shared again.
import { call } from "../../api/call.ts";
import { t } from "../../i18n/t.ts";
import { toast, toastError } from "../../ui/toasts.tsx";

export interface Stopped {
  readonly fileName: string;
  readonly path: string;
}

/** Never rejects: what was refused is said. */
export async function stopSharing(groupId: string, shares: readonly Stopped[]): Promise<void> {
  const stopped: Stopped[] = [];
  for (const share of shares) {
    try {
      await call("stopShare", { groupId, fileName: share.fileName });
      stopped.push(share);
    } catch (error) {
      toastError(error);
    }
  }
  const [first] = stopped;
  if (first === undefined) return;
  toast({
    text:
      stopped.length === 1
        ? t("groups.stopped.one", { name: first.fileName })
        : t("groups.stopped.many", { count: stopped.length }),
    action: { label: t("groups.undo"), onClick: () => void shareAgain(groupId, stopped) },
  });
}

async function shareAgain(groupId: string, stopped: readonly Stopped[]): Promise<void> {
  for (const { path } of stopped) await call("uploadFile", { groupId, path }).catch(toastError);
}
