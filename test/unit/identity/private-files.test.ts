// What is written must be there after a power cut: which files and folders are synced, and when.
import assert from "node:assert/strict";
import fs, {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import {
  makePrivateFolder,
  renameDurably,
  syncFolder,
  writePrivate,
} from "../../../src/identity/private-files.ts";
import { openIdentity } from "../../../src/identity/stored-identity.ts";

/** Paths in the order in which they are renamed to, and synced. */
function watched(t: TestContext, folder: string): string[] {
  const seen: string[] = [];
  const { renameSync, fsyncSync } = fs;
  const named = (path: string) => path.replace(folder, ".");
  t.mock.method(fs, "renameSync", (from: string, to: string) => {
    renameSync(from, to);
    seen.push(`name ${named(to)}`);
  });
  t.mock.method(fs, "fsyncSync", (file: number) => {
    seen.push(`sync ${named(readlinkSync(`/proc/self/fd/${file}`))}`);
    fsyncSync(file);
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  return seen;
}

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "private-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

const isLinux = process.platform === "linux";

test("a name is on disk before anything that relies on it is written", {
  skip: !isLinux && "needs /proc",
}, async (t) => {
  const folder = temporaryFolder(t);
  const seen = watched(t, folder);
  openIdentity(folder, { name: "This device", newKey: "." });
  assert.deepEqual(
    seen.filter((step) => !step.endsWith(".new")),
    ["name ./identity-key.pem", "sync .", "name ./identity-certificate.pem", "sync ."],
  );
});

test("a rename from one folder to another syncs both", { skip: !isLinux && "needs /proc" }, (t) => {
  const [from, to] = [temporaryFolder(t), temporaryFolder(t)];
  writePrivate(join(from, "a"), "text");
  assert.equal(statSync(join(from, "a")).mode & 0o777, 0o600);
  const seen = watched(t, "");
  renameDurably(join(from, "a"), join(to, "b"));
  assert.deepEqual(
    seen.map((step) => step.replace(".", "")),
    [`name ${join(to, "b")}`, `sync ${to}`, `sync ${from}`],
  );
  assert.equal(readFileSync(join(to, "b"), "utf8"), "text");
});

test("a new text is on disk before it has its name, and another reader never sees a part of it", {
  skip: !isLinux && "needs /proc",
}, (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, "a");
  writePrivate(path, "earlier");
  const { writeFileSync } = fs;
  const options: unknown[] = [];
  t.mock.method(fs, "writeFileSync", (file: string, text: string, given: fs.WriteFileOptions) => {
    options.push(given);
    assert.notEqual(file, path);
    writeFileSync(file, text, given);
    assert.equal(readFileSync(path, "utf8"), "earlier");
  });
  const seen = watched(t, folder);
  writePrivate(path, "later");
  assert.deepEqual(options, [{ mode: 0o600, flush: true }]);
  assert.deepEqual(seen.slice(-2), ["name ./a", "sync ."]);
  assert.equal(readFileSync(path, "utf8"), "later");
  assert.deepEqual(readdirSync(folder), ["a"]);
});

test("a file system that cannot sync folders is borne, a disk that fails is not, and no descriptor stays open", {
  skip: !isLinux && "needs /proc",
}, (t) => {
  const folder = temporaryFolder(t);
  let code = "";
  t.mock.method(fs, "fsyncSync", () => {
    throw Object.assign(new Error(code), { code });
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  const openCount = (): number => readdirSync("/proc/self/fd").length;
  const before = openCount();
  for (code of ["EINVAL", "ENOTSUP", "EPERM", "EISDIR"]) syncFolder(folder);
  for (code of ["EIO", "ENOSPC"]) assert.throws(() => syncFolder(folder), { code });
  assert.throws(() => syncFolder(join(folder, "none")), { code: "ENOENT" });
  assert.equal(openCount(), before);
});

const modeOf = (path: string): number => statSync(path).mode & 0o777;

test("a data directory is made, with its parents, for its owner alone, also one that was open to others", (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, "a", "b");
  makePrivateFolder(path);
  assert.deepEqual([modeOf(path), modeOf(join(folder, "a"))], [0o700, 0o700]);
  chmodSync(path, 0o755);
  makePrivateFolder(path);
  assert.equal(modeOf(path), 0o700);
  writeFileSync(join(folder, "file"), "");
  assert.throws(() => makePrivateFolder(join(folder, "file", "x")), {
    code: "DISK_FAILED",
    message: /^The data directory .*x cannot be used: /,
  });
});

test("the name of a data directory that is made is on the disk before anything is in it", (t) => {
  const folder = temporaryFolder(t);
  const synced: unknown[] = [];
  const opened = new Map<number, unknown>();
  const { openSync, fsyncSync } = fs;
  t.mock.method(fs, "openSync", (...given: Parameters<typeof openSync>) => {
    const descriptor = openSync(...given);
    opened.set(descriptor, given[0]);
    return descriptor;
  });
  t.mock.method(fs, "fsyncSync", (descriptor: number) => {
    synced.push(opened.get(descriptor));
    fsyncSync(descriptor);
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  makePrivateFolder(join(folder, "a", "b"));
  assert.deepEqual(synced, [folder], "the folder that has the first new name");
  makePrivateFolder(join(folder, "a", "b"));
  assert.equal(synced.length, 1);
});
