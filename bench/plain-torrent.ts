// A file as an ordinary torrent, for the clients that are measured beside ours: no certificates, no encryption.
import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, readSync, statSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import bencode from "bencode";
import { choosePieceLengthBytes } from "../src/metainfo/geometry.ts";

/**
 * Writes the .torrent file of the file at `path`, cut into pieces as ours would be.
 *
 * @param announceUrl the tracker; without it peers have to be told of each other
 */
export function writePlainTorrent(path: string, torrentPath: string, announceUrl?: string): void {
  const { size: lengthBytes } = statSync(path);
  const pieceLengthBytes = choosePieceLengthBytes(lengthBytes);
  const info = {
    length: lengthBytes,
    name: basename(path),
    "piece length": pieceLengthBytes,
    pieces: pieceHashes(path, lengthBytes, pieceLengthBytes),
  };
  const announce = announceUrl === undefined ? {} : { announce: announceUrl };
  writeFileSync(torrentPath, bencode.encode({ ...announce, info }));
}

/**
 * Writes the plain torrent of what one of ours describes: the same files, padding and pieces, without the group's certificate.
 *
 * @param ourPath as `export_torrent` writes it
 */
export function writeWithoutCertificate(ourPath: string, torrentPath: string): void {
  const { info } = bencode.decode(readFileSync(ourPath)) as { info: Record<string, unknown> };
  const { "ssl-cert": _certificate, private: _private, ...plain } = info;
  writeFileSync(torrentPath, bencode.encode({ info: plain }));
}

function pieceHashes(path: string, lengthBytes: number, pieceLengthBytes: number): Buffer {
  const file = openSync(path, "r");
  const piece = Buffer.alloc(pieceLengthBytes);
  const hashes: Buffer[] = [];
  for (let at = 0; at < lengthBytes; at += pieceLengthBytes) {
    const readBytes = readSync(file, piece, 0, pieceLengthBytes, at);
    hashes.push(createHash("sha1").update(piece.subarray(0, readBytes)).digest());
  }
  closeSync(file);
  return Buffer.concat(hashes);
}
