// What a refusal of the operating system means to a person: errno → code, what happened, where, and what to do.
import { join } from "node:path";
import { formatBytesRoundedUp } from "../api/byte-units.ts";
import { type ErrorCode, MiniTorrentError } from "../api/errors.ts";
import { descriptorProblem } from "../net/descriptors.ts";
import { errnoOf } from "../net/errno.ts";

/** The worker's own code for a file that ended before it should. */
export const SHORT_READ = "SHORT_READ";
/** The worker's own code for a file that is not as it was: another length or time, or no regular file. */
export const FILE_DIFFERS = "FILE_DIFFERS";

/** What a file system without hard links (exFAT, some network shares) says to `link`. */
export const NO_LINKS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);
/** What a file system says that cannot sync a folder: its names are as safe as it makes them. */
export const NO_FOLDER_SYNC = new Set([
  "EINVAL",
  "ENOTSUP",
  "EOPNOTSUPP",
  "EPERM",
  "EACCES",
  "EISDIR",
  "EBADF",
]);

/** True if this process, or the machine, may not have one more file or socket open. */
export function isOutOfDescriptors(error: unknown): boolean {
  const { cause } = error instanceof MiniTorrentError ? error : { cause: error };
  return descriptorProblem(cause) !== undefined;
}

/** For a file that is being written, named or made room for. An error that is ours already stays as it is. */
export function writeError(error: unknown, path: string): MiniTorrentError {
  if (error instanceof MiniTorrentError) return error;
  const refuse = (reason: string) =>
    new MiniTorrentError("DESTINATION_UNUSABLE", `${path} cannot be written: ${reason}.`, { cause: error });
  switch (errnoOf(error)) {
    case "ENOSPC":
      return new MiniTorrentError("DISK_FULL", `The disk has no room for ${path}: free some.`, {
        cause: error,
      });
    case "EDQUOT":
      return new MiniTorrentError("DISK_FULL", `Your quota has no room for ${path}: free some.`, {
        cause: error,
      });
    case "EFBIG":
      return refuse("its file system does not hold files that large; choose another place");
    case "EACCES":
    case "EPERM":
      return refuse("you may not write there; change the permissions or choose another place");
    case "EROFS":
      return refuse("its file system is read-only; choose another place");
    case "ENOENT":
      return refuse("its folder does not exist; make it or choose another place");
    case "ENOTDIR":
      return refuse("a part of its path is no folder; choose another place");
    case "EEXIST":
      return refuse("a file of that name exists; choose another place");
    case "EISDIR":
      return refuse("it is a folder; choose another name");
    case "ELOOP":
      return refuse("it is a symbolic link, or its links lead in a circle; choose another place");
    case "ENAMETOOLONG":
      return refuse("the name is too long for its file system; choose another");
    case "EXDEV":
      return refuse("it is on another file system than the data; choose a name in the same folder");
    case "ENXIO":
    case "ENODEV":
      return refuse("it is a socket or a device; choose another name");
    default: {
      const problem = descriptorProblem(error);
      return problem === undefined ? diskFailed(error, `write ${path}`) : refuse(problem);
    }
  }
}

/**
 * Why a typed path cannot be read, and what to do: one table for files to share, tracker files and
 * password files. undefined: the disk itself failed.
 */
const READ_PROBLEMS: Readonly<Record<string, { readonly code: ErrorCode; readonly remedy: string }>> = {
  ENOENT: { code: "FILE_NOT_FOUND", remedy: "there is no file of that name: check the path" },
  ENOTDIR: { code: "FILE_NOT_FOUND", remedy: "a part of the path is no folder: check the path" },
  ELOOP: { code: "FILE_NOT_FOUND", remedy: "its symbolic links lead in a circle: name the file itself" },
  ENAMETOOLONG: { code: "FILE_NOT_FOUND", remedy: "the path is longer than the system allows: check it" },
  EISDIR: { code: "NOT_A_FILE", remedy: "it is a folder: name a file" },
  ENXIO: { code: "NOT_A_FILE", remedy: "it is a socket or a device, not a regular file: name a file" },
  ENODEV: { code: "NOT_A_FILE", remedy: "it is a device, not a regular file: name a file" },
  EOPNOTSUPP: { code: "NOT_A_FILE", remedy: "it is a socket, not a regular file: name a file" },
  EACCES: {
    code: "FILE_UNREADABLE",
    remedy: "you may not read it: change the permissions of it or its folder",
  },
  EPERM: {
    code: "FILE_UNREADABLE",
    remedy: "you may not read it: change the permissions of it or its folder",
  },
  ESTALE: { code: "FILE_CHANGED", remedy: "its network file system replaced it meanwhile: try again" },
};

