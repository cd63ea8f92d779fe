// A client as a script uses it: commands on a pipe, text out, an exit code. No --json.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Scene } from "./scene.ts";
import { within } from "./within.ts";

const ROOT = join(import.meta.dirname, "..");

export class Script implements Disposable {
  readonly #child: ChildProcess;
  #output = "";
  #errors = "";
  #wake = Promise.withResolvers<void>();

  /** @param more further arguments, such as `--timeout 5` */
  constructor(scene: Scene, name: string, ...more: string[]) {
    const dataDir = scene.path(name, "profile");
    const args = ["127.0.0.1:0", scene.trackerInfo, "--data-dir", dataDir, ...more];
    this.#child = spawn(join(ROOT, "client"), args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
      this.#wake.resolve();
      this.#wake = Promise.withResolvers();
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#errors += text;
      this.#wake.resolve();
      this.#wake = Promise.withResolvers();
    });
  }

  get output(): string {
    return this.#output;
  }

  get errors(): string {
    return this.#errors;
  }

  type(...lines: string[]): this {
    for (const line of lines) this.#child.stdin?.write(`${line}\n`);
    return this;
  }

  /** Waits for words on stdout, or for a notice, which goes to stderr. */
  async reads(words: string): Promise<void> {
    while (!`${this.#output}${this.#errors}`.includes(words)) {
      await within(
        this.#wake.promise,
        () => `${words}; there was:
${this.#output}
${this.#errors}`,
      );
    }
  }

  async ends(): Promise<number | null> {
    this.#child.stdin?.end();
    const [code] = await within(
      once(this.#child, "close"),
      () => `the end of:\n${this.#output}\n${this.#errors}`,
    );
    return code as number | null;
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}
