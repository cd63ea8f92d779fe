// A tracker's console at a terminal: a prompt and an edited line, below which nothing is written and above which answers and log
// lines appear whole. Painting is done by screen.ts, the commands by tracker-console.ts.
import type { Interface } from "node:readline";
import type { Completion } from "./completion.ts";
import { LogStream } from "./log-stream.ts";
import type { Screen, Terminal } from "./screen.ts";
import { editAfterStop, openEditor } from "./terminal.ts";

export interface TrackerTerminalOptions {
  readonly input: NodeJS.ReadableStream;
  readonly screen: Screen;
  readonly prompt: string;
  /** Names of the commands, which Tab completes. */
  readonly commandNames: readonly string[];
  /** Called for Ctrl-C. */
  readonly onInterrupt: () => void;
  /** Called when the person ends the input with Ctrl-D. */
  readonly onInputEnd: () => void;
}

/** What `runTrackerConsole` reads lines from. */
export class TrackerTerminal {
  readonly #editor: Interface;
  #isClosed = false;

  constructor(options: TrackerTerminalOptions) {
    const { input, screen, prompt, commandNames, onInterrupt, onInputEnd } = options;
    const editor = openEditor(input, screen, async (line) => completionOf(line, commandNames));
    this.#editor = editor;
    const endEditing = editAfterStop(input, editor, screen);
    editor.on("SIGINT", onInterrupt);
    editor.on("line", () => editor.prompt());
    editor.on("close", () => {
      endEditing();
      screen.end();
      if (!this.#isClosed) onInputEnd();
    });
    screen.setPrompt(prompt);
  }

  on(_event: "line", listener: (line: string) => void): void {
    this.#editor.on("line", listener);
  }

  close(): void {
    this.#isClosed = true;
    this.#editor.close();
  }
}

function completionOf(line: string, commandNames: readonly string[]): Completion {
  return [commandNames.filter((name) => name.startsWith(line)).map((name) => `${name} `), line];
}

/**
 * Writes to that terminal in the background: where nobody reads it any more, as with a lost connection, Node's own stream would
 * stop the whole tracker at its next log line.
 */
export function writtenInBackground(
  terminal: Terminal,
  descriptor: number,
  format: (json: string) => string,
): Terminal {
  const stream = new LogStream(descriptor, { format });
  return {
    get columns() {
      return terminal.columns;
    },
    get rows() {
      return terminal.rows;
    },
    write: (text) => {
      stream.write(text);
      return true;
    },
    on: (event, listener) => terminal.on(event, listener),
  };
}
