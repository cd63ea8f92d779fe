// Runs a command in a real terminal (tmux, of the size given) and writes what the screen showed, as it changed, as an
// animated SVG. Programs that do not animate show the last screen. Made docs/demo.svg:
//
//   node demo/record-terminal.ts docs/demo.svg 136x33 'npm run demo'
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Changes quicker than that are not seen; looking costs the recorded program processor time. */
const SAMPLE_MS = 100;
/** How long the last screen stands before the recording begins again. */
const HOLD_MS = 8_000;
const CHARACTER_WIDTH = 8.43;
const LINE_HEIGHT = 18;
const MARGIN = 14;
/** A change of colours and weight: SGR, ECMA-48. */
const ESCAPE = String.fromCharCode(27);
const SGR = new RegExp(`(${ESCAPE}\\[[\\d;]*m)`);
const SGR_CODES = new RegExp(`^${ESCAPE}\\[([\\d;]*)m$`);
const BACKGROUND = "#16181d";
const FOREGROUND = "#d8dce4";
const COLOURS = ["#5c6370", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d8dce4"];

interface Run {
  readonly text: string;
  readonly column: number;
  readonly fill: string;
  readonly isBold: boolean;
}

const [path, size, command] = process.argv.slice(2);
const [columns, rows] = (size ?? "").split("x").map(Number);
if (path === undefined || command === undefined || columns === undefined || rows === undefined) {
  throw new Error("Usage: node demo/record-terminal.ts OUT.svg COLUMNSxROWS 'COMMAND'");
}

/** Screen by screen, and when each was first seen. */
const screens: { readonly atMs: number; readonly lines: readonly string[] }[] = [];
const server = `record-${process.pid}`;
const tmux = (...args: string[]) =>
  execFileSync("tmux", ["-L", server, "-f", "/dev/null", ...args], { encoding: "utf8" });
tmux(
  "new-session",
  "-d",
  "-x",
  `${columns}`,
  "-y",
  `${rows}`,
  `tmux set -w remain-on-exit on; printf '$ %s\\n' '${command}'; ${command}; sleep 1`,
);
tmux("set", "status", "off");
const startedMs = performance.now();
try {
  for (;;) {
    if (tmux("list-panes", "-F", "#{pane_dead}").trim() === "1") break;
    const lines = tmux("capture-pane", "-e", "-p").split("\n").slice(0, rows);
    const isChanged = lines.some((line, row) => line !== screens.at(-1)?.lines[row]);
    if (isChanged) screens.push({ atMs: performance.now() - startedMs, lines });
    await sleep(SAMPLE_MS);
  }
} finally {
  tmux("kill-server");
}
writeFileSync(path, render());

function render(): string {
  const lastMs = screens.at(-1)?.atMs ?? 0;
  const totalMs = lastMs + HOLD_MS;
  const width = Math.ceil((columns ?? 0) * CHARACTER_WIDTH + 2 * MARGIN);
  const height = (rows ?? 0) * LINE_HEIGHT + 2 * MARGIN;
  const body: string[] = [];
  for (let row = 0; row < (rows ?? 0); row++) {
    for (const shown of linesOfRow(row)) {
      const runs = runsOf(shown.line);
      if (runs.length === 0) continue;
      body.push(
        `<g opacity="${shown.untilMs === undefined ? 1 : 0}">${animation(shown, totalMs)}${textOf(runs, row)}</g>`,
      );
    }
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<title>${asXml(command ?? "")}, recorded</title>
<rect width="100%" height="100%" rx="8" fill="${BACKGROUND}"/>
<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14" fill="${FOREGROUND}" xml:space="preserve">
${body.join("\n")}
</g>
</svg>
`;
}

interface Shown {
  readonly line: string;
  readonly fromMs: number;
  /** undefined: to the end. */
  readonly untilMs: number | undefined;
}

function linesOfRow(row: number): Shown[] {
  const found: { line: string; fromMs: number; untilMs: number | undefined }[] = [];
  for (const { atMs, lines } of screens) {
    const line = lines[row] ?? "";
    const before = found.at(-1);
    if (before?.line === line) continue;
    if (before !== undefined) before.untilMs = atMs;
    found.push({ line, fromMs: found.length === 0 ? 0 : atMs, untilMs: undefined });
  }
  return found;
}

function animation({ fromMs, untilMs }: Shown, totalMs: number): string {
  const steps: [number, number][] =
    fromMs === 0
      ? [[0, 1]]
      : [
          [0, 0],
          [fromMs / totalMs, 1],
        ];
  if (untilMs !== undefined) steps.push([untilMs / totalMs, 0]);
  if (steps.length === 1) return "";
  const times = steps.map(([time]) => time.toFixed(4)).join(";");
  const values = steps.map(([, value]) => value).join(";");
  return `<animate attributeName="opacity" calcMode="discrete" dur="${(totalMs / 1000).toFixed(2)}s" repeatCount="indefinite" keyTimes="${times}" values="${values}"/>`;
}

function textOf(runs: readonly Run[], row: number): string {
  const y = MARGIN + row * LINE_HEIGHT + 14;
  const spans = runs.map(({ text, column, fill, isBold }) => {
    const x = (MARGIN + column * CHARACTER_WIDTH).toFixed(1);
    const style = `${fill === FOREGROUND ? "" : ` fill="${fill}"`}${isBold ? ' font-weight="bold"' : ""}`;
    return `<tspan x="${x}" textLength="${(text.length * CHARACTER_WIDTH).toFixed(1)}"${style}>${asXml(text)}</tspan>`;
  });
  return `<text y="${y}">${spans.join("")}</text>`;
}

/** A captured line, cut where its look changes. */
function runsOf(line: string): Run[] {
  const runs: Run[] = [];
  let fill = FOREGROUND;
  let isBold = false;
  let column = 0;
  for (const part of line.trimEnd().split(SGR)) {
    const codes = SGR_CODES.exec(part)?.[1];
    if (codes === undefined) {
      if (part.trim() !== "") runs.push({ text: part, column, fill, isBold });
      column += part.length;
      continue;
    }
    for (const code of codes.split(";").map(Number)) {
      if (code === 0) [fill, isBold] = [FOREGROUND, false];
      else if (code === 1) isBold = true;
      else if (code === 2) fill = COLOURS[0] ?? FOREGROUND;
      else if (code === 22) isBold = false;
      else if (code === 39) fill = FOREGROUND;
      else if (code >= 30 && code <= 37) fill = COLOURS[code - 30] ?? FOREGROUND;
      else if (code >= 90 && code <= 97) fill = COLOURS[code - 90] ?? FOREGROUND;
    }
  }
  return runs;
}

function asXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
