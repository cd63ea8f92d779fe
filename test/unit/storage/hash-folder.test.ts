import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  appendFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { chmod, mkdir, mkdtemp, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { PADDING } from "../../../src/metainfo/file-layout.ts";
import { choosePieceLengthBytes } from "../../../src/metainfo/geometry.ts";
import { encodeFolderMetainfo } from "../../../src/metainfo/metainfo.ts";
import { type HashedFolder, hashFolder } from "../../../src/storage/hash-folder.ts";
import { content, openCount, sha1Hex, type Workplace, withCode, workplaceFor } from "./workplace.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Writes those files into a new folder. */
async function folderWith(
  place: Workplace,
  files: Readonly<Record<string, Uint8Array | string>>,
): Promise<string> {
  const folder = await mkdtemp(join(place.folder, "shared-"));
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  }
  return folder;
}

/** The torrent's bytes by its layout, from what the files must have. */
function torrentOf({ layout }: HashedFolder, files: Readonly<Record<string, Uint8Array | string>>): Buffer {
  return Buffer.concat(
    layout.spansOf(0, layout.lengthBytes).map(({ fileIndex, lengthBytes }) => {
      if (fileIndex === PADDING) return Buffer.alloc(lengthBytes);
      const bytes = Buffer.from(files[layout.pathOf(fileIndex)] ?? "");
      assert.equal(bytes.length, lengthBytes);
      return bytes;
    }),
  );
}

const pathsOf = ({ layout }: HashedFolder) =>
  Array.from({ length: layout.fileCount }, (_, index) => layout.pathOf(index));

/** What is open while nothing is hashed: the workers run. */
async function openWhenIdle(place: Workplace): Promise<number> {
  await hashFolder(await folderWith(place, { a: "", b: content(2 * MIB) }), place);
  return openCount();
}

function assertHashes(hashed: HashedFolder, files: Readonly<Record<string, Uint8Array | string>>): void {
  const { layout, pieceHashes } = hashed;
  for (const [fileIndex, path] of pathsOf(hashed).entries()) {
    assert.equal(
      Buffer.from(layout.sha1Of(fileIndex)).toString("hex"),
      sha1Hex(Buffer.from(files[path] ?? "")),
      path,
    );
  }
  const torrent = torrentOf(hashed, files);
  const expected: Buffer[] = [];
  for (let at = 0; at < torrent.length; at += layout.pieceLengthBytes) {
    expected.push(
      createHash("sha1")
        .update(torrent.subarray(at, at + layout.pieceLengthBytes))
        .digest(),
    );
  }
  assert.equal(Buffer.from(pieceHashes).toString("hex"), Buffer.concat(expected).toString("hex"));
}

test("all hashes are those of the bytes, whatever the files and the piece length", async (t) => {
  const place = await workplaceFor(t);
  const source = content(3 * MIB);
  const lengths = fc.oneof(
    fc.nat(200),
    fc.nat(60 * KIB),
    fc.nat(source.length),
    fc.constantFrom(0, MIB - 1, MIB, MIB + 1, 2 * MIB, 16 * KIB, 64 * KIB),
  );
  const pieceLengths = fc.integer({ min: 14, max: 20 }).map((bits) => 2 ** bits);
  await fc.assert(
    fc.asyncProperty(
      fc.array(lengths, { minLength: 1, maxLength: 12 }),
      pieceLengths,
      async (all, pieceLengthBytes) => {
        const files = Object.fromEntries(
          all.map((length, index) => [`${index % 3}/${index}`, source.subarray(index, index + length)]),
        );
        const folder = await folderWith(place, files);
        const hashed = await hashFolder(folder, { ...place, pieceLengthBytes });
        assert.deepEqual(pathsOf(hashed), Object.keys(files).toSorted());
        assertHashes(hashed, files);
      },
    ),
    { numRuns: 20 },
  );
});

test("more small files than one job takes are hashed, links and empty files among them", async (t) => {
  const place = await workplaceFor(t);
  const files: Record<string, string> = {};
  for (let index = 0; index < 300; index++)
    files[`d${index % 7}/f${index}`] = index % 10 === 0 ? "" : `content ${index}`;
  const folder = await folderWith(place, files);
  for (let index = 0; index < 130; index++) symlinkSync("f0", join(folder, "d0", `a link ${index}`));
  const hashed = await hashFolder(folder, place);
  const { layout } = hashed;
  assert.equal(layout.fileCount, 430);
  assert.equal(layout.linkTargetOf(layout.indexOf("d0/a link 5") ?? -1), "d0/f0");
  for (const [path, text] of Object.entries(files)) {
    const sha1 = Buffer.from(layout.sha1Of(layout.indexOf(path) ?? -1)).toString("hex");
    assert.equal(sha1, sha1Hex(Buffer.from(text)), path);
  }
  assert.equal(hashed.pieceHashes.length, 20);
  const all = torrentOf(hashed, files);
  assert.equal(Buffer.from(hashed.pieceHashes).toString("hex"), sha1Hex(all));
});

