// Words for days and speeds of the schedule.
import { rate } from "../../i18n/format.ts";
import { locale, t } from "../../i18n/t.ts";
import type { Speed } from "../../state/week-runs.ts";

/** 2024-01-01 was a Monday. */
export function dayName(day: number, form: "short" | "long"): string {
  return new Intl.DateTimeFormat(locale(), { weekday: form, timeZone: "UTC" }).format(
    Date.UTC(2024, 0, 1 + day),
  );
}

export function speedText(speed: Speed): string {
  if (speed.kind !== "slow") return t(`transfers.schedule.${speed.kind}`);
  const { up, down } = speed;
  if (down !== null && up !== null) return t("transfers.schedule.both", { down: rate(down), up: rate(up) });
  if (down !== null) return t("transfers.schedule.onlyDown", { down: rate(down) });
  return t("transfers.schedule.onlyUp", { up: rate(up ?? 0) });
}
