// Folders of this machine that callers over TCP may name paths in. A link is followed before it is judged, so that none leads out;
// hidden files and folders below a root are refused, since they hold keys and settings.
import { lstatSync, realpathSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { MiniTorrentError } from "../api/errors.ts";
import { errnoOf } from "../net/errno.ts";

export class Roots {
  readonly #roots: readonly string[];

  /** @param roots absolute; one that does not exist yet may be made later */
  constructor(roots: readonly string[]) {
    this.#roots = roots.map(realPathOf);
  }

  /** With links followed. */
  get paths(): readonly string[] {
    return this.#roots;
  }

  /**
   * @param path of a file or folder that is there, or is to be made
   * @throws MiniTorrentError PATH_REFUSED
   */
  check(path: string): void {
    if (this.contains(path)) return;
    throw new MiniTorrentError(
      "PATH_REFUSED",
      `${path} may not be used from here: name a path without hidden parts in ${this.#roots.join(", ") || "a root (there is none)"}, or add its folder to the daemon's setting 'roots'.`,
    );
  }

  /** The path is in a root, and nothing below the root is hidden. */
  contains(path: string): boolean {
    return isAbsolute(path) && this.#isInside(resolve(path));
  }

  #isInside(path: string): boolean {
    try {
      const realPath = realPathOf(path);
      return this.#roots.some((root) => isInside(root, realPath));
    } catch {
      // Nobody can tell where it leads: a file stands in the way, a link leads to itself or nowhere, or a folder is another user's.
      return false;
    }
  }
}

/** Follows all links of the part of the path that exists; the part that does not exist yet is kept as given. */
function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    const isAbsent = errnoOf(error) === "ENOENT" && lstatSync(path, { throwIfNoEntry: false }) === undefined;
    if (!isAbsent || dirname(path) === path) throw error;
    return join(realPathOf(dirname(path)), basename(path));
  }
}

function isInside(root: string, path: string): boolean {
  const inside = relative(root, path);
  return !isAbsolute(inside) && !inside.split(sep).some((part) => part.startsWith("."));
}
