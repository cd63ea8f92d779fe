// Real trackers and clients as processes, driven over stdin and read as JSON: for the demo, the system tests and the
// benchmarks. Every process is started through the launcher that a person would use, and ended by its own id.
import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { get } from "node:https";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { z } from "zod";
import { PATIENCE_MS, within } from "./within.ts";

const ROOT = join(import.meta.dirname, "..");

const lineSchema = z.union([
  z.object({ event: z.string() }).loose(),
  z
    .object({
      command: z.string(),
      ok: z.boolean(),
      result: z.unknown().optional(),
      code: z.string().optional(),
      error: z.string().optional(),
    })
    .loose(),
]);

const healthSchema = z.object({
  trackerId: z.string(),
  digest: z.string(),
  isServing: z.boolean(),
  cannotWrite: z.object({ reason: z.string(), sentence: z.string() }).nullable(),
  clientsOnline: z.number(),
  links: z.array(z.object({ address: z.string(), state: z.string() }).loose()),
});
export type Health = z.infer<typeof healthSchema>;

export type EventLine = { readonly event: string } & Readonly<Record<string, unknown>>;
export interface Answer {
  readonly command: string;
  readonly ok: boolean;
  readonly result?: unknown;
  readonly code?: string;
  readonly error?: string;
}

export interface ProcessOptions {
  /** Words that go before the launcher, such as `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Words that go after the launcher's own arguments, such as `--limit groupsPerUser=3`. */
  readonly arguments?: readonly string[];
}

/** Below what systems give to outgoing connections (32768 on Linux): such a port stays free while a tracker is away. */
const PORTS = { from: 15_000, before: 32_000 };

/** Ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  while (found.size < count) {
    const port = randomInt(PORTS.from, PORTS.before);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    found.add(port);
  }
  return [...found];
}

function launch(launcher: string, args: readonly string[], options: ProcessOptions): ChildProcess {
  const [command = "", ...rest] = [
    ...(options.prefix ?? []),
    join(ROOT, launcher),
    ...args,
    ...(options.arguments ?? []),
  ];
  return spawn(command, rest, { stdio: ["pipe", "pipe", "pipe"], env: options.env ?? process.env });
}

/** What both kinds of process have: an end that can be waited for, and what they wrote to stderr. */
class DrivenProcess {
  readonly child: ChildProcess;
  /** Exit code, or undefined after a signal. */
  readonly ended: Promise<number | undefined>;
  #stderr = "";

  constructor(child: ChildProcess) {
    this.child = child;
    this.ended = new Promise((resolve) => child.once("exit", (code) => resolve(code ?? undefined)));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr += text;
    });
    // A process that was killed closes its pipe while something is still being written to it.
    child.stdin?.on("error", () => undefined);
  }

  get stderr(): string {
    return this.#stderr;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    await this.ended;
  }
}

export class TrackerProcess extends DrivenProcess {
  readonly address: string;

  private constructor(child: ChildProcess, address: string) {
    super(child);
    this.address = address;
  }

  /** Starts a tracker and resolves when it serves. */
  static async start(
    trackerInfo: string,
    trackerNumber: number,
    dataDir: string,
    options: ProcessOptions = {},
  ): Promise<TrackerProcess> {
    const tracker = new TrackerProcess(
      launch("tracker", [trackerInfo, String(trackerNumber), "--data-dir", dataDir], options),
      readFileSync(trackerInfo, "utf8").split("\n")[trackerNumber - 1]?.split(" ")[0] ?? "",
    );
    const { stdout } = tracker.child;
    if (stdout === null) throw new Error("no stdout");
    const line = await within(
      Promise.race([once(stdout, "data"), tracker.ended]),
      () => `tracker ${trackerNumber} to start: ${tracker.stderr}`,
    );
    if (!Array.isArray(line)) throw new Error(`The tracker ended with ${line}: ${tracker.stderr}`);
    stdout.resume();
    return tracker;
  }

