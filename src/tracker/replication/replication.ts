// Keeps this tracker's registry equal to the others': every connected tracker stores a write before it is acknowledged, a
// tracker that was away catches up, and of two claims on one name the earlier one stands. It knows neither sockets nor the
// meaning of rows.
import type pino from "pino";
import { asMiniTorrentError, MiniTorrentError } from "../../api/errors.ts";
import type { Clock } from "../../net/timers.ts";
import type { ClockGuard } from "../registry/clock-guard.ts";
import type {
  LostClaim,
  MergeResult,
  OriginId,
  Registry,
  RegistryRecord,
  RegistryWriter,
  Stamp,
  VersionVector,
} from "../registry/registry.ts";
import type { PresenceStore, ReplicaChannel, ReplicaReceiver } from "./replica-channel.ts";
import { type LinkOwner, type LinkState, ReplicaLink } from "./replica-link.ts";

export interface ReplicationOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  /** Compares the local wall clock with the other trackers'. */
  readonly clockGuard: Pick<ClockGuard, "reading" | "heard">;
  readonly log: pino.Logger;
  readonly presence: PresenceStore;
  /**
   * Rows are new here: written here and acknowledged (`isLocal`), or received from another tracker. `lostClaims`: claims
   * that stood here until now and are beaten. Must not throw.
   */
  readonly onChanged: (
    records: readonly RegistryRecord[],
    lostClaims: readonly LostClaim[],
    isLocal: boolean,
  ) => void;
}

/** The result of a write. */
export interface Written<T> {
  readonly result: T;
  /** Names of the links whose trackers have confirmed the rows on disk. */
  readonly storedAt: ReadonlySet<string>;
}

export interface ReplicaStatus {
  /** Address, as it was attached. */
  readonly name: string;
  readonly trackerId: string | undefined;
  readonly state: LinkState;
  /** All its rows are here. */
  readonly hasCaughtUpHere: boolean;
  /** And it has not lost its registry itself. */
  readonly hasCaughtUpWholly: boolean;
  /** About how many rows the other lacks. */
  readonly lagRecords: number;
  /** When it entered that state, by the given clock. */
  readonly since: number;
}

export class Replication {
  readonly #registry: Registry;
  readonly #log: pino.Logger;
  readonly #presence: PresenceStore;
  readonly #onChanged: ReplicationOptions["onChanged"];
  readonly #links = new Set<ReplicaLink>();
  readonly #linkOwner: LinkOwner;
  /** Claims made here and not acknowledged to a client yet, and whether an earlier one has beaten them. */
  readonly #claimsInFlight = new Map<Stamp, { isLost: boolean }>();
  /** Why a link to each tracker failed last, so that a failure that recurs with every redial is logged once. */
  readonly #reported = new Map<string, MiniTorrentError["code"]>();

  /** False while the local disk refuses writes. */
  #isStoring = true;
  /** The highest vector heard from other trackers. */
  readonly #heard: Record<OriginId, number> = {};
  /** Commands in progress, until they have succeeded or failed. */
  readonly #running = new Map<string, Promise<void>>();

