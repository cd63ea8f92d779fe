// Real processes in network namespaces: a machine's address changes while a file is downloaded, as when it moves to another
// network. Its old connections are dead, and nobody is told.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Network } from "../../harness/network.ts";
import { ClientProcess, TrackerProcess } from "../../harness/processes.ts";
import { withoutNetworkNamespaces } from "../../harness/requirements.ts";
import { downloadOf, downloadUntil, sha1Of, shareFilm } from "../../harness/scene.ts";

const MIB = 1024 * 1024;
/** A client finds within 2 s that its address is gone, and a tracker tells the new one; the rest is for a slow machine. */
const MOST_STANDSTILL_MS = 20_000;

for (const { whose, number } of [
  { whose: "seeder", number: 2 },
  { whose: "downloader", number: 3 },
]) {
  test(`a download continues within seconds after the ${whose}'s address has changed`, {
    skip: withoutNetworkNamespaces(),
    timeout: 300_000,
  }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "minitorrent-moving-"));
    using network = new Network(`mv${number}${process.pid % 10_000}`);
    const processes: (TrackerProcess | ClientProcess)[] = [];
    try {
      const hosts = [network.host(), network.host(), network.host()] as const;
      const trackerInfo = join(folder, "tracker_info.txt");
      writeFileSync(trackerInfo, `${hosts[0].address}:9000\n`);
      processes.push(
        await TrackerProcess.start(trackerInfo, 1, join(folder, "tracker"), { prefix: hosts[0].prefix }),
      );
      const [alice, bob] = [hosts[1], hosts[2]].map(({ prefix }, index) =>
        ClientProcess.start(["0.0.0.0:9001", trackerInfo, "--data-dir", join(folder, `client-${index}`)], {
          prefix,
        }),
      );
      assert.ok(alice && bob);
      processes.push(alice, bob);
      const sha1 = await shareFilm(alice, bob, folder, 64 * MIB);
      await alice.must("limit up 1MB/s");
      mkdirSync(join(folder, "downloads"));
      await bob.must(`download_file films film.mkv ${join(folder, "downloads")}`);
      // Past the time in which both ends may dial at once.
      await sleep(11_000);
      const before = await downloadUntil(bob, ({ piecesVerified }) => piecesVerified >= 10);
      network.readdress(number);
      const changedMs = performance.now();
      // What was on its way may still be completed.
      await sleep(1_000);
      const { piecesVerified } = await downloadOf(bob);
      assert.ok(piecesVerified <= before.piecesVerified + 8);
      await downloadUntil(bob, (now) => now.piecesVerified > piecesVerified);
      const standstillMs = performance.now() - changedMs;
      t.diagnostic(`the download continued after ${Math.round(standstillMs)} ms`);
      assert.ok(standstillMs < MOST_STANDSTILL_MS, `${standstillMs} ms`);
      await alice.must("limit up off");
      assert.equal(await bob.finish(), 0);
      assert.equal(await sha1Of(join(folder, "downloads", "film.mkv")), sha1);
    } finally {
      await Promise.all(processes.map((process) => process.kill()));
      rmSync(folder, { recursive: true, force: true });
    }
  });
}
