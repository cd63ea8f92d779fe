// Files and folders that arrive over the local API, as from a browser. They are written to a private folder beside their destination,
// `.TOKEN.minitorrent-upload`, and get their name when they are whole: nobody sees a half one, and nothing is ever written over. What is
// given up, or left by a crash, is removed with that folder.
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Logger } from "pino";
import { formatBytes } from "../api/byte-units.ts";
import { MiniTorrentError } from "../api/errors.ts";
import { MAX_FOLDER_FILES } from "../api/file-limits.ts";
import { checkFileName, pathProblem } from "../metainfo/file-name.ts";
import { freeBytes } from "../net/free-space.ts";
import { runInBackground } from "../net/run-in-background.ts";
import { every } from "../net/timers.ts";
import { noRoom, writeError } from "../storage/disk-errors.ts";
import { OpenFolder } from "../storage/open-folder.ts";
import { movePart } from "../storage/part-file.ts";
import { folderAt, renameWithoutReplacing } from "../storage/part-folder.ts";
import type { DaemonStore, UploadFolder } from "./daemon-store.ts";
import { HttpRefusal } from "./http-refusal.ts";

/** Uploads at a time. */
const MOST_UPLOADS = 16;
/** Files that are written to at a time: each is open. */
const MOST_WRITES = 32;
/** An upload for which nothing came so long is removed. */
const IDLE_MS = 60 * 60_000;
const IDLE_CHECK_MS = 60_000;
const TOKEN_BYTES = 16;
const FOLDER_SUFFIX = ".minitorrent-upload";
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0);
const CONTINUE = constants.O_WRONLY | (constants.O_NOFOLLOW ?? 0);

export interface UploadRequest {
  readonly groupId: string;
  readonly name: string;
  readonly kind: "file" | "folder";
  /** Absolute: the folder that it goes to; undefined: the daemon's own. */
  readonly destinationPath?: string | undefined;
  readonly lengthBytes: number;
  /** No file in it may be hidden. */
  readonly isConfined: boolean;
}

export interface UploadsOptions {
  readonly store: Pick<DaemonStore, "addUploadFolder" | "removeUploadFolder" | "uploadFolders">;
  /** Where uploads go if nothing else is said; it is made when it is used. */
  readonly folder: string;
  /** Milliseconds on a clock that never goes back. */
  readonly nowMs: () => number;
  readonly log: Logger;
  /** Of the disk of a folder; that of the system if it is left out. */
  readonly freeBytes?: (folder: string) => Promise<number>;
}

interface UploadedFile {
  lengthBytes: number;
  isBeingWritten: boolean;
}

interface Upload {
  readonly request: UploadRequest;
  readonly uploadId: string;
  /** The path that it gets. */
  readonly path: string;
  readonly stagePath: string;
  readonly stageId: string;
  /** By path in the folder; of a single file "". */
  readonly files: Map<string, UploadedFile>;
  receivedBytes: number;
  writes: number;
  usedMs: number;
  /** `named`: it has its path, and is to be shared. */
  state: "receiving" | "naming" | "named";
}

export class Uploads {
  readonly #options: UploadsOptions;
  readonly #uploads = new Map<string, Upload>();
  /** Uploads that are about to begin. */
  #beginning = 0;
  #writes = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #cleaned: Promise<void>;

  /** Begins to remove what earlier processes left. */
  constructor(options: UploadsOptions) {
    this.#options = options;
    this.#cleaned = this.#removeAll(options.store.uploadFolders());
  }

