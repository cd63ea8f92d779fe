// Versions of shares that were replaced here. Each is served from where it was moved aside to while somebody is in the middle of it,
// and removed some time after the last one has left.
import { rm } from "node:fs/promises";
import { setImmediate as turn } from "node:timers/promises";
import { Bitfield } from "../../metainfo/bitfield.ts";
import { decodeMetainfoInSlices, type Metainfo } from "../../metainfo/metainfo.ts";
import { runInBackground } from "../../net/run-in-background.ts";
import { later } from "../../net/timers.ts";
import { FolderFacts } from "../../storage/folder-facts.ts";
import { removeRest, restPathOf } from "../../storage/part-folder.ts";
import { PieceStore } from "../../storage/piece-store.ts";
import type { ClientContext } from "../client-context.ts";
import type { FormerVersion } from "../profile.ts";
import { partIdOf } from "./download-opening.ts";
import { keepLocalChanges } from "./local-changes.ts";

const LOOK_MS = 30_000;
/** A member in the middle of it who lost the connection finds it again within this time. */
const QUIET_MS = 10 * 60_000;
/** After a login it is not kept longer than this, whoever asks for it: it takes room that its user does not know of. */
const LONGEST_MS = 7 * 24 * 60 * 60_000;

interface Former {
  readonly stored: FormerVersion;
  readonly metainfo: Metainfo;
  readonly store: PieceStore | undefined;
  readonly sinceMs: number;
  neededAtMs: number;
}

export class FormerVersions {
  readonly #context: ClientContext;
  readonly #formers = new Map<string, Former>();
  readonly #beingServed = new Set<string>();
  /** Counts logins: work begun in one is not continued in the next. */
  #logins = 0;
  #looking: NodeJS.Timeout | undefined;

  constructor(context: ClientContext) {
    this.#context = context;
  }

  get count(): number {
    return this.#formers.size;
  }

  /** After a login: all that are left are served again. One whose successor has not taken its place yet is that download's. */
  async resumeAll(): Promise<void> {
    const { profile } = this.#context;
    const login = this.#logins;
    for (const stored of profile().formerVersions()) {
      if (login !== this.#logins) return;
      if (profile().replacedBy(stored)?.asidePath !== stored.asidePath) await this.serve(stored);
    }
  }

  /** Serves a version that was moved aside; one that cannot be served is removed soon. */
  async serve(stored: FormerVersion): Promise<void> {
    const { asidePath } = stored;
    if (this.#formers.has(asidePath) || this.#beingServed.has(asidePath)) return;
    this.#beingServed.add(asidePath);
    try {
      await this.#serveNow(stored, this.#logins);
    } finally {
      this.#beingServed.delete(asidePath);
    }
  }

  async #serveNow(stored: FormerVersion, login: number): Promise<void> {
    const { log, profile, session } = this.#context;
    const { asidePath, groupId } = stored;
    let metainfo: Metainfo;
    try {
      metainfo = await decodeMetainfoInSlices(stored.info, turn);
    } catch (error) {
      log.warn({ err: error, path: asidePath }, "a former version cannot be read; it was forgotten");
      if (login === this.#logins) profile().removeFormerVersion(asidePath);
      return;
    }
    const opened = await this.#open(stored, metainfo).catch((error: unknown) => {
      log.info({ err: error, path: asidePath }, "a former version is not served");
      return undefined;
    });
    // Logged out meanwhile: the next login serves it.
    if (login !== this.#logins) {
      await opened?.close();
      return;
    }
    // It may have been shared again.
    const store = session.get(metainfo.infoHash) === undefined ? opened : undefined;
    if (store !== undefined) this.#join(groupId, metainfo, store);
    const nowMs = performance.now();
    this.#formers.set(asidePath, { stored, metainfo, store, sinceMs: nowMs, neededAtMs: nowMs });
    this.#lookLater();
    if (store === undefined) await opened?.close();
  }

  async #open(
    { groupId, asidePath: path, mtimesMs }: FormerVersion,
    metainfo: Metainfo,
  ): Promise<PieceStore> {
    const { storage, memberships } = this.#context;
    await memberships.obtain(groupId);
    const expected =
      metainfo.kind === "folder"
        ? new FolderFacts(mtimesMs)
        : { lengthBytes: metainfo.geometry.lengthBytes, mtimeMs: mtimesMs[0] ?? 0 };
    return await PieceStore.openForSeeding({ metainfo, path, expected, ...storage });
  }

  #join(groupId: string, metainfo: Metainfo, store: PieceStore): void {
    const { session, announcer, log } = this.#context;
    const { have } = store;
    const onEvent = (): void => undefined;
    session.add({ groupId, metainfo, have, wanted: new Bitfield(have.pieceCount), storage: store, onEvent });
    const announced = announcer.add({ infoHash: metainfo.infoHash, isSeed: have.isComplete });
    runInBackground(log, "telling the tracker", announced);
  }

  /** The user is no longer in that group. */
  async groupEnded(groupId: string): Promise<void> {
    for (const former of this.#formers.values()) {
      if (former.stored.groupId === groupId) await this.#remove(former);
    }
  }

  async suspendAll(): Promise<void> {
    this.#logins++;
    clearTimeout(this.#looking);
    this.#looking = undefined;
    const formers = [...this.#formers.values()];
    this.#formers.clear();
    await Promise.all(formers.map((former) => this.#withdraw(former)));
  }

  #lookLater(): void {
    this.#looking ??= later("looking at former versions", LOOK_MS, async () => {
      this.#looking = undefined;
      await this.#look();
      if (this.#formers.size > 0) this.#lookLater();
    });
  }

  async #look(): Promise<void> {
    const nowMs = performance.now();
    for (const former of [...this.#formers.values()]) {
      if (this.#formers.get(former.stored.asidePath) !== former) continue;
      const torrent = this.#context.session.get(former.metainfo.infoHash)?.torrent;
      if (torrent?.status().peers.some(({ needsNothing }) => !needsNothing)) former.neededAtMs = nowMs;
      const isOver = nowMs - former.neededAtMs >= QUIET_MS || nowMs - former.sinceMs >= LONGEST_MS;
      if (isOver) await this.#remove(former);
    }
  }

  /** What was written to it meanwhile is kept beside its place. */
  async #remove(former: Former): Promise<void> {
    const { stored, metainfo } = former;
    const { path, asidePath, mtimesMs } = stored;
    const { log, profile, storage } = this.#context;
    this.#formers.delete(asidePath);
    try {
      await this.#withdraw(former);
      const mtimeMsOf = (fileIndex: number) => mtimesMs[fileIndex] || undefined;
      await keepLocalChanges({ path: asidePath, metainfo, mtimeMsOf }, path, storage);
      const folderId = await partIdOf(asidePath);
      if (folderId !== undefined) await removeRest(restPathOf(asidePath, stored.fileName, folderId));
      await rm(asidePath, { recursive: true, force: true });
      profile().removeFormerVersion(asidePath);
    } catch (error) {
      log.warn(
        { err: error, path: asidePath },
        "a former version was not removed; the next login tries again",
      );
    }
  }

  async #withdraw({ metainfo, store }: Former): Promise<void> {
    if (store === undefined) return;
    const { session, announcer, log } = this.#context;
    session.remove(metainfo.infoHash, "a newer version is shared", { reason: "changed" });
    runInBackground(log, "telling the tracker", announcer.remove(metainfo.infoHash));
    await store.close();
  }
}