  constructor({ registry, clock, clockGuard, log, presence, onChanged }: ReplicationOptions) {
    this.#registry = registry;
    this.#log = log;
    this.#presence = presence;
    this.#onChanged = onChanged;
    this.#linkOwner = {
      registry,
      clock,
      reading: () => clockGuard.reading(),
      heardClock: ({ name }, reading) => clockGuard.heard(name, reading),
      snapshot: () => presence.snapshot(),
      greeted: (trackerId) => this.#greeted(trackerId),
      heard: (vector) => this.#hear(vector),
      presence: (trackerId, data, isWhole) => presence.apply(trackerId, data, isWhole),
      merged: (link, result) => this.#merged(link, result),
      failed: (link, error) => this.#report(link, asMiniTorrentError(error)),
      ended: (link, trackerId) => this.#ended(link, trackerId),
    };
  }

  /** Starts a link to another tracker over a new channel; the other end does the same. Two links to one tracker do no harm. */
  attach(channel: ReplicaChannel, name: string): ReplicaReceiver {
    const link = new ReplicaLink(this.#linkOwner, channel, name, this.#log);
    this.#links.add(link);
    if (!this.#isStoring) link.stopStoring();
    return link;
  }

  /**
   * Runs `work` as one transaction, and resolves with its result once every connected tracker has its rows on disk. `work`
   * itself checks whether the command was done before (`hasWrite`).
   *
   * @param isRetry the command was asked before, at a tracker that did not answer
   * @throws MiniTorrentError NAME_TAKEN_ELSEWHERE if it claimed a name that another tracker had given away earlier
   * @throws whatever `work` throws
   */
  async write<T>(writeId: string, work: (writer: RegistryWriter) => T, isRetry = false): Promise<T> {
    return (await this.writeAndConfirm(writeId, work, isRetry)).result;
  }

  /** Like `write`, and returns which trackers have confirmed it. */
  writeAndConfirm<T>(
    writeId: string,
    work: (writer: RegistryWriter) => T,
    isRetry = false,
  ): Promise<Written<T>> {
    // A retry of the same command must not be told that its rows are here before it is certain that they stay.
    const before = this.#running.get(writeId) ?? Promise.resolve();
    const written = before.then(() => this.#write(writeId, work, isRetry));
    const over = Promise.allSettled([written]).then(() => {
      if (this.#running.get(writeId) === over) this.#running.delete(writeId);
    });
    this.#running.set(writeId, over);
    return written;
  }

  /** Sends a change of presence to every connected tracker. */
  publish(data: unknown): void {
    for (const link of this.#links) link.publish(data);
  }

  status(): readonly ReplicaStatus[] {
    return [...this.#links].map((link) => ({
      ...{ name: link.name, trackerId: link.trackerId, state: link.state, lagRecords: link.lagRecords },
      ...{ hasCaughtUpHere: link.hasCaughtUpHere, hasCaughtUpWholly: link.hasCaughtUpWholly },
      since: link.stateSinceMs,
    }));
  }

  /** How many other trackers are connected and have all that is here. */
  get connectedCount(): number {
    const connected = [...this.#links].filter(({ state }) => state === "connected");
    return new Set(connected.map(({ trackerId }) => trackerId)).size;
  }

  get isStoring(): boolean {
    return this.#isStoring;
  }

  /** True if a linked tracker can store rows. */
  get isAnotherStoring(): boolean {
    return [...this.#links].some(({ state }) => state === "catching-up" || state === "connected");
  }

  /** The highest vector heard from other trackers. */
  get heard(): VersionVector {
    return { ...this.#heard };
  }

  /** True if all rows of that vector are here. */
  has(vector: VersionVector): boolean {
    const here = this.#registry.vector;
    return Object.entries(vector).every(([origin, seq]) => (here[origin] ?? 0) >= seq);
  }

  /** The local disk refuses writes: the others are told, and no longer wait for this tracker. Links stay open. */
  stopStoring(): void {
    this.#isStoring = false;
    for (const link of this.#links) link.stopStoring();
  }

  /** The disk accepts writes again: closes every link, so that the next ones catch up. */
  resumeStoring(): void {
    if (this.#isStoring) return;
    this.#isStoring = true;
    for (const link of [...this.#links]) link.close("this tracker can write again");
  }

  /** Resolves when no write is in progress: after `close`, the registry can be closed. */
  async settled(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  /** Closes every link. The registry stays open; the caller closes it. */
  close(): void {
    for (const link of [...this.#links]) link.close("this tracker stops");
  }

  async #write<T>(
    writeId: string,
    work: (writer: RegistryWriter) => T,
    isRetry: boolean,
  ): Promise<Written<T>> {
    const { result, records } = await this.#registry.transact(writeId, work, isRetry);
    if (records.length === 0) {
      // A retry after the tracker that wrote it died: perhaps no client was told of its claims.
      const rows = this.#registry.rowsOfWrite(writeId);
      const doubtful = rows.map(({ claimId }) => claimId).filter((id) => this.#registry.isDoubtful(id));
      if (doubtful.length > 0) await this.#registry.confirm(doubtful);
      const byOrigin = Map.groupBy(rows, ({ origin }) => origin);
      const stored = await Promise.all([...byOrigin.values()].map((rows) => this.#push(rows)));
      // If later writes have replaced all of its rows, every tracker that is up to date has had them.
      const storedAt = stored.reduce(
        (both, names) => both.intersection(names),
        stored[0] ?? this.#upToDate(),
      );
      return { result, storedAt };
    }
    const claims = records.filter(({ claimId, stamp, value }) => claimId === stamp && value !== undefined);
    for (const { claimId } of claims) this.#claimsInFlight.set(claimId, { isLost: false });
    let storedAt: ReadonlySet<string>;
    try {
      storedAt = await this.#push(records);
      const lost = claims.find(({ claimId }) => this.#claimsInFlight.get(claimId)?.isLost);
      if (lost !== undefined) throw taken(lost);
    } finally {
      for (const { claimId } of claims) this.#claimsInFlight.delete(claimId);
    }
    if (claims.length > 0) this.#confirm(claims);
    this.#onChanged(records, [], true);
    return { result, storedAt };
  }

  /**
   * Not awaited: a tracker that dies at this moment comes back with an acknowledged claim in doubt, which matters only if
   * another claim on the name was acknowledged meanwhile.
   */
  #confirm(claims: readonly RegistryRecord[]): void {
    this.#registry.confirm(claims.map(({ claimId }) => claimId)).catch((error: unknown) => {
      this.#log.error({ err: error }, "claims that were answered for stay in doubt");
    });
  }

  #upToDate(): Set<string> {
    const links = [...this.#links].filter(
      ({ state, lagRecords }) => state === "connected" && lagRecords === 0,
    );
    return new Set(links.map(({ name }) => name));
  }

  /** @returns names of the links whose trackers have stored them */
  async #push(records: readonly RegistryRecord[]): Promise<Set<string>> {
    const storedAt = new Set<string>();
    const pushes = [...this.#links].map(async (link) => {
      if (await link.push(records)) storedAt.add(link.name);
    });
    await Promise.all(pushes);
    return storedAt;
  }

  #merged(from: ReplicaLink, { changed, lostClaims, endings }: MergeResult): void {
    for (const link of this.#links) if (link !== from) link.enqueue(changed);
    const toTell: LostClaim[] = [];
    for (const lost of lostClaims) {
      const inFlight = this.#claimsInFlight.get(lost.claimId);
      if (inFlight === undefined) toTell.push(lost);
      else inFlight.isLost = true; // its write fails, which tells the client
    }
    if (changed.length > 0) this.#onChanged(changed, toTell, false);
    for (const ending of endings) void this.#push([ending]); // never rejects
    if (endings.length > 0) this.#onChanged(endings, [], true);
  }

  #report({ name }: ReplicaLink, error: MiniTorrentError): void {
    if (this.#reported.get(name) === error.code) return;
    this.#reported.set(name, error.code);
    this.#log.error({ tracker: name, err: error }, `link to tracker failed: ${error.message}`);
  }

  #hear(vector: VersionVector): void {
    for (const [origin, seq] of Object.entries(vector)) {
      this.#heard[origin] = Math.max(this.#heard[origin] ?? 0, seq);
    }
  }

  #greeted(trackerId: OriginId): void {
    if (this.#countLinksTo(trackerId) === 1) this.#presence.linkUp(trackerId);
  }

  #ended(link: ReplicaLink, trackerId: OriginId | undefined): void {
    this.#links.delete(link);
    if (trackerId !== undefined && this.#countLinksTo(trackerId) === 0) this.#presence.linkLost(trackerId);
  }

  #countLinksTo(trackerId: OriginId): number {
    return [...this.#links].filter((link) => link.trackerId === trackerId).length;
  }
}

function taken({ kind, key }: RegistryRecord): MiniTorrentError {
  const name = key.split("\u001f").at(-1) ?? key;
  return new MiniTorrentError(
    "NAME_TAKEN_ELSEWHERE",
    `Another tracker gave the ${kind} name ${name} away a moment earlier; choose another one.`,
  );
}
