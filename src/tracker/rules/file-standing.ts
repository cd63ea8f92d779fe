// The state of a file that is being downloaded: whether its name still stands for that content, and which of its former sharers
// are in the group and online. Its cost depends on the query, not on the size of the group.
import type { FileStanding } from "../../api/schemas.ts";
import type { RegistryReader } from "../registry/registry.ts";
import { findFile, type SharedFile } from "./catalogue.ts";
import { currentMember, requireGroup, requireMember, userIdOf } from "./membership-rows.ts";
import { hasVersion, newestVersion } from "./versions.ts";

export interface StandingRequest {
  readonly groupId: string;
  readonly fileName: string;
  readonly infoHash: string;
  /** Members that the query is about. */
  readonly userIds: readonly string[];
}

/** @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER */
export function fileStanding(
  reader: RegistryReader,
  accountId: string,
  { groupId, fileName, infoHash, userIds }: StandingRequest,
  isOnline: (accountId: string) => boolean,
): FileStanding {
  const group = requireGroup(reader, groupId);
  requireMember(reader, group, accountId);
  const file = findFile(reader, groupId, group.claimId, fileName);
  const newest = file && newestVersion(reader, file);
  const sharedBy = newest && userIdOf(reader, newest.publishedByAccountId);
  const asked = new Set(sharedBy === undefined ? userIds : [...userIds, sharedBy]);
  return {
    content: file === undefined ? "none" : contentOf(reader, file, infoHash),
    sharedBy,
    members: [...asked].map((userId) => {
      const member = reader.claim("user", userId);
      const isMember =
        member !== undefined && currentMember(reader, group.claimId, member.claimId) !== undefined;
      return { userId, isMember, isOnline: isMember && isOnline(member.claimId) };
    }),
  };
}

function contentOf(reader: RegistryReader, file: SharedFile, infoHash: string): FileStanding["content"] {
  if (newestVersion(reader, file).infoHash === infoHash) return "same";
  return hasVersion(reader, file, infoHash) ? "newer" : "other";
}
