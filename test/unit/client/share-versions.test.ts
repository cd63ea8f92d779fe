// New versions of what is shared here: published, refused, and what becomes of the version before.
import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { type TestContext, test } from "node:test";
import type { FileMetainfo } from "../../../src/metainfo/metainfo.ts";
import { type Film, filmOf, GROUP, Scene, turns, until } from "./download-fixture.ts";

const id = { groupId: GROUP, fileName: "film" };
const HOUR_MS = 60 * 60_000;

/** As the client describes it: its pieces are larger than it, and the CA has its line's end. */
function version(seed: number): Film {
  return filmOf("film", { seed, pieceBytes: 256 * 1024, authorityPem: "-- the CA of films --\n" });
}

interface Shared {
  readonly scene: Scene;
  readonly path: string;
  readonly first: Film;
}

/** Somebody shares the first version. */
async function shared(t: TestContext): Promise<Shared> {
  const scene = await Scene.open(t);
  await scene.shares.resumeAll();
  const first = version(1);
  const path = await scene.file("film", first.bytes);
  await scene.shares.share(path, GROUP);
  scene.tracker.take("files.share");
  return { scene, path, first };
}

/** Lays a version beside the others, and publishes it. */
async function publish({ scene }: Shared, seed: number) {
  const path = await scene.file(`version ${seed}`, version(seed).bytes);
  const result = await scene.shares.update(id, path);
  await turns();
  return { result, path, metainfo: version(seed).metainfo };
}

async function passLooking(scene: Scene, ms: number, stepMs = 250): Promise<void> {
  for (let passedMs = 0; passedMs < ms; passedMs += stepMs) await scene.clock.pass(stepMs);
}

const running = (scene: Scene, ...films: FileMetainfo[]) =>
  films.map(({ infoHash }) => scene.swarms.get(infoHash) !== undefined);

test("a file that changed at its path is published as a new version", async (t) => {
  const { scene, path, first } = await shared(t);
  const second = version(2);
  await writeFile(path, second.bytes);
  const result = await scene.shares.update(id, undefined);
  assert.deepEqual(result, {
    ...{ ...id, lengthBytes: second.bytes.length, pieceCount: 1, sha1: second.metainfo.sha1 },
    ...{ joinedSwarm: false, replacesEarlier: true },
  });
  const [asked, ...others] = scene.tracker.take("files.share");
  assert.deepEqual(others, []);
  assert.partialDeepStrictEqual(asked, { replaces: first.metainfo.infoHash, isUpdate: true, isServed: true });
  await until(() => scene.swarms.left.length > 0, "the first version is withdrawn");
  assert.deepEqual(scene.swarms.left, ["film: its content was replaced (told changed)"]);
  assert.deepEqual([...scene.announcer.announced.keys()], [second.metainfo.infoHash]);
  const [stored, ...more] = scene.profile.shares();
  assert.deepEqual(Buffer.from(stored?.info ?? []), Buffer.from(second.metainfo.info));
  assert.deepEqual(more, []);
});

test("a version that lies elsewhere has the share's name, and the one before is served until nobody fetches it", async (t) => {
  const first = await shared(t);
  const { scene } = first;
  const second = await publish(first, 2);
  assert.equal(second.result.fileName, "film");
  assert.equal(scene.shares.find(id)?.path, second.path);
  assert.deepEqual(running(scene, first.first.metainfo, second.metainfo), [true, true]);
  assert.deepEqual(scene.shares.statuses().length, 1, "it is one share");
  const before = scene.swarms.of(first.first.metainfo);
  before.connections.connectedCount = 1;
  await passLooking(scene, 1.5 * HOUR_MS, 60_000);
  assert.equal(scene.announcer.announced.get(first.first.metainfo.infoHash), "seed", "somebody fetches it");
  before.connections.connectedCount = 0;
  await passLooking(scene, 0.9 * HOUR_MS, 60_000);
  assert.equal(running(scene, first.first.metainfo)[0], true, "they may come back");
  await passLooking(scene, 0.2 * HOUR_MS, 60_000);
  assert.deepEqual(scene.swarms.left, ["film: nobody fetches this version any more"]);
  assert.deepEqual([...scene.announcer.announced.keys()], [second.metainfo.infoHash]);
  assert.equal(scene.storage.files.taken, 1);
});

test("an earlier version whose file changes is withdrawn at the next look", async (t) => {
  const first = await shared(t);
  await publish(first, 2);
  await rm(first.path);
  await passLooking(first.scene, 6_000);
  await until(() => first.scene.swarms.left.length > 0, "it is noticed");
  assert.deepEqual(first.scene.swarms.left, ["film: its content was replaced (told changed)"]);
  assert.deepEqual(first.scene.eventsOf("share-ended"), [], "what is shared goes on");
});

test("an unchanged file is no new version, and the user is told so", async (t) => {
  const { scene, path } = await shared(t);
  const result = await scene.shares.update(id, undefined);
  assert.equal(result.replacesEarlier, false);
  const asked = scene.tracker.take("files.share");
  assert.deepEqual(
    asked.map(({ isUpdate }) => isUpdate ?? false),
    [false],
  );
  assert.equal(scene.shares.find(id)?.path, path);
  assert.deepEqual(scene.swarms.runningNames, ["film"]);
});

