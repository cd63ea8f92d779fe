// The invites of a group: how often each may still be used, who used it, and an end to it.
import { useSignal } from "@preact/signals";
import { type AnswerOf, call, sentenceOf } from "../../api/call.ts";
import { ago, fullTime, list, time } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { Button } from "../../ui/button.tsx";
import { Banner, Empty, Skeleton } from "../../ui/empty.tsx";
import { toast, toastError } from "../../ui/toasts.tsx";
import { useAnswer } from "./answers.ts";

type Invite = AnswerOf<"listInvites">[number];

const PERIOD_MS = 30_000;
/** Names of people who used it. */
const MOST_NAMED = 5;

export function InvitesPanel({
  groupId,
  onCreate,
}: {
  readonly groupId: string;
  readonly onCreate: () => void;
}) {
  return (
    <div class="stack">
      <div class="line">
        <p class="sub grow">{t("groups.invites.subtitle")}</p>
        <Button icon="plus" onClick={onCreate}>
          {t("groups.invites.new")}
        </Button>
      </div>
      <InviteList groupId={groupId} title={t("groups.tab.invites")} />
    </div>
  );
}

export interface InviteListProps {
  readonly groupId: string;
  readonly title: string;
  /** Only those that still work; nothing where there are none. */
  readonly isCompact?: boolean;
}

export function InviteList({ groupId, title, isCompact }: InviteListProps) {
  const answer = useAnswer(
    "listInvites",
    { groupId },
    { on: ["member-joined", "request-accepted"], everyMs: PERIOD_MS },
  );
  const all = answer.value;
  if (all === undefined) {
    if (isCompact) return null;
    return answer.error === undefined ? (
      <Skeleton rows={2} />
    ) : (
      <Banner kind="danger" icon="warn">
        {sentenceOf(answer.error)}
      </Banner>
    );
  }
  const shown = isCompact ? all.filter(isWorking) : all.toSorted((one, other) => rank(one) - rank(other));
  if (shown.length === 0) {
    if (isCompact) return null;
    return (
      <div class="card">
        <Empty icon="ticket" title={t("groups.invites.none")}>
          {t("groups.invites.noneHint")}
        </Empty>
      </div>
    );
  }
  return (
    <section class={isCompact ? "invite-list" : "card"} aria-label={title}>
      {isCompact && <h3>{title}</h3>}
      <ul class={isCompact ? "card side-list" : "side-list"}>
        {shown.map((invite) => (
          <InviteRow key={invite.inviteId} groupId={groupId} invite={invite} onRevoked={answer.refresh} />
        ))}
      </ul>
    </section>
  );
}

function isWorking({ state }: Invite): boolean {
  return state === "active";
}

function rank(invite: Invite): number {
  return (isWorking(invite) ? 0 : 1e15) - invite.createdAtMs / 1e3;
}

function InviteRow({
  groupId,
  invite,
  onRevoked,
}: {
  readonly groupId: string;
  readonly invite: Invite;
  readonly onRevoked: () => Promise<void>;
}) {
  const isBusy = useSignal(false);
  const { inviteId, createdBy, createdAtMs, expiresAtMs, usesLeft, usedBy } = invite;
  const revoke = async (): Promise<void> => {
    isBusy.value = true;
    try {
      await call("revokeInvite", { groupId, inviteId });
      toast(t("groups.invites.revoked"));
    } catch (error) {
      toastError(error);
    }
    await onRevoked();
    isBusy.value = false;
  };
  const what = isWorking(invite)
    ? usesLeft === undefined
      ? t("groups.invites.anyNumber")
      : t("groups.invites.left", { count: usesLeft })
    : t(`groups.invites.state.${invite.state}`);
  const named = usedBy.slice(0, MOST_NAMED);
  return (
    <li class={isWorking(invite) ? undefined : "quiet"}>
      <span class="grow">
        <span class="block">
          <b>{what}</b>
          {usedBy.length > 0 && ` · ${t("groups.invites.usedBy", { users: list(named) })}`}
        </span>
        <small class="block cut" title={fullTime(createdAtMs)}>
          {t("groups.invites.by", { user: createdBy, time: ago(createdAtMs) })}
          {expiresAtMs !== undefined &&
            isWorking(invite) &&
            ` · ${t("groups.invites.until", { time: time(expiresAtMs) })}`}
        </small>
      </span>
      {isWorking(invite) && (
        <Button size="small" isBusy={isBusy.value} onClick={() => void revoke()}>
          {t("groups.invites.revoke")}
        </Button>
      )}
    </li>
  );
}
