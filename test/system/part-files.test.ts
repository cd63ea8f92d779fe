// Real processes: what is reported complete is what lies on the disk, whatever else is done to part files, folders and
// finished files meanwhile.
import assert from "node:assert/strict";
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { afterEach, beforeEach, test } from "node:test";
import { z } from "zod";
import type { ClientProcess } from "../../harness/processes.ts";
import { atTheSameTime, downloadUntil, Scene, sha1Of } from "../../harness/scene.ts";
import { until } from "../../harness/within.ts";

const MIB = 1024 * 1024;
const SOMEBODY_ELSE = 4321;

let scene: Scene;
let alice: ClientProcess;
let bob: ClientProcess;

beforeEach(async () => {
  scene = await Scene.open(1);
  alice = await scene.user("alice");
  bob = await scene.user("bob");
  await scene.group("g", alice, { bob });
});
afterEach(() => scene[Symbol.asyncDispose]());

async function shared(name: string, lengthBytes: number): Promise<{ path: string; sha1: string }> {
  const file = scene.file("alice", name, lengthBytes);
  await alice.must(`upload_file ${file.path} g`);
  return file;
}

test("two downloads to one folder by two names: the second is refused, and the first is right", async () => {
  const { sha1 } = await shared("v1.img", 2 * MIB);
  await shared("v2.img", 2 * MIB);
  await alice.must("logout");
  mkdirSync(scene.path("data"));
  symlinkSync(scene.path("data"), scene.path("Downloads"));
  await bob.must(`download_file g v1.img ${scene.path("data", "disk.img")}`);
  const second = await bob.run(`download_file g v2.img ${scene.path("Downloads", "disk.img")}`);
  assert.equal(second.code, "FILE_EXISTS");
  await alice.must("login alice correct-horse");
  await bob.must("wait g v1.img");
  assert.equal(await sha1Of(scene.path("data", "disk.img")), sha1);
});

test("two clients, one folder: the second is refused, and the first is right", async () => {
  const { sha1 } = await shared("disk.img", 2 * MIB);
  const carol = await scene.user("carol");
  await scene.group("h", carol, { alice });
  const other = scene.file("alice/h", "disk.img", 2 * MIB);
  await alice.must(`upload_file ${other.path} h`);
  await alice.must("logout");
  mkdirSync(scene.path("data"));
  await bob.must(`download_file g disk.img ${scene.path("data")}/`);
  const second = await carol.run(`download_file h disk.img ${scene.path("data")}/`);
  assert.equal(second.code, "FILE_EXISTS");
  await alice.must("login alice correct-horse");
  await bob.must("wait g disk.img");
  assert.equal(await sha1Of(scene.path("data", "disk.img")), sha1);
});

test("a part file that another program writes to while it runs ends as the file that was shared", async () => {
  const { sha1 } = await shared("a.bin", 256 * MIB);
  await bob.must(`download_file g a.bin ${scene.path("bob")}/`);
  const part = scene.path("bob", "a.bin.part");
  await downloadUntil(bob, ({ piecesVerified, pieceCount }) => piecesVerified > pieceCount / 4);
  const file = openSync(part, "r+");
  for (let at = 5_000; at < 256 * MIB; at += MIB) writeSync(file, Buffer.from("altered"), 0, 7, at);
  closeSync(file);
  await bob.event((line) => line.event === "download-complete");
  assert.equal(await sha1Of(scene.path("bob", "a.bin")), sha1);
});