  /**
   * @throws MiniTorrentError INVALID_ARGUMENT (the name), FILE_EXISTS, DISK_FULL, DESTINATION_UNUSABLE, DISK_FAILED, LIMIT_REACHED
   */
  async begin(request: UploadRequest): Promise<{ uploadId: string; path: string }> {
    const { name, lengthBytes, destinationPath } = request;
    checkFileName(name);
    if (this.#uploads.size + this.#beginning >= MOST_UPLOADS) {
      throw new HttpRefusal(
        429,
        "LIMIT_REACHED",
        `${MOST_UPLOADS} uploads are under way, the most at a time: wait for one, or cancel one.`,
      );
    }
    this.#beginning++;
    try {
      const folder = resolve(destinationPath ?? this.#options.folder);
      const path = join(folder, name);
      await this.#prepare(folder, path, lengthBytes, destinationPath === undefined);
      const uploadId = randomBytes(TOKEN_BYTES).toString("hex");
      const stagePath = join(folder, `.${uploadId}${FOLDER_SUFFIX}`);
      const stageId = await this.#makeStage(stagePath);
      this.#uploads.set(uploadId, {
        ...{ request, uploadId, path, stagePath, stageId, files: new Map() },
        ...{ receivedBytes: 0, writes: 0, usedMs: this.#options.nowMs(), state: "receiving" },
      });
      this.#timer ??= every("idle uploads", IDLE_CHECK_MS, () => this.#removeIdle());
      return { uploadId, path };
    } finally {
      this.#beginning--;
    }
  }

