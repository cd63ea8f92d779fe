// Trackers with all their rules, on the virtual network and clock, for the model-based test: real registries in files,
// so that a crash keeps what was committed and loses the rest, and an old copy of a disk can be brought back.
import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import type { RegistryRecord, RegistryWriter } from "../../src/tracker/registry/registry.ts";
import { adoptShares } from "../../src/tracker/rules/catalogue.ts";
import { Collector } from "../../src/tracker/rules/garbage-collector.ts";
import { standingsDerivation } from "../../src/tracker/rules/membership-index.ts";
import { shareAnchors } from "../../src/tracker/rules/share-anchors.ts";
import { type Replica, ReplicaNetwork, type VirtualLink } from "../sim/replica-network.ts";

/** A disk in memory where there is one: thousands of runs would wait for a real one. */
const DISKS = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
const SUFFIXES = ["", "-wal"];
/** For how long a row has to be unused before it is collected: longer than a silent link goes unnoticed. */
export const COLLECT_AFTER_MS = 5_000;

export interface VirtualTracker {
  readonly index: number;
  /** How far its wall clock is ahead; what trackers must bear, and what it was set to besides. */
  readonly clock: { readonly skewMs: number; setAheadMs: number };
  replica: Replica;
  path: string;
  isUp: boolean;
  backupPath: string | undefined;
  /** Counts its starts: what was asked of an earlier one is answered by nobody. */
  life: number;
  /** Of this life, once it was told to look for unused rows; and whether it is looking. */
  collector: Collector | undefined;
  isCollecting: boolean;
}

/** What a command does, and the registry of the tracker where it is tried. */
export type Work = (writer: RegistryWriter, registry: Replica["registry"]) => unknown;

export interface Asked {
  readonly tracker: VirtualTracker;
  readonly startedMs: number;
  /** Asked before, at another tracker that died. */
  readonly isRetry: boolean;
  outcome:
    | { status: "waiting" | "died" }
    | {
        status: "ok";
        result: unknown;
        /** The rows that the OK is about: another attempt's, on a tracker that died, may be in their place a moment later. */
        rows: readonly RegistryRecord[];
      }
    | { status: "refused"; error: unknown };
}

export class VirtualTrackers implements Disposable {
  readonly network = new ReplicaNetwork();
  readonly all: VirtualTracker[] = [];
  readonly #folder = mkdtempSync(join(DISKS, "minitorrent-model-"));
  readonly #links = new Map<string, VirtualLink>();
  readonly #cut = new Set<string>();
  readonly #delaysMs: readonly number[];
  readonly #asked: Asked[] = [];
  #files = 0;
  #writes = 0;

  /** @param delaysMs of the links, each way, in turn */
  constructor(skewsMs: readonly number[], delaysMs: readonly number[]) {
    this.#delaysMs = delaysMs;
    for (const [index, skewMs] of skewsMs.entries()) {
      const path = this.#newPath();
      const clock = { skewMs, setAheadMs: 0 };
      this.all.push({
        ...{ index, clock, path },
        isUp: true,
        backupPath: undefined,
        life: 0,
        collector: undefined,
        isCollecting: false,
        replica: this.#open(index, clock, path),
      });
    }
    this.#dial();
  }

  get nowMs(): number {
    return this.network.clock.nowMs();
  }

  newWriteId(): string {
    return `w${++this.#writes}`;
  }

  at(index: number): VirtualTracker {
    const tracker = this.all[index % this.all.length];
    assert.ok(tracker);
    return tracker;
  }

  async run(durationMs: number): Promise<void> {
    const endMs = this.nowMs + durationMs;
    // Links that went are dialled again, as trackers do.
    while (this.nowMs < endMs) {
      this.#dial();
      await this.network.run(Math.min(250, endMs - this.nowMs));
    }
    this.#dial();
    await this.network.run(0);
  }

  /** A write, as the tracker's server would run it. */
  ask(tracker: VirtualTracker, writeId: string, work: Work, isRetry = false): Asked {
    const asked: Asked = { tracker, startedMs: this.nowMs, isRetry, outcome: { status: "waiting" } };
    this.#asked.push(asked);
    const { registry, replication, changes } = tracker.replica;
    let earlierRows: readonly RegistryRecord[] = [];
    const run = (writer: RegistryWriter): unknown => {
      earlierRows = registry.rowsOfWrite(writeId);
      return work(writer, registry);
    };
    const written = replication.write(writeId, run, isRetry);
    written.then(
      (result) => {
        if (asked.outcome.status !== "waiting") return;
        const own = changes.find(({ records, isLocal }) => isLocal && records[0]?.writeId === writeId);
        asked.outcome = { status: "ok", result, rows: own?.records ?? earlierRows };
      },
      (error: unknown) => {
        if (asked.outcome.status === "waiting") asked.outcome = { status: "refused", error };
      },
    );
    return asked;
  }

