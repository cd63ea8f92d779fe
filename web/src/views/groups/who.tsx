// Members by their colour and letter, as the lists of a group show them.
import type { ComponentChildren } from "preact";
import { markOfStranger } from "../../state/member-marks.ts";
import { MemberChip } from "../../ui/member.tsx";
import type { Marks } from "./group-answers.ts";

export interface WhoProps {
  readonly userId: string;
  readonly marks: Marks;
  /** The name beside it; without, the chip alone. */
  readonly children?: ComponentChildren;
}

export function Who({ userId, marks, children }: WhoProps) {
  const { colour, letter } = marks.get(userId) ?? markOfStranger(userId);
  return (
    <MemberChip userId={userId} colourIndex={colour - 1} letter={letter}>
      {children}
    </MemberChip>
  );
}
