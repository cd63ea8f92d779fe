// The plot itself, drawn by uPlot: down is a solid line over a pale area, up is dashed; three lines of a scale with one unit.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { number, time } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { settings } from "../../settings.ts";
import { rateScale, type SpeedPoint, speedSeries } from "../../state/speed-series.ts";

export interface SpeedPlotProps {
  readonly points: readonly SpeedPoint[];
  readonly stepMs: number;
}

const HEIGHT = 104;

export default function SpeedPlot({ points, stepMs }: SpeedPlotProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const [scheme, setScheme] = useState(0);
  const { theme } = settings.value;
  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const onChange = (): void => setScheme((count) => count + 1);
    query.addEventListener("change", onChange);
    return () => query.removeEventListener("change", onChange);
  }, []);
  useEffect(() => {
    const parent = box.current;
    if (parent === null) return;
    const made = new uPlot(optionsOf(parent), [[], [], []], parent);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: parent.clientWidth, height: HEIGHT }));
    observer.observe(parent);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [theme, scheme]);
  useEffect(() => {
    const { times, down, up } = speedSeries(points, stepMs);
    plot.current?.setData([times, down, up]);
  }, [points, stepMs, theme, scheme]);
  return <div ref={box} class="speed-box" />;
}

function optionsOf(parent: HTMLElement): uPlot.Options {
  const styles = getComputedStyle(parent);
  const paint = (name: string): string => styles.getPropertyValue(name).trim();
  const font = `11px ${styles.fontFamily}`;
  const axis = { stroke: paint("--paint-quiet"), font, ticks: { show: false } } as const;
  return {
    width: parent.clientWidth,
    height: HEIGHT,
    padding: [6, 0, 0, 0],
    cursor: { show: false },
    legend: { show: false },
    scales: {
      x: { time: true },
      y: { range: (_, __, most) => [0, rateScale(most).top] },
    },
    axes: [
      {
        ...axis,
        size: 20,
        gap: 4,
        grid: { show: false },
        splits: (_, __, from, to) => [from, (from + to) / 2, to],
        values: (self, splits) =>
          splits.map((split, index) => (index === splits.length - 1 ? nowText(self) : time(split * 1_000))),
      },
      {
        ...axis,
        side: 1,
        size: 46,
        gap: 6,
        grid: { stroke: paint("--paint-line"), width: 1 },
        splits: (self) => {
          const { top, lines } = rateScale(self.scales.y?.max ?? 0);
          return [0, ...lines.filter((line) => line <= top * 1.001)];
        },
        values: (self, splits) => {
          const { divisor, unit } = rateScale(self.scales.y?.max ?? 0);
          return splits.map((split) =>
            split === 0 ? unit : number(Number((split / divisor).toPrecision(3))),
          );
        },
      },
    ],
    series: [
      {},
      { stroke: paint("--paint-ink"), width: 1.6, fill: paint("--paint-area"), points: { show: false } },
      { stroke: paint("--paint-quiet"), width: 1.4, dash: [3, 3], points: { show: false } },
    ],
  };
}

function nowText(_: uPlot): string {
  return t("transfers.speed.now");
}
