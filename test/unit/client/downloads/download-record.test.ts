// What the profile knows of one download, and what becomes of its part file.
import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { type TestContext, test } from "node:test";
import type { MiniTorrentError } from "../../../../src/api/errors.ts";
import { allOf } from "../../../../src/client/downloads/chosen-files.ts";
import { partIdOf } from "../../../../src/client/downloads/download-opening.ts";
import { DownloadRecord } from "../../../../src/client/downloads/download-record.ts";
import type { StoredDownload } from "../../../../src/client/profile.ts";
import { Bitfield } from "../../../../src/metainfo/bitfield.ts";
import { factsOf } from "../../../../src/storage/file-facts.ts";
import { PieceStore } from "../../../../src/storage/piece-store.ts";
import { commit, commitAll } from "../../storage/workplace.ts";
import { betweenDisks, GROUP, Scene, turns, until } from "../download-fixture.ts";

async function stage(t: TestContext, stored?: Partial<StoredDownload>) {
  const scene = await Scene.open(t);
  const film = scene.film();
  const path = scene.path("film");
  const partPath = `${path}.part`;
  const { metainfo } = film;
  const entry = stored && {
    ...{
      groupId: GROUP,
      fileName: "film",
      destinationPath: path,
      info: metainfo.info,
      have: Uint8Array.of(0),
    },
    ...{ facts: undefined, partId: undefined, isPaused: false },
    ...stored,
  };
  const download = { groupId: GROUP, wanted: allOf(metainfo), destinationPath: path };
  const record = new DownloadRecord(() => scene.profile, download, entry);
  const open = async (resume = false): Promise<PieceStore> => {
    const store = await PieceStore.openForDownload({ metainfo, partPath, resume, ...scene.storage });
    t.after(() => store.close());
    record.opened(store.have, store);
    return store;
  };
  const noted = () => scene.profile.downloads()[0];
  return { scene, ...film, path, partPath, record, open, noted };
}

test("a new download knows nothing; one from the profile knows what was noted", async (t) => {
  const { record } = await stage(t);
  assert.deepEqual([record.have.count, record.ofPart, record.sources], [0, undefined, []]);
  const facts = { lengthBytes: 5, mtimeMs: 7 };
  const again = await stage(t, { have: Uint8Array.of(0b0100_0000), facts, partId: "1:2:3", isPaused: true });
  assert.deepEqual([again.record.have.has(1), again.record.have.count], [true, 1]);
  assert.partialDeepStrictEqual(again.record.ofPart, { facts, partId: "1:2:3" });
  again.record.store();
  assert.partialDeepStrictEqual(again.noted(), { facts, partId: "1:2:3", isPaused: true });
});

test("members' earlier contributions are read from the profile of that download alone", async (t) => {
  const { scene, metainfo } = await stage(t);
  const given = { userId: "alice", isConnected: false, pieces: 1, bytes: 5, rateBytesPerSecond: 0 };
  scene.profile.saveSources(GROUP, "film", [given]);
  const download = { groupId: GROUP, wanted: allOf(metainfo), destinationPath: scene.path("film") };
  const entry = {
    groupId: GROUP,
    destinationPath: scene.path("film"),
    fileName: "film",
    info: metainfo.info,
    have: Uint8Array.of(0),
  };
  const stored = { ...entry, facts: undefined, partId: undefined, isPaused: false };
  assert.deepEqual(new DownloadRecord(() => scene.profile, download, stored).sources, [given]);
  assert.deepEqual(new DownloadRecord(() => scene.profile, download, undefined).sources, [], "begun anew");
});

test("members' contributions to a download are added up and noted at once, as of members no longer connected", async (t) => {
  const { record, scene } = await stage(t);
  const gave = (userId: string, bytes: number) => ({
    duplicateBytes: 3,
    sources: [{ userId, isConnected: true, pieces: 1, bytes, rateBytesPerSecond: 9 }],
  });
  record.gave(gave("alice", 10));
  record.gave(gave("carol", 20));
  record.gave(gave("alice", 5));
  const expected = [
    { userId: "alice", isConnected: false, pieces: 2, bytes: 15, rateBytesPerSecond: 0 },
    { userId: "carol", isConnected: false, pieces: 1, bytes: 20, rateBytesPerSecond: 0 },
  ];
  assert.deepEqual(record.sources, expected);
  assert.deepEqual(
    scene.profile.sources(GROUP, "film").toSorted((a, b) => a.bytes - b.bytes),
    expected,
  );
});

test("a part file that is being made is noted with a secret token, the same one after a crash", async (t) => {
  const { record, noted } = await stage(t);
  const token = record.making();
  assert.match(token, /^[0-9a-f]{16}$/);
  assert.equal(noted()?.partId, `new:${token}`);
  assert.equal(record.ofPart, undefined, "a file of that name would be somebody else's");
  assert.equal(record.making(), token);
  const again = await stage(t, { partId: `new:${token}` });
  assert.equal(again.record.making(), token);
  assert.notEqual((await stage(t)).record.making(), token);
});

