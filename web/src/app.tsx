// The frame around every view, and which view is in it.
import { useEffect, useRef } from "preact/hooks";
import { isSignedOut } from "./api/call.ts";
import { followEntry } from "./api/entry.ts";
import { follow, link, status, watch } from "./api/live.ts";
import { Side, TabBar } from "./frame.tsx";
import { t } from "./i18n/t.ts";
import { KeysHelp } from "./keys-help.tsx";
import { LostBanner, NeverFound } from "./lost.tsx";
import { followNotices, wantsNotices } from "./notices.ts";
import { followTitle } from "./page-title.ts";
import { route } from "./routes.ts";
import { followSession } from "./session.ts";
import { Skeleton } from "./ui/empty.tsx";
import { LiveRegion } from "./ui/live-region.tsx";
import { Toasts } from "./ui/toasts.tsx";
import { View } from "./views.tsx";

export function App() {
  useEffect(() => {
    // The sidebar counts downloads, and sums up what moves.
    const ends = [watch(["downloads", "shares"]), followNotices(), followSession(), followTitle()];
    follow(wantsNotices);
    followEntry();
    return () => {
      for (const end of ends) end();
    };
  }, []);
  return (
    <>
      <Inside />
      <LostBanner />
      <KeysHelp />
      <Toasts />
      <LiveRegion />
    </>
  );
}

function Inside() {
  if (isSignedOut.value || route.value.view === "enter") return <View name="enter" />;
  const isKnown = status.value !== undefined;
  if (!isKnown && typeof link.value === "object") return <NeverFound />;
  if (isKnown && status.value?.account === undefined) return <View name="first-run" />;
  return (
    <div class="frame">
      <button type="button" class="skip button" onClick={skip}>
        {t("shell.nav.skip")}
      </button>
      <Side />
      <Main isKnown={isKnown} />
      <TabBar />
    </div>
  );
}

function skip(): void {
  document.getElementById("main")?.focus();
}

function Main({ isKnown }: { readonly isKnown: boolean }) {
  const element = useRef<HTMLElement>(null);
  const { view } = route.value;
  // Another view begins at its top; what is behind a dialog stays where it is.
  useEffect(() => {
    if (element.current !== null && view !== "choose" && view !== "share") element.current.scrollTop = 0;
  }, [view]);
  return (
    <main id="main" class="main" tabIndex={-1} data-scroll ref={element}>
      {isKnown ? <View name={view} /> : <Skeleton />}
    </main>
  );
}
