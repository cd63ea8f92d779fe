// Free space on a disk. It stands here because trackers and clients both ask, on folders that do not import each other.
import { statfs } from "node:fs/promises";

/** Bytes that this user may still write on the folder's disk; Infinity where the file system does not say. */
export async function freeBytes(folder: string): Promise<number> {
  const { bavail, blocks, bsize } = await statfs(folder);
  return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize;
}
