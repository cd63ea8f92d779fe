// What a client reports to its user interface (today the command line): the state of its downloads and peers, and events.
// Plain data, no behaviour.

import type { ErrorCode } from "../api/errors.ts";
import type { Account } from "../api/schemas.ts";
import type { BandwidthLimits } from "../engine/bandwidth.ts";

/** A member that sent bytes of a download. */
export interface DownloadSource {
  readonly userId: string;
  readonly isConnected: boolean;
  /** Pieces of which this member sent the last block, or all blocks. */
  readonly pieces: number;
  readonly bytes: number;
  readonly rateBytesPerSecond: number;
}

/**
 * Files of a folder, chosen by globs of their paths (client/downloads/globs.ts): those that fit one of `only`, or all if there is none,
 * except those that fit one of `except`.
 */
export interface FileChoice {
  readonly only?: readonly string[] | undefined;
  readonly except?: readonly string[] | undefined;
}

/** How far a download of a folder is, in files. */
export interface FolderProgress {
  readonly fileCount: number;
  readonly chosenFiles: number;
  /** Chosen files that are complete. */
  readonly completeFiles: number;
  /** undefined: all files are chosen. */
  readonly choice?: FileChoice | undefined;
  /** New versions are fetched without being asked for. */
  readonly isFollowed: boolean;
}

interface DownloadFacts {
  readonly groupId: string;
  /** The name of the share: of a file or a folder. */
  readonly fileName: string;
  readonly destinationPath: string;
  /** undefined: it is a single file. The lengths and pieces beside it are those of the chosen files. */
  readonly folder?: FolderProgress | undefined;
  /** Of a single file: its new versions are fetched without being asked for. A folder tells it in `folder`. */
  readonly isFollowed?: true | undefined;
  readonly lengthBytes: number;
  readonly pieceCount: number;
  readonly piecesVerified: number;
  readonly bytesVerified: number;
  /** Bytes of blocks that arrived twice, or after their request was cancelled. */
  readonly duplicateBytes: number;
  readonly sources: readonly DownloadSource[];
}

/** A download is in one of these states; `show_downloads` shows them as D, D, C, P and F. */
export type DownloadStatus = DownloadFacts &
  (
    | {
        readonly state: "downloading";
        readonly rateBytesPerSecond: number;
        /** undefined while nothing is sent. */
        readonly uploadBytesPerSecond?: number | undefined;
        readonly peerCount: number;
        /** undefined while nothing arrives. */
        readonly secondsLeft: number | undefined;
        /** Why nothing arrives, in words for a person; undefined while something does. */
        readonly waitingFor: string | undefined;
      }
    /** All pieces are there; the whole file's SHA-1 is being checked. */
    | { readonly state: "verifying" }
    | {
        readonly state: "complete";
        /** Of a single file; each file of a folder has its own. */
        readonly sha1?: string | undefined;
        /** Milliseconds since 1970. */
        readonly finishedAtMs?: number | undefined;
        /** Average since it was last started or resumed; undefined if nothing had to be fetched. */
        readonly averageBytesPerSecond?: number | undefined;
      }
    | { readonly state: "paused"; readonly reason: string | undefined }
    | { readonly state: "failed"; readonly code: ErrorCode; readonly reason: string }
  );

/** A completed download. */
export type FinishedDownload = Extract<DownloadStatus, { state: "complete" }> & {
  readonly finishedAtMs: number;
};

/** A file or folder that this client shares or wants to share, as shown by `list_shares`. */
export interface ShareStatus {
  readonly groupId: string;
  readonly fileName: string;
  readonly path: string;
  readonly lengthBytes: number;
  /** Of a single file. */
  readonly sha1?: string | undefined;
  /** Of a folder. */
  readonly fileCount?: number | undefined;
  /** Files of a folder that are not as they were shared, and are not served; undefined: none. */
  readonly changedFiles?: number | undefined;
  /** `waiting`: for a tracker; `unusable`: the file is not as it was shared. */
  readonly state: "served" | "waiting" | "unusable";
  /** Why it is unusable. */
  readonly reason?: string | undefined;
  /** Members' devices connected for it. */
  readonly peerCount: number;
  /** undefined while nothing is sent. */
  readonly uploadBytesPerSecond?: number | undefined;
}

/** What an invite is to be like. */
export interface InviteWish {
  /** How many users it lets in; undefined: any number. */
  readonly uses?: number | undefined;
  /** For how long it holds; undefined: seven days. */
  readonly expiresMs?: number | undefined;
}

/** An invite that was just made. */
export interface NewInvite {
  /** The text to send: it begins with `minitorrent:`. Secret, and shown only now. */
  readonly invite: string;
  /** Its name in the list of the group's invites. */
  readonly inviteId: string;
  readonly expiresAtMs: number;
  readonly uses?: number | undefined;
}

