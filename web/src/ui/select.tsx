import { useId } from "preact/hooks";
import { Icon } from "./icon.tsx";

export interface SelectProps<V extends string> {
  readonly label: string;
  readonly value: V;
  readonly options: readonly { readonly value: V; readonly label: string }[];
  readonly onChange: (value: V) => void;
  readonly isLabelHidden?: boolean;
  readonly disabled?: boolean;
}

export function Select<V extends string>(props: SelectProps<V>) {
  const { label, value, options, onChange, isLabelHidden } = props;
  const id = useId();
  return (
    <div class="field">
      {!isLabelHidden && <label for={id}>{label}</label>}
      <div class="box box-select">
        <select
          id={id}
          value={value}
          disabled={props.disabled}
          aria-label={isLabelHidden ? label : undefined}
          onChange={(event) => onChange(event.currentTarget.value as V)}
        >
          {options.map((option) => (
            <option key={option.value} value={option.value} selected={option.value === value}>
              {option.label}
            </option>
          ))}
        </select>
        <Icon name="down" />
      </div>
    </div>
  );
}
