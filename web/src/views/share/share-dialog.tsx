// Sharing in a group: from the daemon's machine in place, or from this browser, which copies to that machine first.
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { call, sentenceOf } from "../../api/call.ts";
import { bytes, percent } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { go } from "../../routes.ts";
import { groupPicked } from "../../state/dropped.ts";
import { Button } from "../../ui/button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Banner } from "../../ui/empty.tsx";
import { Icon } from "../../ui/icon.tsx";
import { Select } from "../../ui/select.tsx";
import { toast } from "../../ui/toasts.tsx";
import { hashingOf } from "../groups/hashing.ts";
import { FolderPicker, type Picked, pickedText } from "./folder-picker.tsx";
import {
  addUploads,
  followUpload,
  removeUpload,
  retry,
  shareUpload,
  type Upload,
  uploadsOf,
} from "./uploads.ts";

export interface ShareDialogProps {
  readonly groupId: string;
  /** Those that may be chosen in its place; one comes from a group's own page with a group. */
  readonly otherGroups: readonly string[];
  readonly onClose: () => void;
}

interface Job extends Picked {
  readonly problem?: string;
}

export function ShareDialog({ groupId, otherGroups, onClose }: ShareDialogProps) {
  const picked = useSignal<ReadonlyMap<string, Picked>>(new Map());
  /** What is being shared from the machine, by path. */
  const jobs = useSignal<ReadonlyMap<string, Job>>(new Map());
  const uploads = uploadsOf(groupId);
  const unsaid = uploads.filter(({ isWanted, state }) => !isWanted && state !== "cancelled");
  const count = picked.value.size + unsaid.length;
  const isBusy = [...jobs.value.values()].some(({ problem }) => problem === undefined);

  const setJob = (path: string, job: Job | undefined): void => {
    const next = new Map(jobs.peek());
    if (job === undefined) next.delete(path);
    else next.set(path, job);
    jobs.value = next;
  };
  const shareOne = async (item: Picked): Promise<boolean> => {
    setJob(item.path, item);
    try {
      const { fileName } = await call("uploadFile", { groupId, path: item.path });
      toast({ text: t("groups.send.done", { name: fileName, group: groupId }), kind: "ok", icon: "check" });
      setJob(item.path, undefined);
      return true;
    } catch (error) {
      setJob(item.path, { ...item, problem: sentenceOf(error) });
      return false;
    }
  };
  const submit = async (): Promise<void> => {
    const items = [...picked.peek().values()];
    picked.value = new Map();
    let areAllShared = unsaid.every(({ state }) => state !== "failed");
    // Uploads go on when this is closed, and say when they are shared.
    for (const upload of unsaid) void shareUpload(upload);
    for (const item of items) areAllShared = (await shareOne(item)) && areAllShared;
    if (areAllShared) onClose();
  };
  return (
    <Dialog
      title={t("groups.send.title", { group: groupId })}
      subtitle={t("groups.send.subtitle")}
      width="wide"
      onClose={onClose}
      onSubmit={() => {
        if (count > 0) void submit();
      }}
      footer={
        <>
          <small class="grow choose-note">{picked.value.size > 0 && pickedText(picked.value.values())}</small>
          <Button onClick={onClose}>
            {t(isBusy || uploads.length > 0 ? "shell.action.close" : "shell.action.cancel")}
          </Button>
          <Button kind="main" type="submit" disabled={count === 0} isBusy={isBusy}>
            {count === 0 ? t("groups.share") : t("groups.send.share", { count })}
          </Button>
        </>
      }
    >
      <div class="share-cols">
        <section class="stack" aria-labelledby="share-machine">
          <h3 id="share-machine" class="share-head-line" tabIndex={-1} data-first-focus>
            {t("groups.send.machine")}
          </h3>
          {otherGroups.length > 1 && (
            <Select
              label={t("groups.send.group")}
              value={groupId}
              options={otherGroups.map((one) => ({ value: one, label: one }))}
              onChange={(to) => go({ view: "share", groupId: to }, "replace")}
            />
          )}
          <FolderPicker
            groupId={groupId}
            picked={picked.value}
            onPick={(item, isPicked) => {
              const next = new Map(picked.peek());
              if (isPicked) next.set(item.path, item);
              else next.delete(item.path);
              picked.value = next;
            }}
          />
          {jobs.value.size > 0 && (
            <ul class="stack jobs" aria-label={t("groups.send.underWay")}>
              {[...jobs.value.values()].map((job) => (
                <JobRow
                  key={job.path}
                  job={job}
                  onAgain={() => void shareOne(job)}
                  onDismiss={() => setJob(job.path, undefined)}
                />
              ))}
            </ul>
          )}
        </section>
        <section class="share-browser stack" aria-labelledby="share-browser">
          <h3 id="share-browser" class="share-head-line">
            {t("groups.send.browser")}
          </h3>
          <PickArea groupId={groupId} />
          {uploads.length > 0 && (
            <ul class="stack jobs" aria-label={t("groups.send.copies")}>
              {uploads.map((upload) => (
                <UploadRow key={`${upload.plan.name} ${upload.plan.files.length}`} upload={upload} />
              ))}
            </ul>
          )}
        </section>
      </div>
    </Dialog>
  );
}

