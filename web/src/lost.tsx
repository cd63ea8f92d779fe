// What the page says while the daemon does not answer. What was last heard stays on the screen.
import { computed, effect, signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { heardAtMs, link, status, tryNow } from "./api/live.ts";
import { duration, time } from "./i18n/format.ts";
import { t } from "./i18n/t.ts";
import { Button } from "./ui/button.tsx";
import { CopyButton } from "./ui/copy-button.tsx";
import { Banner, Empty } from "./ui/empty.tsx";
import { announce } from "./ui/live-region.tsx";

/** Shorter interruptions are not worth a word: a daemon restarts in about a second. */
const UNNOTICED_MS = 1_500;
const START_COMMAND = "minitorrent daemon";

const isNoticed = signal(false);
const isLost = computed(() => typeof link.value === "object");
let timer: ReturnType<typeof setTimeout> | undefined;

effect(() => {
  clearTimeout(timer);
  if (!isLost.value) {
    if (isNoticed.peek() && link.peek() === "live") announce(t("shell.lost.back"));
    isNoticed.value = false;
    return;
  }
  timer = setTimeout(() => {
    isNoticed.value = true;
    announce(reason(), "assertive");
  }, UNNOTICED_MS);
});

/** Why there is no connection, in a sentence. */
function reason(): string {
  const now = link.value;
  return (typeof now === "object" ? now.refusal : undefined) ?? t("shell.errors.unreachable");
}

/** Seconds until the next try; the second hand of this banner alone. */
function useSecondsLeft(): number {
  const [, tick] = useState(0);
  useEffect(() => {
    const ticking = setInterval(() => tick((count) => count + 1), 1_000);
    return () => clearInterval(ticking);
  }, []);
  const now = link.value;
  return typeof now === "object" ? Math.max(0, Math.ceil((now.nextTryAtMs - Date.now()) / 1_000)) : 0;
}

function nextTry(seconds: number): string {
  return seconds === 0 ? t("shell.lost.trying") : t("shell.lost.nextTry", { time: duration(seconds) });
}

/** Over the top of the page, so that nothing in it moves. */
export function LostBanner() {
  return isNoticed.value && status.value !== undefined ? <LostNow /> : null;
}

function LostNow() {
  const seconds = useSecondsLeft();
  return (
    <div class="lost">
      <Banner
        kind="danger"
        icon="unplug"
        actions={
          <Button size="small" onClick={tryNow}>
            {t("shell.action.tryNow")}
          </Button>
        }
      >
        <b>{reason()}</b> {t("shell.lost.continues")} {t("shell.lost.shown", { time: time(heardAtMs.value) })}{" "}
        {nextTry(seconds)}
      </Banner>
    </div>
  );
}

/** In place of the page, when the daemon has not answered once. */
export function NeverFound() {
  const seconds = useSecondsLeft();
  return (
    <main class="alone">
      <Empty
        isPage
        icon="unplug"
        title={reason()}
        actions={
          <Button kind="main" onClick={tryNow}>
            {t("shell.action.tryNow")}
          </Button>
        }
      >
        {t("shell.lost.start")}
        <Command text={START_COMMAND} />
        {nextTry(seconds)}
      </Empty>
    </main>
  );
}

/** A command to type into a terminal. */
export function Command({ text }: { readonly text: string }) {
  return (
    <span class="command">
      <code>{text}</code>
      <CopyButton text={text} label={t("shell.action.copyCommand")} kind="bare" size="small" />
    </span>
  );
}
