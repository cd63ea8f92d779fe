// What screen readers say without being asked: states (complete, stuck, connected again), never rates.
import { signal } from "@preact/signals";

const polite = signal("");
const assertive = signal("");
/** The same words twice are a change that screen readers hear only if the text differs. */
const MARK = "\u200b";

export function announce(text: string, how: "polite" | "assertive" = "polite"): void {
  const region = how === "assertive" ? assertive : polite;
  region.value = region.peek() === text ? text + MARK : text;
}

export function LiveRegion() {
  return (
    <>
      <div class="unseen" role="status" aria-live="polite">
        {polite.value}
      </div>
      <div class="unseen" role="alert" aria-live="assertive">
        {assertive.value}
      </div>
    </>
  );
}
