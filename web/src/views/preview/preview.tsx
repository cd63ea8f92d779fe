// A file that is here, or on its way: video, audio, pictures, PDF and text open while they download.
import { useEffect, useState } from "preact/hooks";
import { call, sentenceOf } from "../../api/call.ts";
import { link, watch } from "../../api/live.ts";
import { bytes, duration, percent, rate } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { registerKeys } from "../../keys.ts";
import { go, href, route } from "../../routes.ts";
import { type PreviewKind, previewKind } from "../../state/preview-kind.ts";
import { shareKey } from "../../state/share-key.ts";
import type { TransferRow } from "../../state/transfer-rows.ts";
import { Button } from "../../ui/button.tsx";
import { Banner, Empty, Skeleton } from "../../ui/empty.tsx";
import { Icon } from "../../ui/icon.tsx";
import "../../styles/transfers.css";
import "../../styles/preview.css";
import { canBeSeen, type SeenFile, useFilePages } from "../transfers/file-pages.ts";
import { leftOf, rowByKey } from "../transfers/model.ts";
import { TransferBar } from "../transfers/transfer-bar.tsx";
import { barText, segmentsOf, shareDone } from "../transfers/words.ts";
import { FileList } from "./file-list.tsx";
import { Player } from "./player.tsx";
import { TextPages } from "./text-pages.tsx";

export default function Preview() {
  useEffect(() => watch(["downloads", "shares"]), []);
  const now = route.value;
  if (now.view !== "preview") return null;
  const row = rowByKey.value.get(shareKey(now.groupId, now.fileName));
  if (row !== undefined) {
    return row.isFolder ? <OfFolder row={row} path={now.path} /> : <OfFile row={row} />;
  }
  if (link.value === "connecting") return <Skeleton />;
  return (
    <div class="page">
      <Empty
        icon="eye-off"
        title={t("transfers.preview.notHere")}
        actions={
          <Button kind="main" href={href({ view: "group", groupId: now.groupId, tab: "shares" })}>
            {t("transfers.preview.openGroup", { group: now.groupId })}
          </Button>
        }
      >
        {t("transfers.preview.notHereText")}
      </Empty>
    </div>
  );
}

function OfFile({ row }: { readonly row: TransferRow }) {
  const file = {
    path: row.fileName,
    lengthBytes: row.lengthBytes,
    verifiedBytes: row.bytesVerified,
    isChosen: true,
  };
  return (
    <div class="page preview">
      <Head row={row} path={undefined} />
      <Shown row={row} file={file} path={undefined} />
    </div>
  );
}

function OfFolder({ row, path }: { readonly row: TransferRow; readonly path: string | undefined }) {
  const { groupId, fileName } = row;
  const pages = useFilePages({
    ...{ groupId, fileName },
    isOwn: row.download === undefined,
    isMoving: row.state === "moving",
  });
  const { files, isWhole, error, seen } = pages;
  const able = files.filter(canBeSeen);
  const file = path === undefined ? able[0] : files.find((one) => one.path === path);
  const place = file === undefined ? -1 : able.findIndex((one) => one.path === file.path);
  const show = (to: SeenFile | undefined): void => {
    if (to !== undefined) go({ view: "preview", groupId, fileName, path: to.path }, "replace");
  };
  const [before, after] = [place > 0 ? able[place - 1] : undefined, place >= 0 ? able[place + 1] : undefined];
  // The file that the address names may be on a later page.
  const isMissing = file === undefined && !isWhole && files.length > 0;
  useEffect(() => {
    if (isMissing || (after === undefined && !isWhole)) seen(files.length);
  });
  useEffect(
    () =>
      registerKeys("preview-files", {
        "Shift+ArrowLeft": () => show(before),
        "Shift+ArrowRight": () => show(after),
        "[": () => show(before),
        "]": () => show(after),
      }),
    [before?.path, after?.path],
  );
  return (
    <div class="page preview preview-folder">
      <Head row={row} path={file?.path ?? path}>
        <Button
          icon="left"
          label={t("transfers.preview.before")}
          disabled={before === undefined}
          onClick={() => show(before)}
        />
        <Button
          icon="right"
          label={t("transfers.preview.after")}
          disabled={after === undefined}
          onClick={() => show(after)}
        />
      </Head>
      <div class="preview-main">
        {file !== undefined ? (
          <Shown key={file.path} row={row} file={file} path={file.path} />
        ) : error !== undefined ? (
          <Banner kind="danger" icon="warn">
            {error}
          </Banner>
        ) : isWhole ? (
          <Empty
            icon="eye-off"
            title={t(path === undefined ? "transfers.preview.nothing" : "transfers.preview.noSuchFile")}
          />
        ) : (
          <Skeleton />
        )}
      </div>
      <FileList row={row} pages={pages} shown={file?.path} onShow={show} />
    </div>
  );
}

interface HeadProps {
  readonly row: TransferRow;
  readonly path: string | undefined;
  readonly children?: preact.ComponentChildren;
}

function Head({ row, path, children }: HeadProps) {
  const { groupId, fileName } = row;
  const parts = path === undefined ? [] : path.split("/");
  const name = parts.at(-1) ?? fileName;
  const folders = parts.slice(0, -1);
  return (
    <header class="page-head preview-head">
      <div class="grow">
        <p class="sub preview-path">
          <a href={href({ view: "transfers", groupId, fileName })}>
            {path === undefined ? groupId : fileName}
          </a>
          {folders.map((folder, depth) => ` / ${depth >= 0 ? folder : ""}`).join("")}
        </p>
        <h1>{name}</h1>
      </div>
      <div class="actions">{children}</div>
    </header>
  );
}

