// What precedes the first request of a download: checks that the file is the group's, whether it is there already, and which
// pieces of its part file are still right.
import { createHash } from "node:crypto";
import type { Stats } from "node:fs";
import { lstat, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { MiniTorrentError } from "../../api/errors.ts";
import { Bitfield } from "../../metainfo/bitfield.ts";
import type { FolderMetainfo } from "../../metainfo/metainfo.ts";
import { errnoOf } from "../../net/errno.ts";
import { writeError } from "../../storage/disk-errors.ts";
import { type FileFacts, fileIdOf, isSameFacts } from "../../storage/file-facts.ts";
import { FolderFacts } from "../../storage/folder-facts.ts";
import { hashFile } from "../../storage/hash-file.ts";
import { removeUnnamed, unnamedPathOf } from "../../storage/part-file.ts";
import { PieceStore } from "../../storage/piece-store.ts";
import type { ClientContext } from "../client-context.ts";
import type { Wanted } from "./chosen-files.ts";

const PART_SUFFIX = ".part";
/** Of a file's name, on nearly every file system. */
const MAX_NAME_BYTES = 255;

export interface DownloadToOpen {
  readonly groupId: string;
  readonly wanted: Wanted;
  readonly destinationPath: string;
  /** What is at the destination is the version that this one replaces. */
  readonly isUpdate: boolean;
  /** What was verified, and how the part file was when that was noted; undefined before there is a part file. */
  readonly known: KnownPart | undefined;
  /** What other downloads are still to write to the same disk. */
  readonly promisedBytes: number;
  /** Records that a part file is about to be created; returns the token for its temporary name. */
  readonly making: () => string;
  /** Records the created file before it gets its final name. */
  readonly made: (part: { readonly facts: FileFacts; readonly fileId: string }) => void;
}

export interface KnownPart {
  readonly have: Bitfield;
  readonly facts: FileFacts | undefined;
  /** Which file it was: another one of that name is not touched. */
  readonly partId: string;
  /** It is a folder that has its final name, and may get more of its files there. */
  readonly isFinished: boolean;
  /** How the files of a folder were. */
  readonly folderFacts: FolderFacts | undefined;
}

export type Opened =
  /** The content is at the destination; `facts`: how the file was when it was hashed; of a folder, its files. */
  | {
      readonly kind: "there-already";
      readonly facts: FileFacts;
      readonly folderFacts?: FolderFacts;
    }
  | {
      readonly kind: "store";
      readonly store: PieceStore;
      readonly have: Bitfield;
    };

/** Which file has that name now (see `fileIdOf`); undefined if none has. */
export async function partIdOf(path: string): Promise<string | undefined> {
  const found = await lstat(path, { bigint: true }).catch(() => undefined);
  return found && fileIdOf(found);
}

/** A download lives in `NAME.part` until all of it is verified; of a name too long for that, the end gives way to a hash. */
export function partPathOf(destinationPath: string): string {
  const name = Buffer.from(basename(destinationPath));
  if (name.length + PART_SUFFIX.length <= MAX_NAME_BYTES) return destinationPath + PART_SUFFIX;
  const hash = createHash("sha256").update(name).digest("hex").slice(0, 16);
  const end = `.${hash}${PART_SUFFIX}`;
  // A character that is cut in the middle is left out.
  const kept = new TextDecoder()
    .decode(name.subarray(0, MAX_NAME_BYTES - end.length))
    .replace(/\ufffd+$/, "");
  return join(dirname(destinationPath), kept + end);
}

/**
 * @throws MiniTorrentError NOT_A_MEMBER, TRACKERS_UNREACHABLE, MALFORMED_MESSAGE (another group's file), FILE_EXISTS,
 * DISK_FULL, DESTINATION_UNUSABLE, DISK_FAILED
 */
export async function openDownload(context: ClientContext, download: DownloadToOpen): Promise<Opened> {
  const { wanted, destinationPath, known, isUpdate } = download;
  const { metainfo } = wanted;
  await checkAuthority(context, download);
  const isFinished = known?.isFinished === true;
  const partPath = isFinished ? destinationPath : partPathOf(destinationPath);
  const isOwn = known !== undefined && (await partIdOf(partPath)) === known.partId;
  const mayBeThere = isFinished ? !isOwn : !isUpdate;
  const there = mayBeThere ? await factsIfThere(context, download) : undefined;
  if (there !== undefined) return { kind: "there-already", ...there };
  const unnamedPath = isOwn ? undefined : unnamedPathOf(partPath, download.making());
  // Left by a crash during creation.
  if (unnamedPath !== undefined) await removeUnnamed(unnamedPath);
  const store = await PieceStore.openForDownload({
    metainfo,
    partPath,
    have: isOwn ? known.have : new Bitfield(metainfo.geometry.pieceCount),
    resume: isOwn,
    ...(isOwn ? { ownFileId: known.partId, isFinished } : {}),
    ...(isOwn && known.folderFacts !== undefined ? { notedFacts: known.folderFacts } : {}),
    ...(wanted.kind === "folder" ? { chosen: wanted.chosen.files } : {}),
    promisedBytes: download.promisedBytes,
    ...(unnamedPath === undefined ? {} : { unnamedPath, onMade: download.made }),
    ...context.storage,
  });
  try {
    return { kind: "store", store, have: await intactPieces(store, known?.facts) };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** The group's CA is part of the metainfo: a tracker cannot pass off another group's file. */
async function checkAuthority(
  context: ClientContext,
  { groupId, wanted: { metainfo } }: DownloadToOpen,
): Promise<void> {
  const { authorityPem } = await context.memberships.obtain(groupId);
  if (authorityPem.trim() === metainfo.authorityPem.trim()) return;
  throw new MiniTorrentError(
    "MALFORMED_MESSAGE",
    `${metainfo.fileName} belongs to another group than ${groupId}.`,
  );
}

/**
 * How the file, or the folder, at the destination was when it was hashed, if it has the content: from before, or from a crash
 * between naming it and noting that.
 */
async function factsIfThere(
  context: ClientContext,
  { wanted: { metainfo }, destinationPath }: DownloadToOpen,
): Promise<{ facts: FileFacts; folderFacts?: FolderFacts } | undefined> {
  const present = await lookAt(destinationPath);
  if (present === undefined) return undefined;
  if (metainfo.kind === "folder" && present.isDirectory()) {
    const folderFacts = await factsOfFolder(context, metainfo, destinationPath);
    if (folderFacts !== undefined)
      return { facts: { lengthBytes: metainfo.layout.contentBytes, mtimeMs: 0 }, folderFacts };
  }
  if (metainfo.kind === "file" && present.isFile() && present.size === metainfo.geometry.lengthBytes) {
    const { sha1, lengthBytes, mtimeMs } = await hashFile(destinationPath, context.storage);
    if (sha1 === metainfo.sha1) return { facts: { lengthBytes, mtimeMs } };
  }
  throw new MiniTorrentError(
    "FILE_EXISTS",
    `${destinationPath} is there already, with other content; choose another destination.`,
  );
}

/** How the files of that folder are, if they have the content. Their lengths are compared before anything is read. */
async function factsOfFolder(
  { storage }: ClientContext,
  metainfo: FolderMetainfo,
  path: string,
): Promise<FolderFacts | undefined> {
  const { layout } = metainfo;
  const facts = FolderFacts.none(layout.fileCount);
  for (let index = 0; index < layout.fileCount; index++) {
    if (layout.linkTargetOf(index) !== undefined) continue;
    const stats = await lstat(join(path, layout.pathOf(index))).catch(() => undefined);
    if (stats?.isFile() !== true || stats.size !== layout.lengthOf(index)) return undefined;
    facts.mtimesMs[index] = stats.mtimeMs;
  }
  const store = await PieceStore.openForSeeding({ metainfo, path, expected: facts, ...storage });
  try {
    return (await store.recheck("all")).isComplete ? facts : undefined;
  } finally {
    await store.close();
  }
}

/**
 * Stats the destination, following a link. A path that the file system cannot even look up could not be
 * created at the end either.
 *
 * @throws MiniTorrentError DESTINATION_UNUSABLE, FILE_EXISTS if it is a link that leads nowhere; DISK_FAILED
 */
async function lookAt(destinationPath: string): Promise<Stats | undefined> {
  try {
    // Usually absent: not creating an error makes the call a fifth cheaper.
    const target = await stat(destinationPath, { throwIfNoEntry: false });
    if (target !== undefined) return target;
    if (!(await isLink(destinationPath))) return undefined;
  } catch (error) {
    throw writeError(error, destinationPath);
  }
  throw new MiniTorrentError(
    "FILE_EXISTS",
    `${destinationPath} is a symbolic link to a missing file; remove it or choose another destination.`,
  );
}

async function isLink(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSymbolicLink();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}

/** What was noted as verified counts only while it is as it was then; otherwise it is hashed: of a folder, what touches such files. */
async function intactPieces(store: PieceStore, noted: FileFacts | undefined): Promise<Bitfield> {
  const { found } = store;
  if (found === undefined) return store.have;
  if (store.metainfo.kind === "folder") {
    if (store.doubted.length > 0) await store.recheck(store.doubted);
    return store.have;
  }
  if (noted !== undefined && isSameFacts(found, noted)) return store.have;
  return store.recheck("all");
}
