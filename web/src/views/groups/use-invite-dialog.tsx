// Joining a group with an invite: what it is for is read from the invite itself, before anything is asked of a tracker.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type AnswerOf, call, sentenceOf } from "../../api/call.ts";
import { list } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { go } from "../../routes.ts";
import { Button } from "../../ui/button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Banner } from "../../ui/empty.tsx";
import { Field } from "../../ui/field.tsx";
import { toast } from "../../ui/toasts.tsx";

export interface UseInviteDialogProps {
  readonly onClose: () => void;
  readonly onJoined: () => Promise<void>;
}

export function UseInviteDialog({ onClose, onJoined }: UseInviteDialogProps) {
  const invite = useSignal("");
  const read = useSignal<AnswerOf<"readInvite"> | undefined>(undefined);
  const problem = useSignal<string | undefined>(undefined);
  const isBusy = useSignal(false);
  const text = invite.value.trim();
  useEffect(() => {
    read.value = undefined;
    if (text === "") return;
    const stop = new AbortController();
    call("readInvite", { invite: text }, { signal: stop.signal }).then(
      (answer) => {
        read.value = answer;
      },
      (error: unknown) => {
        if (!stop.signal.aborted) problem.value = sentenceOf(error);
      },
    );
    return () => stop.abort();
  }, [text]);
  const join = async (): Promise<void> => {
    isBusy.value = true;
    try {
      const { groupId } = await call("joinByInvite", { invite: text });
      await onJoined();
      onClose();
      go({ view: "group", groupId, tab: "shares" });
      toast({ text: t("groups.joined", { group: groupId }), kind: "ok", icon: "check" });
    } catch (error) {
      problem.value = sentenceOf(error);
      isBusy.value = false;
    }
  };
  const known = read.value;
  return (
    <Dialog
      title={t("groups.useInvite")}
      subtitle={t("groups.useInviteHint")}
      onClose={onClose}
      onSubmit={() => {
        if (known !== undefined) void join();
      }}
      footer={
        <>
          <Button onClick={onClose}>{t("shell.action.cancel")}</Button>
          <Button kind="main" type="submit" disabled={known === undefined} isBusy={isBusy.value}>
            {known === undefined ? t("groups.join") : t("groups.joinOf", { group: known.groupId })}
          </Button>
        </>
      }
    >
      <div class="stack">
        <Field
          label={t("groups.inviteText")}
          value={invite.value}
          lines={4}
          isMono
          error={problem.value}
          onInput={(typed) => {
            invite.value = typed;
            problem.value = undefined;
          }}
        />
        {known !== undefined && problem.value === undefined && (
          <Banner kind="ok" icon="check">
            {t("groups.inviteFor", {
              group: known.groupId,
              trackers: list(known.trackers.map(({ address }) => address)),
            })}
          </Banner>
        )}
      </div>
    </Dialog>
  );
}
