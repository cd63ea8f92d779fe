// `minitorrent daemon`: the daemon in this process, or started by this one in the background.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { asMiniTorrentError, MiniTorrentError } from "../api/errors.ts";
import type { Account } from "../api/schemas.ts";
import { Client } from "../client/client.ts";
import { ApiClient } from "../daemon/api-client.ts";
import { Daemon } from "../daemon/daemon.ts";
import { findPage } from "../daemon/page-folder.ts";
import { socketPathOf } from "../daemon/socket-path.ts";
import { versionText } from "./arguments.ts";
import { collectGarbage } from "./collect-garbage.ts";
import { type DaemonSettings, daemonSettings, type GivenSettings } from "./daemon-settings.ts";
import { onEndSignals, programEnd } from "./end-signals.ts";
import { LogStream } from "./log-stream.ts";
import { readPasswordFile } from "./password-file.ts";
import { programLog } from "./program-log.ts";
import type { ProgramConsole, ProgramProcess } from "./program-process.ts";
import { readTrackerInfo } from "./tracker-info.ts";

const STDERR = 2;
const MOST_LINES_IN_INTERVAL = 100;
/** How long a daemon in the background may take until it answers: it opens its profile, and checks its files. */
const START_TIMEOUT_MS = 60_000;
const START_PAUSE_MS = 50;

/** Runs until a signal ends it, or `minitorrent stop`. */
export async function runDaemon(
  process: ProgramProcess,
  console: ProgramConsole,
  flags: GivenSettings,
): Promise<number> {
  const settings = daemonSettings(flags, process.env);
  const trackers = settings.trackers === undefined ? undefined : readTrackerInfo(settings.trackers);
  // What cannot be read is said at once, not when a tracker answers.
  if (settings.login !== undefined) readPasswordFile(settings.login.passwordFile, process.env);
  const ending = new AbortController();
  onEndSignals(process, programEnd({ ending, exit: (code) => process.exit(code) }));
  const log = programLog({
    level: settings.logLevel,
    to: new LogStream(settings.logFile ?? STDERR),
    mostInInterval: MOST_LINES_IN_INTERVAL,
  });
  const daemon = await Daemon.start({
    dataDir: settings.dataDir,
    version: versionText(),
    env: process.env,
    log,
    ...(trackers === undefined ? {} : { trackers }),
    web: { ...settings.web, findPage: () => findPage(log) },
    ...(settings.folder === undefined ? {} : { folder: settings.folder }),
    ...(settings.login === undefined ? {} : { credentials: credentialsOf(settings.login, process.env) }),
    onStop: () => ending.abort(),
    openClient: (options) =>
      Client.open({
        ...options,
        collectGarbage,
        listen: settings.listen,
        limits: settings.limits,
        ...(settings.memoryBytes === undefined ? {} : { memoryBytes: settings.memoryBytes }),
      }),
  });
  console.log(
    `The daemon answers at ${daemon.socketPath}; trackers: ${daemon.trackers.join(", ") || "none yet"}. ` +
      nextStep(daemon.account, daemon.trackers.length > 0, settings),
  );
  if (!ending.signal.aborted) {
    await new Promise((resolve) => ending.signal.addEventListener("abort", resolve, { once: true }));
  }
  await daemon.close();
  return 0;
}

/**
 * Starts a daemon that outlives this process, and waits until it answers.
 *
 * @param command the program and its arguments that run the daemon in the foreground; the flags follow them
 * @throws MiniTorrentError DATA_DIR_IN_USE if one runs already; what the daemon says if it ends
 */
export async function startInBackground(
  process: ProgramProcess,
  console: ProgramConsole,
  flags: GivenSettings,
  command: readonly [string, ...string[]],
): Promise<number> {
  const settings = daemonSettings(flags, process.env);
  const api = new ApiClient({ socketPath: socketPathOf(settings.dataDir, process.env) });
  const running = await api.call("status", {}).catch(() => undefined);
  if (running !== undefined) {
    throw new MiniTorrentError(
      "DATA_DIR_IN_USE",
      `The daemon of ${settings.dataDir} runs already, with process id ${running.daemon.pid}; minitorrent stop ends it.`,
    );
  }
  // Wrong settings are said here, not in a log.
  if (settings.trackers !== undefined) readTrackerInfo(settings.trackers);
  if (settings.login !== undefined) readPasswordFile(settings.login.passwordFile, process.env);
  mkdirSync(settings.dataDir, { recursive: true, mode: 0o700 });
  const logPath = settings.logFile ?? join(settings.dataDir, "daemon.log");
  mkdirSync(dirname(logPath), { recursive: true, mode: 0o700 });
  // The daemon finds what this process has compiled: it starts sooner, and needs no compiler in its memory.
  flushCompileCache();
  const childFlags = Object.entries({ ...flags, "log-file": logPath });
  const child = spawnDetached(
    [...command, ...childFlags.map(([name, value]) => `--${name}=${value}`)],
    process.env,
    logPath,
  );
  const status = await untilItAnswers(api, child, logPath, settings);
  child.unref();
  console.log(
    `The daemon runs in the background, with process id ${status.daemon.pid}; it logs to ${logPath}. ` +
      nextStep(status.account, status.trackersKnown, settings),
  );
  return 0;
}

/** Who is logged in, or what a person does next. */
function nextStep(
  account: Account | undefined,
  trackersKnown: boolean,
  { login }: Pick<DaemonSettings, "login">,
): string {
  if (!trackersKnown) {
    return "It knows no trackers yet: minitorrent join <invite>, or minitorrent trackers set tracker_info.txt.";
  }
  if (account !== undefined) return `Logged in as ${account.userId}.`;
  return login === undefined
    ? "Log in with: minitorrent login <user_id>"
    : `It logs in as ${login.userId} by itself; minitorrent status says when it has.`;
}

function credentialsOf(
  { userId, passwordFile }: NonNullable<DaemonSettings["login"]>,
  env: NodeJS.ProcessEnv,
) {
  return { userId, readPassword: () => readPasswordFile(passwordFile, env) };
}

/** The daemon bounds what it logs to the file (log-stream.ts); its stderr, such as the stack of a crash, goes to the same file. */
function spawnDetached(
  [program, ...given]: readonly [string, ...string[]],
  env: NodeJS.ProcessEnv,
  logPath: string,
): ChildProcess {
  const log = openSync(logPath, "a", 0o600);
  try {
    return spawn(program, given, { detached: true, stdio: ["ignore", "ignore", log], env });
  } finally {
    closeSync(log);
  }
}

async function untilItAnswers(
  api: ApiClient,
  child: ChildProcess,
  logPath: string,
  settings: DaemonSettings,
) {
  const untilMs = performance.now() + START_TIMEOUT_MS;
  let failure: Error | undefined;
  child.on("error", (error) => {
    failure = error;
  });
  for (;;) {
    const status = await api.call("status", {}).catch(asMiniTorrentError);
    if (!(status instanceof MiniTorrentError)) return status;
    if (failure !== undefined) {
      throw new MiniTorrentError("INTERNAL", `The daemon cannot be started: ${failure.message}.`, {
        cause: failure,
      });
    }
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new MiniTorrentError(
        "DAEMON_UNREACHABLE",
        `The daemon ended as it started; ${logPath} says why.`,
      );
    }
    if (performance.now() > untilMs) {
      throw new MiniTorrentError(
        "DAEMON_UNREACHABLE",
        `The daemon of ${settings.dataDir} does not answer after ${START_TIMEOUT_MS / 1_000} s; ${logPath} says more.`,
      );
    }
    await sleep(START_PAUSE_MS);
  }
}
