// A file that is read while it downloads: what is missing is waited for, and fetched before the rest.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { rmSync, symlinkSync } from "node:fs";
import { type TestContext, test } from "node:test";
import type { FileReader } from "../../../../src/client/downloads/file-reader.ts";
import { GROUP, PIECE_BYTES, Scene, soon, turns } from "../download-fixture.ts";

const id = { groupId: GROUP, fileName: "photos" };
const FILES = { "a.txt": 100, "film.mkv": 5 * PIECE_BYTES + 7, "z.txt": 50, "zz.raw": 2 * PIECE_BYTES };

/** Pieces 1 to 6 are the film's. */
async function stage(t: TestContext, choice = {}) {
  const scene = await Scene.open(t);
  const folder = await scene.sharedFolder("photos", FILES);
  await scene.downloads.start(id, scene.path("photos"), choice);
  const torrent = scene.swarms.of(folder.metainfo);
  const film = folder.bytes.subarray(PIECE_BYTES, PIECE_BYTES + FILES["film.mkv"]);
  const open = (path = "film.mkv") => scene.downloads.openReader(id, path);
  return { scene, ...folder, torrent, film, open };
}

async function isWaiting(read: Promise<unknown>): Promise<boolean> {
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  read.then(over, over);
  await turns();
  return !isOver;
}

test("a read waits for its pieces, which are fetched before the rest, and gives the file's bytes", async (t) => {
  const { torrent, bytes, film, open } = await stage(t);
  const reader = await open();
  assert.equal(reader.lengthBytes, film.length);
  const at = 2 * PIECE_BYTES - 20_000;
  const read = reader.read(at, 40_000);
  assert.deepEqual(torrent.deadlines.slice(0, 2), [2, 3]);
  assert.ok(await isWaiting(read));
  await torrent.receive(bytes, [3]);
  assert.ok(await isWaiting(read), "one of its pieces is missing");
  await torrent.receive(bytes, [2]);
  assert.deepEqual(await soon(read, "it is read"), new Uint8Array(film.subarray(at, at + 40_000)));
  const others = torrent.deadlines.filter((piece) => piece < 1 || piece > 6);
  assert.deepEqual(others, [], "what is not of the file has no deadline");
  await reader.close();
  assert.deepEqual(torrent.deadlines, []);
});

test("at the end of the file there are fewer bytes, or none, and none of its neighbour", async (t) => {
  const { torrent, bytes, film, open } = await stage(t);
  await torrent.receive(bytes, [6]);
  const reader = await open();
  assert.deepEqual(await reader.read(film.length - 5, 100), new Uint8Array(film.subarray(-5)));
  assert.equal((await reader.read(film.length, 100)).length, 0);
  await assert.rejects(reader.read(-1, 5), { code: "INVALID_ARGUMENT" });
  await reader.close();
});

test("a read ends with its signal, and with the download", async (t) => {
  const { scene, open } = await stage(t);
  const reader = await open();
  const aborter = new AbortController();
  const aborted = reader.read(0, 5, aborter.signal);
  aborter.abort(new Error("nobody listens"));
  await assert.rejects(soon(aborted, "the read ends"), { message: "nobody listens" });
  const waiting = reader.read(0, 5);
  const refused = assert.rejects(waiting, { code: "DOWNLOAD_PAUSED", message: /resume it/ });
  await scene.downloads.get(id).pause();
  await soon(refused, "the read ends");
  await assert.rejects(open(), { code: "DOWNLOAD_PAUSED" });
  await reader.close();
});

test("what is complete is read at once, as a part of a folder and as a share", async (t) => {
  const { scene, torrent, bytes, film, open } = await stage(t, { only: ["film.mkv"] });
  await torrent.receive(bytes, "all");
  await scene.event("download-complete");
  const readAll = async (reader: FileReader): Promise<Uint8Array> => {
    const first = await reader.read(0, 60_000);
    const rest = await reader.read(60_000, film.length);
    await reader.close();
    return Buffer.concat([first, rest]);
  };
  assert.ok(Buffer.from(film).equals(await readAll(await open())));
  await assert.rejects(open("z.txt"), {
    code: "INVALID_ARGUMENT",
    message: /select films photos --only z\.txt/,
  });
  await scene.downloads.select(id, {});
  await torrent.receive(bytes, "all");
  await soon(scene.downloads.settled(id, undefined), "it is complete");
  assert.ok(Buffer.from(film).equals(await readAll(await open())));
});

test("a link or a pipe in the place of a shared folder's file is not read", async (t) => {
  const { scene, torrent, bytes, open } = await stage(t);
  await torrent.receive(bytes, "all");
  await soon(scene.downloads.settled(id, undefined), "it is complete");
  const path = scene.path("photos", "a.txt");
  rmSync(path);
  symlinkSync(scene.path("photos", "z.txt"), path);
  await assert.rejects(open("a.txt"), { code: "FILE_CHANGED" });
  rmSync(path);
  execFileSync("mkfifo", [path]);
  await assert.rejects(soon(open("a.txt"), "it is refused"), { code: "FILE_CHANGED" });
});

test("a file that is not there is not read", async (t) => {
  const { scene, open } = await stage(t);
  await assert.rejects(open("b.txt"), { code: "UNKNOWN_FILE", message: /list_files/ });
  await assert.rejects(scene.downloads.openReader(id, undefined), { code: "UNKNOWN_FILE" });
  await assert.rejects(scene.downloads.openReader({ ...id, fileName: "film" }, undefined), {
    code: "UNKNOWN_DOWNLOAD",
  });
  scene.film();
  await scene.start();
  await assert.rejects(scene.downloads.openReader({ ...id, fileName: "film" }, "a.txt"), {
    code: "INVALID_ARGUMENT",
  });
});
