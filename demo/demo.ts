// The main job, live: two trackers and four clients as real processes on loopback, one group, one file of 256 MiB that
// two share and two download at once, while one of the trackers is stopped. Says in plain sentences what one sees.
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { styleText } from "node:util";
import { ClientProcess, freePorts, TrackerProcess } from "../harness/processes.ts";
import { sha1Of, writeRandomFile } from "../harness/scene.ts";
import { ProgressBoard, parseDownloads } from "./progress-board.ts";

const MIB = 1024 * 1024;
const FILE_BYTES = 256 * MIB;
const FILE_NAME = "footage.mov";
const GROUP = "studio";
const PASSWORD = "correct-horse";
const MEMBERS = ["alice", "bob", "carol", "dave"] as const;
type MemberName = (typeof MEMBERS)[number];
const POLL_MS = 50;
/** The tracker is stopped when the first downloader has this part. */
const STOP_TRACKER_AT = 0.3;

const heading = (text: string) => console.log(`\n${styleText("bold", text)}`);
const say = (text: string) => console.log(`  ${text}`);

class Demo implements AsyncDisposable {
  readonly #folder: string;
  readonly #trackers: TrackerProcess[] = [];
  readonly #clients = new Map<MemberName, ClientProcess>();
  #addresses: string[] = [];

  constructor(folder: string) {
    this.#folder = folder;
  }

