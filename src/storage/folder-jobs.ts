// What the disk pool and its workers say to each other about the files of a folder. A job names its files by paths inside the
// folder and opens them itself, so that neither many files nor many folders need descriptors for longer than one job.
import type { PieceSlot } from "./piece-memory.ts";

type SharedBytes = PieceSlot["bytes"];

/** The folder is gone, or another one has its name. */
export const FOLDER_REPLACED = "FOLDER_REPLACED";
/** A verified piece contains a whole file whose SHA-1 is not the one in the metainfo. */
export const WRONG_FILE_SHA1 = "WRONG_FILE_SHA1";

export interface FolderPlace {
  readonly path: string;
  /** Which folder it is (see `fileIdOf`). undefined: any; made if it is not there and is to be written to. */
  readonly folderId: string | undefined;
}

/** The folder of a torrent, and the one beside it with those files that are not chosen and share pieces with chosen ones. */
export interface FolderPair {
  readonly tree: FolderPlace;
  readonly rest: FolderPlace;
}

/** A part of a file, and where it is in the memory of the job. */
export interface SpanInMemory {
  /** Inside the folder, components joined by "/"; empty for padding. */
  readonly path: string;
  readonly isInRest: boolean;
  /** Length of the whole file. */
  readonly fileBytes: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly positionBytes: number;
}

export interface SpanToWrite extends SpanInMemory {
  /** There is no file of ours by that name: one that is found there is somebody else's. */
  readonly isNew: boolean;
}

export interface SpanToRead extends SpanInMemory {
  /** The file must have its length and this time; undefined if it may have changed. */
  readonly mtimeMs: number | undefined;
}

/**
 * Hashes the bytes; if the hash is `sha1`, writes them to the files. Gives false for another hash, otherwise the time of each
 * file. Whole files in it must have the SHA-1 in `fileSha1s`, which has 20 bytes for each span.
 */
export interface FolderWriteJob extends FolderPair {
  readonly kind: "folder-write";
  readonly bytes: SharedBytes;
  readonly sha1: Uint8Array;
  readonly spans: readonly SpanToWrite[];
  readonly fileSha1s: Uint8Array;
}

/** Gives the SHA-1 of the spans together, 20 bytes; no byte if a file is missing or too short. */
export interface FolderHashJob extends FolderPair {
  readonly kind: "folder-hash";
  readonly spans: readonly SpanToRead[];
}

export interface FolderReadJob extends FolderPair {
  readonly kind: "folder-read";
  readonly into: SharedBytes;
  readonly spans: readonly SpanToRead[];
}

/** Gives two numbers for each path: its time and its length; -1 for what is no regular file, or not there. */
export interface FolderStatJob {
  readonly kind: "folder-stat";
  readonly place: FolderPlace;
  readonly paths: readonly string[];
}

export interface FileToSync {
  readonly path: string;
  readonly fileBytes: number;
  readonly isExecutable: boolean;
}

/**
 * Makes files durable, with the executable bit of those that have it; empty ones are made. With `fileSha1s`, 20 bytes for
 * each, it hashes them first. Gives the time of each; NaN for one that is missing, or has another length or SHA-1.
 */
export interface FolderSyncJob {
  readonly kind: "folder-sync";
  readonly place: FolderPlace;
  readonly files: readonly FileToSync[];
  readonly fileSha1s: Uint8Array | undefined;
}

export interface FolderFinishJob {
  readonly kind: "folder-finish";
  readonly place: FolderPlace;
  readonly links: readonly { readonly path: string; readonly target: string }[];
  /** Folders whose names are to be durable, "" for the root. */
  readonly folders: readonly string[];
}

/** Moves files from one folder to the other, where they must not be. Gives 1 for each that was there, 0 for the others. */
export interface FolderMoveJob {
  readonly kind: "folder-move";
  readonly from: FolderPlace;
  readonly to: FolderPlace;
  readonly paths: readonly string[];
}

export interface FileToLink {
  readonly oldPath: string;
  readonly path: string;
  readonly fileBytes: number;
  readonly mtimeMs: number;
}

/**
 * Gives files a second name in another folder (hard links), or copies short ones where the file system has no such links.
 * Gives the time of each; NaN for a file that is not as it was, or whose name is taken.
 */
export interface FolderLinkJob {
  readonly kind: "folder-link";
  readonly from: FolderPlace;
  readonly to: FolderPlace;
  readonly files: readonly FileToLink[];
}

/** A part of one file of a folder. */
export interface FolderFileRange {
  readonly place: FolderPlace;
  readonly path: string;
  readonly positionBytes: number;
  readonly lengthBytes: number;
}

export type FolderJob =
  | FolderWriteJob
  | FolderHashJob
  | FolderReadJob
  | FolderStatJob
  | FolderSyncJob
  | FolderFinishJob
  | FolderMoveJob
  | FolderLinkJob;
