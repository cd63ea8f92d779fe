// What a test needs of the machine: where it is missing, the test is skipped with the reason, and in CI, where nothing
// may be skipped, it runs and fails.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { postgresPrograms } from "./postgres.ts";

const SKIP_NOTHING = process.env.MINITORRENT_SKIP_NOTHING === "1";

/** The reason to skip a test that makes network namespaces; false where it can run. */
export function withoutNetworkNamespaces(): string | false {
  if (SKIP_NOTHING) return false;
  if (process.getuid?.() !== 0) return "needs root to make network namespaces";
  return has("ip", "-V") ? false : "needs the command ip (Debian package iproute2)";
}

/** The reason to skip a test that makes certificates of odd kinds; false where it can run. */
export function withoutOpenssl(): string | false {
  return SKIP_NOTHING || has("openssl", "version")
    ? false
    : "needs the command openssl (Debian package openssl)";
}

/** The reason to skip a test that mounts a small disk; false where it can run. */
export function withoutMounts(): string | false {
  if (SKIP_NOTHING) return false;
  return process.getuid?.() === 0 ? false : "needs root to mount a small disk";
}

/** The reason to skip a test that types at a terminal; false where it can run. */
export function withoutTmux(): string | false {
  return SKIP_NOTHING || has("tmux", "-V") ? false : "needs tmux (Debian package tmux)";
}

/** The reason to skip a test that runs examples with curl; false where it can run. */
export function withoutCurl(): string | false {
  return SKIP_NOTHING || has("curl", "--version") ? false : "needs curl (Debian package curl)";
}

/** The reason to skip a test of completion in that shell; false where it can run. */
export function withoutShell(shell: "bash" | "zsh" | "fish"): string | false {
  return SKIP_NOTHING || has(shell, "--version") ? false : `needs ${shell} (Debian package ${shell})`;
}

/** The reason to skip a check of a systemd unit; false where it can run. */
export function withoutSystemd(): string | false {
  return SKIP_NOTHING || has("systemd-analyze", "--version")
    ? false
    : "needs systemd (Debian package systemd)";
}

/** Where the browser is: Debian's Chromium. */
export function chromiumPath(): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.map((folder) => join(folder, "chromium")).find((path) => existsSync(path));
}

/** The reason to skip a test in a browser; false where it can run. */
export function withoutChromium(): string | false {
  return SKIP_NOTHING || chromiumPath() !== undefined ? false : "needs chromium (Debian package chromium)";
}

/** Debian's Python, which Debian's python3-libtorrent is for. */
export const PYTHON = "/usr/bin/python3";

/** The reason to skip a test with a libtorrent peer; false where it can run. */
export function withoutLibtorrent(): string | false {
  if (SKIP_NOTHING || has(PYTHON, "-c", "import libtorrent")) return false;
  return "needs libtorrent for Python (Debian package python3-libtorrent)";
}

/** The reason to skip a test with a PostgreSQL server; false where it can run. */
export function withoutPostgres(): string | false {
  return SKIP_NOTHING || postgresPrograms() !== undefined
    ? false
    : "needs PostgreSQL (Debian package postgresql)";
}

function has(command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
