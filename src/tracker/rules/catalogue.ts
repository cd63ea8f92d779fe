// The files and folders of groups: a name in a group stands for one content while a member shares it, until a new version is
// published (versions.ts). A share belongs to one machine of an account, and ends there without ending those of the account's other
// machines. It counts while the membership that it was made in lasts, whichever version it is of. A file that nobody shares has
// ended, whether or not its row remains.
import { MiniTorrentError } from "../../api/errors.ts";
import type { FileSummary, ListPage, ShareDoubts } from "../../api/schemas.ts";
import type { FileValue, SharedContent, ShareValue } from "../registry/record-values.ts";
import {
  type LostClaim,
  type Page,
  type RegistryReader,
  type RegistryWriter,
  recordKey,
  valueOfKind,
} from "../registry/registry.ts";
import { endUpload } from "./info-uploads.ts";
import { type Group, isMemberBy, nextOf, requireGroup, requireMember, userIdOf } from "./membership-rows.ts";
import { type Offer, type OfferedInfo, readOffer, requireBrought } from "./offered-info.ts";
import type { Command } from "./rule-command.ts";
import { groupOfTorrent, putTorrent } from "./torrents.ts";
import {
  type FileClaim,
  hasPublished,
  hasVersion,
  moveVersions,
  newestVersion,
  publishVersion,
} from "./versions.ts";

/** Shares moved to another claim in one transaction. */
const ADOPTED_TOGETHER = 100;
/** Shares read at a time to find one that counts; mostly the first does. */
const SHARES_LOOKED_AT = 20;
/**
 * Most machines of one account that share a file; with more, the oldest share ends. It is more than a person has, and bounds the
 * look-up of a file's sharers if a client invents machines.
 */
const MAX_HOLDERS = 32;

/** A file that a member shares. */
export interface SharedFile {
  readonly groupId: string;
  readonly groupClaimId: string;
  readonly fileName: string;
  readonly claimId: string;
  readonly value: FileValue;
}

/** Number of online devices that have a torrent or a part of it, as far as the requesting account may know. */
export type CountPeers = (infoHash: string) => {
  readonly seeders: number;
  readonly peers: number;
  /** Accounts of the seeders, or of some of them. */
  readonly seederAccounts: readonly string[];
};

interface ShareTerms {
  readonly groupId: string;
  /** The account's machine that has the file: see `ShareValue`. */
  readonly holderId: string;
  /**
   * Info-hash of other content that this machine shares under that name, and that this share replaces; of the newest version, if
   * this is an update.
   */
  readonly replaces?: string | undefined;
  /** Publishes a new version. */
  readonly isUpdate?: boolean | undefined;
}

export type ShareRequest = ShareTerms & OfferedInfo;

export interface StopRequest {
  readonly groupId: string;
  readonly fileName: string;
  readonly holderId: string;
  /** Also ends the shares of the account's other machines, which may no longer exist. */
  readonly everywhere?: boolean | undefined;
}

/**
 * Shares a file or folder under the name in its metainfo; if the group has the same content under that name, adds a share to it.
 * Replaces other content that only this machine shares, or publishes a new version, if the request says so.
 *
 * @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER, MALFORMED_MESSAGE, INVALID_ARGUMENT, FILE_EXISTS, UNKNOWN_FILE,
 * NOT_THE_SHARER, NEWER_VERSION, METAINFO_MISSING
 */
export function shareFile(
  command: Command,
  request: ShareRequest,
): { infoHash: string; joinedSwarm: boolean } {
  const { writer, account, nowMs, writeId } = command;
  const group = requireGroup(writer, request.groupId);
  const { membershipId } = requireMember(writer, group, account.accountId);
  const offer = readOffer(writer, group, request, account.accountId, nowMs);
  const { fileName, infoHash } = offer;
  const name = recordKey(group.claimId, fileName);
  const standing = writer.claim("file", name);
  const found = relationToName(command, request, group, offer, standing);
  if (writer.hasWrite(writeId)) {
    const isOfThisWrite =
      standing?.writeId === writeId ||
      (standing !== undefined && hasPublished(writer, standing.claimId, writeId));
    return { infoHash, joinedSwarm: !isOfThisWrite };
  }
  const own = recordKey(account.accountId, request.holderId);
  const claim = found.is === "further" ? found.claim : bringContent(command, found, offer, name, own);
  if (found.is !== "further" || groupOfTorrent(writer, infoHash) === undefined) {
    const torrent = requireBrought(offer).torrent();
    putTorrent(writer, { infoHash, groupClaimId: group.claimId, fileName }, writeId, torrent);
  }
  if ("upload" in request) endUpload(writer, request.upload);
  const key = recordKey(claim.claimId, own);
  const before = writer.get("share", key);
  const counts =
    before !== undefined &&
    infoHashOf(before, claim.value) === infoHash &&
    isShareCounted(writer, group.claimId, { accountId: account.accountId, value: before });
  if (!counts) {
    if (before === undefined) makeRoomForHolder(writer, recordKey(claim.claimId, account.accountId, ""));
    const version = infoHash === claim.value.infoHash ? {} : { infoHash };
    const share: ShareValue = { sinceMs: nowMs, membershipId, ...version };
    writer.put("share", key, share);
  }
  return { infoHash, joinedSwarm: found.is === "further" };
}

