// The page's addresses: `#/groups/studio/members`. Names are percent-encoded, so a name may have a slash.

export const GROUP_TABS = ["shares", "members", "requests", "activity", "invites"] as const;
export const SETTINGS_SECTIONS = ["rates", "schedule", "roots", "tokens", "look", "trackers"] as const;
export type GroupTab = (typeof GROUP_TABS)[number];
export type SettingsSection = (typeof SETTINGS_SECTIONS)[number];

export type Route =
  | { readonly view: "transfers"; readonly groupId?: string; readonly fileName?: string }
  | { readonly view: "groups" }
  | { readonly view: "group"; readonly groupId: string; readonly tab: GroupTab }
  | { readonly view: "choose"; readonly groupId: string; readonly fileName: string }
  | { readonly view: "share"; readonly groupId?: string }
  | { readonly view: "preview"; readonly groupId: string; readonly fileName: string; readonly path?: string }
  | { readonly view: "settings"; readonly section?: SettingsSection }
  | { readonly view: "enter" };
export type ViewName = Route["view"];

/** Anything that is no address of the page is its first view. */
export function routeOf(hash: string): Route {
  const [address = "", query = ""] = splitAt(hash.replace(/^#\/?/, ""), "?");
  const [view, first, second] = address.split("/").map(decoded);
  switch (view) {
    case "groups": {
      if (!first) return { view: "groups" };
      return { view: "group", groupId: first, tab: oneOf(GROUP_TABS, second) ?? "shares" };
    }
    case "choose":
      if (first && second) return { view, groupId: first, fileName: second };
      break;
    case "preview": {
      const path = new URLSearchParams(query).get("path");
      if (first && second) return { view, groupId: first, fileName: second, ...(path !== null && { path }) };
      break;
    }
    case "share":
      return first ? { view, groupId: first } : { view };
    case "settings": {
      const section = oneOf(SETTINGS_SECTIONS, first);
      return section === undefined ? { view } : { view, section };
    }
    case "enter":
      return { view };
  }
  return view === "transfers" && first && second
    ? { view: "transfers", groupId: first, fileName: second }
    : { view: "transfers" };
}

export function addressOf(route: Route): string {
  switch (route.view) {
    case "group":
      return hashOf(["groups", route.groupId, ...(route.tab === "shares" ? [] : [route.tab])]);
    case "transfers":
      return hashOf(["transfers", route.groupId, route.fileName]);
    case "choose":
      return hashOf(["choose", route.groupId, route.fileName]);
    case "share":
      return hashOf(["share", route.groupId]);
    case "settings":
      return hashOf(["settings", route.section]);
    case "preview": {
      const address = hashOf(["preview", route.groupId, route.fileName]);
      return route.path === undefined ? address : `${address}?path=${encodeURIComponent(route.path)}`;
    }
    default:
      return hashOf([route.view]);
  }
}

function hashOf(parts: readonly (string | undefined)[]): string {
  return `#/${parts
    .filter((part) => part !== undefined)
    .map(encodeURIComponent)
    .join("/")}`;
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function oneOf<T extends string>(names: readonly T[], name: string | undefined): T | undefined {
  return names.find((one) => one === name);
}
