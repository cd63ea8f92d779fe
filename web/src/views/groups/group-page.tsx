// A group: its shares, and beside them who asks to join, who is in it, and what happened. Where there is less room, what waits for an
// answer comes first, and the rest has tabs.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { GroupSummary } from "../../../../src/api/schemas.ts";
import { ApiError } from "../../api/call.ts";
import { shares as ownShares, watch } from "../../api/live.ts";
import { bytes, number } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { go, href } from "../../routes.ts";
import type { GroupTab } from "../../state/paths.ts";
import { Button } from "../../ui/button.tsx";
import { Banner, Empty, Skeleton } from "../../ui/empty.tsx";
import { Menu, type MenuItem } from "../../ui/menu.tsx";
import { DropTarget } from "../share/drop-target.tsx";
import { ActivityPanel } from "./activity-panel.tsx";
import { FailedAnswer } from "./failed-answer.tsx";
import { myUserId, useGroups, useMarks, useMembers, useRequests, useShares } from "./group-answers.ts";
import { AskToJoin } from "./group-list.tsx";
import { InviteDialog } from "./invite-dialog.tsx";
import { InvitesPanel } from "./invites-panel.tsx";
import { LeaveDialog } from "./leave-dialog.tsx";
import { MembersPanel } from "./members-panel.tsx";
import { RequestsPanel } from "./requests-panel.tsx";
import { SharesPanel } from "./shares-panel.tsx";

export interface GroupPageProps {
  readonly groupId: string;
  readonly tab: GroupTab;
}

export function GroupPage({ groupId, tab }: GroupPageProps) {
  const groups = useGroups();
  const group = groups.value?.find((one) => one.groupId === groupId);
  const isMember = group?.standing === "member" || group?.standing === "owner";
  if (groups.value === undefined) {
    return (
      <div class="page">
        <h1>{groupId}</h1>
        {groups.error === undefined ? <Skeleton /> : <FailedAnswer answer={groups} />}
      </div>
    );
  }
  if (group === undefined || !isMember)
    return <Outside groupId={groupId} group={group} onChanged={groups.refresh} />;
  return <Inside key={groupId} group={group} tab={tab} onChanged={groups.refresh} />;
}

function Outside({
  groupId,
  group,
  onChanged,
}: {
  readonly groupId: string;
  readonly group: GroupSummary | undefined;
  readonly onChanged: () => Promise<void>;
}) {
  return (
    <div class="page">
      <h1>{groupId}</h1>
      <div class="card">
        {group === undefined ? (
          <Empty
            icon="users"
            title={t("groups.unknown", { group: groupId })}
            actions={<Button href={href({ view: "groups" })}>{t("groups.toAll")}</Button>}
          />
        ) : (
          <Empty
            icon="users"
            title={t(group.standing === "requested" ? "groups.askedTitle" : "groups.outside", {
              group: groupId,
            })}
            actions={group.standing === undefined && <AskToJoin group={group} onAsked={onChanged} />}
          >
            {t(group.standing === "requested" ? "groups.askedText" : "groups.outsideText", {
              owner: group.ownerId,
            })}
          </Empty>
        )}
      </div>
    </div>
  );
}

