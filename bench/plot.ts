// Draws the picture of a table that was measured, for README: the rate of one copy beside others', and how near swarms
// come to their bounds. A bar for each figure; nothing is drawn that is not in the JSON.
//
//   npm --prefix bench run plot -- results/2026-01-31.json      writes docs/performance.svg
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

const WIDTH = 760;
const LABEL_WIDTH = 290;
const VALUE_WIDTH = 110;
const BAR_HEIGHT = 18;
const BAR_STEP = 28;
const MARGIN = 20;
const TITLE_HEIGHT = 34;

const figureSchema = z.union([z.number(), z.array(z.number())]).nullable();
const reportSchema = z.object({
  machine: z.object({ processor: z.string(), cores: z.number() }),
  rows: z.array(
    z.object({ name: z.string(), measuredAt: z.string(), figures: z.record(z.string(), figureSchema) }),
  ),
});
type Report = z.infer<typeof reportSchema>;

interface Bar {
  readonly label: string;
  readonly value: number;
  readonly text: string;
  readonly kind: "ours" | "theirs" | "bound";
}

interface Chart {
  readonly title: string;
  readonly bars: readonly Bar[];
  /** A line across the bars. */
  readonly line?: number;
}

/** The colours of both schemes have a ratio of 4.5 and more to their ground. */
const STYLE = `
  .ground { fill: #ffffff; stroke: #d0d7de } .text { fill: #1f2328 } .dim { fill: #59636e }
  .ours { fill: #0969da } .theirs { fill: #8c959f } .bound { fill: #d0d7de } .line { stroke: #1f2328 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; stroke: #3d444d } .text { fill: #f0f6fc } .dim { fill: #9198a1 }
    .ours { fill: #4493f8 } .theirs { fill: #6e7681 } .bound { fill: #30363d } .line { stroke: #f0f6fc }
  }`;

const SVG_PATH = join(import.meta.dirname, "..", "docs", "performance.svg");

if (import.meta.main) writePlot(process.argv[2] ?? "");

/** Draws the table of that JSON file to docs/performance.svg. */
export function writePlot(path: string): void {
  writeFileSync(SVG_PATH, draw(reportSchema.parse(JSON.parse(readFileSync(path, "utf8")))));
}

function draw(of: Report): string {
  const charts = [loopbackChart(of), swarmChart(of)].filter(({ bars }) => bars.length > 0);
  let y = MARGIN;
  const drawn = charts.map((chart) => {
    const text = drawChart(chart, y);
    y += TITLE_HEIGHT + chart.bars.length * BAR_STEP + MARGIN;
    return text;
  });
  const { processor, cores } = of.machine;
  const foot = `${processor}, ${cores} cores, ${of.rows[0]?.measuredAt.slice(0, 10)}`;
  const height = y + MARGIN;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif" font-size="14">
<title>miniTorrent beside libtorrent and aria2, and beside the bounds of machine and links</title>
<style>${STYLE}
</style>
<rect class="ground" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>
${drawn.join("\n")}
<text class="dim" x="${MARGIN}" y="${y + 4}" font-size="12">${escaped(foot)}</text>
</svg>
`;
}

/** MB/s of one copy: longer is better. */
function loopbackChart(of: Report): Chart {
  const figures = figuresOf(of, "a");
  const lengthBytes = figures("lengthBytes");
  const bar = (label: string, name: string, kind: Bar["kind"]): Bar[] => {
    const seconds = figures(name);
    if (seconds === undefined || lengthBytes === undefined) return [];
    const rate = lengthBytes / 1e6 / seconds;
    return [{ label, value: rate, text: `${rate.toFixed(0)} MB/s`, kind }];
  };
  return {
    title: "1 GiB from one process to another, loopback (longer is better)",
    bars: [
      ...bar("what this machine allows", "boundSeconds", "bound"),
      ...bar("miniTorrent, TLS 1.3", "ourSeconds", "ours"),
      ...bar("libtorrent, unencrypted", "libtorrentSeconds", "theirs"),
      ...bar("aria2, unencrypted", "aria2Seconds", "theirs"),
    ],
  };
}

/** Times the fluid bound: shorter is better. */
function swarmChart(of: Report): Chart {
  const [even, uneven] = [figuresOf(of, "d"), figuresOf(of, "e")];
  const bar = (label: string, seconds?: number, bound?: number, kind: Bar["kind"] = "ours"): Bar[] => {
    if (seconds === undefined || bound === undefined) return [];
    return [{ label, value: seconds / bound, text: `${(seconds / bound).toFixed(2)} ×`, kind }];
  };
  const ofUneven = (label: string, key: string): Bar[] =>
    bar(label, uneven(`${key}.lastSeconds`), uneven(`${key}.boundSeconds`));
  return {
    title: "The last of the leechers, times the least that its links allow (shorter is better)",
    bars: [
      ...bar("8 leechers, 100 Mbit/s", even("lastSeconds"), even("boundSeconds")),
      ...bar("libtorrent there", even("libtorrentLast"), even("boundSeconds"), "theirs"),
      ...ofUneven("4 leechers, 200 Mbit/s", "fastHosts"),
      ...ofUneven("8 leechers, 100 down, 25 up", "slowUplinks"),
      ...ofUneven("the seeder leaves after a copy", "seederLeaves"),
      ...ofUneven("two that come and go", "comingAndGoing"),
    ],
    line: 1,
  };
}

function figuresOf({ rows }: Report, name: string): (figure: string) => number | undefined {
  const figures = rows.find((row) => row.name === name)?.figures ?? {};
  return (figure) => {
    const value = figures[figure];
    return typeof value === "number" ? value : undefined;
  };
}

function drawChart({ title, bars, line }: Chart, top: number): string {
  const longest = Math.max(...bars.map(({ value }) => value));
  const widthOf = (value: number): number => (value / longest) * (WIDTH - LABEL_WIDTH - VALUE_WIDTH - MARGIN);
  const barsTop = top + TITLE_HEIGHT;
  const drawn = bars.map(({ label, value, text, kind }, index) => {
    const y = barsTop + index * BAR_STEP;
    const weight = kind === "ours" ? ` font-weight="600"` : "";
    const baseline = y + BAR_HEIGHT - 4;
    return `<text class="text" x="${LABEL_WIDTH - 10}" y="${baseline}" text-anchor="end"${weight}>${escaped(label)}</text>
<rect class="${kind}" x="${LABEL_WIDTH}" y="${y}" width="${widthOf(value).toFixed(1)}" height="${BAR_HEIGHT}" rx="2"/>
<text class="text" x="${(LABEL_WIDTH + widthOf(value) + 8).toFixed(1)}" y="${baseline}"${weight}>${escaped(text)}</text>`;
  });
  const lineX = line === undefined ? 0 : LABEL_WIDTH + widthOf(line);
  const lineBottom = barsTop + bars.length * BAR_STEP - BAR_STEP + BAR_HEIGHT + 4;
  const lineDrawn =
    line === undefined
      ? ""
      : `\n<line class="line" x1="${lineX.toFixed(1)}" x2="${lineX.toFixed(1)}" y1="${barsTop - 4}" y2="${lineBottom}" stroke-dasharray="3 3"/>`;
  return `<text class="text" x="${MARGIN}" y="${top + 16}" font-weight="600">${escaped(title)}</text>\n${drawn.join("\n")}${lineDrawn}`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