  /** It goes once through its rows for unused ones, and removes those that were so for long; as time passes. */
  collect(tracker: VirtualTracker): void {
    if (!tracker.isUp || tracker.isCollecting) return;
    const collector = tracker.collector ?? this.#collectorOf(tracker);
    tracker.collector = collector;
    tracker.isCollecting = true;
    const look = async (): Promise<void> => {
      while (!(await collector.step())) if (this.#connectedEra(tracker) === undefined) break;
      if (tracker.collector === collector) tracker.isCollecting = false;
    };
    void look();
  }

  cut(one: VirtualTracker, other: VirtualTracker, isSilent: boolean): void {
    const pair = pairOf(one, other);
    if (one === other) return;
    this.#cut.add(pair);
    const link = this.#links.get(pair);
    if (isSilent) link?.silence();
    else link?.sever();
  }

  mend(one: VirtualTracker, other: VirtualTracker): void {
    this.#cut.delete(pairOf(one, other));
  }

  mendAll(): void {
    this.#cut.clear();
    for (const tracker of this.all) {
      tracker.isUp = true;
      tracker.clock.setAheadMs = 0;
    }
  }

  /** kill -9: what was committed is on disk, nothing else is left. */
  crash(tracker: VirtualTracker): void {
    this.#reopen(tracker, tracker.path);
    tracker.isUp = false;
  }

  /** Starts one that is down, or starts it anew: its clock is believed as it is then. */
  restart(tracker: VirtualTracker): void {
    this.#reopen(tracker, tracker.path);
    tracker.isUp = true;
  }

  backUp(tracker: VirtualTracker): void {
    tracker.backupPath = this.#copy(tracker.path);
  }

  /** kill -9, and its disk is what it was at the backup. */
  restore(tracker: VirtualTracker, path: string): void {
    this.#reopen(tracker, path);
    tracker.isUp = false;
  }

  /** Since when both ends of a link between the two say that it is connected. */
  connectedSince(one: VirtualTracker, other: VirtualTracker): number | undefined {
    if (this.#links.get(pairOf(one, other))?.isOpen !== true) return undefined;
    const ends = [end(one, other), end(other, one)];
    if (ends.some((status) => status?.state !== "connected")) return undefined;
    return Math.max(...ends.map((status) => status?.since ?? Number.POSITIVE_INFINITY));
  }

  get areAllConnected(): boolean {
    return this.all.every((one) =>
      this.all.every((other) => one === other || this.connectedSince(one, other) !== undefined),
    );
  }

  [Symbol.dispose](): void {
    this.network.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #dial(): void {
    let number = 0;
    for (const one of this.all) {
      for (const other of this.all.slice(one.index + 1)) {
        const pair = pairOf(one, other);
        const delayMs = this.#delaysMs[number++ % this.#delaysMs.length] ?? 1;
        if (!one.isUp || !other.isUp || this.#cut.has(pair) || this.#links.get(pair)?.isOpen) continue;
        this.#links.set(pair, this.network.connect(one.replica, other.replica, delayMs));
      }
    }
  }

  #collectorOf(tracker: VirtualTracker): Collector {
    const { registry, replication } = tracker.replica;
    return new Collector({
      registry,
      write: (work) => replication.write(this.newWriteId(), work),
      connectedEra: () => this.#connectedEra(tracker),
      isAnnounced: () => false,
      connectedDevices: () => [],
      nowMs: () => this.nowMs + tracker.clock.skewMs + tracker.clock.setAheadMs,
      uptimeMs: () => this.nowMs,
      setTimer: () => () => {},
      log: pino({ level: "silent" }),
      collectAfterMs: COLLECT_AFTER_MS,
    });
  }

  #connectedEra(tracker: VirtualTracker): string | undefined {
    const sinces: number[] = [];
    for (const other of this.all) {
      if (other === tracker) continue;
      const sinceMs = this.connectedSince(tracker, other);
      if (sinceMs === undefined) return undefined;
      sinces.push(sinceMs);
    }
    return sinces.join();
  }

  #reopen(tracker: VirtualTracker, path: string): void {
    for (const asked of this.#asked) {
      if (asked.tracker === tracker && asked.outcome.status === "waiting") asked.outcome = { status: "died" };
    }
    const copy = this.#copy(path);
    for (const other of this.all) this.#links.get(pairOf(tracker, other))?.sever();
    this.network.stop(tracker.replica);
    tracker.path = copy;
    tracker.life++;
    tracker.collector = undefined;
    tracker.isCollecting = false;
    tracker.replica = this.#open(tracker.index, tracker.clock, copy);
  }

  #open(index: number, clock: VirtualTracker["clock"], path: string): Replica {
    const life = this.#files;
    let origins = 0;
    const replica = this.network.add(`t${index}`, {
      skewMs: () => clock.skewMs + clock.setAheadMs,
      path,
      derivation: standingsDerivation,
      anchors: shareAnchors,
      origin: `t${index}x${life}y${origins++}`,
      onLost: (lost) => {
        if (lost.kind !== "file") return;
        void replica.replication.write(`adopt${++this.#writes}`, (writer) => adoptShares(writer, lost));
      },
    });
    return replica;
  }

  #newPath(): string {
    return join(this.#folder, `${++this.#files}.sqlite`);
  }

  /** What is on that disk now; a registry that is open has only committed things on it. */
  #copy(path: string): string {
    const copy = this.#newPath();
    for (const suffix of SUFFIXES) {
      if (existsSync(path + suffix)) copyFileSync(path + suffix, copy + suffix);
    }
    return copy;
  }
}

function end(one: VirtualTracker, other: VirtualTracker) {
  return one.replica.replication.status().find(({ name }) => name === other.replica.name);
}

function pairOf(one: VirtualTracker, other: VirtualTracker): string {
  return [one.index, other.index].sort().join("-");
}
