// The pipe mode: commands strictly one after the other, answers to stdout, trouble to stderr, and an exit code. With
// --json an object a line for each answer and each event, and nothing else on stdout. Never shows a password.

import { asMiniTorrentError, MiniTorrentError } from "../api/errors.ts";
import type { FileId } from "../client/file-key.ts";
import type { ClientEvent, DownloadStatus, HashProgress } from "../client/status.ts";
import { every } from "../net/timers.ts";
import { saysNothing } from "./command-line.ts";
import type { ClientCommands, Command } from "./command-types.ts";
import { commands } from "./commands.ts";
import { harmless, type View } from "./display-text.ts";
import { isRunning, withTimeout } from "./download-commands.ts";
import type { EventFeed } from "./event-feed.ts";
import { noticeOf } from "./event-lines.ts";
import { execute, type Outcome } from "./execute.ts";
import { readLines } from "./input-lines.ts";
import { renderDownload, renderHashing } from "./render.ts";
import { ScriptTally } from "./script-tally.ts";
import { commandNameOf, commandOf } from "./usage.ts";

/** On stderr, progress is a sign of life; more lines would only scroll. */
const PROGRESS_PERIOD_MS = 5000;
/** A program draws a bar. */
const PROGRESS_EVENT_PERIOD_MS = 1000;

interface ProgressEvent {
  readonly event: string;
  readonly path?: string;
  readonly groupId?: string;
  readonly fileName?: string;
}
/** Commands after which a download is to run; their first arguments name it. */
const DOWNLOAD_STARTS: ReadonlySet<string> = new Set(["download_file", "resume", "select"]);

export interface ScriptOptions {
  readonly client: ClientCommands;
  readonly feed: EventFeed;
  readonly input: AsyncIterable<Uint8Array | string>;
  /** Writes one line, at once. */
  readonly writeOut: (line: string) => void;
  readonly writeError: (line: string) => void;
  readonly view: View;
  readonly isJson: boolean;
  /** The password where a command is given none; undefined: nobody can be asked. */
  readonly askPassword?: (() => Promise<string>) | undefined;
  /** Goes on sharing after the input has ended, until `signal`. */
  readonly isStaying: boolean;
  /** Most milliseconds that `wait`, or the end of the script, waits for downloads; undefined: as long as it takes. */
  readonly waitTimeoutMs?: number | undefined;
  /** Says how far downloads are on stderr, now and then: where a person sees it. */
  readonly showsProgress: boolean;
  /** Ends everything in good order, as SIGINT and SIGTERM do. */
  readonly signal: AbortSignal;
}

/**
 * Runs what comes in until it ends, waits for the downloads, logs out. The client is left open.
 *
 * @returns the exit code: 1 if a command or a download failed, or a signal came before the work was done
 */
export async function runScript(options: ScriptOptions): Promise<number> {
  return new Script(options).run();
}

class Script {
  readonly #options: ScriptOptions;
  readonly #client: ClientCommands;
  readonly #tally = new ScriptTally();
  #hashing: { path: string; progress: HashProgress } | undefined;
  /** A login failed, and nobody is logged in since: what needs one is not run. */
  #isLoginMissing = false;
  /** The last progress event of each download and file, as JSON: one that says nothing new is not written. */
  #progressSaid = new Map<string, string>();

  constructor(options: ScriptOptions) {
    this.#options = options;
    this.#client = options.client;
  }

