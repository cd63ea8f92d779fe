// One download, measured: how long from the command until the copy is complete, its whole-file SHA-1 included, and what
// processor time each process took meanwhile. Afterwards everything is as before, so that it can be done again.
import { rmSync } from "node:fs";
import type { ClientProcess } from "../harness/processes.ts";
import { type Scene, sha1Of } from "../harness/scene.ts";
import { cpuSecondsDuring, machineCpuSeconds } from "./process-cost.ts";

/** No download here takes half as long, even where everything is slow. */
const DOWNLOAD_PATIENCE_MS = 300_000;
export const GROUP = "g";

export interface SharedFile {
  readonly name: string;
  readonly sha1: string;
}

export interface Transfer {
  readonly seconds: number;
  /** In the order of the processes that were given. */
  readonly cpuSeconds: readonly number[];
  /** What everything on the machine together took: more than ours means that something else ran. */
  readonly machineCpuSeconds: number;
}

/**
 * Every one of the leechers downloads the file at once.
 *
 * @param cpuOf processes whose processor time is wanted
 */
export async function measureTransfer(
  scene: Scene,
  file: SharedFile,
  leechers: readonly ClientProcess[],
  cpuOf: readonly ClientProcess[],
): Promise<Transfer> {
  const destinations = leechers.map(({ pid }) => scene.path(`copy-${pid}.bin`));
  let seconds = 0;
  const machineBefore = machineCpuSeconds();
  const cpuSeconds = await cpuSecondsDuring(
    cpuOf.map(({ pid }) => pid),
    async () => {
      const startedMs = performance.now();
      await Promise.all(
        leechers.map((leecher, index) => download(leecher, file.name, destinations[index] ?? "")),
      );
      seconds = (performance.now() - startedMs) / 1000;
    },
  );
  const machineTotal = machineCpuSeconds() - machineBefore;
  for (const [index, leecher] of leechers.entries()) {
    const destination = destinations[index] ?? "";
    if ((await sha1Of(destination)) !== file.sha1) throw new Error(`${destination} is not the file`);
    await forget(leecher, file.name);
    rmSync(destination);
  }
  return { seconds, cpuSeconds, machineCpuSeconds: machineTotal };
}

export async function download(leecher: ClientProcess, name: string, path: string): Promise<void> {
  await leecher.must(`download_file ${GROUP} ${name} ${path}`);
  await leecher.must(`wait ${GROUP} ${name}`, DOWNLOAD_PATIENCE_MS);
}

/** Forgets the download and the share that came of it, so that it can be done again. The copy stays. */
export async function forget(leecher: ClientProcess, name: string): Promise<void> {
  await leecher.must(`stop_share ${GROUP} ${name}`);
  await leecher.must(`cancel ${GROUP} ${name}`);
}
