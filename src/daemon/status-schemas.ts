// Zod schemas of what the daemon reports about its client, for the OpenAPI document and to check answers at the other end. The
// types are the client's own (client/status.ts); fields that a newer daemon adds pass through.
import { z } from "zod";
import type { WhyReport } from "../client/downloads/why.ts";
import type {
  ClientStatus,
  DownloadStatus,
  FileProgress,
  LimitsStatus,
  PieceMap,
  ShareResult,
  ShareStatus,
} from "../client/status.ts";
import type { TrackerState } from "../client/trackers/tracker-link.ts";
import type { PeerStatus } from "../engine/peer-status.ts";

import { type ScheduleRule, scheduleRuleSchema } from "./schedule.ts";

/** The limits, and the rule of the schedule that they are of. */
export interface AppliedLimits extends LimitsStatus {
  readonly rule?: ScheduleRule | undefined;
}

/** The daemon's process, beside its client's state. */
export interface DaemonStatus extends ClientStatus {
  readonly daemon: {
    readonly pid: number;
    readonly version: string;
    readonly dataDir: string;
    /** Milliseconds since 1970. */
    readonly startedAtMs: number;
    /** Where a browser finds the page; undefined while it is not open. */
    readonly page?: string | undefined;
    /** Resident memory of the process; only in the answer of `status`. */
    readonly memoryBytes?: number | undefined;
  };
}

/** A folder that a download may go to. */
export interface Destination {
  /** The folder. */
  readonly path: string;
  readonly freeBytes: number;
  /** A download of this account went there before. */
  readonly usedBefore: boolean;
  /** There is room beside what other downloads are still to write there. */
  readonly fits: boolean;
}

/** What is in a folder. */
export interface FolderItem {
  readonly name: string;
  /** Of what a symbolic link leads to. */
  readonly kind: "file" | "folder";
  /** Of a file. */
  readonly lengthBytes?: number;
  /** Milliseconds since 1970. */
  readonly modifiedAtMs: number;
}

/** A page of what is in a folder. */
export interface FolderPage {
  readonly path: string;
  /** The folder that it is in; undefined where the caller may go no higher. */
  readonly parent?: string;
  readonly freeBytes: number;
  readonly items: FolderItem[];
  /** `after` of the page that follows. */
  readonly next?: string;
}

/** Something that happened in a group. */
export interface Activity {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** Of the event, as in `--json`. */
  readonly type: string;
  readonly [fact: string]: unknown;
}

const count = z.number().int().nonnegative();
const bytes = z.number().int().nonnegative();
const rate = z.number().nonnegative();
/** Milliseconds since 1970. */
const time = z.number();
const ofShare = { groupId: z.string(), fileName: z.string() };

/** A schema for values that have a type already. It checks the fields that it names. */
function schemaOf<T>(shape: z.ZodType): z.ZodType<T> {
  return shape as z.ZodType<T>;
}

export const clientStatusSchema = schemaOf<DaemonStatus>(
  z.looseObject({
    account: z.object({ userId: z.string(), accountId: z.string() }).optional(),
    listeningOn: z.string(),
    tracker: z.string().optional(),
    trackersKnown: z.boolean(),
    trackerProblem: z.string().optional(),
    groupIds: z.array(z.string()),
    sharedFiles: count,
    runningDownloads: count,
    daemon: z.looseObject({
      ...{ pid: count, version: z.string(), dataDir: z.string(), startedAtMs: time },
      page: z.string().optional(),
      memoryBytes: bytes.optional(),
    }),
  }),
);

export const trackerSchema = schemaOf<TrackerState>(
  z.looseObject({
    address: z.string(),
    fingerprint: z.string().optional(),
    isConnected: z.boolean(),
    problem: z.string().optional(),
  }),
);

const source = z.looseObject({
  userId: z.string(),
  isConnected: z.boolean(),
  pieces: count,
  bytes,
  rateBytesPerSecond: rate,
});

