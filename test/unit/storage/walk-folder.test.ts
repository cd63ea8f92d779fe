import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { test } from "node:test";
import type { DiskPool } from "../../../src/storage/disk-pool.ts";
import { PathKind } from "../../../src/storage/scan-jobs.ts";
import { type FoundFile, type LeftOut, walkFolder } from "../../../src/storage/walk-folder.ts";
import { folderFor, type Workplace, workplaceFor } from "./workplace.ts";

const yieldTurn = async () => undefined;

function write(folder: string, ...paths: string[]): void {
  for (const path of paths) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), path);
  }
}

async function walked({ folder, disk }: Workplace): Promise<{ files: FoundFile[]; leftOut: LeftOut }> {
  const files: FoundFile[] = [];
  const leftOut = await walkFolder(folder, { disk, yieldTurn }, (file) => void files.push(file));
  return { files, leftOut };
}

const pathsIn = async (place: Workplace) => (await walked(place)).files.map(({ path }) => path);

/** A disk with folders of those names and kinds. */
function fakeDisk(folders: Readonly<Record<string, readonly (readonly [string | Uint8Array, number])[]>>) {
  const disk: Pick<DiskPool, "listFolder" | "statFiles"> = {
    listFolder: async (path) =>
      Buffer.concat(
        (folders[path] ?? []).map(([name, kind]) =>
          Buffer.concat([Buffer.of(kind), Buffer.from(name), Buffer.of(0)]),
        ),
      ),
    statFiles: async (_, paths) => new Float64Array(paths.length * 4).fill(PathKind.FILE),
  };
  return disk;
}

test("files come in the byte order of their paths, whatever the folders", async (t) => {
  const place = await workplaceFor(t);
  const paths = ["a-b", "a/b", "a/c/d", "a0", "B", "z", "é", "\uff5e", "\u{1f600}/x", "a/c.txt", "a/c0"];
  write(place.folder, ...paths);
  assert.deepEqual(
    await pathsIn(place),
    paths.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  );
});

test("keys and profiles of daemons, trackers and clients are not shared, whatever the rules say", async (t) => {
  const place = await workplaceFor(t);
  write(place.folder, "film", "data/daemon/identity-key.pem", "data/daemon/accounts/a/profile.sqlite");
  write(
    place.folder,
    "data/client/trackers.sqlite",
    "data/client/accounts/a/profile.sqlite",
    "trackers.sqlite.txt",
  );
  writeFileSync(join(place.folder, ".minitorrentignore"), "!identity-key.pem\n!trackers.sqlite\n");
  const { files, leftOut } = await walked(place);
  assert.deepEqual(
    files.map(({ path }) => path),
    ["film", "trackers.sqlite.txt"],
  );
  assert.equal(leftOut.ignored, 2);
});

test("a thousand files in one folder and in many are each found once, with their lengths and times", async (t) => {
  const place = await workplaceFor(t);
  const paths = Array.from({ length: 300 }, (_, index) => [`flat/${index}`, `deep/${index}/file`]).flat();
  write(place.folder, ...paths);
  const { files } = await walked(place);
  assert.deepEqual(
    files.map(({ path }) => path),
    paths.toSorted(),
  );
  assert.ok(files.every(({ path, lengthBytes, mtimeMs }) => lengthBytes === path.length && mtimeMs > 0));
});

test("pipes, sockets and devices are left out and counted, as are empty folders", async (t) => {
  const place = await workplaceFor(t);
  write(place.folder, "a");
  mkdirSync(join(place.folder, "empty/deeper"), { recursive: true });
  execFileSync("mkfifo", [join(place.folder, "pipe"), join(place.folder, "other pipe")]);
  const server = createServer().listen(join(place.folder, "socket"));
  t.after(() => server.close());
  const { files, leftOut } = await walked(place);
  assert.deepEqual(
    files.map(({ path }) => path),
    ["a"],
  );
  assert.deepEqual(leftOut, { fifos: 2, sockets: 1, devices: 0, ignored: 0, emptyFolders: 1 });
  const disk = fakeDisk({ "/f/": [["null", PathKind.DEVICE]] });
  assert.equal((await walkFolder("/f/", { disk, yieldTurn }, () => undefined)).devices, 1);
});

