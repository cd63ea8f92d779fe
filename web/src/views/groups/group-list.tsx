// All groups: those of this account first. Create one, ask to join one, or use an invite.
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { GroupSummary } from "../../../../src/api/schemas.ts";
import { call, sentenceOf } from "../../api/call.ts";
import { number } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { registerKeys } from "../../keys.ts";
import { go, href } from "../../routes.ts";
import { fold } from "../../state/share-list.ts";
import { Button } from "../../ui/button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Empty, Skeleton } from "../../ui/empty.tsx";
import { Field } from "../../ui/field.tsx";
import { Icon } from "../../ui/icon.tsx";
import { Segments } from "../../ui/segments.tsx";
import { toast, toastError } from "../../ui/toasts.tsx";
import { VirtualList } from "../../ui/virtual-list.tsx";
import { FailedAnswer } from "./failed-answer.tsx";
import { myUserId, useGroups, useRequests } from "./group-answers.ts";
import { UseInviteDialog } from "./use-invite-dialog.tsx";

const ROW_PX = 60;
type Which = "mine" | "all";

const names = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

export function GroupList() {
  const groups = useGroups();
  const filter = useSignal("");
  const which = useSignal<Which | undefined>(undefined);
  const dialog = useSignal<"create" | "invite" | undefined>(undefined);
  const search = useRef<HTMLInputElement>(null);
  const all = groups.value;
  const mine = useMemo(() => (all ?? []).filter(({ standing }) => standing !== undefined), [all]);
  // Who is in no group sees those there are.
  const shownWhich = which.value ?? (mine.length > 0 ? "mine" : "all");
  const shown = useMemo(() => {
    const wanted = fold(filter.value.trim());
    return (shownWhich === "mine" ? mine : (all ?? []))
      .filter(({ groupId }) => fold(groupId).includes(wanted))
      .toSorted((one, other) => rank(one) - rank(other) || names.compare(one.groupId, other.groupId));
  }, [all, mine, shownWhich, filter.value]);
  useEffect(() => registerKeys("groups", { "/": () => search.current?.focus() }), []);
  const close = (): void => {
    dialog.value = undefined;
  };
  return (
    <div class="page">
      <header class="page-head">
        <div class="grow">
          <h1>{t("groups.title")}</h1>
          <p class="sub page-sub">{t("groups.subtitle")}</p>
        </div>
        <div class="actions">
          <Button
            icon="ticket"
            onClick={() => {
              dialog.value = "invite";
            }}
          >
            {t("groups.useInvite")}
          </Button>
          <Button
            kind="main"
            icon="plus"
            onClick={() => {
              dialog.value = "create";
            }}
          >
            {t("groups.create")}
          </Button>
        </div>
      </header>
      {all === undefined ? (
        groups.error === undefined ? (
          <div class="card">
            <Skeleton />
          </div>
        ) : (
          <FailedAnswer answer={groups} />
        )
      ) : all.length === 0 ? (
        <div class="card">
          <Empty icon="users" title={t("groups.none")}>
            {t("groups.noneHint")}
          </Empty>
        </div>
      ) : (
        <div class="stack">
          <div class="shares-tools">
            <div class="grow shares-search">
              <Field
                label={t("groups.filter", { count: all.length })}
                isLabelHidden
                type="search"
                value={filter.value}
                placeholder={t("groups.filter", { count: all.length })}
                inputRef={search}
                start={<Icon name="search" />}
                onInput={(text) => {
                  filter.value = text;
                  if (text !== "") which.value = "all";
                }}
              />
            </div>
            <Segments
              label={t("groups.which")}
              value={shownWhich}
              onChange={(to) => {
                which.value = to;
              }}
              options={[
                { value: "mine", label: t("groups.mine"), count: number(mine.length) },
                { value: "all", label: t("groups.all"), count: number(all.length) },
              ]}
            />
          </div>
          <div class="card">
            {shown.length === 0 ? (
              <Empty icon="search" title={t("groups.noneFound", { filter: filter.value })} />
            ) : (
              <VirtualList
                rows={shown}
                rowHeight={ROW_PX}
                keyOf={({ groupId }) => groupId}
                label={t("groups.title")}
                class="group-list"
                onRowKey={(event, { groupId }) => {
                  if (event.key !== "Enter") return false;
                  go({ view: "group", groupId, tab: "shares" });
                  return true;
                }}
                render={(group) => <GroupRow group={group} onAsked={groups.refresh} />}
              />
            )}
          </div>
        </div>
      )}
      {dialog.value === "create" && <CreateDialog onClose={close} onCreated={groups.refresh} />}
      {dialog.value === "invite" && <UseInviteDialog onClose={close} onJoined={groups.refresh} />}
    </div>
  );
}

