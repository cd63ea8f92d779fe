// Real clients, killed with kill -9 at random instants of logins, downloads and shares. After each kill the disk is looked
// at, and after the restart: nothing that was answered is lost, no piece that was right on disk is fetched again, no file
// with its final name has a wrong byte. And whatever is done to part files and finished files meanwhile: what is reported
// complete is on the disk as it was shared. A few kills and rounds here, TORTURE_KILLS and TORTURE_DISTURBED in `npm run torture`.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { closeSync, existsSync, openSync, readSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { ClientProcess } from "../../harness/processes.ts";
import { Scene, sha1Of } from "../../harness/scene.ts";
import { seededRandom } from "../sim/virtual-clock.ts";
import { DISTURBANCES, isUntouched, type Target, type Trace } from "./disturbances.ts";

const KILLS = Number(process.env.TORTURE_KILLS ?? 4);
const DISTURBED_ROUNDS = Number(process.env.TORTURE_DISTURBED ?? 4);
const SEED = Number(process.env.TORTURE_SEED ?? Date.now() % 1_000_000);
const MIB = 1024 * 1024;
const PIECE_BYTES = 256 * 1024;
const FILE_BYTES = 96 * MIB;
const SHARE_BYTES = 32 * MIB;
/** Downloads have the most instants at which something could go wrong. */
const KINDS = ["download", "download", "share", "login"] as const;
const PASSWORD = "correct-horse";
/** From the start of a process to its login, and from a command to its end, on a machine that does little else. */
const LOGIN_MS = 1_000;
const DOWNLOAD_MS = 600;
const SHARE_MS = 150;
/** What a member offers is counted by the tracker a moment after a login was answered. */
const OFFERED_WITHIN_MS = 10_000;

/** Files of one piece, of some, and of many; the last piece shorter. */
const DISTURBED_FILE_BYTES = [200_000, 3 * MIB + 5, 24 * MIB + 77_777];
/** So slow that most of a download's time can be disturbed, so fast that a round takes few seconds. */
const SLOWEST_BYTES_PER_SECOND = 20 * MIB;
const DISTURBED_WITHIN_MS = 500;
/** A download that gets no further for so long, whatever was done to it, is stuck. */
const GETS_ON_WITHIN_MS = 60_000;
const POLL_MS = 30;

const downloadsSchema = z.array(
  z.object({
    fileName: z.string(),
    state: z.string(),
    bytesVerified: z.number(),
    duplicateBytes: z.number(),
    sources: z.array(z.object({ bytes: z.number() })),
  }),
);
const filesSchema = z.array(z.object({ fileName: z.string(), seedersOnline: z.number() }));

interface Wanted {
  readonly name: string;
  readonly source: string;
  readonly sha1: string;
  isAnswered: boolean;
}

