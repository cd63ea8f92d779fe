// The trackers, the account, and the daemon itself.

import { call } from "../../api/call.ts";
import { status } from "../../api/live.ts";
import { useCall } from "../../api/use-call.ts";
import { duration, fullTime } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { shortFingerprint } from "../../state/fingerprints.ts";
import { Button } from "../../ui/button.tsx";
import { CopyButton } from "../../ui/copy-button.tsx";
import { Banner, Skeleton } from "../../ui/empty.tsx";
import { toastError } from "../../ui/toasts.tsx";
import { Setting } from "./setting.tsx";

export default function Trackers() {
  // Another tracker took over, or none answers: the states of all may differ.
  const { tracker, trackerProblem } = status.value ?? {};
  const { answer, error } = useCall("trackers", {});
  return (
    <>
      <section class="stack">
        <p class="sub">{t("shell.trackers.what")}</p>
        {error !== undefined && (
          <Banner kind="danger" icon="warn">
            {error}
          </Banner>
        )}
        {tracker === undefined && trackerProblem !== undefined && (
          <Banner kind="warn" icon="warn">
            {trackerProblem}
          </Banner>
        )}
        <div class="card">
          {answer === undefined && error === undefined && <Skeleton rows={2} />}
          <ul class="rows" aria-label={t("shell.settings.trackers")}>
            {answer?.map(({ address, fingerprint, problem, isConnected }) => (
              <li key={address}>
                <span class="grow">
                  <b class="path">{address}</b>
                  <small>
                    {fingerprint === undefined ? (
                      t("shell.trackers.noKey")
                    ) : (
                      <span title={fingerprint}>
                        {t("shell.trackers.key")} <code>{shortFingerprint(fingerprint)}</code>
                      </span>
                    )}
                  </small>
                  {problem !== undefined && <small class="text-warn">{problem}</small>}
                </span>
                <span class="line state">
                  <span class={isConnected ? "dot dot-on" : "dot"} />
                  {t(isConnected ? "shell.trackers.connected" : "shell.trackers.notUsed")}
                </span>
                {fingerprint !== undefined && (
                  <CopyButton
                    kind="bare"
                    size="small"
                    text={fingerprint}
                    label={t("shell.trackers.copyKey", { address })}
                  />
                )}
              </li>
            ))}
          </ul>
        </div>
        <p class="sub">{t("shell.trackers.pinned")}</p>
      </section>
      <Account />
      <About />
    </>
  );
}

function Account() {
  const account = status.value?.account;
  if (account === undefined) return null;
  return (
    <section class="stack">
      <h2>{t("shell.nav.account")}</h2>
      <div class="card">
        <Setting
          title={account.userId}
          control={
            <Button icon="log-out" onClick={() => void call("logout").catch(toastError)}>
              {t("shell.nav.logOut")}
            </Button>
          }
        >
          {t("shell.account.logOutHint")}
        </Setting>
      </div>
    </section>
  );
}

function About() {
  const now = status.value;
  if (now === undefined) return null;
  const { version, dataDir, startedAtMs, pid } = now.daemon;
  const facts = [
    [t("shell.about.version"), version],
    [
      t("shell.about.running"),
      <span title={fullTime(startedAtMs)}>
        {t("shell.about.since", { time: duration((Date.now() - startedAtMs) / 1_000), pid: String(pid) })}
      </span>,
    ],
    [t("shell.about.dataDir"), <span class="path">{dataDir}</span>],
    [t("shell.about.listening"), now.listeningOn],
  ] as const;
  return (
    <section class="stack">
      <h2>{t("shell.about.title")}</h2>
      <dl class="card facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