/**
 * What a share is to its name: its `first` one, where others may have ended; a `further` one of content that the name has, in the
 * newest version or an earlier one; a `replacement` of content that this machine alone shares; an `update`, which is a new version.
 */
type Relation =
  | { readonly is: "first"; readonly claim: FileClaim | undefined }
  | { readonly is: "further" | "replacement" | "update"; readonly claim: FileClaim };

/** @throws MiniTorrentError FILE_EXISTS, UNKNOWN_FILE, NOT_THE_SHARER, NEWER_VERSION */
function relationToName(
  { writer, account }: Command,
  { groupId, holderId, replaces, isUpdate = false }: ShareTerms,
  group: Group,
  { fileName, infoHash }: Offer,
  claim: FileClaim | undefined,
): Relation {
  if (claim === undefined) {
    if (isUpdate) throw unknownFile(groupId, fileName);
    return { is: "first", claim };
  }
  const newest = newestVersion(writer, claim);
  if (isUpdate && newest.infoHash !== infoHash) {
    if (!hasShare(writer, group.claimId, claim.claimId)) throw unknownFile(groupId, fileName);
    requirePublisher(writer, group, claim, account.accountId, fileName);
    if (newest.infoHash === replaces) return { is: "update", claim };
    throw new MiniTorrentError(
      "NEWER_VERSION",
      `'${fileName}' in group '${groupId}' is not the version that you would replace; download the newest one, then publish yours.`,
    );
  }
  if (hasVersion(writer, claim, infoHash)) {
    return { is: hasShare(writer, group.claimId, claim.claimId) ? "further" : "first", claim };
  }
  const sharers = sharersOf(writer, group.claimId, claim.claimId, recordKey(account.accountId, holderId));
  if (sharers === undefined) return { is: "first", claim };
  if (sharers === "this-machine" && newest.infoHash === replaces) return { is: "replacement", claim };
  throw new MiniTorrentError(
    "FILE_EXISTS",
    `Group '${groupId}' has other content under the name '${fileName}', ${remedyFor(sharers, groupId, fileName)}; or rename the file, then share it.`,
  );
}

/**
 * The name stands for what is brought.
 *
 * @throws MiniTorrentError METAINFO_MISSING if only the info-hash is given
 */
function bringContent(
  { writer, writeId, account }: Command,
  found: Relation,
  offer: Offer,
  name: string,
  own: string,
): FileClaim {
  const { content } = requireBrought(offer);
  const { accountId } = account;
  if (found.is === "update") {
    publishVersion(writer, found.claim, writeId, { ...content, publishedByAccountId: accountId });
    return found.claim;
  }
  if (found.is === "replacement") writer.remove("share", recordKey(found.claim.claimId, own));
  return claimName(writer, name, found.claim, content, accountId);
}

/** Makes the name stand for that content, first shared by that account. */
function claimName(
  writer: RegistryWriter,
  name: string,
  standing: FileClaim | undefined,
  content: SharedContent,
  sharedByAccountId: string,
): FileClaim {
  if (standing !== undefined && newestVersion(writer, standing).infoHash === content.infoHash) {
    const value: FileValue = { ...standing.value, sharedByAccountId };
    writer.updateClaim("file", standing.claimId, value);
    return { claimId: standing.claimId, value };
  }
  if (standing !== undefined) writer.endClaim("file", standing.claimId);
  const value: FileValue = { ...content, sharedByAccountId };
  return { claimId: writer.makeClaim("file", name, value), value };
}

