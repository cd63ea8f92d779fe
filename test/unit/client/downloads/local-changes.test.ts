// What was changed or added in a version that is replaced is kept beside the new one, under names that say so.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, type TestContext, test } from "node:test";
import {
  type AsideVersion,
  keepLocalChanges,
  withNote,
} from "../../../../src/client/downloads/local-changes.ts";
import { Geometry } from "../../../../src/metainfo/geometry.ts";
import type { FolderMetainfo, Metainfo } from "../../../../src/metainfo/metainfo.ts";
import { createStorageResources } from "../../../../src/storage/storage-resources.ts";
import { folderOf, PIECE_BYTES } from "../download-fixture.ts";

/** Elsewhere names are Unicode. */
const notOnLinux = process.platform === "linux" ? false : "names are Unicode here";
const storage = createStorageResources();
after(() => storage.disk.close());

/** Half past two in the afternoon, in whatever zone the machine has. */
const CHANGED = new Date(2026, 10, 28, 14, 30);
const NOTE = "changed here 2026-11-28 14.30";
const OLD_FILES = { "a.txt": "old a", "docs/b.txt": "old b", "docs/c.txt": "old c", gone: "old gone" };

async function stage(t: TestContext, oldFiles: Record<string, string> = OLD_FILES) {
  const root = await mkdtemp(join(tmpdir(), "minitorrent-changes-"));
  t.after(() => rm(root, { recursive: true }));
  const aside = join(root, "aside");
  const place = join(root, "place");
  mkdirSync(place);
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  };
  const { metainfo } = await folderOf("place", oldFiles);
  const { layout } = metainfo;
  for (const [path, text] of Object.entries(oldFiles)) put(join(aside, path), text);
  const times = Array.from(
    { length: layout.fileCount },
    (_, i) => statSync(join(aside, layout.pathOf(i))).mtimeMs,
  );
  const version: AsideVersion = { path: aside, metainfo, mtimeMsOf: (index) => times[index] };
  const change = (path: string, text: string): void => {
    put(join(aside, path), text);
    utimesSync(join(aside, path), CHANGED, CHANGED);
  };
  const keep = async () =>
    (await keepLocalChanges(version, place, storage)).map((path) => path.slice(place.length + 1)).sort();
  return { root, aside, place, version, put, change, keep };
}

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();

test("a version that nobody touched stays where it is", async (t) => {
  const { aside, place, keep } = await stage(t);
  assert.deepEqual(await keep(), []);
  assert.deepEqual([filesIn(aside), filesIn(place)], [Object.keys(OLD_FILES).sort(), []]);
});

test("a changed file is kept beside the new one under a name with the time of the change", async (t) => {
  const { aside, place, put, change, keep } = await stage(t);
  put(join(place, "a.txt"), "new a");
  change("a.txt", "my a");
  change("docs/b.txt", "my b");
  const expected = [`a (${NOTE}).txt`, `docs/b (${NOTE}).txt`];
  assert.deepEqual(await keep(), expected);
  assert.deepEqual(
    expected.map((path) => readFileSync(join(place, path), "utf8")),
    ["my a", "my b"],
  );
  assert.equal(readFileSync(join(place, "a.txt"), "utf8"), "new a");
  assert.deepEqual(filesIn(aside), ["docs/c.txt", "gone"]);
});

test("a file of which only the time is another one is not changed", async (t) => {
  const { aside, keep } = await stage(t);
  utimesSync(join(aside, "a.txt"), CHANGED, CHANGED);
  assert.deepEqual(await keep(), []);
});

test("a file of the same length with other content is changed", async (t) => {
  const { change, keep } = await stage(t);
  change("a.txt", "Old a");
  assert.deepEqual(await keep(), [`a (${NOTE}).txt`]);
});

test("added files keep their names, also in folders that the new version does not have", async (t) => {
  const { place, change, keep } = await stage(t);
  change("added.txt", "mine");
  change("my/own/deep.txt", "mine too");
  assert.deepEqual(await keep(), ["added.txt", "my/own/deep.txt"]);
  assert.equal(readFileSync(join(place, "my", "own", "deep.txt"), "utf8"), "mine too");
});

test("an added file whose name the new version has too is kept beside it", async (t) => {
  const { place, put, change, keep } = await stage(t);
  change("added.txt", "mine");
  put(join(place, "added.txt"), "theirs");
  assert.deepEqual(await keep(), [`added (added here 2026-11-28 14.30).txt`]);
  assert.equal(readFileSync(join(place, "added.txt"), "utf8"), "theirs");
});

test("a folder with an added file whose name is a file's, or a link's, in the new version gets another name", async (t) => {
  const { root, place, put, change, keep } = await stage(t);
  change("x/added.txt", "mine");
  change("out/added.txt", "mine too");
  put(join(place, "x"), "a file by now");
  mkdirSync(join(root, "elsewhere"));
  symlinkSync(join(root, "elsewhere"), join(place, "out"));
  assert.deepEqual(await keep(), ["out (here)/added.txt", "x (here)/added.txt"]);
  assert.deepEqual(readdirSync(join(root, "elsewhere")), [], "nothing is written through a link");
});

