// One content that is served to peers from where it lies, a file or a folder: its store, its torrent, and whether it is still as
// it was shared. Of a folder the files that are as they were go on being served, whatever became of the others.
import { stat } from "node:fs/promises";
import { MiniTorrentError } from "../api/errors.ts";
import type { FolderMetainfo, Metainfo } from "../metainfo/metainfo.ts";
import { runInBackground } from "../net/run-in-background.ts";
import { readError } from "../storage/disk-errors.ts";
import { type FileFacts, factsOf, isSameFacts } from "../storage/file-facts.ts";
import { changedFiles } from "../storage/folder-changes.ts";
import { FolderFacts } from "../storage/folder-facts.ts";
import { PieceStore } from "../storage/piece-store.ts";
import type { TorrentEvent } from "../swarm/torrent-status.ts";
import type { Farewell } from "../wire/farewell.ts";
import type { ClientContext } from "./client-context.ts";

/** Files of a folder that one look compares: some 10 ms of work for the threads that look. */
const FILES_PER_LOOK = 500;

/** What is served, and where it lies. */
export interface ServedContent {
  readonly groupId: string;
  readonly metainfo: Metainfo;
  readonly path: string;
  /** How the file was, or the length of the folder. */
  readonly facts: FileFacts;
  /** How each file of the folder was; 0 for one that is not part of what is served. */
  readonly folderTimesMs?: Float64Array | undefined;
}

type ServingContext = Pick<ClientContext, "announcer" | "log" | "session" | "storage">;

export class Serving {
  readonly content: ServedContent;
  readonly #context: ServingContext;
  readonly #onEvent: (event: TorrentEvent) => void;
  #store: PieceStore;
  /** Files of the folder that are not as they were. */
  #changed: ReadonlySet<number>;
  /** The file that the next look begins with. */
  #nextFile = 0;
  #isOver = false;

  private constructor(
    context: ServingContext,
    content: ServedContent,
    onEvent: (event: TorrentEvent) => void,
    store: PieceStore,
  ) {
    this.#context = context;
    this.content = content;
    this.#onEvent = onEvent;
    this.#store = store;
    this.#changed = changedIn(content, store);
  }

