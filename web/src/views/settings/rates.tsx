// The limits on everything together. The schedule and single transfers have limits of their own.
import { useId, useState } from "preact/hooks";
import { call, sentenceOf } from "../../api/call.ts";
import { useCall } from "../../api/use-call.ts";
import { rate } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { parseRateField, rateFieldText } from "../../state/rate-field.ts";
import { Banner } from "../../ui/empty.tsx";
import { Field } from "../../ui/field.tsx";
import { Icon } from "../../ui/icon.tsx";
import { announce } from "../../ui/live-region.tsx";
import Schedule from "./schedule.tsx";
import { Setting } from "./setting.tsx";

type Direction = "down" | "up";

export default function Rates() {
  const { answer, error, reload } = useCall("limits", {});
  const own = answer?.outsideSchedule ?? answer?.all;
  const save = async (direction: Direction, bytesPerSecond: number | null): Promise<void> =>
    reload(await call("limit", { direction, bytesPerSecond }));
  return (
    <>
      {error !== undefined && (
        <Banner kind="danger" icon="warn">
          {error}
        </Banner>
      )}
      {answer?.outsideSchedule !== undefined && (
        <Banner icon="clock">
          {t("shell.rates.scheduled", {
            down: answer.all.down === undefined ? t("shell.rates.full") : rate(answer.all.down),
            up: answer.all.up === undefined ? t("shell.rates.full") : rate(answer.all.up),
          })}
        </Banner>
      )}
      <section class="card">
        <Limit direction="down" known={answer && (own?.down ?? null)} onSave={save} />
        <Limit direction="up" known={answer && (own?.up ?? null)} onSave={save} />
      </section>
      <p class="sub">{t("shell.rates.others")}</p>
      <section class="stack">
        <h2>{t("transfers.schedule.title")}</h2>
        <Schedule />
      </section>
    </>
  );
}

interface LimitProps {
  readonly direction: Direction;
  /** undefined: not known yet; null: none. */
  readonly known: number | null | undefined;
  readonly onSave: (direction: Direction, bytesPerSecond: number | null) => Promise<void>;
}

/** It is saved when it is left, or with Enter. */
function Limit({ direction, known, onSave }: LimitProps) {
  const id = useId();
  const [typed, setTyped] = useState<string>();
  const [error, setError] = useState<string>();
  const [isSaved, setSaved] = useState(false);
  const label = t(direction === "down" ? "shell.rates.down" : "shell.rates.up");
  const save = async (): Promise<void> => {
    if (typed === undefined) return;
    const wanted = parseRateField(typed);
    if (wanted === undefined) {
      setError(t("shell.rates.bad"));
      return;
    }
    setError(undefined);
    try {
      if (wanted !== known) {
        await onSave(direction, wanted);
        setSaved(true);
        announce(t("shell.saved"));
      }
      setTyped(undefined);
    } catch (failure) {
      setError(sentenceOf(failure));
    }
  };
  return (
    <Setting
      title={label}
      id={id}
      isWide
      control={
        <Field
          label={label}
          isLabelHidden
          value={typed ?? rateFieldText(known)}
          placeholder={known === undefined ? "" : t("shell.rates.none")}
          unit="MB/s"
          inputMode="decimal"
          error={error}
          disabled={known === undefined}
          end={isSaved && typed === undefined ? <Icon name="check" label={t("shell.saved")} /> : undefined}
          onInput={(value) => {
            setTyped(value);
            setSaved(false);
          }}
          onBlur={() => void save()}
          onKeyDown={(event) => {
            if (event.key === "Enter") void save();
            if (event.key === "Escape") setTyped(undefined);
          }}
        />
      }
    >
      {t(direction === "down" ? "shell.rates.downHint" : "shell.rates.upHint")}
    </Setting>
  );
}
