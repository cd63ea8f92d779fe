// The frame around every view, and which view is in it.
import { useEffect, useRef } from "preact/hooks";
import { isSignedOut } from "./api/call.ts";
import { follow, status, watch } from "./api/live.ts";
import { Side, TabBar } from "./frame.tsx";
import { t } from "./i18n/t.ts";
import { route } from "./routes.ts";
import { Skeleton } from "./ui/empty.tsx";
import { LiveRegion } from "./ui/live-region.tsx";
import { Toasts } from "./ui/toasts.tsx";
import { View } from "./views.tsx";

export function App() {
  useEffect(() => {
    // The sidebar counts downloads.
    const end = watch(["downloads"]);
    follow();
    return end;
  }, []);
  return (
    <>
      <Inside />
      <Toasts />
      <LiveRegion />
    </>
  );
}

function Inside() {
  if (isSignedOut.value || route.value.view === "enter") return <View name="enter" />;
  const isKnown = status.value !== undefined;
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
  // Another view begins at its top.
  useEffect(() => {
    if (element.current !== null) element.current.scrollTop = 0;
  }, [view]);
  return (
    <main id="main" class="main" tabIndex={-1} data-scroll ref={element}>
      {isKnown ? <View name={view} /> : <Skeleton />}
    </main>
  );
}