test("a file whose last check finds wrong pieces is hashed once more, not twice", {
  skip: existsSync("/proc/self/io") ? false : "needs /proc/PID/io",
}, async () => {
  const lengthBytes = 64 * MIB;
  const { sha1 } = await shared("a.bin", lengthBytes);
  await bob.must("limit down 40MB/s");
  await bob.must(`download_file g a.bin ${scene.path("bob")}/`);
  const readBefore = bytesReadBy(bob);
  await downloadUntil(bob, ({ piecesVerified, pieceCount }) => piecesVerified > pieceCount / 4);
  const file = openSync(scene.path("bob", "a.bin.part"), "r+");
  writeSync(file, Buffer.from("altered"), 0, 7, 5_000);
  closeSync(file);
  await bob.event((line) => line.event === "download-complete");
  assert.equal(await sha1Of(scene.path("bob", "a.bin")), sha1);
  // From the network; the check that fails; the whole file's hash, begun anew; the check that passes. A fifth of the file
  // is for the rest.
  const readBytes = bytesReadBy(bob) - readBefore;
  assert.ok(readBytes < 4.2 * lengthBytes, `${readBytes / lengthBytes} times the file was read`);
});

/** All that it has read, of files, sockets and pipes. */
function bytesReadBy(client: ClientProcess): number {
  return Number(/rchar: (\d+)/.exec(readFileSync(`/proc/${client.pid}/io`, "utf8"))?.[1]);
}

test("a part file with all pieces that changed while its download stood still is repaired, and complete", async () => {
  const { sha1 } = await shared("a.bin", 3 * MIB);
  await alice.must("logout");
  await bob.must(`download_file g a.bin ${scene.path("bob")}/`);
  const destination = scene.path("bob", "a.bin");
  writeFileSync(destination, "precious");
  await alice.must("login alice correct-horse");
  await bob.event((line) => line.event === "download-failed");
  rmSync(destination);
  const file = openSync(`${destination}.part`, "r+");
  atTheSameTime(`${destination}.part`, () => writeSync(file, Buffer.alloc(MIB), 0, MIB, MIB));
  closeSync(file);
  await bob.must("resume g a.bin");
  await bob.event((line) => line.event === "download-complete");
  assert.equal(await sha1Of(destination), sha1);
});

test("zeros in pieces that were noted as verified, as a power cut leaves them, are not sent to anybody", async () => {
  const { sha1 } = await shared("a.bin", 64 * MIB);
  await bob.must("limit down 20MB/s");
  await bob.must(`download_file g a.bin ${scene.path("bob")}/`);
  await downloadUntil(bob, ({ piecesVerified, pieceCount }) => piecesVerified > pieceCount / 2);
  await bob.must("pause g a.bin");
  await bob.kill();
  const part = scene.path("bob", "a.bin.part");
  const file = openSync(part, "r+");
  atTheSameTime(part, () => {
    for (let at = 0; at < 64 * MIB; at += MIB) writeSync(file, Buffer.alloc(MIB / 2), 0, MIB / 2, at);
  });
  closeSync(file);
  const again = await scene.userAgain("bob");
  const carol = await scene.user("carol");
  await carol.must("join_group g");
  await alice.must("accept_request g carol");
  await again.must("limit down 1MB/s");
  await Promise.all([
    again.must("resume g a.bin"),
    carol.must(`download_file g a.bin ${scene.path("carol")}/`),
  ]);
  await carol.must("wait g a.bin");
  assert.equal(await sha1Of(scene.path("carol", "a.bin")), sha1);
  await again.must("limit down off");
  await again.must("wait g a.bin");
  assert.equal(await sha1Of(scene.path("bob", "a.bin")), sha1);
  assert.deepEqual(
    carol.events.filter(({ event }) => event === "peer-sent-bad-data"),
    [],
  );
});

test("an empty part file of another user's, laid there beforehand, is not filled", {
  skip: process.getuid?.() === 0 ? false : "needs root to make a file of another user's",
}, async () => {
  await shared("a.bin", MIB);
  const part = scene.path("bob", "a.bin.part");
  writeFileSync(part, "");
  chownSync(part, SOMEBODY_ELSE, SOMEBODY_ELSE);
  const answer = await bob.run(`download_file g a.bin ${scene.path("bob")}/`);
  assert.equal(answer.code, "FILE_EXISTS");
  assert.equal(readFileSync(part).length, 0);
});