function rank({ standing }: GroupSummary): number {
  return standing === undefined ? 2 : standing === "requested" ? 1 : 0;
}

function GroupRow({
  group,
  onAsked,
}: {
  readonly group: GroupSummary;
  readonly onAsked: () => Promise<void>;
}) {
  const { groupId, ownerId, memberCount, standing } = group;
  const isMember = standing === "owner" || standing === "member";
  const facts = [
    ownerId === myUserId() ? t("groups.youOwn") : t("groups.ownedBy", { user: ownerId }),
    t("groups.memberCount", { count: memberCount }),
  ];
  return (
    <div class="group-row">
      <Icon name="users" />
      <span class="grow">
        {isMember ? (
          <a class="group-name cut" href={href({ view: "group", groupId, tab: "shares" })}>
            {groupId}
          </a>
        ) : (
          <span class="group-name cut">{groupId}</span>
        )}
        <small class="cut block">{facts.join(" · ")}</small>
      </span>
      {standing === "owner" && <Waiting groupId={groupId} />}
      {standing === "requested" && (
        <span class="quiet line nowrap">
          <Icon name="clock" />
          {t("groups.requested")}
        </span>
      )}
      {standing === undefined && <AskToJoin group={group} onAsked={onAsked} isSmall />}
      {isMember && <Icon name="right" />}
    </div>
  );
}

function Waiting({ groupId }: { readonly groupId: string }) {
  const count = useRequests(groupId, true).value?.length ?? 0;
  if (count === 0) return null;
  return (
    <a class="badge badge-link" href={href({ view: "group", groupId, tab: "requests" })}>
      {t("groups.requests.badge", { count })}
    </a>
  );
}

export interface AskToJoinProps {
  readonly group: GroupSummary;
  readonly onAsked: () => Promise<void>;
  readonly isSmall?: boolean;
}

export function AskToJoin({ group: { groupId, ownerId }, onAsked, isSmall }: AskToJoinProps) {
  const isBusy = useSignal(false);
  const ask = async (): Promise<void> => {
    isBusy.value = true;
    try {
      await call("joinGroup", { groupId });
      toast(t("groups.asked", { group: groupId, owner: ownerId }));
    } catch (error) {
      toastError(error);
    }
    await onAsked();
    isBusy.value = false;
  };
  return (
    <Button
      size={isSmall ? "small" : "normal"}
      kind={isSmall ? "normal" : "main"}
      label={t("groups.askOf", { group: groupId })}
      isBusy={isBusy.value}
      onClick={() => void ask()}
    >
      {t("groups.ask")}
    </Button>
  );
}

function CreateDialog({
  onClose,
  onCreated,
}: {
  readonly onClose: () => void;
  readonly onCreated: () => Promise<void>;
}) {
  const name = useSignal("");
  const problem = useSignal<string | undefined>(undefined);
  const isBusy = useSignal(false);
  const create = async (): Promise<void> => {
    const groupId = name.value.trim();
    if (groupId === "") {
      problem.value = t("groups.createEmpty");
      return;
    }
    isBusy.value = true;
    try {
      await call("createGroup", { groupId });
      await onCreated();
      onClose();
      go({ view: "group", groupId, tab: "shares" });
      toast({ text: t("groups.created", { group: groupId }), kind: "ok", icon: "check" });
    } catch (error) {
      problem.value = sentenceOf(error);
      isBusy.value = false;
    }
  };
  return (
    <Dialog
      title={t("groups.create")}
      subtitle={t("groups.createHint")}
      width="narrow"
      onClose={onClose}
      onSubmit={() => void create()}
      footer={
        <>
          <Button onClick={onClose}>{t("shell.action.cancel")}</Button>
          <Button kind="main" type="submit" isBusy={isBusy.value}>
            {t("groups.createDo")}
          </Button>
        </>
      }
    >
      <Field
        label={t("groups.name")}
        value={name.value}
        maxLength={64}
        hint={t("groups.nameHint")}
        error={problem.value}
        onInput={(text) => {
          name.value = text;
          problem.value = undefined;
        }}
      />
    </Dialog>
  );
}
