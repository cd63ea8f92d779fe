// The file that --password-file names: its first line is the password wherever a command is given none. So a script has
// the password neither in its lines nor among its arguments, which every user of the machine can read (ps). A service has it
// from systemd, as a credential: a file in a folder that systemd makes for that service alone.
import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { MiniTorrentError } from "../api/errors.ts";
import { readProblem } from "../storage/disk-errors.ts";
import { decodeText } from "./input-lines.ts";

/** A password has at most 1,024 characters. */
const MAX_BYTES = 8 * 1024;
const OTHERS_MAY = 0o077;
/** systemd lets the service's user read a credential by an access list, which the mode shows as the group's right. */
const OTHERS_MAY_OF_CREDENTIAL = 0o037;

/**
 * Where the service manager has put that credential; undefined if there is none. See systemd.exec(5), LoadCredential=.
 *
 * @param name of the file in $CREDENTIALS_DIRECTORY
 */
export function credentialPath(name: string, env: NodeJS.ProcessEnv): string | undefined {
  const folder = env.CREDENTIALS_DIRECTORY ?? "";
  if (!isAbsolute(folder)) return undefined;
  const path = join(folder, name);
  return existsSync(path) ? path : undefined;
}

/** @throws MiniTorrentError INVALID_ARGUMENT if it cannot be read, others can read it, or its first line is empty */
export function readPasswordFile(path: string, env: NodeJS.ProcessEnv = process.env): string {
  return readFirstLine(path, "password", env);
}

/**
 * @param what it is, for errors
 * @throws MiniTorrentError as `readPasswordFile`
 */
export function readFirstLine(path: string, what: string, env: NodeJS.ProcessEnv): string {
  const folder = env.CREDENTIALS_DIRECTORY ?? "";
  const isCredential = isAbsolute(folder) && dirname(resolve(path)) === resolve(folder);
  const unwanted = isCredential ? OTHERS_MAY_OF_CREDENTIAL : OTHERS_MAY;
  const bytes = Buffer.alloc(MAX_BYTES);
  let lengthBytes: number;
  try {
    const file = openSync(path, "r");
    try {
      if (process.platform !== "win32" && (fstatSync(file).mode & unwanted) !== 0) {
        throw new Error(`other users of this machine may read it; chmod 600 '${path}' first`);
      }
      lengthBytes = readSync(file, bytes);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    const reason = readProblem(error) ?? (error instanceof Error ? error.message : String(error));
    throw unusable(path, what, reason, error);
  }
  const end = bytes.subarray(0, lengthBytes).indexOf("\n");
  const line = decodeText(bytes.subarray(0, end === -1 ? lengthBytes : end));
  // Decoding with U+FFFD would make different passwords equal.
  if (line === undefined) throw unusable(path, what, "its first line is not UTF-8; save it as UTF-8");
  const text = line.replace(/\r$/, "");
  if (text === "") throw unusable(path, what, "its first line is empty");
  return text;
}

function unusable(path: string, what: string, reason: string, cause?: unknown): MiniTorrentError {
  const sentence = `The ${what} file ${path} is not used: ${reason}.`;
  return new MiniTorrentError("INVALID_ARGUMENT", sentence, { cause });
}
