// Uploads over the local API: what comes is written beside its destination, gets its name when it is whole, and is never written over
// anything; what is given up leaves nothing.
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import { until } from "../../../harness/within.ts";
import { DaemonStore } from "../../../src/daemon/daemon-store.ts";
import { type UploadRequest, Uploads } from "../../../src/daemon/uploads.ts";
import { temporaryFolder } from "./fixture.ts";

const log = pino({ level: "silent" });

function setUp(t: TestContext) {
  const to = temporaryFolder(t);
  const store = new DaemonStore(temporaryFolder(t));
  const clock = { nowMs: 0 };
  const options = { store, log, folder: join(to, "own"), nowMs: () => clock.nowMs };
  const uploads = new Uploads(options);
  t.after(async () => {
    await uploads.close();
    store.close();
  });
  const request = (changes: Partial<UploadRequest> = {}): UploadRequest => ({
    ...{
      groupId: "films",
      name: "dune",
      kind: "file",
      destinationPath: to,
      lengthBytes: 10,
      isConfined: false,
    },
    ...changes,
  });
  return { to, store, clock, options, uploads, request };
}

async function* chunks(...texts: (string | Error)[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) {
    if (text instanceof Error) throw text;
    yield Buffer.from(text);
  }
}

const broken = () => Object.assign(new Error("aborted"), { code: "ECONNRESET" });
const shared = async (path: string): Promise<string> => path;

test("a folder gets its name once all of it has come, with every file in its place", async (t) => {
  const { to, store, uploads, request } = setUp(t);
  const { uploadId, path } = await uploads.begin(request({ kind: "folder", lengthBytes: 7 }));
  await uploads.receive(uploadId, "a/b/c", 0, chunks("123", "4"));
  await uploads.receive(uploadId, "a/empty", 0, chunks());
  assert.equal(existsSync(path), false);
  await assert.rejects(uploads.finish(uploadId, shared), { message: /4 B of 7 B of dune have come/ });
  await uploads.receive(uploadId, "d", 0, chunks("567"));
  assert.equal(await uploads.finish(uploadId, shared), path);
  assert.deepEqual(readdirSync(to, { recursive: true }).sort(), [
    ...["dune", "dune/a", "dune/a/b", "dune/a/b/c", "dune/a/empty", "dune/d"],
  ]);
  assert.equal(readFileSync(join(path, "a/b/c"), "utf8"), "1234");
  assert.deepEqual(store.uploadFolders(), []);
});

test("an empty folder, and an empty file, can be sent", async (t) => {
  const { to, uploads, request } = setUp(t);
  const folder = await uploads.begin(request({ kind: "folder", lengthBytes: 0 }));
  await uploads.finish(folder.uploadId, shared);
  const file = await uploads.begin(request({ name: "nothing", lengthBytes: 0 }));
  await uploads.receive(file.uploadId, "", 0, chunks());
  await uploads.finish(file.uploadId, shared);
  assert.deepEqual(readdirSync(to).sort(), ["dune", "nothing"]);
});

test("without a destination it goes to the daemon's own folder, which is made", async (t) => {
  const { to, uploads, request } = setUp(t);
  const { path } = await uploads.begin(request({ destinationPath: undefined }));
  assert.equal(path, join(to, "own", "dune"));
});

test("what has the name is never written over, whenever it came", async (t) => {
  const { to, uploads, request } = setUp(t);
  for (const kind of ["file", "folder"] as const) {
    const name = `a ${kind}`;
    const { uploadId, path } = await uploads.begin(request({ name, kind, lengthBytes: 1 }));
    await uploads.receive(uploadId, kind === "file" ? "" : "inside", 0, chunks("1"));
    await assert.rejects(uploads.begin(request({ name, kind })), { code: "FILE_EXISTS" });
    writeFileSync(path, "theirs");
    await assert.rejects(uploads.finish(uploadId, shared), {
      code: "FILE_EXISTS",
      message: `${path} is there already: rename one of them, or choose another destination.`,
    });
    await assert.rejects(uploads.begin(request({ name, kind })), { code: "FILE_EXISTS" });
    assert.equal(readFileSync(path, "utf8"), "theirs");
    renameSync(path, join(to, `theirs ${kind}`));
    assert.equal(await uploads.finish(uploadId, shared), path, "what came is still there");
  }
});

test("a path that could lead out, or that another system could not hold, is refused", async (t) => {
  const { uploads, request } = setUp(t);
  const { uploadId } = await uploads.begin(request({ kind: "folder" }));
  for (const path of [
    "",
    "..",
    "a/../b",
    "/etc/passwd",
    "a//b",
    "a/",
    "con",
    "a\u0000b",
    "a\\b",
    "x".repeat(256),
  ]) {
    await assert.rejects(uploads.receive(uploadId, path, 0, chunks("1")), { code: "INVALID_ARGUMENT" }, path);
  }
  await assert.rejects(uploads.begin(request({ name: "../dune" })), { code: "INVALID_ARGUMENT" });
  const file = await uploads.begin(request({ name: "file" }));
  await assert.rejects(uploads.receive(file.uploadId, "inside", 0, chunks("1")), {
    message: "file is a single file: leave path out.",
  });
});

