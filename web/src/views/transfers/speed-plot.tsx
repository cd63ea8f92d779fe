// The plot itself, drawn by uPlot: down is a solid line over a pale area, up is dashed; three lines of a scale with one unit.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { number, time } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { rateScale, type SpeedPoint, speedSeries } from "../../state/speed-series.ts";
import { paintsOf, useLook } from "./paints.ts";

export interface SpeedPlotProps {
  readonly points: readonly SpeedPoint[];
  readonly stepMs: number;
}

const HEIGHT = 88;
const SCALE_WIDTH = 46;

export default function SpeedPlot({ points, stepMs }: SpeedPlotProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const look = useLook();
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
  }, [look]);
  useEffect(() => {
    const { times, down, up } = speedSeries(points, stepMs);
    plot.current?.setData([times, down, up]);
  }, [points, stepMs, look]);
  const { unit } = rateScale(points.reduce((most, { down, up }) => Math.max(most, down, up), 0));
  const [first, last] = [points[0]?.atMs ?? 0, points.at(-1)?.atMs ?? 0];
  return (
    <>
      <div ref={box} class="speed-box" />
      <p class="speed-times">
        <span>{time(first)}</span>
        <span>{time((first + last) / 2)}</span>
        <span>{t("transfers.speed.now")}</span>
        <span class="speed-unit">{unit}</span>
      </p>
    </>
  );
}

function optionsOf(parent: HTMLElement): uPlot.Options {
  const paint = paintsOf(parent);
  const font = `11px ${getComputedStyle(parent).fontFamily}`;
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
      { show: false },
      {
        side: 1,
        stroke: paint("ink-3"),
        font,
        ticks: { show: false },
        size: SCALE_WIDTH,
        gap: 6,
        grid: { stroke: paint("line"), width: 1 },
        splits: (self) => {
          const { top, lines } = rateScale(self.scales.y?.max ?? 0);
          return [0, ...lines.filter((line) => line <= top * 1.001)];
        },
        values: (self, splits) => {
          const { divisor } = rateScale(self.scales.y?.max ?? 0);
          return splits.map((split) => (split === 0 ? "" : number(Number((split / divisor).toPrecision(3)))));
        },
      },
    ],
    series: [
      {},
      { stroke: paint("ink"), width: 1.6, fill: paint("ink", 0.07), points: { show: false } },
      { stroke: paint("ink-2"), width: 1.4, dash: [3, 3], points: { show: false } },
    ],
  };
}
