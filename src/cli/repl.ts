// The terminal mode: a prompt, history, completion, live progress, notices between the lines, passwords without echo.
// What is typed while a command runs waits for its turn. Painting is done by screen.ts.

import type { Interface } from "node:readline";
import { asMiniTorrentError } from "../api/errors.ts";
import type { HashProgress } from "../client/status.ts";
import { every } from "../net/timers.ts";
import { saysNothing } from "./command-line.ts";
import type { ClientCommands } from "./command-types.ts";
import { commands } from "./commands.ts";
import { completeLine } from "./completion.ts";
import { countOf, harmless, paint, type Tone, type View, wrapWords } from "./display-text.ts";
import type { EventFeed } from "./event-feed.ts";
import { noticeOf } from "./event-lines.ts";
import { execute } from "./execute.ts";
import { renderHashing, renderProgress, renderPrompt } from "./render.ts";
import { Screen, type Terminal } from "./screen.ts";
import { editAfterStop, openEditor } from "./terminal.ts";
import { withoutPassword } from "./usage.ts";

/** Five times a second looks alive and costs nothing. */
const LIVE_PERIOD_MS = 200;

export interface ReplOptions {
  readonly client: ClientCommands;
  readonly feed: EventFeed;
  readonly input: NodeJS.ReadableStream;
  readonly terminal: Terminal;
  readonly isColored: boolean;
  /** Ends the session from outside, as SIGTERM does. */
  readonly signal: AbortSignal;
  /** The password where a command is given none; undefined: the person is asked. */
  readonly askPassword?: (() => Promise<string>) | undefined;
  /** Called when the person presses Ctrl-C again while the session is being ended. */
  readonly onForce: () => void;
}

type Phase = "reading" | "running" | "ending";

export class Repl {
  readonly #options: ReplOptions;
  readonly #client: ClientCommands;
  readonly #screen: Screen;
  readonly #editor: Interface;
  readonly #queue: { line: string; isTypedAhead: boolean }[] = [];
  readonly #ended = Promise.withResolvers<void>();
  #phase: Phase = "reading";
  #running: AbortController | undefined;
  #answer: ((password: string) => void) | undefined;
  #hashing: { path: string; progress: HashProgress } | undefined;
  /** A password is being asked for, maybe twice: notices wait, so that none stands between the questions. */
  #isAsking = false;
  #heldNotices: string[] = [];
  /** Ctrl-C was pressed in an empty line: once more quits. */
  #isQuitArmed = false;

  constructor(options: ReplOptions) {
    this.#options = options;
    this.#client = options.client;
    this.#screen = new Screen(options.terminal);
    this.#editor = openEditor(options.input, this.#screen, (line) => this.#complete(line));
  }

