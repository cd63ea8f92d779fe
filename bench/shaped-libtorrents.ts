// The swarm of a ShapedSwarm's hosts once more, with a libtorrent on each, unencrypted: everybody is told of everybody.
import { mkdirSync, rmSync } from "node:fs";
import { LibtorrentProcess } from "./libtorrent.ts";
import { writePlainTorrent } from "./plain-torrent.ts";
import { FILE_NAME, type ShapedSwarm } from "./shaped-swarm.ts";

/** By leecher: seconds until every piece is there and checked. No client of ours may run on the hosts meanwhile. */
export async function libtorrentSeconds(swarm: ShapedSwarm): Promise<number[]> {
  const torrent = swarm.path("file.torrent");
  writePlainTorrent(swarm.path("source", FILE_NAME), torrent);
  const peers = await Promise.all(
    swarm.hosts.map(({ address, prefix }) => LibtorrentProcess.start(address, prefix)),
  );
  try {
    const [seeder, ...leechers] = peers;
    await seeder?.seed(torrent, swarm.path("source"));
    const startedMs = performance.now();
    return await Promise.all(
      leechers.map(async (leecher, index) => {
        const folder = swarm.path(`libtorrent-${index}`);
        mkdirSync(folder);
        await leecher.download(
          torrent,
          folder,
          peers.filter((peer) => peer !== leecher),
        );
        const seconds = (performance.now() - startedMs) / 1000;
        return seconds;
      }),
    );
  } finally {
    for (const peer of peers) await peer[Symbol.asyncDispose]();
    for (const index of swarm.hosts.keys()) {
      rmSync(swarm.path(`libtorrent-${index}`), { recursive: true, force: true });
    }
  }
}
