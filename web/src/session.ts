// Why the session at the trackers ended, for the screen on which one logs in again.
import { signal } from "@preact/signals";
import { onEvent } from "./api/live.ts";

export const sessionEnd = signal<string | undefined>(undefined);

/** @returns ends it */
export function followSession(): () => void {
  return onEvent("session-ended", ({ reason }) => {
    sessionEnd.value = typeof reason === "string" ? reason : undefined;
  });
}