function PickArea({ groupId }: { readonly groupId: string }) {
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const take = (input: HTMLInputElement): void => {
    addUploads(groupId, groupPicked([...(input.files ?? [])]));
    input.value = "";
  };
  return (
    <div class="drop-area">
      <Icon name="share" size="large" />
      <span>{t("groups.send.dropHere")}</span>
      <span class="actions">
        <Button size="small" onClick={() => files.current?.click()}>
          {t("groups.send.pickFiles")}
        </Button>
        <Button size="small" onClick={() => folder.current?.click()}>
          {t("groups.send.pickFolder")}
        </Button>
      </span>
      <small>{t("groups.send.copiedFirst")}</small>
      <input ref={files} type="file" multiple hidden onChange={(event) => take(event.currentTarget)} />
      <input
        ref={folder}
        type="file"
        {...{ webkitdirectory: true }}
        hidden
        onChange={(event) => take(event.currentTarget)}
      />
    </div>
  );
}

function JobRow({
  job: { path, problem },
  onAgain,
  onDismiss,
}: {
  readonly job: Job;
  readonly onAgain: () => void;
  readonly onDismiss: () => void;
}) {
  const hashed = hashingOf(path);
  const name = path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
  return (
    <li class="job">
      <div class="line">
        <span class="grow cut" title={path}>
          {name}
        </span>
        {problem === undefined ? (
          <small>{hashed === undefined ? t("groups.send.preparing") : percent(hashed)}</small>
        ) : (
          <>
            <Button size="small" onClick={onAgain}>
              {t("groups.send.again")}
            </Button>
            <Button
              kind="bare"
              size="small"
              icon="x"
              label={t("groups.send.dismiss", { name })}
              onClick={onDismiss}
            />
          </>
        )}
      </div>
      {problem === undefined ? (
        <Thin share={hashed ?? 0} label={t("groups.send.hashing", { name })} />
      ) : (
        <small class="text-danger">{problem}</small>
      )}
    </li>
  );
}

function UploadRow(props: { readonly upload: Upload }) {
  const upload = followUpload(props.upload);
  const { state, sentBytes, lengthBytes, plan } = upload;
  const { name, files, kind } = plan;
  const share = lengthBytes === 0 ? (state === "waiting" ? 0 : 1) : sentBytes / lengthBytes;
  const hashed = state === "sharing" ? hashingOf(name) : undefined;
  const size = bytes(lengthBytes);
  const what = kind === "folder" ? t("groups.send.filesOf", { count: files.length, size }) : size;
  const isUnderWay = state === "sending" || state === "waiting" || state === "sharing";
  return (
    <li class="job">
      <div class="line">
        <span class="grow cut" title={name}>
          {name}
        </span>
        {state === "failed" ? (
          <Button size="small" onClick={() => void retry(upload)}>
            {t("groups.send.again")}
          </Button>
        ) : state === "sent" || state === "shared" ? (
          <small class="share-done">
            <Icon name="check" />
            {t(state === "sent" ? "groups.send.copied" : "groups.send.shared")}
          </small>
        ) : (
          <small>{t(`groups.send.state.${state}`, { share: percent(hashed ?? share) })}</small>
        )}
        {state !== "sharing" && (
          <Button
            kind="bare"
            size="small"
            icon="x"
            label={t(isUnderWay || state === "sent" ? "groups.send.stop" : "groups.send.dismiss", { name })}
            onClick={() => void removeUpload(upload)}
          />
        )}
      </div>
      {isUnderWay && <Thin share={hashed ?? share} label={name} />}
      {state === "failed" ? (
        <small class="text-danger">
          {sentenceOf(upload.problem)} {sentBytes > 0 && t("groups.send.goesOn", { share: percent(share) })}
        </small>
      ) : (
        <small class="quiet">
          {isUnderWay ? t("groups.send.sent", { sent: bytes(sentBytes), size: what }) : what}
        </small>
      )}
    </li>
  );
}

function Thin({ share, label }: { readonly share: number; readonly label: string }) {
  const value = Math.floor(share * 100);
  return (
    <div
      class="bar bar-thin"
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={value}
    >
      <i style={{ width: `${share * 100}%` }} />
    </div>
  );
}

/** Before a group is chosen: there is none to share in. */
export function NoGroupDialog({ onClose }: { readonly onClose: () => void }) {
  return (
    <Dialog title={t("groups.share")} width="narrow" onClose={onClose}>
      <Banner icon="info">{t("groups.send.noGroup")}</Banner>
    </Dialog>
  );
}
