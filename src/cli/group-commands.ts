// Commands about groups: create, join and leave them, decide on requests, remove members. The whole table is commands.ts.

import { decodeInvite, isInviteText } from "../api/invite.ts";
import { INVITE_LASTS_MS, MAX_INVITE_USES } from "../api/schemas.ts";
import type { InviteWish } from "../client/status.ts";
import { isLoopback } from "../client/trackers/reachability.ts";
import { groupArgument, userArgument } from "./command-arguments.ts";
import type { GivenOptions } from "./command-options.ts";
import { type Command, said } from "./command-types.ts";
import { harmless } from "./display-text.ts";
import { renderGroups, renderInvites, renderMembers, renderNewInvite, renderRequests } from "./render.ts";
import { parseCount, parseDuration } from "./typed-numbers.ts";

/** Tells the owner what an unconfirmed removal means. */
function unconfirmedRemoval(userId: string, trackers: readonly string[]): string {
  const [is, it] = trackers.length === 1 ? ["has", "it hears"] : ["have", "they hear"];
  return (
    `${trackers.join(", ")} ${is} not confirmed the removal: until ${it} of it, ` +
    `${userId} can still get data from members whose clients are connected there.`
  );
}

function wishIn(options: GivenOptions | undefined): InviteWish {
  const [uses] = options?.get("--uses") ?? [];
  const [expires] = options?.get("--expires") ?? [];
  return {
    ...(uses === undefined ? {} : { uses: parseCount(uses, MAX_INVITE_USES) }),
    ...(expires === undefined ? {} : { expiresMs: parseDuration(expires, INVITE_LASTS_MS.most) }),
  };
}

export const groupCommands: readonly Command[] = [
  {
    name: "create_group",
    arguments: [groupArgument("new-group")],
    arity: [1],
    help: "Create a group and own it. <group_id> is the name that you give it, such as films.",
    run: async ({ client }, groupId: string) => {
      await client.createGroup(groupId);
      return said(`Group ${groupId} was created; you own it.`, { groupId });
    },
  },
  {
    name: "join_group",
    arguments: [groupArgument("any-group")],
    arity: [1],
    help: "Ask to join a group; its owner decides. With an invite in place of the group you are a member at once.",
    run: async ({ client }, groupId: string) => {
      if (isInviteText(groupId)) {
        const joined = await client.joinByInvite(groupId);
        return said(`You are a member of ${joined.groupId} now.`, joined);
      }
      await client.joinGroup(groupId);
      return said(`You asked to join ${groupId}; its owner decides.`, { groupId });
    },
  },
  {
    name: "create_invite",
    arguments: [groupArgument("my-group")],
    arity: [1],
    options: [
      { name: "--uses", value: "n" },
      { name: "--expires", value: "time" },
    ],
    help: "Make an invite to a group of yours: whoever has its text joins without asking. It holds for 7 days and for any number of people, unless --uses (1 to 10,000) and --expires (30m, 12h, 7d, 4w) say otherwise.",
    example: "films --uses 1 --expires 2d",
    run: async ({ client, options, warn }, groupId: string) => {
      const made = await client.createInvite(groupId, wishIn(options));
      if (decodeInvite(made.invite).trackers.every(({ host }) => isLoopback(host)))
        warn?.("Its trackers have addresses of this machine alone, so it is of use on this machine alone.");
      return { result: made, lines: (view) => renderNewInvite(made, groupId, view) };
    },
  },
  {
    name: "list_invites",
    arguments: [groupArgument("my-group")],
    arity: [1],
    help: "List the invites to a group of yours, and who used them.",
    run: async ({ client }, groupId: string) => {
      const invites = await client.listInvites(groupId);
      return { result: invites, lines: (view) => renderInvites(invites, groupId, view) };
    },
  },
  {
    name: "revoke_invite",
    arguments: [groupArgument("my-group"), { name: "invite_id", kind: "invite" }],
    arity: [2],
    isEnding: true,
    help: "End an invite to a group of yours; members who joined with it stay.",
    run: async ({ client }, groupId: string, inviteId: string) => {
      await client.revokeInvite(groupId, inviteId);
      return said(`Nobody joins ${groupId} with the invite ${inviteId} any more.`, { groupId, inviteId });
    },
  },
  {
    name: "leave_group",
    arguments: [groupArgument("my-group")],
    arity: [1],
    isEnding: true,
    help: "Leave a group. If you own it, its longest-standing member becomes the owner.",
    run: async ({ client }, groupId: string) => {
      const { newOwnerId, groupEnded } = await client.leaveGroup(groupId);
      const heir = newOwnerId === undefined ? "" : ` ${newOwnerId} owns it now.`;
      return said(`You left ${groupId}.${groupEnded ? " You were its last member: it has ended." : heir}`, {
        groupId,
        newOwnerId: newOwnerId ?? null,
        groupEnded,
      });
    },
  },
  {
    name: "list_requests",
    arguments: [groupArgument("my-group")],
    arity: [1],
    help: "List pending requests to join a group of yours.",
    run: async ({ client }, groupId: string) => {
      const requests = await client.listRequests(groupId);
      return { result: requests, lines: (view) => renderRequests(requests, groupId, view) };
    },
  },
  {
    name: "accept_request",
    arguments: [groupArgument("my-group"), userArgument("requester")],
    arity: [2],
    help: "Accept a request to join a group of yours.",
    run: async ({ client }, groupId: string, userId: string) => {
      await client.acceptRequest(groupId, userId);
      return said(`${userId} is a member of ${groupId} now.`, { groupId, userId });
    },
  },
  {
    name: "reject_request",
    arguments: [groupArgument("my-group"), userArgument("requester")],
    arity: [2],
    isEnding: true,
    help: "Reject a request to join a group of yours.",
    run: async ({ client }, groupId: string, userId: string) => {
      await client.rejectRequest(groupId, userId);
      return said(`The request of ${userId} to join ${groupId} is rejected.`, { groupId, userId });
    },
  },
  {
    name: "remove_member",
    arguments: [groupArgument("my-group"), userArgument("member")],
    arity: [2],
    isEnding: true,
    help: "Remove a member from a group of yours; peers send them nothing from then on.",
    run: async ({ client }, groupId: string, userId: string) => {
      const { unconfirmedTrackers } = await client.removeMember(groupId, userId);
      const sentence = `${userId} is no longer in ${groupId}.`;
      if (unconfirmedTrackers.length === 0) return said(sentence, { groupId, userId });
      const warning = unconfirmedRemoval(userId, unconfirmedTrackers);
      return {
        result: { groupId, userId, unconfirmedTrackers },
        lines: () => [harmless(sentence), harmless(warning)],
      };
    },
  },
  {
    name: "list_members",
    arguments: [groupArgument("my-group")],
    arity: [1],
    help: "List a group's members, and which of them are online.",
    run: async ({ client }, groupId: string) => {
      const members = await client.listMembers(groupId);
      return { result: members, lines: (view) => renderMembers(members, view) };
    },
  },
  {
    name: "list_groups",
    arguments: [],
    arity: [0],
    help: "List all groups, and your role in each.",
    run: async ({ client }) => {
      const groups = await client.listGroups();
      return { result: groups, lines: (view) => renderGroups(groups, view) };
    },
  },
];
