// One of a few: buttons side by side, which choose what a list shows.

export interface Choice<V extends string> {
  readonly value: V;
  readonly label: string;
  /** Beside the label, quiet. */
  readonly count?: number | string | undefined;
}

export interface SegmentsProps<V extends string> {
  /** What is chosen here, for screen readers. */
  readonly label: string;
  readonly value: V;
  readonly options: readonly Choice<V>[];
  readonly onChange: (value: V) => void;
  /** All of one width. */
  readonly isWide?: boolean;
}

export function Segments<V extends string>({ label, value, options, onChange, isWide }: SegmentsProps<V>) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset cannot be laid out as a row in all browsers.
    <div class={isWide ? "segments segments-wide" : "segments"} role="group" aria-label={label}>
      {options.map((option) => (
        <button
          key={option.value}
          type="button"
          aria-pressed={option.value === value}
          onClick={() => onChange(option.value)}
        >
          {option.label}
          {option.count !== undefined && <span class="count">{option.count}</span>}
        </button>
      ))}
    </div>
  );
}