function descriptorsSpent(error: unknown): { readonly code: ErrorCode; readonly remedy: string } | undefined {
  const remedy = descriptorProblem(error);
  return remedy === undefined ? undefined : { code: "LIMIT_REACHED", remedy };
}

/** Why a path cannot be read, as the end of a sentence; undefined: not a problem that can be solved at the path. */
export function readProblem(error: unknown): string | undefined {
  return READ_PROBLEMS[errnoOf(error) ?? ""]?.remedy ?? descriptorProblem(error);
}

/** For a file that is being read. An error that is ours already stays as it is. */
export function readError(error: unknown, path: string): MiniTorrentError {
  if (error instanceof MiniTorrentError) return error;
  const errno = errnoOf(error) ?? "";
  if (errno === SHORT_READ || errno === FILE_DIFFERS) return fileChanged(path, error);
  const problem = READ_PROBLEMS[errno] ?? descriptorsSpent(error);
  if (problem === undefined) return diskFailed(error, `read ${path}`);
  return new MiniTorrentError(problem.code, `${path} cannot be read: ${problem.remedy}.`, { cause: error });
}

/** For a job on several files of a folder: the error says which of them it is about. */
export function errorInFolder(
  error: unknown,
  { folderPath, paths }: { readonly folderPath: string; readonly paths: readonly string[] },
): MiniTorrentError {
  const at = error instanceof Error && "at" in error ? Number(error.at) : 0;
  return readError(error, join(folderPath, paths[at] ?? ""));
}

export function fileChanged(path: string, cause?: unknown): MiniTorrentError {
  return new MiniTorrentError("FILE_CHANGED", `${path} changed meanwhile: share it again.`, { cause });
}

/** For a file that yields more or fewer bytes than its size, as in /proc and /sys: it cannot be served in pieces. */
export function sizeUntrue(path: string, cause?: unknown): MiniTorrentError {
  return new MiniTorrentError(
    "NOT_A_FILE",
    `${path} does not have the size that the system says, as the files of /proc: copy it (cat ${path} > copy), then share the copy.`,
    { cause },
  );
}

/** For a folder in which something else has the name of a file, or of a folder on the way. */
export function nameTaken(path: string, cause: unknown): MiniTorrentError {
  return new MiniTorrentError(
    "DESTINATION_UNUSABLE",
    `${path} cannot be written: a symbolic link, or a file, is in its place or in that of a folder on the way. Remove it, then resume.`,
    { cause },
  );
}

/** For a file of a folder whose pieces are right. */
export function wrongDescription(path: string, cause?: unknown): MiniTorrentError {
  return new MiniTorrentError(
    "CORRUPT_FILE",
    `${path} has another SHA-1 than its metainfo says, although every piece is right: ` +
      "it was shared with a wrong description. Ask for it to be shared again.",
    { cause },
  );
}

/** For a folder that is served. */
export function folderReplaced(path: string): MiniTorrentError {
  return new MiniTorrentError(
    "FILE_CHANGED",
    `${path} was removed, moved or replaced by another folder: share it again.`,
  );
}

/** For a part file that another program has written to. */
export function changedOnDisk(path: string, pieceCount: number): string {
  const what = pieceCount === 1 ? "A piece" : `${pieceCount} pieces`;
  return `${what} of ${path} changed on disk after it was verified, so another program is writing to that file. The changed pieces are fetched again.`;
}

/** For a part file that another program has written to after all of it was verified. */
export function writtenTo(path: string): MiniTorrentError {
  return new MiniTorrentError(
    "FILE_CHANGED",
    `Another program wrote to ${path} after it was verified: it is verified again.`,
  );
}

/** For a part file whose name is another file's by now, or nobody's. */
export function partLost(path: string): MiniTorrentError {
  return new MiniTorrentError(
    "FILE_CHANGED",
    `${path} was removed, moved or replaced while it was being written: what it had is fetched again.`,
  );
}

function diskFailed(error: unknown, doing: string): MiniTorrentError {
  const reason = error instanceof Error ? error.message : String(error);
  return new MiniTorrentError("DISK_FAILED", `The disk refused to ${doing}: ${reason}. Check the disk.`, {
    cause: error,
  });
}

/** DISK_FULL, with how much is missing. @param otherBytes what other downloads to that disk still need */
export function noRoom(path: string, room: number, neededBytes: number, otherBytes = 0): MiniTorrentError {
  const forOthers =
    otherBytes === 0 ? "" : `, besides ${formatBytesRoundedUp(otherBytes)} for other downloads`;
  return new MiniTorrentError(
    "DISK_FULL",
    `The disk of ${path} has ${formatBytesRoundedUp(room)} left, and ${formatBytesRoundedUp(neededBytes)} are needed${forOthers}: ` +
      `free ${formatBytesRoundedUp(neededBytes + otherBytes - room)}.`,
  );
}
