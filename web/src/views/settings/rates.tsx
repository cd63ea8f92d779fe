// The limits of everything together.
import { useEffect, useState } from "preact/hooks";
import { call, sentenceOf } from "../../api/call.ts";
import { t } from "../../i18n/t.ts";
import { parseRateField, rateFieldText } from "../../state/rate-field.ts";
import { Banner } from "../../ui/empty.tsx";
import { Field } from "../../ui/field.tsx";
import { announce } from "../../ui/live-region.tsx";
import "../../styles/schedule.css";

const DIRECTIONS = ["down", "up"] as const;
type Direction = (typeof DIRECTIONS)[number];

export default function Rates() {
  const [saved, setSaved] = useState<Readonly<Record<Direction, number | null>>>();
  const [error, setError] = useState<string>();
  useEffect(() => {
    call("limits").then(
      ({ all }) => setSaved({ down: all.down ?? null, up: all.up ?? null }),
      (failure) => setError(sentenceOf(failure)),
    );
  }, []);
  return (
    <div class="rates-card card">
      {error !== undefined && (
        <Banner kind="danger" icon="warn" isAlert>
          {error}
        </Banner>
      )}
      {DIRECTIONS.map((direction) => (
        <RateRow
          key={direction}
          direction={direction}
          saved={saved?.[direction]}
          onSave={async (bytesPerSecond) => {
            try {
              await call("limit", { direction, bytesPerSecond });
              setSaved((before) => ({ down: null, up: null, ...before, [direction]: bytesPerSecond }));
              setError(undefined);
              announce(t("transfers.limit.saved"));
            } catch (failure) {
              setError(sentenceOf(failure));
            }
          }}
        />
      ))}
    </div>
  );
}

interface RateRowProps {
  readonly direction: Direction;
  /** undefined: not known yet. */
  readonly saved: number | null | undefined;
  readonly onSave: (bytesPerSecond: number | null) => Promise<void>;
}

function RateRow({ direction, saved, onSave }: RateRowProps) {
  const [text, setText] = useState("");
  useEffect(() => setText(rateFieldText(saved)), [saved]);
  const rate = parseRateField(text);
  const save = (): void => {
    if (rate !== undefined && saved !== undefined && rate !== saved) void onSave(rate);
  };
  return (
    <div class="rate-row">
      <p class="grow">
        <b>{t(`transfers.limit.${direction}`)}</b>
        <small>{t(`transfers.limit.${direction}Note`)}</small>
      </p>
      <Field
        label={t(`transfers.limit.${direction}`)}
        isLabelHidden
        value={text}
        unit="MB/s"
        inputMode="decimal"
        placeholder={t("transfers.limit.none")}
        disabled={saved === undefined}
        error={rate === undefined ? t("transfers.limit.bad") : undefined}
        onInput={setText}
        onBlur={save}
        onKeyDown={(event) => {
          if (event.key === "Enter") save();
        }}
      />
    </div>
  );
}