test("what was moved and is as it was is shared from its new place, and is no new version", async (t) => {
  const { scene, path, first } = await shared(t);
  await rm(path);
  await passLooking(scene, 6_000);
  await until(() => scene.shares.statuses()[0]?.state === "unusable", "it is gone");
  const moved = await scene.file("moved", first.bytes);
  const result = await scene.shares.update(id, moved);
  assert.equal(result.replacesEarlier, false);
  assert.equal(scene.tracker.take("files.share")[0]?.isUpdate, false);
  assert.equal(scene.shares.find(id)?.path, moved);
});

test("a version that the tracker refuses is not served, and the one before is as it was", async (t) => {
  const first = await shared(t);
  const { scene, path } = first;
  scene.tracker.refuse("files.share", "NOT_THE_SHARER");
  await assert.rejects(publish(first, 2), { code: "NOT_THE_SHARER" });
  assert.deepEqual(running(scene, first.first.metainfo, version(2).metainfo), [true, false]);
  assert.equal(scene.shares.find(id)?.path, path);
  assert.deepEqual([...scene.announcer.announced.keys()], [first.first.metainfo.infoHash]);
});

test("a member who does not share it here has to say where the version lies, and it follows the newest one of the group", async (t) => {
  const scene = await Scene.open(t);
  await assert.rejects(scene.shares.update(id, undefined), {
    code: "NOT_SHARED",
    message: /say where its new version lies: update_share films film <path>\.$/,
  });
  const { metainfo } = scene.film();
  const path = await scene.file("other name", version(2).bytes);
  const ofOwner = await scene.shares.update(id, path);
  assert.equal(ofOwner.fileName, "film");
  assert.partialDeepStrictEqual(scene.tracker.take("files.share")[0], {
    ...{ replaces: metainfo.infoHash, isUpdate: true },
  });
  scene.tracker.answers.set("files.metainfo", () => ({ infoHash: "ab".repeat(20), partCount: 2 }));
  await scene.shares.stop(id);
  await scene.shares.update(id, path);
  assert.equal(scene.tracker.take("files.share")[0]?.replaces, "ab".repeat(20));
  scene.tracker.refuse("files.metainfo", "UNKNOWN_FILE");
  await scene.shares.stop(id);
  await assert.rejects(scene.shares.update(id, path), { code: "UNKNOWN_FILE" });
});

test("a version may be published again after another one", async (t) => {
  const first = await shared(t);
  const { scene, path } = first;
  const second = await publish(first, 2);
  const again = await scene.shares.update(id, path);
  await turns();
  assert.equal(again.replacesEarlier, true);
  assert.equal(scene.shares.find(id)?.metainfo.infoHash, first.first.metainfo.infoHash);
  assert.deepEqual(running(scene, first.first.metainfo, second.metainfo), [true, true]);
  assert.equal(scene.storage.files.taken, 2);
});

test("four earlier versions of a share are served, and none once it is stopped", async (t) => {
  const first = await shared(t);
  const { scene } = first;
  const later: FileMetainfo[] = [];
  for (const seed of [2, 3, 4, 5, 6]) later.push((await publish(first, seed)).metainfo);
  assert.deepEqual(scene.swarms.left, ["film: there are newer versions (told not-shared)"]);
  assert.deepEqual(running(scene, first.first.metainfo, ...later), [false, true, true, true, true, true]);
  await scene.shares.stop(id);
  assert.deepEqual(scene.swarms.runningNames, []);
  assert.equal(scene.announcer.announced.size, 0);
  assert.equal(scene.storage.files.taken, 0);
});

test("a logout, or leaving the group, ends earlier versions too", async (t) => {
  const first = await shared(t);
  const { scene } = first;
  await publish(first, 2);
  await scene.shares.suspendAll();
  assert.deepEqual(scene.swarms.left, [
    "film: sharing is paused (told offline)",
    "film: sharing is paused (told offline)",
  ]);
  await scene.shares.resumeAll();
  assert.deepEqual(scene.swarms.runningNames, ["film"], "the next login shares the newest one");
  await publish(first, 3);
  await scene.shares.nameLost(id, version(3).metainfo.infoHash);
  assert.deepEqual(running(scene, version(2).metainfo, version(3).metainfo), [false, true]);
  await publish(first, 4);
  await scene.shares.groupEnded(GROUP);
  assert.deepEqual(scene.swarms.runningNames, []);
});

test("a reading error of an earlier version ends that one alone", async (t) => {
  const first = await shared(t);
  const { scene, path } = first;
  const second = await publish(first, 2);
  await writeFile(path, "changed");
  const error = await scene.shares.update(id, scene.path("missing")).catch((failure) => failure);
  scene.swarms.of(first.first.metainfo).parts.onEvent({ type: "read-failed", pieceIndex: 0, error });
  await until(() => scene.swarms.left.length > 0, "it is withdrawn");
  assert.deepEqual(running(scene, first.first.metainfo, second.metainfo), [false, true]);
  assert.equal(scene.shares.statuses()[0]?.state, "served");
});

test("on a fresh connection the client learns of newer versions of what it shares", async (t) => {
  const { scene, first } = await shared(t);
  const updated = [{ fileName: "film", infoHash: "ab".repeat(20), userId: "carol" }];
  scene.tracker.answers.set("files.checkShares", () => ({ withdrawn: [], unknown: [], updated }));
  assert.deepEqual(await scene.shares.retryWaiting(), [{ groupId: GROUP, ...updated[0] }]);
  assert.equal(running(scene, first.metainfo)[0], true, "the earlier one is shared on");
});
