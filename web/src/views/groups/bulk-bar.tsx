// What can be done with the ticked shares. It floats over the foot of the list.
import type { FileSummary } from "../../../../src/api/schemas.ts";
import { bytes } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { Button } from "../../ui/button.tsx";
import { factsOf, isHere } from "./share-facts.ts";
import { stopSharing } from "./stop-sharing.ts";

export interface BulkBarProps {
  readonly groupId: string;
  readonly chosen: readonly FileSummary[];
  /** Ticked, but not shown by the filter. */
  readonly hiddenCount: number;
  readonly onDownload: () => void;
  readonly onClear: () => void;
  readonly onChanged: () => void;
}

export function BulkBar({ groupId, chosen, hiddenCount, onDownload, onClear, onChanged }: BulkBarProps) {
  const facts = chosen.map((share) => ({ share, facts: factsOf(groupId, share.fileName) }));
  const absent = facts.filter((one) => !isHere(one.facts));
  const own = facts.flatMap(({ share: { fileName }, facts: { own } }) =>
    own ? [{ fileName, path: own.path }] : [],
  );
  const total = chosen.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  return (
    <div class="bulk" role="toolbar" aria-label={t("groups.bulk.label")}>
      <span class="bulk-text">
        <b>{t("groups.bulk.chosen", { count: chosen.length })}</b>
        <span class="bulk-size">{bytes(total)}</span>
        {hiddenCount > 0 && <span class="bulk-size">{t("groups.bulk.hidden", { count: hiddenCount })}</span>}
      </span>
      {absent.length > 0 && (
        <Button kind="bare" icon="download" onClick={onDownload}>
          {t("groups.bulk.download", { count: absent.length })}
        </Button>
      )}
      {own.length > 0 && (
        <Button kind="bare" onClick={() => void stopSharing(groupId, own).then(onChanged)}>
          {t("groups.bulk.stop", { count: own.length })}
        </Button>
      )}
      <Button kind="bare" icon="x" label={t("groups.bulk.clear")} onClick={onClear} />
    </div>
  );
}