test("a part file that was made is noted with its id, and without pieces", async (t) => {
  const { record, noted } = await stage(t, { have: Uint8Array.of(0xf0) });
  const facts = { lengthBytes: 5, mtimeMs: 7 };
  record.made({ facts, fileId: "1:2:3" });
  assert.partialDeepStrictEqual(noted(), { facts, partId: "1:2:3" });
  assert.deepEqual(noted() && [...(noted()?.have ?? [])], [0]);
  assert.partialDeepStrictEqual(record.ofPart, { partId: "1:2:3", facts });
});

test("a part file that is in doubt is verified at its next opening, and believed after it", async (t) => {
  const { record, open } = await stage(t);
  const store = await open();
  await record.begin(store);
  assert.notEqual(record.ofPart?.facts, undefined);
  record.doubt();
  assert.equal(record.ofPart?.facts, undefined);
  assert.equal(record.ofPart?.partId, store.opened?.fileId);
  record.opened(store.have, store);
  assert.notEqual(record.ofPart?.facts, undefined);
});

test("senders of pieces that are no longer there are forgotten", async (t) => {
  const { record, open, metainfo } = await stage(t);
  const store = await open();
  const source = { userId: "alice", isConnected: true, pieces: 1, bytes: 10, rateBytesPerSecond: 9 };
  record.gave({ duplicateBytes: 0, sources: [source] });
  const some = new Bitfield(metainfo.geometry.pieceCount);
  some.set(1);
  record.opened(some, store);
  assert.equal(record.sources.length, 1);
  record.opened(new Bitfield(metainfo.geometry.pieceCount), store);
  assert.deepEqual(record.sources, []);
});

test("before the first piece comes it is noted how the part file is", async (t) => {
  const { record, open, noted, bytes, partPath } = await stage(t);
  const store = await open();
  await record.begin(store);
  assert.partialDeepStrictEqual(noted(), {
    facts: factsOf(statSync(partPath)),
    partId: store.opened?.fileId,
  });
  await commit(store, 0, bytes);
  await record.close(store);
  const again = await open(true);
  await record.begin(again);
  assert.deepEqual(noted()?.facts, factsOf(statSync(partPath)), "one that was found, as it is now");
  await rename(partPath, `${partPath}.away`);
  await assert.rejects(record.begin(again), { code: "FILE_CHANGED" });
});

test("the store's pieces and the state of its file are saved", async (t) => {
  const { record, open, noted, bytes, partPath } = await stage(t);
  const store = await open();
  await commit(store, 2, bytes);
  await record.save(store);
  assert.equal(noted()?.have[0], 0b0010_0000);
  assert.deepEqual(noted()?.facts, factsOf(statSync(partPath)));
  await rename(partPath, `${partPath}.away`);
  await writeFile(partPath, "somebody's");
  await commit(store, 3, bytes);
  await assert.rejects(record.save(store), { code: "FILE_CHANGED", message: /removed, moved or replaced/ });
  assert.equal(noted()?.have[0], 0b0010_0000, "what is written to it will never be seen again");
});

test("a store that is finished or closed has nothing saved of it", async (t) => {
  const { record, open, noted, bytes, path } = await stage(t);
  const store = await open();
  await commitAll(store, bytes);
  const saving = record.save(store);
  const finishing = store.finish(path);
  await saving;
  assert.equal(noted(), undefined, "it began to finish while its file was looked at");
  await finishing;
  await record.save(store);
  await store.close();
  await record.save(store);
  assert.equal(noted(), undefined);
});

test("soon means once, half a second after the first piece; trouble is told; stopped, it is never", async (t) => {
  const { scene, record, open, noted, bytes, partPath } = await stage(t);
  const store = await open();
  const troubles: MiniTorrentError[] = [];
  const soon = () => record.saveSoon(store, (error) => void troubles.push(error));
  const saves = t.mock.method(record, "save");
  await commit(store, 0, bytes);
  soon();
  await scene.clock.pass(300);
  soon();
  await scene.clock.pass(200);
  await until(() => noted()?.have[0] === 0b1000_0000, "it is noted");
  await scene.clock.pass(1_000);
  assert.equal(saves.mock.callCount(), 1);
  soon();
  record.stopSaving();
  await scene.clock.pass(1_000);
  assert.equal(saves.mock.callCount(), 1, "stopped");
  await rm(partPath);
  soon();
  await scene.clock.pass(500);
  await until(() => troubles.length === 1, "the trouble is told");
  assert.equal(troubles[0]?.code, "FILE_CHANGED");
});