test("a confined caller sends nothing hidden", async (t) => {
  const { uploads, request } = setUp(t);
  const { uploadId } = await uploads.begin(request({ kind: "folder", isConfined: true }));
  await assert.rejects(uploads.receive(uploadId, "a/.git/config", 0, chunks("1")), { code: "PATH_REFUSED" });
  const { uploadId: free } = await uploads.begin(request({ kind: "folder", name: "free" }));
  assert.deepEqual(await uploads.receive(free, "a/.git/config", 0, chunks("1")), { receivedBytes: 1 });
});

test("no link that somebody puts on the way is followed", async (t) => {
  const { to, store, uploads, request } = setUp(t);
  const outside = temporaryFolder(t);
  const { uploadId } = await uploads.begin(request({ kind: "folder" }));
  await uploads.receive(uploadId, "a/file", 0, chunks("1"));
  const stage = store.uploadFolders()[0]?.path ?? "";
  rmSync(join(stage, "dune/a"), { recursive: true });
  symlinkSync(outside, join(stage, "dune/a"));
  await assert.rejects(uploads.receive(uploadId, "a/other", 0, chunks("1")), {
    code: "DESTINATION_UNUSABLE",
  });
  symlinkSync(join(outside, "target"), join(stage, "dune/link"));
  await assert.rejects(uploads.receive(uploadId, "link", 0, chunks("1")), { code: "DESTINATION_UNUSABLE" });
  // Another folder in place of the one that was made.
  renameSync(stage, join(to, "moved"));
  symlinkSync(outside, stage);
  await assert.rejects(uploads.receive(uploadId, "b", 0, chunks("1")));
  assert.deepEqual(readdirSync(outside), []);
  rmSync(stage);
  mkdirSync(stage);
  await assert.rejects(uploads.receive(uploadId, "c", 0, chunks("1")));
  assert.deepEqual(readdirSync(stage), []);
  await uploads.cancel(uploadId);
  assert.deepEqual(readdirSync(outside), []);
});

test("no more is written than was declared, over all files", async (t) => {
  const { store, uploads, request } = setUp(t);
  const { uploadId } = await uploads.begin(request({ kind: "folder", lengthBytes: 5 }));
  await uploads.receive(uploadId, "a", 0, chunks("123"));
  await assert.rejects(uploads.receive(uploadId, "b", 0, chunks("45", "6")), {
    code: "INVALID_ARGUMENT",
    message: /More than the 5 B that were declared for dune/,
  });
  const stage = store.uploadFolders()[0]?.path ?? "";
  assert.equal(readFileSync(join(stage, "dune/b"), "utf8"), "45");
  assert.deepEqual(uploads.progress(uploadId, undefined), { receivedBytes: 5, lengthBytes: 5 });
});

test("a broken connection loses nothing: the file is continued from any place that has come", async (t) => {
  const { uploads, request } = setUp(t);
  const { uploadId, path } = await uploads.begin(request());
  await assert.rejects(uploads.receive(uploadId, "", 0, chunks("0123", "45", broken())), {
    code: "ECONNRESET",
  });
  assert.deepEqual(uploads.progress(uploadId, ""), { receivedBytes: 6, lengthBytes: 10 });
  await assert.rejects(uploads.receive(uploadId, "", 7, chunks("789")), {
    message: "offset: 6 bytes of dune are here; continue there.",
  });
  assert.deepEqual(await uploads.receive(uploadId, "", 4, chunks("456789")), { receivedBytes: 10 });
  await uploads.finish(uploadId, shared);
  assert.equal(readFileSync(path, "utf8"), "0123456789");
});

test("each part is on the disk before the next one is taken", async (t) => {
  const { store, uploads, request } = setUp(t);
  const { uploadId } = await uploads.begin(request());
  const onDisk: string[] = [];
  const parts = async function* (): AsyncGenerator<Uint8Array> {
    for (const part of ["012", "345", "6789"]) {
      yield Buffer.from(part);
      onDisk.push(readFileSync(join(store.uploadFolders()[0]?.path ?? "", "dune"), "utf8"));
    }
  };
  await uploads.receive(uploadId, "", 0, parts());
  assert.deepEqual(onDisk, ["012", "012345", "0123456789"]);
});