test(`a client that is killed ${KILLS} times at random loses nothing, and fetches nothing twice`, {
  timeout: 60_000 + KILLS * 15_000,
}, async (context) => {
  const random = seededRandom(SEED);
  context.diagnostic(`seed ${SEED}`);
  await using scene = await Scene.open(1);
  const alice = await scene.user("alice");
  const first = await scene.user("bob");
  await scene.group("g", alice, { bob: first });
  await first.kill();
  const tally = { login: 0, download: 0, share: 0, resumed: 0, bytesKept: 0, finished: 0 };
  /** Of the victim's own: answered ones must be offered after each restart. */
  const shared: { readonly name: string; isAnswered: boolean }[] = [];
  let wanted: Wanted | undefined;

  for (let kill = 1; kill <= KILLS; kill++) {
    const when = `kill ${kill}, seed ${SEED}`;
    const kind = KINDS[Math.floor(random() * KINDS.length)] ?? "download";
    tally[kind]++;
    const victim = scene.client("bob");
    const login = victim.run(`login bob ${PASSWORD}`);
    if (kind === "login") {
      await sleep(random() * LOGIN_MS);
    } else {
      const answer = await login;
      assert.ok(answer.ok, `${when}: ${answer.error}`);
      if (kind === "download") {
        wanted ??= await newFile(scene, alice, `d${kill}.bin`);
        await begin(victim, wanted, scene);
        await sleep(random() * DOWNLOAD_MS);
      } else {
        const share = { name: `s${kill}.bin`, isAnswered: false };
        const { path } = scene.file("bob", share.name, SHARE_BYTES);
        shared.push(share);
        void victim.run(`upload_file ${path} g`).then(({ ok }) => {
          share.isAnswered = ok;
        });
        await sleep(random() * SHARE_MS);
      }
    }
    await victim.kill("SIGKILL");
    if (wanted !== undefined) tally.bytesKept += await rightOnDisk(scene, wanted, when);
    // Else the download lives through more kills, in the middle of its resumption too.
    if (kill < KILLS && random() < 0.5) continue;

    const rightBytes = wanted === undefined ? 0 : await rightOnDisk(scene, wanted, when);
    const again = await scene.userAgain("bob");
    if (wanted !== undefined) {
      const known = await statusOf(again, wanted.name);
      const isThere = existsSync(scene.path("bob", wanted.name));
      assert.ok(!wanted.isAnswered || known !== undefined || isThere, `${when}: the download is forgotten`);
      if (known === undefined && !isThere) await begin(again, wanted, scene);
      if (known !== undefined || !isThere) await again.must(`wait g ${wanted.name}`);
      const after = await statusOf(again, wanted.name);
      const fetched = after?.sources.reduce((sum, { bytes }) => sum + bytes, after.duplicateBytes) ?? 0;
      assert.ok(
        fetched <= FILE_BYTES - rightBytes,
        `${when}: ${fetched} bytes were fetched although ${rightBytes} of ${FILE_BYTES} were right on disk`,
      );
      if (rightBytes > 0 && fetched > 0) tally.resumed++;
      assert.equal(await sha1Of(scene.path("bob", wanted.name)), wanted.sha1, when);
      tally.finished++;
      wanted = undefined;
    }
    await mustOffer(again, shared, when);
    await again.kill("SIGKILL");
  }
  context.diagnostic(JSON.stringify(tally));
});

test(`what is reported complete is on the disk as it was shared, in ${DISTURBED_ROUNDS} rounds of disturbance`, {
  timeout: 60_000 + DISTURBED_ROUNDS * 20_000,
}, async (context) => {
  context.diagnostic(`seed ${SEED}`);
  // Each start of a client has a new key, and is one of those that an account has certificates for.
  await using scene = await Scene.open(1, tmpdir(), { arguments: ["--limit", "keysPerUser=10000"] });
  const alice = await scene.user("alice");
  const rounds = new DisturbedRounds(scene, await scene.user("bob"), seededRandom(SEED));
  await scene.group("g", alice, { bob: rounds.client });
  for (const [index, lengthBytes] of DISTURBED_FILE_BYTES.entries()) {
    const { path, sha1 } = scene.file("alice", `f${index}.bin`, lengthBytes);
    await alice.must(`upload_file ${path} g`);
    rounds.files.push({ name: `f${index}.bin`, lengthBytes, sha1 });
  }
  for (let round = 1; round <= DISTURBED_ROUNDS; round++) await rounds.play(round);
  context.diagnostic(JSON.stringify(rounds.tally));
  assert.ok((rounds.tally.late ?? 0) <= DISTURBED_ROUNDS / 4, "most of what was done came before the end");
});

interface Source {
  readonly name: string;
  readonly lengthBytes: number;
  readonly sha1: string;
}

/** One client that fetches the same files again and again while its disk is disturbed. */
class DisturbedRounds {
  readonly files: Source[] = [];
  readonly tally: Record<string, number> = {};
  client: ClientProcess;
  readonly #scene: Scene;
  readonly #random: () => number;
  #traces: Trace[] = [];
  readonly #foreign: NonNullable<Trace["foreign"]>[] = [];

  constructor(scene: Scene, client: ClientProcess, random: () => number) {
    this.#scene = scene;
    this.client = client;
    this.#random = random;
  }