/** A list whose names are completed. */
export type NameList =
  | { readonly kind: "groups" }
  | { readonly kind: "files" | "requests" | "members"; readonly groupId: string };

/** The client's state, for `whoami` and the prompt. */
export interface ClientStatus {
  readonly account: Account | undefined;
  /** host:port that peers reach this client at. */
  readonly listeningOn: string;
  /** host:port of the tracker that is connected now; undefined while none answers. */
  readonly tracker: string | undefined;
  /** False until the client is told of trackers: until then nothing can be done. */
  readonly trackersKnown: boolean;
  /** Why none answers; undefined while one does, or while the first search runs. */
  readonly trackerProblem?: string | undefined;
  /** Groups that the user is in. */
  readonly groupIds: readonly string[];
  readonly sharedFiles: number;
  readonly runningDownloads: number;
}

/** What `limit` shows. */
export interface LimitsStatus {
  /** On everything together, as they apply now. */
  readonly all: BandwidthLimits;
  /** What was set by hand, while something else applies. */
  readonly outsideSchedule?: BandwidthLimits | undefined;
  /** The files with a limit of their own. */
  readonly files: readonly (BandwidthLimits & { readonly groupId: string; readonly fileName: string })[];
}

/** What `upload_file` and `update_share` did. */
export interface ShareResult {
  readonly groupId: string;
  readonly fileName: string;
  readonly lengthBytes: number;
  readonly pieceCount: number;
  /** Of a single file. */
  readonly sha1?: string | undefined;
  /** Of a folder. */
  readonly fileCount?: number | undefined;
  /** What of a folder is not shared. */
  readonly skipped?: SkippedFiles | undefined;
  /** True if the group had this content under this name already, so that its swarm was joined. */
  readonly joinedSwarm: boolean;
  /** It replaces other content that was shared here under that name and no longer exists. */
  readonly replacesEarlier: boolean;
}

/** What a folder has that is not shared. */
export interface SkippedFiles {
  /** By the ignore rules: files, and folders with all that is in them. */
  readonly ignored: number;
  readonly fifos: number;
  readonly sockets: number;
  readonly devices: number;
  readonly emptyFolders: number;
}

export interface HashProgress {
  readonly hashedBytes: number;
  readonly lengthBytes: number;
  /** What is counted is no longer the hashed bytes of a folder, but those of its list of files that trackers have. */
  readonly isListing?: true;
}

/** Of `upload_file` and `update_share`. */
export interface ShareOptions {
  /** What is hidden in a folder is not shared: for callers who may not have it. */
  readonly leavesOutHidden?: boolean;
  readonly onProgress?: (progress: HashProgress) => void;
  readonly signal?: AbortSignal;
}

/** Pieces that follow each other and are alike. */
export interface PieceRun {
  readonly count: number;
  /** Index into `sources`; -1: it was here before, or nobody knows where it came from; -2: it is missing. */
  readonly from: number;
  /** It is missing, and some of it has been requested. */
  readonly isComing?: true;
  /** It is missing, and no chosen file needs it. */
  readonly isLeftOut?: true;
}

/** A download or share, piece by piece. */
export interface PieceMap {
  readonly pieceCount: number;
  /** More than 1: there were too many runs, and they are of cells of so many pieces. */
  readonly piecesPerCell: number;
  readonly runs: readonly PieceRun[];
  /** User ids. */
  readonly sources: readonly string[];
  /** How many connected peers have the pieces; of a cell, its rarest. */
  readonly availability: readonly { readonly count: number; readonly copies: number }[];
}

/** How far a file of a download is. */
export interface FileProgress {
  /** In its folder; of a single file its name. */
  readonly path: string;
  readonly lengthBytes: number;
  readonly verifiedBytes: number;
  readonly isChosen: boolean;
  /** The first of the pieces that it lies in; small files share a piece. */
  readonly firstPiece: number;
  readonly pieceCount: number;
}

/** What a running torrent has moved since it was started. */
export interface TorrentTraffic {
  readonly groupId: string;
  readonly fileName: string;
  /** Differs once the torrent was started again. */
  readonly run: object;
  readonly downloadedBytes: number;
  readonly uploadedBytes: number;
}

/** How a membership ended. */
export type MembershipEnd = "removed" | "left" | "group-ended" | "account-removed";

