// The version of a share that a download replaces. While the new one is fetched beside it, it stays in its place; then it is moved
// aside, the new one takes its name, and what was changed here is moved to the new one. The profile knows before each step what
// comes, so that after a crash at any moment the rest is done.
import { randomBytes } from "node:crypto";
import { lstat, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { Bitfield } from "../../metainfo/bitfield.ts";
import { decodeMetainfoInSlices, type FolderMetainfo, type Metainfo } from "../../metainfo/metainfo.ts";
import { errnoOf } from "../../net/errno.ts";
import { writeError } from "../../storage/disk-errors.ts";
import type { FileFacts } from "../../storage/file-facts.ts";
import { FolderFacts } from "../../storage/folder-facts.ts";
import { syncFolder } from "../../storage/part-file.ts";
import type { PieceStore } from "../../storage/piece-store.ts";
import { reuseOlder } from "../../storage/reuse.ts";
import type { ClientContext } from "../client-context.ts";
import type { ReplacedVersion } from "../profile.ts";
import { keepLocalChanges } from "./local-changes.ts";

const TOKEN_BYTES = 8;
/** Of the name of the old version once it is aside. It tells a person who finds one what it is. */
const ASIDE_SUFFIX = ".minitorrent-old";

/** A version that is here, and how its files were when it was complete. */
export interface PresentVersion {
  readonly path: string;
  readonly metainfo: Metainfo;
  /** See `FormerVersion`. */
  readonly mtimesMs: Float64Array;
}

export class VersionUpdate {
  readonly #context: ClientContext;
  #version: ReplacedVersion;
  #metainfo: Metainfo | undefined;

  constructor(context: ClientContext, version: ReplacedVersion, metainfo?: Metainfo) {
    this.#context = context;
    this.#version = version;
    this.#metainfo = metainfo;
  }

  /** A download of that share begins that replaces the version that is here. */
  static begin(context: ClientContext, groupId: string, present: PresentVersion): VersionUpdate {
    const { path, metainfo, mtimesMs } = present;
    const token = randomBytes(TOKEN_BYTES).toString("hex");
    const version: ReplacedVersion = {
      ...{ groupId, fileName: metainfo.fileName, path, info: metainfo.info, mtimesMs },
      ...{ stage: "fetching", asidePath: join(dirname(path), `.${token}${ASIDE_SUFFIX}`) },
    };
    context.profile().saveReplaced(version);
    return new VersionUpdate(context, version, metainfo);
  }

  /** Where the old version is, or will be, once the new one has its name. */
  get version(): ReplacedVersion {
    return this.#version;
  }

  /** The new version may have its name already: a crash came before that was noted. */
  async mayBeNamed(): Promise<boolean> {
    const { stage, asidePath } = this.#version;
    return stage === "merging" || (stage === "naming" && (await isThere(asidePath)));
  }

  /**
   * Puts into the store what the old version has of it.
   *
   * @returns how many pieces
   * @throws MiniTorrentError DISK_FULL, DESTINATION_UNUSABLE, DISK_FAILED; the signal's reason when it is aborted
   */
  async reuse(store: PieceStore, signal: AbortSignal): Promise<number> {
    const { disk, memory } = this.#context.storage;
    const { path: placePath, asidePath, mtimesMs } = this.#version;
    const metainfo = await this.#decoded();
    const path = (await isThere(asidePath)) ? asidePath : placePath;
    const older =
      metainfo.kind === "folder"
        ? { path, metainfo, facts: new FolderFacts(mtimesMs), have: piecesThere(metainfo, mtimesMs) }
        : { path, metainfo, facts: factsOfFile(metainfo, mtimesMs) };
    return reuseOlder(store, older, { disk, memory, signal });
  }

  /**
   * fetching -> naming: the name becomes free for the new version.
   *
   * @throws MiniTorrentError DESTINATION_UNUSABLE, DISK_FAILED
   */
  async moveAside(): Promise<void> {
    const { path, asidePath, stage } = this.#version;
    if (stage === "fetching") {
      this.#version = { ...this.#version, stage: "naming" };
      this.#context.profile().beginNaming(this.#version);
    }
    try {
      if ((await isThere(asidePath)) || !(await isThere(path))) return;
      await rename(path, asidePath);
      await syncFolder(dirname(path));
    } catch (error) {
      throw writeError(error, path);
    }
  }

  /**
   * The download is given up: the old version is in its place again, unless the new one has it already.
   *
   * @throws MiniTorrentError DESTINATION_UNUSABLE, DISK_FAILED
   */
  async moveBack(): Promise<void> {
    const { path, asidePath } = this.#version;
    if ((await isThere(path)) || !(await isThere(asidePath))) return;
    try {
      await rename(asidePath, path);
      await syncFolder(dirname(path));
    } catch (error) {
      throw writeError(error, path);
    }
    this.#context.profile().removeFormerVersion(asidePath);
  }

  /**
   * naming -> merging: the new version has its name; what was changed here is moved to it.
   *
   * @returns the paths of the files that were changed or added here, as they are now
   * @throws MiniTorrentError DISK_FULL, DESTINATION_UNUSABLE, DISK_FAILED
   */
  async merge(): Promise<string[]> {
    this.#version = { ...this.#version, stage: "merging" };
    this.#context.profile().noteMerging(this.#version);
    const { path, asidePath, mtimesMs } = this.#version;
    const aside = {
      path: asidePath,
      metainfo: await this.#decoded(),
      mtimeMsOf: (fileIndex: number) => mtimesMs[fileIndex] || undefined,
    };
    return keepLocalChanges(aside, path, this.#context.storage);
  }

  async #decoded(): Promise<Metainfo> {
    this.#metainfo ??= await decodeMetainfoInSlices(this.#version.info, turn);
    return this.#metainfo;
  }
}

/** Pieces of a folder of which every file was there. */
function piecesThere({ layout, geometry }: FolderMetainfo, mtimesMs: Float64Array): Bitfield {
  const pieces = Bitfield.full(geometry.pieceCount);
  for (let index = 0; index < layout.fileCount; index++) {
    if (mtimesMs[index] !== 0 || layout.lengthOf(index) === 0) continue;
    const end = layout.endPieceOf(index);
    for (let piece = layout.firstPieceOf(index); piece < end; piece++) pieces.clear(piece);
  }
  return pieces;
}

function factsOfFile({ geometry }: Metainfo, mtimesMs: Float64Array): FileFacts {
  return { lengthBytes: geometry.lengthBytes, mtimeMs: mtimesMs[0] ?? 0 };
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw writeError(error, path);
  }
}
