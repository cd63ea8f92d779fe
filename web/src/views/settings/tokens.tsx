// Who may call the daemon over TCP: access tokens of scripts, and browsers that opened a link.
import { useState } from "preact/hooks";
import { type AnswerOf, call, sentenceOf } from "../../api/call.ts";
import { leave } from "../../api/entry.ts";
import { useCall } from "../../api/use-call.ts";
import { ago, fullTime } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { Button } from "../../ui/button.tsx";
import { CopyButton } from "../../ui/copy-button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Banner, Empty, Skeleton } from "../../ui/empty.tsx";
import { Field } from "../../ui/field.tsx";
import { Icon } from "../../ui/icon.tsx";
import { Tick } from "../../ui/tick.tsx";
import { toast, toastError } from "../../ui/toasts.tsx";

type Token = AnswerOf<"tokens">[number];

interface Made {
  readonly name: string;
  readonly token: string;
}

export default function Tokens() {
  const { answer, error, reload } = useCall("tokens", {});
  const [dialog, setDialog] = useState<"token" | "link" | Token>();
  const [made, setMade] = useState<Made>();
  const close = (): void => setDialog(undefined);
  const tokens = answer?.filter(({ kind }) => kind === "token") ?? [];
  const browsers = answer?.filter(({ kind }) => kind === "browser") ?? [];
  return (
    <>
      {error !== undefined && (
        <Banner kind="danger" icon="warn">
          {error}
        </Banner>
      )}
      <section class="stack">
        <header class="section-head">
          <div class="grow">
            <h2>{t("shell.tokens.scripts")}</h2>
            <p class="sub">{t("shell.tokens.scriptsHint")}</p>
          </div>
          <Button icon="plus" onClick={() => setDialog("token")}>
            {t("shell.tokens.new")}
          </Button>
        </header>
        {made !== undefined && (
          <Banner kind="ok" icon="key" isAlert actions={<CopyButton text={made.token} size="small" />}>
            <b>{made.name}</b>: {t("shell.tokens.once")} <code class="secret">{made.token}</code>
          </Banner>
        )}
        <div class="card">
          {answer === undefined && error === undefined && <Skeleton rows={2} />}
          {answer !== undefined && tokens.length === 0 && <p class="none">{t("shell.tokens.none")}</p>}
          <TokenRows tokens={tokens} label={t("shell.tokens.scripts")} onRevoke={setDialog} />
        </div>
      </section>
      <section class="stack">
        <header class="section-head">
          <div class="grow">
            <h2>{t("shell.tokens.browsers")}</h2>
            <p class="sub">{t("shell.tokens.browsersHint")}</p>
          </div>
          <Button icon="link" onClick={() => setDialog("link")}>
            {t("shell.tokens.link")}
          </Button>
        </header>
        <div class="card">
          {answer !== undefined && browsers.length === 0 && <p class="none">{t("shell.tokens.noBrowser")}</p>}
          <TokenRows tokens={browsers} label={t("shell.tokens.browsers")} onRevoke={setDialog} />
        </div>
        <div>
          <Button icon="log-out" onClick={() => void leave().catch(toastError)}>
            {t("shell.tokens.leave")}
          </Button>
        </div>
      </section>
      {dialog === "token" && (
        <NewToken
          onClose={close}
          onMade={(token) => {
            setMade(token);
            reload();
            close();
          }}
        />
      )}
      {dialog === "link" && <NewLink onClose={close} />}
      {typeof dialog === "object" && (
        <Revoke
          token={dialog}
          onClose={close}
          onRevoked={() => {
            if (made?.name === dialog.name) setMade(undefined);
            reload();
            close();
          }}
        />
      )}
    </>
  );
}

interface TokenRowsProps {
  readonly tokens: readonly Token[];
  readonly label: string;
  readonly onRevoke: (token: Token) => void;
}

function TokenRows({ tokens, label, onRevoke }: TokenRowsProps) {
  return (
    <ul class="rows" aria-label={label}>
      {tokens.map((token) => (
        <li key={token.name}>
          <span class="grow">
            <b class="path">{token.name}</b>
            <small>
              {t(token.scope === "read" ? "shell.tokens.read" : "shell.tokens.control")} ·{" "}
              <TokenTime token={token} />
            </small>
          </span>
          <Button size="small" onClick={() => onRevoke(token)}>
            {t("shell.tokens.revoke")}
            <span class="unseen"> {token.name}</span>
          </Button>
        </li>
      ))}
    </ul>
  );
}

