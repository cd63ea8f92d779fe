// A real client, killed with kill -9 at random instants of sharing, downloading and updating a folder. After the restart the folder is
// as its newest version, what a person had added to it is there, and a folder that was answered as shared is offered. A few
// rounds here, TORTURE_KILLS in `npm run torture`.
import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { ClientProcess } from "../../harness/processes.ts";
import { Scene, sha1Of } from "../../harness/scene.ts";
import { until } from "../../harness/within.ts";
import { seededRandom } from "../sim/virtual-clock.ts";

const KILLS = Number(process.env.TORTURE_KILLS ?? 4);
const SEED = Number(process.env.TORTURE_SEED ?? Date.now() % 1_000_000);
const MIB = 1024 * 1024;
const SMALL_FILES = 300;
const PASSWORD = "correct-horse";
/** From a command to its end, on a machine that does little else. */
const DOWNLOAD_MS = 1_500;
const SHARE_MS = 400;
const LOGIN_MS = 1_500;
const SETTLES_WITHIN_MS = 90_000;

const downloadsSchema = z.array(z.object({ fileName: z.string(), state: z.string() }));
const filesSchema = z.array(z.object({ fileName: z.string(), seedersOnline: z.number() }));

test(`a client that is killed ${KILLS} times while it shares, fetches and updates folders ends with the newest version`, {
  timeout: 120_000 + KILLS * 60_000,
}, async (context) => {
  const random = seededRandom(SEED);
  context.diagnostic(`seed ${SEED}`);
  // Each start of a client has a new key, and is one of those that an account has certificates for.
  await using scene = await Scene.open(1, tmpdir(), { arguments: ["--limit", "keysPerUser=10000"] });
  const alice = await scene.user("alice");
  const first = await scene.user("bob");
  await scene.group("g", alice, { bob: first });
  await first.kill();
  const data = scene.path("alice", "data");
  makeFolder(scene, data);
  await alice.must(`upload_file ${data} g`);
  const shared: { readonly name: string; isAnswered: boolean }[] = [];
  const tally = { download: 0, update: 0, share: 0 };
  for (let kill = 1; kill <= KILLS; kill++) {
    const when = `kill ${kill}, seed ${SEED}`;
    if (kill > 1) await publishNext(alice, data, random);
    let victim = await scene.userAgain("bob");
    const isSharing = random() < 0.3;
    if (isSharing) {
      tally.share++;
      const share = { name: `s${kill}`, isAnswered: false };
      makeFolder(scene, scene.path("bob", share.name));
      shared.push(share);
      void victim.run(`upload_file ${scene.path("bob", share.name)} g`).then(({ ok }) => {
        share.isAnswered = ok;
      });
      await sleep(random() * SHARE_MS);
    } else {
      tally[kill === 1 ? "download" : "update"]++;
      void victim.run(`download_file g data ${scene.path("bob")}/`);
      await sleep(random() * DOWNLOAD_MS);
    }
    await victim.kill("SIGKILL");
    // It may also be killed while it takes up what it had begun.
    if (random() < 0.5) {
      victim = scene.client("bob");
      void victim.run(`login bob ${PASSWORD}`);
      await sleep(random() * LOGIN_MS);
      await victim.kill("SIGKILL");
    }
    const again = await scene.userAgain("bob");
    await settle(again, scene, data, when);
    if (kill === 1) writeFileSync(scene.path("bob", "data", "mine.txt"), "mine");
    assert.equal(readFileSync(scene.path("bob", "data", "mine.txt"), "utf8"), "mine", when);
    await mustOffer(again, shared, when);
    await again.kill("SIGKILL");
  }
  context.diagnostic(JSON.stringify(tally));
});

function makeFolder(scene: Scene, folder: string): void {
  mkdirSync(join(folder, "small"), { recursive: true });
  scene.file(folder.slice(scene.folder.length + 1), "large.bin", 24 * MIB + 5);
  for (let number = 0; number < SMALL_FILES; number++)
    writeFileSync(join(folder, "small", `${number}.txt`), `${folder} ${number}\n`.repeat(1 + number));
}

/** Some files are other ones, one is gone, one is new, and a piece of the large one is another. */
async function publishNext(alice: ClientProcess, data: string, random: () => number): Promise<void> {
  const names = readdirSync(join(data, "small"));
  const oneOf = (): string => join(data, "small", names[Math.floor(random() * names.length)] ?? "");
  for (let count = 0; count < 5; count++) appendFileSync(oneOf(), "more\n");
  rmSync(oneOf(), { force: true });
  writeFileSync(join(data, `new-${Math.floor(random() * 1e9)}.txt`), "new");
  const large = readFileSync(join(data, "large.bin"));
  const at = Math.floor(random() * large.length);
  large[at] = (large[at] ?? 0) ^ 1;
  writeFileSync(join(data, "large.bin"), large);
  await alice.must("update_share g data");
}

/** Fetches the newest version, as a person would who looks at what is said, until it is there. */
async function settle(client: ClientProcess, scene: Scene, data: string, when: string): Promise<void> {
  const place = scene.path("bob", "data");
  const expected = await contentOf(data);
  let said = "";
  await until(
    async () => {
      const [download] = downloadsSchema
        .parse(await client.must("show_downloads"))
        .filter(({ fileName }) => fileName === "data");
      if (download === undefined || download.state === "complete" || download.state === "failed") {
        const found = await contentOf(place);
        delete found["mine.txt"];
        if (JSON.stringify(found) === JSON.stringify(expected)) return true;
        const { ok, error } = await client.run(`download_file g data ${scene.path("bob")}/`);
        said = `${download?.state}, then ${ok ? "begun" : error}`;
      } else said = download.state;
      await sleep(50);
      return false;
    },
    () => `${when}: the newest version; it is ${said}`,
    SETTLES_WITHIN_MS,
  );
}

/** The paths and hashes of all files in a folder; none if it is not there. */
async function contentOf(folder: string): Promise<Record<string, string>> {
  try {
    const found = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
    const paths = found.map((one) => join(one.parentPath, one.name)).sort();
    const content: Record<string, string> = {};
    for (const path of paths) content[path.slice(folder.length + 1)] = await sha1Of(path);
    return content;
  } catch (error) {
    // It is being moved at this moment.
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return {};
    throw error;
  }
}

/** What was answered as shared is offered again. */
async function mustOffer(
  client: ClientProcess,
  shared: readonly { readonly name: string; readonly isAnswered: boolean }[],
  when: string,
): Promise<void> {
  const expected = shared.filter(({ isAnswered }) => isAnswered).map(({ name }) => name);
  let missing: string[] = [];
  await until(
    async () => {
      const files = filesSchema.parse(await client.must("list_files g"));
      const offered = files.filter(({ seedersOnline }) => seedersOnline > 0).map(({ fileName }) => fileName);
      missing = expected.filter((name) => !offered.includes(name));
      return missing.length === 0;
    },
    () => `${when}: ${missing} to be offered`,
    SETTLES_WITHIN_MS,
  );
}
