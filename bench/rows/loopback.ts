// Row a: one seeder process to one leecher process over loopback, files on a tmpfs, TLS on, the whole-file check
// included. Beside it, in turns with it, libtorrent without encryption, which does not check the whole file.
import { mkdirSync, rmSync } from "node:fs";
import { Scene } from "../../harness/scene.ts";
import { Aria2Seeder } from "../aria2.ts";
import { LibtorrentProcess, libtorrentVersion } from "../libtorrent.ts";
import { machineFacts } from "../machine.ts";
import { writePlainTorrent } from "../plain-torrent.ts";
import { cpuSecondsDuring, machineCpuSeconds, peakBytesOf } from "../process-cost.ts";
import {
  atLeast,
  type Conditions,
  type Mark,
  median,
  megabytesPerSecond,
  type Row,
  type RowResult,
  seconds,
  spread,
} from "../report.ts";
import { measureRoofline, type Roofline } from "../roofline.ts";
import { GROUP, measureTransfer, type Transfer } from "../transfer.ts";

const GIB = 1024 ** 3;
const TIMES_LIBTORRENT = 2.2;
const OF_ROOFLINE = 0.75;
const MOST_ARIA2_RUNS = 2;
const FILE_NAME = "file.bin";

export const loopback: Row = {
  name: "a",
  work: "one seeder to one leecher over loopback",
  async run(conditions: Conditions): Promise<RowResult> {
    const { folder, runs, isQuick, say } = conditions;
    const lengthBytes = isQuick ? GIB / 4 : GIB;
    const roofline = await measureRoofline(conditions);
    const boundSeconds = roofline.boundSeconds * (lengthBytes / GIB);

    await using scene = await Scene.open(1, folder);
    const [seeder, leecher] = [await scene.user("alice"), await scene.user("bob")];
    await scene.group(GROUP, seeder, { bob: leecher });
    const { path, sha1 } = scene.file("alice", FILE_NAME, lengthBytes);
    await seeder.must(`upload_file ${path} ${GROUP}`);
    await using libtorrent = await LibtorrentPair.open(scene, path);

    const ours: Transfer[] = [];
    const theirs: Transfer[] = [];
    for (let run = 0; run < runs; run++) {
      const file = { name: FILE_NAME, sha1 };
      const our = await measureTransfer(scene, file, [leecher], [seeder, leecher]);
      ours.push(our);
      const their = await libtorrent?.transfer();
      if (their !== undefined) theirs.push(their);
      const beside = their === undefined ? "" : `, libtorrent ${seconds(their.seconds)}`;
      say(`a: run ${run + 1}: ${seconds(our.seconds)}${beside}`);
    }
    const aria2Runs = await aria2Seconds(scene, Math.min(runs, MOST_ARIA2_RUNS));
    const peaks = { seeder: peakBytesOf(seeder.pid), leecher: peakBytesOf(leecher.pid) };
    await Promise.all([seeder.finish(), leecher.finish()]);

    const ourSeconds = median(ours.map((run) => run.seconds));
    const [seederCpu, leecherCpu] = [cpuOf(ours, 0), cpuOf(ours, 1)];
    const othersCpu = median(ours.map((run) => run.machineCpuSeconds)) - seederCpu - leecherCpu;
    const marks: Mark[] = [atLeast(OF_ROOFLINE, "×", "of the roofline", boundSeconds / ourSeconds)];
    const times = spread(ours.map((run) => run.seconds));
    const memory = `${megabytes(peaks.seeder)} + ${megabytes(peaks.leecher)} MB at most`;
    const lines = [
      `ours: ${times}, ${megabytesPerSecond(lengthBytes, ourSeconds)}, TLS 1.3 and the whole file's SHA-1; ${memory}`,
      ...whereItWent(roofline, lengthBytes / GIB, { ourSeconds, seederCpu, leecherCpu, othersCpu }),
    ];
    const figures = {
      ...{ lengthBytes, ourSeconds, boundSeconds, seederCpu, leecherCpu, othersCpu },
      ...{ seederPeakBytes: peaks.seeder, leecherPeakBytes: peaks.leecher },
      ourRuns: ours.map((run) => run.seconds),
      ...(aria2Runs.length === 0 ? {} : { aria2Seconds: median(aria2Runs), aria2Runs }),
      ...roofline.parts,
    };
    const aria2 = aria2Runs.length === 0 ? "not installed (Debian package aria2)" : spread(aria2Runs);
    lines.push(`aria2: ${aria2}`);
    if (theirs.length === 0) {
      lines.push("libtorrent: not installed (Debian package python3-libtorrent)");
      return { marks, figures, lines };
    }
    const libtorrentSeconds = median(theirs.map((run) => run.seconds));
    marks.unshift(atLeast(TIMES_LIBTORRENT, "×", "libtorrent plain", libtorrentSeconds / ourSeconds));
    const libtorrentCpu = `${seconds(cpuOf(theirs, 0))} + ${seconds(cpuOf(theirs, 1))} of processor`;
    const theirTimes = spread(theirs.map((run) => run.seconds));
    lines.push(
      `libtorrent: ${theirTimes}, ${megabytesPerSecond(lengthBytes, libtorrentSeconds)}, no encryption, no check of the whole; ${libtorrentCpu}`,
    );
    const libtorrentRuns = theirs.map((run) => run.seconds);
    return { marks, figures: { ...figures, libtorrentSeconds, libtorrentRuns }, lines };
  },
};

