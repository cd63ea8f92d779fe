// A stock libtorrent as the judge of a folder's metainfo: it reads the same files at the same places as we do.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { z } from "zod";
import { PYTHON, withoutLibtorrent } from "../../harness/requirements.ts";
import { encodeTorrentFile } from "../../src/client/export.ts";
import { PADDING } from "../../src/metainfo/file-layout.ts";
import { encodeFolderMetainfo, type FolderMetainfo } from "../../src/metainfo/metainfo.ts";
import { hashFolder } from "../../src/storage/hash-folder.ts";
import { createStorageResources } from "../../src/storage/storage-resources.ts";
import { fileEntry, folderOf, linkEntry, PIECE_BYTES } from "../unit/metainfo/folders.ts";

const skip = withoutLibtorrent();

/** What libtorrent reads in its torrent. @param saveFolder where it looks for the folder */
function readByLibtorrent(metainfo: FolderMetainfo, saveFolder?: string): unknown {
  const folder = mkdtempSync(join(tmpdir(), "minitorrent-layout-"));
  try {
    const torrent = join(folder, "folder.torrent");
    writeFileSync(torrent, encodeTorrentFile(metainfo));
    const script = join(import.meta.dirname, "libtorrent_layout.py");
    return JSON.parse(
      execFileSync(PYTHON, [script, torrent, ...(saveFolder === undefined ? [] : [saveFolder])], {
        encoding: "utf8",
      }),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The same from our layout, padding included. */
function ourReading({ infoHash, geometry, layout, fileName }: FolderMetainfo): unknown {
  const files = Array.from({ length: layout.fileCount }, (_, fileIndex) => {
    const { path, lengthBytes, isExecutable, linkTarget } = layout.entryOf(fileIndex);
    const offsetBytes = layout.offsetOf(fileIndex);
    const file = {
      ...{ path: `${fileName}/${path}`, lengthBytes, offsetBytes, isPadding: false, isExecutable },
      linkTarget: linkTarget === undefined ? null : `${fileName}/${linkTarget}`,
      sha1: Buffer.from(layout.sha1Of(fileIndex)).toString("hex"),
    };
    const paddingBytes = layout.paddingBefore(fileIndex);
    if (paddingBytes === 0) return [file];
    const padding = {
      ...{ path: `${fileName}/.pad/${paddingBytes}`, lengthBytes: paddingBytes },
      ...{ offsetBytes: offsetBytes - paddingBytes, isPadding: true, isExecutable: false, linkTarget: null },
      sha1: "0".repeat(40),
    };
    assert.deepEqual(layout.spansOf(padding.offsetBytes, 1), [
      { fileIndex: PADDING, offsetBytes: 0, lengthBytes: 1 },
    ]);
    return [padding, file];
  });
  return {
    ...{ infoHash, isPrivate: true, pieceCount: geometry.pieceCount, lengthBytes: geometry.lengthBytes },
    partFound: null,
    files: files.flat(),
  };
}

test("libtorrent reads our folder with the same info-hash, files, padding, links and executable bits", {
  skip,
}, async () => {
  const metainfo = await folderOf([
    fileEntry("a small one", 5),
    { ...fileEntry("bin/run", 10), isExecutable: true },
    linkEntry("bin/same", "bin/run"),
    linkEntry("current", "größe/deep"),
    fileEntry("empty", 0),
    fileEntry("film.mkv", 3 * PIECE_BYTES + 5),
    { ...fileEntry("größe/deep/er", PIECE_BYTES), isExecutable: true },
    fileEntry("two", 2 * PIECE_BYTES),
    fileEntry("two more", 2 * PIECE_BYTES - 1),
    fileEntry("\u{1f600}", PIECE_BYTES + 1),
  ]);
  assert.deepEqual(readByLibtorrent(metainfo), ourReading(metainfo));
});

test("libtorrent finds every piece in a folder that we have hashed, padding and links included", {
  skip,
}, async (t) => {
  const place = mkdtempSync(join(tmpdir(), "minitorrent-layout-"));
  t.after(() => rmSync(place, { recursive: true }));
  const storage = createStorageResources();
  t.after(() => storage.disk.close());
  const folder = join(place, "folder");
  mkdirSync(join(folder, "größe"), { recursive: true });
  for (const [name, lengthBytes] of [
    ["a", 5],
    ["größe/film", 3_000_001],
    ["größe/more", 300_000],
    ["last", 700_000],
    ["small", 20_000],
  ] as const) {
    writeFileSync(join(folder, name), randomBytes(lengthBytes));
  }
  writeFileSync(join(folder, "empty"), "");
  chmodSync(join(folder, "a"), 0o755);
  symlinkSync("größe/film", join(folder, "link"));
  const { layout, pieceHashes } = await hashFolder(folder, storage);
  assert.ok(layout.lengthBytes > layout.contentBytes, "it has padding");
  const parts = { fileName: "folder", layout, pieceHashes, authorityPem: "PEM" };
  const metainfo = await encodeFolderMetainfo(parts, async () => undefined);
  const found = z.object({ partFound: z.number() });
  assert.deepEqual(found.parse(readByLibtorrent(metainfo, place)), { partFound: 1 });
  writeFileSync(join(folder, "last"), randomBytes(700_000));
  assert.ok(found.parse(readByLibtorrent(metainfo, place)).partFound < 1);
});
