// aria2 beside ours: one process shares a file, another is started, downloads it and ends. Unencrypted, as it is by
// itself; the time of a download has the start and the end of the process in it, some hundredths of a second.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { freePorts } from "../harness/processes.ts";
import { writePlainTorrent } from "./plain-torrent.ts";
import { PlainTracker } from "./plain-tracker.ts";

const ARGUMENTS = [
  ...["--no-conf", "--quiet", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false"],
  ...["--enable-peer-exchange=false", "--file-allocation=none", "--disable-ipv6"],
];

export class Aria2Seeder implements AsyncDisposable {
  readonly #tracker: PlainTracker;
  readonly #torrent: string;
  readonly #child: ChildProcess;

  private constructor(tracker: PlainTracker, torrent: string, child: ChildProcess) {
    this.#tracker = tracker;
    this.#torrent = torrent;
    this.#child = child;
  }

  /**
   * Shares the file at `folder`/`fileName`.
   *
   * @param torrent where its .torrent file may be written
   */
  static async start(folder: string, fileName: string, torrent: string): Promise<Aria2Seeder> {
    const tracker = await PlainTracker.open();
    writePlainTorrent(`${folder}/${fileName}`, torrent, tracker.url);
    const child = await aria2(torrent, folder, ["--check-integrity=true", "--seed-ratio=0"]);
    await Promise.race([tracker.joined, once(child, "exit")]);
    if (child.exitCode !== null) throw new Error(`aria2 ended with ${child.exitCode}`);
    return new Aria2Seeder(tracker, torrent, child);
  }

  /** Seconds that a download took. */
  async transfer(folder: string): Promise<number> {
    mkdirSync(folder);
    const startedMs = performance.now();
    const child = await aria2(this.#torrent, folder, ["--seed-time=0"]);
    const [exitCode]: unknown[] = await once(child, "exit");
    const seconds = (performance.now() - startedMs) / 1000;
    rmSync(folder, { recursive: true });
    if (exitCode !== 0) throw new Error(`aria2 ended with ${String(exitCode)}`);
    return seconds;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
    await this.#tracker[Symbol.asyncDispose]();
  }
}

async function aria2(torrent: string, folder: string, more: readonly string[]): Promise<ChildProcess> {
  const [port] = await freePorts(1);
  const args = [...ARGUMENTS, `--listen-port=${port}`, `--dir=${folder}`, ...more, torrent];
  return spawn("aria2c", args, { stdio: ["ignore", "ignore", "inherit"] });
}
