// Who was logged in here last, and why that ended: for the screen on which one logs in again.
import { effect, signal } from "@preact/signals";
import { onEvent, status } from "./api/live.ts";
import { keep, kept } from "./state/kept.ts";

const LAST_USER = "user";

export const sessionEnd = signal<string | undefined>(undefined);

export function lastUser(): string | undefined {
  return kept(LAST_USER);
}

/** @returns ends it */
export function followSession(): () => void {
  const ends = [
    onEvent("session-ended", ({ reason }) => {
      sessionEnd.value = typeof reason === "string" ? reason : undefined;
    }),
    effect(() => {
      const userId = status.value?.account?.userId;
      if (userId === undefined) return;
      keep(LAST_USER, userId);
      sessionEnd.value = undefined;
    }),
  ];
  return () => {
    for (const end of ends) end();
  };
}
