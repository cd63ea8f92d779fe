// What one rarely needs: where it lies, its hash, when it was complete, whether new versions are fetched.
import { bytes, fullTime, rate } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { isFollowed, type TransferRow } from "../../state/transfer-rows.ts";
import { CopyButton } from "../../ui/copy-button.tsx";
import { Switch } from "../../ui/switch.tsx";
import { follow } from "./actions.ts";
import { SectionTitle } from "./section-title.tsx";

export function More({ row }: { readonly row: TransferRow }) {
  const { download, share } = row;
  const path = download?.destinationPath ?? share?.path;
  const sha1 = download?.state === "complete" ? download.sha1 : share?.sha1;
  return (
    <section aria-labelledby="details-more" class="more">
      <SectionTitle id="details-more">{t("transfers.more.title")}</SectionTitle>
      <dl>
        {path !== undefined && <Copied name={t("transfers.more.path")} text={path} />}
        {sha1 !== undefined && <Copied name="SHA-1" text={sha1} />}
        {download !== undefined && download.pieceCount > 0 && (
          <>
            <dt>{t("transfers.more.pieces")}</dt>
            <dd>
              {t("transfers.more.piecesOf", { count: download.piecesVerified, whole: download.pieceCount })}
            </dd>
          </>
        )}
        {download?.state === "complete" && download.finishedAtMs !== undefined && (
          <>
            <dt>{t("transfers.more.finished")}</dt>
            <dd>
              {fullTime(download.finishedAtMs)}
              {download.averageBytesPerSecond !== undefined &&
                `, ${t("transfers.more.average", { rate: rate(download.averageBytesPerSecond) })}`}
            </dd>
          </>
        )}
        {download !== undefined && download.duplicateBytes > 0 && (
          <>
            <dt>{t("transfers.more.duplicate")}</dt>
            <dd>{bytes(download.duplicateBytes)}</dd>
          </>
        )}
      </dl>
      {download !== undefined && (
        <div class="line more-follow">
          <span class="grow">
            {t("transfers.more.follow")}
            <small id="more-follow-note">{t("transfers.more.followNote")}</small>
          </span>
          <Switch
            isOn={isFollowed(row)}
            label={t("transfers.more.follow")}
            describedBy="more-follow-note"
            onChange={(isOn) => void follow(row, isOn)}
          />
        </div>
      )}
    </section>
  );
}

function Copied({ name, text }: { readonly name: string; readonly text: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd class="line">
        <code class="cut grow" title={text}>
          {text}
        </code>
        <CopyButton kind="bare" size="small" text={text} label={t("transfers.more.copy", { name })} />
      </dd>
    </>
  );
}
