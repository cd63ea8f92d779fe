// A terminal without a window, as much of one as the client paints with: rows, wrapping, scrolling, cursor movement.
// Anything else that is written to it is an error.
import { EventEmitter } from "node:events";
import { displayWidth } from "../../../src/cli/display-text.ts";

const ESCAPE = "\u001b";

export class VirtualTerminal extends EventEmitter {
  columns: number;
  rows: number;
  #cells: string[][] = [[]];
  /** Index of the row that the top of the window shows. */
  #top = 0;
  #row = 0;
  #column = 0;
  /** A character stands in the last column: the next one wraps (as VT100 and all after it do). */
  #wrapsNext = false;

  constructor(columns = 80, rows = 24) {
    super();
    this.columns = columns;
    this.rows = rows;
  }

  write(text: string): boolean {
    const [plain = "", ...escaped] = text.split(ESCAPE);
    this.#characters(plain);
    for (const part of escaped) {
      const sequence = /^\[[\d;]*[A-Za-z]/.exec(part)?.[0];
      if (sequence === undefined) throw new Error(`a broken terminal sequence: ${JSON.stringify(part)}`);
      this.#escape(sequence);
      this.#characters(part.slice(sequence.length));
    }
    return true;
  }

  /** All rows from the first that was ever written, without what is empty at the end. */
  get text(): string[] {
    const lines = this.#cells.map((row) =>
      Array.from(row, (cell) => cell ?? " ")
        .join("")
        .trimEnd(),
    );
    while (lines.at(-1) === "") lines.pop();
    return lines;
  }

  /** The row that the cursor is in, with `|` before the character it stands on. */
  get cursorLine(): string {
    const row = Array.from(this.#cells[this.#row] ?? [], (cell) => cell ?? " ");
    while (row.length < this.#column) row.push(" ");
    row.splice(this.#column, 0, "|");
    return row.join("").trimEnd();
  }

  #characters(text: string): void {
    for (const character of text) {
      if (character === "\n") this.#lineFeed();
      else if (character === "\r") this.#to(this.#row, 0);
      else this.#put(character);
    }
  }

  #escape(token: string): void {
    const count = Number(token.slice(1, -1) || "1");
    switch (token.at(-1)) {
      case "A":
        this.#to(Math.max(this.#top, this.#row - count), this.#column);
        return;
      case "B":
        this.#to(Math.min(this.#top + this.rows - 1, this.#row + count), this.#column);
        return;
      case "C":
        this.#to(this.#row, this.#column + count);
        return;
      case "D":
        this.#to(this.#row, this.#column - count);
        return;
      case "G":
        this.#to(this.#row, count - 1);
        return;
      case "J":
        this.#cells.length = this.#row + 1;
        this.#cells[this.#row]?.splice(this.#column);
        return;
      case "K":
        this.#cells[this.#row]?.splice(this.#column);
        return;
      case "m":
        return;
      default:
        throw new Error(`a terminal sequence that nobody should send: ${JSON.stringify(token)}`);
    }
  }

  #to(row: number, column: number): void {
    this.#row = row;
    this.#column = Math.min(Math.max(0, column), this.columns - 1);
    this.#wrapsNext = false;
    while (this.#cells.length <= row) this.#cells.push([]);
  }

  #lineFeed(): void {
    this.#to(this.#row + 1, this.#column);
    this.#top = Math.max(this.#top, this.#row - this.rows + 1);
  }

  #put(character: string): void {
    if (/\p{Cc}/u.test(character)) throw new Error(`a control character: ${JSON.stringify(character)}`);
    if (this.#wrapsNext) {
      this.#lineFeed();
      this.#to(this.#row, 0);
    }
    const row = this.#cells[this.#row] ?? [];
    row[this.#column] = character;
    const width = displayWidth(character);
    if (width === 2) row[this.#column + 1] = "";
    if (this.#column + width >= this.columns) this.#wrapsNext = true;
    else this.#column += width;
  }
}
