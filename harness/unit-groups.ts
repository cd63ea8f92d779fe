// The unit tests, in groups that share a process, since loading the code takes longer than most tests: those of a folder, or of
// several folders. Their temporary files are made in memory where the system has room there, since they are synced so often.
import { globSync, mkdtempSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** Folders of `test/unit/` that share a process; every other one has its own. */
const SHARED: Readonly<Record<string, readonly string[]>> = {
  client: ["client", "client/downloads", "client/trackers"],
  "cli and daemon": ["cli", "daemon"],
  "tracker/registry and others": ["registry", "presence", "replication", "rules"].map(
    (name) => `tracker/${name}`,
  ),
  "swarm and others": ["", "api", "engine", "identity", "metainfo", "net", "swarm", "transport", "wire"],
};
/** Of Linux: a file system in memory, for everybody. */
const MEMORY = "/dev/shm";
/** The tests of a group have at most 16 MiB of files at a time. */
const LEAST_MEMORY_BYTES = 256 * 1024 * 1024;

export interface TestGroup {
  readonly name: string;
  readonly files: readonly string[];
}

/** @param root of the checkout; files are relative to it */
export function unitGroups(root: string): TestGroup[] {
  const files = globSync("test/unit/**/*.test.ts", { cwd: root }).sort();
  return [...Map.groupBy(files, (file) => groupOf(dirname(file)))].map(([name, ofGroup]) => ({
    name,
    files: ofGroup,
  }));
}

function groupOf(folder: string): string {
  const below = folder.slice("test/unit/".length);
  const [name] = Object.entries(SHARED).find(([, folders]) => folders.includes(below)) ?? [below];
  return `test/unit/${name}`;
}

/** Flags of `node` for the tests of one process. The young generation has 64 MiB: collecting it took an eighth of the time. */
export function flagsOf({ files }: TestGroup): readonly string[] {
  return files.length > 1 ? ["--test-isolation=none", "--max-semi-space-size=64"] : [];
}

/** Makes the folder for the tests' temporary files; who calls this removes it. */
export function makeTemporaryFolder(): string {
  return mkdtempSync(join(hasRoomInMemory() ? MEMORY : tmpdir(), "minitorrent-unit-"));
}

function hasRoomInMemory(): boolean {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    return bavail * bsize >= LEAST_MEMORY_BYTES;
  } catch {
    return false; // not Linux
  }
}
