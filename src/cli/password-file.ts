// The file that --password-file names: its first line is the password wherever a command is given none. So a script has
// the password neither in its lines nor among its arguments, which every user of the machine can read (ps).
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { MiniTorrentError } from "../api/errors.ts";
import { readProblem } from "../storage/disk-errors.ts";
import { decodeText } from "./input-lines.ts";

/** A password has at most 1,024 characters. */
const MAX_BYTES = 8 * 1024;
const OTHERS_MAY = 0o077;

/** @throws MiniTorrentError INVALID_ARGUMENT if it cannot be read, others can read it, or its first line is empty */
export function readPasswordFile(path: string): string {
  const bytes = Buffer.alloc(MAX_BYTES);
  let lengthBytes: number;
  try {
    const file = openSync(path, "r");
    try {
      if (process.platform !== "win32" && (fstatSync(file).mode & OTHERS_MAY) !== 0) {
        throw new Error(`other users of this machine may read it; chmod 600 '${path}' first`);
      }
      lengthBytes = readSync(file, bytes);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw unusable(
      path,
      readProblem(error) ?? (error instanceof Error ? error.message : String(error)),
      error,
    );
  }
  const end = bytes.subarray(0, lengthBytes).indexOf("\n");
  const line = decodeText(bytes.subarray(0, end === -1 ? lengthBytes : end));
  // Decoding with U+FFFD would make different passwords equal.
  if (line === undefined) throw unusable(path, "its first line is not UTF-8; save it as UTF-8");
  const password = line.replace(/\r$/, "");
  if (password === "") throw unusable(path, "its first line is empty");
  return password;
}

function unusable(path: string, reason: string, cause?: unknown): MiniTorrentError {
  return new MiniTorrentError("INVALID_ARGUMENT", `The password file ${path} is not used: ${reason}.`, {
    cause,
  });
}
