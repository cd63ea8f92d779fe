// What a person changed or added in the place of a version that is replaced: it is kept beside the files of the new one, and never
// overwrites anything. A version that was moved aside is looked through file by file; what is still as it came stays there.
// It may be cut off at any moment and done again.
import { isUtf8 } from "node:buffer";
import type { Stats } from "node:fs";
import { lstat, mkdir, readdir, readlink, rename } from "node:fs/promises";
import { basename, dirname, extname, join, posix, sep } from "node:path";
import { asMiniTorrentError } from "../../api/errors.ts";
import type { Metainfo } from "../../metainfo/metainfo.ts";
import { errnoOf } from "../../net/errno.ts";
import { writeError } from "../../storage/disk-errors.ts";
import { hashFile } from "../../storage/hash-file.ts";
import { movePart } from "../../storage/part-file.ts";
import type { StorageResources } from "../../storage/storage-resources.ts";

/** Of a file's name, on nearly every file system. */
const MAX_NAME_BYTES = 255;
/** Names that are tried for one file: two of them may have been changed in one minute. */
const MAX_ATTEMPTS = 1_000;

/** The version that was moved aside. */
export interface AsideVersion {
  /** Where it is now. */
  readonly path: string;
  readonly metainfo: Metainfo;
  /** Time of the last write of a file when it was as it came; undefined: it was not there. */
  readonly mtimeMsOf: (fileIndex: number) => number | undefined;
}

/**
 * Moves what is not as it came to the place of the new version: a changed file under a name that says so, an added one under
 * its own name, if that is free.
 *
 * @returns the paths that these files have now
 * @throws MiniTorrentError DISK_FULL, DESTINATION_UNUSABLE, DISK_FAILED
 */
export async function keepLocalChanges(
  aside: AsideVersion,
  destinationPath: string,
  storage: StorageResources,
): Promise<string[]> {
  const kept: string[] = [];
  const keep = async (path: string, target: string, isChanged: boolean, stats: Stats): Promise<void> => {
    kept.push(await moveBeside(path, target, isChanged ? stats : undefined));
  };
  try {
    if (aside.metainfo.kind === "file") {
      const stats = await lstatIfThere(aside.path);
      if (stats !== undefined && !(await isAsItCame(aside, 0, aside.path, stats, storage)))
        await keep(aside.path, destinationPath, true, stats);
      return kept;
    }
    const { layout } = aside.metainfo;
    for await (const { path, stats } of filesBelow(aside.path)) {
      const inside = path.slice(aside.path.length + 1);
      const fileIndex = layout.indexOf(inside.replaceAll("\\", "/"));
      if (fileIndex !== undefined && (await isAsItCame(aside, fileIndex, path, stats, storage))) continue;
      const target = await freeBelow(destinationPath, inside);
      await keep(path, target, fileIndex !== undefined, stats);
    }
    return kept;
  } catch (error) {
    throw writeError(error, destinationPath);
  }
}

async function isAsItCame(
  { metainfo, mtimeMsOf }: AsideVersion,
  fileIndex: number,
  path: string,
  stats: Stats,
  storage: StorageResources,
): Promise<boolean> {
  const target = metainfo.kind === "folder" ? metainfo.layout.linkTargetOf(fileIndex) : undefined;
  if (metainfo.kind === "folder" && target !== undefined) {
    if (!stats.isSymbolicLink()) return false;
    const text = (await readlink(path)).replaceAll("\\", "/");
    return text === posix.relative(posix.dirname(metainfo.layout.pathOf(fileIndex)), target);
  }
  const lengthBytes =
    metainfo.kind === "folder" ? metainfo.layout.lengthOf(fileIndex) : metainfo.geometry.lengthBytes;
  if (!stats.isFile() || stats.size !== lengthBytes) return false;
  if (stats.mtimeMs === mtimeMsOf(fileIndex)) return true;
  // Only its time may be another one.
  const sha1 =
    metainfo.kind === "folder"
      ? Buffer.from(metainfo.layout.sha1Of(fileIndex)).toString("hex")
      : metainfo.sha1;
  return (await hashFile(path, storage)).sha1 === sha1;
}

/** All that is no folder, however deep. Links are not followed. */
async function* filesBelow(folder: string): AsyncGenerator<{ path: string; stats: Stats }> {
  for (const entry of await readdirIfThere(folder)) {
    const path = join(folder, await textOf(folder, entry.name));
    if (entry.isDirectory()) yield* filesBelow(path);
    else {
      const stats = await lstatIfThere(path);
      if (stats !== undefined) yield { path, stats };
    }
  }
}

/** A name that is not UTF-8 cannot be looked up as text: the file gets another one, so that it is not lost. */
async function textOf(folder: string, name: Buffer): Promise<string> {
  if (isUtf8(name)) return name.toString();
  for (let attempt = 1; ; attempt++) {
    const text = withNote(
      name.toString("latin1"),
      attempt === 1 ? "renamed here" : `renamed here ${attempt}`,
    );
    if ((await lstatIfThere(join(folder, text))) !== undefined) continue;
    await rename(Buffer.concat([Buffer.from(folder + sep), name]), join(folder, text));
    return text;
  }
}

/**
 * The path below the folder, which is made with all folders on the way; one whose name is a file's is made under another name.
 * The new version may be a single file.
 */
async function freeBelow(folder: string, inside: string): Promise<string> {
  let path = dirname(folder);
  const names = [basename(folder), ...inside.split(/[/\\]/)];
  const last = names.pop() ?? "";
  for (const name of names) {
    let next = join(path, name);
    for (let attempt = 2; !(await isFolderMade(next)); attempt++)
      next = join(path, withNote(name, `here${attempt === 2 ? "" : ` ${attempt}`}`));
    path = next;
  }
  return join(path, last);
}

async function isFolderMade(path: string): Promise<boolean> {
  const there = await lstatIfThere(path);
  if (there !== undefined) return there.isDirectory();
  await mkdir(path);
  return true;
}

/** @param changed how the file is; undefined: it may have its own name, if nothing else has it */
async function moveBeside(path: string, target: string, changed: Stats | undefined): Promise<string> {
  const stats = changed ?? (await lstat(path));
  const note = `${changed === undefined ? "added" : "changed"} here ${asMinute(new Date(stats.mtimeMs))}`;
  for (let attempt = changed === undefined ? 0 : 1; ; attempt++) {
    const name = basename(target);
    const noted = withNote(name, attempt > 1 ? `${note} ${attempt}` : note);
    const beside = attempt === 0 ? target : join(dirname(target), noted);
    try {
      await movePart(path, beside);
      return beside;
    } catch (error) {
      if (asMiniTorrentError(error).code !== "FILE_EXISTS" || attempt >= MAX_ATTEMPTS) throw error;
    }
  }
}

/** `notes.txt` → `notes (changed here 2026-11-28 14.03).txt`; of a name too long for that, the end gives way. */
export function withNote(name: string, note: string): string {
  const extension = extname(name);
  const end = ` (${note})${extension}`;
  const stem = Buffer.from(name.slice(0, name.length - extension.length));
  // A character that is cut in the middle is left out.
  const kept = new TextDecoder()
    .decode(stem.subarray(0, Math.max(0, MAX_NAME_BYTES - Buffer.byteLength(end))))
    .replace(/\ufffd+$/, "");
  return kept + end;
}

/** In this machine's time, without the characters that Windows allows in no name. */
function asMinute(date: Date): string {
  const two = (number: number): string => String(number).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}.${two(date.getMinutes())}`;
}

async function lstatIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function readdirIfThere(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true, encoding: "buffer" });
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}