  async run(): Promise<void> {
    await this.#startEverything();
    await this.#letPeopleIn();
    const sha1 = await this.#shareFile();
    await this.#download();
    await this.#compare(sha1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      [...this.#clients.values(), ...this.#trackers].map((process) => process.kill("SIGTERM")),
    );
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #startEverything(): Promise<void> {
    heading("Two trackers and four clients start, each a process of its own on this machine");
    this.#addresses = (await freePorts(2)).map((port) => `127.0.0.1:${port}`);
    const trackerInfo = join(this.#folder, "tracker_info.txt");
    await writeFile(trackerInfo, `${this.#addresses.join("\n")}\n`);
    for (const number of [1, 2]) {
      const dataDir = join(this.#folder, `tracker-${number}`);
      this.#trackers.push(await TrackerProcess.start(trackerInfo, number, dataDir));
      say(`tracker ${number} serves at ${this.#addresses[number - 1]}`);
    }
    for (const name of MEMBERS) {
      await mkdir(join(this.#folder, name));
      const dataDir = join(this.#folder, name, "profile");
      this.#clients.set(name, ClientProcess.start(["127.0.0.1:0", trackerInfo, "--data-dir", dataDir]));
    }
    for (const name of MEMBERS) {
      await this.#client(name).must(`create_user ${name} ${PASSWORD}`);
      await this.#client(name).must(`login ${name} ${PASSWORD}`);
    }
    say("alice, bob, carol and dave have created accounts and logged in");
  }

  async #letPeopleIn(): Promise<void> {
    heading(`A private group: alice creates the group ${GROUP}, the others ask to join`);
    const alice = this.#client("alice");
    await alice.must(`create_group ${GROUP}`);
    const refused = await this.#client("carol").run(`list_files ${GROUP}`);
    say(
      `carol tries to list the files before she is a member: ${styleText("yellow", `${refused.code}`)}: ${refused.error}`,
    );
    for (const name of MEMBERS.slice(1)) {
      await this.#client(name).must(`join_group ${GROUP}`);
      await alice.event((event) => event.event === "join-requested" && event.userId === name);
      await alice.must(`accept_request ${GROUP} ${name}`);
    }
    say(
      "alice accepts bob, carol and dave; each gets a certificate of the group, and no peer talks without one",
    );
  }

  async #shareFile(): Promise<string> {
    heading(`alice and bob share ${FILE_NAME}, 256 MiB, in place`);
    const path = join(this.#folder, "alice", FILE_NAME);
    const sha1 = writeRandomFile(path, FILE_BYTES);
    await copyFile(path, join(this.#folder, "bob", FILE_NAME));
    for (const name of ["alice", "bob"] as const) {
      const startedMs = performance.now();
      await this.#client(name).must(`upload_file ${join(this.#folder, name, FILE_NAME)} ${GROUP}`);
      const seconds = (performance.now() - startedMs) / 1000;
      say(`${name} has hashed it and shares it (${seconds.toFixed(1)} s; nothing was copied or uploaded)`);
    }
    return sha1;
  }

  async #download(): Promise<void> {
    heading("carol and dave download it at the same time, from both seeders and from each other");
    const downloaders = ["carol", "dave"] as const;
    const board = new ProgressBoard(MEMBERS);
    for (const name of downloaders) {
      await this.#client(name).must(`download_file ${GROUP} ${FILE_NAME} ${join(this.#folder, name)}/`);
    }
    let stopped: Promise<string> | undefined;
    for (;;) {
      const statuses = await Promise.all(
        downloaders.map(async (name) => parseDownloads(await this.#client(name).must("show_downloads"))),
      );
      const rows = downloaders.map((name, index) => ({ name, status: statuses[index]?.[0] }));
      board.show(rows);
      const parts = rows.map(({ status }) =>
        status === undefined ? 0 : status.bytesVerified / status.lengthBytes,
      );
      if (Math.max(...parts) >= STOP_TRACKER_AT) stopped ??= this.#stopTrackerOf("carol", board);
      if (rows.every(({ status }) => status?.state === "complete")) break;
      const failed = rows.find(({ status }) => status?.state === "failed");
      if (failed !== undefined) throw new Error(`${failed.name}'s download failed: ${failed.status?.reason}`);
      await sleep(POLL_MS);
    }
    board.end();
    const lost = await stopped;
    const carol = this.#client("carol");
    const failover = await carol.event(
      (event) => event.event === "tracker-connected" && event.isFailover === true,
    );
    await carol.must(`list_files ${GROUP}`);
    say(
      `The tracker ${lost} was killed midway. A moment later carol was connected to ${failover.tracker}, without`,
    );
    say("a password, and now lists the files there: no user had to do anything.");
  }

  /** Kills the tracker that this member uses. */
  async #stopTrackerOf(name: MemberName, board: ProgressBoard): Promise<string> {
    const status = await this.#client(name).must("whoami");
    const address = String((status as { tracker: unknown }).tracker);
    board.note(`now the tracker ${address}, which ${name} uses, is killed`);
    await this.#trackers[this.#addresses.indexOf(address)]?.kill();
    return address;
  }

  async #compare(sha1: string): Promise<void> {
    heading("Are the files the same?");
    say(`alice's file has the SHA-1 ${sha1}`);
    for (const name of ["carol", "dave"] as const) {
      const found = await sha1Of(join(this.#folder, name, FILE_NAME));
      if (found !== sha1) throw new Error(`${name}'s file has the SHA-1 ${found}: it differs.`);
      say(`${name}'s file has the SHA-1 ${found} ${styleText("green", "equal")}`);
    }
    for (const name of MEMBERS) await this.#client(name).finish();
  }

  #client(name: MemberName): ClientProcess {
    const client = this.#clients.get(name);
    if (client === undefined) throw new Error(`${name} has no client.`);
    return client;
  }
}

const startedMs = performance.now();
const folder = await mkdtemp(join(tmpdir(), "minitorrent-demo-"));
const demo = new Demo(folder);
let isStopped = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    isStopped = true;
    void demo[Symbol.asyncDispose]().then(() => {
      console.log("\nStopped; the processes are ended and the temporary folder is removed.");
      process.exit(signal === "SIGINT" ? 130 : 143);
    });
  });
}
try {
  await demo.run();
  heading(`Done in ${((performance.now() - startedMs) / 1000).toFixed(1)} s: every member has the file.`);
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error);
  if (!isStopped) console.error(styleText("red", `The demo failed: ${reason}`));
  process.exitCode = 1;
} finally {
  await demo[Symbol.asyncDispose]();
}
