// One of a few: buttons side by side. Segments choose what a list shows; Tabs choose between panels.
import { useRef } from "preact/hooks";

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

export interface TabsProps<V extends string> extends SegmentsProps<V> {
  /** The id of the panel that they fill. */
  readonly panelId: string;
}

export function Tabs<V extends string>({ label, value, options, onChange, isWide, panelId }: TabsProps<V>) {
  const row = useRef<HTMLDivElement>(null);
  const move = (by: number): void => {
    const index = options.findIndex((option) => option.value === value);
    const next = (index + by + options.length) % options.length;
    const option = options[next];
    if (option === undefined) return;
    onChange(option.value);
    row.current?.querySelectorAll("button")[next]?.focus();
  };
  return (
    <div
      class={isWide ? "segments segments-wide" : "segments"}
      role="tablist"
      aria-label={label}
      ref={row}
      onKeyDown={(event) => {
        if (event.key === "ArrowRight") move(1);
        else if (event.key === "ArrowLeft") move(-1);
        else return;
        event.preventDefault();
      }}
    >
      {options.map((option) => (
        <button
          key={option.value}
          type="button"
          role="tab"
          aria-selected={option.value === value}
          aria-controls={panelId}
          tabIndex={option.value === value ? 0 : -1}
          onClick={() => onChange(option.value)}
        >
          {option.label}
          {option.count !== undefined && <span class="count">{option.count}</span>}
        </button>
      ))}
    </div>
  );
}
