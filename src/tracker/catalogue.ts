// The files of groups: a name in a group belongs to one content as long as a member shares it. A share counts while the
// membership that it was made in lasts; a file that nobody shares any more is over, whether or not its row is.
import { MiniTorrentError } from "../api/errors.ts";
import type { FileSummary, ListPage } from "../api/schemas.ts";
import { decodeMetainfo } from "../metainfo/metainfo.ts";
import type { Command } from "./command.ts";
import { currentMember, isMemberBy, nextOf, requireGroup, requireMember, userIdOf } from "./memberships.ts";
import {
  type LostClaim,
  type Page,
  type RegistryReader,
  type RegistryWriter,
  recordKey,
} from "./registry/registry.ts";
import { groupOfTorrent, infoOfTorrent, putTorrent } from "./torrents.ts";
import type { FileValue, ShareValue, TorrentValue } from "./values.ts";

/** Shares that are taken over in one transaction. */
const ADOPTED_TOGETHER = 100;
/** Shares that are read at a time to find one that counts: mostly the first does. */
const SHARES_LOOKED_AT = 20;

/** A file that somebody shares. */
export interface SharedFile {
  readonly groupId: string;
  readonly groupClaimId: string;
  readonly fileName: string;
  readonly claimId: string;
  readonly value: FileValue;
}

/** How many devices have (some of) a torrent, as far as the asker may know. */
export type CountPeers = (infoHash: string) => { seeders: number; peers: number };

export interface ShareRequest {
  readonly groupId: string;
  /** The bencoded info dictionary. */
  readonly info: Uint8Array;
  /** SHA-1 of the whole file, 40 hex digits. */
  readonly sha1: string;
  /** Info-hash of other content that the account shares under that name, and this one takes the place of. */
  readonly replaces?: string | undefined;
}

/**
 * The account offers a file under the name that its metainfo has; if the group has the same content under that name,
 * it joins those who do. Other content that nobody but the account shares gives way, if the account says so.
 *
 * @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER, MALFORMED_MESSAGE, INVALID_ARGUMENT, FILE_EXISTS
 */
export function shareFile(
  command: Command,
  request: ShareRequest,
): { infoHash: string; joinedSwarm: boolean } {
  const { writer, account, nowMs } = command;
  const group = requireGroup(writer, request.groupId);
  const { membershipId } = requireMember(writer, group, account.accountId);
  const metainfo = decodeMetainfo(request.info);
  const { fileName, infoHash, sha1 } = metainfo;
  if (sha1 !== request.sha1) {
    throw new MiniTorrentError("INVALID_ARGUMENT", "The SHA-1 is not the one in the metainfo; share again.");
  }
  if (metainfo.authorityPem !== group.value.authorityCertificatePem) {
    throw new MiniTorrentError(
      "INVALID_ARGUMENT",
      `The metainfo was not made for group '${request.groupId}' as it is now; share the file again.`,
    );
  }
  const name = recordKey(group.claimId, fileName);
  const standing = writer.claim<FileValue>("file", name);
  const isOwnBefore =
    standing !== undefined &&
    standing.value.infoHash !== infoHash &&
    isSharedBy(writer, group.claimId, standing.claimId, (accountId) => accountId === account.accountId) &&
    !isSharedBy(writer, group.claimId, standing.claimId, (accountId) => accountId !== account.accountId);
  const givesWay = isOwnBefore && request.replaces === standing.value.infoHash;
  const isShared = standing !== undefined && !givesWay && hasShare(writer, group.claimId, standing.claimId);
  if (isShared && standing.value.infoHash !== infoHash) {
    const remedy = isOwnBefore
      ? `and nobody but you shares it; stop_share ${request.groupId} ${fileName}, then upload_file shares the new content`
      : "and others share it";
    throw new MiniTorrentError(
      "FILE_EXISTS",
      `Group '${request.groupId}' has other content under the name '${fileName}', ${remedy}; or rename the file, then share it.`,
    );
  }
  if (writer.hasWrite(command.writeId)) {
    return { infoHash, joinedSwarm: standing?.value.sharedByAccountId !== account.accountId };
  }
  if (givesWay) writer.remove("share", recordKey(standing.claimId, account.accountId));
  let claimId = standing?.claimId;
  if (claimId === undefined || !isShared) {
    const file: FileValue = {
      infoHash,
      sha1,
      lengthBytes: metainfo.geometry.lengthBytes,
      sharedByAccountId: account.accountId,
    };
    if (claimId !== undefined && standing?.value.infoHash === infoHash) {
      writer.updateClaim("file", claimId, file);
    } else {
      if (claimId !== undefined) writer.endClaim("file", claimId);
      claimId = writer.makeClaim("file", name, file);
    }
  }
  if (!isShared || groupOfTorrent(writer, infoHash) === undefined) {
    const torrent: TorrentValue = {
      info: Buffer.from(request.info).toString("base64"),
      broughtByAccountId: account.accountId,
    };
    putTorrent(writer, { infoHash, groupClaimId: group.claimId, fileName }, command.writeId, torrent);
  }
  const share: ShareValue = { sinceMs: nowMs, membershipId };
  const key = recordKey(claimId, account.accountId);
  const before = writer.get<ShareValue>("share", key)?.membershipId;
  const isCounted = before !== undefined && isMemberBy(writer, group.claimId, account.accountId, before);
  if (!isCounted) writer.put("share", key, share);
  return { infoHash, joinedSwarm: isShared };
}

