// How fast it was in the last hour. The plot is fetched when it is first seen.
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { rate } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import type { TransferRow } from "../../state/transfer-rows.ts";
import { SectionTitle } from "./section-title.tsx";
import type { SpeedPlotProps } from "./speed-plot.tsx";
import { usePolled } from "./use-polled.ts";

const PERIOD_MS = 5_000;

export function Speed({ row }: { readonly row: TransferRow }) {
  const { groupId, fileName } = row;
  const { answer } = usePolled("speed", { groupId, fileName }, PERIOD_MS);
  const points = answer?.points ?? [];
  const hasMoved = points.some(({ down, up }) => down > 0 || up > 0);
  if (answer !== undefined && !hasMoved) return null;
  const most = (of: "down" | "up"): string =>
    rate(points.reduce((top, point) => Math.max(top, point[of]), 0));
  return (
    <section aria-labelledby="details-speed">
      <SectionTitle id="details-speed">
        {t("transfers.speed.title")}
        <span class="speed-key" aria-hidden="true">
          <i class="speed-down" /> {t("transfers.speed.down")} <i class="speed-up" />{" "}
          {t("transfers.speed.up")}
        </span>
      </SectionTitle>
      <div
        class="speed-plot"
        role="img"
        aria-label={t("transfers.speed.label", { down: most("down"), up: most("up") })}
      >
        {answer !== undefined && <LazyPlot points={points} stepMs={answer.stepMs} />}
      </div>
    </section>
  );
}

let loaded: ComponentType<SpeedPlotProps> | undefined;

function LazyPlot(props: SpeedPlotProps) {
  const [Plot, setPlot] = useState(() => loaded);
  useEffect(() => {
    if (loaded !== undefined) return;
    import("./speed-plot.tsx").then(
      (module) => {
        loaded = module.default;
        setPlot(() => module.default);
      },
      () => undefined,
    );
  }, []);
  return Plot === undefined ? null : <Plot {...props} />;
}