interface ShownProps {
  readonly row: TransferRow;
  readonly file: SeenFile;
  /** In a folder. */
  readonly path: string | undefined;
}

function Shown({ row, file, path }: ShownProps) {
  const { groupId, fileName } = row;
  const kind = previewKind(file.path);
  const { url, error } = useTicket(groupId, fileName, path, kind !== undefined);
  const isHere = file.verifiedBytes >= file.lengthBytes;
  return (
    <div class="preview-shown">
      {kind === undefined ? (
        <div class="card">
          <Empty icon="eye-off" title={t("transfers.preview.unknown")} />
        </div>
      ) : error !== undefined ? (
        <Banner kind="danger" icon="warn">
          {error}
        </Banner>
      ) : (
        url !== undefined && <Content kind={kind} url={url} row={row} file={file} path={path} />
      )}
      {!isHere && (
        <Progress
          row={row}
          file={file}
          isFolder={path !== undefined}
          isPlaying={kind === "video" || kind === "audio"}
        />
      )}
      {url !== undefined && isHere && (
        <p class="preview-save">
          <a class="button button-small" href={url} download={file.path.split("/").at(-1)}>
            <Icon name="download" />
            {t("transfers.preview.save", { size: bytes(file.lengthBytes) })}
          </a>
        </p>
      )}
    </div>
  );
}

function Content({
  kind,
  url,
  row,
  file,
  path,
}: ShownProps & { readonly kind: PreviewKind; readonly url: string }) {
  switch (kind) {
    case "video":
    case "audio":
      return <Player kind={kind} url={url} row={row} file={file} path={path} />;
    case "image":
      return <Picture url={url} name={file.path} />;
    case "pdf":
      return <Pdf url={url} name={file.path} />;
    case "text":
      return <TextPages url={url} lengthBytes={file.lengthBytes} />;
  }
}

/** The address of the content, for this file alone; another one when it ends. */
function useTicket(
  groupId: string,
  fileName: string,
  path: string | undefined,
  isWanted: boolean,
): { readonly url?: string; readonly error?: string } {
  const [ticket, setTicket] = useState<{ readonly url?: string; readonly error?: string }>({});
  useEffect(() => {
    if (!isWanted) return;
    const stop = new AbortController();
    setTicket({});
    call(
      "contentTicket",
      { groupId, fileName, ...(path !== undefined && { path }) },
      { signal: stop.signal },
    ).then(
      ({ url }) => setTicket({ url }),
      (failure) => {
        if (!stop.signal.aborted) setTicket({ error: sentenceOf(failure) });
      },
    );
    return () => stop.abort();
  }, [groupId, fileName, path, isWanted]);
  return ticket;
}

function Picture({ url, name }: { readonly url: string; readonly name: string }) {
  const [state, setState] = useState<"loading" | "shown" | "failed">("loading");
  const [isLarge, setLarge] = useState(false);
  return (
    <div class={isLarge ? "picture picture-large" : "picture"}>
      {state === "loading" && <p class="sub picture-wait">{t("transfers.preview.arrives")}</p>}
      {state === "failed" && <p class="sub picture-wait">{t("transfers.preview.badPicture")}</p>}
      {state !== "failed" && (
        <button
          type="button"
          aria-pressed={isLarge}
          aria-label={t(isLarge ? "transfers.preview.fit" : "transfers.preview.large")}
          onClick={() => setLarge(!isLarge)}
        >
          <img src={url} alt={name} onLoad={() => setState("shown")} onError={() => setState("failed")} />
        </button>
      )}
    </div>
  );
}

function Pdf({ url, name }: { readonly url: string; readonly name: string }) {
  return (
    <div class="pdf">
      <iframe src={url} title={name} />
      <p class="sub">
        <a href={url} target="_blank" rel="noreferrer">
          {t("transfers.preview.ownTab")}
        </a>
      </p>
    </div>
  );
}

interface ProgressProps {
  readonly row: TransferRow;
  readonly file: SeenFile;
  readonly isFolder: boolean;
  readonly isPlaying: boolean;
}

function Progress({ row, file, isFolder, isPlaying }: ProgressProps) {
  const share = file.lengthBytes === 0 ? 1 : file.verifiedBytes / file.lengthBytes;
  const left = leftOf(row);
  const segments = segmentsOf(row, 0);
  const facts = [
    ...(row.downRate > 0 ? [rate(row.downRate)] : []),
    ...(left === undefined ? [] : [t("transfers.preview.completeIn", { time: duration(left) })]),
  ];
  return (
    <>
      {isPlaying && <Banner icon="info">{t("transfers.preview.plays")}</Banner>}
      <div class="card preview-progress">
        <p class="line">
          <b class="grow">
            {t("transfers.preview.here", { part: percent(share), whole: bytes(file.lengthBytes) })}
          </b>
          <span class="sub">{facts.join(", ")}</span>
        </p>
        {!isFolder && (
          <TransferBar
            groupId={row.groupId}
            segments={segments}
            label={row.fileName}
            share={shareDone(row)}
            valueText={barText(row, segments)}
            isPaused={row.state === "paused"}
          />
        )}
      </div>
    </>
  );
}