/** Processor time of our processes beside what the parts need alone. */
function whereItWent(
  { parts, cores }: Roofline,
  gib: number,
  measured: { ourSeconds: number; seederCpu: number; leecherCpu: number; othersCpu: number },
): string[] {
  const { ourSeconds, seederCpu, leecherCpu, othersCpu } = measured;
  const seederParts = (parts.read + parts.tlsSend) * gib;
  const leecherParts = (parts.tlsReceive + 2 * parts.sha1 + parts.write) * gib;
  const idle = Math.max(0, ourSeconds * cores - seederCpu - leecherCpu - othersCpu);
  return [
    `where it went: seeder ${seconds(seederCpu)} of processor, its parts alone ${seconds(seederParts)}; ` +
      `leecher ${seconds(leecherCpu)}, its parts alone ${seconds(leecherParts)}; ` +
      `everything else on the machine ${seconds(othersCpu)}; idle ${seconds(idle)} of ${seconds(ourSeconds * cores)}`,
  ];
}

/** Nothing where aria2 is not installed. */
async function aria2Seconds(scene: Scene, runs: number): Promise<number[]> {
  const taken: number[] = [];
  if (machineFacts().aria2 === undefined) return taken;
  await using seeder = await Aria2Seeder.start(scene.path("alice"), FILE_NAME, scene.path("aria2.torrent"));
  for (let run = 0; run < runs; run++) taken.push(await seeder.transfer(scene.path("aria2")));
  return taken;
}

function cpuOf(transfers: readonly Transfer[], index: number): number {
  return median(transfers.map(({ cpuSeconds }) => cpuSeconds[index] ?? Number.NaN));
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

/** Two libtorrents, one of which has the file. */
class LibtorrentPair implements AsyncDisposable {
  readonly #scene: Scene;
  readonly #torrent: string;
  readonly #seeder: LibtorrentProcess;
  readonly #leecher: LibtorrentProcess;

  private constructor(
    scene: Scene,
    torrent: string,
    [seeder, leecher]: readonly [LibtorrentProcess, LibtorrentProcess],
  ) {
    this.#scene = scene;
    this.#torrent = torrent;
    this.#seeder = seeder;
    this.#leecher = leecher;
  }

  /** undefined where libtorrent is not installed. */
  static async open(scene: Scene, path: string): Promise<LibtorrentPair | undefined> {
    if (libtorrentVersion() === undefined) return undefined;
    const torrent = scene.path("file.torrent");
    writePlainTorrent(path, torrent);
    const both = [await LibtorrentProcess.start(), await LibtorrentProcess.start()] as const;
    await both[0].seed(torrent, scene.path("alice"));
    return new LibtorrentPair(scene, torrent, both);
  }

  async transfer(): Promise<Transfer> {
    const folder = this.#scene.path("libtorrent");
    mkdirSync(folder);
    let taken = 0;
    const machineBefore = machineCpuSeconds();
    const cpuSeconds = await cpuSecondsDuring([this.#seeder.pid, this.#leecher.pid], async () => {
      const startedMs = performance.now();
      await this.#leecher.download(this.#torrent, folder, [this.#seeder]);
      taken = (performance.now() - startedMs) / 1000;
    });
    const machineTotal = machineCpuSeconds() - machineBefore;
    await this.#leecher.remove();
    rmSync(folder, { recursive: true });
    return { seconds: taken, cpuSeconds, machineCpuSeconds: machineTotal };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#leecher[Symbol.asyncDispose]();
    await this.#seeder[Symbol.asyncDispose]();
  }
}
