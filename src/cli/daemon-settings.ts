// How a daemon is set up: a flag counts before an environment variable, that before the config file, that before the default.
// Flags are `--name`, variables MINITORRENT_NAME, and the file has `name = value` lines, in $XDG_CONFIG_HOME/minitorrent/daemon.conf.
import { readFileSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { type Address, parseAddress } from "../api/addresses.ts";
import { asMiniTorrentError, MiniTorrentError } from "../api/errors.ts";
import type { WebOptions } from "../daemon/web-server.ts";
import { errnoOf } from "../net/errno.ts";
import { LOG_LEVELS, type LogLevel, logLevelOf } from "./arguments.ts";
import { parseRate, parseSize } from "./byte-amounts.ts";
import { expandHome, homeFolder } from "./command-line.ts";
import { defaultDataDir } from "./data-dir.ts";
import { credentialPath, readFirstLine } from "./password-file.ts";

/** Where peers reach the client, if nothing says otherwise: all addresses of this machine, any free port. */
const DEFAULT_LISTEN: Address = { host: "0.0.0.0", port: 0 };

/** The names of settings, as flags have them, and what each is. */
export const DAEMON_SETTINGS = {
  listen: "where to listen for peers, such as 192.0.2.7:6881; default: any free port of all addresses",
  trackers:
    "the file with the trackers' addresses, tracker_info.txt; without it the daemon uses those that it is told (minitorrent trackers set, or an invite)",
  "data-dir": "folder for keys, shares and downloads",
  web: "loopback address of the API over TCP, such as 127.0.0.1:7411; without it, it answers over TCP once minitorrent web has asked for the page",
  "web-hosts":
    "further names that a browser may use, separated by commas; with the port if it is another one there: nas.lan, localhost:9000",
  roots:
    "folders that calls over TCP may name paths in, separated by commas; default: the home folder, without what is hidden",
  folder: "where downloads and uploads of the page go if nothing else is said; default: ~/miniTorrent",
  user: "account that the daemon logs in as whenever it has no session; default: the systemd credential minitorrent-user",
  "password-file":
    "a file whose first line is that account's password, readable by you alone; default: the systemd credential minitorrent-password",
  memory: "maximum memory for pieces in transit, such as 64MiB (default 96MiB)",
  "limit-up": "maximum upload rate, such as 5MB/s",
  "limit-down": "maximum download rate",
  "log-level": `${LOG_LEVELS.join(", ")} (default info)`,
  "log-file":
    "where to log; one older file is kept as FILE.1. Default: daemon.log in the data folder, in the foreground stderr",
} as const;

export type SettingName = keyof typeof DAEMON_SETTINGS;
export type GivenSettings = Partial<Record<SettingName, string>>;

export interface DaemonSettings {
  readonly listen: Address;
  /** Path of tracker_info.txt. */
  readonly trackers: string | undefined;
  /** Absolute. */
  readonly dataDir: string;
  readonly web: Omit<WebOptions, "findPage">;
  /** Absolute. */
  readonly folder: string | undefined;
  /** What it logs in with whenever it has no session. */
  readonly login: { readonly userId: string; readonly passwordFile: string } | undefined;
  readonly memoryBytes: number | undefined;
  readonly limits: { readonly up: number | undefined; readonly down: number | undefined };
  readonly logLevel: LogLevel;
  /** Absolute. */
  readonly logFile: string | undefined;
}

/** The data directory alone, which is all that a command needs to find its daemon. Absolute. */
export function dataDirFrom(flags: GivenSettings, env: NodeJS.ProcessEnv, home = homeFolder): string {
  const given = valuesFrom(flags, env, home)["data-dir"];
  return given === undefined ? defaultDataDir("daemon", env, home) : resolve(expandHome(given.value, home()));
}

/**
 * @throws MiniTorrentError USAGE, INVALID_ARGUMENT, INVALID_ADDRESS: which setting is wrong, and where it was given
 */
export function daemonSettings(
  flags: GivenSettings,
  env: NodeJS.ProcessEnv,
  home = homeFolder,
): DaemonSettings {
  const values = valuesFrom(flags, env, home);
  const read = <T>(name: SettingName, parse: (text: string) => T): T | undefined => {
    const given = values[name];
    if (given === undefined) return undefined;
    try {
      return parse(given.value);
    } catch (error) {
      const { code, message } = asMiniTorrentError(error);
      throw new MiniTorrentError(code, `${given.source}: ${message}`, { cause: error });
    }
  };
  const pathOf = (path: string): string => resolve(expandHome(path, home()));
  return {
    listen: read("listen", (text) => parseAddress(text, true)) ?? DEFAULT_LISTEN,
    trackers: read("trackers", pathOf),
    dataDir: dataDirFrom(flags, env, home),
    web: webOf(
      read("web", (text) => parseAddress(text, true)),
      read("web-hosts", listOf) ?? [],
      read("roots", listOf),
      home(),
    ),
    folder: read("folder", pathOf),
    login: loginOf(
      read("user", (text) => text),
      read("password-file", pathOf),
      env,
    ),
    memoryBytes: read("memory", parseSize),
    limits: { up: read("limit-up", parseRate), down: read("limit-down", parseRate) },
    logLevel: read("log-level", logLevelOf) ?? "info",
    logFile: read("log-file", pathOf),
  };
}

function webOf(
  address: Address | undefined,
  hostNames: readonly string[],
  roots: readonly string[] | undefined,
  home: string,
): DaemonSettings["web"] {
  const given = roots?.map((path) => resolve(expandHome(path, home)));
  return { address, hostNames, roots: given ?? (home === "" ? [] : [home]) };
}

/** @throws MiniTorrentError USAGE if one is given without the other; INVALID_ARGUMENT for a credential that cannot be read */
function loginOf(
  givenUser: string | undefined,
  givenPasswordFile: string | undefined,
  env: NodeJS.ProcessEnv,
): DaemonSettings["login"] {
  const userFile = givenUser === undefined ? credentialPath("minitorrent-user", env) : undefined;
  const userId = userFile === undefined ? givenUser : readFirstLine(userFile, "user", env);
  const passwordFile = givenPasswordFile ?? credentialPath("minitorrent-password", env);
  if (userId === undefined && passwordFile === undefined) return undefined;
  if (userId !== undefined && passwordFile !== undefined) return { userId, passwordFile };
  const missing =
    userId === undefined
      ? "account that the password is of: give --user, or the credential minitorrent-user"
      : `password of ${userId}: give --password-file, or the credential minitorrent-password`;
  throw new MiniTorrentError("USAGE", `The daemon does not know the ${missing}.`);
}

function listOf(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

interface Given {
  readonly value: string;
  /** Where it stands, for error messages. */
  readonly source: string;
}

function valuesFrom(
  flags: GivenSettings,
  env: NodeJS.ProcessEnv,
  home: () => string,
): Partial<Record<SettingName, Given>> {
  const file = configFile(env, home);
  const values: Partial<Record<SettingName, Given>> = {};
  for (const name of Object.keys(DAEMON_SETTINGS) as SettingName[]) {
    const variable = `MINITORRENT_${name.toUpperCase().replaceAll("-", "_")}`;
    const [flag, fromEnv] = [flags[name], env[variable]];
    if (flag !== undefined) values[name] = { value: flag, source: `--${name}` };
    else if (fromEnv !== undefined && fromEnv !== "") values[name] = { value: fromEnv, source: variable };
    else if (file[name] !== undefined) values[name] = file[name];
  }
  return values;
}

/** @throws MiniTorrentError INVALID_ARGUMENT, which names the line */
function configFile(env: NodeJS.ProcessEnv, home: () => string): Partial<Record<SettingName, Given>> {
  const given = env.XDG_CONFIG_HOME ?? "";
  const base = isAbsolute(given) ? given : join(home(), ".config");
  // With HOME="" the path would be relative to the current folder, whose files may be anybody's.
  if (!isAbsolute(base)) return {};
  const path = join(base, "minitorrent", "daemon.conf");
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return {};
    throw new MiniTorrentError("INVALID_ARGUMENT", `${path} cannot be read: ${String(error)}.`, {
      cause: error,
    });
  }
  const values: Partial<Record<SettingName, Given>> = {};
  for (const [index, line] of text.split("\n").entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const [, name, value] = /^\s*([a-z-]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    const source = `${path}, line ${index + 1}`;
    if (name === undefined || value === undefined || !Object.hasOwn(DAEMON_SETTINGS, name)) {
      const names = Object.keys(DAEMON_SETTINGS).join(", ");
      throw new MiniTorrentError(
        "INVALID_ARGUMENT",
        `${source}: expected is name = value, with one of ${names}.`,
      );
    }
    values[name as SettingName] = { value, source };
  }
  return values;
}
