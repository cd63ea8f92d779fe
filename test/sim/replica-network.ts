// Trackers' registries on a virtual network with a virtual clock: links that delay, break, or swallow what they carry.
// Registries are real (SQLite, in memory unless told); time passes only in `run`.
import pino from "pino";
import { VirtualClock } from "../../harness/virtual-clock.ts";
import { ClockGuard } from "../../src/tracker/registry/clock-guard.ts";
import { ClockWatch } from "../../src/tracker/registry/clock-watch.ts";
import type { Anchors, Derivation, LostClaim, RegistryRecord } from "../../src/tracker/registry/registry.ts";
import { SqliteRegistry } from "../../src/tracker/registry/sqlite-registry.ts";
import type { PresenceStore, ReplicaReceiver } from "../../src/tracker/replication/replica-channel.ts";
import { Replication } from "../../src/tracker/replication/replication.ts";

const START_MS = 1_800_000_000_000;

/** A commit waits for one turn of the event loop, and may lead to the next one: waits until none is asked for any more. */
async function settle(): Promise<void> {
  do {
    await new Promise((resolve) => setImmediate(resolve));
  } while (process.getActiveResourcesInfo().includes("Immediate"));
}

/** One tracker as far as its registry goes, and what was heard from it. */
export interface Replica {
  readonly name: string;
  readonly registry: SqliteRegistry;
  readonly replication: Replication;
  /** The time that its stamps get, milliseconds since 1970. */
  readonly nowMs: () => number;
  readonly clockWatch: ClockWatch;
  readonly changes: { records: readonly RegistryRecord[]; isLocal: boolean }[];
  readonly lostClaims: LostClaim[];
  /** What came of others' presence, and of their links, as text. */
  readonly presenceEvents: string[];
  /** Lines of its log for whoever runs it, warnings and worse. */
  readonly warnings: string[];
}

export interface VirtualLink {
  /** Both ends hear that the channel is closed; what was on its way is lost. */
  sever(): void;
  /** Nothing arrives any more, and nobody is told. */
  silence(): void;
  readonly isOpen: boolean;
  /** Messages that arrived at either end. */
  readonly delivered: readonly { to: string; text: string }[];
}

export class ReplicaNetwork {
  readonly clock = new VirtualClock(START_MS);
  readonly #replicas: Replica[] = [];

  /**
   * @param options `skewMs`: how far its wall clock is ahead, now and whenever it is asked; `path`: of its database; `origin`: for a new one;
   * `onLost`: told of each claim that lost
   */
  add(
    name: string,
    options: {
      skewMs?: number | (() => number);
      path?: string;
      origin?: string;
      derivation?: Derivation;
      anchors?: Anchors;
      onLost?: (lost: LostClaim) => void;
    } = {},
  ): Replica {
    const { skewMs = 0, path = ":memory:", origin, derivation, anchors } = options;
    let origins = 0;
    const clockGuard = new ClockGuard({
      wallMs: () => this.clock.nowMs() + (typeof skewMs === "number" ? skewMs : skewMs()),
      monotonicMs: () => this.clock.nowMs(),
      bootMs: () => this.clock.nowMs(),
    });
    const registry = SqliteRegistry.open({
      path,
      nowMs: () => clockGuard.nowMs(),
      ...(derivation === undefined ? {} : { derivation }),
      ...(anchors === undefined ? {} : { anchors }),
      ...(origin === undefined
        ? {}
        : { newOrigin: () => (origins++ === 0 ? origin : `${origin}${origins}`) }),
    });
    const changes: Replica["changes"] = [];
    const lostClaims: LostClaim[] = [];
    const presenceEvents: string[] = [];
    const warnings: string[] = [];
    const presence: PresenceStore = {
      snapshot: () => `all of ${name}`,
      apply: (trackerId, data, isWhole) =>
        presenceEvents.push(`${trackerId}: ${isWhole ? "whole" : "change"} ${data}`),
      linkUp: (trackerId) => presenceEvents.push(`${trackerId}: up`),
      linkLost: (trackerId) => presenceEvents.push(`${trackerId}: lost`),
    };
    const log = pino({ level: "warn" }, { write: (line) => void warnings.push(line) });
    const replication = new Replication({
      ...{
        registry,
        clock: this.clock,
        clockGuard,
        log,
        presence,
      },
      onChanged: (records, lost, isLocal) => {
        changes.push({ records, isLocal });
        lostClaims.push(...lost);
        if (options.onLost !== undefined) lost.forEach(options.onLost);
      },
    });
    const clockWatch = new ClockWatch({
      ...{ guard: clockGuard, registry, clock: this.clock, log, onChanged: () => {} },
    });
    const nowMs = () => clockGuard.nowMs();
    const replica = {
      name,
      registry,
      replication,
      nowMs,
      clockWatch,
      changes,
      lostClaims,
      presenceEvents,
      warnings,
    };
    this.#replicas.push(replica);
    return replica;
  }

  /** Joins two replicas by a channel that takes `delayMs` each way. */
  connect(one: Replica, other: Replica, delayMs = 1): VirtualLink {
    const { clock } = this;
    const delivered: { to: string; text: string }[] = [];
    let state: "open" | "silent" | "closed" = "open";
    const ends: { receiver?: ReplicaReceiver; replica: Replica }[] = [{ replica: one }, { replica: other }];
    const close = (reason: string): void => {
      if (state === "closed") return;
      const wasSilent = state === "silent";
      state = "closed";
      if (!wasSilent) for (const { receiver } of ends) receiver?.closed(reason);
    };
    ends.forEach((end, index) => {
      const far = ends[1 - index];
      const channel = {
        send: (text: string) => {
          clock.setTimer(delayMs, () => {
            if (state !== "open" || far === undefined) return;
            delivered.push({ to: far.replica.name, text });
            far.receiver?.message(text);
          });
        },
        close,
      };
      end.receiver = end.replica.replication.attach(channel, far?.replica.name ?? "");
    });
    return {
      sever: () => close("severed"),
      silence: () => {
        if (state === "open") state = "silent";
      },
      get isOpen() {
        return state === "open";
      },
      delivered,
    };
  }

  /** Lets that much virtual time pass. */
  run(durationMs: number): Promise<void> {
    return this.clock.passSettled(durationMs, settle);
  }

  /** Takes a replica away as a crash would, its registry closed. */
  stop(replica: Replica): void {
    replica.clockWatch.close();
    replica.replication.close();
    replica.registry.close();
    this.#replicas.splice(this.#replicas.indexOf(replica), 1);
  }

  close(): void {
    for (const replica of [...this.#replicas]) this.stop(replica);
  }
}