  /**
   * Writes what comes, at the pace of the disk. What has come when the connection breaks stays, and is continued from there.
   *
   * @param inside path in the folder; empty for a single file
   * @param offsetBytes where in the file: at most what is there
   * @returns how much of the file is there now
   * @throws MiniTorrentError UNKNOWN_UPLOAD, INVALID_ARGUMENT, PATH_REFUSED, LIMIT_REACHED, DISK_FULL, DISK_FAILED
   */
  async receive(
    uploadId: string,
    inside: string,
    offsetBytes: number,
    body: AsyncIterable<Uint8Array>,
  ): Promise<{ receivedBytes: number }> {
    const upload = this.#receiving(uploadId);
    checkInside(upload.request, inside);
    const known = upload.files.get(inside);
    if (known?.isBeingWritten === true) {
      // Also by a connection that has broken, until that is noticed.
      throw new HttpRefusal(
        429,
        "LIMIT_REACHED",
        `${inside || upload.request.name} is being written: wait a moment, then ask how much has come.`,
      );
    }
    const there = known?.lengthBytes ?? 0;
    if (offsetBytes > there) {
      throw new HttpRefusal(
        409,
        "INVALID_ARGUMENT",
        `offset: ${there} bytes of ${inside || upload.request.name} are here; continue there.`,
      );
    }
    if (known === undefined && upload.files.size >= MAX_FOLDER_FILES)
      throw new MiniTorrentError("LIMIT_REACHED", `A folder has at most ${MAX_FOLDER_FILES} files.`);
    if (this.#writes >= MOST_WRITES)
      throw new HttpRefusal(
        429,
        "LIMIT_REACHED",
        `${MOST_WRITES} files are being written, the most at a time: wait.`,
      );
    const file: UploadedFile = known ?? { lengthBytes: 0, isBeingWritten: true };
    file.isBeingWritten = true;
    upload.files.set(inside, file);
    upload.writes++;
    this.#writes++;
    try {
      await this.#write(upload, inside, { file, isNew: known === undefined, offsetBytes }, body);
      return { receivedBytes: file.lengthBytes };
    } finally {
      file.isBeingWritten = false;
      upload.writes--;
      this.#writes--;
      upload.usedMs = this.#options.nowMs();
    }
  }

  /**
   * How much is there.
   *
   * @param inside of that file; undefined: of all
   * @throws MiniTorrentError UNKNOWN_UPLOAD
   */
  progress(uploadId: string, inside: string | undefined): { receivedBytes: number; lengthBytes: number } {
    const { files, receivedBytes, request } = this.#known(uploadId);
    const { lengthBytes } = request;
    if (inside === undefined) return { receivedBytes, lengthBytes };
    return { receivedBytes: files.get(inside)?.lengthBytes ?? 0, lengthBytes };
  }

  /**
   * All has come: it gets its name. What comes after, such as sharing it, may fail and be tried again.
   *
   * @param share called with its path once it has it
   * @throws MiniTorrentError UNKNOWN_UPLOAD, INVALID_ARGUMENT (not all has come), FILE_EXISTS, DISK_FAILED; what `share` throws
   */
  async finish<T>(uploadId: string, share: (path: string, request: UploadRequest) => Promise<T>): Promise<T> {
    const upload = this.#known(uploadId);
    const { request, path } = upload;
    if (upload.state !== "named") {
      this.#receiving(uploadId);
      if (upload.writes > 0 || upload.receivedBytes !== request.lengthBytes) {
        throw new HttpRefusal(
          409,
          "INVALID_ARGUMENT",
          `${formatBytes(upload.receivedBytes)} of ${formatBytes(request.lengthBytes)} of ${request.name} have come: send the rest, or cancel.`,
        );
      }
      upload.state = "naming";
      try {
        await this.#takeName(upload);
        upload.state = "named";
      } finally {
        if (upload.state === "naming") upload.state = "receiving";
      }
    }
    upload.usedMs = this.#options.nowMs();
    const result = await share(path, request);
    this.#forget(uploadId);
    return result;
  }

  /** Gives it up, and removes what came of it. What has its name already stays. @throws MiniTorrentError UNKNOWN_UPLOAD */
  async cancel(uploadId: string): Promise<void> {
    const { stagePath, stageId } = this.#known(uploadId);
    this.#forget(uploadId);
    await this.#removeStage(stagePath, stageId);
  }

  /** Gives all up: they cannot be continued at another process. */
  async close(): Promise<void> {
    await this.#cleaned;
    const all = [...this.#uploads.keys()];
    await Promise.all(all.map((uploadId) => this.cancel(uploadId)));
  }

  /** Never rejects. */
  async #removeAll(folders: readonly UploadFolder[]): Promise<void> {
    for (const { path, folderId } of folders) await this.#removeStage(path, folderId);
  }

  /** @param isOwn the folder is the daemon's own, and is made */
  async #prepare(folder: string, path: string, lengthBytes: number, isOwn: boolean): Promise<void> {
    try {
      if (isOwn) await mkdir(folder, { recursive: true });
      const promised = [...this.#uploads.values()].filter((upload) => upload.state === "receiving");
      const promisedBytes = promised.reduce(
        (sum, { request, receivedBytes }) => sum + request.lengthBytes - receivedBytes,
        0,
      );
      const room = await (this.#options.freeBytes ?? freeBytes)(folder);
      if (room < lengthBytes + promisedBytes) throw noRoom(folder, room, lengthBytes, promisedBytes);
    } catch (error) {
      throw writeError(error, folder);
    }
    if ([...this.#uploads.values()].some((upload) => upload.path === path) || (await isThere(path)))
      throw nameTaken(path);
  }

  /** Recorded before anything is in it. */
  async #makeStage(stagePath: string): Promise<string> {
    try {
      await mkdir(stagePath, { mode: 0o700 });
      const made = await folderAt(stagePath);
      if (made === undefined) throw new Error(`${stagePath} has gone`);
      this.#options.store.addUploadFolder({ path: stagePath, folderId: made.folderId });
      return made.folderId;
    } catch (error) {
      throw writeError(error, stagePath);
    }
  }

  async #write(
    upload: Upload,
    inside: string,
    { file, isNew, offsetBytes }: { file: UploadedFile; isNew: boolean; offsetBytes: number },
    body: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const { request, path } = upload;
    let handle: FileHandle | undefined;
    try {
      handle = await openInside(upload, inside, isNew);
      let position = offsetBytes;
      for await (const chunk of body) {
        if (upload.state !== "receiving" || this.#uploads.get(upload.uploadId) !== upload)
          throw unknown(upload.uploadId);
        const end = position + chunk.length;
        const newBytes = Math.max(0, end - file.lengthBytes);
        if (upload.receivedBytes + newBytes > request.lengthBytes) {
          throw new MiniTorrentError(
            "INVALID_ARGUMENT",
            `More than the ${formatBytes(request.lengthBytes)} that were declared for ${request.name} have come: begin it again with its right length.`,
          );
        }
        await writeAll(handle, chunk, position);
        position = end;
        file.lengthBytes += newBytes;
        upload.receivedBytes += newBytes;
        upload.usedMs = this.#options.nowMs();
      }
    } catch (error) {
      // Nothing was made: the next attempt makes it.
      if (handle === undefined && isNew) upload.files.delete(inside);
      throw isBroken(error) ? error : writeError(error, path);
    } finally {
      await handle?.close();
    }
  }

  async #takeName({ path, request, stagePath, stageId }: Upload): Promise<void> {
    const ready = join(stagePath, request.name);
    try {
      if (request.kind === "folder") {
        using stage = new OpenFolder({ path: stagePath, folderId: stageId });
        stage.folderAt([request.name], true);
        await renameWithoutReplacing(ready, path, nameTaken);
      } else {
        await movePart(ready, path);
      }
    } catch (error) {
      if (error instanceof MiniTorrentError && error.code === "FILE_EXISTS") throw nameTaken(path, error);
      throw writeError(error, path);
    }
    await this.#removeStage(stagePath, stageId);
  }

  async #removeStage(path: string, folderId: string): Promise<void> {
    const { store, log } = this.#options;
    try {
      const found = await folderAt(path).catch(() => undefined);
      // Another folder of that name is somebody else's.
      if (found?.folderId === folderId) await rm(path, { recursive: true, force: true });
      store.removeUploadFolder(path);
    } catch (error) {
      log.warn(
        { err: error, path },
        "what is left of an upload could not be removed; the next start tries again",
      );
    }
  }

  #removeIdle(): void {
    const beforeMs = this.#options.nowMs() - IDLE_MS;
    for (const { uploadId, usedMs, writes } of this.#uploads.values()) {
      if (writes > 0 || usedMs > beforeMs) continue;
      runInBackground(this.#options.log, "removing an idle upload", this.cancel(uploadId));
    }
  }

  #forget(uploadId: string): void {
    this.#uploads.delete(uploadId);
    if (this.#uploads.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #known(uploadId: string): Upload {
    const upload = this.#uploads.get(uploadId);
    if (upload === undefined) throw unknown(uploadId);
    return upload;
  }

  #receiving(uploadId: string): Upload {
    const upload = this.#known(uploadId);
    if (upload.state === "receiving") return upload;
    throw new HttpRefusal(409, "INVALID_ARGUMENT", `${upload.request.name} is complete already.`);
  }
}

