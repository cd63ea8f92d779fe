// What happened in a group while the daemon ran, newest first.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { type AnswerOf, call } from "../../api/call.ts";
import { fullTime, time } from "../../i18n/format.ts";
import { t, tx } from "../../i18n/t.ts";
import { Button } from "../../ui/button.tsx";
import { Banner, Empty, Skeleton } from "../../ui/empty.tsx";
import { toastError } from "../../ui/toasts.tsx";
import { useAnswer } from "./answers.ts";
import { myUserId } from "./group-answers.ts";

type Page = AnswerOf<"activity">;
type Entry = Page["items"][number];

/** Entries in the card beside the shares. */
const MOST_IN_CARD = 6;
/** Names of shares in a sentence about many. */
const MOST_NAMED = 3;
const EVENTS = [
  ...[
    "join-requested",
    "member-joined",
    "request-accepted",
    "membership-ended",
    "became-owner",
    "file-shared",
  ],
  ...["files-shared", "share-updated", "download-complete", "download-failed", "share-ended"],
];

export interface ActivityPanelProps {
  readonly groupId: string;
  readonly isCard?: boolean;
  readonly moreHref?: string;
}

export function ActivityPanel({ groupId, isCard, moreHref }: ActivityPanelProps) {
  const first = useAnswer("activity", { groupId }, { on: EVENTS, groupId });
  const older = useSignal<readonly Page[]>([]);
  const isBusy = useSignal(false);
  const newest = first.value?.items[0]?.atMs;
  // What is newer shifts the pages.
  useEffect(() => {
    older.value = [];
  }, [groupId, newest]);
  const page = first.value;
  if (page === undefined) {
    if (isCard) return null;
    return first.error === undefined ? (
      <div class="card">
        <Skeleton />
      </div>
    ) : (
      <Banner kind="danger" icon="warn">
        {(first.error as Error).message}
      </Banner>
    );
  }
  const entries = [page, ...older.value].flatMap(({ items }) => items);
  const { next } = older.value.at(-1) ?? page;
  const shown = isCard ? entries.slice(0, MOST_IN_CARD) : entries;
  if (shown.length === 0) {
    if (isCard) return null;
    return (
      <div class="card">
        <Empty icon="activity" title={t("groups.activity.none")}>
          {t("groups.activity.noneHint")}
        </Empty>
      </div>
    );
  }
  const more = async (): Promise<void> => {
    isBusy.value = true;
    try {
      older.value = [
        ...older.value,
        await call("activity", { groupId, ...(next !== undefined && { after: next }) }),
      ];
    } catch (error) {
      toastError(error);
    } finally {
      isBusy.value = false;
    }
  };
  return (
    <section class="card" aria-labelledby="activity-head">
      <div class="card-head">
        <h2 id="activity-head">{t("groups.tab.activity")}</h2>
        {isCard && (
          <a class="card-link" href={moreHref}>
            {t("groups.activity.all")}
          </a>
        )}
      </div>
      <ol class={isCard ? "log" : "log log-wide"}>
        {shown.map((entry, index) => (
          <li key={`${entry.atMs} ${entries.length - index}`}>
            <time dateTime={new Date(entry.atMs).toISOString()} title={fullTime(entry.atMs)}>
              {time(entry.atMs)}
            </time>
            <span>{sentenceFor(entry)}</span>
          </li>
        ))}
      </ol>
      {!isCard && next !== undefined && (
        <div class="card-foot">
          <Button isBusy={isBusy.value} onClick={() => void more()}>
            {t("groups.activity.older")}
          </Button>
        </div>
      )}
    </section>
  );
}

function sentenceFor(entry: Entry): ComponentChildren {
  const { userId, fileName, count, fileNames, how, reason } = entry as Entry & {
    readonly userId?: string;
    readonly fileName?: string;
    readonly count?: number;
    readonly fileNames?: readonly string[];
    readonly how?: string;
    readonly reason?: string;
  };
  const user = <b>{userId === undefined ? t("groups.activity.somebody") : nameOf(userId)}</b>;
  const file = <b class="breaks">{fileName}</b>;
  switch (entry.type) {
    case "join-requested":
      return tx("groups.activity.asked", { user });
    case "member-joined":
      return tx("groups.activity.joined", { user });
    case "request-accepted":
      return t("groups.activity.accepted");
    case "request-rejected":
      return t("groups.activity.rejected");
    case "became-owner":
      return t("groups.activity.becameOwner");
    case "membership-ended":
      return t(how === "left" ? "groups.activity.left" : "groups.activity.ended");
    case "group-founded-anew":
      return t("groups.activity.foundedAnew");
    case "file-shared":
      return tx("groups.activity.shared", { user, file });
    case "files-shared":
      return tx("groups.activity.sharedMany", {
        user,
        count: count ?? 0,
        files: <span class="breaks">{firstOf(fileNames ?? [], count ?? 0)}</span>,
      });
    case "share-updated":
      return tx("groups.activity.updated", { user, file });
    case "download-complete":
      return tx("groups.activity.complete", { file });
    case "download-failed":
      return tx("groups.activity.failed", { file, reason: reason ?? "" });
    case "share-ended":
      return tx("groups.activity.shareEnded", { file, reason: reason ?? "" });
    case "shared-files-changed":
      return tx("groups.activity.filesChanged", { file, count: count ?? 0 });
    case "changed-files-kept":
      return tx("groups.activity.filesKept", { file, count: count ?? 0 });
    case "peer-sent-bad-data":
      return tx("groups.activity.badData", { user, file });
    case "name-taken-elsewhere":
      return t("groups.activity.nameTaken", { name: String(entry.name ?? "") });
    default:
      return entry.type;
  }
}

function firstOf(names: readonly string[], count: number): string {
  const shown = names.slice(0, MOST_NAMED);
  return shown.join(", ") + (count > shown.length ? " …" : "");
}

function nameOf(userId: string): string {
  return userId === myUserId() ? t("groups.activity.you") : userId;
}
