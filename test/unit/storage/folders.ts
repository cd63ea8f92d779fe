// Folders for the storage tests: their files, their metainfo, and stores of them.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmod, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import type { TestContext } from "node:test";
import { FileLayoutBuilder } from "../../../src/metainfo/file-layout.ts";
import { encodeFolderMetainfo, type FolderMetainfo } from "../../../src/metainfo/metainfo.ts";
import { FolderFacts, timeOf } from "../../../src/storage/folder-facts.ts";
import { PieceStore } from "../../../src/storage/piece-store.ts";
import { content, PIECE_BYTES, type Workplace, workplaceFor } from "./workplace.ts";

export interface TestFolder {
  readonly metainfo: FolderMetainfo;
  /** The torrent: the files one behind the other, with zeros between them where there is padding. */
  readonly bytes: Uint8Array;
  readonly files: ReadonlyMap<string, Uint8Array>;
  indexOf(path: string): number;
}

export interface TestEntries {
  readonly [path: string]: number | Uint8Array | { readonly link: string } | { readonly executable: number };
}

/** @param entries lengths, or the bytes themselves */
export async function testFolder(
  entries: TestEntries,
  { pieceBytes = PIECE_BYTES, wrongSha1Of = "" } = {},
): Promise<TestFolder> {
  const builder = new FileLayoutBuilder();
  const files = new Map<string, Uint8Array>();
  const paths = Object.keys(entries).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const [index, path] of paths.entries()) {
    const entry = entries[path] ?? 0;
    if (typeof entry === "object" && "link" in entry) {
      builder.add({ path, lengthBytes: 0, sha1: undefined, isExecutable: false, linkTarget: entry.link });
      continue;
    }
    const isExecutable = typeof entry === "object" && "executable" in entry;
    const lengthBytes = isExecutable ? entry.executable : entry;
    const bytes = typeof lengthBytes === "number" ? content(lengthBytes, index + 1) : lengthBytes;
    files.set(path, bytes);
    const sha1 = createHash("sha1")
      .update(path === wrongSha1Of ? "another" : bytes)
      .digest();
    builder.add({ path, lengthBytes: bytes.length, sha1, isExecutable });
  }
  const layout = builder.finish(pieceBytes);
  const bytes = new Uint8Array(layout.lengthBytes);
  for (let index = 0; index < layout.fileCount; index++) {
    bytes.set(files.get(layout.pathOf(index)) ?? [], layout.offsetOf(index));
  }
  const pieceHashes: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += pieceBytes) {
    pieceHashes.push(
      createHash("sha1")
        .update(bytes.subarray(start, start + pieceBytes))
        .digest(),
    );
  }
  const metainfo = await encodeFolderMetainfo(
    { fileName: "album", layout, pieceHashes: Buffer.concat(pieceHashes), authorityPem: "-" },
    async () => undefined,
  );
  const indexOf = (path: string): number => layout.indexOf(path) ?? -1;
  return { metainfo, bytes, files, indexOf };
}

export interface FolderWorkplace extends Workplace {
  /** Where the rest beside the folder is, if there is one. */
  readonly rest: () => Promise<string | undefined>;
}

export async function folderWorkplaceFor(
  t: TestContext,
  diskOptions?: Parameters<typeof workplaceFor>[1],
): Promise<FolderWorkplace> {
  const place = await workplaceFor(t, diskOptions);
  const rest = async () => {
    const name = (await readdir(place.folder)).find((entry) => entry.endsWith(".minitorrent-rest"));
    return name === undefined ? undefined : join(place.folder, name);
  };
  return { ...place, path: join(place.folder, "album"), partPath: join(place.folder, "album.part"), rest };
}

/** Writes the folder's files, as somebody has them who shares it. */
export async function writeFolder(
  path: string,
  { metainfo: { layout }, files }: TestFolder,
): Promise<FolderFacts> {
  const facts = FolderFacts.none(layout.fileCount);
  await mkdir(path);
  for (let index = 0; index < layout.fileCount; index++) {
    const inside = layout.pathOf(index);
    const at = join(path, inside);
    await mkdir(dirname(at), { recursive: true });
    const target = layout.linkTargetOf(index);
    if (target !== undefined) {
      await symlink(posix.relative(posix.dirname(inside), target), at);
      continue;
    }
    await writeFile(at, files.get(inside) ?? "");
    if (layout.isExecutable(index)) await chmod(at, 0o755);
    facts.mtimesMs[index] = timeOf(await stat(at));
  }
  return facts;
}

export async function seedFolder(place: Workplace, folder: TestFolder): Promise<PieceStore> {
  const expected = await writeFolder(place.path, folder);
  return PieceStore.openForSeeding({ ...place, metainfo: folder.metainfo, expected });
}

/** Everything below a folder: bytes of files, `-> target` of links, by their paths. */
export async function treeOf(path: string): Promise<Record<string, string>> {
  const tree: Record<string, string> = {};
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    const at = join(entry.parentPath, entry.name);
    const inside = at.slice(path.length + 1);
    if (entry.isSymbolicLink()) tree[inside] = `-> ${await readlink(at)}`;
    else if (entry.isFile())
      tree[inside] = createHash("sha1")
        .update(await readFile(at))
        .digest("hex");
  }
  return tree;
}

/** What `treeOf` gives for the folder, or those files of it. */
export function expectedTree(
  { files }: TestFolder,
  paths: Iterable<string> = files.keys(),
): Record<string, string> {
  const tree: Record<string, string> = {};
  for (const path of paths) {
    tree[path] = createHash("sha1")
      .update(files.get(path) ?? "")
      .digest("hex");
  }
  return tree;
}

/** Without a list of the differences, which of long bytes takes minutes and gigabytes. */
export function assertSameBytes(actual: Uint8Array, expected: Uint8Array, what = "other bytes"): void {
  assert.ok(Buffer.compare(actual, expected) === 0, what);
}

/** The bytes of frames without their headers. */
export function payloadOf(frames: Uint8Array, lengthBytes: number): Uint8Array {
  const payload = new Uint8Array(lengthBytes);
  const blockBytes = 16 * 1024;
  for (let done = 0, at = 0; done < lengthBytes; done += blockBytes, at += 13 + blockBytes) {
    payload.set(frames.subarray(at + 13, at + 13 + Math.min(blockBytes, lengthBytes - done)), done);
  }
  return payload;
}