test("a file is written by one at a time", async (t) => {
  const { uploads, request } = setUp(t);
  const { uploadId } = await uploads.begin(request());
  const gate = Promise.withResolvers<void>();
  const first = uploads.receive(
    uploadId,
    "",
    0,
    (async function* () {
      yield Buffer.from("01234");
      await gate.promise;
    })(),
  );
  await assert.rejects(uploads.receive(uploadId, "", 0, chunks("x")), {
    status: 429,
    message: /^dune is being written: wait a moment/,
  });
  await assert.rejects(uploads.finish(uploadId, shared), { code: "INVALID_ARGUMENT" });
  gate.resolve();
  assert.deepEqual(await first, { receivedBytes: 5 });
});

test("one that is cancelled while it is written to ends, and leaves nothing", async (t) => {
  const { to, store, uploads, request } = setUp(t);
  const { uploadId } = await uploads.begin(request());
  const gate = Promise.withResolvers<void>();
  const receiving = uploads.receive(
    uploadId,
    "",
    0,
    (async function* () {
      yield Buffer.from("01234");
      await gate.promise;
      yield Buffer.from("5");
    })(),
  );
  await until(() => uploads.progress(uploadId, "").receivedBytes === 5, "some has come");
  await uploads.cancel(uploadId);
  gate.resolve();
  await assert.rejects(receiving, { code: "UNKNOWN_UPLOAD" });
  assert.deepEqual(readdirSync(to), []);
  assert.deepEqual(store.uploadFolders(), []);
});

test("sixteen are under way at a time, and only as much as the disk has room for", async (t) => {
  const { uploads, request } = setUp(t);
  await assert.rejects(uploads.begin(request({ lengthBytes: 2 ** 52 })), { code: "DISK_FULL" });
  for (let i = 0; i < 16; i++) await uploads.begin(request({ name: `file ${i}` }));
  await assert.rejects(uploads.begin(request()), { code: "LIMIT_REACHED", status: 429 });
});

test("what was promised to one upload is no room for the next", async (t) => {
  const { to, store, options, request } = setUp(t);
  const uploads = new Uploads({ ...options, freeBytes: async () => 100 });
  t.after(() => uploads.close());
  const { uploadId } = await uploads.begin(request({ lengthBytes: 60 }));
  await assert.rejects(uploads.begin(request({ name: "other", lengthBytes: 60 })), { code: "DISK_FULL" });
  await uploads.cancel(uploadId);
  await uploads.begin(request({ name: "other", lengthBytes: 60 }));
  assert.equal(store.uploadFolders().length, 1);
  assert.equal(readdirSync(to).length, 1);
});

test("one for which nothing comes for an hour is removed, and one that is being written to stays", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const { clock, uploads, request } = setUp(t);
  const idle = await uploads.begin(request({ name: "idle" }));
  const used = await uploads.begin(request({ name: "used" }));
  const gate = Promise.withResolvers<void>();
  const receiving = uploads.receive(
    used.uploadId,
    "",
    0,
    (async function* () {
      await gate.promise;
      yield Buffer.from("1");
    })(),
  );
  clock.nowMs = 3_600_000;
  t.mock.timers.tick(60_000);
  assert.throws(() => uploads.progress(idle.uploadId, undefined), { code: "UNKNOWN_UPLOAD" });
  gate.resolve();
  assert.deepEqual(await receiving, { receivedBytes: 1 });
});

test("what a crash left is removed at the next start, and nothing else", async (t) => {
  const { to, store, options, uploads, request } = setUp(t);
  const { uploadId } = await uploads.begin(request());
  await uploads.receive(uploadId, "", 0, chunks("1"));
  const replaced = await uploads.begin(request({ name: "replaced" }));
  const [, stage = ""] = store.uploadFolders().map(({ path }) => path);
  assert.match(stage, new RegExp(replaced.uploadId));
  rmSync(stage, { recursive: true });
  mkdirSync(stage);
  writeFileSync(join(stage, "theirs"), "theirs");
  const next = new Uploads(options);
  await next.close();
  assert.deepEqual(
    readdirSync(to, { recursive: true }),
    [stage, join(stage, "theirs")].map((path) => path.slice(to.length + 1)),
  );
  assert.deepEqual(store.uploadFolders(), []);
});

test("when sharing fails, it is tried again with what came", async (t) => {
  const { uploads, request } = setUp(t);
  const { uploadId, path } = await uploads.begin(request({ lengthBytes: 1 }));
  await uploads.receive(uploadId, "", 0, chunks("1"));
  const failing = async () => {
    throw new Error("no tracker");
  };
  await assert.rejects(uploads.finish(uploadId, failing), /no tracker/);
  assert.equal(readFileSync(path, "utf8"), "1");
  assert.equal(await uploads.finish(uploadId, shared), path);
  await assert.rejects(uploads.finish(uploadId, shared), { code: "UNKNOWN_UPLOAD" });
});
