// The frame, first run, settings, and what every view uses.
import type { Messages } from "../../state/messages.ts";

export const shell = {
  "unit.s": "s",
  "unit.min": "min",
  "unit.h": "h",
  "unit.d": "d",
  "time.justNow": "just now",
  "time.yesterday": "yesterday, {clock}",

  "nav.label": "Main",
  "nav.transfers": "Transfers",
  "nav.groups": "Groups",
  "nav.share": "Share",
  "nav.settings": "Settings",
  "nav.joinOrCreate": "Join or create a group",
  "nav.skip": "Skip to the content",
  "nav.requests": { one: "{count} request to join", other: "{count} requests to join" },
  "nav.down": "Down",
  "nav.up": "Up",
  "nav.account": "Account",
  "nav.logOut": "Log out",
  "nav.tracker": "Tracker {address}",
  "nav.trackerSearch": "Looking for a tracker",
  "nav.trackerNone": "No tracker answers",

  "action.close": "Close",
  "action.cancel": "Cancel",
  "action.copy": "Copy",
  "action.copied": "Copied",
  "action.tryNow": "Try now",
  "action.dismiss": "Dismiss",
  "action.more": "More",

  "list.empty": "Nothing here",
  loading: "Loading",

  "errors.unknownCall": "This daemon does not know the call {name}. Reload the page.",
  "errors.unreachable": "The daemon on this machine does not answer.",
  "errors.noAnswer": "The daemon gave no proper answer (HTTP {status}).",
  "errors.view": "This part of the page cannot be loaded. The daemon may have been updated: reload the page.",
  "errors.reload": "Reload",
} as const satisfies Messages;