  async run(): Promise<number> {
    const { feed, signal, isStaying } = this.#options;
    feed.listen((event) => this.#onEvent(event));
    const progress = this.#beginProgress();
    try {
      let hasQuit = false;
      await this.#attempt("input", async () => {
        hasQuit = await this.#runLines();
      });
      if (this.#client.status().account !== undefined) await this.#waitForDownloads();
      this.#sayUnfinished();
      const isInterrupted = signal.aborted;
      if (isInterrupted) this.#sayInterrupted();
      // After a failed login there is nothing to share, and the exit code has to say so.
      if (isStaying && !hasQuit && !this.#isLoginMissing) await aborted(signal);
      if (this.#client.status().account !== undefined) {
        await this.#attempt("logout", () => this.#client.logout());
      }
      return isInterrupted ? 1 : this.#tally.exitCode;
    } finally {
      clearInterval(progress);
    }
  }

  async #waitForDownloads(): Promise<void> {
    const signal = withTimeout(this.#options.signal, this.#options.waitTimeoutMs);
    await this.#attempt("wait", () =>
      Promise.race([this.#client.waitForDownloads(undefined, signal), aborted(signal)]),
    );
  }

  /** An exit code alone would not tell the user of the script which download failed, and why. */
  #sayUnfinished(): void {
    const { isJson, writeError } = this.#options;
    const downloads = this.#client.downloads();
    this.#tally.settle(downloads);
    for (const unfinished of this.#tally.unfinished(downloads)) {
      const { groupId, fileName, reason } = unfinished;
      if (isJson) this.#sayJson({ event: "download-unfinished", ...unfinished });
      else
        writeError(
          `error: [${harmless(groupId)}] ${harmless(fileName)} is not complete: ${harmless(reason)}`,
        );
    }
  }

  #sayInterrupted(): void {
    const { isJson, writeError } = this.#options;
    if (isJson) this.#sayJson({ event: "interrupted" });
    else writeError("error: a signal ended the script before all of it was done.");
  }

  /** Returns true if `quit` ended the input. */
  async #runLines(): Promise<boolean> {
    const { input, signal } = this.#options;
    const lines = readLines(input);
    const stopped = aborted(signal).then(() => undefined);
    for (;;) {
      const next = await Promise.race([lines.next(), stopped]);
      if (next === undefined || next.done === true) return false;
      if (next.value.kind === "refused") {
        this.#tally.commandFailed();
        this.#sayError("", next.value.error);
      } else if (!saysNothing(next.value.text) && (await this.#runLine(next.value.text)) === "quit")
        return true;
      if (signal.aborted) return false;
    }
  }

  async #runLine(line: string): Promise<"quit" | undefined> {
    if (this.#isLoginMissing && needsLogin(line)) {
      this.#skip(line);
      return undefined;
    }
    this.#tally.commandBegins();
    const outcome = await execute(commands, line, {
      client: this.#client,
      signal: this.#options.signal,
      askPassword: this.#options.askPassword,
      waitTimeoutMs: this.#options.waitTimeoutMs,
      onHashing: (path, progress) => {
        this.#hashing = { path, progress };
      },
      onUnfinishedNamed: ({ groupId, fileName }) => this.#tally.downloadNamed(groupId, fileName),
    });
    this.#hashing = undefined;
    this.#say(outcome);
    this.#noteLogin(outcome);
    if (outcome.kind !== "answered") this.#tally.commandFailed();
    else this.#tallyCommand(outcome.command, outcome.values);
    return outcome.kind === "answered" && outcome.command.name === "quit" ? "quit" : undefined;
  }

  #noteLogin(outcome: Outcome): void {
    if (this.#client.status().account !== undefined) this.#isLoginMissing = false;
    else if (outcome.kind === "failed" && outcome.commandName === "login") {
      this.#isLoginMissing = true;
      if (!this.#options.isJson)
        this.#options.writeError("error NOT_LOGGED_IN: The commands after a failed login are skipped.");
    }
  }

  /** With --json every line gets an answer; a person is told once. */
  #skip(line: string): void {
    const error = new MiniTorrentError("NOT_LOGGED_IN", "It was skipped, since the login before it failed.");
    if (this.#options.isJson) this.#sayError(commandNameOf(line), error);
  }

  #tallyCommand(command: Command, [groupId = "", fileName = ""]: readonly string[]): void {
    switch (command.name) {
      case "download_file":
      case "resume":
      case "select":
        this.#tally.downloadBegun(groupId, fileName);
        this.#tally.settle(this.#client.downloads({ groupId, fileName }));
        return;
      case "pause":
      case "cancel":
        this.#tally.downloadSetAside(groupId, fileName);
    }
  }

