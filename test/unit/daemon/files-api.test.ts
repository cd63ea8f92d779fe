// What the page needs of this machine's files, over the local API: folders, destinations, uploads, schedule, activity, speed.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { freePorts } from "../../../harness/processes.ts";
import { until, within } from "../../../harness/within.ts";
import { ApiClient } from "../../../src/daemon/api-client.ts";
import { download, startDaemon, temporaryFolder } from "./fixture.ts";

/** A daemon that is reached over TCP, where paths are confined to one root. */
async function confined(t: TestContext) {
  const root = temporaryFolder(t);
  const [port = 0] = await freePorts(1);
  const web = { address: { host: "127.0.0.1", port }, hostNames: [], roots: [root] };
  const running = await startDaemon(t, temporaryFolder(t), web);
  const { token } = await running.api.call("createToken", { name: "page", scope: "control" });
  return { ...running, root, remote: new ApiClient({ host: "127.0.0.1", port, token }) };
}

test("over TCP a folder shows what may be used: nothing hidden, no link that leads out, no way above a root", async (t) => {
  const { api, remote, root } = await confined(t);
  for (const name of ["b", "a", ".ssh"]) mkdirSync(join(root, name));
  for (const name of ["file10", "file9", ".env"]) writeFileSync(join(root, name), "12345");
  symlinkSync("/etc", join(root, "out"));
  symlinkSync(join(root, "a"), join(root, "within"));
  const { items, parent, path } = await remote.call("folder", { path: root });
  assert.deepEqual([path, parent], [root, undefined]);
  assert.deepEqual(
    items.map(({ name, kind, lengthBytes }) => [name, kind, lengthBytes]),
    [
      ["a", "folder", undefined],
      ["b", "folder", undefined],
      ["within", "folder", undefined],
      ["file9", "file", 5],
      ["file10", "file", 5],
    ],
  );
  await assert.rejects(remote.call("folder", { path: join(root, "out") }), { code: "PATH_REFUSED" });
  const unconfined = await api.call("folder", { path: root });
  assert.equal(unconfined.parent, join(root, ".."));
  assert.deepEqual(
    unconfined.items.map(({ name }) => name).filter((name) => name.startsWith(".") || name === "out"),
    [".ssh", "out", ".env"],
  );
  const { roots } = await remote.call("roots", {});
  assert.deepEqual(
    roots.map((one) => one.path),
    [root],
  );
});

test("a folder is made where the caller may, once", async (t) => {
  const { remote, root } = await confined(t);
  assert.deepEqual(await remote.call("makeFolder", { path: join(root, "new") }), { path: join(root, "new") });
  await assert.rejects(remote.call("makeFolder", { path: join(root, "new") }), { code: "FILE_EXISTS" });
  await assert.rejects(remote.call("makeFolder", { path: join(root, ".new") }), { code: "PATH_REFUSED" });
  assert.deepEqual(readdirSync(root), ["new"]);
});

test("folders of earlier downloads of the group are suggested first, then those of others, then the daemon's own", async (t) => {
  const { api, client } = await startDaemon(t);
  const [ofGroup, ofOther] = [temporaryFolder(t), temporaryFolder(t)];
  client.downloadList = [
    download({ groupId: "films", fileName: "old", destinationPath: join(ofGroup, "old") }),
    download({ groupId: "music", fileName: "song", destinationPath: join(ofOther, "song") }),
    download({ groupId: "films", fileName: "gone", destinationPath: "/nowhere/gone" }),
  ];
  const input = { groupId: "films", fileName: "dune", lengthBytes: 1_000 };
  const suggested = await api.call("destinations", input);
  assert.deepEqual(
    suggested.map(({ path, usedBefore, fits }) => [path, usedBefore, fits]),
    [
      [ofGroup, true, true],
      [ofOther, true, true],
      [suggested.at(-1)?.path, false, true],
    ],
  );
  assert.match(suggested.at(-1)?.path ?? "", /downloads$/);
  const tooMuch = await api.call("destinations", { ...input, lengthBytes: 2 ** 52 });
  assert.deepEqual(new Set(tooMuch.map(({ fits }) => fits)), new Set([false]));
  client.downloadList = [download({ destinationPath: join(ofGroup, "old"), lengthBytes: 2 ** 52 })];
  assert.equal((await api.call("destinations", input))[0]?.fits, false, "a running download needs the room");
});

test("over TCP no destination outside the roots is suggested", async (t) => {
  const { client, remote, root } = await confined(t);
  client.downloadList = [
    download({ destinationPath: join(temporaryFolder(t), "old") }),
    download({ destinationPath: join(root, "old") }),
  ];
  const suggested = await remote.call("destinations", { groupId: "films", fileName: "dune", lengthBytes: 1 });
  assert.deepEqual(
    suggested.map(({ path }) => path),
    [root],
  );
});

