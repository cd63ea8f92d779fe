// Folders of this machine that callers over TCP may name paths in. A link is followed before it is judged, so that none leads out;
// hidden files and folders below a root are not to be had, since they hold keys and settings.
import { realpathSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { MiniTorrentError } from "../api/errors.ts";
import { errnoOf } from "../net/errno.ts";

export class Roots {
  readonly #roots: readonly string[];

  /** @param roots absolute; those that do not exist are left out */
  constructor(roots: readonly string[]) {
    this.#roots = roots.map(realPathOf);
  }

  /**
   * @param path of a file or folder that is there, or is to be made
   * @throws MiniTorrentError PATH_REFUSED
   */
  check(path: string): void {
    if (isAbsolute(path) && this.#roots.some((root) => isInside(root, realPathOf(resolve(path))))) return;
    throw new MiniTorrentError(
      "PATH_REFUSED",
      `${path} is not in a folder that may be used from here: ${this.#roots.join(", ") || "there is none"}; the daemon's setting 'roots' has them.`,
    );
  }
}

/** Of what is there, with all links followed; of the rest of a path that is not there yet, as it stands. */
function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT" || dirname(path) === path) throw error;
    return join(realPathOf(dirname(path)), basename(path));
  }
}

function isInside(root: string, path: string): boolean {
  const inside = relative(root, path);
  return !isAbsolute(inside) && !inside.split(sep).some((part) => part === ".." || /^\.[^.]/.test(part));
}