/**
 * The account offers the file no longer. When the last one stops, the file is over and its name free.
 *
 * @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER, UNKNOWN_FILE, NOT_SHARED
 */
export function stopShare(command: Command, groupId: string, fileName: string): void {
  const { writer, account } = command;
  if (writer.hasWrite(command.writeId)) return;
  const file = requireFile(writer, account.accountId, groupId, fileName);
  const key = recordKey(file.claimId, account.accountId);
  if (writer.get("share", key) === undefined) {
    throw new MiniTorrentError("NOT_SHARED", `You do not share '${fileName}' in group '${groupId}'.`);
  }
  writer.remove("share", key);
  if (hasShare(writer, file.groupClaimId, file.claimId)) return;
  const nobodys: FileValue = { ...file.value, sharedByAccountId: "" };
  writer.updateClaim("file", file.claimId, nobodys);
}

/**
 * Two claims on a file's name were made while trackers were apart, with the same content: those who share the later one
 * share the one that stands. Takes over the next of them.
 *
 * @returns where to continue, in a transaction of its own; undefined at the end
 */
export function adoptShares(writer: RegistryWriter, lost: LostClaim, after?: string): string | undefined {
  const standing = writer.claim<FileValue>("file", lost.name);
  if (standing?.value.infoHash !== (lost.value as FileValue).infoHash) return undefined;
  const prefix = recordKey(lost.claimId, "");
  const rows = writer.list<ShareValue>("share", prefix, { after, limit: ADOPTED_TOGETHER });
  for (const { key, value } of rows) {
    const place = recordKey(standing.claimId, key.slice(prefix.length));
    if (writer.get("share", place) === undefined) {
      writer.put("share", place, value, writer.payerOf("share", key));
    }
  }
  return rows.length < ADOPTED_TOGETHER ? undefined : rows.at(-1)?.key;
}

/**
 * Some of what the group's members share, by name: of as many names as the page may look at, those that somebody shares.
 *
 * @param page `after` a file name
 * @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER
 */
export function listFiles(
  reader: RegistryReader,
  accountId: string,
  groupId: string,
  countPeers: CountPeers,
  page: Page,
): ListPage<FileSummary> {
  const group = requireGroup(reader, groupId);
  requireMember(reader, group, accountId);
  const prefix = recordKey(group.claimId, "");
  const { after, limit } = page;
  const claims = reader.claims<FileValue>("file", prefix, {
    limit,
    ...(after === undefined ? {} : { after: prefix + after }),
  });
  const items: FileSummary[] = [];
  // A few people share most of a group's files: each is looked up once.
  const isSharer = remembered((accountId, membershipId) =>
    isMemberBy(reader, group.claimId, accountId, membershipId),
  );
  const nameOf = remembered((accountId) => userIdOf(reader, accountId) ?? "");
  for (const { name, claimId, value } of claims) {
    const sharer = firstSharer(reader, claimId, isSharer, value.sharedByAccountId);
    if (sharer === undefined) continue;
    const { seeders, peers } = countPeers(value.infoHash);
    items.push({
      fileName: name.slice(prefix.length),
      lengthBytes: value.lengthBytes,
      sha1: value.sha1,
      infoHash: value.infoHash,
      sharedBy: nameOf(value.sharedByAccountId || sharer, ""),
      seedersOnline: seeders,
      peersOnline: peers,
    });
  }
  return {
    items,
    ...nextOf(
      claims.map(({ name }) => ({ sort: name.slice(prefix.length) })),
      limit,
    ),
  };
}

/**
 * The info dictionary of a file, base64.
 *
 * @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER, UNKNOWN_FILE
 */
