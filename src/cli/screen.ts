// Paints a terminal: the line being typed (node:readline edits it), what is said above it, and live lines below it.
// Nothing that is painted ever touches the typed text. Knows no command and no download.
import { Writable } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { DEFAULT_COLUMNS, displayWidth } from "./display-text.ts";

const ESCAPE = "\u001b[";
const CLEAR_DOWN = `${ESCAPE}J`;
const CLEAR_LINE_RIGHT = `${ESCAPE}K`;
/** Height of a terminal that does not say its own (VT100). */
const DEFAULT_ROWS = 24;

/** What is needed of the terminal: a TTY's stream. */
export interface Terminal {
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  write(text: string): boolean;
  on(event: "resize", listener: () => void): unknown;
}

/** What is needed of node:readline's interface. */
export interface LineEditor {
  /** Rows that its cursor was below the prompt's first when it last drew all of it: where it begins to draw again. */
  prevRows?: number;
  readonly line: string;
  readonly cursor: number;
  getCursorPos(): { rows: number; cols: number };
  getPrompt(): string;
  setPrompt(prompt: string): void;
  prompt(preserveCursor?: boolean): void;
}

/** The stream that the line editor writes to: passes on, or swallows while a password is typed. */
class EditorOutput extends Writable {
  readonly #terminal: Terminal;
  readonly #write: (text: string) => void;

  constructor(terminal: Terminal, write: (text: string) => void) {
    super({ decodeStrings: false });
    this.#terminal = terminal;
    this.#write = write;
    terminal.on("resize", () => this.emit("resize"));
  }

  get columns(): number {
    return this.#terminal.columns ?? DEFAULT_COLUMNS;
  }

  get rows(): number {
    return this.#terminal.rows ?? DEFAULT_ROWS;
  }

  override _write(chunk: string | Buffer, _encoding: string, done: () => void): void {
    this.#write(chunk.toString());
    done();
  }
}

/**
 * @example
 * const screen = new Screen(process.stdout);
 * const editor = createInterface({ input: process.stdin, output: screen.editorOutput, terminal: true });
 * screen.attach(editor);
 * screen.print(["said above the line that is being typed"]);
 */
export class Screen {
  readonly editorOutput: EditorOutput;
  readonly #terminal: Terminal;
  #editor: LineEditor | undefined;
  #liveLines: readonly string[] = [];
  /** Live lines that stand on the screen now. */
  #paintedCount = 0;
  /** While painting: what is to be written in one go, so that nothing flickers. */
  #batch: string | undefined;
  /** The question that replaces the prompt while a password is typed without echo. */
  #question: string | undefined;
  /** Texts that the editor wrote since it was last looked after. */
  #textsWritten = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.editorOutput = new EditorOutput(terminal, (text) => this.#writeForEditor(text));
    terminal.on("resize", () => this.#repaint());
  }

  get columns(): number {
    return this.editorOutput.columns;
  }

  attach(editor: LineEditor): void {
    this.#editor = editor;
  }

  /** Says something above the line that is being typed. */
  print(lines: readonly string[]): void {
    if (lines.length > 0) this.#repaint({ above: lines });
  }

