// What the disk pool and its workers say to each other about a folder that is looked through: to be shared, or to see whether
// it is as it was. A job names files by paths inside the folder, and opens them itself: so 100,000 small files cost a message
// for a hundred of them, and no descriptor for longer than one file.

/** What a path is, as numbers. Kinds of entries that cannot be shared differ only in what is said of them. */
export const PathKind = { GONE: 0, FILE: 1, LINK: 2, FOLDER: 3, FIFO: 4, SOCKET: 5, DEVICE: 6 } as const;

/** Numbers for each path in the result of a StatFilesJob. */
export const STAT_NUMBERS = 4;

/** A name in a folder. */
export interface NamedEntry {
  readonly name: string;
  /** Of PathKind. */
  readonly kind: number;
}

/** A folder's place among its neighbours is that of the paths in it, which go on with a separator. */
export function sortKey({ name, kind }: NamedEntry): string {
  return kind === PathKind.FOLDER ? `${name}/` : name;
}

/**
 * Gives the names in a folder in byte order of the paths: for each the kind (a byte of PathKind), the bytes of the name, and a
 * zero. A link is not followed.
 */
export interface ListFolderJob {
  readonly kind: "list-folder";
  readonly path: string;
}

/** Gives four numbers for each path: its PathKind, length in bytes, time of last modification in milliseconds, and mode. */
export interface StatFilesJob {
  readonly kind: "stat-files";
  readonly folderPath: string;
  readonly paths: readonly string[];
}

/** Small files that are read whole. */
export interface FilesToHash {
  readonly folderPath: string;
  readonly paths: readonly string[];
  readonly lengths: Uint32Array;
  /** Time of last modification in milliseconds: a file that has another one, or another length, has changed. */
  readonly mtimesMs: Float64Array;
}

export type ScanJob = ListFolderJob | StatFilesJob;
