// Two downloads as two lines that are drawn over and over: how far, how fast, and from whom the pieces came. Where the
// output is no terminal, a line now and then instead.
import { styleText } from "node:util";
import { z } from "zod";
import { formatRate } from "../src/api/byte-units.ts";

const BAR_WIDTH = 32;
/** Without a terminal: at most so often. */
const PLAIN_INTERVAL_MS = 500;
const COLOURS = ["green", "cyan", "magenta", "yellow"] as const;

const downloadSchema = z.object({
  state: z.string(),
  lengthBytes: z.number(),
  bytesVerified: z.number(),
  pieceCount: z.number(),
  piecesVerified: z.number(),
  rateBytesPerSecond: z.number().optional(),
  reason: z.string().optional(),
  sources: z.array(z.object({ userId: z.string(), pieces: z.number(), bytes: z.number() })),
});
type Download = z.infer<typeof downloadSchema>;

/** What `show_downloads` answers with --json. */
export function parseDownloads(result: unknown): Download[] {
  return z.array(downloadSchema).parse(result);
}

export interface Row {
  readonly name: string;
  readonly status: Download | undefined;
}

export class ProgressBoard {
  readonly #members: readonly string[];
  readonly #isTerminal = process.stdout.isTTY;
  #linesShown = 0;
  #plainAtMs = 0;
  #lastRows: readonly Row[] = [];

  constructor(members: readonly string[]) {
    this.#members = members;
  }

  show(rows: readonly Row[]): void {
    this.#lastRows = rows;
    if (this.#isTerminal) this.#draw(rows);
    else if (performance.now() - this.#plainAtMs >= PLAIN_INTERVAL_MS) this.#print(rows);
  }

  /** A sentence above the lines. */
  note(text: string): void {
    this.#erase();
    console.log(`  ${styleText("yellow", text)}`);
    if (this.#isTerminal) this.#draw(this.#lastRows);
  }

  /** The last state stays. */
  end(): void {
    if (!this.#isTerminal) this.#print(this.#lastRows);
    this.#linesShown = 0;
  }

  #draw(rows: readonly Row[]): void {
    this.#erase();
    this.#print(rows);
    this.#linesShown = rows.length;
  }

  #print(rows: readonly Row[]): void {
    this.#plainAtMs = performance.now();
    for (const row of rows) console.log(this.#line(row));
  }

  #erase(): void {
    if (this.#linesShown > 0) process.stdout.write(`\x1b[${this.#linesShown}A\x1b[J`);
    this.#linesShown = 0;
  }

  #line({ name, status }: Row): string {
    if (status === undefined) return `  ${name}`;
    const percent = Math.floor((status.bytesVerified / status.lengthBytes) * 100);
    const rate = status.rateBytesPerSecond === undefined ? "" : formatRate(status.rateBytesPerSecond);
    const from = status.sources
      .filter(({ pieces }) => pieces > 0)
      .map(({ userId, pieces }) => this.#coloured(userId, `${userId} ${pieces}`))
      .join(", ");
    const head = `  ${name.padEnd(5)} ${this.#bar(status)} ${String(percent).padStart(3)}%`;
    return `${head}  pieces from ${from === "" ? "nobody yet" : from}  ${rate}`;
  }

  /** Each letter is the member that sent that share of the pieces. */
  #bar({ sources, pieceCount }: Download): string {
    let bar = "";
    let width = 0;
    let piecesSoFar = 0;
    for (const { userId, pieces } of sources) {
      piecesSoFar += pieces;
      const end = Math.min(Math.round((piecesSoFar / pieceCount) * BAR_WIDTH), BAR_WIDTH);
      bar += this.#coloured(userId, (userId[0] ?? "?").repeat(end - width));
      width = end;
    }
    return `[${bar}${"·".repeat(BAR_WIDTH - width)}]`;
  }

  #coloured(userId: string, text: string): string {
    return styleText(COLOURS[this.#members.indexOf(userId) % COLOURS.length] ?? "white", text);
  }
}
