// The main job, live: two trackers and four clients as real processes on loopback, one group, one folder of 256 MiB that two share
// and two download at once, one of them in part, while one of the trackers is stopped; then a new version of it. Says in plain
// sentences what one sees.
import { randomFillSync } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { styleText } from "node:util";
import { ClientProcess, freePorts, TrackerProcess } from "../harness/processes.ts";
import { writeRandomFile } from "../harness/scene.ts";
import { digestOfTree } from "../harness/trees.ts";
import { until } from "../harness/within.ts";
import { ProgressBoard, parseDownloads } from "./progress-board.ts";

const MIB = 1024 * 1024;
const NAME = "day-1";
const TAKES = 24;
const TAKE_BYTES = 10 * MIB;
/** Small files beside the takes. */
const STILLS = 200;
const STILL_BYTES = 80 * 1024;
const ONLY = "stills/**";
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
    await this.#shareFolder();
    await this.#download();
    await this.#newVersion();
    await this.#compare();
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

  async #shareFolder(): Promise<void> {
    const source = this.#pathOf("alice");
    for (const [part, count, lengthBytes] of [
      ["takes", TAKES, TAKE_BYTES],
      ["stills", STILLS, STILL_BYTES],
    ] as const) {
      await mkdir(join(source, part), { recursive: true });
      for (let i = 1; i <= count; i++) writeRandomFile(join(source, part, `${part}-${i}.bin`), lengthBytes);
    }
    heading(`alice and bob share the folder ${NAME}, ${TAKES + STILLS} files, 256 MB, in place`);
    await cp(source, this.#pathOf("bob"), { recursive: true, preserveTimestamps: true });
    for (const name of ["alice", "bob"] as const) {
      const startedMs = performance.now();
      await this.#client(name).must(`upload_file ${this.#pathOf(name)} ${GROUP}`);
      const seconds = (performance.now() - startedMs) / 1000;
      say(`${name} has hashed it and shares it (${seconds.toFixed(1)} s; nothing was copied or uploaded)`);
    }
  }

  async #download(): Promise<void> {
    heading(`carol downloads it, and dave of it only ${ONLY}, from both seeders and from each other`);
    const downloaders = ["carol", "dave"] as const;
    const board = new ProgressBoard(MEMBERS);
    for (const name of downloaders) {
      const part = name === "dave" ? ` --only ${ONLY}` : "";
      await this.#client(name).must(`download_file ${GROUP} ${NAME} ${join(this.#folder, name)}/${part}`);
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

  async #newVersion(): Promise<void> {
    heading("alice changes 1 MB of one take and publishes a new version; carol follows the folder");
    const take = openSync(join(this.#pathOf("alice"), "takes", "takes-7.bin"), "r+");
    writeSync(take, randomFillSync(Buffer.alloc(MIB)), 0, MIB, 3 * MIB);
    closeSync(take);
    const carol = this.#client("carol");
    await carol.must(`follow ${GROUP} ${NAME}`);
    const startedMs = performance.now();
    await this.#client("alice").must(`update_share ${GROUP} ${NAME}`);
    const completions = () => carol.events.filter(({ event }) => event === "download-complete").length;
    await until(() => completions() === 2, "carol's copy of the new version");
    const [status] = parseDownloads(await carol.must("show_downloads"));
    const fetched = (status?.sources ?? []).reduce((sum, { bytes }) => sum + bytes, 0);
    const seconds = (performance.now() - startedMs) / 1000;
    say(
      `carol has it ${seconds.toFixed(1)} s later: ${(fetched / 1e6).toFixed(1)} MB were fetched, the rest was here`,
    );
  }

  async #compare(): Promise<void> {
    heading("Are the files the same?");
    const digest = digestOfTree(this.#pathOf("alice"));
    say(`alice's folder has the SHA-1s ${digest.slice(0, 12)}… (one value for all paths and contents)`);
    const found = digestOfTree(this.#pathOf("carol"));
    if (found !== digest) throw new Error(`carol's folder has the SHA-1s ${found}: it differs.`);
    say(`carol's folder has the SHA-1s ${found.slice(0, 12)}… ${styleText("green", "equal")}`);
    const [ofAlice, ofDave] = [join(this.#pathOf("alice"), "stills"), join(this.#pathOf("dave"), "stills")];
    if (digestOfTree(ofDave) !== digestOfTree(ofAlice)) throw new Error("dave's stills differ.");
    const parts = await readdir(this.#pathOf("dave"));
    say(`dave has ${parts.join(", ")} alone, ${styleText("green", "equal")} to alice's`);
    for (const name of MEMBERS) await this.#client(name).finish();
  }

  #pathOf(name: MemberName): string {
    return join(this.#folder, name, NAME);
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
  heading(
    `Done in ${((performance.now() - startedMs) / 1000).toFixed(1)} s: every member has what they asked for.`,
  );
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error);
  if (!isStopped) console.error(styleText("red", `The demo failed: ${reason}`));
  process.exitCode = 1;
} finally {
  await demo[Symbol.asyncDispose]();
}