test("the daemon's own folder is a folder as destination, also before it is made", async (t) => {
  const { api, client } = await startDaemon(t);
  const [own] = await api.call("destinations", { groupId: "films", fileName: "dune", lengthBytes: 1 });
  const destinations: string[] = [];
  Object.assign(client, {
    downloadFile: async (_groupId: string, _fileName: string, destinationPath: string) => {
      destinations.push(destinationPath);
      return download();
    },
  });
  for (const destinationPath of [own?.path ?? "", "/elsewhere"])
    await api.call("downloadFile", { groupId: "films", fileName: "dune", destinationPath });
  assert.deepEqual(destinations, [`${own?.path}/`, "/elsewhere"]);
});

test("an upload begins only where it can be shared: by a member, and over TCP in the roots under a name that is not hidden", async (t) => {
  const { api, remote, root } = await confined(t);
  const file = { groupId: "films", name: "dune", kind: "file" as const, lengthBytes: 1 };
  await assert.rejects(api.call("beginUpload", file), { code: "NOT_LOGGED_IN" });
  await api.call("login", { userId: "ann", password: "right" });
  await assert.rejects(api.call("beginUpload", { ...file, groupId: "music" }), { code: "NOT_A_MEMBER" });
  const refused = [
    file,
    { ...file, name: ".dune", destinationPath: root },
    { ...file, destinationPath: "/tmp" },
  ];
  for (const input of refused)
    await assert.rejects(remote.call("beginUpload", input), { code: "PATH_REFUSED" }, JSON.stringify(input));
  const { uploadId } = await remote.call("beginUpload", { ...file, kind: "folder", destinationPath: root });
  await assert.rejects(remote.sendContent(uploadId, { inside: ".git/config" }, Buffer.from("1")), {
    code: "PATH_REFUSED",
  });
});

test("a file is sent in parts, continued after a break, and shared once all has come", async (t) => {
  const { api, client } = await startDaemon(t);
  await api.call("login", { userId: "ann", password: "right" });
  const shared: unknown[] = [];
  client.uploadFile = async (...given) => {
    shared.push(given.slice(0, 2));
    return {
      groupId: "films",
      fileName: "dune",
      lengthBytes: 10,
      pieceCount: 1,
      joinedSwarm: false,
      replacesEarlier: false,
    };
  };
  const to = temporaryFolder(t);
  const begun = {
    groupId: "films",
    name: "dune",
    kind: "file" as const,
    destinationPath: to,
    lengthBytes: 10,
  };
  const { uploadId, path } = await api.call("beginUpload", begun);
  assert.equal(path, join(to, "dune"));
  assert.deepEqual(await api.sendContent(uploadId, {}, Buffer.from("01234")), { receivedBytes: 5 });
  await assert.rejects(api.call("finishUpload", { uploadId }), { message: /5 B of 10 B/ });
  await assert.rejects(api.sendContent(uploadId, { offset: 9 }, Buffer.from("x")), { message: /5 bytes/ });
  for (const path of [undefined, ""])
    assert.deepEqual(await api.call("upload", { uploadId, path }), { receivedBytes: 5, lengthBytes: 10 });
  await api.sendContent(uploadId, { offset: 5 }, Buffer.from("56789"));
  await api.call("finishUpload", { uploadId });
  assert.deepEqual(shared, [[join(to, "dune"), "films"]]);
  assert.equal(readFileSync(join(to, "dune"), "utf8"), "0123456789");
  assert.deepEqual(readdirSync(to), ["dune"]);
  const [noted] = (await api.call("activity", { groupId: "films" })).items;
  assert.partialDeepStrictEqual(noted, { type: "file-shared", fileName: "dune", userId: "ann" });
});

test("a cancelled upload leaves nothing", async (t) => {
  const { api } = await startDaemon(t);
  await api.call("login", { userId: "ann", password: "right" });
  const to = temporaryFolder(t);
  const begun = {
    groupId: "films",
    name: "dune",
    kind: "folder" as const,
    destinationPath: to,
    lengthBytes: 10,
  };
  const { uploadId } = await api.call("beginUpload", begun);
  await api.sendContent(uploadId, { inside: "a/b" }, Buffer.from("01234"));
  await api.call("cancelUpload", { uploadId });
  assert.deepEqual(readdirSync(to), []);
  await assert.rejects(api.sendContent(uploadId, { inside: "a/c" }, Buffer.from("x")), {
    code: "UNKNOWN_UPLOAD",
  });
});

