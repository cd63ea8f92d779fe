import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

export interface TickProps {
  readonly state: "on" | "off" | "mixed";
  /** @param isOn what it becomes: a mixed one becomes on */
  readonly onChange: (isOn: boolean, event: Event) => void;
  /** Its name, for screen readers too. */
  readonly label: string;
  /** In place of the label, when it is shown in another form. */
  readonly children?: ComponentChildren;
  readonly isLabelHidden?: boolean;
  readonly disabled?: boolean;
  readonly kind?: "check" | "radio";
  /** Of radios that belong together. */
  readonly name?: string;
  readonly tabIndex?: number;
}

/** A box to tick, with a third state for "some". */
export function Tick(props: TickProps) {
  const { state, label, isLabelHidden, kind = "check" } = props;
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (input.current !== null) input.current.indeterminate = state === "mixed";
  }, [state]);
  const box = (
    <input
      ref={input}
      class="tick"
      type={kind === "radio" ? "radio" : "checkbox"}
      name={props.name}
      checked={state === "on"}
      disabled={props.disabled}
      tabIndex={props.tabIndex}
      aria-label={isLabelHidden ? label : undefined}
      onChange={(event) => props.onChange(event.currentTarget.checked, event)}
    />
  );
  if (isLabelHidden) return box;
  return (
    <label class="tick-line">
      {box}
      <span>{props.children ?? label}</span>
    </label>
  );
}
