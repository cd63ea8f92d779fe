// One tracker's end of its link to another: greeting, catching up in both directions, live writes, heartbeat. The same
// at both ends. It decides nothing about names and tells nobody outside (see replication.ts).
import type pino from "pino";
import { asMiniTorrentError } from "../../api/errors.ts";
import type { ClockReading } from "../registry/clock-guard.ts";
import { diskTroubleOf } from "../registry/disk-trouble.ts";
import type { MergeResult, OriginId, Registry, RegistryRecord, VersionVector } from "../registry/registry.ts";
import { CatchUp } from "./catch-up.ts";
import { PendingPushes } from "./pending-pushes.ts";
import type { Clock, ReplicaChannel, ReplicaReceiver } from "./replica-channel.ts";
import { REPLICA_PROTOCOL_VERSION, type ReplicaMessage, readReplicaMessage } from "./replica-messages.ts";

const BEAT_INTERVAL_MS = 1000;
/** Three beats missed: the link is dead. */
const SILENCE_LIMIT_MS = 3 * BEAT_INTERVAL_MS;
/** Beats in a row with equal vectors and unequal digests before all rows are sent: one alone can be a race. */
const UNEQUAL_BEATS_LIMIT = 3;
/** After all rows were sent, beats until they may be sent again: sending a million takes a while. */
const BEATS_BETWEEN_FULL_SENDS = 60;

/** The owner of the links: is told of events that concern more than one link. */
export interface LinkOwner {
  readonly registry: Registry;
  readonly clock: Clock;
  /** State of the local wall clock. */
  reading(): ClockReading;
  heardClock(link: ReplicaLink, reading: ClockReading): void;
  snapshot(): unknown;
  greeted(trackerId: OriginId): void;
  /** A replica has all rows of that vector on disk. */
  heard(vector: VersionVector): void;
  soft(trackerId: OriginId, data: unknown, isWhole: boolean): void;
  merged(link: ReplicaLink, result: MergeResult): void;
  /** What it was sent is refused, or could not be stored; the link closes. */
  failed(link: ReplicaLink, error: unknown): void;
  /** Once; `trackerId` is undefined if the other never said hello. */
  ended(link: ReplicaLink, trackerId: OriginId | undefined): void;
}

/** `cannot-store`: the other tracker accepts no rows for now, and makes a new link when it can. */
export type LinkState = "greeting" | "catching-up" | "connected" | "cannot-store";

type Phase =
  | { readonly name: "greeting" }
  | { readonly name: "greeted"; readonly trackerId: OriginId; theirVector: Record<OriginId, number> }
  | { readonly name: "closed" };

export class ReplicaLink implements ReplicaReceiver {
  readonly name: string;
  readonly #owner: LinkOwner;
  readonly #channel: ReplicaChannel;
  readonly #log: pino.Logger;
  #phase: Phase = { name: "greeting" };
  /** What the other still has to get from here; a chunk of it is on its way. */
  #catchUp: CatchUp | undefined;
  #isLastChunkSent = false;
  #hasCaughtUpOther = false;
  #hasCaughtUpHere = false;
  /** False once the local disk refuses writes: received rows are dropped and not acknowledged. */
  #isStoring = true;
  #canOtherStore = true;
  #isOtherIncomplete = false;
  /** Rows are missing here, and the other was asked for them. */
  #isWanting = false;
  readonly #pending: PendingPushes;
  #lastHeardMs: number;
  #stateSinceMs: number;
  #cancelBeat: () => void;
  /** What was here one beat ago: the other should have that by now, whatever is on its way. */
  #vectorAtLastBeat: VersionVector = {};
  #unequalBeats = 0;