test("the times, executable bits and piece length are those of the files, and a metainfo can be made of it", async (t) => {
  const place = await workplaceFor(t);
  const folder = await folderWith(place, { run: "#!", "a/data": content(2 * MIB) });
  await chmod(join(folder, "run"), 0o755);
  await symlink("a/data", join(folder, "link"));
  const { layout, facts, pieceHashes, leftOut } = await hashFolder(folder, place);
  assert.equal(layout.pieceLengthBytes, choosePieceLengthBytes(2 * MIB + 2));
  assert.deepEqual(
    [0, 1, 2].map((index) => layout.isExecutable(index)),
    [false, false, true],
  );
  assert.deepEqual([...facts.mtimesMs].slice(2), [(await stat(join(folder, "run"))).mtimeMs]);
  assert.deepEqual(leftOut, { fifos: 0, sockets: 0, devices: 0, ignored: 0, emptyFolders: 0 });
  const parts = { fileName: "folder", layout, pieceHashes, authorityPem: "PEM" };
  const { geometry } = await encodeFolderMetainfo(parts, async () => undefined);
  assert.equal(geometry.contentBytes, 2 * MIB + 2);
});

test("progress rises to the length of all files", async (t) => {
  const place = await workplaceFor(t);
  const folder = await folderWith(place, { a: content(3 * MIB + 1), b: "b", "c/d": content(MIB) });
  const seen: number[] = [];
  await hashFolder(folder, {
    ...place,
    onProgress: ({ hashedBytes, lengthBytes }) => {
      assert.equal(lengthBytes, 4 * MIB + 2);
      seen.push(hashedBytes);
    },
  });
  assert.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
  );
  assert.equal(seen.at(-1), 4 * MIB + 2);
});

test("a file that changes while the folder is hashed is named, and nothing is returned", async (t) => {
  const place = await workplaceFor(t);
  const openBefore = await openWhenIdle(place);
  const files = { a: content(2 * MIB), b: "small", "z/large": content(12 * MIB), "z/last": "small too" };
  for (const [title, path, change] of [
    ["one that was read already", "a", (file: string) => appendFileSync(file, "x")],
    ["a small one that was read already", "b", (file: string) => writeFileSync(file, "SMALL")],
    ["one that is being read", "z/large", (file: string) => appendFileSync(file, "x")],
    ["one that is being read, which shrinks", "z/large", (file: string) => writeFileSync(file, "x")],
    ["one to be read that grows", "z/last", (file: string) => appendFileSync(file, "x")],
    ["one to be read with another time alone", "z/last", (file: string) => utimesSync(file, 1, 1)],
    ["one to be read that is gone", "z/last", (file: string) => rmSync(file)],
    [
      "one to be read that is a link now",
      "z/last",
      (file: string) => {
        renameSync(file, `${file} moved`);
        symlinkSync("last moved", file);
      },
    ],
  ] as const) {
    const folder = await folderWith(place, files);
    let isChanged = false;
    const hashing = hashFolder(folder, {
      ...place,
      onProgress: ({ hashedBytes }) => {
        if (isChanged || hashedBytes < 4 * MIB) return;
        isChanged = true;
        change(join(folder, path));
      },
    });
    await assert.rejects(
      hashing,
      (error: Error & { code?: string }) => {
        assert.match(String(error.code), /^(FILE_CHANGED|FILE_NOT_FOUND)$/, title);
        assert.ok(error.message.startsWith(`${join(folder, path)} `), `${title}: ${error.message}`);
        return true;
      },
      title,
    );
    assert.ok(isChanged, title);
  }
  assert.equal(await openCount(), openBefore, "no file stays open");
});

