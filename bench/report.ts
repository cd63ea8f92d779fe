// What a row of the table is, and how figures are said. A mark is reached or it is not; nothing is rounded into reach.

export interface Mark {
  /** What is compared, for people: `of the roofline`. */
  readonly of: string;
  readonly value: number;
  readonly must: "at least" | "at most";
  readonly mark: number;
  readonly unit: string;
}

export interface RowResult {
  readonly marks: readonly Mark[];
  /** Everything else that was measured, by name with its unit: `ourSeconds`, `leecherPeakMegabytes`. */
  readonly figures: Readonly<Record<string, number | readonly number[]>>;
  /** Lines that are printed below the row's marks. */
  readonly lines: readonly string[];
}

export interface Conditions {
  /** Where files lie: a tmpfs. */
  readonly folder: string;
  readonly runs: number;
  /** Smaller files and fewer runs: to see that everything works, not to be quoted. */
  readonly isQuick: boolean;
  /** Tells whoever waits what goes on. */
  readonly say: (line: string) => void;
}

export interface Row {
  readonly name: string;
  readonly work: string;
  run(conditions: Conditions): Promise<RowResult>;
}

export function isReached({ value, must, mark }: Mark): boolean {
  return must === "at least" ? value >= mark : value <= mark;
}

export function atLeast(mark: number, unit: string, of: string, value: number): Mark {
  return { of, value, must: "at least", mark, unit };
}

export function atMost(mark: number, unit: string, of: string, value: number): Mark {
  return { of, value, must: "at most", mark, unit };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Three digits that count: 0.934, 12.3, 1840. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const magnitude = Math.abs(value);
  if (magnitude >= 100) return value.toFixed(0);
  return value.toFixed(magnitude >= 10 ? 1 : magnitude >= 1 ? 2 : 3);
}

export function seconds(value: number): string {
  return `${value.toFixed(2)} s`;
}

/** The median, with the extremes behind it. */
export function spread(values: readonly number[]): string {
  const range = `${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)}`;
  return values.length === 1 ? seconds(median(values)) : `${seconds(median(values))} (${range})`;
}

export function megabytesPerSecond(lengthBytes: number, inSeconds: number): string {
  return `${(lengthBytes / 1e6 / inSeconds).toFixed(0)} MB/s`;
}
