// The speed by hour and weekday. On a wide page a week as runs of hours: drag over hours, or go there with the arrow keys and press
// 1, 2 or 3. On a narrow one a sentence for each day.
import { useEffect, useRef, useState } from "preact/hooks";
import { call, sentenceOf } from "../../api/call.ts";
import { rate } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { parseRateField, rateFieldText } from "../../state/rate-field.ts";
import {
  copiedDay,
  DAY_MINUTES,
  FULL,
  isSameSpeed,
  NOTHING,
  nextChange,
  paintedSelection,
  type Run,
  rulesOf,
  runAt,
  type Speed,
  selectionBetween,
  slowSpeedOf,
  timeOf,
  type Week,
  type WeekSelection,
  weekOf,
  withSlowSpeed,
} from "../../state/week-runs.ts";
import { Button } from "../../ui/button.tsx";
import { Banner, Skeleton } from "../../ui/empty.tsx";
import { Field } from "../../ui/field.tsx";
import { announce } from "../../ui/live-region.tsx";
import { toast, toastError } from "../../ui/toasts.tsx";
import "../../styles/schedule.css";
import { DayDialog } from "./schedule-day.tsx";
import { dayName, speedText } from "./speed-words.ts";

type Slow = Extract<Speed, { kind: "slow" }>;

/** What "slow" is until somebody says otherwise, in bytes a second. */
const DEFAULT_SLOW: Slow = { kind: "slow", up: 1_000_000, down: 2_000_000 };
const DAYS = [0, 1, 2, 3, 4, 5, 6] as const;
const WORKDAYS = [1, 2, 3, 4];
const HOURS = [0, 6, 12, 18] as const;
const MINUTE_MS = 60_000;

/** What fits into a run of an hour. */
function shortText(speed: Speed): string {
  if (speed.kind !== "slow") return t(`transfers.schedule.${speed.kind}`);
  return rate(speed.down ?? speed.up ?? 0);
}

function timeNow(): { readonly day: number; readonly minute: number } {
  const now = new Date();
  return { day: (now.getDay() + 6) % 7, minute: now.getHours() * 60 + now.getMinutes() };
}

export default function Schedule() {
  const [week, setWeek] = useState<Week>();
  const [slow, setSlow] = useState<Slow>(DEFAULT_SLOW);
  const [error, setError] = useState<string>();
  const [now, setNow] = useState(timeNow);
  useEffect(() => {
    call("schedule").then(
      ({ rules }) => {
        const read = weekOf(rules);
        setWeek(read);
        setSlow((before) => slowSpeedOf(read) ?? before);
      },
      (failure) => setError(sentenceOf(failure)),
    );
    const timer = setInterval(() => setNow(timeNow()), MINUTE_MS / 2);
    return () => clearInterval(timer);
  }, []);
  const saver = useSaver(setWeek);
  const change = (to: Week): void => {
    setWeek(to);
    if (week !== undefined) saver(to, week);
  };
  if (error !== undefined) {
    return (
      <Banner kind="danger" icon="warn">
        {error}
      </Banner>
    );
  }
  if (week === undefined) return <Skeleton rows={7} />;
  return (
    <div class="schedule card">
      <p class="sub schedule-now">{nowText(week, now)}</p>
      <WeekGrid week={week} slow={slow} now={now} onChange={change} />
      <DayList week={week} slow={slow} today={now.day} onChange={change} />
      <SlowFields
        slow={slow}
        onChange={(to) => {
          setSlow(to);
          if (week.flat().some(({ speed }) => isSameSpeed(speed, slow)))
            change(withSlowSpeed(week, slow, to));
        }}
      />
      <div class="schedule-foot">
        <ul class="schedule-key" aria-label={t("transfers.schedule.key")}>
          <li>
            <i class="run-full" />
            {t("transfers.schedule.full")} <kbd>1</kbd>
          </li>
          <li>
            <i class="run-slow" />
            {speedText(slow)} <kbd>2</kbd>
          </li>
          <li>
            <i class="run-nothing" />
            {t("transfers.schedule.nothing")} <kbd>3</kbd>
          </li>
        </ul>
        <div class="actions">
          <Button kind="bare" size="small" onClick={() => change(copiedDay(week, 0, WORKDAYS))}>
            {t("transfers.schedule.copyMonday")}
          </Button>
          <Button kind="bare" size="small" onClick={() => change(weekOf([]))}>
            {t("transfers.schedule.clear")}
          </Button>
        </div>
      </div>
    </div>
  );
}

