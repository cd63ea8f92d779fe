// The hours of one day, for fingers: from when to when, and how fast.
import { useState } from "preact/hooks";
import { t } from "../../i18n/t.ts";
import { FULL, NOTHING, painted, type Speed, timeOf, type Week } from "../../state/week-runs.ts";
import { Button } from "../../ui/button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Select } from "../../ui/select.tsx";
import { dayName, speedText } from "./speed-words.ts";

export interface DayDialogProps {
  readonly week: Week;
  readonly day: number;
  readonly slow: Extract<Speed, { kind: "slow" }>;
  readonly onChange: (week: Week) => void;
  readonly onClose: () => void;
}

const ALL_HOURS = Array.from({ length: 25 }, (_, hour) => ({
  value: String(hour),
  label: timeOf(hour * 60),
}));

export function DayDialog({ week, day, slow, onChange, onClose }: DayDialogProps) {
  const [from, setFrom] = useState("8");
  const [to, setTo] = useState("18");
  const [kind, setKind] = useState<Speed["kind"]>("slow");
  const speed = { full: FULL, slow, nothing: NOTHING }[kind];
  const runs = week[day] ?? [];
  return (
    <Dialog
      title={dayName(day, "long")}
      width="narrow"
      onClose={onClose}
      onSubmit={() => {
        onChange(painted(week, day, Number(from) * 60, Number(to) * 60, speed));
        onClose();
      }}
      footer={
        <>
          <Button onClick={onClose}>{t("shell.action.cancel")}</Button>
          <Button kind="main" type="submit">
            {t("transfers.schedule.setHours")}
          </Button>
        </>
      }
    >
      <div class="stack">
        <ul class="day-runs">
          {runs.map((run) => (
            <li key={run.fromMinute} class="line">
              <i class={`run-${run.speed.kind}`} />
              <span>
                {t("transfers.schedule.range", { from: timeOf(run.fromMinute), to: timeOf(run.toMinute) })}
              </span>
              <span class="grow num">{speedText(run.speed)}</span>
            </li>
          ))}
        </ul>
        <div class="day-hours">
          <Select
            label={t("transfers.schedule.from")}
            value={from}
            options={ALL_HOURS.slice(0, 24)}
            onChange={(value) => {
              setFrom(value);
              if (Number(to) <= Number(value)) setTo(String(Number(value) + 1));
            }}
          />
          <Select
            label={t("transfers.schedule.to")}
            value={to}
            options={ALL_HOURS.slice(Number(from) + 1)}
            onChange={setTo}
          />
        </div>
        <Select
          label={t("transfers.schedule.speed")}
          value={kind}
          options={[
            { value: "full", label: speedText(FULL) },
            { value: "slow", label: speedText(slow) },
            { value: "nothing", label: speedText(NOTHING) },
          ]}
          onChange={setKind}
        />
      </div>
    </Dialog>
  );
}
