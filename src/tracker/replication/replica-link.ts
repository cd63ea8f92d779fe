// One tracker's end of its link to another: hello, catch-up in both directions, live writes, heartbeat. Both ends run the
// same code. It decides nothing about names, and clients learn nothing from it (see replication.ts).
import type pino from "pino";
import { asMiniTorrentError } from "../../api/errors.ts";
import type { Clock } from "../../net/timers.ts";
import type { ClockReading } from "../registry/clock-guard.ts";
import { diskTroubleOf } from "../registry/disk-trouble.ts";
import type { MergeResult, OriginId, Registry, RegistryRecord, VersionVector } from "../registry/registry.ts";
import type { ReplicaChannel, ReplicaReceiver } from "./replica-channel.ts";
import { REPLICA_PROTOCOL_VERSION, type ReplicaMessage, readReplicaMessage } from "./replica-messages.ts";

const HEARTBEAT_INTERVAL_MS = 1000;
/** A link is dead after three missed heartbeats. */
const SILENCE_LIMIT_MS = 3 * HEARTBEAT_INTERVAL_MS;
/** Consecutive heartbeats with equal vectors and unequal digests before all rows are sent: a single one can be a race. */
const UNEQUAL_HEARTBEATS_LIMIT = 3;
/** Heartbeats after all rows were sent until they may be sent again: a million rows take a while. */
const HEARTBEATS_BETWEEN_FULL_SENDS = 60;
/** A tracker that has not stored a write in that time counts as disconnected, and the write is completed without it. */
const STORED_TIMEOUT_MS = 2000;
/** Rows in a chunk: one commit at the receiver, and usually a few hundred kilobytes. */
const CHUNK_ROWS = 1_000;

/** The owner of the links, which handles what concerns more than one link. */
export interface LinkOwner {
  readonly registry: Registry;
  readonly clock: Clock;
  /** The state of the local wall clock. */
  reading(): ClockReading;
  heardClock(link: ReplicaLink, reading: ClockReading): void;
  /** All presence of this tracker. */
  snapshot(): unknown;
  greeted(trackerId: OriginId): void;
  /** Another tracker has all rows of that vector on disk. */
  heard(vector: VersionVector): void;
  presence(trackerId: OriginId, data: unknown, isWhole: boolean): void;
  merged(link: ReplicaLink, result: MergeResult): void;
  /** A received message was refused or could not be stored; the link closes. */
  failed(link: ReplicaLink, error: unknown): void;
  /** Called once; `trackerId` is undefined if the other tracker never said hello. */
  ended(link: ReplicaLink, trackerId: OriginId | undefined): void;
}

/** `cannot-store`: the other tracker accepts no rows for now, and opens a new link when it can. */
export type LinkState = "greeting" | "catching-up" | "connected" | "cannot-store";

type Phase =
  | { readonly name: "greeting" }
  | { readonly name: "greeted"; readonly trackerId: OriginId; theirVector: Record<OriginId, number> }
  | { readonly name: "closed" };

/** A write that was sent and is not acknowledged yet. Each is resolved once: by an acknowledgement, or when the link ends. */
interface PendingPush {
  readonly origin: OriginId;
  /** The highest seq that was pushed. */
  readonly upTo: number;
  /** @param isStored true if the other tracker has it on disk */
  readonly resolve: (isStored: boolean) => void;
}

export class ReplicaLink implements ReplicaReceiver {
  readonly name: string;
  readonly #owner: LinkOwner;
  readonly #channel: ReplicaChannel;
  readonly #log: pino.Logger;
  #phase: Phase = { name: "greeting" };
  /**
   * While the other tracker is caught up: the rows of each origin that it has or was sent. A chunk is always on its way.
   * The rows themselves are read chunk by chunk, while both registries change.
   */
  #cursor: Record<OriginId, number> | undefined;
  #isLastChunkSent = false;
  #hasCaughtUpOther = false;
  #hasCaughtUpHere = false;
  /** False from when the local disk refuses writes: received rows are dropped and not acknowledged. */
  #isStoring = true;
  #canOtherStore = true;
  #isOtherIncomplete = false;
  /** Rows are missing here, and the other was asked for them. */
  #isWanting = false;
  readonly #pendingPushes = new Map<number, PendingPush>();
  #nextPushId = 0;
  #lastHeardMs: number;
  #stateSinceMs: number;
  #cancelHeartbeat: () => void;
  /** The vector here one heartbeat ago: by now the other should have those rows, whatever is in transit. */
  #lastHeartbeatVector: VersionVector = {};
  #unequalHeartbeats = 0;

