// Which names a shared file or folder, and each file and folder inside one, may have: the same on every system.
import { MiniTorrentError } from "../api/errors.ts";
import { MAX_PATH_BYTES, MAX_PATH_COMPONENTS } from "../api/file-limits.ts";

/** The file with the rules of what is not shared (storage/ignore-rules.ts). */
export const IGNORE_FILE_NAME = ".minitorrentignore";
const MAX_FILE_NAME_BYTES = 255;
const RESERVED_ON_WINDOWS = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)/i;
/** Paths of at most 255 characters that need no other check than the one for reserved names: most of them, ten times as fast. */
const PLAIN_PATH = /^[a-z0-9_-][a-z0-9._-]*(?:\/[a-z0-9_-][a-z0-9._-]*)*$/i;
const RESERVED_COMPONENT = /(^|\/)(con|prn|aux|nul|com[0-9]|lpt[0-9])([./]|$)/i;
/** Names of which `foldName` only changes the case. */
const PLAIN_NAME = /^[a-z0-9._-]*[a-z0-9_-]$/i;

/**
 * Says whether a file may carry that name in a group: it must not be able to leave the folder it is saved to,
 * whatever the system (separators, `..`, NUL, control characters, names reserved on Windows).
 *
 * @throws MiniTorrentError INVALID_ARGUMENT with the reason
 */
export function checkFileName(fileName: string): void {
  const problem = nameProblem(fileName);
  if (problem === undefined) return;
  throw new MiniTorrentError("INVALID_ARGUMENT", `A file cannot be shared under that name: it ${problem}.`);
}

/**
 * Why a file inside a shared folder cannot have that path, as the end of a sentence that begins with "it"; undefined if it can.
 *
 * @param path relative to the shared folder, components joined by "/"
 */
export function pathProblem(path: string): string | undefined {
  if (path.length <= MAX_FILE_NAME_BYTES && PLAIN_PATH.test(path) && !RESERVED_COMPONENT.test(path)) {
    return undefined;
  }
  if (path.length > MAX_PATH_BYTES || Buffer.byteLength(path) > MAX_PATH_BYTES) {
    return `is longer than ${MAX_PATH_BYTES} bytes`;
  }
  if (path.startsWith("/")) return "is an absolute path";
  const components = path.split("/");
  if (components.length > MAX_PATH_COMPONENTS) return `has more than ${MAX_PATH_COMPONENTS} components`;
  for (const component of components) {
    const problem = nameProblem(component);
    if (problem !== undefined) {
      return components.length === 1
        ? problem
        : `has the component ${JSON.stringify(component)}, which ${problem}`;
    }
  }
  return undefined;
}

/**
 * The same for all names that are one name on some file system: those that ignore case, normalise Unicode, or drop dots and
 * spaces at the end.
 */
export function foldName(name: string): string {
  if (PLAIN_NAME.test(name)) return name.toLowerCase();
  // Upper case first: it unites more than lower case does ("ß" and "ss", the Kelvin sign and "k").
  return name
    .toUpperCase()
    .toLowerCase()
    .normalize()
    .replace(/[. ]+$/, "");
}

function nameProblem(name: string): string | undefined {
  // Rules are regular expressions in the end: a stranger's could take hours, and would decide what of a folder is shared.
  if (name === IGNORE_FILE_NAME) return "has the rules of what is not shared, which are never shared";
  if (RESERVED_ON_WINDOWS.test(name)) return "is reserved on Windows";
  // Windows takes dots and spaces off a name's end: of these nothing, or a folder, would be left.
  if (/^[. ]*$/.test(name)) return "is no file name";
  if (Buffer.byteLength(name) > MAX_FILE_NAME_BYTES) return `is longer than ${MAX_FILE_NAME_BYTES} bytes`;
  if (/[/\\]/.test(name)) return "has a path separator";
  // Programs that read lines may end them at U+2028 and U+2029: a name in a script must not become a second command.
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(name)) return "has a control character, or a line's end";
  if (!name.isWellFormed()) return "is not well-formed Unicode";
  // Otherwise two names could look the same, and be one on some file systems.
  if (name.normalize() !== name) return "is not in Unicode normal form C";
  return undefined;
}
