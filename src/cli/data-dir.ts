// Where client and tracker keep what must survive a restart, unless --data-dir says otherwise: the XDG data folder.
import { isAbsolute, join } from "node:path";
import { MiniTorrentError } from "../api/errors.ts";
import { homeFolder } from "./command-line.ts";

/**
 * A relative XDG_DATA_HOME is ignored, as the XDG Base Directory Specification ("Basics") requires.
 *
 * @throws MiniTorrentError USAGE if there is no home folder
 */
export function defaultDataDir(
  part: string,
  env: NodeJS.ProcessEnv = process.env,
  home: () => string = homeFolder,
): string {
  const given = env.XDG_DATA_HOME ?? "";
  const base = isAbsolute(given) ? given : join(home(), ".local", "share");
  // With HOME="" the path would be relative to the current folder.
  if (!isAbsolute(base)) {
    throw new MiniTorrentError(
      "USAGE",
      "There is no home folder (HOME is empty), so there is no default data directory; set HOME, or give --data-dir.",
    );
  }
  return join(base, "minitorrent", part);
}
