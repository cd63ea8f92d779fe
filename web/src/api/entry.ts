// How a browser is let in: `minitorrent web` opens the page with a link that counts once. The page gives it back for a cookie and
// a key, and removes it from the address bar.
import { signal } from "@preact/signals";
import { keepPageKey, linkIn, PAGE_KEY, pageKey } from "../state/page-key.ts";
import { call, isSignedOut, sentenceOf } from "./call.ts";

/** Why the link of the address bar was refused. */
export const refusal = signal<string | undefined>(undefined);

/** Uses the link of the address bar, if there is one. */
export async function enterByLink(): Promise<void> {
  const link = linkIn(location.hash);
  if (link === undefined) return;
  history.replaceState(null, "", "#/transfers");
  try {
    keepPageKey((await call("enter", { link })).pageKey);
  } catch (error) {
    // Somebody who opens an old link in a browser that is let in anyway just sees the page.
    if (pageKey() !== undefined) return;
    refusal.value = sentenceOf(error);
    isSignedOut.value = true;
  }
}

/** Ends the session of this browser. @throws ApiError */
export async function leave(): Promise<void> {
  await call("leave");
  keepPageKey(undefined);
  isSignedOut.value = true;
}

/** Another tab was let in, or this one gets a link while it is open. */
export function followEntry(): void {
  addEventListener("storage", ({ key, newValue }) => {
    if (key !== PAGE_KEY || newValue === null) return;
    refusal.value = undefined;
    isSignedOut.value = false;
  });
  addEventListener("hashchange", () => {
    if (linkIn(location.hash) === undefined) return;
    refusal.value = undefined;
    void enterByLink().then(() => {
      if (refusal.peek() === undefined) isSignedOut.value = false;
    });
  });
}
