import type { ComponentChildren, RefObject } from "preact";
import { useId } from "preact/hooks";

export interface FieldProps {
  readonly label: string;
  readonly value: string;
  readonly onInput: (value: string) => void;
  readonly type?: "text" | "password" | "search" | "number" | "time" | "url";
  /** A sentence below: what is allowed. */
  readonly hint?: ComponentChildren;
  /** A sentence below in place of the hint: what is wrong. */
  readonly error?: string | undefined;
  readonly placeholder?: string;
  /** `MB/s` at the right. */
  readonly unit?: string;
  /** At the right, inside: a check or a button. */
  readonly end?: ComponentChildren;
  /** At the left, inside: an icon. */
  readonly start?: ComponentChildren;
  readonly isLabelHidden?: boolean;
  readonly autoComplete?: string;
  readonly inputMode?: "text" | "decimal" | "numeric" | "search";
  /** Lines; more than one makes it a text area. */
  readonly lines?: number;
  readonly maxLength?: number;
  readonly isRequired?: boolean;
  readonly disabled?: boolean;
  readonly isMono?: boolean;
  readonly isReadOnly?: boolean;
  readonly name?: string;
  readonly inputRef?: RefObject<HTMLInputElement | null>;
  readonly onKeyDown?: (event: KeyboardEvent) => void;
  readonly onBlur?: () => void;
}

export function Field(props: FieldProps) {
  const { label, value, hint, error, lines = 1 } = props;
  const id = useId();
  const note = error ?? hint;
  const common = {
    id,
    value,
    name: props.name,
    placeholder: props.placeholder,
    autoComplete: props.autoComplete ?? "off",
    autoCapitalize: "none" as const,
    spellcheck: false,
    maxLength: props.maxLength,
    required: props.isRequired,
    disabled: props.disabled,
    readOnly: props.isReadOnly,
    "aria-label": props.isLabelHidden ? label : undefined,
    "aria-invalid": error === undefined ? undefined : ("true" as const),
    "aria-describedby": note === undefined ? undefined : `${id}-note`,
    onKeyDown: props.onKeyDown,
    onBlur: props.onBlur,
    onInput: (event: Event) => props.onInput((event.target as HTMLInputElement).value),
  };
  const boxClass = ["box", error !== undefined && "box-bad", lines > 1 && "box-tall", props.isMono && "mono"];
  return (
    <div class="field">
      {!props.isLabelHidden && <label for={id}>{label}</label>}
      <div class={boxClass.filter(Boolean).join(" ")}>
        {props.start}
        {lines > 1 ? (
          <textarea {...common} rows={lines} />
        ) : (
          <input
            {...common}
            ref={props.inputRef}
            type={(props.type ?? "text") as "text"}
            inputMode={props.inputMode}
          />
        )}
        {props.unit !== undefined && <span class="unit">{props.unit}</span>}
        {props.end}
      </div>
      {note !== undefined && (
        <p class={error === undefined ? "hint" : "hint hint-bad"} id={`${id}-note`}>
          {note}
        </p>
      )}
    </div>
  );
}
