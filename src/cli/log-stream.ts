// Writes log lines to a file descriptor or a file in the background, and never fails. On a full disk, a closed terminal or a
// pipe that nobody reads, lines are dropped, and their number is logged as soon as a write succeeds again. pino's own
// destination (sonic-boom) is unsuitable: in synchronous mode it throws, and in asynchronous mode it waits for a full disk
// forever at process exit.

import { closeSync, fstatSync, mkdirSync, openSync, renameSync, write, writeSync } from "node:fs";
import { dirname } from "node:path";
import { later } from "../net/timers.ts";

/** Most bytes of lines that wait for the current write; further lines are dropped. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** Pause after a failed write, before the next attempt. */
const PAUSE_MS = 1_000;
/** A longer file is renamed to FILE.1 and replaces an older one, so a client's log takes about twice this. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;
/** pino's number for it. */
const LEVEL_WARN = 40;

export interface LogStreamOptions {
  /** @default 16 MiB */
  readonly maxFileBytes?: number;
  /** How the line that tells of lost lines is written, from its JSON; without a line feed. */
  readonly format?: (json: string) => string;
}

export class LogStream {
  readonly #path: string | undefined;
  readonly #maxFileBytes: number;
  readonly #format: (json: string) => string;
  #fd: number | undefined;
  #fileBytes = 0;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #isWriting = false;
  #pause: NodeJS.Timeout | undefined;
  #lostLines = 0;
  #reason = "";
  /** The last write ended in the middle of a line. */
  #isTorn = false;

  /** @param to a file descriptor, or a file's path, whose folder is made */
  constructor(to: number | string, { maxFileBytes = MAX_FILE_BYTES, format }: LogStreamOptions = {}) {
    this.#maxFileBytes = maxFileBytes;
    this.#format = format ?? ((json) => json);
    if (typeof to === "number") this.#fd = to;
    else this.#path = to;
    process.once("exit", () => this.#writeLast());
  }

  /** Queues a line, which includes its line feed. Never throws. */
  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.#waitingBytes + bytes > MAX_WAITING_BYTES) {
      this.#lose(1, "they came faster than they could be written");
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += bytes;
    this.#writeNext();
  }

  #writeNext(): void {
    if (this.#isWriting || this.#pause !== undefined || this.#waiting.length === 0) return;
    const lines = this.#waiting;
    let fd: number;
    try {
      fd = this.#openFile();
    } catch (error) {
      this.#failed(this.#takeAll(), error);
      return;
    }
    const toldLines = this.#lostLines;
    const lost = toldLines === 0 ? "" : this.#lossLine();
    const bytes = Buffer.from(`${this.#isTorn ? "\n" : ""}${lost}${lines.join("")}`);
    const lineCount = this.#takeAll();
    this.#isWriting = true;
    const goOn = (from: number): void => {
      write(fd, bytes, from, bytes.length - from, null, (error, written) => {
        if (error === null && from + written < bytes.length) return goOn(from + written);
        this.#isWriting = false;
        this.#fileBytes += from + written;
        this.#isTorn = error !== null && (from > 0 || this.#isTorn);
        if (error !== null) return this.#failed(lineCount, error);
        this.#lostLines -= toldLines;
        this.#writeNext();
      });
    };
    goOn(0);
  }

  /** The open file; rotates it once it is too long. */
  #openFile(): number {
    const path = this.#path;
    if (path !== undefined && this.#fd !== undefined && this.#fileBytes > this.#maxFileBytes) {
      closeSync(this.#fd);
      this.#fd = undefined;
      renameSync(path, `${path}.1`);
    }
    if (this.#fd !== undefined) return this.#fd;
    if (path === undefined) throw new Error("closed");
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const fd = openSync(path, "a", 0o600);
    this.#fd = fd;
    this.#fileBytes = fstatSync(fd).size;
    return fd;
  }

  /** @returns how many lines waited */
  #takeAll(): number {
    const lineCount = this.#waiting.length;
    this.#waiting = [];
    this.#waitingBytes = 0;
    return lineCount;
  }

  #failed(lineCount: number, error: unknown): void {
    this.#lose(lineCount, error instanceof Error ? error.message : String(error));
    this.#pause = later("writing the log", PAUSE_MS, () => {
      this.#pause = undefined;
      this.#writeNext();
    }).unref();
  }

  #lose(lineCount: number, reason: string): void {
    this.#lostLines += lineCount;
    this.#reason = reason;
  }

  #lossLine(): string {
    const said = { level: LEVEL_WARN, time: Date.now(), lines: this.#lostLines, reason: this.#reason };
    return `${this.#format(JSON.stringify({ ...said, msg: "log lines were lost" }))}\n`;
  }

  /** At process exit: tries waiting lines once, unless a write that may never finish is pending. */
  #writeLast(): void {
    if (this.#isWriting || this.#waiting.length === 0 || this.#fd === undefined) return;
    try {
      writeSync(this.#fd, this.#waiting.join(""));
    } catch {
      // There is nowhere left to say it.
    }
  }
}