  constructor(owner: LinkOwner, channel: ReplicaChannel, name: string, log: pino.Logger) {
    this.name = name;
    this.#owner = owner;
    this.#channel = channel;
    this.#log = log;
    this.#lastHeardMs = owner.clock.nowMs();
    this.#stateSinceMs = this.#lastHeardMs;
    this.#cancelHeartbeat = owner.clock.setTimer(HEARTBEAT_INTERVAL_MS, () => this.#heartbeat());
    const { origin, vector, latestStamp: stamp, doubtfulClaims, isIncomplete } = owner.registry;
    this.#send({
      ...{ type: "hello", version: REPLICA_PROTOCOL_VERSION, origin, vector, stamp },
      clock: owner.reading(),
      ...(doubtfulClaims.length === 0 ? {} : { doubtful: [...doubtfulClaims] }),
      ...(isIncomplete ? { isIncomplete } : {}),
    });
  }

  get trackerId(): OriginId | undefined {
    return this.#phase.name === "greeted" ? this.#phase.trackerId : undefined;
  }

  get state(): LinkState {
    if (this.#phase.name !== "greeted") return "greeting";
    if (!this.#canOtherStore) return "cannot-store";
    return this.#hasCaughtUpHere && this.#hasCaughtUpOther ? "connected" : "catching-up";
  }

  get stateSinceMs(): number {
    return this.#stateSinceMs;
  }

  /** True if all rows of the other are here, except those in transit. */
  get hasCaughtUpHere(): boolean {
    return this.#phase.name === "greeted" && this.#hasCaughtUpHere;
  }

  /** Like `hasCaughtUpHere`, and as far as the other knows it has all acknowledged rows. */
  get hasCaughtUpWholly(): boolean {
    return this.hasCaughtUpHere && !this.#isOtherIncomplete;
  }

  /** About how many rows the other lacks, by its last message. */
  get lagRecords(): number {
    const theirs = this.#phase.name === "greeted" ? this.#phase.theirVector : {};
    let lag = 0;
    for (const [origin, seq] of Object.entries(this.#owner.registry.vector)) {
      lag += Math.max(0, seq - (theirs[origin] ?? 0));
    }
    return lag;
  }

  /**
   * Sends the rows of one write, which have consecutive seq. Resolves when the other has them on disk and its answer is
   * merged, or when the link is gone, at the latest after 2 s.
   *
   * @returns true if the other has them on disk
   */
  push(records: readonly RegistryRecord[]): Promise<boolean> {
    const [first, last] = [records[0], records.at(-1)];
    if (this.#phase.name !== "greeted" || first === undefined || last === undefined) {
      return Promise.resolve(false);
    }
    const { origin } = first;
    if (!this.#canOtherStore) {
      // No acknowledgement will come, but the other must learn that it lacks rows.
      this.#send({ type: "push", id: 0, origin, after: first.seq - 1, upTo: last.seq, records: [] });
      return Promise.resolve(false);
    }
    const id = this.#nextPushId++;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const cancelTimeout = this.#owner.clock.setTimer(STORED_TIMEOUT_MS, () =>
      this.close(`no answer to a write within ${STORED_TIMEOUT_MS} ms`),
    );
    this.#pendingPushes.set(id, {
      origin,
      upTo: last.seq,
      resolve: (isStored) => {
        cancelTimeout();
        resolve(isStored);
      },
    });
    this.#send({ type: "push", id, origin, after: first.seq - 1, upTo: last.seq, records: [...records] });
    return promise;
  }

  /** Sends a change of presence. Not before the other has caught up: it gets all presence then. */
  publish(data: unknown): void {
    if (this.#hasCaughtUpOther) this.#send({ type: "soft", data, isWhole: false });
  }

  /**
   * Rows came in from a third tracker: if the other is being caught up, it gets them too. They may stand before the cursor,
   * and the last chunk's `upTo` must not claim that the other has them unless it does.
   */
  enqueue(records: readonly RegistryRecord[]): void {
    if (this.#cursor === undefined) return;
    for (const { origin, seq } of records) {
      const sent = this.#cursor[origin];
      if (sent !== undefined && sent >= seq) this.#cursor[origin] = seq - 1;
    }
  }

  /** The local disk refuses writes. Final for this link, which stays open to learn what the other tracker has. */
  stopStoring(): void {
    if (!this.#isStoring || this.#phase.name === "closed") return;
    this.#isStoring = false;
    this.#hasCaughtUpHere = false;
    this.#stateSinceMs = this.#owner.clock.nowMs();
    this.#send({ type: "cannot-store" });
  }

  message(text: string): void {
    if (this.#phase.name === "closed") return;
    this.#lastHeardMs = this.#owner.clock.nowMs();
    try {
      this.#receive(readReplicaMessage(text));
    } catch (error) {
      this.#fail(error);
    }
  }

  closed(reason: string): void {
    if (this.#phase.name === "closed") return;
    const trackerId = this.trackerId;
    this.#log.info({ tracker: this.name, trackerId, reason }, "link to tracker closed");
    this.#phase = { name: "closed" };
    this.#cursor = undefined;
    this.#hasCaughtUpOther = false;
    this.#cancelHeartbeat();
    this.#resolvePushes();
    this.#owner.ended(this, trackerId);
  }

  /** Closes the channel; writes that wait for an acknowledgement are completed without it. */
  close(reason: string): void {
    if (this.#phase.name === "closed") return;
    this.closed(reason);
    this.#channel.close(reason);
  }

  #receive(message: ReplicaMessage): void {
    if (message.type === "hello") {
      this.#receiveHello(message);
      return;
    }
    if (this.#phase.name !== "greeted") {
      this.close("it did not say hello first");
      return;
    }
    switch (message.type) {
      case "rows":
        this.#inBackground(this.#receiveRows(message));
        break;
      case "got":
        this.#receiveGot();
        break;
      case "push":
        this.#inBackground(this.#receivePush(message));
        break;
      case "stored":
        this.#inBackground(this.#receiveStored(message.id, message.earlier));
        break;
      case "want":
        this.#startCatchUp(message.vector);
        break;
      case "cannot-store":
        this.#receiveCannotStore();
        break;
      case "beat":
        this.#owner.registry.observe(message.stamp);
        this.#owner.heardClock(this, message.clock);
        this.#receiveHeartbeat(this.#phase, message.vector, message.digest);
        break;
      case "soft":
        this.#owner.presence(this.#phase.trackerId, message.data, message.isWhole);
        break;
    }
  }

  /** greeting -> catching-up */
  #receiveHello({
    origin,
    vector,
    stamp,
    clock,
    doubtful = [],
    isIncomplete,
  }: Extract<ReplicaMessage, { type: "hello" }>): void {
    const { registry } = this.#owner;
    if (this.#phase.name !== "greeting") {
      this.close("it said hello twice");
      return;
    }
    if (origin === registry.origin) {
      this.close("it has this tracker's own registry: the same tracker, or a copy of its data directory");
      return;
    }
    registry.observe(stamp);
    this.#owner.heardClock(this, clock);
    this.#phase = { name: "greeted", trackerId: origin, theirVector: { ...vector } };
    this.#isOtherIncomplete = isIncomplete === true;
    this.#stateSinceMs = this.#owner.clock.nowMs();
    this.#log.info({ tracker: this.name, trackerId: origin }, "link to tracker greeted");
    this.#owner.greeted(origin);
    this.#owner.heard(vector);
    this.#inBackground(this.#owner.registry.settle(vector, doubtful));
    if (!this.#renewIfRestored(vector)) this.#startCatchUp(vector);
  }

  /**
   * The other has writes of this tracker that are missing here: the local disk is an old copy. Writes since it was restored
   * have numbers that stand for different writes elsewhere, so vectors prove nothing: all rows are sent, and all rows of this
   * tracker are asked for.
   */
  #renewIfRestored(theirVector: VersionVector): boolean {
    const { registry } = this.#owner;
    const old = registry.origin;
    const [seq, theirs] = [registry.vector[old] ?? 0, theirVector[old] ?? 0];
    if (theirs <= seq) return false;
    const origin = registry.renewOrigin();
    this.#log.warn(
      { tracker: this.name, old, origin, seq, theirs },
      "the registry is an old copy: another tracker has later writes of it; going on under a new origin",
    );
    this.#want({ ...registry.vector, [old]: 0 });
    this.#startCatchUp({});
    return true;
  }

  /** connected or catching-up -> cannot-store */
  #receiveCannotStore(): void {
    if (!this.#canOtherStore) return;
    this.#canOtherStore = false;
    this.#hasCaughtUpOther = false;
    this.#cursor = undefined;
    this.#stateSinceMs = this.#owner.clock.nowMs();
    this.#log.warn(
      { tracker: this.name, trackerId: this.trackerId },
      "another tracker cannot store anything",
    );
    this.#resolvePushes();
  }

  /** No acknowledgement will come. */
  #resolvePushes(): void {
    for (const { resolve } of this.#pendingPushes.values()) resolve(false);
    this.#pendingPushes.clear();
  }

  /** Sends all rows that a replica with that vector lacks; if rows are being sent already, from there at the latest. */
  #startCatchUp(vector: VersionVector): void {
    if (!this.#canOtherStore) return;
    if (this.#cursor === undefined) {
      this.#cursor = { ...vector };
      this.#sendChunk(this.#cursor);
      return;
    }
    for (const [origin, seq] of Object.entries(this.#cursor)) {
      this.#cursor[origin] = Math.min(seq, vector[origin] ?? 0);
    }
    this.#isLastChunkSent = false; // the chunk in transit may not be the last any more
  }

  #sendChunk(cursor: Record<OriginId, number>): void {
    const { registry } = this.#owner;
    const records = registry.since(cursor, CHUNK_ROWS);
    for (const { origin, seq } of records) cursor[origin] = seq;
    this.#isLastChunkSent = registry.since(cursor, 1).length === 0;
    const doubtful = records.map(({ claimId }) => claimId).filter((id) => registry.isDoubtful(id));
    this.#send({
      ...{ type: "rows", records, upTo: this.#isLastChunkSent ? registry.vector : undefined },
      ...(doubtful.length === 0 ? {} : { doubtful }),
    });
  }

  #receiveGot(): void {
    if (!this.#canOtherStore) return; // an acknowledgement sent just before `cannot-store`
    if (this.#cursor === undefined) {
      this.close("it thanked for rows that were not sent");
      return;
    }
    if (!this.#isLastChunkSent) {
      this.#sendChunk(this.#cursor);
      return;
    }
    this.#cursor = undefined;
    if (this.#hasCaughtUpOther) return;
    this.#hasCaughtUpOther = true;
    this.#send({ type: "soft", data: this.#owner.snapshot(), isWhole: true });
    this.#noteIfConnected();
  }

  async #receiveRows({ records, upTo, doubtful }: Extract<ReplicaMessage, { type: "rows" }>): Promise<void> {
    if (upTo !== undefined) this.#owner.heard(upTo);
    if (!this.#isStoring) return;
    this.#merged(await this.#owner.registry.merge(records, upTo, undefined, doubtful));
    if (!this.#isStoring) return;
    this.#send({ type: "got" });
    if (upTo === undefined) return;
    this.#isWanting = false;
    if (this.#hasCaughtUpHere) return;
    this.#hasCaughtUpHere = true;
    this.#noteIfConnected();
  }

  /** catching-up -> connected */
  #noteIfConnected(): void {
    if (this.state !== "connected") return;
    this.#stateSinceMs = this.#owner.clock.nowMs();
    this.#log.info({ tracker: this.name, trackerId: this.trackerId }, "tracker connected");
  }

  async #receivePush(push: Extract<ReplicaMessage, { type: "push" }>): Promise<void> {
    const { id, origin, records } = push;
    const { registry } = this.#owner;
    this.#noteTheirs(origin, push.upTo);
    this.#owner.heard({ [origin]: push.upTo });
    if (!this.#isStoring) return;
    const result = await registry.merge(records, { [origin]: push.upTo }, { [origin]: push.after });
    this.#merged(result);
    if (!this.#isStoring) return;
    this.#send({ type: "stored", id, earlier: records.flatMap((record) => this.#earlierClaim(record)) });
    if (result.hasGap && this.#hasCaughtUpHere) this.#want(registry.vector);
  }

  /** The row of the claim that stands here instead of that one, if any. */
  #earlierClaim({ kind, key, claimId, value }: RegistryRecord): RegistryRecord[] {
    const { registry } = this.#owner;
    if (claimId === "" || value === undefined) return [];
    const standing = registry.rival(kind, key);
    if (standing === undefined || standing.claimId >= claimId) return [];
    const row = registry.row(kind, standing.name, standing.claimId);
    return row === undefined ? [] : [row];
  }

  async #receiveStored(id: number, earlier: readonly RegistryRecord[]): Promise<void> {
    const push = this.#pendingPushes.get(id);
    this.#pendingPushes.delete(id);
    if (push === undefined && !this.#canOtherStore) return; // the push was resolved already
    if (push === undefined) {
      this.close("it answered a write that was not sent");
      return;
    }
    try {
      // This registry decides whether the earlier claim stands: it may know that the claim has ended since.
      if (earlier.length > 0 && this.#isStoring) this.#merged(await this.#owner.registry.merge(earlier));
    } finally {
      push.resolve(true);
    }
    this.#noteTheirs(push.origin, push.upTo);
  }

  /** The other has that origin's writes up to `seq`. */
  #noteTheirs(origin: OriginId, seq: number): void {
    if (this.#phase.name !== "greeted") return;
    const { theirVector } = this.#phase;
    theirVector[origin] = Math.max(theirVector[origin] ?? 0, seq);
  }

  #want(vector: VersionVector): void {
    if (this.#isWanting) return;
    this.#isWanting = true;
    this.#send({ type: "want", vector });
  }

  #receiveHeartbeat(phase: Extract<Phase, { name: "greeted" }>, vector: VersionVector, digest: string): void {
    const { registry } = this.#owner;
    phase.theirVector = { ...vector };
    this.#owner.heard(vector);
    if (!this.#isStoring || !this.#canOtherStore) return; // the next link catches up
    if (this.#renewIfRestored(vector)) return;
    const mine = registry.vector;
    const isLacking = Object.entries(this.#lastHeartbeatVector).some(
      ([origin, seq]) => (vector[origin] ?? 0) < seq,
    );
    this.#lastHeartbeatVector = mine;
    if (this.#cursor !== undefined) return;
    if (isLacking) {
      this.#startCatchUp(vector);
      return;
    }
    if (digest === registry.digest()) {
      this.#unequalHeartbeats = Math.min(this.#unequalHeartbeats, 0);
      return;
    }
    if (!isSameVector(mine, vector) || ++this.#unequalHeartbeats < UNEQUAL_HEARTBEATS_LIMIT) return;
    this.#unequalHeartbeats = -HEARTBEATS_BETWEEN_FULL_SENDS;
    this.#log.warn(
      { tracker: this.name },
      "registries differ although their vectors agree; all rows are sent",
    );
    this.#startCatchUp({});
  }

  #heartbeat(): void {
    const silentMs = this.#owner.clock.nowMs() - this.#lastHeardMs;
    if (silentMs >= SILENCE_LIMIT_MS) {
      this.close(`nothing heard for ${silentMs} ms`);
      return;
    }
    this.#cancelHeartbeat = this.#owner.clock.setTimer(HEARTBEAT_INTERVAL_MS, () => this.#heartbeat());
    if (this.#phase.name !== "greeted") return;
    const { registry } = this.#owner;
    this.#send({
      type: "beat",
      vector: registry.vector,
      digest: registry.digest(),
      stamp: registry.latestStamp,
      clock: this.#owner.reading(),
    });
  }

  #merged(result: MergeResult): void {
    this.#owner.merged(this, result);
  }

  /** Handles a message in the background; a failure ends the link. */
  #inBackground(work: Promise<void>): void {
    work.catch((error: unknown) => this.#fail(error));
  }

  #fail(error: unknown): void {
    // The other has been told; the link stays open for heartbeats and presence.
    if (!this.#isStoring && diskTroubleOf(error) !== undefined) return;
    const { message } = asMiniTorrentError(error);
    this.#owner.failed(this, error);
    this.close(message);
  }

  #send(message: ReplicaMessage): void {
    if (this.#phase.name !== "closed") this.#channel.send(JSON.stringify(message));
  }
}

function isSameVector(one: VersionVector, other: VersionVector): boolean {
  const origins = Object.keys(one);
  return (
    origins.length === Object.keys(other).length && origins.every((origin) => one[origin] === other[origin])
  );
}
