// Who is in a group, and who of them is online. The owner can remove members.
import { useSignal } from "@preact/signals";
import type { Member } from "../../../../src/api/schemas.ts";
import { call } from "../../api/call.ts";
import { fullTime, time } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { Button } from "../../ui/button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Menu } from "../../ui/menu.tsx";
import { toast, toastError } from "../../ui/toasts.tsx";
import { VirtualList } from "../../ui/virtual-list.tsx";
import { type Marks, myUserId } from "./group-answers.ts";
import { Who } from "./who.tsx";

/** Members in the card beside the shares. */
const MOST_IN_CARD = 8;
const ROW_PX = 52;

export interface MembersPanelProps {
  readonly groupId: string;
  readonly members: readonly Member[];
  readonly marks: Marks;
  readonly isOwner: boolean;
  readonly isCard?: boolean;
  readonly moreHref?: string;
  readonly onChanged?: () => void;
}

/** Online ones first, then by order of joining. */
function inOrder(members: readonly Member[]): readonly Member[] {
  const me = myUserId();
  const rank = (one: Member): number => (one.userId === me ? 0 : one.isOnline ? 1 : 2);
  return members.toSorted((one, other) => rank(one) - rank(other) || one.sinceMs - other.sinceMs);
}

export function MembersPanel(props: MembersPanelProps) {
  const { groupId, members, isCard, moreHref } = props;
  const removed = useSignal<Member | undefined>(undefined);
  const ordered = inOrder(members);
  const online = members.filter(({ isOnline }) => isOnline).length;
  const rowOf = (member: Member) => (
    <MemberRow
      {...props}
      member={member}
      onRemove={() => {
        removed.value = member;
      }}
    />
  );
  return (
    <section class="card" aria-labelledby="members-head">
      <div class="card-head">
        <h2 id="members-head">{t("groups.tab.members")}</h2>
        <small>{t("groups.members.online", { online, count: members.length })}</small>
      </div>
      {isCard ? (
        <ul class="side-list">
          {ordered.slice(0, MOST_IN_CARD).map((member) => (
            <li key={member.userId}>{rowOf(member)}</li>
          ))}
        </ul>
      ) : (
        <VirtualList
          rows={ordered}
          rowHeight={ROW_PX}
          keyOf={({ userId }) => userId}
          label={t("groups.members.label", { group: groupId })}
          class="member-list"
          render={(member) => <div class="member-row">{rowOf(member)}</div>}
        />
      )}
      {isCard && members.length > MOST_IN_CARD && (
        <a class="card-more" href={moreHref}>
          {t("groups.showAll", { count: members.length })}
        </a>
      )}
      {removed.value !== undefined && (
        <RemoveDialog
          groupId={groupId}
          userId={removed.value.userId}
          onClose={(isDone) => {
            removed.value = undefined;
            if (isDone) props.onChanged?.();
          }}
        />
      )}
    </section>
  );
}

function MemberRow({
  member,
  marks,
  isOwner,
  isCard,
  onRemove,
}: MembersPanelProps & { readonly member: Member; readonly onRemove: () => void }) {
  const { userId, sinceMs, isOnline } = member;
  const isMe = userId === myUserId();
  const notes = [isMe && t("groups.members.you"), member.isOwner && t("groups.members.owner")].filter(
    Boolean,
  );
  return (
    <>
      <span class="grow">
        <Who userId={userId} marks={marks}>
          {userId}
          {notes.length > 0 && <span class="quiet"> {notes.join(", ")}</span>}
        </Who>
        {!isCard && (
          <small class="member-since quiet" title={fullTime(sinceMs)}>
            {t("groups.members.since", { time: time(sinceMs) })}
          </small>
        )}
      </span>
      <small class="presence">
        <i class={isOnline ? "dot dot-on" : "dot"} />
        {t(isOnline ? "groups.members.isOnline" : "groups.members.isOffline")}
      </small>
      {isOwner && !isCard && (
        <span class="member-menu">
          {!isMe && (
            <Menu
              label={t("groups.members.menu", { user: userId })}
              button={{ size: "small" }}
              items={[
                {
                  label: t("groups.members.remove"),
                  icon: "user-minus",
                  isDangerous: true,
                  onClick: onRemove,
                },
              ]}
            />
          )}
        </span>
      )}
    </>
  );
}

function RemoveDialog({
  groupId,
  userId,
  onClose,
}: {
  readonly groupId: string;
  readonly userId: string;
  readonly onClose: (isDone: boolean) => void;
}) {
  const isBusy = useSignal(false);
  const remove = async (): Promise<void> => {
    isBusy.value = true;
    try {
      const { unconfirmedTrackers } = await call("removeMember", { groupId, userId });
      const text = t("groups.members.removed", { user: userId, group: groupId });
      if (unconfirmedTrackers.length === 0) toast(text);
      else {
        const open = t("groups.members.unconfirmed", { trackers: unconfirmedTrackers.join(", ") });
        toast({ text: `${text} ${open}`, kind: "warn", icon: "warn" });
      }
      onClose(true);
    } catch (error) {
      toastError(error);
      isBusy.value = false;
    }
  };
  return (
    <Dialog
      title={t("groups.members.removeTitle", { user: userId, group: groupId })}
      width="narrow"
      onClose={() => onClose(false)}
      onSubmit={() => void remove()}
      footer={
        <>
          <Button onClick={() => onClose(false)}>{t("shell.action.cancel")}</Button>
          <Button kind="main" type="submit" isBusy={isBusy.value}>
            {t("groups.members.remove")}
          </Button>
        </>
      }
    >
      <p class="prose">{t("groups.members.removeText", { user: userId })}</p>
    </Dialog>
  );
}
