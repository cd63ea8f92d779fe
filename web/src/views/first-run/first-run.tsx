// The first screen: an account, and an invite or the addresses of trackers, all at once.
import { useSignal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { LEAST_PASSWORD_CHARACTERS, passwordCharacters } from "../../../../src/api/new-password.ts";
import { type AnswerOf, ApiError, call, sentenceOf } from "../../api/call.ts";
import { status } from "../../api/live.ts";
import { list } from "../../i18n/format.ts";
import { t, tx } from "../../i18n/t.ts";
import { go } from "../../routes.ts";
import { lastUser, sessionEnd } from "../../session.ts";
import {
  type Place,
  passwordStrength,
  placeOf,
  readPasted,
  type Step,
  stepsFor,
} from "../../state/first-steps.ts";
import { Button } from "../../ui/button.tsx";
import { Banner } from "../../ui/empty.tsx";
import { Field } from "../../ui/field.tsx";
import { Icon, Mark } from "../../ui/icon.tsx";
import { announce } from "../../ui/live-region.tsx";
import { MemberBar, MemberChip } from "../../ui/member.tsx";
import { Segments } from "../../ui/segments.tsx";
import { toast } from "../../ui/toasts.tsx";
import "../../styles/first-run.css";

type Invited = AnswerOf<"readInvite">;

const READ_DELAY_MS = 250;
const SAMPLE = ["alice", "bob", "dave"].map((userId, colourIndex) => ({
  userId,
  colourIndex,
  share: [0.38, 0.24, 0.13][colourIndex] ?? 0,
}));

export default function FirstRun() {
  return (
    <main class="first">
      <Pitch />
      <div class="first-form">
        <Form />
      </div>
    </main>
  );
}

function Pitch() {
  const steps = ["account", "group", "share"] as const;
  return (
    <div class="pitch">
      <span class="brand">
        <Mark />
        miniTorrent
      </span>
      <h1>{t("shell.first.title")}</h1>
      <ol>
        {steps.map((step, index) => (
          <li key={step}>
            <i aria-hidden="true">{index + 1}</i>
            <span>
              <b>{t(`shell.first.${step}`)}</b>
              {t(`shell.first.${step}Hint`)}
            </span>
          </li>
        ))}
      </ol>
      <div class="pitch-sample" aria-hidden="true">
        <MemberBar label={t("shell.look.sample")} segments={SAMPLE} />
        <div class="line">
          {SAMPLE.map(({ userId, colourIndex }) => (
            <MemberChip key={userId} userId={userId} colourIndex={colourIndex}>
              {userId}
            </MemberChip>
          ))}
        </div>
      </div>
    </div>
  );
}

/** What an invite says, once its text is read. */
function useInvited(invite: string | undefined): { readonly invited?: Invited; readonly error?: string } {
  const [read, setRead] = useState<{ invite: string; invited?: Invited; error?: string }>();
  useEffect(() => {
    if (invite === undefined) return;
    const gone = new AbortController();
    const timer = setTimeout(() => {
      call("readInvite", { invite }, { signal: gone.signal }).then(
        (invited) => setRead({ invite, invited }),
        (failure: unknown) => {
          if (!gone.signal.aborted) setRead({ invite, error: sentenceOf(failure) });
        },
      );
    }, READ_DELAY_MS);
    return () => {
      clearTimeout(timer);
      gone.abort();
    };
  }, [invite]);
  return read?.invite === invite && read !== undefined ? read : {};
}

function Form() {
  const { trackersKnown = false, tracker, trackerProblem } = status.value ?? {};
  const known = lastUser();
  const mode = useSignal<"new" | "known">(known === undefined ? "new" : "known");
  const name = useSignal(known ?? "");
  const password = useSignal("");
  const text = useSignal("");
  const [isShown, setShown] = useState(false);
  const [isAsked, setAsked] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<{ readonly place: Place; readonly sentence: string }>();
  /** What a try before has done already. */
  const done = useRef(new Set<string>());
  const form = useRef<HTMLFormElement>(null);
  const pasted = readPasted(text.value);
  const { invited, error: inviteError } = useInvited(pasted.kind === "invite" ? pasted.invite : undefined);
  const isNew = mode.value === "new";
  const needsTrackers = !trackersKnown;
  // Its field stays where it is once they are set.
  const [isFirst] = useState(needsTrackers);
  const errorAt = (place: Place): string | undefined => (error?.place === place ? error.sentence : undefined);
  useEffect(() => {
    // On touch it would open the keyboard over the page.
    if (!matchMedia("(pointer: fine)").matches) return;
    form.current?.querySelector<HTMLElement>("textarea, input")?.focus();
  }, []);

  const fail = (place: Place, sentence: string): void => {
    setError({ place, sentence });
    announce(sentence, "assertive");
  };
  const submit = async (): Promise<void> => {
    if (isBusy) return;
    if (needsTrackers && pasted.kind === "nothing") return fail("pasted", t("shell.first.trackersNeeded"));
    if (name.value.trim() === "") return fail("name", t("shell.first.nameNeeded"));
    if (password.value === "") return fail("password", t("shell.first.passwordNeeded"));
    if (isNew && passwordCharacters(password.value) < LEAST_PASSWORD_CHARACTERS)
      return fail("password", t("shell.first.passwordTooShort", { least: LEAST_PASSWORD_CHARACTERS }));
    setError(undefined);
    setBusy(true);
    let step: Step = { name: "login" };
    try {
      for (step of stepsFor(isNew, pasted, trackersKnown)) {
        const key = JSON.stringify([step, step.name === "createUser" && name.value]);
        if (done.current.has(key)) continue;
        await perform(step, name.value.trim(), password.value);
        if (step.name !== "login") done.current.add(key);
      }
    } catch (failure) {
      const code = failure instanceof ApiError ? failure.code : "";
      // Once somebody is logged in, this screen is gone.
      if (step.name === "joinByInvite") toast({ text: sentenceOf(failure), kind: "danger", icon: "warn" });
      else fail(placeOf(step.name, code, sentenceOf(failure)), sentenceOf(failure));
    }
    setBusy(false);
  };
  const pasteField = (isFirst || isAsked) && (
    <div class="stack">
      <Field
        label={t(isFirst ? "shell.first.pasteNeeded" : "shell.first.paste")}
        value={text.value}
        lines={3}
        isMono
        placeholder="minitorrent:…"
        hint={
          invited === undefined
            ? t(isFirst ? "shell.first.pasteNeededHint" : "shell.first.pasteHint")
            : undefined
        }
        error={errorAt("pasted") ?? inviteError}
        onInput={(value) => {
          text.value = value;
          setError(undefined);
        }}
      />
      {invited !== undefined && <InvitedTo invited={invited} />}
    </div>
  );
  return (
    <form
      ref={form}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      {sessionEnd.value !== undefined && (
        <Banner kind="warn" icon="info">
          {sessionEnd.value}
        </Banner>
      )}
      {errorAt("form") !== undefined && (
        <Banner kind="danger" icon="warn">
          {errorAt("form")}
        </Banner>
      )}
      {isFirst && pasteField}
      <Segments
        label={t("shell.nav.account")}
        isWide
        value={mode.value}
        options={[
          { value: "new", label: t("shell.first.create") },
          { value: "known", label: t("shell.first.login") },
        ]}
        onChange={(value) => {
          mode.value = value;
          setError(undefined);
        }}
      />
      <Field
        label={t("shell.first.name")}
        name="username"
        autoComplete="username"
        value={name.value}
        error={errorAt("name")}
        hint={isNew ? t("shell.first.nameHint") : undefined}
        onInput={(value) => {
          name.value = value;
        }}
      />
      <Field
        label={t("shell.first.password")}
        name="password"
        type={isShown ? "text" : "password"}
        autoComplete={isNew ? "new-password" : "current-password"}
        value={password.value}
        maxLength={1_024}
        error={errorAt("password")}
        hint={isNew ? <Strength password={password.value} userId={name.value.trim()} /> : undefined}
        end={
          <Button kind="bare" size="small" isPressed={isShown} onClick={() => setShown(!isShown)}>
            {t("shell.first.show")}
            <span class="unseen"> {t("shell.first.password")}</span>
          </Button>
        }
        onInput={(value) => {
          password.value = value;
        }}
      />
      {!isFirst && pasteField}
      {!isFirst && !isAsked && (
        <div>
          <Button kind="bare" icon="ticket" class="in-form" onClick={() => setAsked(true)}>
            {t("shell.first.haveInvite")}
          </Button>
        </div>
      )}
      <Button kind="main" type="submit" class="first-go" isBusy={isBusy}>
        {invited !== undefined
          ? t(isNew ? "shell.first.createAndJoin" : "shell.first.loginAndJoin", { groupId: invited.groupId })
          : t(isNew ? "shell.first.create" : "shell.first.login")}
      </Button>
      <p class="hint">{t("shell.first.stays")}</p>
      {trackersKnown && (
        <p class="line first-foot">
          <span class={tracker === undefined ? "dot" : "dot dot-on"} />
          <span>
            {tracker !== undefined
              ? t("shell.first.trackerAnswers", { address: tracker })
              : (trackerProblem ?? t("shell.nav.trackerSearch"))}
          </span>
        </p>
      )}
    </form>
  );
}

async function perform(step: Step, userId: string, password: string): Promise<void> {
  switch (step.name) {
    case "setTrackers":
      await call(
        "setTrackers",
        step.pasted.kind === "invite" ? { invite: step.pasted.invite } : { text: step.pasted.text },
      );
      return;
    case "createUser":
      await call("createUser", { userId, password });
      return;
    case "login":
      await call("login", { userId, password });
      return;
    case "joinByInvite": {
      const { groupId } = await call("joinByInvite", { invite: step.invite });
      toast({ text: t("shell.notice.accepted", { groupId }), kind: "ok", icon: "check" });
      go({ view: "group", groupId, tab: "shares" });
    }
  }
}

function InvitedTo({ invited: { groupId, trackers } }: { readonly invited: Invited }) {
  const hasKeys = trackers.every(({ fingerprint }) => fingerprint !== undefined);
  return (
    <Banner kind="ok" icon="ticket">
      {tx("shell.first.invited", {
        groupId: <b>{groupId}</b>,
        trackers: list(trackers.map(({ address }) => address)),
      })}{" "}
      {hasKeys && t("shell.first.pinned")}
    </Banner>
  );
}

function Strength({ password, userId }: { readonly password: string; readonly userId: string }) {
  const strength = passwordStrength(password, userId);
  if (strength === "empty") return t("shell.first.passwordHint");
  return (
    <span class={strength === "long" ? "line text-ok" : "line text-warn"}>
      <Icon name={strength === "long" ? "check" : "info"} />
      {t(
        `shell.first.password${strength === "guessable" ? "Guessable" : strength === "short" ? "Short" : "Long"}`,
      )}
    </span>
  );
}