/** `Now: full speed until 18:00, then 2 MB/s down.` */
function nowText(week: Week, { day, minute }: { readonly day: number; readonly minute: number }): string {
  const { now, next } = nextChange(week, day, minute);
  if (next === undefined) return t("transfers.schedule.always", { speed: speedText(now) });
  const atMinute = (minute + next.inMinutes) % 1_440;
  const days = Math.floor((minute + next.inMinutes) / 1_440);
  const time = days === 0 ? timeOf(atMinute) : `${dayName((day + days) % 7, "long")} ${timeOf(atMinute)}`;
  return t("transfers.schedule.now", { speed: speedText(now), time, next: speedText(next.speed) });
}

/** Saves one change after the other; one that is refused is taken back. */
function useSaver(setWeek: (week: Week) => void): (to: Week, before: Week) => void {
  const state = useRef<{ isSaving: boolean; latest: Week | undefined }>({
    isSaving: false,
    latest: undefined,
  });
  return (to, before) => {
    state.current.latest = to;
    if (state.current.isSaving) return;
    state.current.isSaving = true;
    const save = async (): Promise<void> => {
      let saved = before;
      try {
        while (state.current.latest !== undefined) {
          const week = state.current.latest;
          state.current.latest = undefined;
          await call("setSchedule", {
            rules: rulesOf(week).map((rule) => ({ ...rule, days: [...rule.days] })),
          });
          saved = week;
        }
      } catch (failure) {
        setWeek(saved);
        toastError(failure);
      } finally {
        state.current.latest = undefined;
        state.current.isSaving = false;
      }
    };
    void save();
  };
}

interface WeekProps {
  readonly week: Week;
  readonly slow: Slow;
  readonly onChange: (week: Week) => void;
}

interface Cursor {
  readonly day: number;
  readonly hour: number;
}

