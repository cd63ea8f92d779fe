// What both programs need of a terminal: whether there is one, whether it shows colours, and a line editor that hears its keys
// again after Ctrl-Z and fg.

import { createInterface, type Interface } from "node:readline";
import { Writable } from "node:stream";
import { styleText } from "node:util";
import { MiniTorrentError } from "../api/errors.ts";
import { soon } from "../net/timers.ts";
import type { Completion } from "./completion.ts";
import type { ProgramProcess } from "./program-process.ts";
import type { Screen } from "./screen.ts";

const HISTORY_LINES = 1000;
/** A lone Escape is told from a key's sequence by what follows within this time; slow links need some of it. */
const ESCAPE_TIMEOUT_MS = 100;

/** A person reads and types at stdin and stdout, on a terminal that can be painted. */
export function isInteractive({ stdin, stdout, env }: ProgramProcess): boolean {
  return stdin.isTTY === true && stdout.isTTY === true && env.TERM !== "dumb";
}

/** NO_COLOR, FORCE_COLOR and the terminal's own word, as node:util knows them. */
export function wantsColor(stream: NodeJS.WritableStream): boolean {
  return styleText("red", "x", { stream }) !== "x";
}

/**
 * Asks a question on stderr and reads the answer without echo.
 *
 * @throws MiniTorrentError USAGE if the input ends, or Ctrl-C is typed
 */
export async function readSecret({ stdin, stderr }: ProgramProcess, question: string): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const editor = createInterface({ input: stdin, output: silent, terminal: true });
  stderr.write(question);
  try {
    return await new Promise<string>((resolve, reject) => {
      const givenUp = (): void =>
        reject(new MiniTorrentError("USAGE", "No password was given; nothing was done."));
      editor.once("SIGINT", givenUp);
      editor.once("close", givenUp);
      editor.question("", resolve);
    });
  } finally {
    editor.close();
    stderr.write("\n");
  }
}

/** A line editor that `screen` paints. */
export function openEditor(
  input: NodeJS.ReadableStream,
  screen: Screen,
  complete: (line: string) => Promise<Completion>,
): Interface {
  const editor = createInterface({
    input,
    output: screen.editorOutput,
    terminal: true,
    historySize: HISTORY_LINES,
    escapeCodeTimeout: ESCAPE_TIMEOUT_MS,
    completer: (line: string, done: (error: null, result: Completion) => void) => {
      void complete(line).then((result) => done(null, result));
    },
  });
  screen.attach(editor);
  // It repeats the errors of its input, which has a listener of its own; without one here they would end the process.
  editor.on("error", () => undefined);
  return editor;
}

/**
 * After Ctrl-Z and fg: the shell has had the terminal meanwhile, and the line editor pauses its input on the same signal.
 *
 * @returns ends it
 */
export function editAfterStop(input: NodeJS.ReadableStream, editor: Interface, screen: Screen): () => void {
  const takeUp = (): void => {
    if ("setRawMode" in input && typeof input.setRawMode === "function") {
      // Off first: it is not set again where Node believes that it is set.
      input.setRawMode(false);
      input.setRawMode(true);
    }
    editor.resume();
    screen.redraw();
  };
  let isEnded = false;
  const continued = (): void =>
    void soon("redrawing the prompt", () => {
      if (!isEnded) takeUp();
    });
  process.on("SIGCONT", continued);
  return () => {
    isEnded = true;
    process.removeListener("SIGCONT", continued);
  };
}
