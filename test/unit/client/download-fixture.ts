// What the tests of downloads and shares build on: a real folder, profile and disk; a clock that stands still; and in the place of
// trackers and swarms, stubs that remember what they were told and answer what a test lays out.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { promises as files } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext } from "node:test";
import { pino } from "pino";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import type { AnnouncedTorrent, PeerAddress } from "../../../src/api/schemas.ts";
import type { ClientContext, RunningTorrent, Swarms } from "../../../src/client/client-context.ts";
import { Downloads } from "../../../src/client/downloads/downloads.ts";
import { FormerVersions } from "../../../src/client/downloads/former-versions.ts";
import { Profile } from "../../../src/client/profile.ts";
import { Shares } from "../../../src/client/shares.ts";
import type { ClientEvent } from "../../../src/client/status.ts";
import { apiOf } from "../../../src/client/trackers/api-channel.ts";
import type { Contact } from "../../../src/engine/connection-manager.ts";
import { Bitfield } from "../../../src/metainfo/bitfield.ts";
import { FileLayoutBuilder } from "../../../src/metainfo/file-layout.ts";
import {
  encodeFolderMetainfo,
  encodeMetainfo,
  type FileMetainfo,
  type FolderMetainfo,
  type Metainfo,
} from "../../../src/metainfo/metainfo.ts";
import type { CommitOutcome } from "../../../src/metainfo/piece-types.ts";
import { PieceStore } from "../../../src/storage/piece-store.ts";
import { createStorageResources } from "../../../src/storage/storage-resources.ts";
import { OwnPieces } from "../../../src/swarm/own-pieces.ts";
import { ReadAhead } from "../../../src/swarm/read-ahead.ts";
import type { PieceHolder, SourceSnapshot, TorrentStatus } from "../../../src/swarm/torrent-status.ts";
import type { GroupCredentials } from "../../../src/transport/group-credentials.ts";
import type { Farewell } from "../../../src/wire/farewell.ts";
import { content } from "../storage/workplace.ts";

export const PIECE_BYTES = 32 * 1024;
export const START_MS = Date.UTC(2026, 0, 1);
export const GROUP = "films";
const AUTHORITY = "-- the CA of films --";
const PATIENCE_NS = 15_000_000_000n;

/** The threads of all tests of a file. */
const storage = createStorageResources();
after(() => storage.disk.close());

