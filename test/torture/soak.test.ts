// A day in minutes: real trackers and clients with transfers, members who come and are killed, and trackers that die and
// come back; at the end each long-lived process holds what it held after the first rounds. Two rounds here, SOAK_MS long
// in `npm run torture`.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { ClientProcess } from "../../harness/processes.ts";
import { Scene, sha1Of } from "../../harness/scene.ts";

const SOAK_MS = Number(process.env.SOAK_MS ?? 0);
/** Rounds before the first look: caches fill, code is compiled. */
const WARM_UP_ROUNDS = SOAK_MS > 0 ? 10 : 1;
const FILES = 3;
const FILE_BYTES = 16 * 1024 * 1024;
/** Connections close, presence and timers settle: longer than a heartbeat of a tracker. */
const SETTLE_MS = SOAK_MS > 0 ? 10_000 : 1_000;
/** What a heap may differ by for no reason: what is compiled, cached or logged meanwhile. */
const HEAP_SLACK_BYTES = 6 * 1024 * 1024;
const RSS_SLACK_BYTES = 48 * 1024 * 1024;
/** A timer or connection that happens to be there at the moment of a look. */
const COUNT_SLACK = 4;

const heldSchema = z.object({
  heapBytes: z.number(),
  rssBytes: z.number(),
  timers: z.number(),
  handles: z.number(),
  threads: z.number(),
});

test(`a soak of ${SOAK_MS / 1000} s: memory, handles and timers are at the end as at the start`, {
  timeout: 100_000 + SOAK_MS * 2,
}, async (context) => {
  await using scene = await Scene.open(2);
  const folder = scene.path("inside");
  mkdirSync(folder);
  const env = {
    ...process.env,
    INSIDE_DIR: folder,
    NODE_OPTIONS: `--import=${join(import.meta.dirname, "inside.ts")}`,
  };
  const [alice, bob] = await Promise.all(
    ["alice", "bob"].map(async (name) => {
      const client = scene.client(name, "127.0.0.1:0", { env });
      await client.must(`create_user ${name} correct-horse`);
      await client.must(`login ${name} correct-horse`);
      return client;
    }),
  );
  assert.ok(alice && bob);
  const carol = await scene.user("carol");
  await scene.group("g", alice, { bob, carol });
  await carol.kill();
  const files = Array.from({ length: FILES }, (_, number) =>
    scene.file("alice", `f${number}.bin`, FILE_BYTES),
  );

  const round = async (number: number): Promise<void> => {
    const file = files[number % FILES];
    const name = `f${number % FILES}.bin`;
    if (file === undefined) return;
    await answered(alice, `upload_file ${file.path} g`);
    await answered(bob, `download_file g ${name} ${scene.path("bob")}/`);
    const guest = number % 2 === 0 ? await scene.userAgain("carol") : undefined;
    // Or it goes on by itself with what a kill had interrupted.
    await guest?.run(`download_file g ${name} ${scene.path("carol")}/`);
    if (number % 3 === 0) await failOver(scene, number % 2);
    await bob.must(`wait g ${name}`);
    assert.equal(await sha1Of(scene.path("bob", name)), file.sha1);
    await guest?.kill("SIGKILL");
    await answered(bob, `stop_share g ${name}`);
    await answered(bob, `cancel g ${name}`);
    await answered(alice, `stop_share g ${name}`);
    rmSync(scene.path("bob", name));
    for (const left of [name, `${name}.part`]) rmSync(scene.path("carol", left), { force: true });
  };

  let number = 0;
  while (number < WARM_UP_ROUNDS) await round(number++);
  const before = await Promise.all([alice, bob].map((client) => held(client, folder)));
  const endMs = performance.now() + SOAK_MS;
  do await round(number++);
  while (performance.now() < endMs);
  const after = await Promise.all([alice, bob].map((client) => held(client, folder)));
  context.diagnostic(`${number} rounds; before ${JSON.stringify(before)}; after ${JSON.stringify(after)}`);
  for (const [index, was] of before.entries()) {
    const is = after[index];
    assert.ok(is);
    const facts = JSON.stringify({ was, is });
    assert.ok(is.heapBytes <= was.heapBytes + HEAP_SLACK_BYTES, facts);
    assert.ok(is.rssBytes <= was.rssBytes + RSS_SLACK_BYTES, facts);
    for (const kind of ["timers", "handles", "threads"] as const)
      assert.ok(is[kind] <= was[kind] + COUNT_SLACK, `${kind}: ${facts}`);
  }
});

/** A tracker that has just died may have taken the answer with it: the command is given again. */
async function answered(client: ClientProcess, command: string): Promise<void> {
  const answer = await client.run(command);
  if (answer.ok) return;
  assert.equal(answer.code, "TRACKERS_UNREACHABLE", `${command}: ${JSON.stringify(answer)}`);
  await client.must(command);
}

async function failOver(scene: Scene, index: number): Promise<void> {
  await scene.trackers[index]?.kill("SIGKILL");
  await scene.startTracker(index + 1);
}

async function held(client: ClientProcess, folder: string): Promise<z.infer<typeof heldSchema>> {
  await sleep(SETTLE_MS);
  // The launcher replaces itself by the client, which so has its process id.
  const path = join(folder, `${client.pid}.json`);
  rmSync(path, { force: true });
  client.child.kill("SIGUSR2");
  while (!existsSync(path)) await sleep(20);
  return heldSchema.parse(JSON.parse(readFileSync(path, "utf8")));
}
