// Which events of the daemon are worth a notice: a request, an acceptance, a download that is complete or stuck.
import type { Notice } from "./page-settings.ts";
import type { Route } from "./paths.ts";

export interface EventNotice {
  readonly kind: Notice;
  /** One at a time is shown of each tag. */
  readonly tag: string;
  readonly groupId: string;
  readonly fileName: string | undefined;
  readonly userId: string | undefined;
  /** Why it is stuck. */
  readonly reason: string | undefined;
  /** Where it can be answered. */
  readonly route: Route;
}

/** Names of the events that `noticeOf` knows. */
export const NOTICED_EVENTS = [
  "join-requested",
  "request-accepted",
  "download-complete",
  "download-waiting",
  "download-failed",
] as const;

/** @param type one of the daemon's events, see docs/api.md */
export function noticeOf(type: string, data: Readonly<Record<string, unknown>>): EventNotice | undefined {
  const text = (name: string): string | undefined =>
    typeof data[name] === "string" ? (data[name] as string) : undefined;
  const groupId = text("groupId");
  if (groupId === undefined) return undefined;
  const fileName = text("fileName");
  const facts = { groupId, fileName, userId: text("userId"), reason: text("reason") };
  switch (type) {
    case "join-requested": {
      const tag = `request ${groupId} ${facts.userId}`;
      return { ...facts, kind: "request", tag, route: { view: "group", groupId, tab: "requests" } };
    }
    case "request-accepted": {
      const route = { view: "group", groupId, tab: "shares" } as const;
      return { ...facts, kind: "accepted", tag: `accepted ${groupId}`, route };
    }
    case "download-complete":
    case "download-waiting":
    case "download-failed": {
      if (fileName === undefined) return undefined;
      const kind = type === "download-complete" ? "finished" : "stuck";
      const route = { view: "transfers", groupId, fileName } as const;
      return { ...facts, kind, tag: `download ${groupId} ${fileName}`, route };
    }
  }
  return undefined;
}