test("a large file that became a link is not followed", async (t) => {
  const place = await workplaceFor(t);
  const folder = await folderWith(place, { a: content(8 * MIB), b: content(2 * MIB) });
  let isChanged = false;
  const hashing = hashFolder(folder, {
    ...place,
    onProgress: () => {
      if (isChanged) return;
      isChanged = true;
      renameSync(join(folder, "b"), join(place.folder, "outside"));
      symlinkSync(join(place.folder, "outside"), join(folder, "b"));
    },
  });
  await assert.rejects(hashing, (error: Error) => error.message.startsWith(`${join(folder, "b")} `));
});

test("hashing stops when it is aborted, with the signal's reason", async (t) => {
  const place = await workplaceFor(t);
  const folder = await folderWith(place, { a: content(8 * MIB), b: content(8 * MIB) });
  const openBefore = await openWhenIdle(place);
  const abort = new AbortController();
  const reason = new Error("enough");
  const hashing = hashFolder(folder, {
    ...place,
    signal: abort.signal,
    onProgress: () => abort.abort(reason),
  });
  await assert.rejects(hashing, (error) => error === reason);
  await assert.rejects(hashFolder(folder, { ...place, signal: abort.signal }), (error) => error === reason);
  assert.equal(await openCount(), openBefore, "no file stays open");
  const { layout } = await hashFolder(folder, place);
  assert.equal(layout.fileCount, 2, "the workers are free for others");
});

test("small files are hashed only if each has its length and time", async (t) => {
  const place = await workplaceFor(t);
  const folderPath = await folderWith(place, { a: "aa", "b/c": "ccc" });
  const paths = ["a", "b/c"];
  const times = await Promise.all(paths.map(async (path) => (await stat(join(folderPath, path))).mtimeMs));
  const chunk = place.disk.takeChunk();
  const hash = async (lengths: readonly number[], mtimesMs: readonly number[]): Promise<Uint8Array> => {
    const digest = place.disk.openDigest(0);
    const files = { lengths: Uint32Array.from(lengths), mtimesMs: Float64Array.from(mtimesMs) };
    try {
      await digest.updateFromFiles({ folderPath, paths, ...files }, chunk);
    } finally {
      await digest.finish();
    }
    return chunk.slice(0, 5);
  };
  assert.deepEqual(Buffer.from(await hash([2, 3], times)).toString(), "aaccc");
  for (const lengths of [
    [2, 2],
    [2, 4],
  ]) {
    await assert.rejects(hash(lengths, times), { code: "FILE_CHANGED", message: /b\/c changed/ });
  }
  await assert.rejects(hash([2, 3], [times[0] ?? 0, 5]), { code: "FILE_CHANGED", message: /b\/c changed/ });
});

test("a file that yields more bytes than its size, as those of /proc, is refused", async (t) => {
  const ioModule = "data:text/javascript,export const readSync = (fd, into, offset, length) => length;";
  const place = await workplaceFor(t, { ioModule });
  const folder = await folderWith(place, { a: "a" });
  await assert.rejects(hashFolder(folder, place), { code: "FILE_CHANGED", message: /\/a changed/ });
});

test("a disk that fails is told with the file that it failed at", async (t) => {
  const { href } = new URL("./faulty-io.ts", import.meta.url);
  const place = await workplaceFor(t, { ioModule: `${href}?read=EIO&after=3` });
  const small = await folderWith(place, { a: "a", "b/c": "c" });
  await assert.rejects(hashFolder(small, place), { code: "DISK_FAILED", message: /b\/c.*EIO/ });
  const large = await folderWith(place, { "d/e": content(2 * MIB) });
  await assert.rejects(hashFolder(large, place), { code: "DISK_FAILED", message: /d\/e.*EIO/ });
});

test("a path that cannot be shared is named, with what to do", async (t) => {
  const place = await workplaceFor(t);
  for (const [files, message] of [
    [{ "a/nul.txt": "" }, /"a\/nul\.txt" .* reserved on Windows.*\.minitorrentignore/],
    [{ Makefile: "", makefile: "" }, /"makefile" .* same as that of "Makefile".*\.minitorrentignore/],
    [{ "a\\b": "" }, /"a\\\\b" .* path separator/],
  ] as const) {
    const folder = await folderWith(place, files);
    if (readdirSync(folder).length < Object.keys(files).length) continue;
    await assert.rejects(hashFolder(folder, place), { code: "INVALID_ARGUMENT", message });
  }
  await assert.rejects(hashFolder(await folderWith(place, {}), place), {
    code: "INVALID_ARGUMENT",
    message: /no file that can be shared/,
  });
  await assert.rejects(hashFolder(join(place.folder, "gone"), place), withCode("FILE_NOT_FOUND"));
});
