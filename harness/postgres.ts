// A PostgreSQL server of Debian's package for tests and benchmarks, with its data in a temporary folder, on a free port of loopback.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "./processes.ts";

const VERSIONS = "/usr/lib/postgresql";
const START_TIMEOUT_MS = 30_000;
const START_PAUSE_MS = 50;

/** The folder of its programs, of the newest version that is installed. */
export function postgresPrograms(): string | undefined {
  const versions = existsSync(VERSIONS) ? readdirSync(VERSIONS).sort((a, b) => Number(b) - Number(a)) : [];
  return versions
    .map((version) => join(VERSIONS, version, "bin"))
    .find((path) => existsSync(join(path, "postgres")));
}

export class PostgresServer {
  readonly port: number;
  readonly #folder: string;
  readonly #programs: string;
  /** PostgreSQL refuses to run as root. */
  readonly #user: { uid?: number; gid?: number };
  readonly #isDurable: boolean;
  #process: ChildProcess | undefined;
  #databases = 0;

  private constructor(port: number, folder: string, programs: string, isDurable: boolean) {
    this.port = port;
    this.#folder = folder;
    this.#programs = programs;
    this.#isDurable = isDurable;
    this.#user = process.getuid?.() === 0 ? idsOf("postgres") : {};
  }

  /** @param isDurable whether commits wait for the disk, as they do for everybody but tests */
  static async start(isDurable = false): Promise<PostgresServer> {
    const programs = postgresPrograms();
    if (programs === undefined) throw new Error("there is no PostgreSQL (Debian package postgresql)");
    const [port = 0] = await freePorts(1);
    const folder = mkdtempSync(join(tmpdir(), "postgres-"));
    const server = new PostgresServer(port, folder, programs, isDurable);
    try {
      if (server.#user.uid !== undefined) chownSync(folder, server.#user.uid, server.#user.gid ?? -1);
      const flags = ["-D", server.#dataDir, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"];
      execFileSync(join(programs, "initdb"), flags, { ...server.#user, cwd: folder, stdio: "ignore" });
      await server.run();
      return server;
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  get #dataDir(): string {
    return join(this.#folder, "data");
  }

  /** A new, empty database. */
  async database(): Promise<string> {
    const name = `test${++this.#databases}`;
    execFileSync(join(this.#programs, "createdb"), [
      "-h",
      "127.0.0.1",
      "-p",
      String(this.port),
      "-U",
      "postgres",
      name,
    ]);
    return this.urlOf(name);
  }

  urlOf(name: string): string {
    return `postgres://postgres@127.0.0.1:${this.port}/${name}`;
  }

  /** Runs it, for the first time or after `kill`. */
  async run(): Promise<void> {
    const settings = ["listen_addresses=127.0.0.1", `port=${this.port}`, "unix_socket_directories="];
    if (!this.#isDurable) settings.push("fsync=off", "synchronous_commit=off", "full_page_writes=off");
    const flags = ["-D", this.#dataDir, ...settings.flatMap((setting) => ["-c", setting])];
    this.#process = spawn(join(this.#programs, "postgres"), flags, {
      ...this.#user,
      cwd: this.#folder,
      stdio: "ignore",
    });
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (!this.#answers()) {
      if (performance.now() > deadline || this.#process.exitCode !== null)
        throw new Error("PostgreSQL does not start");
      await sleep(START_PAUSE_MS);
    }
  }

  #answers(): boolean {
    try {
      const flags = ["-h", "127.0.0.1", "-p", String(this.port), "-t", "1"];
      execFileSync(join(this.#programs, "pg_isready"), flags, { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  }

  /** Ends it at once: SIGQUIT, as after a crash, with SIGKILL for its workers by itself. */
  async kill(): Promise<void> {
    const server = this.#process;
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, "exit");
    server.kill("SIGQUIT");
    await ended;
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function idsOf(user: string): { uid: number; gid: number } {
  const id = (flag: string) => Number(execFileSync("id", [flag, user], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}
