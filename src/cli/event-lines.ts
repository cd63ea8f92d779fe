// An event as one line for a person. Pure.
import type { ClientEvent, MembershipEnd } from "../client/status.ts";
import { countOf, harmless, type Tone } from "./display-text.ts";
import { noTrackerAnswers, renderCompletion } from "./render.ts";

export interface Notice {
  readonly tone: Tone;
  readonly text: string;
}

/** The event in words, with the command that answers it where there is one. */
export function noticeOf(event: ClientEvent): Notice {
  const { tone, text } = describe(event);
  return { tone, text: harmless(text) };
}

function describe(event: ClientEvent): Notice {
  switch (event.type) {
    case "join-requested":
      return {
        tone: "accent",
        text: `${event.userId} asks to join ${event.groupId}; accept it with: accept_request ${event.groupId} ${event.userId}`,
      };
    case "request-accepted":
      return { tone: "good", text: `You are a member of ${event.groupId} now.` };
    case "request-rejected":
      return { tone: "warn", text: `Your request to join ${event.groupId} was rejected.` };
    case "member-joined":
      return { tone: "good", text: `${event.userId} joined ${event.groupId} with an invite.` };
    case "membership-ended":
      return { tone: "warn", text: ended(event.groupId, event.how) };
    case "group-founded-anew":
      return {
        tone: "warn",
        text: `${event.groupId} was founded anew: it is another group than the one you were in, and nothing of that one is shared in it.`,
      };
    case "group-key-refused":
      return { tone: "bad", text: event.reason };
    case "became-owner":
      return { tone: "good", text: `You own ${event.groupId} now: you decide who may join.` };
    case "name-taken-elsewhere":
      return {
        tone: "bad",
        text: `The ${event.kind} name ${event.name} was taken earlier, at a tracker that could not be reached; choose another name.`,
      };
    case "file-shared":
      return { tone: "plain", text: `${event.userId} shares ${event.fileName} in ${event.groupId}.` };
    case "files-shared": {
      const { userId = "Several people", groupId, count, fileNames } = event;
      const named = fileNames.join(", ");
      const others = count > fileNames.length ? ` and ${count - fileNames.length} more` : "";
      const verb = event.userId === undefined ? "share" : "shares";
      return { tone: "plain", text: `${userId} ${verb} ${count} files in ${groupId}: ${named}${others}.` };
    }
    case "share-updated": {
      const { userId = "A former member", groupId, fileName, isFollowed } = event;
      const how = isFollowed
        ? "it is being fetched"
        : `download_file ${groupId} ${fileName} <destination_path> fetches it, and follow ${groupId} ${fileName} also fetches those to come`;
      return {
        tone: "accent",
        text: `${userId} published a new version of ${fileName} in ${groupId}; ${how}.`,
      };
    }
    case "changed-files-kept":
      return {
        tone: "warn",
        text: `[${event.groupId}] ${event.fileName}: ${countOf(event.count, "file")} that you changed ${event.count === 1 ? "is" : "are"} kept beside the new version: ${namedOf(event)}.`,
      };
    case "shared-files-changed": {
      const { groupId, fileName, count } = event;
      const [are, they] = count === 1 ? ["is", "it is as it was"] : ["are", "they are as they were"];
      return {
        tone: "warn",
        text: `[${groupId}] ${fileName}: ${countOf(count, "file")} changed or ${are} gone, and ${are} not shared until ${they}: ${namedOf(event)}. update_share ${groupId} ${fileName} shares the folder as it is now.`,
      };
    }
    case "shared-files-back":
      return {
        tone: "dim",
        text: `[${event.groupId}] ${event.fileName}: all of its files are as they were shared again.`,
      };
    case "folder-made":
      return { tone: "warn", text: `The folder ${event.path} did not exist; it was created.` };
    case "download-complete":
      return { tone: "good", text: renderCompletion(event.groupId, event.fileName) };
    case "download-paused":
      return { tone: "warn", text: `[P] [${event.groupId}] ${event.fileName}  paused: ${event.reason}` };
    case "download-failed":
      return { tone: "bad", text: `[F] [${event.groupId}] ${event.fileName}  ${event.reason}` };
    case "download-waiting":
      return { tone: "warn", text: `[D] [${event.groupId}] ${event.fileName}  ${event.reason}` };
    case "downloads-waiting":
      return { tone: "warn", text: "More downloads are waiting; show_downloads shows why." };
    case "profile-entry-set-aside":
      return {
        tone: "bad",
        text: `[${event.groupId}] ${event.fileName}: the saved entry of this ${event.kind} is damaged and was set aside (${event.reason}); ${event.kind === "share" ? "share" : "download"} it again.`,
      };
    case "may-share-again": {
      const { groupId, count, paths } = event;
      const others = count > paths.length ? ` and ${count - paths.length} more` : "";
      const named = paths.join(", ");
      return {
        tone: "accent",
        text: `Files that you shared in ${groupId} before are no longer shared: ${named}${others}. upload_file <file_path> ${groupId} shares a file again.`,
      };
    }
    case "held-by-others":
      return {
        tone: "dim",
        text: `[${event.groupId}] ${event.fileName}: other members now hold the whole file; you can log out.`,
      };
    case "share-ended":
      return {
        tone: "warn",
        text: `[${event.groupId}] ${event.fileName} is no longer shared from here: ${event.reason}`,
      };
    case "peer-sent-bad-data":
      return {
        tone: "bad",
        text: `[${event.groupId}] ${event.fileName}: ${event.userId} sent bad data in piece ${event.pieceIndex}; it was discarded${event.isBanned ? ", and nothing more is taken from them" : ""}.`,
      };
    case "data-refused":
      return {
        tone: "bad",
        text: `[${event.groupId}] ${event.fileName}: ${event.userId} received piece ${event.pieceIndex} from here damaged, although it is right on this disk; if others say so too, check this machine's memory and network adapter.`,
      };
    case "tracker-connected":
      return event.isFailover
        ? { tone: "warn", text: `The tracker was lost; now at tracker ${event.tracker}.` }
        : { tone: "dim", text: `Connected to tracker ${event.tracker}.` };
    case "tracker-trusted":
      return {
        tone: "warn",
        text: `First contact with tracker ${event.tracker}: its key sha256:${event.fingerprint} is trusted from now on, as are the trackers that it vouches for. Compare it with the fingerprint that the tracker prints.`,
      };
    case "trackers-unreachable":
      return { tone: "bad", text: noTrackerAnswers(event.reason) };
    case "connections-taken":
    case "clock-wrong":
      return { tone: "bad", text: event.reason };
    case "session-ended":
      return { tone: "bad", text: `You are logged out: ${event.reason}` };
  }
}

/** `a, b and 3 more` */
function namedOf({ count, paths }: { readonly count: number; readonly paths: readonly string[] }): string {
  const others = count > paths.length ? ` and ${count - paths.length} more` : "";
  return `${paths.join(", ")}${others}`;
}

function ended(groupId: string, how: MembershipEnd): string {
  switch (how) {
    case "removed":
      return `The owner removed you from ${groupId}.`;
    case "left":
      return `You left ${groupId}.`;
    case "group-ended":
      return `${groupId} has ended.`;
    case "account-removed":
      return `You are no longer in ${groupId}: the operator of the trackers has removed this account.`;
  }
}
