// Reads an info dictionary that was sent in parts, before the rule that shares it: that of a large folder takes a second, so it is
// read in turns of its sender. Checks hash and form, and keeps only what the rule needs.
import { MiniTorrentError } from "../../api/errors.ts";
import { INFO_PART_BYTES, MAX_INFO_BYTES } from "../../api/file-limits.ts";
import { isFolderInfo, readPartEntries } from "../../metainfo/info-parts.ts";
import { decodeMetainfoInSlices } from "../../metainfo/metainfo.ts";
import type { RevisedReader } from "../registry/registry.ts";
import { infoPart, metainfoMissing, partPrefix, requireUpload } from "../rules/info-uploads.ts";
import { describeInfo, type InfoInParts } from "../rules/offered-info.ts";
import type { InfoUpload } from "../rules/torrents.ts";

export interface InfoCheckOptions {
  readonly registry: RevisedReader;
  readonly upload: InfoUpload;
  /** Of the group that it is to be shared in. */
  readonly groupClaimId: string;
  /** As the sender says, of a single file. */
  readonly sha1: string | undefined;
  readonly nowMs: number;
  /** Resolves in the sender's next turn; rejects if nobody waits for the answer any more. */
  readonly yieldTurn: () => Promise<void>;
}

/** @throws MiniTorrentError METAINFO_MISSING, MALFORMED_MESSAGE, INVALID_ARGUMENT, LIMIT_REACHED; what `yieldTurn` throws */
export async function checkInfo(options: InfoCheckOptions): Promise<InfoInParts> {
  const { registry, upload, groupClaimId, sha1, nowMs, yieldTurn } = options;
  const { partCount } = requireUpload(registry, upload, groupClaimId, nowMs);
  const revision = registry.revision("infoPart");
  const isUnchanged = () => {
    const written = registry.placesSince("infoPart", revision);
    return written !== undefined && !written.some(({ key }) => key.startsWith(partPrefix(upload)));
  };
  const info = await joinParts(registry, upload, partCount, yieldTurn);
  const metainfo = await decodeMetainfoInSlices(info, yieldTurn);
  if (metainfo.infoHash !== upload.infoHash) {
    throw new MiniTorrentError("INVALID_ARGUMENT", "The parts of the metainfo do not have its info-hash.");
  }
  return { upload, partCount, described: describeInfo(metainfo), isUnchanged, sha1 };
}

/** @throws MiniTorrentError METAINFO_MISSING, MALFORMED_MESSAGE, LIMIT_REACHED; what `yieldTurn` throws */
async function joinParts(
  registry: RevisedReader,
  upload: InfoUpload,
  partCount: number,
  yieldTurn: () => Promise<void>,
): Promise<Uint8Array> {
  // Untouched memory takes no room.
  const memory = Buffer.allocUnsafeSlow(Math.min(partCount * INFO_PART_BYTES, MAX_INFO_BYTES));
  let lengthBytes = 0;
  let isListed = true;
  for (let partIndex = 0; partIndex < partCount; partIndex++) {
    const text = infoPart(registry, upload, partIndex);
    if (text === undefined) throw metainfoMissing();
    const part = Buffer.from(text, "base64");
    if (lengthBytes + part.length > memory.length) {
      throw new MiniTorrentError("LIMIT_REACHED", `Metainfo has at most ${MAX_INFO_BYTES} bytes.`);
    }
    if (partIndex === 0) isListed = isFolderInfo(part);
    // Every part of the list can be read alone, as a page of the folder is (metainfo-answers.ts).
    if (isListed) isListed = !readPartEntries(part, partIndex === 0).isListEnd;
    memory.set(part, lengthBytes);
    lengthBytes += part.length;
    await yieldTurn();
  }
  return memory.subarray(0, lengthBytes);
}