  /** What /health says. */
  async health(): Promise<Health> {
    return healthSchema.parse(JSON.parse(await fetchInsecure(`https://${this.address}/health`)));
  }

  /** What /metrics says, in the text format of Prometheus. */
  metrics(): Promise<string> {
    return fetchInsecure(`https://${this.address}/metrics`);
  }

  /** The digest of its registry, from /health: equal at trackers that hold the same. */
  async digest(): Promise<string> {
    return (await this.health()).digest;
  }

  /** `quit` at its console. */
  async quit(): Promise<number | undefined> {
    this.child.stdin?.write("quit\n");
    return this.ended;
  }
}

export class ClientProcess extends DrivenProcess {
  readonly events: EventLine[] = [];
  readonly #answers: ((answer: Answer) => void)[] = [];
  readonly #watchers = new Set<() => void>();

  private constructor(child: ChildProcess) {
    super(child);
    if (child.stdout === null) throw new Error("no stdout");
    createInterface({ input: child.stdout }).on("line", (line) => this.#read(line));
    void this.ended.then(() => {
      for (const answered of this.#answers.splice(0)) {
        answered({ command: "", ok: false, code: "ENDED", error: `The client ended: ${this.stderr}` });
      }
      for (const watcher of this.#watchers) watcher();
    });
  }

  static start(args: readonly string[], options: ProcessOptions = {}): ClientProcess {
    return new ClientProcess(launch("client", [...args, "--json"], options));
  }

  /** One command; resolves with its answer, whether it went well or not. */
  async run(command: string, patienceMs = PATIENCE_MS): Promise<Answer> {
    const answer = new Promise<Answer>((resolve) => this.#answers.push(resolve));
    this.child.stdin?.write(`${command}\n`);
    return within(answer, () => `an answer to '${command}'`, patienceMs);
  }

  /** One command that must go well; resolves with its result. */
  async must(command: string, patienceMs = PATIENCE_MS): Promise<unknown> {
    const answer = await this.run(command, patienceMs);
    if (!answer.ok) throw new Error(`${command}: ${answer.code} ${answer.error}`);
    return answer.result;
  }

  /** The first event, past or to come, for which that holds. */
  async event(isMeant: (event: EventLine) => boolean, patienceMs = PATIENCE_MS): Promise<EventLine> {
    const found = new Promise<EventLine>((resolve, reject) => {
      const look = () => {
        const event = this.events.find(isMeant);
        const hasEnded = this.child.exitCode !== null || this.child.signalCode !== null;
        if (event === undefined && !hasEnded) return;
        this.#watchers.delete(look);
        if (event === undefined) reject(new Error(`The client ended before the event: ${this.stderr}`));
        else resolve(event);
      };
      this.#watchers.add(look);
      look();
    });
    return within(found, () => `an event; there were ${JSON.stringify(this.events)}`, patienceMs);
  }

  /** End of input: the client finishes its downloads, logs out and ends. Resolves with its exit code. */
  async finish(): Promise<number | undefined> {
    this.child.stdin?.end();
    return within(this.ended, () => "the client to end");
  }

  #read(line: string): void {
    const parsed = lineSchema.parse(JSON.parse(line));
    if (isEvent(parsed)) {
      this.events.push(parsed);
      for (const watcher of [...this.#watchers]) watcher();
    } else {
      const { command, ok, result, code, error } = parsed;
      this.#answers.shift()?.({
        command,
        ok,
        ...(result === undefined ? {} : { result }),
        ...(code === undefined ? {} : { code }),
        ...(error === undefined ? {} : { error }),
      });
    }
  }
}

/** A tracker's certificate is self-signed; what /health says is no secret, and nothing is sent. */
function fetchInsecure(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = get(url, { rejectUnauthorized: false, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      response.on("end", () => resolve(body));
    });
    asked.on("error", reject);
  });
}

function isEvent(line: z.infer<typeof lineSchema>): line is EventLine {
  return "event" in line;
}
