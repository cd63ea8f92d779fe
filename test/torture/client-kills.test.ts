// Real clients, killed with kill -9 at random instants of logins, downloads and shares. After each kill the disk is looked
// at, and after the restart: nothing that was answered is lost, no piece that was right on disk is fetched again, no file
// with its final name has a wrong byte. A few kills here, TORTURE_KILLS in `npm run torture`.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { ClientProcess } from "../../harness/processes.ts";
import { Scene, sha1Of } from "../../harness/scene.ts";
import { seededRandom } from "../sim/virtual-clock.ts";

const KILLS = Number(process.env.TORTURE_KILLS ?? 4);
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
