// The folders of the daemon's machine that the page may look into. They are set where the daemon is started.
import { useCall } from "../../api/use-call.ts";
import { bytes } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { Command } from "../../lost.tsx";
import { Banner, Skeleton } from "../../ui/empty.tsx";
import { Icon } from "../../ui/icon.tsx";

export default function Roots() {
  const { answer, error } = useCall("roots", {});
  return (
    <>
      <p class="sub">{t("shell.roots.what")}</p>
      {error !== undefined && (
        <Banner kind="danger" icon="warn">
          {error}
        </Banner>
      )}
      <section class="card">
        {answer === undefined && error === undefined && <Skeleton rows={2} />}
        <ul class="rows">
          {answer?.roots.map(({ path, freeBytes }) => (
            <li key={path}>
              <Icon name="folder" />
              <span class="grow path">{path}</span>
              <span class="quiet">{t("shell.roots.free", { size: bytes(freeBytes) })}</span>
            </li>
          ))}
        </ul>
      </section>
      <p class="sub">{t("shell.roots.change")}</p>
      <div class="command-left">
        <Command text="minitorrent daemon --roots ~/Media,/data" />
      </div>
    </>
  );
}
