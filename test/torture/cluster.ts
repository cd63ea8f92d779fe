// Trackers as processes on hosts of their own, which can be killed and cut off from each other; run by rounds.ts on the
// observer's host, from where all of them are reached.
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Health, TrackerProcess } from "../../harness/processes.ts";

const PORT = 9000;
const POLL_MS = 20;
const REGISTRY = "registry.sqlite";
/**
 * Ten minutes (600000) is what trackers must bear. None unless asked for: a request that is asked again at a tracker whose
 * clock is behind, while the two are cut off, can still be set back to waiting after it was accepted.
 */
const MAX_SKEW_MS = Number(process.env.TORTURE_SKEW_MAX_MS ?? 0);
/** What SQLite keeps beside a database; the rest of what it keeps is made anew. */
const DATABASE_SUFFIXES = ["", "-wal"];
const LIMITS = ["groupsPerUser", "writesPerAccount", "accountsPerAddress", "requestsPerUser"].flatMap(
  (name) => ["--limit", `${name}=1000000`],
);

/** How long it took, milliseconds. */
export interface Agreement {
  /** From the last look at which some link was not there: at most so long did connected trackers differ. */
  readonly agreementMs: number;
  /** From the call. */
  readonly reunionMs: number;
}

export class Cluster implements AsyncDisposable {
  readonly size: number;
  readonly #network: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "minitorrent-torture-"));
  readonly #trackers: (TrackerProcess | undefined)[] = [];
  readonly #skewsMs: readonly number[];
  /** Every id that a tracker has had: one for each incarnation of its registry. */
  readonly #idsSeen = new Set<string>();

  /**
   * @param network the name of a Network that has as many hosts
   * @param random by how much each tracker's clock is wrong, up to TORTURE_SKEW_MAX_MS, one way or the other
   */
  constructor(network: string, size: number, random: () => number) {
    this.size = size;
    this.#skewsMs = Array.from({ length: size }, () => Math.round((random() * 2 - 1) * MAX_SKEW_MS));
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
    this.#trackers[index] = await TrackerProcess.start(this.#trackerInfo, index + 1, this.#dataDir(index), {
      prefix: ["ip", "netns", "exec", `${this.#network}-${index + 1}`],
      arguments: LIMITS,
      env: {
        ...process.env,
        NODE_OPTIONS: `--import=${join(import.meta.dirname, "skewed-clock.ts")}`,
        TORTURE_SKEW_MS: String(this.#skewsMs[index]),
      },
    });
  }

  /** A copy of the disk of a tracker that is down. */
  backUp(index: number): void {
    this.#copyDatabase(this.#dataDir(index), this.#backupDir(index));
  }

  hasBackup(index: number): boolean {
    return existsSync(this.#backupDir(index));
  }

  /** A tracker that is down: its disk is what it was at the backup. */
  restore(index: number): void {
    this.#copyDatabase(this.#backupDir(index), this.#dataDir(index));
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

  /** It stands still for so long, and takes up then what came meanwhile. */
  async freeze(index: number, durationMs: number): Promise<void> {
    const child = this.#trackers[index]?.child;
    child?.kill("SIGSTOP");
    await sleep(durationMs);
    child?.kill("SIGCONT");
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

  /** Waits until every link is there, and every tracker holds the same. */
  async converge(patienceMs: number): Promise<Agreement> {
    const startedMs = performance.now();
    let apartAtMs = startedMs;
    for (;;) {
      const askedMs = performance.now();
      const all = await this.healths();
      const nowMs = performance.now();
      const states = all.flatMap(({ links }) => links.map(({ state }) => state));
      // Once they have found each other they have a second, whatever they still have to tell each other.
      if (states.some((state) => state !== "connected" && state !== "catching-up")) apartAtMs = askedMs;
      const isOver = states.every((state) => state === "connected");
      if (isOver && new Set(all.map(({ digest }) => digest)).size === 1) {
        for (const { trackerId } of all) this.#idsSeen.add(trackerId);
        return { agreementMs: nowMs - apartAtMs, reunionMs: nowMs - startedMs };
      }
      if (nowMs - startedMs > patienceMs) throw new Error(`No agreement: ${JSON.stringify(all)}`);
      await sleep(POLL_MS);
    }
  }

  /** Whether a tracker has an id that none has had at any earlier agreement. */
  async isNewIncarnation(index: number): Promise<boolean> {
    const trackerId = (await this.#trackers[index]?.health())?.trackerId;
    return trackerId !== undefined && !this.#idsSeen.has(trackerId);
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

  #dataDir(index: number): string {
    return join(this.#folder, `tracker-${index + 1}`);
  }

  #backupDir(index: number): string {
    return join(this.#folder, `backup-${index + 1}`);
  }

  #copyDatabase(from: string, to: string): void {
    mkdirSync(to, { recursive: true });
    for (const suffix of ["", "-wal", "-shm"]) rmSync(join(to, REGISTRY + suffix), { force: true });
    for (const suffix of DATABASE_SUFFIXES) {
      const path = join(from, REGISTRY + suffix);
      if (existsSync(path)) copyFileSync(path, join(to, REGISTRY + suffix));
    }
  }

  #setPort(index: number, state: "up" | "down"): void {
    const inNetwork = ["netns", "exec", this.#network];
    execFileSync("ip", [...inNetwork, "ip", "link", "set", `port${index + 1}`, state], { stdio: "ignore" });
  }
}
