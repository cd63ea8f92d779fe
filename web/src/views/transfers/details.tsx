// Everything about one transfer: why it stands still, its pieces, who sends and receives, how fast it was, and its files.
import { useEffect, useRef } from "preact/hooks";
import { link } from "../../api/live.ts";
import { bytes, duration, percent, rate } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { go, href } from "../../routes.ts";
import { shareKey } from "../../state/share-key.ts";
import { canDo, isStuck, type TransferRow } from "../../state/transfer-rows.ts";
import { Button } from "../../ui/button.tsx";
import { Empty, Skeleton } from "../../ui/empty.tsx";
import { Icon } from "../../ui/icon.tsx";
import { pause, resume } from "./actions.ts";
import { Files } from "./files.tsx";
import { limiting } from "./limiting.ts";
import { leftOf, rowByKey } from "./model.ts";
import { More } from "./more.tsx";
import { Peers } from "./peers.tsx";
import { Pieces } from "./pieces.tsx";
import { canPreview, RowMenu } from "./row-menu.tsx";
import { TitleLevel } from "./section-title.tsx";
import { Speed } from "./speed.tsx";
import { WhySection } from "./why-section.tsx";
import { rowIcon, shareDone, stateText } from "./words.ts";

export interface DetailsProps {
  readonly groupId: string;
  readonly fileName: string;
  /** Beside the list, not in its place. */
  readonly isBeside: boolean;
}

export function Details({ groupId, fileName, isBeside }: DetailsProps) {
  const row = rowByKey.value.get(shareKey(groupId, fileName));
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (!isBeside) heading.current?.focus({ preventScroll: true });
  }, [isBeside]);
  const Heading = isBeside ? "h2" : "h1";
  return (
    <aside
      class={isBeside ? "details details-beside" : "details"}
      aria-label={t("transfers.details.label", { name: fileName })}
      data-scroll
    >
      <header class="details-head">
        <div class="line">
          {!isBeside && (
            <Button
              kind="bare"
              icon="back"
              label={t("transfers.details.back")}
              href={href({ view: "transfers" })}
            />
          )}
          <Icon name={row === undefined ? "file" : rowIcon(row)} size="large" />
          <Heading class="grow details-name" ref={heading} tabIndex={-1}>
            {fileName}
          </Heading>
          {row !== undefined && <RowMenu row={row} />}
          {isBeside && (
            <Button
              kind="bare"
              size="small"
              icon="x"
              label={t("transfers.details.close")}
              onClick={() => go({ view: "transfers" })}
            />
          )}
        </div>
        {row !== undefined && <Summary row={row} />}
      </header>
      {row !== undefined ? (
        <TitleLevel.Provider value={isBeside ? "h3" : "h2"}>
          <Sections row={row} />
        </TitleLevel.Provider>
      ) : link.value === "connecting" ? (
        <Skeleton />
      ) : (
        <Empty
          icon="transfers"
          title={t("transfers.details.gone")}
          actions={<Button href={href({ view: "transfers" })}>{t("transfers.details.back")}</Button>}
        />
      )}
    </aside>
  );
}

function Summary({ row }: { readonly row: TransferRow }) {
  const { groupId, fileName, state, download, downRate, upRate } = row;
  const isDone = download === undefined || state === "complete";
  const left = leftOf(row);
  const rates = [
    ...(downRate > 0 ? [rate(downRate)] : []),
    ...(upRate > 0 && downRate === 0 ? [t("transfers.row.up", { rate: rate(upRate) })] : []),
  ];
  return (
    <>
      <p class="sub details-sum">
        {isDone
          ? bytes(row.lengthBytes)
          : t("transfers.details.progress", { part: percent(shareDone(row)), whole: bytes(row.lengthBytes) })}
        {` · ${groupId} · `}
        {state === "complete" || state === "shared"
          ? t(`transfers.done.${state}`)
          : left === undefined
            ? stateText(row)
            : t("transfers.details.left", { time: duration(left) })}
        {rates.length > 0 && ` · ${rates.join(", ")}`}
      </p>
      <div class="actions">
        {canDo(row, "pause") && (
          <Button size="small" icon="pause" onClick={() => void pause([row])}>
            {t("transfers.action.pause")}
          </Button>
        )}
        {canDo(row, "resume") && (
          <Button size="small" icon="play" onClick={() => void resume([row])}>
            {t("transfers.action.resume")}
          </Button>
        )}
        {canPreview(row) && (isDone || !row.isFolder) && (
          <Button size="small" icon="eye" href={href({ view: "preview", groupId, fileName })}>
            {t("transfers.action.preview")}
          </Button>
        )}
        {download?.folder !== undefined && !isDone && (
          <Button size="small" href={href({ view: "choose", groupId, fileName })}>
            {t("transfers.action.choose")}
          </Button>
        )}
        {canDo(row, "limit") && (
          <Button
            size="small"
            icon="limit"
            onClick={() => {
              limiting.value = [row];
            }}
          >
            {t("transfers.action.limit")}
          </Button>
        )}
      </div>
    </>
  );
}

function Sections({ row }: { readonly row: TransferRow }) {
  const isDownload = row.download !== undefined && row.state !== "complete";
  return (
    <>
      {isStuck(row) && <WhySection row={row} />}
      {isDownload && <Pieces row={row} />}
      <Peers row={row} />
      <Speed row={row} />
      {row.isFolder && row.state !== "share-unusable" && <Files row={row} />}
      <More row={row} />
    </>
  );
}