function WeekGrid({ week, slow, now, onChange }: WeekProps & { readonly now: ReturnType<typeof timeNow> }) {
  const grid = useRef<HTMLDivElement>(null);
  const [cursor, setCursor] = useState<Cursor>({ day: now.day, hour: Math.floor(now.minute / 60) });
  const [anchor, setAnchor] = useState<Cursor>();
  const [isDragging, setDragging] = useState(false);
  const [hasFocus, setFocus] = useState(false);
  const selection = anchor === undefined ? undefined : selectionBetween(anchor, cursor);
  const meant: WeekSelection = selection ?? selectionBetween(cursor, cursor);

  const paint = (speed: Speed): void => {
    onChange(paintedSelection(week, meant, speed));
    announce(`${selectionText(meant)}: ${speedText(speed)}`);
  };
  const at = (event: PointerEvent): Cursor | undefined => {
    const box = grid.current?.getBoundingClientRect();
    if (box === undefined) return undefined;
    const hour = Math.floor(((event.clientX - box.left) / box.width) * 24);
    const day = Math.floor(((event.clientY - box.top) / box.height) * 7);
    return { day: Math.max(0, Math.min(6, day)), hour: Math.max(0, Math.min(23, hour)) };
  };
  const moveTo = (to: Cursor, extend: boolean): void => {
    if (extend) setAnchor(anchor ?? cursor);
    else setAnchor(undefined);
    setCursor(to);
    const { speed } = runAt(week, to.day, to.hour * 60);
    announce(`${selectionText(selectionBetween(extend ? (anchor ?? cursor) : to, to))}: ${speedText(speed)}`);
    requestAnimationFrame(() =>
      grid.current
        ?.querySelector<HTMLElement>(`[data-run="${runName(week, to)}"]`)
        ?.focus({ preventScroll: true }),
    );
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const { day, hour } = cursor;
    const moves: Readonly<Record<string, Cursor>> = {
      ArrowLeft: { day, hour: Math.max(0, hour - 1) },
      ArrowRight: { day, hour: Math.min(23, hour + 1) },
      ArrowUp: { day: Math.max(0, day - 1), hour },
      ArrowDown: { day: Math.min(6, day + 1), hour },
      Home: { day, hour: 0 },
      End: { day, hour: 23 },
    };
    const speeds: Readonly<Record<string, Speed>> = { "1": FULL, "2": slow, "3": NOTHING };
    const [to, speed] = [moves[event.key], speeds[event.key]];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (to !== undefined) moveTo(to, event.shiftKey);
    else if (speed !== undefined) paint(speed);
    else if (event.key === "Escape" && anchor !== undefined) setAnchor(undefined);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="week">
      <div class="week-hours" aria-hidden="true">
        {HOURS.map((hour) => (
          <span key={hour} style={{ left: `${(hour / 24) * 100}%` }}>
            {String(hour).padStart(2, "0")}
          </span>
        ))}
      </div>
      <div class="week-days" aria-hidden="true">
        {DAYS.map((day) => (
          <span key={day} class={day === now.day ? "week-today" : undefined}>
            {dayName(day, "short")}
          </span>
        ))}
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset cannot be laid out as a grid in all browsers. */}
      <div
        class="week-grid"
        role="group"
        aria-label={t("transfers.schedule.label")}
        ref={grid}
        onKeyDown={onKeyDown}
        onFocusIn={() => setFocus(true)}
        onFocusOut={() => setFocus(false)}
        onPointerDown={(event) => {
          const begin = at(event);
          if (begin === undefined || event.button !== 0) return;
          grid.current?.setPointerCapture(event.pointerId);
          setDragging(true);
          setAnchor(begin);
          setCursor(begin);
        }}
        onPointerMove={(event) => {
          const to = isDragging ? at(event) : undefined;
          if (to !== undefined && (to.day !== cursor.day || to.hour !== cursor.hour)) setCursor(to);
        }}
        onPointerUp={() => setDragging(false)}
        onPointerCancel={() => {
          setDragging(false);
          setAnchor(undefined);
        }}
      >
        {DAYS.map((day) => (
          <div class="week-day" key={day}>
            {(week[day] ?? []).map((run) => (
              <RunButton
                key={run.fromMinute}
                day={day}
                run={run}
                slow={slow}
                isTabStop={runName(week, cursor) === `${day}-${run.fromMinute}`}
                onFocus={() => {
                  if (isDragging || runName(week, cursor) === `${day}-${run.fromMinute}`) return;
                  setAnchor(undefined);
                  setCursor({ day, hour: Math.floor(run.fromMinute / 60) });
                }}
              />
            ))}
          </div>
        ))}
        <i
          class="week-now"
          style={{ left: `${(now.minute / 1_440) * 100}%`, top: `${(now.day / 7) * 100}%` }}
        />
        {(selection !== undefined || hasFocus) && <i class="week-selection" style={boxOf(meant)} />}
      </div>
      {selection !== undefined && !isDragging && (
        <div class="week-choose" role="toolbar" aria-label={selectionText(selection)}>
          <b>{selectionText(selection)}</b>
          {([FULL, slow, NOTHING] as const).map((speed, index) => (
            <Button
              key={speed.kind}
              size="small"
              onClick={() => {
                paint(speed);
                setAnchor(undefined);
              }}
            >
              <i class={`run-${speed.kind}`} />
              {shortText(speed)}
              <kbd>{index + 1}</kbd>
            </Button>
          ))}
          <Button
            kind="bare"
            size="small"
            icon="x"
            label={t("transfers.schedule.unselect")}
            onClick={() => setAnchor(undefined)}
          />
        </div>
      )}
    </div>
  );
}

function boxOf({ fromDay, toDay, fromHour, toHour }: WeekSelection): Record<string, string> {
  return {
    left: `${(fromHour / 24) * 100}%`,
    width: `${((toHour + 1 - fromHour) / 24) * 100}%`,
    top: `${(fromDay / 7) * 100}%`,
    height: `${((toDay + 1 - fromDay) / 7) * 100}%`,
  };
}

/** `Mon to Wed, 08:00 to 18:00` */
function selectionText({ fromDay, toDay, fromHour, toHour }: WeekSelection): string {
  const days =
    fromDay === toDay
      ? dayName(fromDay, "short")
      : t("transfers.schedule.range", { from: dayName(fromDay, "short"), to: dayName(toDay, "short") });
  const hours = t("transfers.schedule.range", { from: timeOf(fromHour * 60), to: timeOf((toHour + 1) * 60) });
  return `${days}, ${hours}`;
}

/** Identifies the run that the cursor is in. */
function runName(week: Week, { day, hour }: Cursor): string {
  return `${day}-${runAt(week, day, hour * 60).fromMinute}`;
}

