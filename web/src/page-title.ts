// What the browser's tab is called, and what screen readers say when another view opens.
import { effect } from "@preact/signals";
import { t } from "./i18n/t.ts";
import { route } from "./routes.ts";
import type { Route } from "./state/paths.ts";
import { announce } from "./ui/live-region.tsx";

function nameOf(now: Route): string {
  switch (now.view) {
    case "transfers":
      return now.fileName ?? t("shell.nav.transfers");
    case "group":
      return now.groupId;
    case "choose":
    case "preview":
      return now.fileName;
    case "groups":
      return t("shell.nav.groups");
    case "share":
      return t("shell.nav.share");
    case "settings":
      return t("shell.nav.settings");
    case "enter":
      return "";
  }
}

/** @returns ends it */
export function followTitle(): () => void {
  let last: string | undefined;
  return effect(() => {
    const name = nameOf(route.value);
    document.title = name === "" ? "miniTorrent" : `${name} · miniTorrent`;
    if (last !== undefined && last !== name) announce(name);
    last = name;
  });
}
