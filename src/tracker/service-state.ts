// Decides when a tracker may serve clients: once it has all rows of the trackers that it reaches, and while nothing keeps it from
// writing. While its disk fails it tries again, and catches up before it serves. It opens no socket and no file itself.
import type { Logger } from "pino";
import { type Clock, reportFault } from "../net/timers.ts";
import { reportLoss } from "./registry/damaged-registry.ts";
import type { DiskTrouble } from "./registry/disk-trouble.ts";
import type { VersionVector } from "./registry/registry.ts";
import type { SqliteRegistry } from "./registry/sqlite-registry.ts";
import type { Replication } from "./replication/replication.ts";
import type { SyncLinks } from "./replication/sync-links.ts";
import type { WriteBlock, WriteBlocks } from "./server/write-block.ts";

/** How often a tracker that cannot write tries again. */
const RETRY_WRITE_MS = 2_000;
/** With less free space, a disk that was full still counts as full: the next writes would fill it again. */
const LEAST_ROOM_BYTES = 1024 * 1024;
/** Reasons caused by the registry's disk; cleared by a successful test write. */
const DISK_REASONS = ["disk-full", "disk-read-only", "disk-failed"] as const satisfies readonly DiskTrouble[];
/** How often to check whether the missing rows have arrived. */
const MISSING_LOOK_MS = 200;

export interface ServiceStateOptions {
  readonly registry: Pick<SqliteRegistry, "incomplete" | "complete" | "vector" | "probe">;
  readonly replication: Pick<
    Replication,
    "status" | "has" | "heard" | "isStoring" | "isAnotherStoring" | "stopStoring" | "resumeStoring"
  >;
  readonly writeBlocks: WriteBlocks;
  readonly clock: Clock;
  readonly log: Logger;
  /** Room on the data directory's disk. */
  readonly freeBytes: () => Promise<number>;
  /** Notes for the next start that the registry is damaged. */
  readonly suspect: () => void;
  /** Disconnects clients, which go to another tracker. @param reason for the log */
  readonly turnAway: (reason: string) => void;
}

export class ServiceState {
  readonly #options: ServiceStateOptions;
  /** undefined before `catchUp`. */
  #links: Pick<SyncLinks, "met"> | undefined;
  #hasCaughtUp = false;
  #isClosed = false;
  /** The other trackers' vectors when this one could write again. */
  #missed: VersionVector = {};
  #cancelRetry: () => void = () => {};
  readonly #damaged = new AbortController();

  constructor(options: ServiceStateOptions) {
    this.#options = options;
    options.writeBlocks.watch({
      began: (block) => this.#writeBlockBegan(block),
      ended: () => this.#writeBlockEnded(),
    });
  }

  /** Aborted when damage is found in the registry; the owner then closes and reopens the tracker. */
  get damaged(): AbortSignal {
    return this.#damaged.signal;
  }

  /**
   * While this tracker cannot write, another one serves its clients. If none is reachable, this one answers reads from its
   * registry, unless it knows that it lacks rows, since one may be a removal.
   */
  get isServing(): boolean {
    const { replication, writeBlocks } = this.#options;
    if (!this.#hasCaughtUp) return false;
    if (writeBlocks.current === undefined) return true;
    return writeBlocks.mayAnswer && !replication.isAnotherStoring && replication.has(replication.heard);
  }

  /**
   * Gets all rows that reachable trackers have acknowledged before this one serves clients. All rows announced while nothing could
   * be stored must arrive too, since one may be a removal.
   */
  async catchUp(links: Pick<SyncLinks, "met">): Promise<void> {
    const { log, replication } = this.#options;
    this.#links = links;
    const hasCaughtUp = (name: string): boolean =>
      replication.status().some((link) => link.name === name && link.hasCaughtUpHere);
    await links.met(hasCaughtUp);
    const isLacking = () => !this.#isOver && !replication.has(this.#missed);
    if (isLacking()) log.error("rows that other trackers have are missing here; clients wait for them");
    while (isLacking()) await this.#pause();
    await this.#completeRegistry();
    this.#hasCaughtUp = !this.#isOver;
  }

  /** Another tracker may be reachable by now. */
  turnAwayUnlessServing(): void {
    const { turnAway, writeBlocks } = this.#options;
    if (!this.isServing) turnAway(writeBlocks.current?.reason ?? "catching up");
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelRetry();
  }

  /** Nothing is waited for any more. */
  get #isOver(): boolean {
    return this.#isClosed || this.#damaged.signal.aborted;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#options.clock.setTimer(MISSING_LOOK_MS, resolve));
  }

  /** A registry that replaces a lost one is complete only once a tracker that lost none has sent all its rows. */
  async #completeRegistry(): Promise<void> {
    const { log, registry, replication } = this.#options;
    const { incomplete } = registry;
    if (incomplete === undefined) return;
    const hasCome = () => replication.status().some(({ hasCaughtUpWholly }) => hasCaughtUpWholly);
    if (!hasCome()) log.error("the registry is incomplete; clients wait for a tracker that has all");
    while (!this.#isOver && !hasCome()) await this.#pause();
    if (this.#isOver) return;
    await registry.complete();
    reportLoss(incomplete, registry.vector, log);
  }

  #writeBlockBegan({ reason, sentence }: WriteBlock): void {
    const { log, replication } = this.#options;
    log.error({ reason }, `this tracker cannot write: ${sentence}`);
    if (reason === "registry-damaged") this.#metDamage();
    if (DISK_REASONS.some((disk) => disk === reason)) {
      replication.stopStoring();
      this.#retryLater();
    }
    this.turnAwayUnlessServing();
  }

  #metDamage(): void {
    const { log, replication, suspect } = this.#options;
    replication.stopStoring();
    try {
      suspect();
    } catch (error) {
      log.error({ err: error }, "the next start cannot be told of the damage");
    }
    this.#damaged.abort();
  }

  #writeBlockEnded(): void {
    const { log, replication, writeBlocks } = this.#options;
    if (writeBlocks.current !== undefined || this.#links === undefined) return;
    log.warn("this tracker can write again");
    this.#missed = replication.heard;
    const { isStoring, isAnotherStoring } = replication;
    const hasMissedNothing = isStoring || (replication.has(this.#missed) && !isAnotherStoring);
    replication.resumeStoring();
    if (hasMissedNothing || !this.#hasCaughtUp) return; // or it is catching up already
    this.#hasCaughtUp = false;
    this.turnAwayUnlessServing();
    this.catchUp(this.#links).catch((error: unknown) => reportFault(error, "catching up"));
  }

  #retryLater(): void {
    this.#cancelRetry();
    this.#cancelRetry = this.#options.clock.setTimer(RETRY_WRITE_MS, () => void this.#retryWrite());
  }

  /** Ends the block if the disk accepts writes again; never rejects. */
  async #retryWrite(): Promise<void> {
    const { freeBytes, registry, writeBlocks } = this.#options;
    if (!DISK_REASONS.some((reason) => writeBlocks.has(reason))) return;
    try {
      if (!writeBlocks.has("disk-full") || (await freeBytes()) >= LEAST_ROOM_BYTES) {
        await registry.probe();
        for (const reason of DISK_REASONS) writeBlocks.end(reason);
        return;
      }
    } catch {
      // Reported already; the next attempt follows.
    }
    if (!this.#isClosed) this.#retryLater();
  }
}
