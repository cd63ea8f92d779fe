// Trackers as processes on hosts of their own, which can be killed and cut off from each other; run by rounds.ts on the
// observer's host, from where all of them are reached.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Health, TrackerProcess } from "../../harness/processes.ts";

const PORT = 9000;
const POLL_MS = 50;
const LIMITS = ["groupsPerUser", "writesPerAccount", "accountsPerAddress"].flatMap((name) => [
  "--limit",
  `${name}=1000000`,
]);

export class Cluster implements AsyncDisposable {
  readonly size: number;
  readonly #network: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "minitorrent-torture-"));
  readonly #trackers: (TrackerProcess | undefined)[] = [];

  /** @param network the name of a Network that has as many hosts */
  constructor(network: string, size: number) {
    this.size = size;
    this.#network = network;
    const lines = Array.from({ length: size }, (_, index) => `${this.host(index)}:${PORT}\n`);
    writeFileSync(this.#trackerInfo, lines.join(""));
  }

  get #trackerInfo(): string {
    return join(this.#folder, "tracker_info.txt");
  }

  host(index: number): string {
    return `192.0.2.${index + 1}`;
  }

  get port(): number {
    return PORT;
  }

  async start(index: number): Promise<void> {
    if (this.#trackers[index] !== undefined) return;
    this.#trackers[index] = await TrackerProcess.start(
      this.#trackerInfo,
      index + 1,
      join(this.#folder, `tracker-${index + 1}`),
      { prefix: ["ip", "netns", "exec", `${this.#network}-${index + 1}`], arguments: LIMITS },
    );
  }

  async startAll(): Promise<void> {
    await Promise.all(Array.from({ length: this.size }, (_, index) => this.start(index)));
  }

  /** kill -9 */
  async kill(index: number): Promise<void> {
    const tracker = this.#trackers[index];
    this.#trackers[index] = undefined;
    await tracker?.kill("SIGKILL");
  }

  isUp(index: number): boolean {
    return this.#trackers[index] !== undefined;
  }

  cut(index: number): void {
    this.#setPort(index, "down");
  }

  mend(index: number): void {
    this.#setPort(index, "up");
  }

  /** Waits until every link says that it is connected. Resolves with how long digests differed after that, milliseconds. */
  async converge(patienceMs: number): Promise<number> {
    const deadlineMs = performance.now() + patienceMs;
    let connectedAtMs: number | undefined;
    for (;;) {
      const all = await this.healths();
      const nowMs = performance.now();
      const areConnected = all.every(({ links }) => links.every(({ state }) => state === "connected"));
      if (areConnected) connectedAtMs ??= nowMs;
      if (areConnected && new Set(all.map(({ digest }) => digest)).size === 1) {
        return nowMs - (connectedAtMs ?? nowMs);
      }
      if (nowMs > deadlineMs) throw new Error(`No agreement: ${JSON.stringify(all)}`);
      await sleep(POLL_MS);
    }
  }

  healths(): Promise<Health[]> {
    return Promise.all(
      this.#trackers.filter((tracker) => tracker !== undefined).map((tracker) => tracker.health()),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let index = 0; index < this.size; index++) this.mend(index);
    await Promise.all(this.#trackers.map((tracker) => tracker?.kill("SIGKILL")));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #setPort(index: number, state: "up" | "down"): void {
    const inNetwork = ["netns", "exec", this.#network];
    execFileSync("ip", [...inNetwork, "ip", "link", "set", `port${index + 1}`, state], { stdio: "ignore" });
  }
}
