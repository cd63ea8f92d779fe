// A stock libtorrent as the judge: with a certificate from our tracker it takes part in a group's swarm, without one it
// gets nothing (libtorrent's SSL torrents).
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import type { ClientProcess } from "../../harness/processes.ts";
import { PYTHON, withoutLibtorrent } from "../../harness/requirements.ts";
import { downloadOf, Scene, sha1Of } from "../../harness/scene.ts";
import { until, within } from "../../harness/within.ts";
import { parseAddress } from "../../src/api/addresses.ts";

const MIB = 1024 * 1024;
const skip = withoutLibtorrent();

class LibtorrentPeer implements Disposable {
  readonly #child: ChildProcess;
  readonly folder: string;
  #progress = 0;
  #downloadedBytes = 0;
  #errors = "";
  #wake = Promise.withResolvers<void>();

  constructor(torrent: string, folder: string, certificate?: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
    const script = join(import.meta.dirname, "libtorrent_peer.py");
    const args = [script, torrent, folder, ...(certificate === undefined ? [] : [certificate])];
    this.#child = spawn(PYTHON, args, { stdio: ["pipe", "pipe", "pipe"] });
    if (this.#child.stdout === null) throw new Error("no stdout");
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#read(line));
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#errors += text;
    });
  }

  get downloadedBytes(): number {
    return this.#downloadedBytes;
  }

  async connectTo(client: ClientProcess): Promise<void> {
    const { listeningOn } = (await client.must("whoami")) as { listeningOn: string };
    const { host, port } = parseAddress(listeningOn);
    this.#child.stdin?.write(`${host} ${port}\n`);
  }

  async has(part: number): Promise<void> {
    while (this.#progress < part) {
      await within(
        this.#wake.promise,
        () => `libtorrent to have ${part}; it has ${this.#progress}\n${this.#errors}`,
      );
    }
  }

  async says(alert: RegExp): Promise<void> {
    await until(
      () => alert.test(this.#errors),
      () => `libtorrent to tell of ${alert}:\n${this.#errors}`,
    );
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }

  #read(line: string): void {
    const [word, progress, downloadedBytes] = line.split(" ");
    if (word !== "progress" || Number(progress) === this.#progress) return;
    this.#progress = Number(progress);
    this.#downloadedBytes = Number(downloadedBytes);
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}

/** Exports what libtorrent needs, from that client. */
async function exported(
  scene: Scene,
  client: ClientProcess,
  name: string,
  share = "set.tar",
): Promise<{ torrent: string; certificate: string }> {
  const torrent = scene.path(`${name}.torrent`);
  const certificate = scene.path(`${name}.pem`);
  await client.must(`export_torrent g ${share} ${torrent}`);
  await client.must(`export_certificate g ${certificate}`);
  return { torrent, certificate };
}

test("libtorrent downloads from our seeder, and our client from libtorrent", { skip }, async () => {
  await using scene = await Scene.open(1);
  const [alice, bob, carol] = [await scene.user("alice"), await scene.user("bob"), await scene.user("carol")];
  await scene.group("g", alice, { bob, carol });
  const { path, sha1 } = scene.file("alice", "set.tar", 24 * MIB + 12_345);
  await alice.must(`upload_file ${path} g`);
  const { torrent, certificate } = await exported(scene, bob, "bob");
  using libtorrent = new LibtorrentPeer(torrent, scene.path("lt"), certificate);
  await libtorrent.connectTo(alice);
  await libtorrent.has(1);
  assert.equal(await sha1Of(scene.path("lt", "set.tar")), sha1);

  await alice.must("logout");
  await carol.must(`download_file g set.tar ${scene.path("carol")}/`);
  await libtorrent.connectTo(carol);
  await carol.must("wait g set.tar");
  assert.equal(await sha1Of(scene.path("carol", "set.tar")), sha1);
  const { sources } = await downloadOf(carol);
  assert.deepEqual(
    sources.filter(({ pieces }) => pieces > 0).map(({ userId }) => userId),
    ["bob"],
  );
});

test("a mixed swarm of both completes", { skip }, async () => {
  await using scene = await Scene.open(1);
  const [alice, bob, carol] = [await scene.user("alice"), await scene.user("bob"), await scene.user("carol")];
  await scene.group("g", alice, { bob, carol });
  const { path, sha1 } = scene.file("alice", "set.tar", 96 * MIB);
  await alice.must(`upload_file ${path} g`);
  const { torrent, certificate } = await exported(scene, bob, "bob");
  using libtorrent = new LibtorrentPeer(torrent, scene.path("lt"), certificate);
  await carol.must(`download_file g set.tar ${scene.path("carol")}/`);
  await libtorrent.connectTo(alice);
  await libtorrent.connectTo(carol);
  await Promise.all([libtorrent.has(1), carol.must("wait g set.tar")]);
  for (const folder of ["lt", "carol"]) assert.equal(await sha1Of(scene.path(folder, "set.tar")), sha1);
});

test("without a certificate of the group libtorrent gets nothing", { skip }, async () => {
  await using scene = await Scene.open(1);
  const [alice, bob] = [await scene.user("alice"), await scene.user("bob")];
  await scene.group("g", alice, { bob });
  await bob.must("create_group other");
  const { path } = scene.file("alice", "set.tar", 4 * MIB);
  await alice.must(`upload_file ${path} g`);
  const { torrent } = await exported(scene, bob, "bob");
  const foreign = scene.path("foreign.pem");
  await bob.must(`export_certificate other ${foreign}`);
  using bare = new LibtorrentPeer(torrent, scene.path("bare"));
  using stranger = new LibtorrentPeer(torrent, scene.path("stranger"), foreign);
  for (const peer of [bare, stranger]) await peer.connectTo(alice);
  // It does not even dial without one, nor with one that is not the group's, or is refused.
  await bare.says(/^torrent_need_cert: /m);
  await stranger.says(/^(torrent_error|peer_error|peer_disconnected): /m);
  assert.deepEqual([bare.downloadedBytes, stranger.downloadedBytes], [0, 0]);
  assert.deepEqual(await alice.must("peers g set.tar"), []);
});

/** The paths and hashes of all files in a folder. */
async function contentOf(folder: string): Promise<Record<string, string>> {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  const paths = found.map((one) => join(one.parentPath, one.name)).sort();
  const content: Record<string, string> = {};
  for (const path of paths) content[path.slice(folder.length + 1)] = await sha1Of(path);
  return content;
}

test("libtorrent downloads a folder from our seeder, padding included, and our client from libtorrent", {
  skip,
}, async () => {
  await using scene = await Scene.open(1);
  const [alice, bob, carol] = [await scene.user("alice"), await scene.user("bob"), await scene.user("carol")];
  await scene.group("g", alice, { bob, carol });
  const data = scene.path("alice", "data");
  mkdirSync(join(data, "small"), { recursive: true });
  // Of more than one piece, so that there is padding before the second.
  for (const name of ["one.bin", "two.bin"]) scene.file("alice", join("data", name), 3 * MIB + 12_345);
  for (let number = 0; number < 50; number++)
    writeFileSync(join(data, "small", `${number}.txt`), `number ${number}\n`.repeat(number));
  writeFileSync(join(data, "run.sh"), "#!/bin/sh\n");
  chmodSync(join(data, "run.sh"), 0o755);
  await alice.must(`upload_file ${data} g`);
  const { torrent, certificate } = await exported(scene, bob, "bob", "data");
  using libtorrent = new LibtorrentPeer(torrent, scene.path("lt"), certificate);
  await libtorrent.connectTo(alice);
  await libtorrent.has(1);
  const expected = await contentOf(data);
  const found = Object.entries(await contentOf(scene.path("lt", "data")));
  // libtorrent may write padding as files, as older clients do.
  assert.deepEqual(Object.fromEntries(found.filter(([path]) => !path.startsWith(".pad/"))), expected);

  await alice.must("logout");
  await carol.must(`download_file g data ${scene.path("carol")}/`);
  await libtorrent.connectTo(carol);
  await carol.must("wait g data");
  assert.deepEqual(await contentOf(scene.path("carol", "data")), expected);
  const { sources } = await downloadOf(carol);
  assert.deepEqual(
    sources.filter(({ pieces }) => pieces > 0).map(({ userId }) => userId),
    ["bob"],
  );
});
