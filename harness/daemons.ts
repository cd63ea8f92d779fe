// Daemons and one-shot commands as a person runs them, through ./minitorrent, each daemon with folders of its own.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ApiClient } from "../src/daemon/api-client.ts";
import { within } from "./within.ts";

const ROOT = join(import.meta.dirname, "..");
/** Longest that a one-shot takes, downloads included. */
const PATIENCE_MS = 60_000;

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One user of this machine: their environment, and the daemon in it. */
export class DaemonUser {
  readonly env: NodeJS.ProcessEnv;
  readonly home: string;
  readonly socket: string;

  /** @param home a folder of this user alone, with a short path: a socket is in it */
  constructor(home: string, trackerInfo: string) {
    this.home = home;
    mkdirSync(home, { recursive: true });
    const { XDG_RUNTIME_DIR: _runtime, ...rest } = process.env;
    this.env = {
      ...rest,
      HOME: home,
      XDG_CONFIG_HOME: join(home, ".config"),
      XDG_DATA_HOME: join(home, ".data"),
      XDG_CACHE_HOME: join(home, ".cache"),
      MINITORRENT_TRACKERS: trackerInfo,
      MINITORRENT_LISTEN: "127.0.0.1:0",
    };
    this.socket = join(home, ".data", "minitorrent", "daemon", "daemon.sock");
  }

  /** Runs `minitorrent` with those words, in the user's home folder. */
  run(...words: string[]): Promise<Ended> {
    return new Promise((resolve) => {
      const options = { cwd: this.home, env: this.env, timeout: PATIENCE_MS };
      execFile(join(ROOT, "minitorrent"), words, options, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : null;
        resolve({ code, stdout, stderr });
      });
    });
  }

  /** As `run`; it must go well. @returns what it printed */
  async must(...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...words);
    if (code !== 0) throw new Error(`minitorrent ${words.join(" ")}: ${code} ${stderr}${stdout}`);
    return stdout;
  }

  /** Starts it without waiting for its end. */
  start(...words: string[]): ChildProcess {
    return spawn(join(ROOT, "minitorrent"), words, { cwd: this.home, env: this.env, stdio: "pipe" });
  }

  /** Starts a daemon as a child of this process, and resolves when it answers. Further words are flags of `daemon`. */
  async serve(...flags: string[]): Promise<ChildProcess> {
    const child = this.start("daemon", "--foreground", ...flags);
    let said = "";
    const ready = new Promise<void>((resolve) => {
      const hear = (text: string) => {
        said += text;
        if (said.includes(this.socket)) resolve();
      };
      child.stdout?.setEncoding("utf8").on("data", hear);
      child.stderr?.setEncoding("utf8").on("data", hear);
    });
    const ended = once(child, "exit").then(() => {
      throw new Error(`The daemon ended: ${said}`);
    });
    await within(Promise.race([ready, ended]), () => `the daemon to start: ${said}`);
    ended.catch(() => undefined);
    return child;
  }

  /** The daemon's calls, without a process for each. */
  get api(): ApiClient {
    return new ApiClient({ socketPath: this.socket });
  }

  /** The daemon's process, as `status` names it. */
  async pid(): Promise<number> {
    const { daemon } = JSON.parse(await this.must("status", "--json")).result;
    return daemon.pid;
  }

  async end(): Promise<void> {
    await this.run("stop");
  }
}
