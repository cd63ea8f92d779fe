// A process for the two programs: text goes in, what they write is kept, signals come from the test.
import { Console } from "node:console";
import { EventEmitter } from "node:events";
import { PassThrough, Writable } from "node:stream";

class Output extends Writable {
  text = "";
  readonly isTTY: boolean;
  /** The reader is gone. */
  isBroken = false;
  readonly columns = 100;
  readonly rows = 30;
  /** Each write. */
  readonly writes: string[] = [];

  constructor(isTTY: boolean) {
    super({ decodeStrings: false });
    this.isTTY = isTTY;
  }

  override _write(chunk: string | Buffer, _encoding: string, done: (error?: Error) => void): void {
    if (this.isBroken) {
      done(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
      return;
    }
    this.text += String(chunk);
    this.writes.push(String(chunk));
    done();
  }

  get lines(): string[] {
    return this.text.split("\n").slice(0, -1);
  }
}

export class FakeProcess extends EventEmitter {
  readonly stdin: PassThrough & { isTTY?: boolean; fd?: number };
  readonly stdout: Output;
  readonly stderr: Output;
  readonly console: Console;
  readonly env: NodeJS.ProcessEnv = {};
  readonly exits: number[] = [];

  constructor({
    isTTY = false,
    isStderrTTY = false,
    fd,
  }: {
    isTTY?: boolean;
    isStderrTTY?: boolean;
    fd?: number;
  } = {}) {
    super();
    this.stdin = Object.assign(new PassThrough(), { isTTY, ...(fd !== undefined && { fd }) });
    this.stdout = new Output(isTTY);
    this.stderr = new Output(isStderrTTY);
    this.console = new Console(this.stdout, this.stderr);
  }

  exit(code: number): void {
    this.exits.push(code);
  }
}