test("closing notes all that was written, and saves nothing afterwards", async (t) => {
  const { scene, record, open, noted, bytes, partPath } = await stage(t);
  const store = await open();
  await commit(store, 1, bytes);
  record.saveSoon(store, assert.fail);
  await record.close(store);
  assert.equal(store.status, "closed");
  assert.equal(noted()?.have[0], 0b0100_0000);
  assert.deepEqual(noted()?.facts, factsOf(statSync(partPath)));
  const stores = t.mock.method(record, "save");
  await scene.clock.pass(1_000);
  assert.equal(stores.mock.callCount(), 0);
});

test("closing notes a piece that is written meanwhile too", async (t) => {
  const { record, open, noted, bytes } = await stage(t);
  const store = await open();
  const committed = commit(store, 1, bytes);
  await record.close(store);
  assert.equal(await committed, "verified");
  assert.equal(noted()?.have[0], 0b0100_0000);
});

test("a part file that is moved to another disk is known by its new id", async (t) => {
  const { scene, record, open, partPath } = await stage(t);
  const store = await open();
  await record.close(store);
  const before = record.ofPart?.partId;
  betweenDisks(t, partPath);
  await record.moveTo(scene.path("moved"));
  assert.equal(existsSync(partPath), false);
  assert.equal(record.ofPart?.partId, await partIdOf(scene.path("moved.part")));
  assert.notEqual(record.ofPart?.partId, before);
});

test("closing notes nothing of a file that has taken the part file's place", async (t) => {
  const { record, open, noted, partPath } = await stage(t);
  const store = await open();
  await rename(partPath, `${partPath}.away`);
  await writeFile(partPath, "somebody's");
  await record.close(store);
  assert.equal(noted()?.facts, undefined);
});

test("a download that is discarded is forgotten, and its part file removed", async (t) => {
  const { record, open, noted, partPath, bytes } = await stage(t);
  const store = await open();
  await commit(store, 1, bytes);
  await record.close(store);
  assert.equal(await record.discard(), undefined);
  assert.deepEqual([existsSync(partPath), noted()], [false, undefined]);
});

test("a part file with every piece stays, and so does one of another origin", async (t) => {
  const { record, open, noted, partPath, bytes } = await stage(t);
  const store = await open();
  await commitAll(store, bytes);
  await record.close(store);
  assert.equal(await record.discard(), partPath);
  assert.deepEqual([existsSync(partPath), noted()], [true, undefined]);
  const other = await stage(t);
  const otherStore = await other.open();
  await other.record.close(otherStore);
  await rm(other.partPath);
  await writeFile(other.partPath, "somebody's");
  assert.equal(await other.record.discard(), undefined);
  assert.equal(readFileSync(other.partPath, "utf8"), "somebody's");
});

test("the part file of an empty file, which has no pieces, is removed", async (t) => {
  const scene = await Scene.open(t);
  const { metainfo } = scene.film("empty", { lengthBytes: 0 });
  const path = scene.path("empty");
  const download = { groupId: GROUP, wanted: allOf(metainfo), destinationPath: path };
  const record = new DownloadRecord(() => scene.profile, download, undefined);
  const store = await PieceStore.openForDownload({ metainfo, partPath: `${path}.part`, ...scene.storage });
  record.opened(store.have, store);
  await record.close(store);
  assert.equal(await record.discard(), undefined);
  assert.equal(existsSync(`${path}.part`), false);
});

test("a move takes the own part file along, which is verified when it is opened next", async (t) => {
  const { scene, record, open, noted, partPath, bytes } = await stage(t);
  const store = await open();
  await commit(store, 1, bytes);
  await record.close(store);
  await mkdir(scene.path("there"));
  const there = scene.path("there", "film");
  await record.moveTo(there);
  assert.deepEqual([existsSync(partPath), existsSync(`${there}.part`)], [false, true]);
  assert.partialDeepStrictEqual(noted(), { destinationPath: there, partId: await partIdOf(`${there}.part`) });
  assert.equal(record.ofPart?.partId, await partIdOf(`${there}.part`));
  assert.equal(record.ofPart?.facts, undefined);
  assert.equal(record.ofPart?.have.count, 1);
  await rm(`${there}.part`);
  await writeFile(`${there}.part`, "somebody's");
  await record.moveTo(scene.path("film"));
  assert.equal(readFileSync(`${there}.part`, "utf8"), "somebody's", "it stays where it is");
  assert.equal(noted()?.destinationPath, scene.path("film"));
});

test("a move to where it is keeps what is known of the part file", async (t) => {
  const { record, open, path } = await stage(t);
  const store = await open();
  await record.close(store);
  await record.moveTo(path);
  assert.notEqual(record.ofPart?.facts, undefined);
  await turns();
});

test("the user's wish is noted with what is noted next", async (t) => {
  const { record, noted } = await stage(t);
  record.wishedFor("paused");
  record.store();
  assert.equal(noted()?.isPaused, true);
  record.wishedFor("running");
  record.store();
  assert.equal(noted()?.isPaused, false);
});
