// What a refusal of the operating system means to a person: errno → code, what happened, where, and what to do.
import { MiniTorrentError } from "../api/errors.ts";

/** The worker's own code for a file that ended before it should. */
export const SHORT_READ = "SHORT_READ";

/** errno name (`ENOSPC`) of an error from Node, if it has one. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
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
    case "ENOTDIR":
      return refuse("its folder does not exist; make it or choose another place");
    case "EISDIR":
      return refuse("it is a folder; choose another name");
    case "ELOOP":
      return refuse("it is a symbolic link; remove it or choose another place");
    case "ENAMETOOLONG":
      return refuse("the name is too long for its file system; choose another");
    case "EXDEV":
      return refuse("it is on another file system than the data; choose a name in the same folder");
    default:
      return diskFailed(error, `write ${path}`);
  }
}

/** For a file that is being read. An error that is ours already stays as it is. */
export function readError(error: unknown, path: string): MiniTorrentError {
  if (error instanceof MiniTorrentError) return error;
  switch (errnoOf(error)) {
    case "ENOENT":
    case "ENOTDIR":
      return new MiniTorrentError("FILE_NOT_FOUND", `There is no file ${path}: check the path.`, {
        cause: error,
      });
    case "EISDIR":
      return new MiniTorrentError("NOT_A_FILE", `${path} is a folder: name a file.`, { cause: error });
    case "EACCES":
    case "EPERM":
      return new MiniTorrentError("DISK_FAILED", `${path} cannot be read: change its permissions.`, {
        cause: error,
      });
    case SHORT_READ:
      return fileChanged(path, error);
    default:
      return diskFailed(error, `read ${path}`);
  }
}

export function fileChanged(path: string, cause?: unknown): MiniTorrentError {
  return new MiniTorrentError("FILE_CHANGED", `${path} changed meanwhile: share it again.`, { cause });
}

/** For a part file that something else has written to. */
export function changedOnDisk(path: string, pieceCount: number): string {
  const what = pieceCount === 1 ? "A piece" : `${pieceCount} pieces`;
  return `${what} of ${path} changed on disk after being verified: another program writes to that file. What changed is fetched again.`;
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
