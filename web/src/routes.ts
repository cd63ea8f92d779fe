// Which view the address bar asks for.
import { signal } from "@preact/signals";
import { addressOf, type Route, routeOf } from "./state/paths.ts";

// A link of the daemon is no address: it is used up, and removed.
export const route = signal<Route>(routeOf(location.hash));
export const href = addressOf;

/** @param how replace: the back button skips the view that is left */
export function go(to: Route, how: "push" | "replace" = "push"): void {
  const address = addressOf(to);
  if (address === location.hash) return;
  if (how === "replace") history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  route.value = to;
}

addEventListener("hashchange", () => {
  route.value = routeOf(location.hash);
});
addEventListener("popstate", () => {
  route.value = routeOf(location.hash);
});