export function metainfoOf(
  reader: RegistryReader,
  accountId: string,
  groupId: string,
  fileName: string,
): string {
  const file = requireFile(reader, accountId, groupId, fileName);
  const info = infoOfTorrent(reader, file.value.infoHash);
  if (info !== undefined) return info;
  throw new MiniTorrentError("INTERNAL", `The metainfo of '${fileName}' is not here yet; try again.`);
}

/** The group that a torrent belongs to, for somebody who is in it. */
export function groupOfTorrentFor(
  reader: RegistryReader,
  infoHash: string,
  accountId: string,
): string | undefined {
  const groupClaimId = groupOfTorrent(reader, infoHash);
  if (groupClaimId === undefined || reader.claimById("group", groupClaimId) === undefined) return undefined;
  return currentMember(reader, groupClaimId, accountId) === undefined ? undefined : groupClaimId;
}

function requireFile(
  reader: RegistryReader,
  accountId: string,
  groupId: string,
  fileName: string,
): SharedFile {
  const group = requireGroup(reader, groupId);
  requireMember(reader, group, accountId);
  const file = findFile(reader, groupId, group.claimId, fileName);
  if (file !== undefined) return file;
  throw new MiniTorrentError(
    "UNKNOWN_FILE",
    `Group '${groupId}' has no file '${fileName}'; list_files ${groupId} shows those it has.`,
  );
}

function findFile(
  reader: RegistryReader,
  groupId: string,
  groupClaimId: string,
  fileName: string,
): SharedFile | undefined {
  const claim = reader.claim<FileValue>("file", recordKey(groupClaimId, fileName));
  if (claim === undefined || !hasShare(reader, groupClaimId, claim.claimId)) return undefined;
  return { groupId, groupClaimId, fileName, claimId: claim.claimId, value: claim.value };
}

/** True if the group has that content under that name, and a member shares it. */
export function isFileShared(
  reader: RegistryReader,
  groupClaimId: string,
  fileName: string,
  infoHash: string,
): boolean {
  if (reader.claimById("group", groupClaimId) === undefined) return false;
  const claim = reader.claim<FileValue>("file", recordKey(groupClaimId, fileName));
  return claim?.value.infoHash === infoHash && hasShare(reader, groupClaimId, claim.claimId);
}

function hasShare(reader: RegistryReader, groupClaimId: string, fileClaimId: string): boolean {
  const isSharer: IsSharer = (accountId, membershipId) =>
    isMemberBy(reader, groupClaimId, accountId, membershipId);
  return firstSharer(reader, fileClaimId, isSharer, "") !== undefined;
}

/** Whether one of the accounts that are meant shares the file. */
function isSharedBy(
  reader: RegistryReader,
  groupClaimId: string,
  fileClaimId: string,
  isMeant: (accountId: string) => boolean,
): boolean {
  const isSharer: IsSharer = (accountId, membershipId) =>
    isMeant(accountId) && isMemberBy(reader, groupClaimId, accountId, membershipId);
  return firstSharer(reader, fileClaimId, isSharer, "") !== undefined;
}

/** True if the account is in the file's group by that membership, so that its share counts. */
type IsSharer = (accountId: string, membershipId: string) => boolean;

/**
 * A member who shares the file, in the membership that it was shared in: looks no further than the first, as a file may
 * have thousands.
 *
 * @param likely whom to look at before all others; empty for nobody
 */
function firstSharer(
  reader: RegistryReader,
  fileClaimId: string,
  isSharer: IsSharer,
  likely: string,
): string | undefined {
  const share = likely === "" ? undefined : reader.get<ShareValue>("share", recordKey(fileClaimId, likely));
  if (share !== undefined && isSharer(likely, share.membershipId)) return likely;
  const prefix = recordKey(fileClaimId, "");
  let after: string | undefined;
  for (;;) {
    const rows = reader.list<ShareValue>("share", prefix, { after, limit: SHARES_LOOKED_AT });
    const found = rows.find(({ key, value }) => isSharer(key.slice(prefix.length), value.membershipId));
    if (found !== undefined) return found.key.slice(prefix.length);
    if (rows.length < SHARES_LOOKED_AT) return undefined;
    after = rows.at(-1)?.key;
  }
}

/** The same answer again for the same two texts. */
function remembered<T>(answer: (one: string, other: string) => T): (one: string, other: string) => T {
  const known = new Map<string, T>();
  return (one, other) => {
    const key = recordKey(one, other);
    const before = known.get(key);
    if (before !== undefined) return before;
    const given = answer(one, other);
    known.set(key, given);
    return given;
  };
}