test("the schedule is kept, and limits say which rule holds", async (t) => {
  const folder = temporaryFolder(t);
  const { api, client, daemon } = await startDaemon(t, folder);
  const rule = { days: [0, 1, 2, 3, 4, 5, 6], from: "00:00", to: "00:00", up: 20_000, down: null };
  assert.deepEqual(await api.call("setSchedule", { rules: [rule] }), { rules: [rule] });
  assert.deepEqual(client.calls, [["overrideLimits", { up: 20_000, down: undefined }]]);
  assert.deepEqual((await api.call("limits", {})).rule, rule);
  await daemon.close();
  const second = await startDaemon(t, folder);
  assert.deepEqual(await second.api.call("schedule", {}), { rules: [rule] });
  assert.deepEqual(second.client.calls, [["overrideLimits", { up: 20_000, down: undefined }]]);
});

test("what happened in a group is told newest first, also by the next daemon", async (t) => {
  const folder = temporaryFolder(t);
  const { api, client, daemon } = await startDaemon(t, folder);
  await assert.rejects(api.call("activity", { groupId: "films" }), { code: "NOT_LOGGED_IN" });
  await api.call("login", { userId: "ann", password: "right" });
  client.onEvent({ type: "join-requested", groupId: "films", userId: "bob" });
  client.onEvent({ type: "file-shared", groupId: "films", fileName: "dune", userId: "bob" });
  client.onEvent({ type: "join-requested", groupId: "music", userId: "eve" });
  await daemon.close();
  const { items, next } = await (await startDaemon(t, folder)).api.call("activity", { groupId: "films" });
  assert.deepEqual(
    items.map(({ atMs: _, ...facts }) => facts),
    [
      { type: "file-shared", fileName: "dune", userId: "bob" },
      { type: "join-requested", userId: "bob" },
    ],
  );
  assert.equal(next, undefined);
});

test("speed has a point for each step of an hour", async (t) => {
  const { api } = await startDaemon(t);
  const { stepMs, points } = await api.call("speed", {});
  assert.equal(points.length * stepMs, 3_600_000);
  await assert.rejects(api.call("speed", { groupId: "films" }), { code: "INVALID_ARGUMENT" });
});

/** An upload of a file that has begun. */
async function begunUpload(t: TestContext, lengthBytes: number) {
  const { api, daemon } = await startDaemon(t);
  await api.call("login", { userId: "ann", password: "right" });
  const file = { groupId: "films", name: "dune", kind: "file" as const, lengthBytes };
  const { uploadId } = await api.call("beginUpload", { ...file, destinationPath: temporaryFolder(t) });
  return { api, daemon, uploadId };
}

test("a refusal reaches a caller that is still sending", async (t) => {
  const { api, daemon, uploadId } = await begunUpload(t, 10);
  await assert.rejects(api.sendContent(uploadId, {}, Buffer.alloc(8 * 1024 * 1024)), {
    code: "INVALID_ARGUMENT",
    message: /More than the 10 B/,
  });
  // As a browser does, which reads the answer once it has sent all.
  const { socketPath } = daemon;
  const path = `/api/v1/uploads/${uploadId}/content`;
  const headers = { "content-type": "application/octet-stream" };
  const asked = request({ socketPath, method: "PUT", path, headers });
  const answered = once(asked, "response");
  asked.end(Buffer.alloc(8 * 1024 * 1024));
  await within(once(asked, "finish"), "all of it to be read");
  assert.equal((await answered)[0].resume().statusCode, 400);
  await assert.rejects(api.sendContent("unknown", {}, Buffer.alloc(8 * 1024 * 1024)), {
    code: "UNKNOWN_UPLOAD",
  });
});

test("content that stops on the way is kept, and continued behind what has come", async (t) => {
  const { api, uploadId } = await begunUpload(t, 100_000);
  const gone = new AbortController();
  const stopping = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(60_000);
    await once(gone.signal, "abort");
  };
  const sending = api.sendContent(uploadId, {}, stopping(), { signal: gone.signal });
  const receivedBytes = async () => (await api.call("upload", { uploadId })).receivedBytes;
  await until(async () => (await receivedBytes()) === 60_000, "the first bytes are there");
  gone.abort(new Error("gone"));
  await assert.rejects(sending, /gone/);
  await until(async () => {
    const rest = api.sendContent(uploadId, { offset: 60_000 }, Buffer.alloc(40_000));
    return (await rest.catch(() => ({ receivedBytes: 0 }))).receivedBytes === 100_000;
  }, "the rest is taken once the broken connection is noticed");
});
