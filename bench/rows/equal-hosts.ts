// Row d: one seeder and eight leechers on hosts with 100 Mbit/s each way, against the fluid bound; libtorrent on hosts
// like these beside it. What counts is when the last leecher has its copy.
import { withoutNetworkNamespaces } from "../../harness/requirements.ts";
import { libtorrentVersion } from "../libtorrent.ts";
import { atMost, type Conditions, digits, type Row, type RowResult, seconds } from "../report.ts";
import { libtorrentSeconds } from "../shaped-libtorrents.ts";
import { fluidBoundSeconds, type Link, ShapedSwarm } from "../shaped-swarm.ts";
import { measureSwarm } from "../swarm-download.ts";

const MIB = 1024 ** 2;
const TIMES_BOUND = 1.15;
const HOST: Link = { send: 100, receive: 100 };
const LEECHERS = Array.from({ length: 8 }, () => HOST);
/** A run takes the better part of a minute. */
const MOST_RUNS = 3;

export const equalHosts: Row = {
  name: "d",
  work: "eight leechers, hosts with 100 Mbit/s each way",
  async run({ folder, runs, isQuick, say }: Conditions): Promise<RowResult> {
    const skipped = withoutNetworkNamespaces();
    if (skipped !== false) return { marks: [], figures: {}, lines: [`not measured: ${skipped}`] };
    const lengthBytes = (isQuick ? 48 : 192) * MIB;
    const boundSeconds = fluidBoundSeconds(lengthBytes, HOST, LEECHERS);
    const swarm = { folder, seeder: HOST, leechers: LEECHERS, lengthBytes };
    const measured = await measureSwarm(swarm, Math.min(runs, isQuick ? 1 : MOST_RUNS), (line) =>
      say(`d: ${line}`),
    );
    const { lastSeconds, marks, figures, lines } = measured;
    marks.unshift(atMost(TIMES_BOUND, "×", "the fluid bound", lastSeconds / boundSeconds));
    lines.unshift(`bound ${seconds(boundSeconds)}: the seeder sends each byte once at 100 Mbit/s`);
    if (libtorrentVersion() === undefined || isQuick)
      return { marks, figures: { ...figures, boundSeconds }, lines };
    await using hosts = await ShapedSwarm.open(folder, HOST, LEECHERS);
    hosts.makeFile(lengthBytes);
    const libtorrentLast = Math.max(...(await libtorrentSeconds(hosts)));
    lines.push(
      `libtorrent: last ${seconds(libtorrentLast)}, ${digits(libtorrentLast / boundSeconds)} × the bound`,
    );
    return { marks, figures: { ...figures, boundSeconds, libtorrentLast }, lines };
  },
};
