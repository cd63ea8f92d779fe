// The sidebar (a rail of icons where there is less room) and, on phones, tabs at the foot.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { call } from "./api/call.ts";
import { downloads, rates, status } from "./api/live.ts";
import { number, rate } from "./i18n/format.ts";
import { t } from "./i18n/t.ts";
import { href, route } from "./routes.ts";
import type { Route } from "./state/paths.ts";
import { Icon, type IconName, Mark } from "./ui/icon.tsx";
import { Menu } from "./ui/menu.tsx";
import { Tip } from "./ui/tip.tsx";
import { toastError } from "./ui/toasts.tsx";
import { useGroups, useRequests } from "./views/groups/group-answers.ts";

interface NavProps {
  readonly to: Route;
  readonly icon: IconName;
  readonly text: string;
  readonly count?: number | undefined;
  /** Requests that wait for an answer. */
  readonly waiting?: number | undefined;
  readonly isCurrent: boolean;
}

function Nav({ to, icon, text, count, waiting = 0, isCurrent }: NavProps) {
  return (
    <Tip text={text} side="right" class="rail-tip">
      <a class="nav" href={href(to)} aria-current={isCurrent ? "page" : undefined}>
        <Icon name={icon} />
        <span class="nav-text grow cut">{text}</span>
        {count !== undefined && count > 0 && <span class="nav-count">{number(count)}</span>}
        {waiting > 0 && <Waiting count={waiting} />}
      </a>
    </Tip>
  );
}

function Waiting({ count }: { readonly count: number }) {
  return (
    <span class="badge">
      <span aria-hidden="true">{number(count)}</span>
      <span class="unseen">{t("shell.nav.requests", { count })}</span>
    </span>
  );
}

/** Requests that wait, by group: the tabs of a phone sum them up. */
const waitingIn = signal<ReadonlyMap<string, number>>(new Map());

interface GroupNavProps {
  readonly groupId: string;
  readonly isOwner: boolean;
  readonly isCurrent: boolean;
}

function GroupNav({ groupId, isOwner, isCurrent }: GroupNavProps) {
  const requests = useRequests(groupId, isOwner).value;
  const waiting = (isOwner && requests?.length) || 0;
  useEffect(() => {
    waitingIn.value = new Map([...waitingIn.peek(), [groupId, waiting]]);
    return () => {
      waitingIn.value = new Map([...waitingIn.peek()].filter(([other]) => other !== groupId));
    };
  }, [groupId, waiting]);
  const to = { view: "group", groupId, tab: waiting > 0 ? "requests" : "shares" } as const;
  return <Nav to={to} icon="users" text={groupId} waiting={waiting} isCurrent={isCurrent} />;
}

export function Side() {
  const now = route.value;
  const groupIds = status.value?.groupIds ?? [];
  const owned = new Set(
    useGroups().value?.flatMap(({ groupId, standing }) => (standing === "owner" ? groupId : [])),
  );
  return (
    <header class="side">
      <a class="brand" href={href({ view: "transfers" })}>
        <Mark />
        <span class="brand-text">miniTorrent</span>
      </a>
      <nav aria-label={t("shell.nav.label")}>
        <Nav
          to={{ view: "transfers" }}
          icon="transfers"
          text={t("shell.nav.transfers")}
          count={downloads.value.size}
          isCurrent={now.view === "transfers" || now.view === "preview"}
        />
        <Nav
          to={{ view: "share" }}
          icon="share"
          text={t("shell.nav.share")}
          isCurrent={now.view === "share"}
        />
        <Nav
          to={{ view: "settings" }}
          icon="settings"
          text={t("shell.nav.settings")}
          isCurrent={now.view === "settings"}
        />
      </nav>
      <nav aria-label={t("shell.nav.groups")}>
        <h2>{t("shell.nav.groups")}</h2>
        {groupIds.map((groupId) => (
          <GroupNav
            key={groupId}
            groupId={groupId}
            isOwner={owned.has(groupId)}
            isCurrent={
              "groupId" in now &&
              now.view !== "transfers" &&
              now.view !== "preview" &&
              now.groupId === groupId
            }
          />
        ))}
        <Nav
          to={{ view: "groups" }}
          icon="plus"
          text={t("shell.nav.joinOrCreate")}
          isCurrent={now.view === "groups"}
        />
      </nav>
      <SideFoot />
    </header>
  );
}

/** It renders once a second, and nothing else of the frame with it. */
function RatesNow() {
  const { down, up } = rates.value;
  return (
    <dl class="rates">
      <dt>{t("shell.nav.down")}</dt>
      <dd>{rate(down)}</dd>
      <dt>{t("shell.nav.up")}</dt>
      <dd>{rate(up)}</dd>
    </dl>
  );
}

function SideFoot() {
  const { account, tracker, trackerProblem } = status.value ?? {};
  return (
    <div class="side-foot">
      <RatesNow />
      <a
        class="line side-tracker"
        href={href({ view: "settings", section: "trackers" })}
        title={trackerProblem}
      >
        <span class={tracker === undefined ? "dot" : "dot dot-on"} />
        <span class="side-text cut">
          {tracker !== undefined
            ? t("shell.nav.tracker", { address: tracker })
            : t(trackerProblem === undefined ? "shell.nav.trackerSearch" : "shell.nav.trackerNone")}
        </span>
      </a>
      {account !== undefined && (
        <div class="line">
          <Icon name="user" />
          <span class="side-text grow cut">{account.userId}</span>
          <Menu
            label={t("shell.nav.account")}
            button={{ size: "small" }}
            items={[
              {
                label: t("shell.nav.settings"),
                icon: "settings",
                href: href({ view: "settings" }),
              },
              {
                label: t("shell.nav.logOut"),
                icon: "log-out",
                onClick: () => void call("logout").catch(toastError),
              },
            ]}
          />
        </div>
      )}
    </div>
  );
}

export function TabBar() {
  const { view } = route.value;
  const waiting = [...waitingIn.value.values()].reduce((sum, count) => sum + count, 0);
  const tabs = [
    {
      to: { view: "transfers" },
      icon: "transfers",
      text: t("shell.nav.transfers"),
      views: ["transfers", "preview"],
    },
    {
      to: { view: "groups" },
      icon: "users",
      text: t("shell.nav.groups"),
      views: ["groups", "group", "choose"],
    },
    { to: { view: "share" }, icon: "plus", text: t("shell.nav.share"), views: ["share"] },
    { to: { view: "settings" }, icon: "settings", text: t("shell.nav.settings"), views: ["settings"] },
  ] as const;
  return (
    <nav class="tab-bar" aria-label={t("shell.nav.label")}>
      {tabs.map(({ to, icon, text, views }) => (
        <a
          key={text}
          href={href(to)}
          aria-current={(views as readonly string[]).includes(view) ? "page" : undefined}
        >
          <Icon name={icon} size="large" />
          <span>{text}</span>
          {icon === "users" && waiting > 0 && <Waiting count={waiting} />}
        </a>
      ))}
    </nav>
  );
}
