// Garbage collector of the registry: removes metainfo of files that nobody shares, parts of metainfo that no share followed,
// invites that are over, and sessions of devices that have been away for long or whose account is gone. It examines a few rows at a time, in endless rounds.
//
// A row is removed once every look for COLLECT_AFTER_MS has found it unused, with all trackers connected throughout. By then
// every tracker has long known it to be unused, so no command anywhere can depend on it: a later share writes a row of its
// own (torrents.ts). Nothing is removed while a tracker is away.
import type { Logger } from "pino";
import type { DeviceValue } from "../registry/record-values.ts";
import type { RecordKind, RegistryReader, RegistryWriter } from "../registry/registry.ts";
import { isFileShared } from "./catalogue.ts";
import { isUnderWay, isUploadOver, readPartKey } from "./info-uploads.ts";
import { isInviteGone, isInviteOver } from "./invites.ts";
import { needsParts, readTorrentKey } from "./torrents.ts";

/** Far longer than replication takes. */
const COLLECT_AFTER_MS = 60 * 60 * 1000;
/** A client that was away for longer logs in again. */
const SESSION_IDLE_MS = 30 * 24 * 60 * 60 * 1000;
/** Maximum age of a connected device's "last seen": one row a day for each device. */
const SEEN_INTERVAL_MS = 24 * 60 * 60 * 1000;
/** Time between two steps. */
const STEP_INTERVAL_MS = 500;
/** Time between two rounds. */
const ROUND_INTERVAL_MS = 60 * 1000;
/** Rows examined in a step: some 2 ms. A round over a million torrents takes three and a half hours. */
const LOOKS_PER_STEP = 40;
/** Rows removed in a step: each may have 256 KB, which take some 3 ms to parse and hash. */
const REMOVALS_PER_STEP = 4;
/** Devices whose "last seen" is written in a step. */
const SEEN_PER_STEP = 40;
/** Most unused rows remembered, some 300 bytes each; others wait for a later round. */
const MOST_CANDIDATES = 20_000;

const COLLECTED_KINDS: readonly RecordKind[] = [
  "torrent",
  "infoUpload",
  "infoPart",
  "device",
  "invite",
  "inviteRevocation",
  "inviteUse",
];

export interface CollectorOptions {
  readonly registry: RegistryReader;
  /** A write of the tracker's own, resolved when every connected tracker has it. */
  readonly write: (work: (writer: RegistryWriter) => void) => Promise<unknown>;
  /** Names a period in which all trackers were connected without interruption; undefined while one is not. */
  readonly connectedEra: () => string | undefined;
  /** True if a client takes part in that torrent, at any tracker. */
  readonly isAnnounced: (infoHash: string) => boolean;
  /** Devices connected here with a session. */
  readonly connectedDevices: () => Iterable<string>;
  /** The wall clock, milliseconds since 1970. */
  readonly nowMs: () => number;
  /** A clock that never jumps, milliseconds. */
  readonly uptimeMs: () => number;
  readonly setTimer: (delayMs: number, callback: () => unknown) => () => void;
  readonly log: Logger;
  /** COLLECT_AFTER_MS, unless a test says otherwise. */
  readonly collectAfterMs?: number;
}

/** The table being scanned, and the position in it. */
type Phase =
  | { readonly name: "rows"; readonly kindIndex: number; readonly after: string | undefined }
  | { readonly name: "seen"; readonly devices: Iterator<string> };

interface Candidate {
  readonly kind: RecordKind;
  readonly sinceMs: number;
  /** The last round that found it unused. */
  round: number;
}

export class Collector {
  readonly #options: CollectorOptions;
  readonly #collectAfterMs: number;
  readonly #unused = new Map<string, Candidate>();
  /** Rows unused for long enough, to be removed in the next steps. */
  readonly #due = new Set<string>();
  #era: string | undefined;
  #round = 0;
  #phase: Phase = { name: "rows", kindIndex: 0, after: undefined };
  #hasFailed = false;
  #cancelTimer: () => void = () => {};
  #isClosed = false;

  constructor(options: CollectorOptions) {
    this.#options = options;
    this.#collectAfterMs = options.collectAfterMs ?? COLLECT_AFTER_MS;
  }

  /** Runs until it is closed. */
  start(): void {
    this.#later(STEP_INTERVAL_MS);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelTimer();
  }

  /** Does one step. Resolves to true at the end of a round. Never rejects. */
  async step(): Promise<boolean> {
    try {
      this.#followEra();
      if (this.#era === undefined) return false;
      await this.#removeDue();
      return this.#phase.name === "rows" ? this.#lookAtRows(this.#phase) : await this.#noteSeen(this.#phase);
    } catch (error) {
      // The disk is full, or another reason keeps this tracker from writing; that is reported elsewhere.
      if (!this.#hasFailed) this.#options.log.warn({ err: error }, "unused rows could not be removed");
      this.#hasFailed = true;
      return true;
    }
  }

  #later(delayMs: number): void {
    if (this.#isClosed) return;
    this.#cancelTimer = this.#options.setTimer(delayMs, () => {
      return this.step().then((isRoundOver) =>
        this.#later(isRoundOver ? ROUND_INTERVAL_MS : STEP_INTERVAL_MS),
      );
    });
  }

