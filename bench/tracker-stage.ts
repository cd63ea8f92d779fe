// What the trackers' benchmarks share: trackers as real processes on a real disk with rows in them beforehand, figures of
// a process, and the table that each prints. It measures nothing itself.
import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts, type ProcessOptions, TrackerProcess } from "../harness/processes.ts";
import { fillRegistry, openRegistryIn } from "../harness/registry-rows.ts";
import { createGroupAuthority, type GroupAuthority } from "../src/identity/certificates.ts";
import { recordKey } from "../src/tracker/registry/registry.ts";
import type { SqliteRegistry } from "../src/tracker/registry/sqlite-registry.ts";

const POLL_MS = 5;
/** Linux reports CPU times in these (USER_HZ). */
const TICKS_PER_SECOND = 100;

export class Stage implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "minitorrent-bench-"));
  readonly trackers: TrackerProcess[] = [];
  readonly ports: readonly number[];

  private constructor(ports: readonly number[]) {
    this.ports = ports;
    writeFileSync(this.#trackerInfo, ports.map((port) => `127.0.0.1:${port}\n`).join(""));
  }

  /** No tracker runs yet. */
  static async open(trackerCount: number): Promise<Stage> {
    return new Stage(await freePorts(trackerCount));
  }

  get #trackerInfo(): string {
    return join(this.folder, "tracker_info.txt");
  }

  dataDir(number: number): string {
    return join(this.folder, `tracker-${number}`);
  }

  port(number: number): number {
    return this.ports[number - 1] ?? 0;
  }

  /** The registry that a tracker will start with. */
  openRegistry(number: number): SqliteRegistry {
    mkdirSync(this.dataDir(number), { recursive: true });
    return openRegistryIn(this.dataDir(number));
  }

  async start(number: number, options: ProcessOptions = {}): Promise<TrackerProcess> {
    const profile = process.env.TRACKER_PROFILE;
    const env =
      profile === undefined
        ? process.env
        : { ...process.env, NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profile}` };
    const tracker = await TrackerProcess.start(this.#trackerInfo, number, this.dataDir(number), {
      env,
      ...options,
    });
    this.trackers[number - 1] = tracker;
    return tracker;
  }

  /** Resolves when every tracker that runs has the rows of every other one. */
  async connected(): Promise<void> {
    for (;;) {
      const healths = await Promise.all(this.trackers.map((tracker) => tracker.health()));
      if (healths.every(({ links }) => links.every(({ state }) => state === "connected"))) return;
      await sleep(POLL_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const tracker of this.trackers) {
      // A profile is written only by a process that ends by itself.
      if (process.env.TRACKER_PROFILE === undefined) await tracker.kill();
      else await tracker.quit();
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export interface Seat {
  readonly accountId: string;
  readonly userId: string;
}

/** Accounts with a device each that is logged in, and groups that the accounts own, one after the other. */
export async function fillWithPeople(
  registry: SqliteRegistry,
  deviceIds: readonly string[],
  groupIds: readonly string[],
): Promise<{ seats: Seat[]; authority: GroupAuthority }> {
  const authority = createGroupAuthority();
  const seats: Seat[] = [];
  const sinceMs = Date.now();
  await fillRegistry(registry, (writer) => {
    for (const [index, deviceId] of deviceIds.entries()) {
      const userId = `user${index}`;
      const accountId = writer.makeClaim("user", userId, { createdAtMs: sinceMs });
      writer.put("device", deviceId, { accountId, seenAtMs: sinceMs });
      seats.push({ accountId, userId });
    }
    for (const [index, groupId] of groupIds.entries()) {
      const ownerAccountId = seats[index % seats.length]?.accountId ?? "";
      const claimId = writer.makeClaim("group", groupId, {
        ownerAccountId,
        authorityCertificatePem: authority.certificatePem,
        authorityPrivateKeyPem: authority.privateKeyPem,
      });
      const membershipId = randomUUID();
      const membership = { state: "member", sinceMs, membershipId };
      writer.put("membership", recordKey(claimId, ownerAccountId, membershipId), membership);
    }
  });
  return { seats, authority };
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** Resident memory of a process now, in bytes (proc(5)). */
export function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

/** User and system time of all threads of a process so far (proc(5): fields 14 and 15 of stat). */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

export interface Mark {
  readonly what: string;
  readonly aim: string;
  readonly measured: string;
}

export function printMarks(title: string, marks: readonly Mark[]): void {
  const rows = [{ what: title, aim: "aim", measured: "measured" }, ...marks];
  const wide = Math.max(...rows.map(({ what }) => what.length));
  const aims = Math.max(...rows.map(({ aim }) => aim.length));
  for (const { what, aim, measured } of rows) {
    console.log(`${what.padEnd(wide)}  ${aim.padStart(aims)}  ${measured}`);
  }
  const [load = 0] = loadavg();
  console.log(`(Node ${process.version}; load of the machine at the end ${load.toFixed(1)})\n`);
}
