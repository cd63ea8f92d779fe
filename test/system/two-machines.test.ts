// The set-up that the README describes: two machines, a tracker on each, a client on each. Here they are two network
// namespaces.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Network } from "../../harness/network.ts";
import { ClientProcess, TrackerProcess } from "../../harness/processes.ts";
import { withoutNetworkNamespaces } from "../../harness/requirements.ts";
import { sha1Of, shareFilm } from "../../harness/scene.ts";

const MIB = 1024 * 1024;

test("two machines share a file, each with a tracker and a client", {
  skip: withoutNetworkNamespaces(),
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "minitorrent-machines-"));
  using network = new Network(`mt${process.pid % 10_000}`);
  const processes: (TrackerProcess | ClientProcess)[] = [];
  try {
    const hosts = [network.host(), network.host()] as const;
    const trackerInfo = join(folder, "tracker_info.txt");
    writeFileSync(trackerInfo, hosts.map(({ address }) => `${address}:9000\n`).join(""));
    for (const [index, { prefix }] of hosts.entries()) {
      const dataDir = join(folder, `tracker-${index}`);
      processes.push(await TrackerProcess.start(trackerInfo, index + 1, dataDir, { prefix }));
    }
    const [alice, bob] = hosts.map(({ address, prefix }, index) =>
      ClientProcess.start([`${address}:9001`, trackerInfo, "--data-dir", join(folder, `client-${index}`)], {
        prefix,
      }),
    );
    assert.ok(alice && bob);
    processes.push(alice, bob);
    const sha1 = await shareFilm(alice, bob, folder, 16 * MIB);
    mkdirSync(join(folder, "downloads"));
    await bob.must(`download_file films film.mkv ${join(folder, "downloads")}`);
    assert.equal(await bob.finish(), 0);
    assert.equal(await sha1Of(join(folder, "downloads", "film.mkv")), sha1);
  } finally {
    await Promise.all(processes.map((process) => process.kill()));
    rmSync(folder, { recursive: true, force: true });
  }
});
