// Who: a letter on a colour. The same letter stands in bars, so that colour is never alone.
import type { ComponentChildren } from "preact";
import { markOfStranger } from "../state/member-marks.ts";

export interface MemberChipProps {
  readonly userId: string;
  /** From 0, by order of joining; all from the eighth on are alike. */
  readonly colourIndex: number;
  /** The shortest beginning of the name that is unique in the group (`markMembers`); else its first letter. */
  readonly letter?: string | undefined;
  /** The name beside it, or what stands in its place. Without, the chip has the name as title. */
  readonly children?: ComponentChildren;
  readonly size?: "normal" | "large";
}

/** The class that sets the colour. */
function memberClass(colourIndex: number): string {
  return `m${Math.min(8, Math.max(1, colourIndex + 1))}`;
}

export function MemberChip(props: MemberChipProps) {
  const { userId, colourIndex, letter = markOfStranger(userId).letter, children, size = "normal" } = props;
  const isAlone = children === undefined;
  const chip = (
    <span
      class={`chip ${memberClass(colourIndex)}${size === "large" ? " chip-large" : ""}`}
      title={isAlone ? userId : undefined}
      role={isAlone ? "img" : undefined}
      aria-label={isAlone ? userId : undefined}
      aria-hidden={isAlone ? undefined : "true"}
    >
      {letter}
    </span>
  );
  if (isAlone) return chip;
  return (
    <span class="member">
      {chip}
      <span class="cut">{children}</span>
    </span>
  );
}

export interface BarSegment {
  readonly userId: string;
  readonly colourIndex: number;
  readonly letter?: string | undefined;
  /** Of the whole bar, 0 to 1. */
  readonly share: number;
}

export interface MemberBarProps {
  readonly segments: readonly BarSegment[];
  /** Its name for screen readers; its value is the sum of the segments. */
  readonly label: string;
  /** What nobody online has, 0 to 1. */
  readonly goneShare?: number;
  readonly isPaused?: boolean;
  readonly isThin?: boolean;
  /** In place of the percentage, for screen readers. */
  readonly valueText?: string;
}

export function MemberBar(props: MemberBarProps) {
  const { segments, label, goneShare = 0, isPaused, isThin, valueText } = props;
  const classes = ["bar", isPaused && "bar-paused", isThin && "bar-thin"].filter(Boolean).join(" ");
  const done = Math.min(
    1,
    segments.reduce((sum, { share }) => sum + share, 0),
  );
  return (
    <div
      class={classes}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.floor(done * 100)}
      aria-valuetext={valueText}
    >
      {segments.map(({ userId, colourIndex, letter, share }) => (
        <i
          key={userId}
          class={isThin ? undefined : memberClass(colourIndex)}
          style={{ width: `${share * 100}%` }}
          title={isThin ? undefined : userId}
        >
          {!isThin && <span>{letter ?? markOfStranger(userId).letter}</span>}
        </i>
      ))}
      {goneShare > 0 && <i class="bar-gone" style={{ width: `${goneShare * 100}%` }} />}
    </div>
  );
}
