// A libtorrent process beside ours: unencrypted, at its settings for speed (libtorrent_peer.py), told its peers directly.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { PYTHON } from "../harness/requirements.ts";

/** The version of the libtorrent that Debian's Python has; undefined: none. */
export function libtorrentVersion(): string | undefined {
  try {
    return execFileSync(PYTHON, ["-c", "import libtorrent; print(libtorrent.__version__)"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return undefined;
  }
}

export class LibtorrentProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #said: string[] = [];
  #heard = Promise.withResolvers<void>();
  #stderr = "";
  #port = 0;
  readonly #host: string;

  private constructor(host: string, prefix: readonly string[]) {
    const script = join(import.meta.dirname, "libtorrent_peer.py");
    const [command = "", ...args] = [...prefix, PYTHON, script, host];
    this.#host = host;
    this.#child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) throw new Error("no pipes");
    createInterface({ input: stdout }).on("line", (line) => this.#hear(line));
    stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr += text;
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once("exit", () => {
        this.#hear("ended");
        resolve();
      });
    });
  }

  /** @param prefix words that go before the command, such as `ip netns exec NAME` */
  static async start(host = "127.0.0.1", prefix: readonly string[] = []): Promise<LibtorrentProcess> {
    const peer = new LibtorrentProcess(host, prefix);
    peer.#port = Number((await peer.#until("listening")).split(" ")[1]);
    return peer;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get address(): { host: string; port: number } {
    return { host: this.#host, port: this.#port };
  }

  /** Resolves when what lies in the folder is checked and shared. */
  async seed(torrent: string, folder: string): Promise<void> {
    this.#tell(`seed ${torrent} ${folder}`);
    await this.#until("seeding");
  }

  /** Resolves when every piece is there and checked. */
  async download(torrent: string, folder: string, from: readonly LibtorrentProcess[]): Promise<void> {
    this.#tell(`download ${torrent} ${folder}`);
    for (const { address } of from) this.#tell(`peer ${address.host} ${address.port}`);
    await this.#until("seeding");
  }

  async remove(): Promise<void> {
    this.#tell("remove");
    await this.#until("removed");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  #tell(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  #hear(line: string): void {
    this.#said.push(line);
    this.#heard.resolve();
    this.#heard = Promise.withResolvers();
  }

  /** Waits for a line that begins with that word, and forgets what was said before it. */
  async #until(word: string): Promise<string> {
    for (;;) {
      const line = this.#said.shift();
      if (line?.startsWith(word)) return line;
      if (line === "ended") throw new Error(`libtorrent ended: ${this.#stderr}`);
      if (line === undefined) await this.#heard.promise;
    }
  }
}
