// A group file's metainfo from a tracker, checked: it must be the file that was asked for.
import { z } from "zod";
import { MiniTorrentError } from "../../api/errors.ts";
import { infoSchema } from "../../api/schemas.ts";
import { decodeMetainfo, type Metainfo } from "../../metainfo/metainfo.ts";
import type { ClientContext } from "../client-context.ts";
import type { FileId } from "../file-key.ts";

const metainfoSchema = z.object({ info: infoSchema });

/** @throws MiniTorrentError UNKNOWN_GROUP, UNKNOWN_FILE, NOT_A_MEMBER, MALFORMED_MESSAGE */
export async function fetchMetainfo(ask: ClientContext["ask"], file: FileId): Promise<Metainfo> {
  const { info } = await ask(metainfoSchema, (api) => api.files.metainfo.query(file));
  const metainfo = decodeMetainfo(Buffer.from(info, "base64"));
  if (metainfo.fileName === file.fileName) return metainfo;
  throw new MiniTorrentError(
    "MALFORMED_MESSAGE",
    "The tracker answered with another file than was asked for.",
  );
}