test("two files that were changed in one minute, in two updates, have two names", async (t) => {
  const { aside, place, put, change, keep } = await stage(t);
  change("a.txt", "first");
  await keep();
  put(join(aside, "a.txt"), "second");
  utimesSync(join(aside, "a.txt"), CHANGED, CHANGED);
  assert.deepEqual(await keep(), [`a (${NOTE} 2).txt`]);
  assert.deepEqual(
    [`a (${NOTE}).txt`, `a (${NOTE} 2).txt`].map((path) => readFileSync(join(place, path), "utf8")),
    ["first", "second"],
  );
});

test("a link, and a file in the place of a link, are kept as they are", async (t) => {
  const { aside, place, keep } = await stage(t);
  symlinkSync("/nowhere", join(aside, "my-link"));
  assert.deepEqual(await keep(), ["my-link"]);
  assert.equal(readlinkSync(join(place, "my-link")), "/nowhere");
});

test("a link that came with the version and was made to lead elsewhere is kept", async (t) => {
  const { aside, place, version } = await stage(t);
  const { layout } = version.metainfo as FolderMetainfo;
  const isLink = (index: number) => layout.pathOf(index) === "gone";
  t.mock.method(layout, "linkTargetOf", (index: number) => (isLink(index) ? "docs/b.txt" : undefined));
  const link = join(aside, "gone");
  const target = async (text: string): Promise<string[]> => {
    await rm(link, { force: true });
    symlinkSync(text, link);
    return await keepLocalChanges(version, place, storage);
  };
  assert.deepEqual(await target("docs/b.txt"), []);
  const [kept = ""] = await target("docs/c.txt");
  assert.equal(readlinkSync(kept), "docs/c.txt");
});

test("an added file whose name is not UTF-8 is kept under a name that is", {
  skip: notOnLinux,
}, async (t) => {
  const { aside, place, keep } = await stage(t);
  const named = (folder: string, name: string) =>
    Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name, "latin1")]);
  writeFileSync(named(aside, "caf\u00e9.txt"), "mine");
  mkdirSync(join(aside, "caf\u00e9 (renamed here).txt"));
  mkdirSync(named(aside, "\u00e9t\u00e9"));
  writeFileSync(Buffer.concat([named(aside, "\u00e9t\u00e9"), Buffer.from("/x")]), "deep");
  const expected = ["caf\u00e9 (renamed here 2).txt", "\u00e9t\u00e9 (renamed here)/x"];
  assert.deepEqual(await keep(), expected);
  assert.deepEqual(
    expected.map((path) => readFileSync(join(place, path), "utf8")),
    ["mine", "deep"],
  );
});

test("what was added to a folder is kept beside a new version that is a single file, or gone", async (t) => {
  const { root, place, version, change } = await stage(t);
  await rm(place, { recursive: true });
  writeFileSync(place, "a file by now");
  change("added.txt", "mine");
  assert.deepEqual(await keepLocalChanges(version, place, storage), [
    join(root, "place (here)", "added.txt"),
  ]);
  assert.equal(readFileSync(place, "utf8"), "a file by now");
  await rm(place);
  change("docs/added.txt", "mine too");
  assert.deepEqual(await keepLocalChanges(version, place, storage), [join(place, "docs", "added.txt")]);
});

test("done again after it was cut off, it keeps what was left", async (t) => {
  const { aside, place, change, keep } = await stage(t);
  change("a.txt", "my a");
  change("docs/b.txt", "my b");
  chmodSync(aside, 0o755);
  mkdirSync(join(place, "docs"));
  await keep();
  change("docs/late.txt", "written late");
  assert.deepEqual(await keep(), ["docs/late.txt"]);
  await rm(aside, { recursive: true });
  assert.deepEqual(await keep(), [], "all of it is gone");
});

test("a single file that was changed is kept beside the new version; one that was not stays aside", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "minitorrent-changes-"));
  t.after(() => rm(root, { recursive: true }));
  const [aside, place] = [join(root, ".aside"), join(root, "film.mkv")];
  writeFileSync(aside, "the film");
  const metainfo: Metainfo = {
    ...{
      kind: "file",
      fileName: "film.mkv",
      geometry: new Geometry(8, PIECE_BYTES),
      pieceHashes: new Uint8Array(20),
    },
    ...{ sha1: createHash("sha1").update("the film").digest("hex"), authorityPem: "" },
    ...{ info: new Uint8Array(), infoHash: "" },
  };
  const version: AsideVersion = { path: aside, metainfo, mtimeMsOf: () => 1 };
  assert.deepEqual(await keepLocalChanges(version, place, storage), []);
  writeFileSync(aside, "my cut of the film");
  utimesSync(aside, CHANGED, CHANGED);
  const kept = join(root, `film (${NOTE}).mkv`);
  assert.deepEqual(await keepLocalChanges(version, place, storage), [kept]);
  assert.deepEqual([existsSync(aside), readFileSync(kept, "utf8")], [false, "my cut of the film"]);
});

test("a name that would be too long gives way at its end, and no character is cut in the middle", () => {
  assert.equal(withNote("notes.txt", "changed here"), "notes (changed here).txt");
  assert.equal(withNote(".bashrc", "changed here"), ".bashrc (changed here)");
  const name = withNote(`${"\u00e9".repeat(125)}.txt`, "changed here");
  assert.ok(Buffer.byteLength(name) <= 255);
  assert.match(name, /^\u00e9+ \(changed here\)\.txt$/);
});
