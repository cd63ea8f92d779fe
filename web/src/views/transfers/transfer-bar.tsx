// A download's bar: whose pieces are here.
import { percent } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import type { BarSegment } from "../../state/bar-segments.ts";
import { markOf } from "./members.ts";

export interface TransferBarProps {
  readonly groupId: string;
  readonly segments: readonly BarSegment[];
  readonly label: string;
  /** 0 to 1 */
  readonly share: number;
  readonly valueText: string;
  readonly isPaused?: boolean;
}

export function TransferBar({
  groupId,
  segments,
  label,
  share,
  valueText,
  isPaused = false,
}: TransferBarProps) {
  return (
    <div
      class={isPaused ? "bar bar-paused" : "bar"}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.floor(share * 100)}
      aria-valuetext={valueText}
    >
      {segments.map((segment) => (
        <Segment key={segment.kind + segment.userId} groupId={groupId} segment={segment} />
      ))}
    </div>
  );
}

function Segment({ groupId, segment }: { readonly groupId: string; readonly segment: BarSegment }) {
  const { kind, userId, share } = segment;
  const style = { width: `${share * 100}%` };
  if (kind === "gone") return <i class="bar-gone" style={style} title={t("transfers.bar.gone")} />;
  if (kind !== "member") {
    return (
      <i class="bar-unknown" style={style} title={t(`transfers.bar.${kind}`, { part: percent(share) })} />
    );
  }
  const { colour, letter } = markOf(groupId, userId);
  return (
    <i
      class={`m${colour}`}
      style={style}
      title={t("transfers.bar.from", { part: percent(share), user: userId })}
    >
      <span>{letter}</span>
    </i>
  );
}