  /** Resolves when the person has quit and is logged out. The client is left open. */
  async run(): Promise<void> {
    const { feed, input, signal } = this.#options;
    const end = (): void => void this.#end();
    this.#editor.on("line", (line) => this.#onLine(line));
    this.#editor.on("history", (history) => this.#keepOutPasswords(history));
    this.#editor.on("SIGINT", () => this.#onInterrupt());
    this.#editor.on("close", end);
    const endEditing = editAfterStop(input, this.#editor, this.#screen);
    const disarm = (_text: unknown, key: { ctrl?: boolean; name?: string } | undefined): void => {
      if (!(key?.ctrl === true && key.name === "c")) this.#isQuitArmed = false;
    };
    input.on("keypress", disarm);
    signal.addEventListener("abort", end);
    const live = every("drawing progress", LIVE_PERIOD_MS, () => this.#refreshLive());
    try {
      this.#screen.print([
        `Peers reach this client at ${this.#client.status().listeningOn}. help lists the commands.`,
      ]);
      feed.listen((event) => {
        const { tone, text } = noticeOf(event);
        const lines = this.#wrapped(text, tone);
        if (this.#isAsking) this.#heldNotices.push(...lines);
        else this.#screen.print(lines);
        this.#refreshPrompt();
      });
      this.#refreshPrompt();
      if (signal.aborted) end();
      await this.#ended.promise;
    } finally {
      clearInterval(live);
      signal.removeEventListener("abort", end);
      input.removeListener("keypress", disarm);
      endEditing();
      this.#editor.close();
    }
  }

  get #view(): View {
    return { columns: this.#screen.columns, isColored: this.#options.isColored };
  }

  #prompt(): string {
    return renderPrompt(this.#client.status(), this.#view);
  }

  #refreshPrompt(): void {
    if (this.#phase === "reading") this.#screen.setPrompt(this.#prompt());
  }

  #refreshLive(): void {
    if (this.#phase === "ending") return;
    this.#refreshPrompt();
    const view = this.#view;
    const hashing = this.#hashing;
    const running = this.#client
      .downloads()
      .filter(({ state }) => state === "downloading" || state === "verifying");
    this.#screen.setLive([
      ...(hashing === undefined ? [] : [renderHashing(hashing.path, hashing.progress, view)]),
      ...running.map((download) => renderProgress(download, view)),
    ]);
  }

  #onLine(line: string): void {
    const answer = this.#answer;
    if (answer !== undefined) {
      this.#answer = undefined;
      this.#screen.showTyping();
      answer(line);
      return;
    }
    if (this.#phase === "ending") return;
    if (saysNothing(line)) {
      this.#editor.prompt();
      this.#screen.refresh();
      return;
    }
    this.#queue.push({ line, isTypedAhead: this.#phase === "running" });
    if (this.#phase === "reading") void this.#work();
  }

  /** Runs what is queued, one after the other. */
  async #work(): Promise<void> {
    this.#phase = "running";
    // What is typed ahead stands without a prompt, as in a shell.
    this.#screen.setPrompt("");
    for (;;) {
      const next = this.#queue.shift();
      if (next === undefined || this.#isEnding()) break;
      if (next.isTypedAhead) this.#screen.print([this.#prompt() + withoutPassword(commands, next.line)]);
      await this.#runOne(next.line);
    }
    if (this.#isEnding()) return;
    this.#phase = "reading";
    this.#refreshPrompt();
    this.#screen.refresh();
  }

  async #runOne(line: string): Promise<void> {
    const running = new AbortController();
    this.#running = running;
    const outcome = await execute(commands, line, {
      client: this.#client,
      signal: running.signal,
      askPassword: this.#options.askPassword ?? ((question) => this.#askPassword(question, running.signal)),
      warn: (sentence) => this.#screen.print(this.#wrapped(harmless(sentence), "warn")),
      onHashing: (path, progress) => {
        if (!running.signal.aborted) this.#hashing = { path, progress };
      },
    });
    this.#running = undefined;
    this.#isAsking = false;
    this.#screen.print(this.#heldNotices.splice(0));
    if (this.#hashing !== undefined) {
      this.#hashing = undefined;
      this.#refreshLive();
    }
    const view = this.#view;
    switch (outcome.kind) {
      case "answered":
        this.#screen.print(outcome.answer.lines(view));
        if (outcome.command.name === "quit") void this.#end();
        return;
      case "failed":
        this.#sayError(outcome.error);
        return;
      case "abandoned":
        if (!this.#isEnding()) this.#screen.print([paint(`${outcome.commandName}: given up.`, "warn", view)]);
    }
  }

  #sayError(error: unknown): void {
    const { code, message } = asMiniTorrentError(error);
    const head = `error ${code}:`;
    const [first = "", ...others] = this.#wrapped(`${head} ${harmless(message)}`, "plain");
    // On a very narrow terminal the head itself is wrapped.
    const painted = first.startsWith(head)
      ? paint(head, "bad", this.#view) + first.slice(head.length)
      : first;
    this.#screen.print([painted, ...others]);
  }

  /** A sentence, wrapped at words. */
  #wrapped(text: string, tone: Tone): readonly string[] {
    const view = this.#view;
    return wrapWords(text, this.#screen.columns + 1).map((line) => paint(line, tone, view));
  }

  async #askPassword(question: string, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    this.#isAsking = true;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const onAbort = (): void => {
      this.#answer = undefined;
      // Ctrl-D at the question has closed the editor: there is no line to give back.
      if (!this.#isEnding()) {
        this.#clearTyped();
        this.#screen.showTyping();
      }
      reject(signal.reason);
    };
    signal.addEventListener("abort", onAbort);
    // What had been typed ahead, without Enter yet, is no part of a password.
    this.#clearTyped();
    this.#screen.hideTyping(question);
    this.#answer = resolve;
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  async #complete(line: string): Promise<[string[], string]> {
    return this.#answer === undefined ? completeLine(commands, this.#client, line) : [[], line];
  }

  /** The newest entry comes first. Changes to the array are kept by the line editor. */
  #keepOutPasswords(history: string[]): void {
    const newest = history[0];
    if (newest === undefined) return;
    if (this.#answer !== undefined) history.shift();
    else history[0] = withoutPassword(commands, newest);
  }

  #onInterrupt(): void {
    if (this.#phase === "ending") {
      this.#options.onForce();
      return;
    }
    if (this.#running !== undefined) {
      this.#queue.length = 0;
      this.#running.abort();
      return;
    }
    if (this.#isQuitArmed) {
      void this.#end();
      return;
    }
    this.#clearTyped();
    this.#isQuitArmed = true;
    this.#screen.print(["Ctrl-C once more, or Ctrl-D, logs out and quits."]);
  }

  #clearTyped(): void {
    this.#editor.write(null, { ctrl: true, name: "e" });
    this.#editor.write(null, { ctrl: true, name: "u" });
  }

  #isEnding(): boolean {
    return this.#phase === "ending";
  }

  /** Logs out. Downloads that still run go on at the next login, which is said. */
  async #end(): Promise<void> {
    if (this.#phase === "ending") return;
    this.#phase = "ending";
    this.#running?.abort();
    this.#screen.end();
    try {
      const { account, runningDownloads } = this.#client.status();
      if (account !== undefined) {
        await this.#client.logout();
        const paused =
          runningDownloads === 0
            ? ""
            : ` ${countOf(runningDownloads, "download")} will go on after the next login.`;
        this.#screen.print([`Logged out.${paused}`]);
      }
    } catch (error) {
      this.#sayError(error);
    }
    this.#ended.resolve();
  }
}
