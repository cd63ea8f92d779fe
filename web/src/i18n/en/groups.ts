// Groups, members, requests, invites and shares.
import type { Messages } from "../../state/messages.ts";

export const groups = {
  title: "Groups",
  "share.title": "Share",
  "choose.title": "Choose files",
} as const satisfies Messages;
