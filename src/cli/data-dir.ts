// Where client and tracker keep what must survive a restart, unless --data-dir says otherwise: the XDG data folder.
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

/** The specification says that a relative path is to be ignored (XDG Base Directory Specification, "Basics"). */
export function defaultDataDir(part: string, env: NodeJS.ProcessEnv = process.env): string {
  const given = env.XDG_DATA_HOME ?? "";
  const base = isAbsolute(given) ? given : join(homedir(), ".local", "share");
  return join(base, "minitorrent", part);
}