/** When a browser was last here; a token, when it was made. */
function TokenTime({ token: { createdAtMs, lastUsedAtMs } }: { readonly token: Token }) {
  const atMs = lastUsedAtMs ?? createdAtMs;
  const text = lastUsedAtMs === undefined ? "shell.tokens.made" : "shell.tokens.used";
  return <time title={fullTime(atMs)}>{t(text, { time: ago(atMs) })}</time>;
}

interface NewTokenProps {
  readonly onClose: () => void;
  readonly onMade: (made: Made) => void;
}

function NewToken({ onClose, onMade }: NewTokenProps) {
  const [name, setName] = useState("");
  const [scope, setScope] = useState<"read" | "control">("read");
  const [error, setError] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const make = async (): Promise<void> => {
    if (name.trim() === "") {
      setError(t("shell.tokens.nameNeeded"));
      return;
    }
    setBusy(true);
    try {
      onMade({ name: name.trim(), ...(await call("createToken", { name: name.trim(), scope })) });
    } catch (failure) {
      setError(sentenceOf(failure));
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={t("shell.tokens.new")}
      width="narrow"
      onClose={onClose}
      onSubmit={() => void make()}
      footer={
        <>
          <Button onClick={onClose}>{t("shell.action.cancel")}</Button>
          <Button kind="main" type="submit" isBusy={isBusy}>
            {t("shell.tokens.make")}
          </Button>
        </>
      }
    >
      <div class="stack">
        <Field
          label={t("shell.tokens.name")}
          hint={t("shell.tokens.nameHint")}
          value={name}
          error={error}
          onInput={setName}
        />
        <fieldset class="choices">
          <legend>{t("shell.tokens.may")}</legend>
          <Tick
            kind="radio"
            name="scope"
            label={t("shell.tokens.read")}
            state={scope === "read" ? "on" : "off"}
            onChange={() => setScope("read")}
          />
          <Tick
            kind="radio"
            name="scope"
            label={t("shell.tokens.control")}
            state={scope === "control" ? "on" : "off"}
            onChange={() => setScope("control")}
          />
        </fieldset>
      </div>
    </Dialog>
  );
}

function NewLink({ onClose }: { readonly onClose: () => void }) {
  const { answer, error } = useCall("createLink", {});
  return (
    <Dialog title={t("shell.tokens.link")} subtitle={t("shell.tokens.linkHint")} onClose={onClose}>
      {error !== undefined && (
        <Banner kind="danger" icon="warn">
          {error}
        </Banner>
      )}
      {answer === undefined ? (
        <Empty icon="link" title={t("shell.loading")} />
      ) : (
        <div class="line">
          <code class="secret grow">{answer.url}</code>
          <CopyButton text={answer.url} />
        </div>
      )}
    </Dialog>
  );
}

interface RevokeProps {
  readonly token: Token;
  readonly onClose: () => void;
  readonly onRevoked: () => void;
}

function Revoke({ token, onClose, onRevoked }: RevokeProps) {
  const [isBusy, setBusy] = useState(false);
  const revoke = async (): Promise<void> => {
    setBusy(true);
    try {
      await call("revokeToken", { name: token.name });
      toast({ text: t("shell.tokens.revoked", { name: token.name }), icon: "check", kind: "ok" });
      onRevoked();
    } catch (failure) {
      toastError(failure);
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={t("shell.tokens.revokeTitle", { name: token.name })}
      width="narrow"
      onClose={onClose}
      onSubmit={() => void revoke()}
      footer={
        <>
          <Button onClick={onClose}>{t("shell.action.cancel")}</Button>
          <Button kind="main" type="submit" isBusy={isBusy}>
            {t("shell.tokens.revoke")}
          </Button>
        </>
      }
    >
      <p class="line text-top">
        <Icon name="info" />
        {t(token.kind === "browser" ? "shell.tokens.revokeBrowser" : "shell.tokens.revokeToken")}
      </p>
    </Dialog>
  );
}
