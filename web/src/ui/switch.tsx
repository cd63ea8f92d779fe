export interface SwitchProps {
  readonly isOn: boolean;
  readonly onChange: (isOn: boolean) => void;
  readonly label: string;
  readonly disabled?: boolean;
  readonly describedBy?: string;
}

/** For what takes effect at once. */
export function Switch({ isOn, onChange, label, disabled, describedBy }: SwitchProps) {
  return (
    <input
      class="switch"
      type="checkbox"
      role="switch"
      checked={isOn}
      disabled={disabled}
      aria-label={label}
      aria-describedby={describedBy}
      onChange={(event) => onChange(event.currentTarget.checked)}
    />
  );
}
