// What can be done with all ticked transfers together; floats over the foot of the list.
import { bytes } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { emptySelection } from "../../state/selection.ts";
import { canDo, totalsOf } from "../../state/transfer-rows.ts";
import { Button } from "../../ui/button.tsx";
import { pause, remove, resume, stopSharing } from "./actions.ts";
import { limiting } from "./limiting.ts";
import { selection, tickedRows } from "./model.ts";

export function BulkBar() {
  const rows = tickedRows.value;
  if (rows.length === 0) return null;
  const { lengthBytes } = totalsOf(rows);
  const can = (action: Parameters<typeof canDo>[1]): boolean => rows.some((row) => canDo(row, action));
  const clear = (): void => {
    selection.value = emptySelection;
  };
  return (
    <div class="bulk" role="toolbar" aria-label={t("transfers.bulk.label", { count: rows.length })}>
      <p class="bulk-count">
        <b>{t("transfers.bulk.count", { count: rows.length })}</b> <span>{bytes(lengthBytes)}</span>
      </p>
      {can("pause") && (
        <Button kind="bare" size="small" icon="pause" onClick={() => void pause(rows)}>
          <span class="bulk-word">{t("transfers.action.pause")}</span>
        </Button>
      )}
      {can("resume") && (
        <Button kind="bare" size="small" icon="play" onClick={() => void resume(rows)}>
          <span class="bulk-word">{t("transfers.action.resume")}</span>
        </Button>
      )}
      {can("limit") && (
        <Button
          kind="bare"
          size="small"
          icon="limit"
          onClick={() => {
            limiting.value = rows;
          }}
        >
          <span class="bulk-word">{t("transfers.action.limit")}</span>
        </Button>
      )}
      {can("remove") ? (
        <Button
          kind="bare"
          size="small"
          icon="remove"
          onClick={() => {
            remove(rows);
            clear();
          }}
        >
          <span class="bulk-word">{t("transfers.action.removeAll")}</span>
        </Button>
      ) : (
        can("stop") && (
          <Button
            kind="bare"
            size="small"
            icon="user-minus"
            onClick={() => {
              stopSharing(rows);
              clear();
            }}
          >
            <span class="bulk-word">{t("transfers.action.stop")}</span>
          </Button>
        )
      )}
      <Button kind="bare" size="small" icon="x" label={t("transfers.bulk.clear")} onClick={clear} />
    </div>
  );
}
