// Downloads several shares into one folder.
import { useSignal } from "@preact/signals";
import type { FileSummary } from "../../../../src/api/schemas.ts";
import { call, sentenceOf } from "../../api/call.ts";
import { bytes } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { go } from "../../routes.ts";
import { Button } from "../../ui/button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Banner } from "../../ui/empty.tsx";
import { toast } from "../../ui/toasts.tsx";
import { useAnswer } from "./answers.ts";
import { DestinationField, RoomBar } from "./destination-field.tsx";

/** Downloads that are begun at a time. */
const AT_ONCE = 4;

export interface BulkDownloadProps {
  readonly groupId: string;
  readonly shares: readonly FileSummary[];
  readonly onClose: (isDone: boolean) => void;
}

export function BulkDownload({ groupId, shares, onClose }: BulkDownloadProps) {
  // The list behind may change meanwhile.
  const wanted = useSignal(shares).value;
  const neededBytes = wanted.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  const fileName = wanted[0]?.fileName ?? "";
  const places = useAnswer("destinations", { groupId, fileName, lengthBytes: neededBytes });
  const destination = useSignal<string | undefined>(undefined);
  const failures = useSignal<readonly string[]>([]);
  const isBusy = useSignal(false);
  const path = destination.value ?? places.value?.[0]?.path ?? "";
  const place = places.value?.find((one) => one.path === path);
  const start = async (): Promise<void> => {
    isBusy.value = true;
    const failed: string[] = [];
    let begun = 0;
    const waiting = wanted.values();
    const some = async (): Promise<void> => {
      for (const one of waiting) {
        try {
          await call("downloadFile", { groupId, fileName: one.fileName, destinationPath: path });
          begun++;
        } catch (error) {
          failed.push(`${one.fileName}: ${sentenceOf(error)}`);
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, some));
    isBusy.value = false;
    if (begun > 0) {
      toast({
        text: t("groups.choose.startedMany", { count: begun }),
        action: { label: t("groups.choose.show"), onClick: () => go({ view: "transfers" }) },
      });
    }
    if (failed.length === 0) onClose(true);
    else failures.value = failed;
  };
  return (
    <Dialog
      title={t("groups.choose.titleMany", { count: wanted.length })}
      subtitle={`${groupId} · ${bytes(neededBytes)}`}
      onClose={() => onClose(failures.value.length > 0)}
      onSubmit={() => {
        if (path !== "") void start();
      }}
      footer={
        <>
          <Button onClick={() => onClose(failures.value.length > 0)}>{t("shell.action.cancel")}</Button>
          <Button kind="main" type="submit" disabled={path === ""} isBusy={isBusy.value}>
            {t("groups.choose.download", { size: bytes(neededBytes) })}
          </Button>
        </>
      }
    >
      <div class="stack choose-single">
        <DestinationField
          value={path}
          suggestions={places.value ?? []}
          neededBytes={neededBytes}
          problem={places.error === undefined ? undefined : sentenceOf(places.error)}
          onChange={(typed) => {
            destination.value = typed;
          }}
        />
        {place !== undefined && <RoomBar freeBytes={place.freeBytes} neededBytes={neededBytes} />}
        {failures.value.length > 0 && (
          <Banner kind="danger" icon="warn" isAlert>
            <ul>
              {failures.value.slice(0, 5).map((text) => (
                <li key={text}>{text}</li>
              ))}
            </ul>
          </Banner>
        )}
      </div>
    </Dialog>
  );
}
