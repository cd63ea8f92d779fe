// What a person does with transfers: one at a time or several. What the daemon refuses is said in its words.
import { call } from "../../api/call.ts";
import { t } from "../../i18n/t.ts";
import { go, route } from "../../routes.ts";
import { canDo, type TransferRow } from "../../state/transfer-rows.ts";
import { announce } from "../../ui/live-region.tsx";
import { toast, toastError } from "../../ui/toasts.tsx";
import { leaving } from "./model.ts";

/** Calls under way at a time for a selection of thousands. */
const AT_ONCE = 6;
/** As long as a toast shows: then a removal can no longer be undone. */
const UNDO_MS = 6_000;

type Named = Pick<TransferRow, "groupId" | "fileName">;

function named({ groupId, fileName }: Named): { groupId: string; fileName: string } {
  return { groupId, fileName };
}

/** Does it for each; the first refusal is told, the others go on. */
async function forEach(
  rows: readonly TransferRow[],
  act: (row: TransferRow) => Promise<unknown>,
): Promise<void> {
  const left = rows.values();
  let failure: unknown;
  const work = async (): Promise<void> => {
    for (const row of left) {
      try {
        await act(row);
      } catch (error) {
        failure ??= error;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (failure !== undefined) toastError(failure);
}

export async function pause(rows: readonly TransferRow[]): Promise<void> {
  const able = rows.filter((row) => canDo(row, "pause"));
  if (able.length === 0) return;
  await forEach(able, (row) => call("pauseDownload", named(row)));
  announce(t("transfers.said.paused", { count: able.length, name: able[0]?.fileName ?? "" }));
}

export async function resume(rows: readonly TransferRow[]): Promise<void> {
  const able = rows.filter((row) => canDo(row, "resume"));
  if (able.length === 0) return;
  await forEach(able, (row) => call("resumeDownload", named(row)));
  announce(t("transfers.said.resumed", { count: able.length, name: able[0]?.fileName ?? "" }));
}

/** Pauses what runs, and resumes what does not. */
export async function pauseOrResume(rows: readonly TransferRow[]): Promise<void> {
  if (rows.some((row) => canDo(row, "pause"))) await pause(rows);
  else await resume(rows);
}

/**
 * Takes downloads out of the list: what is not complete is deleted. It happens after some seconds, in which it can be undone; until
 * then what ran is paused.
 */
export function remove(rows: readonly TransferRow[]): void {
  const able = rows.filter((row) => canDo(row, "remove"));
  const [first] = able;
  if (first === undefined) return;
  const running = able.filter((row) => canDo(row, "pause"));
  const paused = forEach(running, (row) => call("pauseDownload", named(row)));
  const isKept = able.every(({ state }) => state === "complete");
  later(able, {
    text: t(isKept ? "transfers.said.removedKept" : "transfers.said.cancelled", {
      count: able.length,
      name: first.fileName,
    }),
    undo: async () => {
      await paused;
      await forEach(running, (row) => call("resumeDownload", named(row)));
    },
    act: async () => {
      await paused;
      await forEach(able, (row) => call("cancelDownload", named(row)));
    },
  });
}

/** Stops sharing from this machine; the files stay. */
export function stopSharing(rows: readonly TransferRow[]): void {
  const able = rows.filter((row) => canDo(row, "stop"));
  const [first] = able;
  if (first === undefined) return;
  later(able, {
    text: t("transfers.said.stopped", { count: able.length, name: first.fileName }),
    undo: async () => undefined,
    act: () => forEach(able, (row) => call("stopShare", named(row))),
  });
}

interface Later {
  readonly text: string;
  readonly undo: () => Promise<void>;
  readonly act: () => Promise<void>;
}

/** The rows are gone at once; what is asked for happens when it can no longer be undone. */
function later(rows: readonly TransferRow[], { text, undo, act }: Later): void {
  const keys = rows.map(({ key }) => key);
  leaving.value = new Set([...leaving.peek(), ...keys]);
  const { view, groupId, fileName } = { groupId: undefined, fileName: undefined, ...route.peek() };
  const isOpen = rows.some((row) => row.groupId === groupId && row.fileName === fileName);
  if (view === "transfers" && isOpen) go({ view: "transfers" }, "replace");
  const back = (): void => {
    leaving.value = new Set([...leaving.peek()].filter((key) => !keys.includes(key)));
  };
  const timer = setTimeout(() => {
    endToast();
    // A row that the daemon keeps is shown again.
    void act().finally(back);
  }, UNDO_MS);
  const endToast = toast({
    text,
    icon: "remove",
    action: {
      label: t("transfers.action.undo"),
      onClick: () => {
        clearTimeout(timer);
        back();
        void undo();
      },
    },
  });
}

export async function follow(row: TransferRow, isOn: boolean): Promise<void> {
  try {
    await call(isOn ? "follow" : "unfollow", named(row));
    const said = isOn ? "transfers.said.followed" : "transfers.said.unfollowed";
    toast(t(said, { name: row.fileName }));
  } catch (error) {
    toastError(error);
  }
}

/** Shares what is at its path now as the new version. */
export async function publish(row: TransferRow): Promise<void> {
  try {
    await call("updateShare", named(row));
    toast(t("transfers.said.published", { name: row.fileName }));
  } catch (error) {
    toastError(error);
  }
}