interface RunButtonProps {
  readonly day: number;
  readonly run: Run;
  readonly slow: Slow;
  readonly isTabStop: boolean;
  readonly onFocus: () => void;
}

function RunButton({ day, run, slow, isTabStop, onFocus }: RunButtonProps) {
  const { fromMinute, toMinute, speed } = run;
  const isOther = speed.kind === "slow" && !isSameSpeed(speed, slow);
  const name = t("transfers.schedule.run", {
    day: dayName(day, "long"),
    from: timeOf(fromMinute),
    to: timeOf(toMinute),
    speed: speedText(speed),
  });
  return (
    <button
      type="button"
      class={`week-run run-${speed.kind}${isOther ? " run-other" : ""}`}
      data-run={`${day}-${fromMinute}`}
      aria-label={name}
      title={name}
      tabIndex={isTabStop ? 0 : -1}
      style={{
        left: `${(fromMinute / DAY_MINUTES) * 100}%`,
        width: `calc(${((toMinute - fromMinute) / DAY_MINUTES) * 100}% - 2px)`,
      }}
      onFocus={onFocus}
    >
      {toMinute - fromMinute >= 90 && shortText(speed)}
    </button>
  );
}

/** For narrow pages: a sentence a day, which opens the day's hours. */
function DayList({ week, slow, today, onChange }: WeekProps & { readonly today: number }) {
  const [day, setDay] = useState<number>();
  return (
    <>
      <ul class="week-list" aria-label={t("transfers.schedule.label")}>
        {DAYS.map((one) => (
          <li key={one}>
            <button type="button" onClick={() => setDay(one)}>
              <b class={one === today ? "week-today" : undefined}>{dayName(one, "long")}</b>
              <span>{dayText(week[one] ?? [])}</span>
            </button>
          </li>
        ))}
      </ul>
      {day !== undefined && (
        <DayDialog week={week} day={day} slow={slow} onChange={onChange} onClose={() => setDay(undefined)} />
      )}
    </>
  );
}

/** `2 MB/s from 08:00 to 18:00, else full speed` */
function dayText(runs: readonly Run[]): string {
  const special = runs.filter(({ speed }) => speed.kind !== "full");
  const [only] = runs;
  if (special.length === 0) return t("transfers.schedule.full");
  if (runs.length === 1 && only !== undefined) return speedText(only.speed);
  const parts = special.map(({ fromMinute, toMinute, speed }) =>
    t("transfers.schedule.part", { speed: shortText(speed), from: timeOf(fromMinute), to: timeOf(toMinute) }),
  );
  return `${parts.join(", ")}, ${t("transfers.schedule.else")}`;
}

function SlowFields({ slow, onChange }: { readonly slow: Slow; readonly onChange: (slow: Slow) => void }) {
  const [texts, setTexts] = useState({ down: rateFieldText(slow.down), up: rateFieldText(slow.up) });
  useEffect(() => {
    setTexts({ down: rateFieldText(slow.down), up: rateFieldText(slow.up) });
  }, [slow.down, slow.up]);
  const rates = { down: parseRateField(texts.down), up: parseRateField(texts.up) };
  const isNone = rates.down === null && rates.up === null;
  const save = (): void => {
    const { down, up } = rates;
    if (down === undefined || up === undefined || isNone) return;
    if (down === slow.down && up === slow.up) return;
    onChange({ kind: "slow", down, up });
    toast(t("transfers.schedule.slowSaved", { speed: speedText({ kind: "slow", down, up }) }));
  };
  return (
    <div class="schedule-slow">
      <p class="grow">
        <b>{t("transfers.schedule.slow")}</b>
        <small>{t("transfers.schedule.slowNote")}</small>
      </p>
      {(["down", "up"] as const).map((direction) => (
        <Field
          key={direction}
          label={t(`transfers.schedule.slow.${direction}`)}
          value={texts[direction]}
          unit="MB/s"
          inputMode="decimal"
          placeholder={t("transfers.limit.none")}
          error={
            rates[direction] === undefined
              ? t("transfers.limit.bad")
              : isNone && direction === "down"
                ? t("transfers.schedule.slowNone")
                : undefined
          }
          onInput={(value) => setTexts({ ...texts, [direction]: value })}
          onBlur={save}
          onKeyDown={(event) => {
            if (event.key === "Enter") save();
          }}
        />
      ))}
    </div>
  );
}