/** @throws MiniTorrentError NOT_THE_SHARER */
function requirePublisher(
  reader: RegistryReader,
  group: Group,
  { value }: FileClaim,
  accountId: string,
  fileName: string,
): void {
  if (accountId === value.sharedByAccountId || accountId === group.ownerAccountId) return;
  const names = [value.sharedByAccountId, group.ownerAccountId]
    .map((publisher) => userIdOf(reader, publisher))
    .filter((userId) => userId !== undefined);
  throw new MiniTorrentError(
    "NOT_THE_SHARER",
    `Only the first sharer of '${fileName}' and the owner of group '${group.groupId}' may publish a new version; ` +
      `ask ${[...new Set(names)].join(" or ")}, or share yours under another name.`,
  );
}

/** The version that a share is of. */
function infoHashOf(share: ShareValue, file: FileValue): string {
  return share.infoHash ?? file.infoHash;
}

/**
 * Ends the account's share of the file on this machine, or on all its machines. When the last share ends, the file ends and its
 * name is free. Rows of other machines are kept and marked, so that a machine that is offline learns of it when it returns.
 *
 * @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER, UNKNOWN_FILE, NOT_SHARED
 */
export function stopShare(command: Command, request: StopRequest): void {
  const { writer, account, nowMs } = command;
  const { groupId, fileName, holderId, everywhere = false } = request;
  if (writer.hasWrite(command.writeId)) return;
  const file = requireFile(writer, account.accountId, groupId, fileName);
  const ofAccount = recordKey(file.claimId, account.accountId, "");
  const own = ofAccount + holderId;
  const isCounted = (value: ShareValue): boolean =>
    isShareCounted(writer, file.groupClaimId, { accountId: account.accountId, value });
  const shares = writer
    .list("share", ofAccount)
    .filter(({ key, value }) => isCounted(value) || (key === own && value.withdrawnAtMs === undefined));
  const ended = everywhere ? shares : shares.filter(({ key }) => key === own);
  if (ended.length === 0) {
    const elsewhere =
      shares.length > 0
        ? ` from this machine, but from ${shares.length === 1 ? "another one" : `${shares.length} others`}; stop_share ${groupId} ${fileName} everywhere ends that too`
        : "";
    throw new MiniTorrentError(
      "NOT_SHARED",
      `You do not share '${fileName}' in group '${groupId}'${elsewhere}.`,
    );
  }
  for (const { key, value } of ended) {
    if (key === own) writer.remove("share", key);
    else writer.put("share", key, { ...value, withdrawnAtMs: nowMs } satisfies ShareValue);
  }
  if (hasShare(writer, file.groupClaimId, file.claimId)) return;
  const nobodys: FileValue = { ...file.value, sharedByAccountId: "" };
  writer.updateClaim("file", file.claimId, nobodys);
}

/**
 * Compares the shares that a machine has recorded with those in the registry.
 *
 * @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER
 */
export function checkShares(
  reader: RegistryReader,
  accountId: string,
  groupId: string,
  holderId: string,
  believed: readonly { readonly fileName: string; readonly infoHash: string }[],
): ShareDoubts {
  const group = requireGroup(reader, groupId);
  requireMember(reader, group, accountId);
  const doubts: ShareDoubts = { withdrawn: [], unknown: [], updated: [] };
  for (const { fileName, infoHash } of believed) {
    const claim = reader.claim("file", recordKey(group.claimId, fileName));
    const value = claim && reader.get("share", recordKey(claim.claimId, accountId, holderId));
    // A machine that was away for long may have a version that is not remembered.
    const isOfClaim =
      claim !== undefined &&
      (hasVersion(reader, claim, infoHash) ||
        (value !== undefined && infoHashOf(value, claim.value) === infoHash));
    if (!isOfClaim) {
      doubts.unknown.push(fileName);
      continue;
    }
    const newest = newestVersion(reader, claim);
    if (value?.withdrawnAtMs !== undefined) doubts.withdrawn.push(fileName);
    else if (newest.infoHash !== infoHash) {
      const userId = userIdOf(reader, newest.publishedByAccountId);
      doubts.updated.push({ fileName, infoHash: newest.infoHash, userId });
    } else if (value === undefined || !isShareCounted(reader, group.claimId, { accountId, value })) {
      doubts.unknown.push(fileName);
    }
  }
  return doubts;
}

/**
 * Two partitioned trackers made claims on a file's name with the same content: moves the versions and shares of the losing claim to
 * the one that stands, some shares in each call.
 *
 * @returns where to continue, in a transaction of its own; undefined at the end
 */