/** Events that the client reports. */
export type ClientEvent =
  | { readonly type: "join-requested"; readonly groupId: string; readonly userId: string }
  | { readonly type: "request-accepted"; readonly groupId: string }
  | { readonly type: "request-rejected"; readonly groupId: string }
  | {
      readonly type: "membership-ended";
      readonly groupId: string;
      readonly how: MembershipEnd;
    }
  /** With an invite; told to the group's owner. */
  | { readonly type: "member-joined"; readonly groupId: string; readonly userId: string }
  /** The name belongs to another group than before: what was shared in the earlier one is not shared in it. */
  | { readonly type: "group-founded-anew"; readonly groupId: string }
  | { readonly type: "group-key-refused"; readonly groupId: string; readonly reason: string }
  | { readonly type: "became-owner"; readonly groupId: string }
  | { readonly type: "name-taken-elsewhere"; readonly kind: "user" | "group" | "file"; readonly name: string }
  | {
      readonly type: "file-shared";
      readonly groupId: string;
      readonly fileName: string;
      readonly userId: string;
    }
  | {
      /** Many in a short time. */
      readonly type: "files-shared";
      readonly groupId: string;
      readonly count: number;
      /** The first of them. */
      readonly fileNames: readonly string[];
      /** undefined: several people. */
      readonly userId?: string | undefined;
    }
  /** Somebody published a new version of what this client has, or downloads. */
  | {
      readonly type: "share-updated";
      readonly groupId: string;
      readonly fileName: string;
      /** undefined: they are not in the group any more. */
      readonly userId: string | undefined;
      /** It is fetched without being asked for. */
      readonly isFollowed: boolean;
    }
  /** Files that were changed here are kept beside those of the new version. */
  | {
      readonly type: "changed-files-kept";
      readonly groupId: string;
      readonly fileName: string;
      readonly count: number;
      /** The first of them, as they are called now. */
      readonly paths: readonly string[];
    }
  /** Files of a shared folder are not as they were shared: they are not served, and the others are. */
  | {
      readonly type: "shared-files-changed";
      readonly groupId: string;
      readonly fileName: string;
      readonly count: number;
      /** The first of them, relative to the folder. */
      readonly paths: readonly string[];
    }
  /** All files of a shared folder are as they were shared again. */
  | { readonly type: "shared-files-back"; readonly groupId: string; readonly fileName: string }
  /** The folder of a download's destination was missing. */
  | { readonly type: "folder-made"; readonly path: string }
  | {
      readonly type: "download-complete";
      readonly groupId: string;
      readonly fileName: string;
      readonly destinationPath: string;
      /** Of a single file. */
      readonly sha1?: string | undefined;
    }
  | {
      readonly type: "download-paused";
      readonly groupId: string;
      readonly fileName: string;
      readonly reason: string;
    }
  | {
      readonly type: "download-failed";
      readonly groupId: string;
      readonly fileName: string;
      readonly code: ErrorCode;
      readonly reason: string;
    }
  /** Nothing arrives, and why: reported when it begins, and when the cause changes. */
  | {
      readonly type: "download-waiting";
      readonly groupId: string;
      readonly fileName: string;
      readonly reason: string;
    }
  /** More downloads wait than are reported individually. */
  | { readonly type: "downloads-waiting" }
  /** A profile entry is damaged; the other entries are used. */
  | {
      readonly type: "profile-entry-set-aside";
      readonly kind: "share" | "download";
      readonly groupId: string;
      readonly fileName: string;
      readonly reason: string;
    }
  /** The user is a member of the group again, and has files that they shared there before. */
  | {
      readonly type: "may-share-again";
      readonly groupId: string;
      readonly count: number;
      /** The first of them. */
      readonly paths: readonly string[];
    }
  /** The other connected members together have every piece of what we share. */
  | {
      readonly type: "held-by-others";
      readonly groupId: string;
      readonly fileName: string;
      /** Bytes sent until then: the file's length if no piece was sent twice. */
      readonly uploadedBytes: number;
    }
  | {
      readonly type: "share-ended";
      readonly groupId: string;
      readonly fileName: string;
      readonly reason: string;
    }
  | {
      readonly type: "peer-sent-bad-data";
      readonly groupId: string;
      readonly fileName: string;
      readonly userId: string;
      readonly pieceIndex: number;
      readonly isBanned: boolean;
    }
  /** A member refused a piece from here as bad, and it is right on this disk. */
  | {
      readonly type: "data-refused";
      readonly groupId: string;
      readonly fileName: string;
      readonly userId: string;
      readonly pieceIndex: number;
    }
  | { readonly type: "tracker-connected"; readonly tracker: string; readonly isFailover: boolean }
  /** The first tracker ever used: only a person's comparison can tell whether its key is right. */
  | { readonly type: "tracker-trusted"; readonly tracker: string; readonly fingerprint: string }
  | { readonly type: "trackers-unreachable"; readonly reason: string }
  /** All connections that the system allows are in use, and others wait. */
  | { readonly type: "connections-taken"; readonly reason: string }
  /** This machine's clock differs too much from the tracker's. */
  | { readonly type: "clock-wrong"; readonly reason: string }
  | { readonly type: "session-ended"; readonly reason: string };
