// One line of settings: what it is, a sentence about it, and its control at the right.
import type { ComponentChildren } from "preact";

export interface SettingProps {
  readonly title: ComponentChildren;
  readonly children?: ComponentChildren;
  readonly control?: ComponentChildren;
  /** The id of its sentence, for the control's aria-describedby. */
  readonly id?: string;
  /** The control has a row of its own where there is little room. */
  readonly isWide?: boolean;
}

export function Setting({ title, children, control, id, isWide }: SettingProps) {
  return (
    <div class={isWide ? "setting setting-wide" : "setting"}>
      <div>
        <b>{title}</b>
        {children !== undefined && <p id={id}>{children}</p>}
      </div>
      {control}
    </div>
  );
}