test("a finished file that was moved or removed is downloaded again, at either end", async () => {
  const { path, sha1 } = await shared("a.bin", MIB);
  const destination = scene.path("bob", "a.bin");
  const again = `download_file g a.bin ${scene.path("bob")}/`;
  await bob.must(again);
  await bob.must("wait");
  rmSync(destination);
  await bob.must(again);
  await bob.must("wait");
  assert.equal(await sha1Of(destination), sha1);
  assert.match(
    JSON.stringify(bob.events.filter(({ event }) => event === "share-ended")),
    /a\.bin .*there is no file of that name/,
  );
  renameSync(destination, scene.path("bob", "moved.bin"));
  const elsewhere = scene.path("bob", "elsewhere.bin");
  await bob.must(`download_file g a.bin ${elsewhere}`);
  await bob.must("wait");
  assert.equal(await sha1Of(elsewhere), sha1);
  rmSync(path);
  await alice.must(`download_file g a.bin ${path}`);
  await alice.must("wait");
  assert.equal(await sha1Of(path), sha1);
});

test("a shared file that vanishes is withdrawn although nobody asks for it, and shared again when it is back", async () => {
  const { path, sha1 } = await shared("a.bin", MIB);
  await shared("b.bin", MIB);
  renameSync(path, `${path}-away`);
  const ended = await alice.event(({ event }) => event === "share-ended");
  assert.match(JSON.stringify(ended), /a\.bin.*there is no file of that name.*when it is back/);
  await until(async () => (await seeders("a.bin")) === 0, "the file that is away to have no seeder");
  assert.equal(await seeders("b.bin"), 1);
  renameSync(`${path}-away`, path);
  await until(async () => (await seeders("a.bin")) === 1, "the file that is back to have a seeder");
  await bob.must(`download_file g a.bin ${scene.path("bob")}/`);
  await bob.must("wait g a.bin");
  assert.equal(await sha1Of(scene.path("bob", "a.bin")), sha1);
});

const filesSchema = z.array(z.object({ fileName: z.string(), seedersOnline: z.number() }));

async function seeders(fileName: string): Promise<number | undefined> {
  const files = filesSchema.parse(await bob.must("list_files g"));
  return files.find((file) => file.fileName === fileName)?.seedersOnline;
}

test("a failure that the end would have comes at the start", async () => {
  await shared("a.bin", MIB);
  symlinkSync(scene.path("nowhere"), scene.path("bob", "link.bin"));
  const toLink = await bob.run(`download_file g a.bin ${scene.path("bob", "link.bin")}`);
  assert.equal(toLink.code, "FILE_EXISTS");
  assert.match(toLink.error ?? "", /link to a missing file/);
  const tooLong = await bob.run(`download_file g a.bin ${scene.path("bob", "x".repeat(256))}`);
  assert.equal(tooLong.code, "DESTINATION_UNUSABLE");
  assert.deepEqual(await bob.must("show_downloads"), []);
  assert.ok(!existsSync(scene.path("bob", "link.bin.part")));
});

test("a download whose name is taken in the end is sent elsewhere with what it has; cancelled, it stays", async () => {
  const { sha1 } = await shared("a.bin", MIB);
  await shared("b.bin", MIB);
  await alice.must("logout");
  for (const name of ["a.bin", "b.bin"]) await bob.must(`download_file g ${name} ${scene.path("bob")}/`);
  for (const name of ["a.bin", "b.bin"]) writeFileSync(scene.path("bob", name), "precious");
  await alice.must("login alice correct-horse");
  for (const name of ["a.bin", "b.bin"])
    await bob.event((line) => line.event === "download-failed" && line.fileName === name);
  await alice.must("logout");
  await bob.must(`download_file g a.bin ${scene.path("bob", "free.bin")}`);
  await bob.must("wait g a.bin");
  assert.equal(await sha1Of(scene.path("bob", "free.bin")), sha1);
  assert.ok(!existsSync(scene.path("bob", "a.bin.part")));
  const { keptPath } = (await bob.must("cancel g b.bin")) as { keptPath: string };
  assert.equal(await sha1Of(keptPath), await sha1Of(scene.path("alice", "b.bin")));
  assert.equal(readFileSync(scene.path("bob", "b.bin"), "utf8"), "precious");
});