test("a link inside the folder keeps what it points to, relative to the folder", async (t) => {
  const place = await workplaceFor(t);
  write(place.folder, "a/b/c", "d");
  symlinkSync("../../d", join(place.folder, "a/b/up"));
  symlinkSync("b/", join(place.folder, "a/down"));
  symlinkSync("./not there", join(place.folder, "dangling"));
  const { files } = await walked(place);
  assert.deepEqual(
    files
      .filter(({ linkTarget }) => linkTarget !== undefined)
      .map(({ path, linkTarget, lengthBytes }) => [path, linkTarget, lengthBytes]),
    [
      ["a/b/up", "d", 0],
      ["a/down", "a/b", 0],
      ["dangling", "not there", 0],
    ],
  );
});

test("a link that leaves the folder is refused with its path", async (t) => {
  const place = await workplaceFor(t);
  for (const [index, [target, message]] of (
    [
      ["/etc/passwd", /"a\/link" .* link to "\/etc\/passwd", an absolute path/],
      ["../../x", /"a\/link" .* link to "\.\.\/\.\.\/x", which leaves the folder/],
      ["b/../../../x", /which leaves the folder/],
      ["../..", /which leaves the folder/],
      ["..", /the shared folder itself/],
    ] as const
  ).entries()) {
    const folder = join(place.folder, String(index));
    write(folder, "a/b/c");
    symlinkSync(target, join(folder, "a/link"));
    await assert.rejects(walked({ ...place, folder }), { code: "INVALID_ARGUMENT", message });
  }
});

test("a name that is not UTF-8 is refused with its path", async (t) => {
  const disk = fakeDisk({ "/f": [["d", PathKind.FOLDER]], "/f/d": [[Buffer.of(0x61, 0xff), PathKind.FILE]] });
  await assert.rejects(
    walkFolder("/f", { disk, yieldTurn }, () => undefined),
    { code: "INVALID_ARGUMENT", message: /"d\/a\ufffd" .* not UTF-8/ },
  );
  const place = await workplaceFor(t);
  symlinkSync(Buffer.of(0x61, 0xff), join(place.folder, "link"));
  await assert.rejects(walked(place), { code: "INVALID_ARGUMENT", message: /"link" .* not UTF-8/ });
});

test("a name in another normal form is shared in form C where the file system takes both for one, else refused", async (t) => {
  const place = await workplaceFor(t);
  const [decomposed, composed] = ["Zoe\u0308", "Zoë"];
  write(place.folder, decomposed);
  await assert.rejects(walked(place), { code: "INVALID_ARGUMENT", message: /not in Unicode normal form C/ });
  // A second name of the same file stands for a file system to which both are one.
  linkSync(join(place.folder, decomposed), join(place.folder, composed));
  const disk = fakeDisk({ [place.folder]: [[decomposed, PathKind.FILE]] });
  const paths: string[] = [];
  await walkFolder(place.folder, { disk, yieldTurn }, ({ path }) => void paths.push(path));
  assert.deepEqual(paths, [composed]);
});

test("too many files end the walk, and so do too many folders in each other", async () => {
  const kind = String.fromCharCode(PathKind.FILE);
  const names = Array.from({ length: 200_001 }, (_, index) => `${kind}f${index}\0`).join("");
  let listed = 0;
  const flat = fakeDisk({});
  const disk: typeof flat = {
    ...flat,
    listFolder: async () => {
      listed++;
      return Buffer.from(names);
    },
  };
  await assert.rejects(
    walkFolder("/f", { disk, yieldTurn }, () => undefined),
    { code: "LIMIT_REACHED", message: /more than 200000 files/ },
  );
  assert.equal(listed, 1);
  const deep: typeof flat = {
    ...flat,
    listFolder: async () => Buffer.concat([Buffer.of(PathKind.FOLDER), Buffer.from("d\0")]),
  };
  await assert.rejects(
    walkFolder("/f", { disk: deep, yieldTurn }, () => undefined),
    { code: "INVALID_ARGUMENT", message: /more than 128 components/ },
  );
});

test("others have their turn while a large folder is looked through", async () => {
  const names = Array.from({ length: 5000 }, (_, index) => [`f${index}`, PathKind.FILE] as const);
  let turns = 0;
  await walkFolder(
    "/f",
    { disk: fakeDisk({ "/f": names }), yieldTurn: async () => void turns++ },
    () => undefined,
  );
  assert.ok(turns >= 10, `${turns} turns`);
});

