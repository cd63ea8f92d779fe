// A share's metainfo from a tracker, checked: it must be that of the share that was asked for. That of a large folder comes in
// parts, each from whichever tracker is connected then: what came before another tracker had to be found is kept.
import { createHash } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { MiniTorrentError } from "../../api/errors.ts";
import { MAX_INFO_BYTES } from "../../api/file-limits.ts";
import { infoPartAnswerSchema, metainfoAnswerSchema } from "../../api/schemas.ts";
import { decodeMetainfoInSlices, type Metainfo } from "../../metainfo/metainfo.ts";
import type { ClientContext } from "../client-context.ts";
import type { FileId } from "../file-key.ts";

/** Parts that are asked for at once: 512 KiB are under way, so that a long round trip does not add up 500 times. */
const PARTS_AT_ONCE = 8;

/**
 * @throws MiniTorrentError UNKNOWN_GROUP, UNKNOWN_FILE, NOT_A_MEMBER, MALFORMED_MESSAGE, LIMIT_REACHED (it is longer than
 * MAX_INFO_BYTES)
 */
export async function fetchMetainfo(ask: ClientContext["ask"], file: FileId): Promise<Metainfo> {
  const answer = await ask(metainfoAnswerSchema, (api) => api.files.metainfo.query(file));
  const info =
    "info" in answer ? Buffer.from(answer.info, "base64") : await fetchParts(ask, file.groupId, answer);
  const metainfo = await decodeMetainfoInSlices(info, turn);
  if (metainfo.fileName === file.fileName) return metainfo;
  throw new MiniTorrentError(
    "MALFORMED_MESSAGE",
    "The tracker answered with another file than was asked for.",
  );
}

/** The dictionary with that hash, put together from its parts. */
async function fetchParts(
  ask: ClientContext["ask"],
  groupId: string,
  { infoHash, partCount }: { readonly infoHash: string; readonly partCount: number },
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let lengthBytes = 0;
  let nextIndex = 0;
  const fetchSome = async (): Promise<void> => {
    while (nextIndex < partCount) {
      const partIndex = nextIndex++;
      const { part } = await ask(infoPartAnswerSchema, (api) =>
        api.files.infoPart.query({ groupId, infoHash, partIndex }),
      );
      const bytes = Buffer.from(part, "base64");
      parts[partIndex] = bytes;
      lengthBytes += bytes.length;
      if (lengthBytes > MAX_INFO_BYTES) throw tooLong();
    }
  };
  try {
    await Promise.all(Array.from({ length: PARTS_AT_ONCE }, fetchSome));
  } catch (error) {
    // The others stop after what they have asked for.
    nextIndex = partCount;
    throw error;
  }
  const hash = createHash("sha1");
  const info = new Uint8Array(lengthBytes);
  let at = 0;
  for (const part of parts) {
    hash.update(part);
    info.set(part, at);
    at += part.length;
  }
  if (hash.digest("hex") === infoHash) return info;
  throw new MiniTorrentError(
    "MALFORMED_MESSAGE",
    "The parts of the metainfo do not have its info-hash: try again, at another tracker if it happens again.",
  );
}

function tooLong(): MiniTorrentError {
  return new MiniTorrentError(
    "LIMIT_REACHED",
    `The share's metainfo is longer than ${MAX_INFO_BYTES / 1024 / 1024} MiB, which no folder's may be: ask for it to be shared in several folders.`,
  );
}