export const downloadSchema = schemaOf<DownloadStatus>(
  z.looseObject({
    ...ofShare,
    destinationPath: z.string(),
    lengthBytes: bytes,
    pieceCount: count,
    piecesVerified: count,
    bytesVerified: bytes,
    duplicateBytes: bytes,
    isFollowed: z.literal(true).optional(),
    sources: z.array(source),
    state: z.enum(["downloading", "verifying", "complete", "paused", "failed"]),
    rateBytesPerSecond: rate.optional(),
    uploadBytesPerSecond: rate.optional(),
    peerCount: count.optional(),
    secondsLeft: z.number().optional(),
    waitingFor: z.string().optional(),
    sha1: z.string().optional(),
    finishedAtMs: time.optional(),
    averageBytesPerSecond: rate.optional(),
    reason: z.string().optional(),
    code: z.string().optional(),
  }),
);

export const shareSchema = schemaOf<ShareStatus>(
  z.looseObject({
    ...ofShare,
    path: z.string(),
    lengthBytes: bytes,
    sha1: z.string().optional(),
    state: z.enum(["served", "waiting", "unusable"]),
    reason: z.string().optional(),
    peerCount: count,
    uploadBytesPerSecond: rate.optional(),
  }),
);

export const shareResultSchema = schemaOf<ShareResult>(
  z.looseObject({
    ...ofShare,
    lengthBytes: bytes,
    pieceCount: count,
    sha1: z.string().optional(),
    joinedSwarm: z.boolean(),
    replacesEarlier: z.boolean(),
  }),
);

export const peerSchema = schemaOf<PeerStatus>(
  z.looseObject({
    userId: z.string(),
    address: z.string(),
    piecesHad: count,
    pieceCount: count,
    downloadBytesPerSecond: rate,
    uploadBytesPerSecond: rate,
    downloadedBytes: bytes,
    uploadedBytes: bytes,
    remarks: z.array(z.string()),
  }),
);

const limit = { up: rate.optional(), down: rate.optional() };
export const limitsSchema = schemaOf<AppliedLimits>(
  z.looseObject({
    all: z.object(limit),
    outsideSchedule: z.object(limit).optional(),
    rule: scheduleRuleSchema.optional(),
    files: z.array(z.object({ ...ofShare, ...limit })),
  }),
);

const pieceRanges = z.object({
  pieces: count,
  ranges: z.array(z.object({ first: count, last: count })),
  rangeCount: count,
});
export const whySchema = schemaOf<WhyReport>(
  z.looseObject({
    ...ofShare,
    state: z.string(),
    reason: z.string(),
    pieceCount: count,
    missing: pieceRanges,
    nobodyHas: pieceRanges,
    holders: z.array(
      z.looseObject({
        userId: z.string(),
        isConnected: z.boolean(),
        missingPiecesHad: count,
        lastSeenMs: time,
        remarks: z.array(z.string()),
      }),
    ),
    notUsed: z.array(z.looseObject({ userId: z.string() })),
    next: z.array(z.object({ what: z.string(), inMs: z.number().optional() })),
    tracker: z.string().nullable(),
  }),
);

export const folderPageSchema = schemaOf<FolderPage>(
  z.looseObject({
    path: z.string(),
    parent: z.string().optional(),
    freeBytes: bytes,
    items: z.array(
      z.object({
        name: z.string(),
        kind: z.enum(["file", "folder"]),
        lengthBytes: bytes.optional(),
        modifiedAtMs: time,
      }),
    ),
    next: z.string().optional(),
  }),
);

export const destinationSchema = schemaOf<Destination>(
  z.looseObject({ path: z.string(), freeBytes: bytes, usedBefore: z.boolean(), fits: z.boolean() }),
);

export const fileProgressSchema = schemaOf<FileProgress>(
  z.looseObject({
    ...{ path: z.string(), lengthBytes: bytes, verifiedBytes: bytes, isChosen: z.boolean() },
    ...{ firstPiece: count, pieceCount: count },
  }),
);

export const pieceMapSchema = schemaOf<PieceMap>(
  z.looseObject({
    pieceCount: count,
    piecesPerCell: count,
    runs: z.array(
      z.object({
        count,
        from: z.number().int(),
        isComing: z.literal(true).optional(),
        isLeftOut: z.literal(true).optional(),
      }),
    ),
    sources: z.array(z.string()),
    availability: z.array(z.object({ count, copies: count })),
  }),
);

export const speedSchema = z.object({
  stepMs: count,
  points: z.array(z.object({ atMs: time, down: rate, up: rate })),
});

export const activitySchema = schemaOf<Activity>(z.looseObject({ atMs: time, type: z.string() }));
