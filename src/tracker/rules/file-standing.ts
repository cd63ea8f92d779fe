// The state of a file that is being downloaded: whether its name still stands for that content, and which of its former sharers
// are in the group and online. Its cost depends on the query, not on the size of the group.
import type { FileStanding } from "../../api/schemas.ts";
import { type RegistryReader, recordKey } from "../registry/registry.ts";
import { isFileShared } from "./catalogue.ts";
import { currentMember, requireGroup, requireMember, userIdOf } from "./membership-rows.ts";

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
  const claim = reader.claim("file", recordKey(group.claimId, fileName));
  const isShared = claim !== undefined && isFileShared(reader, group.claimId, fileName, claim.value.infoHash);
  const sharedBy = isShared ? userIdOf(reader, claim.value.sharedByAccountId) : undefined;
  const asked = new Set(sharedBy === undefined ? userIds : [...userIds, sharedBy]);
  return {
    content: !isShared ? "none" : claim.value.infoHash === infoHash ? "same" : "other",
    sharedBy,
    members: [...asked].map((userId) => {
      const member = reader.claim("user", userId);
      const isMember =
        member !== undefined && currentMember(reader, group.claimId, member.claimId) !== undefined;
      return { userId, isMember, isOnline: isMember && isOnline(member.claimId) };
    }),
  };
}
