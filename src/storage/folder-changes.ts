// Which files of a folder are not as they were: looked at in batches by a worker, 100,000 in a second or two.
import type { FileLayout } from "../metainfo/file-layout.ts";
import type { DiskPool } from "./disk-pool.ts";
import type { FolderFacts } from "./folder-facts.ts";
import { PathKind, STAT_NUMBERS } from "./scan-jobs.ts";

/** Files of one job: a millisecond of a worker. */
const FILES_AT_ONCE = 256;
/** Jobs under way, so that the worker need not wait for the next one. */
const BATCHES_AT_ONCE = 4;

/** How the files of a folder were. */
export interface FolderState {
  readonly layout: FileLayout;
  readonly facts: FolderFacts;
}

/**
 * Files and links that are gone, or have another length or time, or are of another kind. Those with no time in the facts were
 * not there, or are not known, and are left out.
 *
 * @param files by their numbers, in ascending order. @default all of them
 * @returns their numbers, in order
 * @throws MiniTorrentError FILE_UNREADABLE, DISK_FAILED; the signal's reason when it is aborted
 */
export async function changedFiles(
  disk: Pick<DiskPool, "statFiles">,
  folderPath: string,
  state: FolderState,
  { files, signal }: { files?: readonly number[] | undefined; signal?: AbortSignal | undefined } = {},
): Promise<number[]> {
  const fileCount = files?.length ?? state.layout.fileCount;
  const changed: number[][] = [];
  const turns: Promise<void>[] = [];
  const look = async (first: number, batch: number): Promise<void> => {
    const end = Math.min(first + FILES_AT_ONCE, fileCount);
    const fileIndexes = Array.from(
      { length: end - first },
      (_, index) => files?.[first + index] ?? first + index,
    );
    const stats = await disk.statFiles(
      folderPath,
      fileIndexes.map((fileIndex) => state.layout.pathOf(fileIndex)),
    );
    changed[batch] = fileIndexes.filter((fileIndex, index) => !isAsItWas(state, fileIndex, stats, index));
  };
  try {
    for (let first = 0, batch = 0; first < fileCount; first += FILES_AT_ONCE, batch++) {
      await turns[batch % BATCHES_AT_ONCE];
      signal?.throwIfAborted();
      const turn = look(first, batch);
      // It is awaited when its turn comes round; until then a failure is not an unhandled one.
      turn.catch(() => undefined);
      turns[batch % BATCHES_AT_ONCE] = turn;
    }
    await Promise.all(turns);
  } finally {
    await Promise.allSettled(turns);
  }
  return changed.flat();
}

function isAsItWas(
  { layout, facts }: FolderState,
  fileIndex: number,
  stats: Float64Array,
  index: number,
): boolean {
  const [kind, lengthBytes, mtimeMs] = stats.subarray(index * STAT_NUMBERS);
  const noted = facts.mtimesMs[fileIndex];
  if (noted === 0) return true;
  if (mtimeMs !== noted) return false;
  if (layout.linkTargetOf(fileIndex) !== undefined) return kind === PathKind.LINK;
  return kind === PathKind.FILE && lengthBytes === layout.lengthOf(fileIndex);
}
