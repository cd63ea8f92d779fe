// What happened, as a toast while the page is looked at, and as a notification of the browser, if the reader wants those, while it
// is not.
import { onEvent } from "./api/live.ts";
import { type TextKey, t } from "./i18n/t.ts";
import { go } from "./routes.ts";
import { settings } from "./settings.ts";
import { type EventNotice, NOTICED_EVENTS, noticeOf } from "./state/notices.ts";
import type { Notice } from "./state/page-settings.ts";
import type { IconName } from "./ui/icon.tsx";
import { toast } from "./ui/toasts.tsx";

const TEXTS: Readonly<Record<Notice, TextKey>> = {
  request: "shell.notice.request",
  accepted: "shell.notice.accepted",
  finished: "shell.notice.finished",
  stuck: "shell.notice.stuck",
};
const ICONS: Readonly<Record<Notice, IconName>> = {
  request: "user-plus",
  accepted: "check",
  finished: "check",
  stuck: "warn",
};
/** Of one kind, past which further ones within a second are not shown one by one. */
const MOST_AT_ONCE = 3;

let recent = { sinceMs: 0, count: 0 };

/** @returns ends it */
export function followNotices(): () => void {
  const ends = NOTICED_EVENTS.map((type) => onEvent(type, (data) => show(noticeOf(type, data))));
  return () => {
    for (const end of ends) end();
  };
}

function show(notice: EventNotice | undefined): void {
  if (notice === undefined) return;
  const now = Date.now();
  if (now - recent.sinceMs > 1_000) recent = { sinceMs: now, count: 0 };
  if (++recent.count > MOST_AT_ONCE) return;
  const { kind, groupId, fileName = "", userId = "", reason, route } = notice;
  const text = t(TEXTS[kind], { groupId, fileName, userId });
  if (document.visibilityState === "visible") {
    toast({
      text: reason === undefined ? text : `${text} ${reason}`,
      icon: ICONS[kind],
      kind: kind === "stuck" ? "warn" : kind === "request" ? "plain" : "ok",
      action: { label: t("shell.notice.show"), onClick: () => go(route) },
    });
    return;
  }
  if (!settings.peek().notices.includes(kind) || !isAllowed()) return;
  const shown = new Notification(text, { tag: notice.tag, ...(reason !== undefined && { body: reason }) });
  shown.addEventListener("click", () => {
    window.focus();
    go(route);
    shown.close();
  });
}

export function isAllowed(): boolean {
  return "Notification" in window && Notification.permission === "granted";
}

/** Whether something would be shown while nobody looks at the page. */
export function wantsNotices(): boolean {
  return settings.peek().notices.length > 0 && isAllowed();
}

/** Asks the reader, if they have not decided yet. @returns whether notifications may be shown */
export async function askForNotices(): Promise<boolean> {
  if (!("Notification" in window)) return false;
  return (await Notification.requestPermission()) === "granted";
}
