// Real processes: clients and trackers on IPv4 and IPv6, in every mixture that one machine or one network can have.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Network } from "../../harness/network.ts";
import { ClientProcess, TrackerProcess } from "../../harness/processes.ts";
import { withoutNetworkNamespaces } from "../../harness/requirements.ts";
import { Scene, sha1Of, shareFilm } from "../../harness/scene.ts";

const MIB = 1024 * 1024;

for (const { trackerHosts, alice, bob } of [
  { trackerHosts: ["[::1]"], alice: "0.0.0.0:0", bob: "0.0.0.0:0" },
  { trackerHosts: ["[::1]"], alice: "127.0.0.1:0", bob: "127.0.0.1:0" },
  { trackerHosts: ["127.0.0.1"], alice: "[::1]:0", bob: "[::]:0" },
  { trackerHosts: ["127.0.0.1", "[::1]"], alice: "[::1]:0", bob: "127.0.0.1:0" },
  { trackerHosts: ["localhost"], alice: "127.0.0.1:0", bob: "localhost:0" },
  { trackerHosts: ["localhost"], alice: "[::1]:0", bob: "0.0.0.0:0" },
]) {
  test(`clients at ${alice} and ${bob} share a file by trackers at ${trackerHosts.join(" and ")}`, async () => {
    await using scene = await Scene.open(trackerHosts.length, tmpdir(), {}, trackerHosts);
    const clients = { alice: scene.client("alice", alice), bob: scene.client("bob", bob) };
    for (const [name, client] of Object.entries(clients)) {
      await client.must(`create_user ${name} correct-horse`);
      await client.must(`login ${name} correct-horse`);
    }
    await scene.group("g", clients.alice, { bob: clients.bob });
    const { path, sha1 } = scene.file("alice", "a.bin", 3 * MIB);
    await clients.alice.must(`upload_file ${path} g`);
    await clients.bob.must(`download_file g a.bin ${scene.path("bob")}/`);
    await clients.bob.must("wait g a.bin");
    assert.equal(await sha1Of(scene.path("bob", "a.bin")), sha1);
  });
}

test("peers of which one has no IPv6 find each other by trackers on both; who cannot try says that it is this machine", {
  skip: withoutNetworkNamespaces(),
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "minitorrent-families-"));
  using network = new Network(`fam${process.pid % 10_000}`);
  const processes: (TrackerProcess | ClientProcess)[] = [];
  const inHost = (prefix: readonly string[], ...words: string[]): void => {
    const [command = "", ...rest] = [...prefix, ...words];
    execFileSync(command, rest, { stdio: ["ignore", "ignore", "inherit"] });
  };
  try {
    const [middle, six, four] = [network.host(), network.host(), network.host()];
    for (const [number, { prefix }] of [middle, six].entries()) {
      inHost(prefix, "ip", "addr", "add", `2001:db8::${number + 1}/64`, "dev", "eth0", "nodad");
    }
    inHost(four.prefix, "sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=1");
    const trackerInfo = join(folder, "tracker_info.txt");
    writeFileSync(trackerInfo, `[2001:db8::1]:9000\n${middle.address}:9000\n`);
    for (const number of [1, 2]) {
      const dataDir = join(folder, `tracker-${number}`);
      processes.push(await TrackerProcess.start(trackerInfo, number, dataDir, { prefix: middle.prefix }));
    }
    const start = (name: string, prefix: readonly string[], info: string): ClientProcess => {
      const client = ClientProcess.start(["0.0.0.0:0", info, "--data-dir", join(folder, name)], {
        prefix,
      });
      processes.push(client);
      return client;
    };
    const only = (line: string): string => {
      const path = join(folder, `only-${line.length}.txt`);
      writeFileSync(path, `${line}\n`);
      return path;
    };
    // The seeder is seen on IPv6 alone, where the downloader cannot go.
    const alice = start("alice", six.prefix, only("[2001:db8::1]:9000"));
    const bob = start("bob", four.prefix, trackerInfo);
    const sha1 = await shareFilm(alice, bob, folder, 3 * MIB);
    mkdirSync(join(folder, "downloads"));
    await bob.must(`download_file films film.mkv ${join(folder, "downloads")}`);
    await bob.must("wait films film.mkv");
    assert.equal(await sha1Of(join(folder, "downloads", "film.mkv")), sha1);

    const carol = start("carol", four.prefix, only("[2001:db8::1]:9000"));
    const refused = await carol.run("create_user carol secret");
    assert.equal(refused.code, "TRACKERS_UNREACHABLE");
    assert.match(refused.error ?? "", /None of the trackers can be reached from this machine: .*\(E[A-Z]+\)/);
  } finally {
    await Promise.all(processes.map((process) => process.kill()));
    rmSync(folder, { recursive: true, force: true });
  }
});