export function adoptShares(writer: RegistryWriter, lost: LostClaim, after?: string): string | undefined {
  const standing = writer.claim("file", lost.name);
  const file = valueOfKind("file", lost);
  if (file === undefined || standing === undefined) return undefined;
  if (!hasVersion(writer, standing, file.infoHash)) return undefined;
  if (after === undefined) moveVersions(writer, lost.claimId, standing.claimId);
  const prefix = recordKey(lost.claimId, "");
  const rows = writer.list("share", prefix, { after, limit: ADOPTED_TOGETHER });
  for (const { key, value } of rows) {
    const place = recordKey(standing.claimId, key.slice(prefix.length));
    if (writer.get("share", place) === undefined) {
      const infoHash = infoHashOf(value, file);
      const { infoHash: _, ...share } = value;
      const moved = infoHash === standing.value.infoHash ? share : { ...share, infoHash };
      writer.put("share", place, moved, writer.payerOf("share", key));
    }
  }
  return rows.length < ADOPTED_TOGETHER ? undefined : rows.at(-1)?.key;
}

/**
 * A slice of the group's files, by name: those that a member shares or is downloading, among as many names as the page may
 * examine.
 *
 * @param page `after` a file name
 * @param namePrefix only names that begin with it
 * @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER
 */
export function listFiles(
  reader: RegistryReader,
  accountId: string,
  groupId: string,
  countPeers: CountPeers,
  page: Page,
  namePrefix = "",
): ListPage<FileSummary> {
  const group = requireGroup(reader, groupId);
  requireMember(reader, group, accountId);
  const prefix = recordKey(group.claimId, "");
  const { after, limit } = page;
  const claims = reader.claims("file", prefix + namePrefix, {
    limit,
    ...(after === undefined ? {} : { after: prefix + after }),
  });
  const items: FileSummary[] = [];
  // A few people share most of a group's files: each is looked up once.
  const isSharer = memoized((accountId, membershipId) =>
    isMemberBy(reader, group.claimId, accountId, membershipId),
  );
  const nameOf = memoized((accountId) => userIdOf(reader, accountId) ?? "");
  for (const claim of claims) {
    const { name, claimId } = claim;
    const { infoHash, sha1, lengthBytes, fileCount, publishedByAccountId } = newestVersion(reader, claim);
    const sharer = firstSharer(
      reader,
      claimId,
      (share) =>
        share.value.withdrawnAtMs === undefined && isSharer(share.accountId, share.value.membershipId),
      publishedByAccountId,
    );
    const { seeders, peers, seederAccounts } = countPeers(infoHash);
    // Nobody shares the whole file any more, but the members who download it still have parts.
    if (sharer === undefined && peers <= seeders) continue;
    items.push({
      fileName: name.slice(prefix.length),
      ...{ lengthBytes, infoHash },
      ...(sha1 === undefined ? {} : { sha1 }),
      ...(fileCount === undefined ? {} : { fileCount }),
      sharedBy: sharer === undefined ? "" : nameOf(publishedByAccountId || sharer.accountId, ""),
      ...(sharer === undefined ? {} : { sharedAtMs: sharer.value.sinceMs }),
      heldBy: seederAccounts.map((seeder) => nameOf(seeder, "")).filter((userId) => userId !== ""),
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

/** @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER, UNKNOWN_FILE */
export function requireFile(
  reader: RegistryReader,
  accountId: string,
  groupId: string,
  fileName: string,
): SharedFile {
  const group = requireGroup(reader, groupId);
  requireMember(reader, group, accountId);
  const file = findFile(reader, groupId, group.claimId, fileName);
  if (file !== undefined) return file;
  throw unknownFile(groupId, fileName);
}

function unknownFile(groupId: string, fileName: string): MiniTorrentError {
  return new MiniTorrentError(
    "UNKNOWN_FILE",
    `Group '${groupId}' has no file '${fileName}'; list_files ${groupId} shows those it has.`,
  );
}

/** The file of that name; undefined if nobody shares it. */
export function findFile(
  reader: RegistryReader,
  groupId: string,
  groupClaimId: string,
  fileName: string,
): SharedFile | undefined {
  const claim = reader.claim("file", recordKey(groupClaimId, fileName));
  if (claim === undefined || !hasShare(reader, groupClaimId, claim.claimId)) return undefined;
  return { groupId, groupClaimId, fileName, claimId: claim.claimId, value: claim.value };
}

/** True if the newest version under that name has that content, and a member shares some version of it. */
export function isFileShared(
  reader: RegistryReader,
  groupClaimId: string,
  fileName: string,
  infoHash: string,
): boolean {
  if (reader.claimById("group", groupClaimId) === undefined) return false;
  const claim = reader.claim("file", recordKey(groupClaimId, fileName));
  return (
    claim !== undefined &&
    newestVersion(reader, claim).infoHash === infoHash &&
    hasShare(reader, groupClaimId, claim.claimId)
  );
}

function hasShare(reader: RegistryReader, groupClaimId: string, fileClaimId: string): boolean {
  return (
    firstSharer(reader, fileClaimId, (share) => isShareCounted(reader, groupClaimId, share)) !== undefined
  );
}

/** The sharers of a file, from the point of view of one machine of an account. */
type Sharers = "this-machine" | "own-machines" | "others";

/** @param own account and machine; undefined if nobody shares the file */
function sharersOf(
  reader: RegistryReader,
  groupClaimId: string,
  fileClaimId: string,
  own: string,
): Sharers | undefined {
  const [ownAccountId] = own.split("\u001f");
  const isSharedBy = (isMeant: (share: Share) => boolean): boolean =>
    firstSharer(
      reader,
      fileClaimId,
      (share) => isMeant(share) && isShareCounted(reader, groupClaimId, share),
    ) !== undefined;
  if (isSharedBy(({ accountId }) => accountId !== ownAccountId)) return "others";
  if (isSharedBy(({ accountId, holderId }) => recordKey(accountId, holderId) !== own)) return "own-machines";
  return isSharedBy(() => true) ? "this-machine" : undefined;
}

/** Advice for a name that stands for other content, by the sharers of that content. */
function remedyFor(sharers: Sharers, groupId: string, fileName: string): string {
  switch (sharers) {
    case "this-machine":
      return `and nobody but you shares it; stop_share ${groupId} ${fileName}, then upload_file shares the new content`;
    case "own-machines":
      return `and another machine of yours shares it; stop_share ${groupId} ${fileName} everywhere, then upload_file shares the new content`;
    case "others":
      return "and others share it";
  }
}

/** Removes the oldest of an account's shares of a file, if it has as many as it may. @param prefix of the account's rows */
function makeRoomForHolder(writer: RegistryWriter, prefix: string): void {
  const rows = writer.list("share", prefix);
  if (rows.length < MAX_HOLDERS) return;
  const [oldest] = rows.toSorted((one, other) => one.value.sinceMs - other.value.sinceMs);
  if (oldest !== undefined) writer.remove("share", oldest.key);
}

/** A row of a file's shares. */
interface Share {
  readonly accountId: string;
  readonly holderId: string;
  readonly value: ShareValue;
}

/** True if it was not withdrawn, and the membership that it was made in lasts. */
function isShareCounted(
  reader: RegistryReader,
  groupClaimId: string,
  { accountId, value }: Pick<Share, "accountId" | "value">,
): boolean {
  return value.withdrawnAtMs === undefined && isMemberBy(reader, groupClaimId, accountId, value.membershipId);
}

/**
 * An account that shares the file: the first found, since a file may have thousands.
 *
 * @param likely the account to try first; empty for none
 */
function firstSharer(
  reader: RegistryReader,
  fileClaimId: string,
  counts: (share: Share) => boolean,
  likely = "",
): Share | undefined {
  const prefix = recordKey(fileClaimId, "");
  const findIn = (rows: readonly { key: string; value: ShareValue }[]): Share | undefined => {
    for (const { key, value } of rows) {
      const [accountId = "", holderId = ""] = key.slice(prefix.length).split("\u001f");
      const share = { accountId, holderId, value };
      if (counts(share)) return share;
    }
    return undefined;
  };
  if (likely !== "") {
    const page = { limit: MAX_HOLDERS };
    const found = findIn(reader.list("share", recordKey(fileClaimId, likely, ""), page));
    if (found !== undefined) return found;
  }
  let after: string | undefined;
  for (;;) {
    const rows = reader.anchored("share", prefix, { after, limit: SHARES_LOOKED_AT });
    const found = findIn(rows);
    if (found !== undefined) return found;
    if (rows.length < SHARES_LOOKED_AT) return undefined;
    after = rows.at(-1)?.key;
  }
}

/** Caches the function's results by its two arguments. */
function memoized<T>(answer: (one: string, other: string) => T): (one: string, other: string) => T {
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
