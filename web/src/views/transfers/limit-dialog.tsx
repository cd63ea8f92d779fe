// The limits of one transfer, or of several at once.
import { useEffect, useState } from "preact/hooks";
import { call, sentenceOf } from "../../api/call.ts";
import { t } from "../../i18n/t.ts";
import { parseRateField, rateFieldText } from "../../state/rate-field.ts";
import type { TransferRow } from "../../state/transfer-rows.ts";
import { Button } from "../../ui/button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Banner } from "../../ui/empty.tsx";
import { Field } from "../../ui/field.tsx";
import { toast } from "../../ui/toasts.tsx";

export interface LimitDialogProps {
  readonly rows: readonly TransferRow[];
  readonly onClose: () => void;
}

const DIRECTIONS = ["down", "up"] as const;
type Texts = Readonly<Record<(typeof DIRECTIONS)[number], string>>;

export function LimitDialog({ rows, onClose }: LimitDialogProps) {
  const [texts, setTexts] = useState<Texts>({ down: "", up: "" });
  const [isTried, setTried] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const [only] = rows;
  const name = rows.length === 1 ? (only?.fileName ?? "") : t("transfers.bulk.count", { count: rows.length });
  useEffect(() => {
    if (rows.length !== 1 || only === undefined) return;
    call("limits").then(
      ({ files }) => {
        const own = files.find((one) => one.groupId === only.groupId && one.fileName === only.fileName);
        setTexts({ down: rateFieldText(own?.down), up: rateFieldText(own?.up) });
      },
      () => undefined,
    );
  }, []);
  const rates = { down: parseRateField(texts.down), up: parseRateField(texts.up) };
  const save = async (): Promise<void> => {
    setTried(true);
    const { down, up } = rates;
    if (down === undefined || up === undefined) return;
    setBusy(true);
    try {
      for (const { groupId, fileName } of rows) {
        await call("limit", { direction: "down", bytesPerSecond: down, groupId, fileName });
        await call("limit", { direction: "up", bytesPerSecond: up, groupId, fileName });
      }
      toast(t("transfers.said.limited", { name }));
      onClose();
    } catch (failure) {
      setError(sentenceOf(failure));
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={t("transfers.limit.title")}
      subtitle={name}
      width="narrow"
      onClose={onClose}
      onSubmit={() => void save()}
      footer={
        <>
          <Button onClick={onClose}>{t("shell.action.cancel")}</Button>
          <Button kind="main" type="submit" isBusy={isBusy}>
            {t("transfers.limit.save")}
          </Button>
        </>
      }
    >
      <div class="stack">
        {error !== undefined && (
          <Banner kind="danger" icon="warn" isAlert>
            {error}
          </Banner>
        )}
        {DIRECTIONS.map((direction) => (
          <Field
            key={direction}
            label={t(`transfers.limit.${direction}`)}
            value={texts[direction]}
            unit="MB/s"
            inputMode="decimal"
            placeholder={t("transfers.limit.none")}
            error={isTried && rates[direction] === undefined ? t("transfers.limit.bad") : undefined}
            onInput={(value) => setTexts({ ...texts, [direction]: value })}
          />
        ))}
        <p class="sub">{t("transfers.limit.hint")}</p>
      </div>
    </Dialog>
  );
}
