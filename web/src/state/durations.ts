// How long, in the two largest units.

export interface DurationPart {
  readonly value: number;
  readonly unit: "s" | "min" | "h" | "d";
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `1 h 44 min`, `3 min 36 s`, `2 d 4 h`; seconds are left out from ten minutes on. */
export function durationParts(seconds: number): DurationPart[] {
  const whole = Math.max(0, Math.round(seconds));
  const parts = (larger: DurationPart, smaller: DurationPart): DurationPart[] =>
    smaller.value === 0 ? [larger] : [larger, smaller];
  if (whole < MINUTE) return [{ value: whole, unit: "s" }];
  if (whole < 10 * MINUTE) {
    const larger = { value: Math.floor(whole / MINUTE), unit: "min" } as const;
    return parts(larger, { value: whole % MINUTE, unit: "s" });
  }
  if (whole < HOUR) return [{ value: Math.floor(whole / MINUTE), unit: "min" }];
  if (whole < DAY) {
    const larger = { value: Math.floor(whole / HOUR), unit: "h" } as const;
    return parts(larger, { value: Math.floor((whole % HOUR) / MINUTE), unit: "min" });
  }
  const larger = { value: Math.floor(whole / DAY), unit: "d" } as const;
  return parts(larger, { value: Math.floor((whole % DAY) / HOUR), unit: "h" });
}
