// What of a folder is not shared: the litter of systems and programs, and what `.minitorrentignore` lists in gitignore syntax.
// Such a file counts for its folder and those below; of several rules the nearest folder's, and in it the last one, decides.
import ignore from "ignore";
import { KEY_FILE } from "../identity/stored-identity.ts";
import { IGNORE_FILE_NAME } from "../metainfo/file-name.ts";

/** A folder with one of these is the data directory of a daemon, tracker or client: its keys are not for others. No rule brings it back. */
export const DATA_DIRECTORY_FILES: readonly string[] = [KEY_FILE, "trackers.sqlite"];

/** Names that systems leave in folders, unfinished downloads of browsers and this program, and deleted files that are still open. */
const LITTER = new RegExp(
  `^(?:${[
    "\\.DS_Store|\\._.+|\\.AppleDouble|\\.Spotlight-V100|\\.Trashes|\\.TemporaryItems|\\.fseventsd|\\.DocumentRevisions-V100|Icon\\r",
    "Thumbs\\.db|ehthumbs(?:_vista)?\\.db|desktop\\.ini|\\$RECYCLE\\.BIN|System Volume Information",
    "\\.Trash-\\d+|\\.directory|\\.nfs[0-9a-f]+|\\.fuse_hidden.+",
    ".*\\.part|\\..+\\.minitorrent-.+",
  ].join("|")})$`,
  "i",
);

/** The rules of one folder, behind those of the folders above it. */
export class IgnoreRules {
  readonly #above: IgnoreRules | undefined;
  readonly #folderPath: string;
  readonly #rules: ReturnType<typeof ignore>;

  /** @param folderPath of the folder with the file, relative to the shared folder; "" for that itself */
  constructor(text: string, folderPath: string, above: IgnoreRules | undefined) {
    this.#above = above;
    this.#folderPath = folderPath;
    // As git does on Linux. Its syntax begins a file with a byte order mark if an editor of Windows wrote it.
    this.#rules = ignore({ ignorecase: false }).add(text.replace(/^\ufeff/, ""));
  }

  /** undefined: no rule is about it. @param path relative to the shared folder */
  isIgnored(path: string, isFolder: boolean): boolean | undefined {
    const inside = this.#folderPath === "" ? path : path.slice(this.#folderPath.length + 1);
    const { ignored, unignored } = this.#rules.test(isFolder ? `${inside}/` : inside);
    if (ignored) return true;
    return unignored ? false : this.#above?.isIgnored(path, isFolder);
  }
}

/** @param path relative to the shared folder */
export function isIgnored(
  rules: IgnoreRules | undefined,
  path: string,
  name: string,
  isFolder: boolean,
): boolean {
  if (name === IGNORE_FILE_NAME) return true;
  return rules?.isIgnored(path, isFolder) ?? LITTER.test(name);
}
