// For a browser that the daemon does not know: how to be let in.
import { refusal } from "../../api/entry.ts";
import { t } from "../../i18n/t.ts";
import { Command } from "../../lost.tsx";
import { Empty } from "../../ui/empty.tsx";
import { Mark } from "../../ui/icon.tsx";

const LINK_COMMAND = "minitorrent web";

export default function Enter() {
  const isRefused = refusal.value !== undefined;
  return (
    <main class="alone">
      <span class="brand">
        <Mark />
        miniTorrent
      </span>
      <div class="card">
        <Empty isPage icon="key" title={t(isRefused ? "shell.enter.refused" : "shell.enter.signedOut")}>
          {refusal.value ?? t("shell.enter.why")}
          <span class="command-line">
            {t("shell.enter.how")}
            <Command text={LINK_COMMAND} />
          </span>
        </Empty>
      </div>
    </main>
  );
}