  #say(outcome: Outcome): void {
    const { isJson, view, writeOut } = this.#options;
    switch (outcome.kind) {
      case "answered":
        if (isJson) this.#sayJson({ command: outcome.command.name, ok: true, result: outcome.answer.result });
        else for (const line of outcome.answer.lines(view)) writeOut(line);
        return;
      case "failed":
        this.#sayFailure(outcome);
        return;
      case "abandoned":
        return;
    }
  }

  /** Of a download that could not begin or continue, the error names which. */
  #sayFailure({ commandName, values = [], error }: Extract<Outcome, { kind: "failed" }>): void {
    const [groupId, fileName] = values;
    const isOfDownload = DOWNLOAD_STARTS.has(commandName) && groupId !== undefined && fileName !== undefined;
    this.#sayError(commandName, error, isOfDownload ? { groupId, fileName } : undefined);
  }

  #sayError(commandName: string, { code, message }: MiniTorrentError, about?: FileId): void {
    const { isJson, writeError } = this.#options;
    if (about !== undefined) this.#tally.downloadNamed(about.groupId, about.fileName);
    if (isJson) {
      this.#sayJson({ command: commandName, ok: false, code, error: message, ...about });
      return;
    }
    const what = about === undefined ? "" : `[${harmless(about.groupId)}] ${harmless(about.fileName)}: `;
    writeError(`error ${code}: ${what}${harmless(message)}`);
  }

  #sayJson(value: object): void {
    this.#options.writeOut(toJsonLine(value));
  }

  #onEvent(event: ClientEvent): void {
    const { isJson, writeOut, writeError } = this.#options;
    this.#tally.onEvent(event);
    if (isJson) {
      const { type, ...facts } = event;
      this.#sayJson({ event: type, ...facts });
      return;
    }
    const { text } = noticeOf(event);
    if (event.type === "download-complete") writeOut(text);
    else if (event.type === "download-failed") writeError(`error ${event.code}: ${text}`);
    else writeError(`notice: ${text}`);
  }

  #beginProgress(): NodeJS.Timeout | undefined {
    if (this.#options.isJson)
      return every("progress events", PROGRESS_EVENT_PERIOD_MS, () => this.#sayProgressEvents());
    return this.#options.showsProgress
      ? every("saying progress", PROGRESS_PERIOD_MS, () => this.#sayProgress())
      : undefined;
  }

  #sayProgressEvents(): void {
    const hashing = this.#hashing;
    const events: ProgressEvent[] = [
      ...(hashing === undefined ? [] : [{ event: "hash-progress", path: hashing.path, ...hashing.progress }]),
      ...this.#client.downloads().filter(isRunning).map(progressEvent),
    ];
    const said = new Map(
      events.map((event) => [JSON.stringify([event.path, event.groupId, event.fileName]), toJsonLine(event)]),
    );
    for (const [name, line] of said) if (this.#progressSaid.get(name) !== line) this.#options.writeOut(line);
    this.#progressSaid = said;
  }

  #sayProgress(): void {
    const { view, writeError } = this.#options;
    if (this.#hashing !== undefined) {
      writeError(renderHashing(this.#hashing.path, this.#hashing.progress, view));
    }
    for (const download of this.#client.downloads().filter(isRunning)) {
      writeError(renderDownload(download, view));
    }
  }

  /** What the script does by itself at the end fails as a command does. */
  async #attempt(name: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (this.#options.signal.aborted && name === "wait") return;
      this.#tally.commandFailed();
      this.#sayError(name, asMiniTorrentError(error));
    }
  }
}

function progressEvent(download: DownloadStatus): ProgressEvent {
  const { groupId, fileName, state, bytesVerified, lengthBytes, piecesVerified, pieceCount } = download;
  const moving =
    download.state === "downloading"
      ? {
          rateBytesPerSecond: Math.round(download.rateBytesPerSecond),
          peerCount: download.peerCount,
          secondsLeft: download.secondsLeft === undefined ? null : Math.ceil(download.secondsLeft),
          waitingFor: download.waitingFor ?? null,
        }
      : {};
  return {
    ...{ event: "download-progress", groupId, fileName, state },
    ...{ bytesVerified, lengthBytes, piecesVerified, pieceCount, ...moving },
  };
}

/** True for a line whose command needs a login; a mistyped one is run, and fails with what it should be. */
function needsLogin(line: string): boolean {
  const command = commandOf(commands, commandNameOf(line));
  return command !== undefined && command.needsNoLogin !== true;
}

/** One line of JSON; characters that reorder or hide text are escaped, which changes no value. */
export function toJsonLine(value: object): string {
  return JSON.stringify(value).replace(
    /[\u007F-\u009F\u061C\u200B\u200E\u200F\u2028-\u202E\u2060-\u2069\uFEFF\uFFF9-\uFFFB]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  else signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}