  setPrompt(prompt: string): void {
    if (prompt !== this.#editor?.getPrompt()) this.#repaint({ prompt });
  }

  /** Sets the lines below the typed one; each is narrower than the terminal. */
  setLive(lines: readonly string[]): void {
    this.#liveLines = lines;
    this.#inOneGo(() => this.#paintLive());
  }

  /** Asks a question whose answer is typed unseen. */
  hideTyping(question: string): void {
    this.#inOneGo(() => {
      this.#erase();
      this.#question = question;
      this.#write(question);
      this.#paintLive();
    });
  }

  /** The answer is there, or will not come: typing shows again. */
  showTyping(): void {
    if (this.#question === undefined) return;
    this.#inOneGo(() => {
      this.#clearLive();
      this.#question = undefined;
      this.#write("\r\n");
      this.#editor?.prompt(true);
      this.#paintLive();
    });
  }

  /** Redraws after the editor has changed by itself, as with a line that was entered. */
  refresh(): void {
    this.#inOneGo(() => this.#paintLive());
  }

  /** Draws all of it again, below whatever another program has left on the screen. */
  redraw(): void {
    this.#paintedCount = 0;
    this.#repaint();
  }

  /** Leaves the cursor in an empty line; nothing is painted from then on. */
  end(): void {
    this.#inOneGo(() => {
      this.#erase();
      this.#liveLines = [];
    });
    this.#editor = undefined;
  }

  #repaint({ above = [], prompt }: { above?: readonly string[]; prompt?: string } = {}): void {
    const editor = this.#editor;
    if (editor === undefined) {
      for (const line of above) this.#write(`${line}\r\n`);
      return;
    }
    this.#inOneGo(() => {
      this.#erase();
      for (const line of above) this.#write(`${line}\r\n`);
      if (prompt !== undefined) editor.setPrompt(prompt);
      if (this.#question === undefined) {
        editor.prevRows = 0;
        editor.prompt(true);
      } else {
        this.#write(this.#question);
      }
      this.#paintLive();
    });
  }

  /** Takes prompt, typed line and live lines off the screen; the cursor is where the prompt began. */
  #erase(): void {
    if (this.#editor === undefined) return;
    this.#write(`${up(this.#cursor().rows)}\r${CLEAR_DOWN}`);
    this.#paintedCount = 0;
  }

  #paintLive(): void {
    if (this.#editor === undefined) return;
    const cursor = this.#cursor();
    const end = this.#lastRow();
    const room = Math.max(0, this.editorOutput.rows - end - 2);
    const lines = this.#liveLines.slice(0, room);
    if (lines.length === 0) {
      this.#clearLive();
      return;
    }
    const painted = lines.map((line) => `\r\n${line}${CLEAR_LINE_RIGHT}`).join("");
    this.#write(down(end - cursor.rows) + painted);
    if (this.#paintedCount > lines.length) this.#write(`\r\n${CLEAR_DOWN}${up(1)}`);
    this.#write(up(lines.length + end - cursor.rows) + toColumn(cursor.cols));
    this.#paintedCount = lines.length;
  }

  #clearLive(): void {
    if (this.#paintedCount === 0) return;
    const cursor = this.#cursor();
    const rows = this.#lastRow() - cursor.rows + 1;
    this.#write(`${down(rows)}\r${CLEAR_DOWN}${up(rows)}${toColumn(cursor.cols)}`);
    this.#paintedCount = 0;
  }

  /** Where the cursor is, counted from where the prompt begins. */
  #cursor(): { rows: number; cols: number } {
    if (this.#question !== undefined) return this.#positionAfter(this.#question);
    return this.#editor?.getCursorPos() ?? { rows: 0, cols: 0 };
  }

  /** The row of the typed line's end. */
  #lastRow(): number {
    const editor = this.#editor;
    if (editor === undefined || this.#question !== undefined || editor.cursor === editor.line.length) {
      return this.#cursor().rows;
    }
    return this.#positionAfter(editor.getPrompt() + editor.line).rows;
  }

  #positionAfter(text: string): { rows: number; cols: number } {
    const width = displayWidth(stripVTControlCharacters(text));
    return { rows: Math.floor(width / this.columns), cols: width % this.columns };
  }

  #writeForEditor(text: string): void {
    if (this.#question !== undefined) return;
    const isText = !text.startsWith(ESCAPE);
    if (this.#batch === undefined) {
      if (text.includes("\n") && this.#paintedCount > 0) {
        // A line is entered, or completions are listed: the screen moves on, and live lines must not stay behind in it.
        this.#write(CLEAR_DOWN);
        this.#paintedCount = 0;
      }
      if (isText && !text.includes("\n") && this.#textsWritten++ === 0) {
        queueMicrotask(() => this.#lookAfterPaste());
      }
    }
    this.#write(text);
    if (isText && this.#editor !== undefined) {
      const { rows, cols } = this.#editor.getCursorPos();
      // After text that ends in the last column a terminal's cursor is still there; the editor counts the next row.
      this.#editor.prevRows = rows > 0 && cols === 0 ? rows - 1 : rows;
    }
  }

  /**
   * Of what is pasted, the editor writes character by character, and redraws neither what stood behind it nor notices
   * that it wraps (Node 26, `_insertString` with completion off): `prevRows` is set for it, and it is all drawn again.
   */
  #lookAfterPaste(): void {
    const isPaste = this.#textsWritten > 1;
    this.#textsWritten = 0;
    if (isPaste) this.#repaint();
  }

  #write(text: string): void {
    if (this.#batch === undefined) this.#terminal.write(text);
    else this.#batch += text;
  }

  #inOneGo(work: () => void): void {
    if (this.#batch !== undefined) {
      work();
      return;
    }
    this.#batch = "";
    try {
      work();
    } finally {
      const text = this.#batch;
      this.#batch = undefined;
      if (text !== "") this.#terminal.write(text);
    }
  }
}

function up(rows: number): string {
  return rows > 0 ? `${ESCAPE}${rows}A` : "";
}

function down(rows: number): string {
  return rows > 0 ? `${ESCAPE}${rows}B` : "";
}

function toColumn(column: number): string {
  return `${ESCAPE}${column + 1}G`;
}
