// The one command: measures the rows of the table, one after the other, prints them with their marks, and writes the
// figures to results/, and of a whole table the picture to docs/.
//
//   npm run bench -- [--rows a,g] [--runs N] [--quick] [--folder DIR]
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { machineFacts } from "./machine.ts";
import { writePlot } from "./plot.ts";
import { type Conditions, digits, isReached, type Mark, type Row, type RowResult } from "./report.ts";
import { decisions } from "./rows/decisions.ts";
import { equalHosts } from "./rows/equal-hosts.ts";
import { folderHashing } from "./rows/folder-hashing.ts";
import { folderOfLargeFiles } from "./rows/folder-of-large-files.ts";
import { folderOfSmallFiles } from "./rows/folder-of-small-files.ts";
import { hashing } from "./rows/hashing.ts";
import { largeFile } from "./rows/large-file.ts";
import { largeFolder } from "./rows/large-folder.ts";
import { longWire } from "./rows/long-wire.ts";
import { loopback } from "./rows/loopback.ts";
import { manyProcesses } from "./rows/many-processes.ts";
import { newVersion } from "./rows/new-version.ts";
import { otherSwarms } from "./rows/other-swarms.ts";
import { smallFiles } from "./rows/small-files.ts";

const ROWS: readonly Row[] = [
  loopback,
  manyProcesses,
  largeFile,
  equalHosts,
  otherSwarms,
  decisions,
  hashing,
  longWire,
  smallFiles,
  folderOfSmallFiles,
  folderOfLargeFiles,
  largeFolder,
  newVersion,
  folderHashing,
];
const RUNS = 5;
const QUICK_RUNS = 3;

const { values } = parseArgs({
  options: {
    rows: { type: "string" },
    runs: { type: "string" },
    quick: { type: "boolean", default: false },
    folder: { type: "string", default: "/dev/shm" },
  },
});

const isQuick = values.quick;
const conditions: Conditions = {
  folder: values.folder,
  runs: Number(values.runs ?? (isQuick ? QUICK_RUNS : RUNS)),
  isQuick,
  say: (line) => console.error(line),
};
const names = values.rows?.split(",") ?? ROWS.map(({ name }) => name);
const unknown = names.filter((name) => !ROWS.some((row) => row.name === name));
if (unknown.length > 0 || !(conditions.runs >= 1)) {
  console.error(`--rows takes some of ${ROWS.map(({ name }) => name).join(",")}; --runs a number from 1`);
  process.exit(2);
}

const startedAt = new Date();
const results: { readonly row: Row; readonly result: RowResult }[] = [];
for (const row of ROWS.filter(({ name }) => names.includes(name))) {
  conditions.say(`${row.name}: ${row.work}`);
  results.push({ row, result: await row.run(conditions) });
}
const machine = machineFacts();
const minutes = (Date.now() - startedAt.getTime()) / 60_000;

console.log(`\n${machine.processor}, ${machine.cores} cores, Linux ${machine.linux}, Node ${machine.node}`);
console.log(`${values.folder}; median of ${conditions.runs}${isQuick ? "; quick: small files" : ""}\n`);
for (const { row, result } of results) console.log(textOf(row, result));
console.log(`in ${digits(minutes)} minutes; written to ${write()}`);

function textOf({ name, work }: Row, { marks, lines }: RowResult): string {
  const markLines = marks.map((mark) => `   ${markText(mark)}`);
  return [`${name}  ${work}`, ...markLines, ...lines.map((line) => `     ${line}`), ""].join("\n");
}

function markText(mark: Mark): string {
  const sign = mark.must === "at least" ? "≥" : "≤";
  const { value, unit, of } = mark;
  const says = `${digits(value)} ${unit} ${of}`.padEnd(48);
  return `${isReached(mark) ? "reached" : "MISSED "}  ${says} mark ${sign} ${mark.mark}`;
}

/**
 * Rows that were measured again replace those of the same day: each says when, and what code, it is of. A quick table is
 * kept apart from those that count. Returns the path.
 */
function write(): string {
  const folder = join(import.meta.dirname, "results");
  mkdirSync(folder, { recursive: true });
  const day = startedAt.toISOString().slice(0, 10);
  const path = join(folder, isQuick ? `${day}-quick.json` : `${day}.json`);
  const { runs, folder: tmpfs } = conditions;
  const { commit, ...facts } = machine;
  const measured = results.map(({ row, result }) => ({
    ...{ name: row.name, work: row.work, measuredAt: startedAt, commit, runs, ...result },
    marks: result.marks.map((mark) => ({ ...mark, isReached: isReached(mark) })),
  }));
  const kept = rowsIn(path).filter(({ name }) => !names.includes(name));
  const rows = [...kept, ...measured].sort((one, other) => one.name.localeCompare(other.name));
  writeFileSync(path, `${JSON.stringify({ machine: facts, isQuick, tmpfs, rows }, undefined, 2)}\n`);
  if (!isQuick) writePlot(path);
  return path;
}

function rowsIn(path: string): { name: string }[] {
  if (!existsSync(path)) return [];
  const schema = z.object({ rows: z.array(z.object({ name: z.string() }).loose()) });
  return schema.parse(JSON.parse(readFileSync(path, "utf8"))).rows;
}
