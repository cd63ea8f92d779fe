// What the disk pool and its workers say to each other. Memory is shared, so no file byte is ever copied between them.

import type { FolderFileRange, FolderJob } from "./folder-jobs.ts";
import type { FilesToHash, ScanJob } from "./scan-jobs.ts";

/** A view of memory that threads share: it is sent without its bytes. */
export type SharedBytes = Uint8Array<SharedArrayBuffer>;

export interface FileRange {
  readonly fd: number;
  readonly positionBytes: number;
  readonly lengthBytes: number;
}

/** Where in a file: `path` is for the sentences of errors. */
export interface FilePlace {
  readonly fd: number;
  readonly path: string;
  readonly positionBytes: number;
}

export type NamedFileRange = FileRange & FilePlace;

/** Hashes the bytes; if the hash is `sha1` (20 bytes), writes them to the file. Gives true, or false for another hash. */
export interface WriteJob {
  readonly kind: "write";
  readonly bytes: SharedBytes;
  readonly sha1: Uint8Array;
  readonly fd: number;
  readonly positionBytes: number;
}
/** Gives the SHA-1 of a range of the file, 20 bytes. */
export type HashRangeJob = { readonly kind: "hash-range" } & FileRange;

/** Gives the SHA-1 of each part of the memory, 20 bytes each. */
export interface HashPartsJob {
  readonly kind: "hash-parts";
  readonly bytes: SharedBytes;
  readonly lengths: Uint32Array;
}

/** A digest is a running SHA-1 that lives in one worker. */
export type DigestJob =
  /** `cutBytes` > 0: begins anew after every so many bytes, as the hashes of pieces do. 0: one hash over everything. */
  | { readonly kind: "digest-open"; readonly digestId: number; readonly cutBytes: number }
  | { readonly kind: "digest-memory"; readonly digestId: number; readonly parts: readonly SharedBytes[] }
  /** With `into`, the bytes that were read stay there for another job. */
  | ({
      readonly kind: "digest-file";
      readonly digestId: number;
      readonly into: SharedBytes | undefined;
    } & FileRange)
  | ({ readonly kind: "digest-folder-file"; readonly digestId: number } & FolderFileRange)
  /** Reads the files into memory, one behind the other, then hashes that. A failure is about one of them: nothing is hashed. */
  | ({ readonly kind: "digest-files"; readonly digestId: number; readonly into: SharedBytes } & FilesToHash)
  /** Gives the last hash, and forgets the digest. */
  | { readonly kind: "digest-close"; readonly digestId: number };

export type DiskJob = WriteJob | HashRangeJob | HashPartsJob | DigestJob | FolderJob | ScanJob;

export interface DiskRequest {
  readonly jobId: number;
  readonly job: DiskJob;
}

/** Bytes are the hashes that became whole, 20 bytes each; numbers are said at the job. */
export type DiskResult = boolean | Uint8Array | Float64Array;

export type DiskAnswer =
  | { readonly jobId: number; readonly result: DiskResult }
  | {
      readonly jobId: number;
      readonly failure: {
        readonly code: string | undefined;
        readonly message: string;
        /** Which of the job's files it is about, if it has several. */
        readonly at?: number;
      };
    };

/** What a worker says first. */
export const READY = "ready";

/** What a worker asks of the file system: a part of `node:fs`, so that a test can put one in that fails on purpose. */
export interface DiskIo {
  readSync(fd: number, into: Uint8Array, offset: number, lengthBytes: number, positionBytes: number): number;
  writeSync(fd: number, from: Uint8Array, offset: number, lengthBytes: number, positionBytes: number): number;
  linkSync(oldPath: string, path: string): void;
}

export interface DiskWorkerData {
  /** URL of a module that is a DiskIo. */
  readonly ioModule: string;
}
