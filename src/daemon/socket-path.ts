// Where a daemon's Unix socket is: in the user's runtime folder, which only they can open; without one, in the data directory.
import { createHash } from "node:crypto";
import { isAbsolute, join } from "node:path";
import { MiniTorrentError } from "../api/errors.ts";

/** unix(7): sun_path has 108 bytes with its final zero; macOS has 104. */
const MOST_PATH_BYTES = 103;

/**
 * Daemon and commands find the same path from the same data directory.
 *
 * @param dataDir absolute
 * @throws MiniTorrentError INVALID_ARGUMENT if the path is too long for a socket
 */
export function socketPathOf(dataDir: string, env: NodeJS.ProcessEnv = process.env): string {
  const runtime = env.XDG_RUNTIME_DIR ?? "";
  const name = createHash("sha256").update(dataDir).digest("hex").slice(0, 12);
  const path = isAbsolute(runtime)
    ? join(runtime, "minitorrent", `${name}.sock`)
    : join(dataDir, "daemon.sock");
  if (Buffer.byteLength(path) <= MOST_PATH_BYTES) return path;
  throw new MiniTorrentError(
    "INVALID_ARGUMENT",
    `${path} is too long for a socket; set XDG_RUNTIME_DIR to a folder of yours, or give a shorter --data-dir.`,
  );
}
