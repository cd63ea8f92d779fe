// A row of the list of shares: what it is, who has it, and what of it is here.
import type { ComponentChildren } from "preact";
import type { FileSummary } from "../../../../src/api/schemas.ts";
import { call } from "../../api/call.ts";
import { bytes, fullTime, number, percent, time } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { go, href } from "../../routes.ts";
import { Icon } from "../../ui/icon.tsx";
import { Menu, type MenuItem } from "../../ui/menu.tsx";
import { Tick } from "../../ui/tick.tsx";
import { toast, toastError } from "../../ui/toasts.tsx";
import type { Marks } from "./group-answers.ts";
import { hashingOf } from "./hashing.ts";
import { factsOf, iconOf, isFolder, peekFacts, type ShareFacts, splitName } from "./share-facts.ts";
import { stopSharing } from "./stop-sharing.ts";
import { Who } from "./who.tsx";

/** Chips in a row; the others are counted. */
const MOST_CHIPS = 4;

export interface ShareRowProps {
  readonly groupId: string;
  readonly share: FileSummary;
  readonly marks: Marks;
  readonly isTicked: boolean;
  /** The row that Tab stops at: its controls take the focus, those of other rows do not. */
  readonly isStop: boolean;
  readonly isNarrow: boolean;
  readonly onTick: (isRange: boolean) => void;
  readonly onChanged: () => void;
}

/** What Enter and a click on the name do: choose what to download, show the transfer, or look at what is here. */
export function openShare(groupId: string, { fileName, fileCount }: FileSummary): void {
  const { download, own } = peekFacts(groupId, fileName);
  if (download !== undefined) go({ view: "transfers", groupId, fileName });
  else if (own === undefined) go({ view: "choose", groupId, fileName });
  else if (fileCount === undefined) go({ view: "preview", groupId, fileName });
}

export function ShareRow(props: ShareRowProps) {
  const { groupId, share, marks, isTicked, isStop, onTick } = props;
  const { fileName, lengthBytes, fileCount, sharedBy, sharedAtMs } = share;
  const facts = factsOf(groupId, fileName);
  const tabIndex = isStop ? 0 : -1;
  const [stem, ending] = splitName(fileName);
  return (
    <div class="share-row">
      <Cell class="share-tick">
        <span
          onClickCapture={(event) => {
            if (!event.shiftKey) return;
            event.preventDefault();
            event.stopPropagation();
            onTick(true);
          }}
        >
          <Tick
            state={isTicked ? "on" : "off"}
            label={t("groups.shares.tick", { name: fileName })}
            isLabelHidden
            tabIndex={tabIndex}
            onChange={() => onTick(false)}
          />
        </span>
      </Cell>
      <Cell class="share-name">
        <Icon name={iconOf(fileName, isFolder(share))} />
        <NameLink groupId={groupId} share={share} facts={facts} tabIndex={tabIndex}>
          <span class="mid" title={fileName}>
            <span class="cut">{stem}</span>
            {ending !== "" && <span>{ending}</span>}
          </span>
        </NameLink>
      </Cell>
      <Cell class={fileCount === undefined ? "share-files quiet" : "share-files"}>
        {fileCount === undefined ? "" : number(fileCount)}
      </Cell>
      <Cell class="share-size">{bytes(lengthBytes)}</Cell>
      <Cell class="share-online">
        <Holders share={share} marks={marks} />
      </Cell>
      <Cell class="share-by">
        <span class="cut" title={sharedBy}>
          {sharedBy}
        </span>
      </Cell>
      <Cell class="share-when">
        {sharedAtMs !== undefined && (
          <time dateTime={new Date(sharedAtMs).toISOString()} title={fullTime(sharedAtMs)}>
            {time(sharedAtMs)}
          </time>
        )}
      </Cell>
      <Cell class="share-do">
        <Here groupId={groupId} share={share} facts={facts} tabIndex={tabIndex} />
        <span class="share-menu" inert={!isStop && undefined}>
          <RowMenu {...props} facts={facts} />
        </span>
      </Cell>
    </div>
  );
}

function Cell({ class: name, children }: { readonly class: string; readonly children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: rows are placed by the virtual list.
    <span role="cell" class={name}>
      {children}
    </span>
  );
}

interface NamedProps {
  readonly groupId: string;
  readonly share: FileSummary;
  readonly facts: ShareFacts;
  readonly tabIndex: number;
}

function NameLink({
  groupId,
  share,
  facts,
  tabIndex,
  children,
}: NamedProps & { readonly children: ComponentChildren }) {
  const { fileName, fileCount } = share;
  const { download, own } = facts;
  const name = (
    <span class={fileCount === undefined ? "share-title" : "share-title share-folder"}>{children}</span>
  );
  // A folder that this machine shares: there is nothing to choose.
  if (download === undefined && own !== undefined && fileCount !== undefined) return name;
  const to = download !== undefined ? "transfers" : own === undefined ? "choose" : "preview";
  return (
    <a
      class="share-link"
      href={href({ view: to, groupId, fileName })}
      aria-label={fileName}
      tabIndex={tabIndex}
    >
      {name}
    </a>
  );
}