  #followEra(): void {
    const era = this.#options.connectedEra();
    if (era === this.#era) return;
    this.#era = era;
    this.#unused.clear();
    this.#due.clear();
  }

  #lookAtRows({ kindIndex, after }: Phase & { name: "rows" }): boolean {
    const kind = COLLECTED_KINDS[kindIndex];
    if (kind === undefined) {
      this.#phase = { name: "seen", devices: this.#options.connectedDevices()[Symbol.iterator]() };
      return false;
    }
    const keys = this.#options.registry.keys(kind, "", { after, limit: LOOKS_PER_STEP });
    for (const key of keys) this.#lookAt(kind, key);
    const isLast = keys.length < LOOKS_PER_STEP;
    this.#phase = {
      name: "rows",
      kindIndex: isLast ? kindIndex + 1 : kindIndex,
      after: isLast ? undefined : keys.at(-1),
    };
    return false;
  }

  #lookAt(kind: RecordKind, key: string): void {
    if (!this.#isUnused(this.#options.registry, kind, key)) {
      this.#unused.delete(key);
      return;
    }
    const uptimeMs = this.#options.uptimeMs();
    const candidate = this.#unused.get(key);
    if (candidate === undefined) {
      if (this.#unused.size < MOST_CANDIDATES)
        this.#unused.set(key, { kind, sinceMs: uptimeMs, round: this.#round });
      return;
    }
    candidate.round = this.#round;
    if (uptimeMs - candidate.sinceMs >= this.#collectAfterMs) this.#due.add(key);
  }

  async #removeDue(): Promise<void> {
    const due = [...this.#due.values().take(REMOVALS_PER_STEP)];
    if (due.length === 0) return;
    await this.#options.write((writer) => {
      for (const key of due) {
        const kind = this.#unused.get(key)?.kind;
        if (kind !== undefined && this.#isUnused(writer, kind, key)) writer.remove(kind, key);
      }
    });
    this.#hasFailed = false;
    for (const key of due) {
      this.#due.delete(key);
      this.#unused.delete(key);
    }
  }

  #isUnused(reader: RegistryReader, kind: RecordKind, key: string): boolean {
    if (kind === "device") {
      const device = reader.get("device", key);
      if (device === undefined) return false;
      if (reader.claimById("user", device.accountId) === undefined) return true;
      return device.seenAtMs < this.#options.nowMs() - SESSION_IDLE_MS;
    }
    if (kind === "invite") return isInviteOver(reader, key, this.#options.nowMs());
    if (kind === "inviteRevocation" || kind === "inviteUse") return isInviteGone(reader, key);
    if (kind === "infoUpload") {
      const upload = reader.get("infoUpload", key);
      return upload !== undefined && isUploadOver(upload, this.#options.nowMs());
    }
    if (kind === "infoPart") {
      const upload = readPartKey(key);
      return !isUnderWay(reader, upload) && !needsParts(reader, upload);
    }
    const { infoHash, groupClaimId, fileName } = readTorrentKey(key);
    if (this.#options.isAnnounced(infoHash)) return false;
    return !isFileShared(reader, groupClaimId, fileName, infoHash);
  }

  async #noteSeen({ devices }: Phase & { name: "seen" }): Promise<boolean> {
    const { registry, nowMs, write } = this.#options;
    const stale: string[] = [];
    const isLongAgo = ({ seenAtMs }: DeviceValue) => seenAtMs < nowMs() - SEEN_INTERVAL_MS;
    let isOver = false;
    for (let looked = 0; looked < LOOKS_PER_STEP && stale.length < SEEN_PER_STEP; looked++) {
      const { value: deviceId, done } = devices.next();
      isOver = done === true;
      if (isOver) break;
      const device = registry.get("device", deviceId);
      if (device !== undefined && isLongAgo(device)) stale.push(deviceId);
    }
    if (stale.length > 0) {
      await write((writer) => {
        for (const deviceId of stale) {
          const device = writer.get("device", deviceId);
          if (device !== undefined) writer.put("device", deviceId, { ...device, seenAtMs: nowMs() });
        }
      });
    }
    if (!isOver) return false;
    // Forgets rows that another tracker has removed meanwhile.
    for (const [key, { round }] of this.#unused) if (round < this.#round) this.#unused.delete(key);
    this.#round++;
    this.#phase = { name: "rows", kindIndex: 0, after: undefined };
    return true;
  }
}
