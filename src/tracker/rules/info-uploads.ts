// Info dictionaries that are too long for one message: their parts are sent one by one, before the share that needs them, as one
// upload. Parts belong to the account that sent them and to the upload, so that nobody can put a wrong part into another account's
// share. Until the share, nothing is known of them but their size: server/info-check.ts reads them then.
//
// An upload ends with its share, or some hours after it began (garbage-collector.ts). A share counts only uploads that are far
// younger, so that the collector of another tracker cannot remove parts which a share has just begun to need.
import { MiniTorrentError } from "../../api/errors.ts";
import { INFO_PART_BYTES } from "../../api/file-limits.ts";
import type { InfoUploadValue } from "../registry/record-values.ts";
import { type RegistryReader, type RegistryWriter, recordKey } from "../registry/registry.ts";
import { requireGroup, requireMember } from "./membership-rows.ts";
import type { Command } from "./rule-command.ts";
import { type InfoUpload, needsParts } from "./torrents.ts";

/** For how long a share may follow the first part: 32 MiB at 10 KB/s take less. */
const UPLOAD_LASTS_MS = 60 * 60 * 1000;
/** Far later than UPLOAD_LASTS_MS, whatever the clocks of two trackers say. */
const UPLOAD_KEPT_MS = 2 * UPLOAD_LASTS_MS;
/** Uploads of an account at a time. A further one ends the oldest, if that one seems abandoned. */
const UPLOADS_AT_ONCE = 8;
const SEEMS_ABANDONED_MS = 10 * 60 * 1000;
/** Digits of a part's index in its key. */
const INDEX_DIGITS = 4;

export interface PartRequest {
  readonly groupId: string;
  readonly infoHash: string;
  readonly uploadId: string;
  readonly partIndex: number;
  readonly partCount: number;
  /** Base64. */
  readonly part: string;
}

/**
 * Stores a part. The first one of an upload begins it, whichever part it is; the same part again changes nothing.
 *
 * @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER, INVALID_ARGUMENT, LIMIT_REACHED, METAINFO_MISSING
 */
export function putInfoPart(command: Command, request: PartRequest): void {
  const { writer, account, nowMs } = command;
  const { groupId, infoHash, uploadId, partIndex, partCount, part } = request;
  const group = requireGroup(writer, groupId);
  requireMember(writer, group, account.accountId);
  if (partIndex >= partCount) refuse(`there is no part ${partIndex} of ${partCount}`);
  const sizeBytes = Buffer.byteLength(part, "base64");
  if (sizeBytes === 0 || sizeBytes > INFO_PART_BYTES) {
    refuse(`a part has 1 to ${INFO_PART_BYTES} bytes, and this one ${sizeBytes}`);
  }
  const { accountId } = account;
  const key = partKey({ accountId, infoHash, uploadId }, partIndex);
  const uploadKey = recordKey(accountId, uploadId);
  const upload = writer.get("infoUpload", uploadKey);
  if (upload === undefined) {
    // The upload ended with a share that this part, sent again, belongs to; or it made room for another one, and begins anew.
    if (needsParts(writer, { accountId, infoHash, uploadId })) return;
    makeRoomForUpload(writer, accountId, nowMs);
    const value: InfoUploadValue = {
      ...{ infoHash, partCount, groupClaimId: group.claimId },
      beganAtMs: nowMs,
    };
    writer.put("infoUpload", uploadKey, value);
  } else {
    const { infoHash: itsHash, groupClaimId, partCount: itsCount } = upload;
    if (itsHash !== infoHash || groupClaimId !== group.claimId || itsCount !== partCount) {
      refuse("the upload is of another dictionary");
    }
    requireYoung(upload, nowMs);
  }
  const before = writer.get("infoPart", key);
  if (before === undefined) writer.put("infoPart", key, { part });
  else if (before.part !== part) refuse(`part ${partIndex} of the upload has other bytes already`);
}

/**
 * The upload, if a share may still follow.
 *
 * @throws MiniTorrentError METAINFO_MISSING
 */
export function requireUpload(
  reader: RegistryReader,
  { accountId, infoHash, uploadId }: InfoUpload,
  groupClaimId: string,
  nowMs: number,
): InfoUploadValue {
  const upload = reader.get("infoUpload", recordKey(accountId, uploadId));
  if (upload === undefined || upload.infoHash !== infoHash || upload.groupClaimId !== groupClaimId) {
    throw metainfoMissing();
  }
  requireYoung(upload, nowMs);
  return upload;
}

/** Its parts stay as long as a torrent needs them. */
export function endUpload(writer: RegistryWriter, { accountId, uploadId }: InfoUpload): void {
  writer.remove("infoUpload", recordKey(accountId, uploadId));
}

/** Base64; undefined if the part is not here. */
export function infoPart(reader: RegistryReader, upload: InfoUpload, partIndex: number): string | undefined {
  return reader.get("infoPart", partKey(upload, partIndex))?.part;
}

/** The beginning of the keys of an upload's parts. */
export function partPrefix({ infoHash, accountId, uploadId }: InfoUpload): string {
  return recordKey(infoHash, accountId, uploadId, "");
}

/** The upload that a part with that key belongs to. */
export function readPartKey(key: string): InfoUpload {
  const [infoHash = "", accountId = "", uploadId = ""] = key.split("\u001f");
  return { infoHash, accountId, uploadId };
}

/** True if a share may follow, here or at a tracker with another clock. */
export function isUnderWay(reader: RegistryReader, { accountId, uploadId }: InfoUpload): boolean {
  return reader.get("infoUpload", recordKey(accountId, uploadId)) !== undefined;
}

/** True if no share can follow any more, at any tracker. */
export function isUploadOver({ beganAtMs }: InfoUploadValue, nowMs: number): boolean {
  return beganAtMs < nowMs - UPLOAD_KEPT_MS;
}

export function metainfoMissing(): MiniTorrentError {
  return new MiniTorrentError(
    "METAINFO_MISSING",
    "The tracker does not have all parts of the metainfo; send them, then share again.",
  );
}

function partKey(upload: InfoUpload, partIndex: number): string {
  return partPrefix(upload) + String(partIndex).padStart(INDEX_DIGITS, "0");
}

/** @throws MiniTorrentError METAINFO_MISSING */
function requireYoung({ beganAtMs }: InfoUploadValue, nowMs: number): void {
  if (beganAtMs < nowMs - UPLOAD_LASTS_MS) throw metainfoMissing();
}

/** @throws MiniTorrentError LIMIT_REACHED */
function makeRoomForUpload(writer: RegistryWriter, accountId: string, nowMs: number): void {
  const uploads = writer.list("infoUpload", recordKey(accountId, ""));
  if (uploads.length < UPLOADS_AT_ONCE) return;
  const [oldest] = uploads.toSorted((one, other) => one.value.beganAtMs - other.value.beganAtMs);
  if (oldest !== undefined && oldest.value.beganAtMs < nowMs - SEEMS_ABANDONED_MS) {
    writer.remove("infoUpload", oldest.key);
    return;
  }
  throw new MiniTorrentError(
    "LIMIT_REACHED",
    `Your account sends the metainfo of ${UPLOADS_AT_ONCE} folders, the most at a time; share this one when another is through.`,
  );
}

function refuse(reason: string): never {
  throw new MiniTorrentError("INVALID_ARGUMENT", `The part of the metainfo is refused: ${reason}.`);
}
