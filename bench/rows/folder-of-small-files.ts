// Row j: a folder of 20,000 files of 16 KiB, shared by one process and downloaded by another; the same folder by an rsync daemon,
// two Syncthings, and two libtorrents with the same files and pieces, each once a run and in turns.
import { mkdirSync, rmSync } from "node:fs";
import { Scene } from "../../harness/scene.ts";
import { digestOfTree, writeTree } from "../../harness/trees.ts";
import { LibtorrentProcess, libtorrentVersion } from "../libtorrent.ts";
import { writeWithoutCertificate } from "../plain-torrent.ts";
import { cpuSecondsDuring, peakBytesOf, secondsOf } from "../process-cost.ts";
import { atLeast, type Conditions, median, type Row, type RowResult, seconds, spread } from "../report.ts";
import { RsyncDaemon, rsyncVersion } from "../rsync.ts";
import { syncthingSeconds, syncthingVersion } from "../syncthing.ts";
import { download, forget, GROUP } from "../transfer.ts";

const FILE_LENGTH_BYTES = 16 * 1024;
const SHARED_PER_SECOND = 4_000;
const DOWNLOADED_PER_SECOND = 3_000;
const PATIENCE_MS = 300_000;
const NAME = "tree";

export const folderOfSmallFiles: Row = {
  name: "j",
  work: "a folder of small files of 16 KiB",
  async run({ folder, runs, isQuick, say }: Conditions): Promise<RowResult> {
    const fileCount = isQuick ? 2_000 : 20_000;
    await using scene = await Scene.open(1, folder);
    const [seeder, leecher] = [await scene.user("alice"), await scene.user("bob")];
    await scene.group(GROUP, seeder, { bob: leecher });
    const source = scene.path("alice", NAME);
    writeTree(source, { fileCount, fileLengthBytes: FILE_LENGTH_BYTES });
    const digest = digestOfTree(source);
    const same = (path: string): void => {
      if (digestOfTree(path) !== digest) throw new Error(`${path} is not the folder`);
      rmSync(path, { recursive: true });
    };

    const shared: number[] = [];
    const downloaded: number[] = [];
    const rsync: number[] = [];
    const cpu: number[][] = [];
    for (let run = 0; run < runs; run++) {
      if (run > 0) await seeder.must(`stop_share ${GROUP} ${NAME}`);
      shared.push(await secondsOf(() => seeder.must(`upload_file ${source} ${GROUP}`, PATIENCE_MS)));
      const ours = scene.path("ours");
      cpu.push(
        await cpuSecondsDuring([seeder.pid, leecher.pid], async () => {
          downloaded.push(await secondsOf(() => download(leecher, NAME, ours)));
        }),
      );
      same(ours);
      await forget(leecher, NAME);
      if (rsyncVersion() !== undefined) {
        await using daemon = await RsyncDaemon.start(source, scene.folder);
        rsync.push(await daemon.fetch(scene.path("rsync")));
        same(scene.path("rsync"));
      }
      say(
        `j: run ${run + 1}: shared ${seconds(shared.at(-1) ?? 0)}, downloaded ${seconds(downloaded.at(-1) ?? 0)}, rsync ${seconds(rsync.at(-1) ?? Number.NaN)}`,
      );
    }
    await seeder.must(`export_torrent ${GROUP} ${NAME} ${scene.path("ours.torrent")}`);
    const libtorrent = await libtorrentTakes(scene, runs, same);
    const syncthing: number[] = [];
    if (syncthingVersion() !== undefined) {
      syncthing.push(await syncthingSeconds(source, fileCount, scene.folder));
      same(scene.path("syncthing-copy"));
    }
    const peaks = [peakBytesOf(seeder.pid), peakBytesOf(leecher.pid)].map((bytes) => bytes / 1e6);
    await Promise.all([seeder.finish(), leecher.finish()]);

    const [sharedRate, downloadedRate] = [fileCount / median(shared), fileCount / median(downloaded)];
    const beside = (name: string, runs: readonly number[]): string =>
      runs.length === 0
        ? `${name}: not installed`
        : `${name}: ${spread(runs)}, ${(fileCount / median(runs)).toFixed(0)} files/s`;
    return {
      marks: [
        atLeast(SHARED_PER_SECOND, "files/s", "shared", sharedRate),
        atLeast(DOWNLOADED_PER_SECOND, "files/s", "downloaded", downloadedRate),
      ],
      figures: {
        ...{ fileCount, sharedRuns: shared, downloadedRuns: downloaded, rsyncRuns: rsync },
        ...{ libtorrentRuns: libtorrent, syncthingRuns: syncthing, peakMegabytes: peaks },
        seederCpu: median(cpu.map(([seederCpu = 0]) => seederCpu)),
        leecherCpu: median(cpu.map(([, leecherCpu = 0]) => leecherCpu)),
      },
      lines: [
        `shared ${spread(shared)}, downloaded ${spread(downloaded)}; ${peaks.map((peak) => peak.toFixed(0)).join(" + ")} MB at most`,
        beside("an rsync daemon, which compares nothing and checks nothing afterwards", rsync),
        beside("libtorrent, the same files and pieces, unencrypted", libtorrent),
        beside("Syncthing, from when the receiver gets the folder", syncthing),
      ],
    };
  },
};

async function libtorrentTakes(scene: Scene, runs: number, same: (path: string) => void): Promise<number[]> {
  if (libtorrentVersion() === undefined) return [];
  const torrent = scene.path("plain.torrent");
  writeWithoutCertificate(scene.path("ours.torrent"), torrent);
  await using seeder = await LibtorrentProcess.start();
  await using leecher = await LibtorrentProcess.start();
  await seeder.seed(torrent, scene.path("alice"));
  const taken: number[] = [];
  for (let run = 0; run < runs; run++) {
    const folder = scene.path("libtorrent");
    mkdirSync(folder);
    taken.push(await secondsOf(() => leecher.download(torrent, folder, [seeder])));
    await leecher.remove();
    rmSync(scene.path("libtorrent", NAME, ".pad"), { recursive: true, force: true });
    same(scene.path("libtorrent", NAME));
    rmSync(folder, { recursive: true });
  }
  return taken;
}
