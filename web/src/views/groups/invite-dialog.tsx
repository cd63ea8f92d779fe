// An invite: for how many and how long, then the text and its QR code. It is shown once; trackers keep no copy.
import { useSignal } from "@preact/signals";
import { type AnswerOf, call, sentenceOf } from "../../api/call.ts";
import { fullTime } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { Button } from "../../ui/button.tsx";
import { CopyButton } from "../../ui/copy-button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Banner } from "../../ui/empty.tsx";
import { Field } from "../../ui/field.tsx";
import { QrCode } from "../../ui/qr-code.tsx";
import { Segments } from "../../ui/segments.tsx";
import { InviteList } from "./invites-panel.tsx";

const HOUR_MS = 3_600_000;
const SPANS = { hour: HOUR_MS, day: 24 * HOUR_MS, week: 7 * 24 * HOUR_MS, month: 30 * 24 * HOUR_MS } as const;
const USES = { one: 1, five: 5, many: undefined } as const;
type Span = keyof typeof SPANS;
type Uses = keyof typeof USES;

export interface InviteDialogProps {
  readonly groupId: string;
  readonly onClose: () => void;
}

export function InviteDialog({ groupId, onClose }: InviteDialogProps) {
  const span = useSignal<Span>("day");
  const uses = useSignal<Uses>("one");
  const made = useSignal<AnswerOf<"createInvite"> | undefined>(undefined);
  const problem = useSignal<string | undefined>(undefined);
  const isBusy = useSignal(false);
  const create = async (): Promise<void> => {
    isBusy.value = true;
    problem.value = undefined;
    const count = USES[uses.value];
    try {
      made.value = await call("createInvite", {
        groupId,
        expiresMs: SPANS[span.value],
        ...(count !== undefined && { uses: count }),
      });
    } catch (error) {
      problem.value = sentenceOf(error);
    }
    isBusy.value = false;
  };
  const invite = made.value;
  return (
    <Dialog
      title={t("groups.invites.title", { group: groupId })}
      subtitle={t("groups.invites.subtitle")}
      width={invite === undefined ? "normal" : "wide"}
      onClose={onClose}
      {...(invite === undefined && { onSubmit: () => void create() })}
      footer={
        invite === undefined ? (
          <>
            <Button onClick={onClose}>{t("shell.action.cancel")}</Button>
            <Button kind="main" type="submit" isBusy={isBusy.value}>
              {t("groups.invites.create")}
            </Button>
          </>
        ) : (
          <>
            <Button
              onClick={() => {
                made.value = undefined;
              }}
            >
              {t("groups.invites.another")}
            </Button>
            <Button onClick={onClose}>{t("groups.invites.done")}</Button>
          </>
        )
      }
    >
      {invite === undefined ? (
        <div class="stack invite-form">
          {problem.value !== undefined && (
            <Banner kind="danger" icon="warn" isAlert>
              {problem.value}
            </Banner>
          )}
          <div class="field">
            <span class="label">{t("groups.invites.for")}</span>
            <Segments
              label={t("groups.invites.for")}
              isWide
              value={uses.value}
              onChange={(to) => {
                uses.value = to;
              }}
              options={[
                { value: "one", label: t("groups.invites.uses", { count: 1 }) },
                { value: "five", label: t("groups.invites.upTo", { count: 5 }) },
                { value: "many", label: t("groups.invites.anyNumber") },
              ]}
            />
          </div>
          <div class="field">
            <span class="label">{t("groups.invites.ends")}</span>
            <Segments
              label={t("groups.invites.ends")}
              isWide
              value={span.value}
              onChange={(to) => {
                span.value = to;
              }}
              options={[
                { value: "hour", label: t("groups.invites.hour") },
                { value: "day", label: t("groups.invites.day") },
                { value: "week", label: t("groups.invites.week") },
                { value: "month", label: t("groups.invites.month") },
              ]}
            />
            <p class="hint">{fullTime(Date.now() + SPANS[span.value])}</p>
          </div>
          <InviteList groupId={groupId} title={t("groups.invites.working")} isCompact />
        </div>
      ) : (
        <div class="invite-made">
          <QrCode text={invite.invite} label={t("groups.invites.qr", { group: groupId })} />
          <div class="stack">
            <Field
              label={t("groups.invites.text")}
              value={invite.invite}
              lines={5}
              isMono
              isReadOnly
              hint={t("groups.invites.once")}
              onInput={() => {}}
            />
            <div class="line">
              <CopyButton kind="main" text={invite.invite} />
              <small>
                {invite.uses === undefined
                  ? t("groups.invites.anyNumber")
                  : t("groups.invites.upTo", { count: invite.uses })}
                {invite.expiresAtMs !== undefined &&
                  ` · ${t("groups.invites.until", { time: fullTime(invite.expiresAtMs) })}`}
              </small>
            </div>
          </div>
        </div>
      )}
    </Dialog>
  );
}
