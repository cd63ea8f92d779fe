// `minitorrent web`: a link to the daemon's page, opened in a browser where there is a display.
import { spawn } from "node:child_process";
import { join } from "node:path";
import type { ApiClient } from "../daemon/api-client.ts";
import { writePrivate } from "../identity/private-files.ts";

/** In the data directory; what it holds opens nothing once the link was used. */
const REDIRECT_FILE = "open-page.html";

export interface PageOpening {
  readonly env: NodeJS.ProcessEnv;
  readonly api: ApiClient;
  readonly dataDir: string;
  readonly log: (line: string) => void;
  /** Opens a file with the program that the system has for it. @returns false if there is none */
  readonly openFile: (path: string) => Promise<boolean>;
}

/** Says a link to the page, and opens it unless `isShownOnly`. @throws MiniTorrentError DAEMON_UNREACHABLE */
export async function openPage(
  { env, api, dataDir, log, openFile }: PageOpening,
  isShownOnly: boolean,
): Promise<void> {
  const { url } = await api.call("createLink", {});
  log("This link opens the page once, within two minutes:");
  log(url);
  if (isShownOnly) return;
  if (hasDisplay(env) && (await openFile(redirectTo(url, dataDir))))
    log("It is being opened in your browser.");
  else log(howToReach(new URL(url), env));
}

/** Whoever works over SSH sits at another machine. */
function hasDisplay(env: NodeJS.ProcessEnv, platform = process.platform): boolean {
  if (isSet(env.SSH_CONNECTION)) return false;
  return platform === "darwin" || platform === "win32" || isSet(env.DISPLAY) || isSet(env.WAYLAND_DISPLAY);
}

/** The link in a private file: every user of the machine can read the arguments of a program, and could open it first. */
function redirectTo(url: string, dataDir: string): string {
  const path = join(dataDir, REDIRECT_FILE);
  writePrivate(
    path,
    `<!doctype html><meta charset="utf-8"><title>miniTorrent</title><meta http-equiv="refresh" content="0;url=${url}"><a href="${url}">miniTorrent</a>\n`,
  );
  return path;
}

function howToReach({ port, host }: URL, env: NodeJS.ProcessEnv): string {
  // "client-address client-port server-address server-port": ssh(1)
  const server = env.SSH_CONNECTION?.split(" ")[2];
  const login = server === undefined ? "user@this-machine" : [env.USER, server].filter(isSet).join("@");
  return `No browser is opened from here. At another machine, first run: ssh -L ${port}:${host} ${login}`;
}

function isSet(value: string | undefined): value is string {
  return value !== undefined && value !== "";
}

/** Opens a file with the program that the desktop has for it. */
export function openWithDesktop(path: string): Promise<boolean> {
  const program = { darwin: "open", win32: "explorer" }[process.platform as string] ?? "xdg-open";
  return new Promise((resolve) => {
    const opener = spawn(program, [path], { detached: true, stdio: "ignore" });
    opener.once("error", () => resolve(false));
    opener.once("spawn", () => {
      opener.unref();
      resolve(true);
    });
  });
}
