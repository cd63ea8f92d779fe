// Two Syncthing processes on loopback, driven by their REST interface: one sends a folder, the other receives it.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { freePorts } from "../harness/processes.ts";
import { until } from "../harness/within.ts";

const API_KEY = "bench";
const FOLDER_ID = "tree";
const PATIENCE_MS = 300_000;

/** Such as "v1.19.2"; undefined where it is not installed. */
export function syncthingVersion(): string | undefined {
  try {
    const text = execFileSync("syncthing", ["--version"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return /syncthing (v\S+)/.exec(text)?.[1];
  } catch {
    return undefined;
  }
}

class Syncthing {
  readonly #child: ChildProcess;
  readonly #apiPort: number;
  readonly listenPort: number;
  readonly deviceId: string;

  private constructor(child: ChildProcess, apiPort: number, listenPort: number, deviceId: string) {
    this.#child = child;
    this.#apiPort = apiPort;
    this.listenPort = listenPort;
    this.deviceId = deviceId;
  }

  static async start(home: string): Promise<Syncthing> {
    mkdirSync(home, { recursive: true });
    const [apiPort = 0, listenPort = 0] = await freePorts(2);
    execFileSync("syncthing", ["generate", `--home=${home}`, "--no-default-folder"], { stdio: "ignore" });
    const deviceId = execFileSync("syncthing", [`--home=${home}`, "--device-id"], {
      encoding: "utf8",
    }).trim();
    const env = { ...process.env, STGUIAPIKEY: API_KEY, STNOUPGRADE: "1", STNODEFAULTFOLDER: "1" };
    const args = [
      "serve",
      `--home=${home}`,
      "--no-browser",
      "--no-restart",
      `--gui-address=127.0.0.1:${apiPort}`,
    ];
    const one = new Syncthing(
      spawn("syncthing", args, { env, stdio: "ignore" }),
      apiPort,
      listenPort,
      deviceId,
    );
    await until(
      () =>
        one.ask("GET", "system/ping").then(
          () => true,
          () => false,
        ),
      "Syncthing answers",
    );
    await one.ask("PATCH", "config/options", {
      listenAddresses: [`tcp://127.0.0.1:${listenPort}`],
      globalAnnounceEnabled: false,
      localAnnounceEnabled: false,
      relaysEnabled: false,
      natEnabled: false,
      urAccepted: -1,
      crashReportingEnabled: false,
      limitBandwidthInLan: false,
    });
    return one;
  }

  async ask(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(`http://127.0.0.1:${this.#apiPort}/rest/${path}`, {
      method,
      headers: { "X-API-Key": API_KEY, ...(body && { "content-type": "application/json" }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`Syncthing: ${method} ${path}: ${response.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  async knows(other: Syncthing): Promise<void> {
    await this.ask("PUT", `config/devices/${other.deviceId}`, {
      deviceID: other.deviceId,
      addresses: [`tcp://127.0.0.1:${other.listenPort}`],
    });
  }

  async has(path: string, type: "sendonly" | "receiveonly", other: Syncthing): Promise<void> {
    await this.ask("PUT", `config/folders/${FOLDER_ID}`, {
      id: FOLDER_ID,
      path,
      type,
      devices: [{ deviceID: other.deviceId }],
      fsWatcherEnabled: false,
      rescanIntervalS: 3600,
    });
  }

  /** Of the folder: how much is known, and how much is missing. */
  async status(): Promise<{ globalFiles: number; needFiles: number; state: string }> {
    return (await this.ask("GET", `db/status?folder=${FOLDER_ID}`)) as never;
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await ended;
  }
}

/** Seconds from the moment when the receiver gets the folder, which the sender has scanned, until it has all files. */
export async function syncthingSeconds(
  folder: string,
  fileCount: number,
  workplace: string,
): Promise<number> {
  const sender = await Syncthing.start(join(workplace, "syncthing-1"));
  const receiver = await Syncthing.start(join(workplace, "syncthing-2"));
  try {
    await sender.knows(receiver);
    await receiver.knows(sender);
    await sender.has(folder, "sendonly", receiver);
    await until(
      async () => {
        const { globalFiles, state } = await sender.status();
        return globalFiles === fileCount && state === "idle";
      },
      "Syncthing has scanned the folder",
      PATIENCE_MS,
    );
    const destination = join(workplace, "syncthing-copy");
    mkdirSync(destination);
    const startedMs = performance.now();
    await receiver.has(destination, "receiveonly", sender);
    await until(
      async () => {
        const { globalFiles, needFiles, state } = await receiver.status();
        return globalFiles === fileCount && needFiles === 0 && state === "idle";
      },
      "Syncthing has the folder",
      PATIENCE_MS,
    );
    return (performance.now() - startedMs) / 1000;
  } finally {
    await sender.end();
    await receiver.end();
  }
}