  async play(round: number): Promise<void> {
    const file = this.#oneOf(this.files);
    const path = this.#scene.path("bob", file.name);
    const target: Target = { path, partPath: `${path}.part`, lengthBytes: file.lengthBytes };
    this.#traces = [];
    try {
      this.#disposeOf(path);
      if (this.#random() < 0.2) await this.#refusedForeignPart(file, target);
      const slowness = 1 + this.#random() * 4;
      await this.client.must(`limit down ${Math.round(SLOWEST_BYTES_PER_SECOND * slowness)}B/s`);
      void this.client.run(this.#download(file));
      for (let count = 1 + Math.floor(this.#random() * 3); count > 0; count--) {
        await sleep(this.#random() * DISTURBED_WITHIN_MS);
        if (this.#random() < 0.3) await this.#kill(target);
        else this.#disturb(target);
      }
      await this.#settle(file, path);
      if (this.#isLate) this.#count("late");
      else assert.equal(await sha1Of(path), file.sha1, "it was reported complete");
    } catch (error) {
      const traces = this.#traces.map(({ what }) => what).join(", ");
      const said = JSON.stringify(this.client.events.slice(-8));
      throw new Error(`round ${round}, seed ${SEED}, ${file.name}: ${traces}. ${said}`, { cause: error });
    }
    for (const { leftover } of this.#traces) if (leftover !== undefined) rmSync(leftover, { force: true });
  }

  get #isLate(): boolean {
    return this.#traces.some(({ isLate }) => isLate === true);
  }

  /** The finished file of an earlier round is gone, moved or replaced: it can be downloaded again. */
  #disposeOf(path: string): void {
    if (!existsSync(path)) return;
    if (this.#random() < 0.3) renameSync(path, `${path}-kept`);
    rmSync(path, { force: true });
    rmSync(`${path}-kept`, { force: true });
  }

  async #refusedForeignPart(file: Source, { partPath }: Target): Promise<void> {
    const foreign = {
      path: partPath,
      content: Buffer.alloc(this.#random() < 0.5 ? 0 : file.lengthBytes, "p"),
    };
    writeFileSync(partPath, foreign.content);
    this.#traces.push({ what: "a part file of somebody else's was there before" });
    const { ok, code } = await this.client.run(this.#download(file));
    assert.deepEqual([ok, code], [false, "FILE_EXISTS"]);
    assert.ok(isUntouched(foreign), "it is not touched");
    rmSync(partPath);
    this.#count("foreign part");
  }

  #disturb(target: Target): void {
    this.#clearForeign();
    const name = this.#oneOf(Object.keys(DISTURBANCES));
    const trace = DISTURBANCES[name]?.(target, this.#random);
    if (trace === undefined) return;
    this.#traces.push(trace);
    if (trace.foreign !== undefined) this.#foreign.push(trace.foreign);
    this.#count(name);
  }

  /** Killed at any moment; sometimes with the power, which leaves zeros in what was not synced. */
  async #kill(target: Target): Promise<void> {
    await this.client.kill("SIGKILL");
    this.#traces.push({ what: "killed" });
    this.#count("kill");
    if (this.#random() < 0.4) this.#disturb(target);
    this.client = await this.#scene.userAgain("bob");
  }

  /** What stands in the way is removed, as a person would, until the download is complete. */
  async #settle(file: Source, path: string): Promise<void> {
    let deadlineMs = performance.now() + GETS_ON_WITHIN_MS;
    let mostVerified = 0;
    let refusal: string | undefined;
    for (;;) {
      this.#clearForeign();
      const status = await statusOf(this.client, file.name);
      if (status?.state === "complete") return;
      if (status === undefined || status.state === "failed") {
        const { code, error } = await this.client.run(this.#download(file));
        refusal = error;
        // It had its name, was changed, and the client was killed before it noted the name: it is a file like any other.
        if (code === "FILE_EXISTS" && this.#isLate) rmSync(path, { force: true });
      } else if (status.state === "paused") await this.client.run(`resume g ${file.name}`);
      if ((status?.bytesVerified ?? 0) > mostVerified) {
        mostVerified = status?.bytesVerified ?? 0;
        deadlineMs = performance.now() + GETS_ON_WITHIN_MS;
      }
      assert.ok(
        performance.now() < deadlineMs,
        `it does not get complete: ${JSON.stringify(status)} ${refusal}`,
      );
      await sleep(POLL_MS);
    }
  }

  /** What somebody else laid there was not touched; they take it away. */
  #clearForeign(): void {
    for (const foreign of this.#foreign.splice(0)) {
      assert.ok(isUntouched(foreign), `${foreign.path} is not touched`);
      rmSync(foreign.path);
    }
  }

  #download({ name }: Source): string {
    return `download_file g ${name} ${this.#scene.path("bob")}/`;
  }

  #count(what: string): void {
    this.tally[what] = (this.tally[what] ?? 0) + 1;
  }

  #oneOf<T>(choices: readonly T[]): T {
    const chosen = choices[Math.floor(this.#random() * choices.length)];
    if (chosen === undefined) throw new Error("There is nothing to choose from.");
    return chosen;
  }
}

async function newFile(scene: Scene, alice: ClientProcess, name: string): Promise<Wanted> {
  const { path, sha1 } = scene.file("alice", name, FILE_BYTES);
  await alice.must(`upload_file ${path} g`);
  return { name, source: path, sha1, isAnswered: false };
}

/** Begins the download, if it is not under way by itself; the answer may never come. */
async function begin(client: ClientProcess, file: Wanted, scene: Scene): Promise<void> {
  if (existsSync(scene.path("bob", file.name)) || (await statusOf(client, file.name)) !== undefined) return;
  void client.run(`download_file g ${file.name} ${scene.path("bob")}/`).then(({ ok }) => {
    if (ok) file.isAnswered = true;
  });
}

async function statusOf(client: ClientProcess, fileName: string) {
  const all = downloadsSchema.parse(await client.must("show_downloads"));
  return all.find((download) => download.fileName === fileName);
}

/** Bytes of pieces in the part file that are as they should be; a file that has its name must be right as a whole. */
async function rightOnDisk(scene: Scene, file: Wanted, when: string): Promise<number> {
  const path = scene.path("bob", file.name);
  if (existsSync(path)) {
    assert.equal(await sha1Of(path), file.sha1, `${when}: a file with its name is not right`);
    return FILE_BYTES;
  }
  if (!existsSync(`${path}.part`)) return 0;
  const [part, source] = [openSync(`${path}.part`, "r"), openSync(file.source, "r")];
  try {
    let rightBytes = 0;
    for (let at = 0; at < FILE_BYTES; at += PIECE_BYTES) {
      if (hashAt(part, at) === hashAt(source, at)) rightBytes += PIECE_BYTES;
    }
    return rightBytes;
  } finally {
    closeSync(part);
    closeSync(source);
  }
}

function hashAt(file: number, at: number): string {
  const piece = Buffer.alloc(PIECE_BYTES);
  readSync(file, piece, 0, PIECE_BYTES, at);
  return createHash("sha1").update(piece).digest("hex");
}

/** What was answered as shared is offered again; what was not may be or not. */
async function mustOffer(
  client: ClientProcess,
  shared: readonly { readonly name: string; readonly isAnswered: boolean }[],
  when: string,
): Promise<void> {
  const expected = shared.filter(({ isAnswered }) => isAnswered).map(({ name }) => name);
  const deadlineMs = performance.now() + OFFERED_WITHIN_MS;
  for (;;) {
    const files = filesSchema.parse(await client.must("list_files g"));
    const offered = new Set(
      files.filter(({ seedersOnline }) => seedersOnline > 0).map((file) => file.fileName),
    );
    const missing = expected.filter((name) => !offered.has(name));
    if (missing.length === 0) return;
    assert.ok(performance.now() < deadlineMs, `${when}: ${missing} was shared, and is not offered any more`);
    await sleep(50);
  }
}
