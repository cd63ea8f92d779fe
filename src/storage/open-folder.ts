// A folder whose files are opened by paths inside it, in a disk thread: no symbolic link is followed on the way, so that nothing
// outside the folder is ever read or written. Every folder on the way is opened for itself, and the next name is looked up in
// it; on Linux through /proc, which is as safe as openat(2). Elsewhere each folder on the way is looked at before its use.
import { closeSync, constants, existsSync, fstatSync, lstatSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../net/errno.ts";
import { fileIdOf } from "./file-facts.ts";
import { FOLDER_REPLACED, type FolderPlace } from "./folder-jobs.ts";

const OPEN_FOLDERS = "/proc/self/fd";
const hasOpenFolders = existsSync(OPEN_FOLDERS);
const FOLDER_FLAGS = constants.O_RDONLY | (constants.O_DIRECTORY ?? 0) | (constants.O_NOFOLLOW ?? 0);

interface Step {
  readonly name: string;
  readonly fd: number;
  /** By which the system finds this very folder. */
  readonly path: string;
}

export class OpenFolder implements Disposable {
  readonly #steps: Step[];

  /**
   * @param isToBeMade makes the folder if it is not there and any folder would do
   * @throws an error with the code FOLDER_REPLACED if it is not that folder; errors of the system
   */
  constructor({ path, folderId }: FolderPlace, isToBeMade = false) {
    if (folderId === undefined && isToBeMade) makeFolder(path);
    let fd: number;
    try {
      fd = openSync(path, FOLDER_FLAGS);
    } catch (error) {
      throw folderId !== undefined && ["ENOENT", "ENOTDIR", "ELOOP"].includes(errnoOf(error) ?? "")
        ? replaced(path)
        : error;
    }
    this.#steps = [{ name: "", fd, path: reachable(fd, path) }];
    if (folderId !== undefined && fileIdOf(fstatSync(fd, { bigint: true })) !== folderId) {
      this[Symbol.dispose]();
      throw replaced(path);
    }
  }

  /**
   * How the system finds the file of that path, which may not exist. It must not follow a link in its last component either:
   * open it with O_NOFOLLOW. Valid until the next call.
   *
   * @param isToBeMade makes the folders on the way that are not there
   * @throws ENOTDIR for a link, or a file, in the place of a folder
   */
  at(path: string, isToBeMade = false): string {
    const names = path.split("/");
    const name = names.pop() ?? "";
    return inFolder(this.folderAt(names, isToBeMade).path, name);
  }

  /** The folder of those names, open until the next call. */
  folderAt(names: readonly string[], isToBeMade = false): { readonly fd: number; readonly path: string } {
    let depth = 1;
    while (depth <= names.length && this.#steps[depth]?.name === names[depth - 1]) depth++;
    for (const { fd } of this.#steps.splice(depth)) closeSync(fd);
    for (const name of names.slice(depth - 1)) this.#enter(name, isToBeMade);
    return this.#last;
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#steps.splice(0)) closeSync(fd);
  }

  get #last(): Step {
    const step = this.#steps.at(-1);
    if (step === undefined) throw new Error("the folder is closed");
    return step;
  }

  #enter(name: string, isToBeMade: boolean): void {
    const path = inFolder(this.#last.path, name);
    let fd: number;
    try {
      fd = openFolder(path);
    } catch (error) {
      if (!isToBeMade || errnoOf(error) !== "ENOENT") throw error;
      makeFolder(path);
      fd = openFolder(path);
    }
    this.#steps.push({ name, fd, path: reachable(fd, path) });
  }
}

/** The paths of a layout are checked; this holds also if one was not. */
function inFolder(folderPath: string, name: string): string {
  if (name === "" || name === "." || name === ".." || /[/\\]/.test(name)) {
    throw new Error(`${JSON.stringify(name)} is no name of a file`);
  }
  return join(folderPath, name);
}

function reachable(fd: number, path: string): string {
  return hasOpenFolders ? `${OPEN_FOLDERS}/${fd}` : path;
}

function openFolder(path: string): number {
  if (!hasOpenFolders && lstatSync(path).isSymbolicLink()) {
    throw Object.assign(new Error(`${path} is a symbolic link`), { code: "ENOTDIR" });
  }
  return openSync(path, FOLDER_FLAGS);
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    // Another thread may have made it; if something else has the name, opening it as a folder fails.
    if (errnoOf(error) !== "EEXIST") throw error;
  }
}

function replaced(path: string): Error {
  return Object.assign(new Error(`${path} is not the folder that it was`), { code: FOLDER_REPLACED });
}
