// A scene for tests and benchmarks: a temporary folder with trackers and clients in it, all of it gone when it is
// disposed of. Members are made, logged in and let into a group in one call.
import { execFileSync } from "node:child_process";
import { createHash, randomFillSync } from "node:crypto";
import {
  closeSync,
  createReadStream,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { ClientProcess, freePorts, type ProcessOptions, TrackerProcess } from "./processes.ts";
import { until } from "./within.ts";

const MIB = 1024 * 1024;
/** Longest that a download takes to the place at which a test looks at it. */
const DOWNLOAD_PATIENCE_MS = 60_000;
const PASSWORD = "correct-horse";

const downloadSchema = z.object({
  groupId: z.string(),
  fileName: z.string(),
  state: z.enum(["downloading", "verifying", "complete", "paused", "failed"]),
  pieceCount: z.number(),
  piecesVerified: z.number(),
  waitingFor: z.string().nullish(),
  reason: z.string().nullish(),
  duplicateBytes: z.number(),
  sources: z.array(
    z.object({ userId: z.string(), isConnected: z.boolean(), pieces: z.number(), bytes: z.number() }),
  ),
});
export type Download = z.infer<typeof downloadSchema>;

export class Scene implements AsyncDisposable {
  readonly folder: string;
  readonly trackers: TrackerProcess[] = [];
  readonly clients: ClientProcess[] = [];
  trackerAddresses: string[] = [];

  private constructor(folder: string) {
    this.folder = folder;
  }

  /**
   * @param parent where the temporary folder is made; a tmpfs where the disk is not to be measured
   * @param hosts of the trackers, as in their lines; the last one is that of all further ones
   */
  static async open(
    trackerCount: number,
    parent = tmpdir(),
    trackerOptions: ProcessOptions = {},
    hosts: readonly string[] = ["127.0.0.1"],
  ): Promise<Scene> {
    const scene = new Scene(mkdtempSync(join(parent, "minitorrent-scene-")));
    const ports = await freePorts(trackerCount);
    scene.trackerAddresses = ports.map((port, index) => `${hosts[index] ?? hosts.at(-1)}:${port}`);
    writeFileSync(scene.trackerInfo, `${scene.trackerAddresses.join("\n")}\n`);
    try {
      for (let number = 1; number <= trackerCount; number++) await scene.startTracker(number, trackerOptions);
    } catch (error) {
      await scene[Symbol.asyncDispose]();
      throw error;
    }
    return scene;
  }

  get trackerInfo(): string {
    return join(this.folder, "tracker_info.txt");
  }

  path(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  /** Every tracker is connected to every other one, and all hold the same. */
  async trackersAgree(): Promise<void> {
    let said = "";
    await until(
      async () => {
        const healths = await Promise.all(this.trackers.map((tracker) => tracker.health()));
        said = JSON.stringify(healths);
        const isConnected = healths.every(({ links }) => links.every(({ state }) => state === "connected"));
        return isConnected && new Set(healths.map(({ digest }) => digest)).size === 1;
      },
      () => `trackers that agree: ${said}`,
    );
  }

  async startTracker(number: number, options: ProcessOptions = {}): Promise<TrackerProcess> {
    const dataDir = this.path(`tracker-${number}`);
    const tracker = await TrackerProcess.start(this.trackerInfo, number, dataDir, options);
    this.trackers[number - 1] = tracker;
    return tracker;
  }

  /** A client with a profile folder of that name; the same name again finds the same profile. */
  client(name: string, listen = "127.0.0.1:0", options: ProcessOptions = {}): ClientProcess {
    mkdirSync(this.path(name), { recursive: true });
    const client = ClientProcess.start(
      [listen, this.trackerInfo, "--data-dir", this.path(name, "profile")],
      options,
    );
    this.clients.push(client);
    return client;
  }

  /** A client whose account is made and logged in. */
  async user(name: string): Promise<ClientProcess> {
    const client = this.client(name);
    await client.must(`create_user ${name} ${PASSWORD}`);
    await client.must(`login ${name} ${PASSWORD}`);
    return client;
  }

  /** The client of an account that is there already. */
  async userAgain(name: string): Promise<ClientProcess> {
    const client = this.client(name);
    await client.must(`login ${name} ${PASSWORD}`);
    return client;
  }

  /** A group of the first, with all the others let in. */
  async group(groupId: string, owner: ClientProcess, members: Record<string, ClientProcess>): Promise<void> {
    await owner.must(`create_group ${groupId}`);
    for (const [name, member] of Object.entries(members)) {
      await member.must(`join_group ${groupId}`);
      await owner.must(`accept_request ${groupId} ${name}`);
    }
  }

  /** Random bytes below the member's folder. Returns the path and the SHA-1. */
  file(member: string, name: string, lengthBytes: number): { path: string; sha1: string } {
    mkdirSync(this.path(member), { recursive: true });
    const path = this.path(member, name);
    return { path, sha1: writeRandomFile(path, lengthBytes) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.clients, ...this.trackers].map((process) => process.kill()));
    // A process that was just ended may have made a last file.
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

/**
 * Makes accounts for both, and a group `films` of the first with the second in it, to which the first shares `film.mkv` of that
 * folder.
 *
 * @returns the file's SHA-1
 */
export async function shareFilm(
  alice: ClientProcess,
  bob: ClientProcess,
  folder: string,
  lengthBytes: number,
): Promise<string> {
  for (const [name, client] of Object.entries({ alice, bob })) {
    await client.must(`create_user ${name} secret`);
    await client.must(`login ${name} secret`);
  }
  await alice.must("create_group films");
  await bob.must("join_group films");
  await alice.must("accept_request films bob");
  const path = join(folder, "film.mkv");
  const sha1 = writeRandomFile(path, lengthBytes);
  await alice.must(`upload_file ${path} films`);
  return sha1;
}

/** Random bytes, each MiB different from the others; returns their SHA-1. */
export function writeRandomFile(path: string, lengthBytes: number): string {
  const hash = createHash("sha1");
  const chunk = randomFillSync(Buffer.alloc(MIB));
  const file = openSync(path, "w");
  for (let at = 0; at < lengthBytes; at += MIB) {
    // A number in each MiB is enough for no two pieces to be alike.
    chunk.writeUInt32BE(at / MIB);
    const part = chunk.subarray(0, Math.min(MIB, lengthBytes - at));
    hash.update(part);
    writeSync(file, part);
  }
  closeSync(file);
  return hash.digest("hex");
}

/** Does something to a file, and sets the time of its last write back, to the last bit: node:fs cannot. */
export function atTheSameTime(path: string, work: () => void): void {
  const reference = `${path}-time`;
  execFileSync("touch", ["-r", path, reference], { stdio: "ignore" });
  work();
  execFileSync("touch", ["-c", "-r", reference, path], { stdio: "ignore" });
  rmSync(reference);
}

export async function sha1Of(path: string): Promise<string> {
  const hash = createHash("sha1");
  for await (const chunk of createReadStream(path, { highWaterMark: MIB })) hash.update(chunk);
  return hash.digest("hex");
}

/** The one download that this client has. */
export async function downloadOf(client: ClientProcess): Promise<Download> {
  const [download] = z.array(downloadSchema).parse(await client.must("show_downloads"));
  if (download === undefined) throw new Error("There is no download.");
  return download;
}

/** Looks at the client's one download until that holds. */
export async function downloadUntil(
  client: ClientProcess,
  holds: (download: Download) => boolean,
): Promise<Download> {
  let download = await downloadOf(client);
  await until(
    async () => {
      download = await downloadOf(client);
      if (holds(download)) return true;
      if (download.state === "failed") throw new Error(`The download failed: ${download.reason}`);
      return false;
    },
    () => `the download to get so far that ${holds}; it is ${JSON.stringify(download)}`,
    DOWNLOAD_PATIENCE_MS,
  );
  return download;
}
