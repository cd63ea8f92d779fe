// An rsync daemon that serves one folder over loopback, and a client that fetches it, unencrypted.
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePorts } from "../harness/processes.ts";
import { until } from "../harness/within.ts";

const run = promisify(execFile);

/** Such as "3.2.7"; undefined where it is not installed. */
export function rsyncVersion(): string | undefined {
  try {
    const text = execFileSync("rsync", ["--version"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return /version (\S+)/.exec(text)?.[1];
  } catch {
    return undefined;
  }
}

export class RsyncDaemon implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #port: number;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.#port = port;
  }

  /**
   * @param folder what is served
   * @param workplace where its configuration goes
   */
  static async start(folder: string, workplace: string): Promise<RsyncDaemon> {
    const [port = 0] = await freePorts(1);
    const config = join(workplace, "rsyncd.conf");
    writeFileSync(config, `use chroot = no\n[tree]\npath = ${folder}\nread only = yes\nuid = 0\ngid = 0\n`);
    const args = ["--daemon", "--no-detach", "--address=127.0.0.1", `--port=${port}`, `--config=${config}`];
    const child = spawn("rsync", args, { stdio: "ignore" });
    await until(() => isListening(port), "the rsync daemon listens");
    return new RsyncDaemon(child, port);
  }

  /** @returns seconds until everything is at the destination */
  async fetch(destination: string): Promise<number> {
    const startedMs = performance.now();
    await run("rsync", ["-a", `rsync://127.0.0.1:${this.#port}/tree/`, `${destination}/`]);
    return (performance.now() - startedMs) / 1000;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await ended;
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
