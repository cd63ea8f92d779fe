// What other people's BitTorrent clients need to take part in a group's swarm as SSL-torrent peers (libtorrent): a
// .torrent file, and this device's certificate with its key. Writes new files only.

import { writeFile } from "node:fs/promises";
import { MiniTorrentError } from "../api/errors.ts";
import type { Metainfo } from "../metainfo/metainfo.ts";
import { errnoOf } from "../net/errno.ts";
import type { GroupCredentials } from "../transport/group-credentials.ts";

/** The metainfo file (BEP 3) around the info dictionary, whose bytes stay as they are. */
export function encodeTorrentFile({ info }: Metainfo): Uint8Array {
  return Buffer.concat([Buffer.from("d4:info"), info, Buffer.from("e")]);
}

/** Certificate, key and the group's CA in one PEM file, as OpenSSL's tools read it. */
export function encodeCertificateFile({
  certificatePem,
  privateKeyPem,
  authorityPem,
}: Pick<GroupCredentials, "certificatePem" | "privateKeyPem" | "authorityPem">): string {
  return [certificatePem, privateKeyPem, authorityPem].map((pem) => `${pem.trim()}\n`).join("");
}

/**
 * Writes a file that only its owner may read: a certificate comes with its key.
 *
 * @throws MiniTorrentError FILE_EXISTS, DESTINATION_UNUSABLE
 */
export async function writeNewFile(path: string, content: Uint8Array | string): Promise<void> {
  try {
    await writeFile(path, content, { flag: "wx", mode: 0o600 });
  } catch (error) {
    if (errnoOf(error) === "EEXIST") {
      throw new MiniTorrentError("FILE_EXISTS", `${path} is there already; choose another name.`, {
        cause: error,
      });
    }
    throw new MiniTorrentError("DESTINATION_UNUSABLE", `${path} cannot be written.`, { cause: error });
  }
}
