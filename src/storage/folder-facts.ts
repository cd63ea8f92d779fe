// How the files of a folder were when they were verified: one number a file, so that 100,000 files take 800 KB. A file is
// as it was if it has that time and the length that the layout says.

/** One nanosecond: no file has that time by chance. */
const NS_IN_MS = 1e-6;

/**
 * When a file was last written, as facts have it: never 0 or -1, by which a file is meant that is not there. Programs that
 * build or pack reproducibly give all files the time 0.
 */
export function timeOf({ mtimeMs }: { readonly mtimeMs: number }): number {
  return mtimeMs === 0 || mtimeMs === -1 ? mtimeMs + NS_IN_MS : mtimeMs;
}

/** See FileFacts for one file. */
export class FolderFacts {
  /** Time of last modification in milliseconds for each file of the layout; 0 for one that is not there. */
  readonly mtimesMs: Float64Array;

  constructor(mtimesMs: Float64Array) {
    this.mtimesMs = mtimesMs;
  }

  /** No file is there. */
  static none(fileCount: number): FolderFacts {
    return new FolderFacts(new Float64Array(fileCount));
  }

  /** From `toBytes`; undefined if they are not of so many files. */
  static fromBytes(bytes: Uint8Array, fileCount: number): FolderFacts | undefined {
    if (bytes.length !== fileCount * Float64Array.BYTES_PER_ELEMENT) return undefined;
    const facts = FolderFacts.none(fileCount);
    // Bytes may begin anywhere, numbers may not.
    new Uint8Array(facts.mtimesMs.buffer).set(bytes);
    return facts;
  }

  /** For the profile: a copy. */
  toBytes(): Uint8Array {
    return new Uint8Array(this.mtimesMs.slice().buffer);
  }

  clone(): FolderFacts {
    return new FolderFacts(this.mtimesMs.slice());
  }
}
