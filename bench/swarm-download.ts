// The same file downloaded at once by all leechers of a shaped swarm: when each has its copy, what the seeder had sent
// when the first whole copy was out, and how many bytes came for nothing.
import { availableParallelism } from "node:os";
import { z } from "zod";
import type { ClientProcess } from "../harness/processes.ts";
import { downloadOf, sha1Of } from "../harness/scene.ts";
import { cpuSecondsDuring, machineCpuSeconds } from "./process-cost.ts";
import { atMost, digits, type Mark, median, seconds, spread } from "./report.ts";
import { FILE_NAME, type Link, ShapedSwarm } from "./shaped-swarm.ts";
import { download, GROUP } from "./transfer.ts";

/** Files that the seeder sends until the swarm has a whole one, at most. */
const SEEDER_COPIES = 1.05;
const DUPLICATE_PERCENT = 0.5;

const heldSchema = z.object({ uploadedBytes: z.number() });

/** Who takes part, while they download. */
export interface SwarmScene {
  readonly swarm: ShapedSwarm;
  readonly seeder: ClientProcess;
  /** Who need not stay. */
  readonly guests: readonly ClientProcess[];
  /** Every leecher has its copy. */
  readonly whenDone: AbortSignal;
}

/** Something that happens while they download. */
export type Meanwhile = (scene: SwarmScene) => Promise<void>;

interface SwarmDownload {
  /** By leecher, from the commands to the complete copy. */
  readonly seconds: readonly number[];
  /** What the seeder had sent when the others together had everything, in files; undefined: it left before it knew. */
  readonly seederCopies: number | undefined;
  /** Of all bytes that arrived. */
  readonly duplicatePart: number;
  /** Of all cores' time until the last was done: how much the clients took, and how much everything else. */
  readonly clientsPart: number;
  readonly othersPart: number;
}

/** Starts every client, shares the file, and downloads it everywhere; ends the clients. */
async function downloadEverywhere(
  swarm: ShapedSwarm,
  { lengthBytes, leechers: { length: leecherCount }, meanwhile }: SwarmKind,
): Promise<SwarmDownload> {
  const [seeder, ...others] = await swarm.startClients();
  const [leechers, guests] = [others.slice(0, leecherCount), others.slice(leecherCount)];
  if (seeder === undefined) throw new Error("no seeder");
  await seeder.must(`upload_file ${swarm.path("source", FILE_NAME)} ${GROUP}`);
  const done = new AbortController();
  const scene = { swarm, seeder, guests, whenDone: done.signal };
  const startedMs = performance.now();
  const downloads = leechers.map(async (leecher, index) => {
    await download(leecher, FILE_NAME, swarm.path(`copy-${index}`));
    return (performance.now() - startedMs) / 1000;
  });
  const pids = [...leechers, ...guests].map(({ pid }) => pid);
  const machineBefore = machineCpuSeconds();
  let parts = { clientsPart: 0, othersPart: 0 };
  const measured = cpuSecondsDuring(pids, async () => void (await Promise.all(downloads)));
  const allDone = measured.then((cpuSeconds) => {
    const available = ((performance.now() - startedMs) / 1000) * availableParallelism();
    const clients = cpuSeconds.reduce((sum, each) => sum + each, 0);
    const others = machineCpuSeconds() - machineBefore - clients;
    parts = { clientsPart: clients / available, othersPart: others / available };
  });
  await Promise.all([allDone.finally(() => done.abort()), meanwhile?.(scene)]);
  const taken = await Promise.all(downloads);
  for (const index of leechers.keys()) {
    if ((await sha1Of(swarm.path(`copy-${index}`))) !== swarm.sha1) throw new Error("a copy is not the file");
  }
  const arrived = await Promise.all(leechers.map((leecher) => downloadOf(leecher)));
  const held = seeder.events.find(({ event }) => event === "held-by-others");
  const duplicateBytes = arrived.reduce((sum, one) => sum + one.duplicateBytes, 0);
  return {
    seconds: taken,
    seederCopies: held === undefined ? undefined : heldSchema.parse(held).uploadedBytes / lengthBytes,
    duplicatePart: duplicateBytes / (lengthBytes * leechers.length + duplicateBytes),
    ...parts,
  };
}

/** How a run went, in words. */
function swarmText({ seconds: all, seederCopies, duplicatePart, ...cpu }: SwarmDownload): string {
  const sorted = [...all].sort((a, b) => a - b);
  const copies =
    seederCopies === undefined ? "" : `, first whole copy after ${digits(seederCopies)} files sent`;
  const duplicates = `${digits(duplicatePart * 100)} % duplicates`;
  const processor = `processor ${(cpu.clientsPart * 100).toFixed(0)} % leechers, ${(cpu.othersPart * 100).toFixed(0)} % all else`;
  return `first ${sorted[0]?.toFixed(2)} s, last ${sorted.at(-1)?.toFixed(2)} s${copies}, ${duplicates}; ${processor}`;
}

function lastOf(one: SwarmDownload): number {
  return Math.max(...one.seconds);
}

export interface SwarmKind {
  /** A tmpfs. */
  readonly folder: string;
  readonly seeder: Link;
  readonly leechers: readonly Link[];
  /** Hosts of others, who need no copy. */
  readonly guests?: readonly Link[];
  readonly lengthBytes: number;
  readonly meanwhile?: Meanwhile;
}

export interface SwarmFigures {
  /** When the last leecher had its copy. */
  readonly lastSeconds: number;
  readonly marks: Mark[];
  readonly figures: Record<string, number | readonly number[]>;
  readonly lines: string[];
}

/** That many runs of such a swarm, each on new hosts with new clients: the median of the last leecher's time. */
export async function measureSwarm(
  kind: SwarmKind,
  runs: number,
  say: (line: string) => void,
): Promise<SwarmFigures> {
  const done: SwarmDownload[] = [];
  for (let run = 0; run < runs; run++) {
    await using swarm = await ShapedSwarm.open(kind.folder, kind.seeder, [
      ...kind.leechers,
      ...(kind.guests ?? []),
    ]);
    swarm.makeFile(kind.lengthBytes);
    const one = await downloadEverywhere(swarm, kind);
    say(swarmText(one));
    done.push(one);
  }
  const lasts = done.map(lastOf);
  const lastSeconds = median(lasts);
  const copies = done.flatMap(({ seederCopies }) => seederCopies ?? []);
  const duplicatePercent = median(done.map(({ duplicatePart }) => duplicatePart)) * 100;
  const marks = [atMost(DUPLICATE_PERCENT, "%", "of all bytes came twice", duplicatePercent)];
  if (copies.length > 0) {
    marks.unshift(atMost(SEEDER_COPIES, "files", "sent by the seeder for the first copy", median(copies)));
  }
  return {
    lastSeconds,
    marks,
    figures: { lastSeconds, lastRuns: lasts, duplicatePercent, seederCopies: median(copies) },
    lines: [`last leecher ${spread(lasts)}; first of each run ${done.map(firstOf).map(seconds).join(", ")}`],
  };
}

function firstOf(one: SwarmDownload): number {
  return Math.min(...one.seconds);
}