test("unreadable files are named, and a file that became a folder meanwhile", async (t) => {
  const place = await workplaceFor(t);
  write(place.folder, "a", "b/c");
  const refused = new Error("EACCES");
  const unlisted = { ...fakeDisk({}), listFolder: () => Promise.reject(refused) };
  await assert.rejects(
    walkFolder("/f", { disk: unlisted, yieldTurn }, () => undefined),
    (error) => error === refused,
  );
  const disk = fakeDisk({ "/f": [["a", PathKind.LINK]] });
  await assert.rejects(
    walkFolder("/f", { disk, yieldTurn }, () => undefined),
    { code: "FILE_CHANGED", message: /^\/f\/a changed/ },
  );
  mkdirSync(join(place.folder, ".minitorrentignore"));
  await assert.rejects(walked(place), { code: "NOT_A_FILE", message: /\.minitorrentignore cannot be read/ });
});

test("the walk stops when it is aborted, with the signal's reason", async (t) => {
  const place = await workplaceFor(t);
  write(place.folder, "a/b/c", "d");
  const reason = new Error("enough");
  const abort = new AbortController();
  const disk = {
    statFiles: place.disk.statFiles.bind(place.disk),
    listFolder: (path: string) => {
      abort.abort(reason);
      return place.disk.listFolder(path);
    },
  };
  await assert.rejects(
    walkFolder(place.folder, { disk, yieldTurn, signal: abort.signal }, () => undefined),
    (error) => error === reason,
  );
});

test("litter of systems, unfinished downloads and this program's own files are left out, and .git is not", async (t) => {
  const place = await workplaceFor(t);
  write(
    place.folder,
    ...[".DS_Store", "a/.DS_Store", "._film", "Thumbs.db", "a/thumbs.DB", "desktop.ini", "$RECYCLE.BIN/x"],
    ...["film.part", "tree.part/a", ".film.minitorrent-rest/x", ".minitorrentignore", ".Trash-1000/files/x"],
    ...[".git/config", ".hidden", "part", "film.parts", "a/b", "thumbs.db.txt"],
  );
  writeFileSync(join(place.folder, ".minitorrentignore"), "");
  const { files, leftOut } = await walked(place);
  assert.deepEqual(
    files.map(({ path }) => path),
    [".git/config", ".hidden", "a/b", "film.parts", "part", "thumbs.db.txt"],
  );
  assert.equal(leftOut.ignored, 11);
});

test("what is hidden is left out for callers who may not have it", async (t) => {
  const { folder, disk } = await workplaceFor(t);
  write(folder, ".ssh/id", "a/.env", "a/b", "..x", "c.d");
  const paths: string[] = [];
  const options = { disk, yieldTurn, leavesOutHidden: true };
  const leftOut = await walkFolder(folder, options, ({ path }) => void paths.push(path));
  assert.deepEqual([paths, leftOut.ignored], [["a/b", "c.d"], 3]);
});

test("the rules are those of gitignore: negation, anchors, folders, **, comments, and of each folder's own file", async (t) => {
  const place = await workplaceFor(t);
  write(
    place.folder,
    ...["a.log", "keep.log", "build/x", "src/build/x", "top", "src/top", "docs/a/b/c.tmp", "#x", "film.part"],
    ...["src/own.log", "src/deep/own.log", "src/deep/other", "Build/x", "only-folder", "src/only-folder/x"],
  );
  writeFileSync(
    join(place.folder, ".minitorrentignore"),
    "\ufeff# comment\r\n*.log\n!keep.log\n/top\nbuild/\ndocs/**/*.tmp\n!*.part\nonly-folder/\n",
  );
  writeFileSync(join(place.folder, "src/.minitorrentignore"), "!own.log\n/deep/other\n");
  assert.deepEqual(await pathsIn(place), [
    ...["#x", "Build/x", "film.part", "keep.log", "only-folder"],
    ...["src/deep/own.log", "src/own.log", "src/top"],
  ]);
});

test("a folder with nothing in it has nothing", async (t) => {
  const folder = await folderFor(t);
  const { disk } = await workplaceFor(t);
  const leftOut = await walkFolder(folder, { disk, yieldTurn }, () => assert.fail("there is nothing"));
  assert.equal(leftOut.emptyFolders, 1);
});
