// A daemon whose page is open for long: downloads come and go, the page shows them, and neither holds more in the end than after a
// while. SOAK_PAGE_MS says how long.
import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import { test } from "node:test";
import { Browser } from "../../harness/browser.ts";
import { DaemonScene, downloadUntil, inHome } from "../../harness/daemon-scene.ts";
import { withoutChromium } from "../../harness/requirements.ts";
import { writeRandomFile } from "../../harness/scene.ts";

const SOAK_MS = Number(process.env.SOAK_PAGE_MS ?? 0);
/** Rounds before the first look: caches fill, code is compiled. */
const WARM_UP_ROUNDS = SOAK_MS > 0 ? 40 : 3;
const FILE_BYTES = 4 * 1024 * 1024;
/** What may differ for no reason: what is compiled, cached or collected late. */
const PAGE_SLACK_BYTES = 4 * 1024 * 1024;
const NODE_SLACK = 500;
const DAEMON_SLACK_BYTES = 48 * 1024 * 1024;

test(`a page that is open for ${SOAK_MS / 1000} s: its memory and its daemon's are at the end as at the start`, {
  skip: withoutChromium(),
  timeout: 120_000 + SOAK_MS * 2,
}, async (context) => {
  await using scene = await DaemonScene.open(1);
  const [alice, bob] = [await scene.member("alice"), await scene.member("bob")];
  await scene.group("studio", "alice", "bob");
  await using browser = await Browser.launch();
  const { url } = await alice.api.call("createLink", {});
  const body = browser.watched(async () => {
    const opened = await browser.open(url);
    const row = opened.page.getByRole("link", { name: "take.mov", exact: true });
    const round = async (): Promise<void> => {
      const share = { groupId: "studio", fileName: "take.mov" };
      writeRandomFile(inHome(bob, "take.mov"), FILE_BYTES);
      await bob.api.call("uploadFile", { groupId: "studio", path: inHome(bob, "take.mov") });
      const [destinationPath, only] = [inHome(alice, "take.mov"), undefined];
      await alice.api.call("downloadFile", { ...share, destinationPath, only, except: only });
      await row.first().waitFor();
      await downloadUntil(alice, share, ({ state }) => state === "complete");
      await alice.api.call("stopShare", share);
      await alice.api.call("cancelDownload", share);
      await bob.api.call("stopShare", share);
      rmSync(destinationPath, { force: true });
      await row.first().waitFor({ state: "detached" });
    };
    const held = async () => ({
      pageBytes: await opened.heapBytes(),
      nodes: await opened.nodeCount(),
      daemonBytes: residentBytes(await alice.pid()),
    });
    let rounds = 0;
    while (rounds < WARM_UP_ROUNDS) {
      await round();
      rounds++;
    }
    const before = await held();
    const endMs = performance.now() + SOAK_MS;
    do {
      await round();
      rounds++;
    } while (performance.now() < endMs);
    const after = await held();
    const facts = `${rounds} rounds; before ${JSON.stringify(before)}; after ${JSON.stringify(after)}`;
    context.diagnostic(facts);
    assert.ok(after.pageBytes <= before.pageBytes + PAGE_SLACK_BYTES, facts);
    assert.ok(after.nodes <= before.nodes + NODE_SLACK, facts);
    assert.ok(after.daemonBytes <= before.daemonBytes + DAEMON_SLACK_BYTES, facts);
  });
  await body();
});

function residentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}