function unknown(uploadId: string): MiniTorrentError {
  return new MiniTorrentError(
    "UNKNOWN_UPLOAD",
    `There is no upload ${uploadId}: it was cancelled, or removed because nothing came for an hour; begin it again.`,
  );
}

function nameTaken(path: string, cause?: unknown): MiniTorrentError {
  return new MiniTorrentError(
    "FILE_EXISTS",
    `${path} is there already: rename one of them, or choose another destination.`,
    { cause },
  );
}

async function isThere(path: string): Promise<boolean> {
  try {
    return (await folderAt(path)) !== undefined;
  } catch {
    // Something that is no folder has the name.
    return true;
  }
}

/** @throws MiniTorrentError INVALID_ARGUMENT, PATH_REFUSED */
function checkInside({ kind, name, isConfined }: UploadRequest, inside: string): void {
  if (kind === "file") {
    if (inside === "") return;
    throw new MiniTorrentError("INVALID_ARGUMENT", `${name} is a single file: leave path out.`);
  }
  const problem = inside === "" ? "is empty" : pathProblem(inside);
  if (problem !== undefined)
    throw new MiniTorrentError("INVALID_ARGUMENT", `path: ${JSON.stringify(inside)} ${problem}.`);
  if (!isConfined || !inside.split("/").some((part) => part.startsWith("."))) return;
  throw new MiniTorrentError("PATH_REFUSED", `${inside} is hidden, and is not uploaded: leave it out.`);
}

/** No link is followed on the way, also if somebody who may write to the destination puts one there. */
async function openInside(
  { request, stagePath, stageId }: Upload,
  inside: string,
  isNew: boolean,
): Promise<FileHandle> {
  using stage = new OpenFolder({ path: stagePath, folderId: stageId });
  const path = stage.at(inside === "" ? request.name : `${request.name}/${inside}`, isNew);
  return await open(path, isNew ? CREATE : CONTINUE);
}

async function writeAll(handle: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < chunk.length; ) {
    const { bytesWritten } = await handle.write(chunk, at, chunk.length - at, position + at);
    at += bytesWritten;
  }
}

/** The connection ended before its request did. */
function isBroken(error: unknown): boolean {
  return (
    error instanceof Error &&
    "code" in error &&
    (error.code === "ECONNRESET" || error.code === "ERR_STREAM_PREMATURE_CLOSE")
  );
}