  /**
   * Opens the content, and joins its swarm.
   *
   * @param check called before it joins; what it throws ends the attempt
   * @throws MiniTorrentError FILE_NOT_FOUND, NOT_A_FILE, DISK_FAILED; FILE_CHANGED if nothing is as it was
   */
  static async begin(
    context: ServingContext,
    content: ServedContent,
    onEvent: (event: TorrentEvent) => void,
    check: () => void = () => undefined,
  ): Promise<Serving> {
    const store = await openStore(context, content);
    try {
      check();
      const serving = new Serving(context, content, onEvent, store);
      serving.#join();
      return serving;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** The torrent runs already, and its events go elsewhere until it is opened again. */
  static adopted(
    context: ServingContext,
    content: ServedContent,
    onEvent: (event: TorrentEvent) => void,
    store: PieceStore,
  ): Serving {
    return new Serving(context, content, onEvent, store);
  }

  get store(): PieceStore {
    return this.#store;
  }

  get infoHash(): string {
    return this.content.metainfo.infoHash;
  }

  /** All of the content can be served. */
  get isComplete(): boolean {
    return this.#store.have.isComplete;
  }

  /** Files of a folder that are not as they were shared. */
  get changedCount(): number {
    return this.#changed.size;
  }

  /** The first of them, relative to the folder. */
  changedPaths(most: number): string[] {
    const { metainfo } = this.content;
    if (metainfo.kind === "file") return [];
    return [...this.#changed.values().take(most)].map((fileIndex) => metainfo.layout.pathOf(fileIndex));
  }

  /** Tells the tracker whether it is served here, and whether all of it is. */
  announce(): void {
    const { announcer, session, log } = this.#context;
    const { infoHash } = this;
    const told =
      session.get(infoHash) === undefined
        ? announcer.remove(infoHash)
        : announcer.add({ infoHash, isSeed: this.isComplete });
    runInBackground(log, "telling the tracker", told);
  }

  /** Why it is not as it was shared; undefined while it is. Of a folder, whether it is there at all. */
  whyNotAsShared(): Promise<MiniTorrentError | undefined> {
    return whyNotAsShared(this.content);
  }

  /**
   * Compares the next files of the folder, and some of those that had changed, with how they were.
   *
   * @returns whether one that is served has changed, or one that had changed is back
   */
  async lookInside(): Promise<boolean> {
    const { metainfo, folderTimesMs } = this.content;
    if (metainfo.kind === "file" || folderTimesMs === undefined) return false;
    const { fileCount } = metainfo.layout;
    const files = new Set(this.#changed.values().take(FILES_PER_LOOK));
    for (let looked = 0; looked < Math.min(FILES_PER_LOOK, fileCount); looked++) {
      files.add(this.#nextFile);
      this.#nextFile = (this.#nextFile + 1) % fileCount;
    }
    return this.#haveOthersChanged(metainfo, files, folderTimesMs);
  }

  /** The same for the files in that piece. */
  async lookAtPiece(pieceIndex: number): Promise<boolean> {
    const { metainfo, folderTimesMs } = this.content;
    if (metainfo.kind === "file" || folderTimesMs === undefined) return false;
    return this.#haveOthersChanged(metainfo, new Set(metainfo.layout.filesIn(pieceIndex)), folderTimesMs);
  }

  /**
   * Opens the folder again, and serves what of it is as it was: connected peers are disconnected, and learn the rest when they
   * connect again.
   *
   * @throws MiniTorrentError as `begin`; it is served as before then
   */
  async again(): Promise<void> {
    const store = await openStore(this.#context, this.content);
    if (this.#isOver) {
      await store.close();
      return;
    }
    const before = this.#store;
    this.#store = store;
    this.#changed = changedIn(this.content, store);
    this.#context.session.remove(this.infoHash, "some of its files changed, or are back");
    this.#join();
    this.announce();
    await before.close();
  }

  /** @param farewell what connected peers are told */
  async end(reason: string, farewell?: Farewell): Promise<void> {
    this.#isOver = true;
    this.#context.session.remove(this.infoHash, reason, farewell);
    this.announce();
    await this.#store.close();
  }

  #join(): void {
    const { groupId, metainfo } = this.content;
    const have = this.#store.have;
    this.#context.session.add({
      groupId,
      metainfo,
      have,
      // Nothing more of it is to come from others.
      ...(have.isComplete ? {} : { wanted: have }),
      storage: this.#store,
      onEvent: this.#onEvent,
    });
  }

  async #haveOthersChanged(
    metainfo: FolderMetainfo,
    files: ReadonlySet<number>,
    timesMs: Float64Array,
  ): Promise<boolean> {
    const { disk } = this.#context.storage;
    const { layout } = metainfo;
    const state = { layout, facts: new FolderFacts(timesMs) };
    let found: ReadonlySet<number>;
    try {
      const inOrder = [...files].sort((a, b) => a - b);
      found = new Set(await changedFiles(disk, this.content.path, state, { files: inOrder }));
    } catch (error) {
      // It may pass; if it does not, reading the files fails, too.
      this.#context.log.info(
        { err: error, path: this.content.path },
        "a shared folder cannot be looked at now",
      );
      return false;
    }
    // Empty files and links are in no piece.
    return [...files].some((i) => layout.lengthOf(i) > 0 && found.has(i) !== this.#changed.has(i));
  }
}

/**
 * Why a file is no longer as it was shared; undefined while it is. Of a folder, whether it is there at all: its files are looked
 * at one by one.
 */
export async function whyNotAsShared({
  metainfo,
  path,
  facts,
}: Pick<ServedContent, "metainfo" | "path" | "facts">): Promise<MiniTorrentError | undefined> {
  try {
    const stats = await stat(path);
    if (
      metainfo.kind === "folder" ? stats.isDirectory() : stats.isFile() && isSameFacts(factsOf(stats), facts)
    )
      return undefined;
    return changed(path);
  } catch (error) {
    return readError(error, path);
  }
}

async function openStore({ storage }: ServingContext, content: ServedContent): Promise<PieceStore> {
  const { metainfo, path, facts, folderTimesMs } = content;
  if (metainfo.kind === "file") {
    return await PieceStore.openForSeeding({ metainfo, path, expected: facts, ...storage });
  }
  const timesMs = folderTimesMs ?? new Float64Array(metainfo.layout.fileCount);
  const expected = new FolderFacts(timesMs.slice());
  const store = await PieceStore.openForSeeding({ metainfo, path, expected, ...storage });
  if (store.have.count > 0 || metainfo.geometry.pieceCount === 0) return store;
  await store.close();
  throw changed(path);
}

/** Files whose time or length is another than when they were shared, or that are gone. */
function changedIn({ metainfo, folderTimesMs }: ServedContent, store: PieceStore): ReadonlySet<number> {
  const found = store.folderFacts?.mtimesMs;
  const files = new Set<number>();
  if (metainfo.kind === "file" || found === undefined) return files;
  for (const [fileIndex, timeMs] of folderTimesMs?.entries() ?? []) {
    if (timeMs === 0 || metainfo.layout.lengthOf(fileIndex) === 0) continue;
    if (found[fileIndex] !== timeMs) files.add(fileIndex);
  }
  return files;
}

function changed(path: string): MiniTorrentError {
  return new MiniTorrentError("FILE_CHANGED", `${path} changed since it was shared.`);
}
