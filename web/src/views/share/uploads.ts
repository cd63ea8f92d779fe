// What this browser sends to the daemon, in whatever view one is: begun, followed, and shared when it is there.
import { signal } from "@preact/signals";
import { type AnswerOf, ApiError, call, request, sentenceOf } from "../../api/call.ts";
import { t } from "../../i18n/t.ts";
import { BrowserUpload, type UploadLink } from "../../state/browser-upload.ts";
import type { Dropped, DroppedItem } from "../../state/dropped.ts";
import { toast } from "../../ui/toasts.tsx";

export type Upload = BrowserUpload<Blob, AnswerOf<"finishUpload">>;

/** Uploads that send at a time; the others wait. */
const AT_ONCE = 2;
/** Progress is shown at most so often. */
const SHOWN_EVERY_MS = 250;

const link: UploadLink<Blob, AnswerOf<"finishUpload">> = {
  begin: ({ groupId, name, kind, destinationPath }, lengthBytes) =>
    call("beginUpload", {
      groupId,
      name,
      kind,
      lengthBytes,
      ...(destinationPath !== undefined && { destinationPath }),
    }),
  send: async (uploadId, path, offset, part, stop) => {
    const query = new URLSearchParams({ offset: String(offset), ...(path !== "" && { path }) });
    const answer = await request(`/uploads/${encodeURIComponent(uploadId)}/content?${query}`, {
      method: "PUT",
      body: part,
      headers: { "content-type": "application/octet-stream" },
      signal: stop,
    });
    const { receivedBytes } = (await answer.json()) as { receivedBytes: number };
    return receivedBytes;
  },
  received: async (uploadId, path) => (await call("upload", { uploadId, path })).receivedBytes,
  finish: (uploadId) => call("finishUpload", { uploadId }),
  cancel: async (uploadId) => {
    await call("cancelUpload", { uploadId });
  },
  isPassing: (error) => error instanceof ApiError && [0, 429, 502, 503].includes(error.status),
  isForgotten: (error) => error instanceof ApiError && error.code === "UNKNOWN_UPLOAD",
  pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

/** Changes when one of them does, a few times a second. */
const uploads = signal<readonly Upload[]>([]);
let isDue = false;

function changed(): void {
  if (isDue) return;
  isDue = true;
  setTimeout(() => {
    isDue = false;
    uploads.value = [...uploads.peek()];
    startNext();
  }, SHOWN_EVERY_MS);
}

/** Renders again as it goes on: the upload itself stays the same object. */
export function followUpload(upload: Upload): Upload {
  uploads.value;
  return upload;
}

export function uploadsOf(groupId: string): readonly Upload[] {
  return uploads.value.filter(({ plan }) => plan.groupId === groupId);
}

/** Begins to send what was dropped or picked. It is shared when `share` is called. */
export function addUploads(groupId: string, { items, leftOut }: Dropped<Blob>): void {
  const added = items.map((item) => uploadFor(groupId, item));
  uploads.value = [...uploads.peek(), ...added];
  if (leftOut > 0) toast(t("groups.send.leftOut", { count: leftOut }));
  startNext();
}

function uploadFor(groupId: string, { name, kind, files }: DroppedItem<Blob>): Upload {
  return new BrowserUpload({ groupId, name, kind, files }, link, changed);
}

function startNext(): void {
  const running = uploads.peek().filter(({ state }) => state === "sending").length;
  const waiting = uploads.peek().filter(({ state }) => state === "waiting");
  for (const upload of waiting.slice(0, Math.max(0, AT_ONCE - running))) void run(upload);
}

async function run(upload: Upload): Promise<void> {
  await upload.run();
  changed();
}

/** Goes on where it was. */
export function retry(upload: Upload): Promise<void> {
  return upload.isWanted ? shareUpload(upload) : run(upload);
}

export async function removeUpload(upload: Upload): Promise<void> {
  uploads.value = uploads.peek().filter((one) => one !== upload);
  if (upload.state !== "shared") await upload.cancel();
  startNext();
}

/** Shares it as soon as all of it is there, and says so. */
export async function shareUpload(upload: Upload): Promise<void> {
  const { groupId, name } = upload.plan;
  const settled = new Promise<void>((resolve) => {
    const end = uploads.subscribe(() => {
      if (upload.state !== "shared" && upload.state !== "failed" && upload.state !== "cancelled") return;
      setTimeout(() => end());
      resolve();
    });
  });
  await upload.share();
  changed();
  await settled;
  if (upload.state === "shared") {
    toast({ text: t("groups.send.done", { name, group: groupId }), kind: "ok", icon: "check" });
    uploads.value = uploads.peek().filter((one) => one !== upload);
  } else if (upload.state === "failed") {
    toast({ text: `${name}: ${sentenceOf(upload.problem)}`, kind: "danger", icon: "warn" });
  }
}

addEventListener("beforeunload", (event) => {
  if (uploads.peek().some(({ state }) => state === "sending" || state === "waiting")) event.preventDefault();
});