  constructor(owner: LinkOwner, channel: ReplicaChannel, name: string, log: pino.Logger) {
    this.name = name;
    this.#owner = owner;
    this.#channel = channel;
    this.#log = log;
    this.#pending = new PendingPushes(owner.clock, (reason) => this.close(reason));
    this.#lastHeardMs = owner.clock.nowMs();
    this.#stateSinceMs = this.#lastHeardMs;
    this.#cancelBeat = owner.clock.setTimer(BEAT_INTERVAL_MS, () => this.#beat());
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

  /** About how many rows the other lacks, by what it said last. */
  get lagRecords(): number {
    const theirs = this.#phase.name === "greeted" ? this.#phase.theirVector : {};
    let lag = 0;
    for (const [origin, seq] of Object.entries(this.#owner.registry.vector)) {
      lag += Math.max(0, seq - (theirs[origin] ?? 0));
    }
    return lag;
  }

  /**
   * Sends the rows of one write, which follow each other in seq. Resolves when the other has them on disk, and what it
   * answered is merged; or when the link is gone, at the latest after 2 s.
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
      // Not waited for, but the other must learn that it lacks rows.
      this.#send({ type: "push", id: 0, origin, after: first.seq - 1, upTo: last.seq, records: [] });
      return Promise.resolve(false);
    }
    const { id, letGo } = this.#pending.add(origin, last.seq);
    this.#send({ type: "push", id, origin, after: first.seq - 1, upTo: last.seq, records: [...records] });
    return letGo;
  }

  /** A change of presence. Before the other has been caught up, the whole of it is still to come. */
  publish(data: unknown): void {
    if (this.#hasCaughtUpOther) this.#send({ type: "soft", data, isWhole: false });
  }

  /** Rows came in from elsewhere: if the other is being caught up, it gets them too. */
  owe(records: readonly RegistryRecord[]): void {
    if (this.#catchUp === undefined || records.length === 0) return;
    this.#catchUp.owe(records);
  }

  /** The local disk refuses writes. Irrevocable for this link, which stays open to learn what the others have. */
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
      this.#take(readReplicaMessage(text));
    } catch (error) {
      this.#fail(error);
    }
  }

  closed(reason: string): void {
    if (this.#phase.name === "closed") return;
    const trackerId = this.trackerId;
    this.#log.info({ tracker: this.name, trackerId, reason }, "link to tracker closed");
    this.#phase = { name: "closed" };
    this.#catchUp = undefined;
    this.#hasCaughtUpOther = false;
    this.#cancelBeat();
    this.#pending.letAllGo();
    this.#owner.ended(this, trackerId);
  }

  /** Closes the channel; callers that wait for an answer continue without it. */
  close(reason: string): void {
    if (this.#phase.name === "closed") return;
    this.closed(reason);
    this.#channel.close(reason);
  }

  #take(message: ReplicaMessage): void {
    if (message.type === "hello") {
      this.#takeHello(message);
      return;
    }
    if (this.#phase.name !== "greeted") {
      this.close("it did not say hello first");
      return;
    }
    switch (message.type) {
      case "rows":
        this.#behind(this.#takeRows(message));
        break;
      case "got":
        this.#takeGot();
        break;
      case "push":
        this.#behind(this.#takePush(message));
        break;
      case "stored":
        this.#behind(this.#takeStored(message.id, message.earlier));
        break;
      case "want":
        this.#startCatchUp(message.vector);
        break;
      case "cannot-store":
        this.#takeCannotStore();
        break;
      case "beat":
        this.#owner.registry.observe(message.stamp);
        this.#owner.heardClock(this, message.clock);
        this.#takeBeat(this.#phase, message.vector, message.digest);
        break;
      case "soft":
        this.#owner.soft(this.#phase.trackerId, message.data, message.isWhole);
        break;
    }
  }

  /** greeting -> catching-up */
  #takeHello({
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
    this.#behind(this.#owner.registry.settle(vector, doubtful));
    if (!this.#renewIfRestored(vector)) this.#startCatchUp(vector);
  }

  /**
   * The other has writes of ours that we have not: our disk is an old copy. What was written since it was brought back
   * bears numbers that stand for other writes elsewhere, so numbers say nothing here: all is sent, all of ours is asked for.
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
  #takeCannotStore(): void {
    if (!this.#canOtherStore) return;
    this.#canOtherStore = false;
    this.#hasCaughtUpOther = false;
    this.#catchUp = undefined;
    this.#stateSinceMs = this.#owner.clock.nowMs();
    this.#log.warn(
      { tracker: this.name, trackerId: this.trackerId },
      "another tracker cannot store anything",
    );
    this.#pending.letAllGo();
  }

  #startCatchUp(vector: VersionVector): void {
    if (!this.#canOtherStore) return;
    if (this.#catchUp !== undefined) {
      this.#catchUp.goBackTo(vector);
      this.#isLastChunkSent = false; // what is on its way may be the last chunk no longer
      return;
    }
    this.#catchUp = new CatchUp(this.#owner.registry, vector);
    this.#sendChunk(this.#catchUp);
  }

  #sendChunk(catchUp: CatchUp): void {
    const chunk = catchUp.next();
    this.#isLastChunkSent = chunk.upTo !== undefined;
    const { registry } = this.#owner;
    const doubtful = chunk.records.map(({ claimId }) => claimId).filter((id) => registry.isDoubtful(id));
    this.#send({
      ...{ type: "rows", records: [...chunk.records], upTo: chunk.upTo },
      ...(doubtful.length === 0 ? {} : { doubtful }),
    });
  }

  #takeGot(): void {
    if (!this.#canOtherStore) return; // an acknowledgement sent just before `cannot-store`
    if (this.#catchUp === undefined) {
      this.close("it thanked for rows that were not sent");
      return;
    }
    if (!this.#isLastChunkSent) {
      this.#sendChunk(this.#catchUp);
      return;
    }
    this.#catchUp = undefined;
    if (this.#hasCaughtUpOther) return;
    this.#hasCaughtUpOther = true;
    this.#send({ type: "soft", data: this.#owner.snapshot(), isWhole: true });
    this.#noteIfConnected();
  }

  async #takeRows({ records, upTo, doubtful }: Extract<ReplicaMessage, { type: "rows" }>): Promise<void> {
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

  async #takePush(push: Extract<ReplicaMessage, { type: "push" }>): Promise<void> {
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

  /** The row of the claim that stands here in place of that one, if one does. */
  #earlierClaim({ kind, key, claimId, value }: RegistryRecord): RegistryRecord[] {
    const { registry } = this.#owner;
    if (claimId === "" || value === undefined) return [];
    const standing = registry.rival(kind, key);
    if (standing === undefined || standing.claimId >= claimId) return [];
    const row = registry.row(kind, standing.name, standing.claimId);
    return row === undefined ? [] : [row];
  }

  async #takeStored(id: number, earlier: readonly RegistryRecord[]): Promise<void> {
    const push = this.#pending.take(id);
    if (push === undefined && !this.#canOtherStore) return; // the push was resolved already
    if (push === undefined) {
      this.close("it answered a write that was not sent");
      return;
    }
    try {
      // Whether the earlier claim stands is for this registry to say: it may know that the claim was ended since.
      if (earlier.length > 0 && this.#isStoring) this.#merged(await this.#owner.registry.merge(earlier));
    } finally {
      push.letGo(true);
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

  #takeBeat(phase: Extract<Phase, { name: "greeted" }>, vector: VersionVector, digest: string): void {
    const { registry } = this.#owner;
    phase.theirVector = { ...vector };
    this.#owner.heard(vector);
    if (!this.#isStoring || !this.#canOtherStore) return; // the next link catches up
    if (this.#renewIfRestored(vector)) return;
    const mine = registry.vector;
    const isLacking = Object.entries(this.#vectorAtLastBeat).some(
      ([origin, seq]) => (vector[origin] ?? 0) < seq,
    );
    this.#vectorAtLastBeat = mine;
    if (this.#catchUp !== undefined) return;
    if (isLacking) {
      this.#startCatchUp(vector);
      return;
    }
    if (digest === registry.digest()) {
      this.#unequalBeats = Math.min(this.#unequalBeats, 0);
      return;
    }
    if (!isSameVector(mine, vector) || ++this.#unequalBeats < UNEQUAL_BEATS_LIMIT) return;
    this.#unequalBeats = -BEATS_BETWEEN_FULL_SENDS;
    this.#log.warn(
      { tracker: this.name },
      "registries differ although their vectors agree; all rows are sent",
    );
    this.#startCatchUp({});
  }

  #beat(): void {
    const silentMs = this.#owner.clock.nowMs() - this.#lastHeardMs;
    if (silentMs >= SILENCE_LIMIT_MS) {
      this.close(`nothing heard for ${silentMs} ms`);
      return;
    }
    this.#cancelBeat = this.#owner.clock.setTimer(BEAT_INTERVAL_MS, () => this.#beat());
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

  /** Goes on with a message behind; what goes wrong with it ends the link. */
  #behind(work: Promise<void>): void {
    work.catch((error: unknown) => this.#fail(error));
  }

  #fail(error: unknown): void {
    // The other has been told; the link stays open for beats and presence.
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