/** @param what the sentence that the test fails with */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const endNs = process.hrtime.bigint() + PATIENCE_NS;
  while (!(await holds())) {
    if (process.hrtime.bigint() > endNs) assert.fail(`it never came to this: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** As the promise; fails with a sentence if it does not settle. */
export async function soon<T>(promise: Promise<T>, what: string): Promise<T> {
  let isSettled = false;
  const settled = () => {
    isSettled = true;
  };
  promise.then(settled, settled);
  await until(() => isSettled, what);
  return promise;
}

/** Lets everything run that waits for nothing but its turn, or for the file system. */
export async function turns(): Promise<void> {
  for (let idleTurns = 0; idleTurns < 20; ) {
    await new Promise((resolve) => setImmediate(resolve));
    const isFileAsked = process.getActiveResourcesInfo().some((kind) => /^(FSReq|CloseReq)/.test(kind));
    idleTurns = isFileAsked ? 0 : idleTurns + 1;
  }
}

const clocks = new WeakMap<TestContext, FakeClock>();

/** Timers, `Date` and `performance.now()`: they stand still until they are told to go on. */
export class FakeClock {
  readonly #context: TestContext;
  /** Timers that have neither fired nor been cleared. */
  readonly #open = new Set<unknown>();
  nowMs = 1_000_000;
  /** Scenes of the test that are not closed yet. */
  sceneCount = 0;

  private constructor(t: TestContext) {
    this.#context = t;
    t.mock.timers.enable({ apis: ["setTimeout", "Date"], now: START_MS });
    t.mock.method(performance, "now", () => this.nowMs);
    const { setTimeout: begin, clearTimeout: clear } = globalThis;
    t.mock.method(globalThis, "setTimeout", (work: () => void, ms: number) => {
      const timer = begin(() => {
        this.#open.delete(timer);
        work();
      }, ms);
      this.#open.add(timer);
      return timer;
    });
    t.mock.method(globalThis, "clearTimeout", (timer: NodeJS.Timeout | undefined) => {
      this.#open.delete(timer);
      clear(timer);
    });
  }

  /** The one clock of a test. */
  static of(t: TestContext): FakeClock {
    const clock = clocks.get(t) ?? new FakeClock(t);
    clocks.set(t, clock);
    return clock;
  }

  get openTimers(): number {
    return this.#open.size;
  }

  async pass(ms: number): Promise<void> {
    this.nowMs += ms;
    this.#context.mock.timers.tick(ms);
    await turns();
  }
}

/** Replaces a function of `node:fs/promises` for the rest of the test. */
function replaceInFiles(
  t: TestContext,
  name: "statfs" | "stat" | "link",
  replacement: (path: string, other?: object) => unknown,
): void {
  const replaced = t.mock.method(files, name, replacement as never);
  syncBuiltinESMExports();
  t.after(() => {
    replaced.mock.restore();
    syncBuiltinESMExports();
  });
}

/** Every disk has so many bytes left. */
export function leaveRoom(t: TestContext, bytes: number): { bytes: number } {
  const room = { bytes };
  const real = files.statfs.bind(files);
  replaceInFiles(t, "statfs", async (path) => ({ ...(await real(path)), bsize: 1, bavail: room.bytes }));
  return room;
}

/** How often files are looked at, and what these looks wait for, or fail with. */
export function looksOf(t: TestContext): { count: number; gate?: Promise<void>; failure?: Error } {
  const looks: ReturnType<typeof looksOf> = { count: 0 };
  const real = files.stat.bind(files);
  replaceInFiles(t, "stat", async (path, options) => {
    looks.count++;
    await looks.gate;
    if (looks.failure !== undefined) throw looks.failure;
    return real(path, options);
  });
  return looks;
}

/** The file of that path cannot be linked to where it is moved. */
export function betweenDisks(t: TestContext, from: string): void {
  const real = files.link.bind(files);
  replaceInFiles(t, "link", async (path: string, newPath?: string | object) => {
    if (path === from) throw Object.assign(new Error("EXDEV: cross-device link"), { code: "EXDEV" });
    return real(path, String(newPath));
  });
}

/** That folder is on a disk of its own. */
export function onOtherDisk(t: TestContext, folder: string): void {
  const real = files.stat.bind(files);
  replaceInFiles(t, "stat", async (path, options) => {
    const stats = await real(path, options);
    if (path === folder) stats.dev++;
    return stats;
  });
}

interface Input {
  readonly [key: string]: unknown;
}
type Answer = (input: Input) => unknown;

/** In the place of all trackers. */
class FakeTracker {
  address: string | undefined = "192.0.2.1:9001";
  problem: string | undefined;
  /** `files.share`, with what was asked. */
  readonly asked: { readonly call: string; readonly input: Input }[] = [];
  /** Content by `group/name`. */
  readonly files = new Map<string, Metainfo>();
  readonly answers = new Map<string, Answer>([
    ["files.metainfo", ({ groupId, fileName }) => this.#metainfo(`${groupId}/${fileName}`)],
    ["files.share", () => ({ infoHash: "", joinedSwarm: false, isAnnounced: true })],
    ["files.stopShare", () => ({})],
    ["files.checkShares", () => ({ withdrawn: [], unknown: [], updated: [] })],
    ["files.standing", () => ({ content: "same", members: [] })],
    ["presence.peers", () => []],
  ]);
  readonly #api = apiOf(async (_kind, call, input) => {
    this.asked.push({ call, input: (input ?? {}) as Input });
    return await this.answers.get(call)?.((input ?? {}) as Input);
  });

  readonly ask: ClientContext["ask"] = async (answer, question) => {
    if (this.address === undefined)
      throw new MiniTorrentError("TRACKERS_UNREACHABLE", "None of the trackers answers.");
    return answer.parse(await question(this.#api, { writeId: "6f0c9d5e-0000-4000-8000-000000000000" }));
  };

  /** What was asked by that call, and forgets it. */
  take(call: string): Input[] {
    const inputs = this.asked.filter((one) => one.call === call).map(({ input }) => input);
    const others = this.asked.filter((one) => one.call !== call);
    this.asked.splice(0, this.asked.length, ...others);
    return inputs;
  }

  refuse(call: string, code: ConstructorParameters<typeof MiniTorrentError>[0]): void {
    this.answers.set(call, () => {
      throw new MiniTorrentError(code, `The tracker says ${code}.`);
    });
  }

  /** From now on that call is answered when the returned function is called. */
  hold(call: string): () => void {
    const before = this.answers.get(call);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.answers.set(call, async (input) => {
      await promise;
      return await before?.(input);
    });
    return resolve;
  }

  #metainfo(key: string): { info: string } {
    const metainfo = this.files.get(key);
    if (metainfo === undefined) throw new MiniTorrentError("UNKNOWN_FILE", `There is no ${key}.`);
    return { info: Buffer.from(metainfo.info).toString("base64") };
  }
}

/** A torrent whose pieces come when a test says so. */
export class FakeTorrent implements RunningTorrent {
  readonly parts: Parameters<Swarms["add"]>[0];
  wanted: Bitfield;
  readonly torrent: RunningTorrent["torrent"] & {
    uploadBytesPerSecond: number;
    isStarved: boolean;
    have: Bitfield;
    holderList: PieceHolder[];
    changes: Partial<TorrentStatus>;
    banned: Map<string, number>;
    /** By piece. */
    copies: number[];
    coming: Set<number>;
  };
  readonly connections = {
    connectedCount: 0,
    knowsSample: false,
    contactList: [] as Contact[],
    named: [] as (readonly PeerAddress[])[],
    contacts(): Contact[] {
      return this.contactList;
    },
    peersOnline(addresses: readonly PeerAddress[]): void {
      this.named.push(addresses);
    },
  };
  readonly #sources = new Map<string, SourceSnapshot>();
  readonly #pieces: OwnPieces;
  readonly #reads: ReadAhead;
  /** The pieces that readers wait for, the soonest first. */
  deadlines: number[] = [];

  constructor(parts: Parameters<Swarms["add"]>[0]) {
    this.parts = parts;
    const pieces = new OwnPieces({
      ...{ geometry: parts.metainfo.geometry, have: parts.have.clone(), wanted: parts.wanted },
    });
    this.#pieces = pieces;
    this.#reads = new ReadAhead({
      ...{ geometry: parts.metainfo.geometry, pieces, nowMs: () => performance.now() },
      onDeadlines: (deadlines) => {
        this.deadlines = [...deadlines.keys()];
      },
      onReading: () => undefined,
    });
    const sources = this.#sources;
    const { geometry } = parts.metainfo;
    this.wanted = parts.wanted ?? Bitfield.full(geometry.pieceCount);
    const wanted = () => this.wanted;
    this.torrent = {
      have: parts.have.clone(),
      uploadBytesPerSecond: 0,
      isStarved: false,
      holderList: [],
      changes: {},
      banned: new Map(),
      copies: [],
      coming: new Set(),
      copiesOf(pieceIndex) {
        return this.copies[pieceIndex] ?? 0;
      },
      isComing(pieceIndex) {
        return this.coming.has(pieceIndex);
      },
      holders() {
        return this.holderList;
      },
      bannedFor(userId) {
        return this.banned.get(userId);
      },
      readAhead: (options) => this.#reads.open(options),
      status(): TorrentStatus {
        let piecesVerified = 0;
        let bytesVerified = 0;
        for (let i = 0; i < geometry.pieceCount; i++) {
          if (!this.have.has(i) || !wanted().has(i)) continue;
          piecesVerified++;
          bytesVerified += geometry.neededLengthOfPieceBytes(i);
        }
        return {
          ...{ piecesVerified, pieceCount: geometry.pieceCount, bytesVerified },
          ...{ piecesWanted: wanted().count, bytesWanted: geometry.contentBytesOf(wanted()) },
          ...{ downloadBytesPerSecond: 0, uploadBytesPerSecond: 0, downloadedBytes: 0, uploadedBytes: 0 },
          ...{
            wastedBytes: 0,
            duplicateBytes: 0,
            waitingFor: undefined,
            peers: [],
            sources: [...sources.values()],
          },
          ...this.changes,
        };
      },
    };
  }

  /** Those pieces come from that user, and are verified and written. */
  async receive(bytes: Uint8Array, pieces: readonly number[] | "all", userId = "alice"): Promise<void> {
    const { storage, metainfo, onEvent } = this.parts;
    const { geometry } = metainfo;
    for (const pieceIndex of pieces === "all" ? Array(geometry.pieceCount).keys() : pieces) {
      if (this.torrent.have.has(pieceIndex)) continue;
      if (pieces === "all" && !this.wanted.has(pieceIndex)) continue;
      const place = storage.reserve(pieceIndex);
      assert.ok(place, `no memory for piece ${pieceIndex}`);
      const offsetBytes = geometry.pieceOffsetBytes(pieceIndex);
      place.set(bytes.subarray(offsetBytes, offsetBytes + place.length));
      const outcome = await new Promise<CommitOutcome>((resolve) => storage.commit(pieceIndex, resolve));
      assert.equal(outcome, "verified");
      this.torrent.have.set(pieceIndex);
      this.#pieces.verified(pieceIndex);
      this.#reads.pieceVerified();
      const { pieces: had = 0, bytes: gave = 0 } = this.#sources.get(userId) ?? {};
      this.#sources.set(userId, {
        ...{ userId, isConnected: true, isBanned: false, stall: undefined, bytesPerSecond: 1_000 },
        ...{ pieces: had + 1, bytes: gave + place.length },
      });
      onEvent({ type: "piece-verified", pieceIndex, userIds: [userId] });
    }
    if (this.#hasAllWanted) onEvent({ type: "all-verified" });
  }

  close(): void {
    this.#reads.close();
  }

  want(wanted: Bitfield): void {
    const isSame = Buffer.compare(wanted.toBytes(), this.wanted.toBytes()) === 0;
    this.wanted = wanted;
    if (isSame) return;
    if (this.#hasAllWanted) this.parts.onEvent({ type: "all-verified" });
  }

  get #hasAllWanted(): boolean {
    return Array(this.wanted.pieceCount)
      .keys()
      .every((i) => this.torrent.have.has(i) || !this.wanted.has(i));
  }

  leave(userId: string, farewell: Farewell): void {
    this.parts.onEvent({ type: "peer-left", userId, farewell });
  }
}

class FakeSwarms implements Swarms {
  readonly #running = new Map<string, FakeTorrent>();
  /** `film: paused (told paused)`, in the order in which torrents ended. */
  readonly left: string[] = [];
  addedCount = 0;

  add(parts: Parameters<Swarms["add"]>[0]): FakeTorrent {
    const { infoHash, fileName } = parts.metainfo;
    if (this.#running.has(infoHash))
      throw new MiniTorrentError("INTERNAL", `The torrent of ${fileName} runs already.`);
    const torrent = new FakeTorrent(parts);
    this.#running.set(infoHash, torrent);
    this.addedCount++;
    return torrent;
  }

  get(infoHash: string): FakeTorrent | undefined {
    return this.#running.get(infoHash);
  }

  remove(infoHash: string, reason: string, farewell?: Farewell): void {
    const torrent = this.#running.get(infoHash);
    if (torrent === undefined) return;
    this.#running.delete(infoHash);
    torrent.close();
    const told = farewell === undefined ? "" : ` (told ${farewell.reason})`;
    this.left.push(`${torrent.parts.metainfo.fileName}: ${reason}${told}`);
  }

  want(infoHash: string, wanted: Bitfield): void {
    this.#running.get(infoHash)?.want(wanted);
  }

  /** The torrent that runs. */
  of({ infoHash, fileName }: Metainfo): FakeTorrent {
    return this.#running.get(infoHash) ?? assert.fail(`the torrent of ${fileName} does not run`);
  }

  get runningNames(): string[] {
    return [...this.#running.values()].map(({ parts }) => parts.metainfo.fileName);
  }
}

/** Which torrents the tracker knows of here. */
class FakeAnnouncer {
  readonly announced = new Map<string, "seed" | "downloader">();
  /** What the tracker answers to an announcement; undefined: nothing. */
  peers: readonly PeerAddress[] | undefined = [];

  async add({ infoHash, isSeed }: AnnouncedTorrent): Promise<readonly PeerAddress[] | undefined> {
    this.announced.set(infoHash, isSeed ? "seed" : "downloader");
    return this.peers;
  }

  told(infoHash: string): void {
    this.announced.set(infoHash, "seed");
  }

  async remove(infoHash: string): Promise<void> {
    this.announced.delete(infoHash);
  }
}

class FakeMemberships {
  /** Group → its CA; of any other group the user is no member. */
  readonly authorities = new Map([
    [GROUP, AUTHORITY],
    ["books", "-- the CA of books --"],
  ]);
  failure: MiniTorrentError | undefined;
  /** `obtain` waits for it. */
  gate: Promise<void> | undefined;
  obtainedCount = 0;

  async obtain(groupId: string): Promise<GroupCredentials> {
    this.obtainedCount++;
    await this.gate;
    if (this.failure !== undefined) throw this.failure;
    const credentials = this.credentials(groupId);
    if (credentials !== undefined) return credentials;
    throw new MiniTorrentError("NOT_A_MEMBER", `You are no member of ${groupId}.`);
  }

  credentials(groupId: string): GroupCredentials | undefined {
    const authorityPem = this.authorities.get(groupId);
    if (authorityPem === undefined) return undefined;
    return {
      ...{ certificatePem: "", privateKeyPem: "", namesKey: "", isRevoked: () => false },
      authorityPem: `${authorityPem}\n`,
    };
  }
}

export interface Film {
  readonly bytes: Uint8Array;
  readonly metainfo: FileMetainfo;
}

export interface FilmOptions {
  readonly lengthBytes?: number;
  readonly seed?: number;
  readonly groupId?: string;
  readonly pieceBytes?: number;
  /** Of the whole file; a right one otherwise. */
  readonly sha1?: string;
  readonly authorityPem?: string;
  /** Its bytes; made up otherwise. */
  readonly content?: Uint8Array;
}

/** Writes other bytes to a file, whose size and time of its last write look as they did, to the last bit. */
export async function spoil(path: string, atBytes = 0): Promise<void> {
  const reference = `${path}-time`;
  execFileSync("touch", ["-r", path, reference]);
  const file = await files.open(path, "r+");
  await file.write(Buffer.from("spoilt"), 0, 6, atBytes);
  await file.close();
  execFileSync("touch", ["-r", reference, path]);
  await rm(reference);
}

function sha1Of(bytes: Uint8Array): Buffer {
  return createHash("sha1").update(bytes).digest();
}

export function filmOf(fileName: string, options: FilmOptions = {}): Film {
  const { seed = 1, pieceBytes = PIECE_BYTES } = options;
  const { lengthBytes = options.content?.length ?? 3 * PIECE_BYTES + 100 } = options;
  const bytes = options.content ?? content(lengthBytes, seed);
  const hashes: Buffer[] = [];
  for (let at = 0; at < lengthBytes; at += pieceBytes)
    hashes.push(sha1Of(bytes.subarray(at, at + pieceBytes)));
  const metainfo = encodeMetainfo({
    ...{ fileName, lengthBytes, pieceLengthBytes: pieceBytes, pieceHashes: Buffer.concat(hashes) },
    sha1: options.sha1 ?? sha1Of(bytes).toString("hex"),
    authorityPem: options.authorityPem ?? AUTHORITY,
  });
  return { bytes, metainfo };
}

export interface Folder {
  /** Of the torrent, with padding. */
  readonly bytes: Uint8Array;
  readonly metainfo: FolderMetainfo;
}

/**
 * A folder that somebody shares.
 *
 * @param files path → content, or how many bytes of made-up content
 */
export async function folderOf(
  fileName: string,
  files: Readonly<Record<string, string | number | Uint8Array>>,
  pieceBytes = PIECE_BYTES,
): Promise<Folder> {
  const paths = Object.keys(files).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const contents = paths.map((path, index) => {
    const file = files[path] ?? "";
    return typeof file === "number" ? content(file, index + 1) : Buffer.from(file);
  });
  const builder = new FileLayoutBuilder();
  for (const [index, path] of paths.entries()) {
    const of = contents[index] ?? new Uint8Array();
    builder.add({ path, lengthBytes: of.length, sha1: sha1Of(of), isExecutable: false });
  }
  const layout = builder.finish(pieceBytes);
  const bytes = new Uint8Array(layout.lengthBytes);
  for (const [index, of] of contents.entries()) bytes.set(of, layout.offsetOf(index));
  const hashes: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes)
    hashes.push(sha1Of(bytes.subarray(at, at + pieceBytes)));
  const parts = { fileName, layout, pieceHashes: Buffer.concat(hashes), authorityPem: AUTHORITY };
  return { bytes, metainfo: await encodeFolderMetainfo(parts, async () => undefined) };
}

/** A client's downloads and shares. Everything of it is closed and removed when the test ends. */
export class Scene {
  readonly clock: FakeClock;
  readonly folder: string;
  readonly profile: Profile;
  readonly tracker = new FakeTracker();
  readonly swarms = new FakeSwarms();
  readonly announcer = new FakeAnnouncer();
  readonly memberships = new FakeMemberships();
  readonly events: ClientEvent[] = [];
  readonly logged: { readonly level: number; readonly msg: string }[] = [];
  readonly storage = storage;
  readonly context: ClientContext;
  readonly shares: Shares;
  readonly downloads: Downloads;
  readonly formerVersions: FormerVersions;
  clockWarning: string | undefined;

  private constructor(t: TestContext, folder: string) {
    this.folder = folder;
    this.clock = FakeClock.of(t);
    this.clock.sceneCount++;
    const log = pino(
      { level: "debug" },
      { write: (line: string) => void this.logged.push(JSON.parse(line)) },
    );
    this.profile = Profile.open(join(folder, "profiles"), { userId: "bob", accountId: "1" }, log);
    this.context = {
      session: this.swarms,
      memberships: this.memberships,
      announcer: this.announcer,
      storage,
      log,
      profile: () => this.profile,
      onEvent: (event) => void this.events.push(event),
      tracker: () => ({ address: this.tracker.address, problem: this.tracker.problem }),
      clockWarning: () => this.clockWarning,
      ask: this.tracker.ask,
    };
    this.shares = new Shares(this.context);
    this.formerVersions = new FormerVersions(this.context);
    this.downloads = new Downloads(this.context, this.shares, this.formerVersions);
  }

  static async open(t: TestContext): Promise<Scene> {
    const scene = new Scene(t, await mkdtemp(join(tmpdir(), "minitorrent-client-")));
    t.after(() => scene.#close());
    return scene;
  }

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  /** A file that somebody shares in the group. */
  film(fileName = "film", options: FilmOptions = {}): Film {
    const film = filmOf(fileName, options);
    this.tracker.files.set(`${options.groupId ?? GROUP}/${fileName}`, film.metainfo);
    return film;
  }

  /** A folder that somebody shares in the group. */
  async sharedFolder(
    fileName: string,
    files: Readonly<Record<string, string | number | Uint8Array>>,
    pieceBytes = PIECE_BYTES,
  ): Promise<Folder> {
    const folder = await folderOf(fileName, files, pieceBytes);
    this.tracker.files.set(`${GROUP}/${fileName}`, folder.metainfo);
    return folder;
  }

  /** A file on this machine. */
  async file(name: string, bytes: Uint8Array): Promise<string> {
    await writeFile(this.path(name), bytes);
    return this.path(name);
  }

  /** Begins a download of the file to the folder of the test. */
  async start(fileName = "film", destination = this.path(fileName), groupId = GROUP): Promise<void> {
    await this.downloads.start({ groupId, fileName }, destination);
  }

  eventsOf<K extends ClientEvent["type"]>(type: K): Extract<ClientEvent, { type: K }>[] {
    return this.events.filter((event): event is Extract<ClientEvent, { type: K }> => event.type === type);
  }

  /** The first event of that kind, once there is one. */
  async event<K extends ClientEvent["type"]>(type: K): Promise<Extract<ClientEvent, { type: K }>> {
    await until(() => this.eventsOf(type).length > 0, `the event ${type}`);
    return this.eventsOf(type)[0] ?? assert.fail();
  }

  /** What ends up in the log as a failure of work that nobody waits for. */
  get failures(): string[] {
    return this.logged.filter(({ level }) => level >= 50).map(({ msg }) => msg);
  }

  async #close(): Promise<void> {
    await this.downloads.suspendAll();
    await this.shares.suspendAll();
    await this.formerVersions.suspendAll();
    const openTimers = --this.clock.sceneCount > 0 ? 0 : this.clock.openTimers;
    this.profile.close();
    await rm(this.folder, { recursive: true, force: true });
    assert.equal(openTimers, 0, "after a logout no timer is left");
  }
}

/** Counts the reads that tell whether a piece is right on the disk. */
export function readsOf(t: TestContext, { parts }: FakeTorrent): { readonly mock: { callCount(): number } } {
  assert.ok(parts.storage instanceof PieceStore);
  return t.mock.method(parts.storage, "isRightOnDisk");
}
