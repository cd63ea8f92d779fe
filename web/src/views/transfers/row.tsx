// One transfer: what it is, whose pieces are here, how fast, how long; and for what stands still, why.
import { Component } from "preact";
import { bytes, percent, rate } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { href } from "../../routes.ts";
import { extendTo, toggle } from "../../state/selection.ts";
import { canDo, isStuck, nameParts, type TransferRow } from "../../state/transfer-rows.ts";
import { Button } from "../../ui/button.tsx";
import { Icon } from "../../ui/icon.tsx";
import { Tick } from "../../ui/tick.tsx";
import { pause, publish, resume, stopSharing } from "./actions.ts";
import { selection, shownRows } from "./model.ts";
import { Reason } from "./reason.tsx";
import { RowMenu } from "./row-menu.tsx";
import { TransferBar } from "./transfer-bar.tsx";
import { useWhy, type Why } from "./whys.ts";
import {
  amountText,
  barText,
  finishedText,
  receiversText,
  rowIcon,
  segmentsOf,
  shareDone,
  stateText,
} from "./words.ts";

export interface RowProps {
  readonly row: TransferRow;
  /** Its details are shown. */
  readonly isOpen: boolean;
}

/** Renders again only for another state of its transfer: scrolling moves rows and leaves them as they are. */
export class Row extends Component<RowProps> {
  override shouldComponentUpdate({ row, isOpen }: RowProps): boolean {
    return row !== this.props.row || isOpen !== this.props.isOpen;
  }

  override render() {
    return <Inside row={this.props.row} />;
  }
}

/** Rows have a height that follows from their state, so that none has to be measured. @param isPhone lines stand below each other */
export function rowHeight(row: TransferRow, isPhone: boolean): number {
  if (!hasWhy(row)) return isPhone ? 109 : 57;
  return isPhone ? 191 : 114;
}

function hasWhy(row: TransferRow): boolean {
  return isStuck(row) && row.state !== "share-waits";
}

function Inside({ row }: { readonly row: TransferRow }) {
  const isStill = isStuck(row);
  const why = useWhy(row, isStill && row.download !== undefined);
  return (
    <div class={`row row-${row.state}`}>
      <RowTick row={row} />
      <Icon name={rowIcon(row)} />
      <div class="row-name">
        <Name row={row} />
        <p class="sub cut">{subText(row)}</p>
      </div>
      <Progress row={row} goneShare={goneShareOf(why)} />
      <Facts row={row} />
      <div class="row-acts">
        {canDo(row, "pause") && (
          <Button
            kind="bare"
            size="small"
            icon="pause"
            label={t("transfers.action.pauseOf", { name: row.fileName })}
            onClick={() => void pause([row])}
          />
        )}
        {canDo(row, "resume") && (
          <Button
            kind="bare"
            size="small"
            icon="play"
            label={t("transfers.action.resumeOf", { name: row.fileName })}
            onClick={() => void resume([row])}
          />
        )}
        <RowMenu row={row} />
      </div>
      {hasWhy(row) && <WhyPanel row={row} why={why} />}
    </div>
  );
}

function RowTick({ row }: { readonly row: TransferRow }) {
  const isTicked = selection.value.keys.has(row.key);
  const tick = (_: boolean, event: Event): void => {
    const withShift = (event as Event & { readonly shiftKey?: boolean }).shiftKey === true || isShiftDown;
    const shown = shownRows.peek().map(({ key }) => key);
    selection.value = withShift
      ? extendTo(selection.peek(), row.key, shown)
      : toggle(selection.peek(), row.key);
  };
  return (
    <Tick
      state={isTicked ? "on" : "off"}
      label={t("transfers.action.select", { name: row.fileName })}
      isLabelHidden
      onChange={tick}
    />
  );
}

/** A change event does not say whether Shift was down. */
let isShiftDown = false;
addEventListener(
  "pointerup",
  (event) => {
    isShiftDown = event.shiftKey;
  },
  true,
);

function Name({ row }: { readonly row: TransferRow }) {
  const [begin, ending] = nameParts(row.fileName);
  const { groupId, fileName } = row;
  return (
    <a
      class="name mid"
      href={href({ view: "transfers", groupId, fileName })}
      title={fileName}
      aria-label={fileName}
    >
      <span class="cut">{begin}</span>
      <span>{ending}</span>
    </a>
  );
}