function Inside({
  group,
  tab,
  onChanged,
}: {
  readonly group: GroupSummary;
  readonly tab: GroupTab;
  readonly onChanged: () => Promise<void>;
}) {
  const { groupId } = group;
  const isOwner = group.ownerId === myUserId();
  const members = useMembers(groupId);
  const requests = useRequests(groupId, isOwner);
  const shareCount = useSignal<number | undefined>(undefined);
  const shares = useShares(groupId, shareCount.value);
  const marks = useMarks(members.value);
  const dialog = useSignal<"invite" | "leave" | undefined>(undefined);
  useEffect(() => watch(["downloads", "shares"]), []);
  // No event tells a machine of its own shares.
  const own = ownShares.value;
  const isFirst = useRef(true);
  useEffect(() => {
    if (!isFirst.current) void shares.refresh();
    isFirst.current = false;
  }, [own]);
  useEffect(() => {
    shareCount.value = shares.value?.length;
  }, [shares.value]);

  const tabRow = useRef<HTMLElement>(null);
  useEffect(() => {
    dialog.value = undefined;
    tabRow.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [tab]);

  const waiting = requests.value?.length ?? 0;
  const here = (to: GroupTab): string => href({ view: "group", groupId, tab: to });
  const total = shares.value?.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0) ?? 0;
  const online = members.value?.filter((member) => member.isOnline).length;
  const facts = [
    isOwner ? t("groups.youOwn") : t("groups.ownedBy", { user: group.ownerId }),
    members.value === undefined
      ? t("groups.memberCount", { count: group.memberCount })
      : t("groups.memberFacts", { count: members.value.length, online: online ?? 0 }),
    shares.value !== undefined &&
      (total === 0
        ? t("groups.shareCount", { count: shares.value.length })
        : t("groups.shareFacts", { count: shares.value.length, size: bytes(total) })),
  ].filter(Boolean);
  const open = (which: "invite" | "leave") => (): void => {
    dialog.value = which;
  };
  const menu: MenuItem[] = [
    { label: t("groups.menu.members"), icon: "users", href: here("members") },
    { label: t("groups.menu.activity"), icon: "activity", href: here("activity") },
    ...(isOwner ? [{ label: t("groups.menu.invites"), icon: "ticket" as const, href: here("invites") }] : []),
    { label: t("groups.menu.leave"), icon: "log-out", isDangerous: true, onClick: open("leave") },
  ];
  const tabs: readonly {
    readonly tab: GroupTab;
    readonly count?: number | undefined;
    readonly isBadge?: boolean;
  }[] = [
    { tab: "shares", count: shares.value?.length },
    { tab: "members", count: members.value?.length ?? group.memberCount },
    ...(isOwner ? [{ tab: "requests" as const, count: waiting, isBadge: waiting > 0 }] : []),
    { tab: "activity" },
    ...(isOwner ? [{ tab: "invites" as const }] : []),
  ];
  const requestCard = waiting > 0 && requests.value !== undefined && (
    <RequestsPanel
      groupId={groupId}
      requests={requests.value}
      isCard
      moreHref={here("requests")}
      onAnswered={() => {
        void requests.refresh();
        void members.refresh();
        void onChanged();
      }}
    />
  );
  return (
    <DropTarget groupId={groupId}>
      <div class="page group-page">
        <header class="page-head">
          <div class="grow">
            <h1>{groupId}</h1>
            <p class="sub page-sub">{facts.join(" · ")}</p>
          </div>
          <div class="actions nowrap">
            {isOwner && <Button onClick={open("invite")}>{t("groups.invite")}</Button>}
            <Button
              kind="main"
              icon="plus"
              class="group-share"
              onClick={() => go({ view: "share", groupId })}
            >
              {t("groups.share")}
            </Button>
            <Menu label={t("groups.menu.ofGroup", { group: groupId })} items={menu} />
          </div>
        </header>
        <nav ref={tabRow} class="group-tabs" aria-label={t("groups.tabs", { group: groupId })}>
          {tabs.map((one) => (
            <a key={one.tab} href={here(one.tab)} aria-current={tab === one.tab ? "page" : undefined}>
              {t(`groups.tab.${one.tab}`)}
              {one.count !== undefined && one.count > 0 && (
                <span class={one.isBadge ? "badge" : "count"}>{number(one.count)}</span>
              )}
            </a>
          ))}
        </nav>
        {members.error !== undefined &&
          !(members.error instanceof ApiError && members.error.status === 0) && (
            <FailedAnswer answer={members} kind="warn" />
          )}
        {tab === "shares" && (
          <div class="group-cols">
            <div class="group-first">{requestCard}</div>
            <SharesPanel groupId={groupId} answer={shares} marks={marks} />
            <aside class="group-aside" aria-label={t("groups.aside", { group: groupId })}>
              {requestCard}
              {members.value !== undefined && (
                <MembersPanel
                  groupId={groupId}
                  members={members.value}
                  marks={marks}
                  isOwner={isOwner}
                  isCard
                  moreHref={here("members")}
                />
              )}
              <ActivityPanel groupId={groupId} isCard moreHref={here("activity")} />
            </aside>
          </div>
        )}
        {tab === "members" &&
          (members.value === undefined ? (
            <Skeleton />
          ) : (
            <MembersPanel
              groupId={groupId}
              members={members.value}
              marks={marks}
              isOwner={isOwner}
              onChanged={() => {
                void members.refresh();
                void onChanged();
              }}
            />
          ))}
        {tab === "requests" &&
          (isOwner ? (
            <RequestsPanel
              groupId={groupId}
              requests={requests.value ?? []}
              onAnswered={() => {
                void requests.refresh();
                void members.refresh();
                void onChanged();
              }}
            />
          ) : (
            <Banner icon="info">{t("groups.requests.ownerOnly", { owner: group.ownerId })}</Banner>
          ))}
        {tab === "activity" && <ActivityPanel groupId={groupId} />}
        {tab === "invites" &&
          (isOwner ? (
            <InvitesPanel groupId={groupId} onCreate={open("invite")} />
          ) : (
            <Banner icon="info">{t("groups.invites.ownerOnly", { owner: group.ownerId })}</Banner>
          ))}
        {dialog.value === "invite" && (
          <InviteDialog
            groupId={groupId}
            onClose={() => {
              dialog.value = undefined;
            }}
          />
        )}
        {dialog.value === "leave" && (
          <LeaveDialog
            groupId={groupId}
            isOwner={isOwner}
            members={members.value ?? []}
            onClose={() => {
              dialog.value = undefined;
            }}
          />
        )}
      </div>
    </DropTarget>
  );
}