/** Members online who have all of it. */
function Holders({ share, marks }: { readonly share: FileSummary; readonly marks: Marks }) {
  const { heldBy = [], seedersOnline, peersOnline } = share;
  if (seedersOnline === 0) {
    return peersOnline > 0 ? (
      <span class="share-part" title={t("groups.shares.partHint")}>
        {t("groups.shares.part")}
      </span>
    ) : (
      <span class="share-nobody">
        <Icon name="warn" />
        {t("groups.shares.nobody")}
      </span>
    );
  }
  if (heldBy.length === 0) return <span>{t("groups.shares.devices", { count: seedersOnline })}</span>;
  const ordered = heldBy.toSorted(
    (one, other) => (marks.get(one)?.colour ?? 99) - (marks.get(other)?.colour ?? 99),
  );
  const shown = ordered.slice(0, ordered.length > MOST_CHIPS + 1 ? MOST_CHIPS : MOST_CHIPS + 1);
  return (
    <span class="chips">
      {shown.map((userId) => (
        <Who key={userId} userId={userId} marks={marks} />
      ))}
      {ordered.length > shown.length && (
        <small title={ordered.slice(shown.length).join(", ")}>+{number(ordered.length - shown.length)}</small>
      )}
    </span>
  );
}

function Here({ groupId, share, facts, tabIndex }: NamedProps) {
  const { fileName, seedersOnline, peersOnline } = share;
  const { download, own } = facts;
  const hashed = own && hashingOf(own.path, fileName);
  if (hashed !== undefined)
    return <span class="quiet">{t("groups.here.hashing", { share: percent(hashed) })}</span>;
  if (download !== undefined) {
    const done = download.lengthBytes === 0 ? 0 : download.bytesVerified / download.lengthBytes;
    const toTransfer = href({ view: "transfers", groupId, fileName });
    switch (download.state) {
      case "downloading":
        return (
          <a
            class="share-link share-percent"
            href={toTransfer}
            tabIndex={tabIndex}
            title={download.waitingFor}
          >
            {percent(done)}
          </a>
        );
      case "verifying":
        return <span class="quiet">{t("groups.here.checking")}</span>;
      case "paused":
        return (
          <a class="share-link quiet" href={toTransfer} tabIndex={tabIndex}>
            {t("groups.here.paused", { share: percent(done) })}
          </a>
        );
      case "failed":
        return (
          <a class="share-link text-danger" href={toTransfer} tabIndex={tabIndex} title={download.reason}>
            {t("groups.here.failed")}
          </a>
        );
      case "complete":
        return (
          <span class="share-done">
            <Icon name="check" />
            {t("groups.here.downloaded")}
          </span>
        );
    }
  }
  if (own !== undefined) {
    if (own.state === "unusable") {
      return (
        <span class="share-done text-warn" title={own.reason}>
          <Icon name="warn" />
          {t("groups.here.changed")}
        </span>
      );
    }
    return (
      <span class="quiet">{t(own.state === "waiting" ? "groups.here.waiting" : "groups.here.shared")}</span>
    );
  }
  const isAvailable = seedersOnline > 0 || peersOnline > 0;
  const label = t(isAvailable ? "groups.download" : "groups.queue");
  return (
    <a
      class="button button-small share-get"
      href={href({ view: "choose", groupId, fileName })}
      tabIndex={tabIndex}
      aria-label={t(isAvailable ? "groups.downloadOf" : "groups.queueOf", { name: fileName })}
      title={isAvailable ? undefined : t("groups.queueHint")}
    >
      <Icon name="download" />
      <span class="share-get-text">{label}</span>
    </a>
  );
}

function RowMenu({ groupId, share, facts, onChanged }: ShareRowProps & { readonly facts: ShareFacts }) {
  const { fileName, fileCount } = share;
  const { download, own } = facts;
  const items: MenuItem[] = [];
  if (download === undefined && own === undefined) {
    const href_ = href({ view: "choose", groupId, fileName });
    items.push({
      label: t(fileCount === undefined ? "groups.menu.download" : "groups.menu.choose"),
      icon: "download",
      href: href_,
    });
  }
  if (download !== undefined) {
    items.push({
      label: t("groups.menu.transfer"),
      icon: "transfers",
      href: href({ view: "transfers", groupId, fileName }),
    });
    if (fileCount !== undefined) {
      items.push({
        label: t("groups.menu.change"),
        icon: "folder-open",
        href: href({ view: "choose", groupId, fileName }),
      });
    }
  }
  if (fileCount === undefined && (download !== undefined || own !== undefined)) {
    items.push({
      label: t("groups.menu.preview"),
      icon: "eye",
      href: href({ view: "preview", groupId, fileName }),
    });
  }
  if (own !== undefined) {
    items.push(
      {
        label: t("groups.menu.publish"),
        icon: "refresh",
        onClick: () => void publish(groupId, fileName, onChanged),
      },
      {
        label: t("groups.menu.stop"),
        icon: "remove",
        isDangerous: true,
        onClick: () => void stopSharing(groupId, [{ fileName, path: own.path }]).then(onChanged),
      },
    );
  }
  items.push({
    label: t("groups.menu.copyName"),
    icon: "copy",
    onClick: () => void navigator.clipboard.writeText(fileName).catch(toastError),
  });
  return <Menu label={t("groups.menu.of", { name: fileName })} button={{ size: "small" }} items={items} />;
}

async function publish(groupId: string, fileName: string, onChanged: () => void): Promise<void> {
  try {
    const { lengthBytes } = await call("updateShare", { groupId, fileName });
    toast({
      text: t("groups.published", { name: fileName, size: bytes(lengthBytes) }),
      kind: "ok",
      icon: "check",
    });
    onChanged();
  } catch (error) {
    toastError(error);
  }
}