function subText({ groupId, fileCount, download }: TransferRow): string {
  if (fileCount === undefined) return groupId;
  const { chosenFiles = fileCount } = download?.folder ?? {};
  const files =
    chosenFiles === fileCount
      ? t("transfers.row.files", { count: fileCount })
      : t("transfers.row.someFiles", { chosen: chosenFiles, count: fileCount });
  return `${groupId} · ${files}`;
}

function goneShareOf(why: Why | undefined): number {
  if (why === undefined || why.state !== "downloading" || why.pieceCount === 0) return 0;
  return why.nobodyHas.pieces / why.pieceCount;
}

function Progress({ row, goneShare }: { readonly row: TransferRow; readonly goneShare: number }) {
  const { state } = row;
  if (state === "complete" || row.download === undefined) {
    return (
      <div class="row-progress">
        <p class="line row-done">
          {state === "complete" && <Icon name="check" />}
          <span class="cut">{t(`transfers.done.${state as "complete" | "shared"}`)}</span>
        </p>
        <p class="sub cut">
          {bytes(row.lengthBytes)}
          {row.share?.state === "served" && row.peerCount > 0 && ` · ${receiversText(row)}`}
        </p>
      </div>
    );
  }
  const segments = segmentsOf(row, goneShare);
  return (
    <div class="row-progress">
      <TransferBar
        groupId={row.groupId}
        segments={segments}
        label={row.fileName}
        share={shareDone(row)}
        valueText={barText(row, segments)}
        isPaused={state === "paused" || state === "failed"}
      />
      <p class="sub line row-amount">
        <span class="cut grow">{amountText(row)}</span>
        <span>{percent(shareDone(row))}</span>
      </p>
    </div>
  );
}

function Facts({ row }: { readonly row: TransferRow }) {
  const { state, downRate, upRate, download } = row;
  const isMoving = state === "moving" || state === "starting" || state === "stuck";
  const senders = download?.sources.filter(({ rateBytesPerSecond }) => rateBytesPerSecond > 0).length ?? 0;
  const up = upRate > 0 ? t("transfers.row.up", { rate: rate(upRate) }) : undefined;
  return (
    <div class="row-facts">
      <span class={isStuck(row) ? "row-left row-still" : "row-left"}>
        {state === "complete" ? (
          <span class="quiet">{finishedText(row)}</span>
        ) : state === "shared" ? (
          up
        ) : (
          stateText(row)
        )}
      </span>
      {isMoving && (
        <>
          <span class={downRate > 0 ? "row-down" : "row-down quiet"}>{rate(downRate)}</span>
          <span class="sub row-from">{senders > 0 && t("transfers.row.from", { count: senders })}</span>
        </>
      )}
      {state !== "shared" && up !== undefined && (
        <span class={isMoving ? "sub row-up" : "sub row-down"}>{up}</span>
      )}
      {download !== undefined && state !== "complete" && (
        <span class="row-percent quiet">{percent(shareDone(row))}</span>
      )}
    </div>
  );
}

function WhyPanel({ row, why }: { readonly row: TransferRow; readonly why: Why | undefined }) {
  const isBad = row.state === "failed" || row.state === "share-unusable";
  const reason = why?.reason ?? row.reason;
  const { groupId, fileName } = row;
  return (
    <div class={`row-why banner banner-${isBad ? "danger" : "warn"}`}>
      <Icon name="warn" />
      <p class="grow row-reason">{reason !== undefined && <Reason row={row} text={reason} />}</p>
      <div class="actions">
        {row.state === "failed" && (
          <Button size="small" onClick={() => void resume([row])}>
            {t("transfers.action.tryAgain")}
          </Button>
        )}
        {row.state === "share-unusable" && (
          <>
            <Button size="small" onClick={() => void publish(row)}>
              {t("transfers.action.publish")}
            </Button>
            <Button size="small" onClick={() => stopSharing([row])}>
              {t("transfers.action.stop")}
            </Button>
          </>
        )}
        {row.download !== undefined && (
          <Button size="small" href={href({ view: "transfers", groupId, fileName })}>
            {t("transfers.action.why")}
          </Button>
        )}
      </div>
    </div>
  );
}
