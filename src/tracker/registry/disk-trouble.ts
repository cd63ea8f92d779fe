// Maps SQLite's errors to disk trouble: which of them mean that nothing can be written for now, and which error a caller
// gets. https://sqlite.org/rescode.html
import { asMiniTorrentError, MiniTorrentError } from "../../api/errors.ts";

/** Why the registry cannot be written, or if damaged, not even be read. */
export type DiskTrouble = "disk-full" | "disk-read-only" | "disk-failed" | "registry-damaged";

const SQLITE_ERROR = 1;
const SQLITE_PERM = 3;
const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_FORMAT = 24;
const SQLITE_NOTADB = 26;
/** The file is shorter than its header claims. */
const SQLITE_IOERR_SHORT_READ = 522;
/** The file was moved or removed under SQLite, which then writes no more to it. */
const SQLITE_READONLY_DBMOVED = 1032;

/** The disk trouble behind an error; undefined for other errors. */
export function diskTroubleOf(error: unknown): DiskTrouble | undefined {
  if (error instanceof MiniTorrentError) {
    return error.code === "REGISTRY_DAMAGED" ? "registry-damaged" : diskTroubleOf(error.cause);
  }
  if (!isSqliteError(error)) return undefined;
  if (error.errcode === SQLITE_READONLY_DBMOVED) return "disk-failed";
  if (error.errcode === SQLITE_IOERR_SHORT_READ) return "registry-damaged";
  switch (primaryCode(error)) {
    case SQLITE_FULL:
      return "disk-full";
    case SQLITE_READONLY:
      return "disk-read-only";
    case SQLITE_PERM:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      return "disk-failed";
    case SQLITE_CORRUPT:
    case SQLITE_FORMAT:
    case SQLITE_NOTADB:
      return "registry-damaged";
    default:
      return undefined;
  }
}

export function isSqliteError(error: unknown): error is Error & { readonly errcode: number } {
  return error instanceof Error && "errcode" in error && typeof error.errcode === "number";
}

/** A disk error as a MiniTorrentError; other errors unchanged. */
export function asDiskError(error: unknown, path: string): MiniTorrentError {
  if (error instanceof MiniTorrentError) return error;
  if (isSqliteError(error)) {
    if (diskTroubleOf(error) === "registry-damaged") {
      return new MiniTorrentError("REGISTRY_DAMAGED", `${path} is damaged: ${error.message}.`, {
        cause: error,
      });
    }
    switch (primaryCode(error)) {
      case SQLITE_BUSY:
        return new MiniTorrentError(
          "DATA_DIR_IN_USE",
          `Another tracker uses ${path}; stop it, or give another --data-dir.`,
          { cause: error },
        );
      case SQLITE_FULL:
        return new MiniTorrentError(
          "DISK_FULL",
          `The disk is full, so ${path} cannot be written; free space on it.`,
          { cause: error },
        );
      default:
        return new MiniTorrentError("DISK_FAILED", `${path} cannot be used: ${error.message}.`, {
          cause: error,
        });
    }
  }
  if (error instanceof Error && "code" in error && "syscall" in error) {
    return new MiniTorrentError("DISK_FAILED", `${path} cannot be used: ${error.message}.`, { cause: error });
  }
  return asMiniTorrentError(error);
}

/** An error of opening as a MiniTorrentError. A missing table, index or column then means damage. */
export function asOpeningError(error: unknown, path: string): MiniTorrentError {
  const isDamage =
    diskTroubleOf(error) === "registry-damaged" ||
    (isSqliteError(error) && primaryCode(error) === SQLITE_ERROR) ||
    error instanceof SyntaxError || // the digest
    (error instanceof MiniTorrentError && error.code === "MALFORMED_MESSAGE"); // the clock's reading
  if (!isDamage) return asDiskError(error, path);
  const reason = error instanceof Error ? error.message.replace(/\.$/, "") : String(error);
  return new MiniTorrentError("REGISTRY_DAMAGED", `${path} is damaged (${reason}).`, { cause: error });
}

/** The upper bits of an extended result code distinguish variants of the primary code. */
function primaryCode({ errcode }: { readonly errcode: number }): number {
  return errcode & 0xff;
}
