// Who is gone is gone from everybody's lists: at once when he says so, within 10 s when his cable is pulled, or that of the
// tracker that he hung on.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { Network } from "../../harness/network.ts";
import { ClientProcess, TrackerProcess } from "../../harness/processes.ts";
import { withoutNetworkNamespaces } from "../../harness/requirements.ts";

const CLEAN_MS = 1_000;
const PULLED_MS = 10_000;
const POLL_MS = 50;
const membersSchema = z.array(z.object({ userId: z.string(), isOnline: z.boolean() }));

test("a peer that goes is gone for everybody in time, also when it hung on a tracker that is gone", {
  skip: withoutNetworkNamespaces(),
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "minitorrent-ghosts-"));
  using network = new Network(`tg${process.pid % 10_000}`);
  const processes: (TrackerProcess | ClientProcess)[] = [];
  try {
    const [first, second, third] = [network.host(), network.host(), network.host()];
    const lines = [first, second].map(({ address }) => `${address}:9000\n`);
    writeFileSync(join(folder, "trackers"), lines.join(""));
    writeFileSync(join(folder, "first"), lines[0] ?? "");
    writeFileSync(join(folder, "second"), lines[1] ?? "");
    for (const [index, { prefix }] of [first, second].entries()) {
      const dataDir = join(folder, `tracker-${index}`);
      processes.push(await TrackerProcess.start(join(folder, "trackers"), index + 1, dataDir, { prefix }));
    }
    const user = async (name: string, host: typeof first, trackers: string) => {
      const args = [`${host.address}:0`, join(folder, trackers), "--data-dir", join(folder, name)];
      const client = ClientProcess.start(args, { prefix: host.prefix });
      processes.push(client);
      await client.must(`create_user ${name} secret`);
      await client.must(`login ${name} secret`);
      return client;
    };
    const watcher = await user("watcher", second, "second");
    const clean = await user("clean", first, "first");
    const pulled = await user("pulled", third, "first");
    const stranded = await user("stranded", first, "first");
    await watcher.must("create_group g");
    for (const [name, client] of Object.entries({ clean, pulled, stranded })) {
      await client.must("join_group g");
      await watcher.must(`accept_request g ${name}`);
    }
    const isOnline = async (name: string) => {
      const members = membersSchema.parse(await watcher.must("list_members g"));
      return members.find(({ userId }) => userId === name)?.isOnline;
    };
    const goneWithin = async (name: string, limitMs: number, go: () => void) => {
      while (!(await isOnline(name))) await sleep(POLL_MS);
      const startedMs = performance.now();
      go();
      while (await isOnline(name)) {
        assert.ok(performance.now() - startedMs < limitMs + POLL_MS, `${name} is listed after ${limitMs} ms`);
        await sleep(POLL_MS);
      }
    };
    await goneWithin("clean", CLEAN_MS, () => clean.child.kill("SIGTERM"));
    await goneWithin("pulled", PULLED_MS, () => network.cut(3));
    await goneWithin("stranded", PULLED_MS, () => network.cut(1));
  } finally {
    await Promise.all(processes.map((process) => process.kill()));
    rmSync(folder, { recursive: true, force: true });
  }
});
