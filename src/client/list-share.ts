// Lists a share at the trackers: with its metainfo in the call; if that is long, with parts of it that are sent before.
import { randomUUID } from "node:crypto";
import { z } from "zod";
import { asMiniTorrentError } from "../api/errors.ts";
import { INFO_PART_BYTES } from "../api/file-limits.ts";
import { cutInfo } from "../metainfo/info-parts.ts";
import type { Metainfo } from "../metainfo/metainfo.ts";
import type { ClientContext } from "./client-context.ts";
import type { ShareOptions } from "./status.ts";

/** A tracker answers each when it and the others have it on disk; of one connection it serves at most 8 calls at a time. */
const PARTS_AT_ONCE = 4;
/** Attempts to send all parts: a tracker may be lost with those that it has, or forget them. */
const MAX_SENDINGS = 3;

const sharedSchema = z.object({ infoHash: z.string(), joinedSwarm: z.boolean(), isAnnounced: z.boolean() });

/** `joinedSwarm`: the group had it already. `isAnnounced`: the tracker knows that this client has all of it. */
export type Listed = z.infer<typeof sharedSchema>;

export interface Listing {
  readonly groupId: string;
  /** See `Profile.holderId`. */
  readonly holderId: string;
  /** The tracker may name this client to peers at once. */
  readonly isServed: boolean;
  /** Info-hash of the content that gives way, or gets a new version. */
  readonly replaces?: string | undefined;
  /** It is a new version. */
  readonly isUpdate?: boolean | undefined;
}

/**
 * Lists the share, or a new version of it.
 *
 * @throws MiniTorrentError FILE_EXISTS, NOT_A_MEMBER, NOT_THE_SHARER, NEWER_VERSION, TRACKERS_UNREACHABLE; the signal's reason
 */
export async function listShare(
  ask: ClientContext["ask"],
  metainfo: Metainfo,
  listing: Listing,
  options: ShareOptions = {},
): Promise<Listed> {
  const { info, infoHash } = metainfo;
  const whole = metainfo.kind === "file" || info.length <= INFO_PART_BYTES;
  if (whole) {
    const text = Buffer.from(info).toString("base64");
    const content = metainfo.kind === "file" ? { info: text, sha1: metainfo.sha1 } : { info: text };
    return await ask(sharedSchema, (api, write) =>
      api.files.share.mutate({ ...listing, ...content, ...write }),
    );
  }
  // The group may have it already: then no part needs to be sent.
  let uploadId: string | undefined;
  for (let sendings = 0; ; sendings++) {
    try {
      return await ask(sharedSchema, (api, write) =>
        api.files.share.mutate({ ...listing, infoHash, uploadId, ...write }),
      );
    } catch (error) {
      if (asMiniTorrentError(error).code !== "METAINFO_MISSING" || sendings === MAX_SENDINGS) throw error;
    }
    // The same in each attempt: parts that a tracker has count, however often they come.
    uploadId ??= randomUUID();
    await sendParts(ask, metainfo, { groupId: listing.groupId, uploadId }, options);
  }
}

async function sendParts(
  ask: ClientContext["ask"],
  { info, infoHash }: Metainfo,
  sending: { readonly groupId: string; readonly uploadId: string },
  { onProgress, signal }: ShareOptions,
): Promise<void> {
  const parts = cutInfo(info);
  const waiting = parts.entries();
  let sentBytes = 0;
  let hasFailed = false;
  const sendSome = async (): Promise<void> => {
    try {
      for (const [partIndex, bytes] of waiting) {
        if (hasFailed) return;
        signal?.throwIfAborted();
        const part = Buffer.from(bytes).toString("base64");
        await ask(z.unknown(), (api, write) =>
          api.files.putInfoPart.mutate({
            ...sending,
            ...{ infoHash, partIndex, partCount: parts.length, part },
            ...write,
          }),
        );
        sentBytes += bytes.length;
        onProgress?.({ hashedBytes: sentBytes, lengthBytes: info.length, isListing: true });
      }
    } catch (error) {
      hasFailed = true;
      throw error;
    }
  };
  await Promise.all(Array.from({ length: PARTS_AT_ONCE }, sendSome));
}
