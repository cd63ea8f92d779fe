// Who asks to join: the owner lets them in, or not.
import { useSignal } from "@preact/signals";
import type { JoinRequest } from "../../../../src/api/schemas.ts";
import { call } from "../../api/call.ts";
import { ago, fullTime } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { Button } from "../../ui/button.tsx";
import { Empty } from "../../ui/empty.tsx";
import { toast, toastError } from "../../ui/toasts.tsx";

/** Requests in the card beside the shares. */
const MOST_IN_CARD = 5;

export interface RequestsPanelProps {
  readonly groupId: string;
  readonly requests: readonly JoinRequest[];
  /** The first of them, in a card beside the shares. */
  readonly isCard?: boolean;
  readonly moreHref?: string;
  readonly onAnswered: () => void;
}

export function RequestsPanel({ groupId, requests, isCard, moreHref, onAnswered }: RequestsPanelProps) {
  const shown = isCard ? requests.slice(0, MOST_IN_CARD) : requests;
  if (shown.length === 0) {
    return (
      <div class="card">
        <Empty icon="user-plus" title={t("groups.requests.none")}>
          {t("groups.requests.noneHint")}
        </Empty>
      </div>
    );
  }
  return (
    <section class="card" aria-labelledby="requests-head">
      <div class="card-head">
        <h2 id="requests-head">{t("groups.requests.count", { count: requests.length })}</h2>
      </div>
      <ul class="side-list">
        {shown.map((request) => (
          <Request key={request.userId} groupId={groupId} request={request} onAnswered={onAnswered} />
        ))}
      </ul>
      {shown.length < requests.length && (
        <a class="card-more" href={moreHref}>
          {t("groups.showAll", { count: requests.length })}
        </a>
      )}
    </section>
  );
}

function Request({
  groupId,
  request,
  onAnswered,
}: {
  readonly groupId: string;
  readonly request: JoinRequest;
  readonly onAnswered: () => void;
}) {
  const { userId, sinceMs } = request;
  const busy = useSignal<"accept" | "reject" | undefined>(undefined);
  const answer = async (how: "accept" | "reject"): Promise<void> => {
    busy.value = how;
    try {
      await call(how === "accept" ? "acceptRequest" : "rejectRequest", { groupId, userId });
      toast(
        t(how === "accept" ? "groups.requests.accepted" : "groups.requests.rejected", {
          user: userId,
          group: groupId,
        }),
      );
      onAnswered();
    } catch (error) {
      toastError(error);
      onAnswered();
    } finally {
      busy.value = undefined;
    }
  };
  return (
    <li>
      <span class="grow">
        <b class="cut block">{userId}</b>
        <time class="sub cut block" dateTime={new Date(sinceMs).toISOString()} title={fullTime(sinceMs)}>
          {ago(sinceMs)}
        </time>
      </span>
      <span class="actions nowrap">
        <Button
          size="small"
          kind="bare"
          label={t("groups.requests.rejectOf", { user: userId })}
          isBusy={busy.value === "reject"}
          onClick={() => void answer("reject")}
        >
          {t("groups.requests.reject")}
        </Button>
        <Button
          size="small"
          label={t("groups.requests.acceptOf", { user: userId })}
          isBusy={busy.value === "accept"}
          onClick={() => void answer("accept")}
        >
          {t("groups.requests.accept")}
        </Button>
      </span>
    </li>
  );
}
