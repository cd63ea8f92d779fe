// What the figures were measured on and with, for whoever compares them.
import { execFileSync } from "node:child_process";
import { availableParallelism, cpus, release, totalmem } from "node:os";
import { libtorrentVersion } from "./libtorrent.ts";

export interface MachineFacts {
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly linux: string;
  readonly node: string;
  readonly openssl: string | undefined;
  readonly libtorrent: string | undefined;
  readonly aria2: string | undefined;
  /** The commit that was measured; with `+` if files differed from it. */
  readonly commit: string | undefined;
}

export function machineFacts(): MachineFacts {
  const commit = firstLine("git", "rev-parse", "--short", "HEAD");
  const isChanged = (firstLine("git", "status", "--porcelain", "--untracked-files=no") ?? "") !== "";
  return {
    processor: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    // A builder's own suffix says nothing to others.
    linux: release().split("-")[0] ?? "unknown",
    node: process.version,
    openssl: firstLine("openssl", "version"),
    libtorrent: libtorrentVersion(),
    aria2: firstLine("aria2c", "--version"),
    commit: commit === undefined ? undefined : `${commit}${isChanged ? "+" : ""}`,
  };
}

function firstLine(command: string, ...args: string[]): string | undefined {
  try {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).split(
      "\n",
    )[0];
  } catch {
    return undefined;
  }
}
