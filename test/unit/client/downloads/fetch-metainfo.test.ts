// A share's metainfo, whole or in parts, from trackers that come and go, or lie.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { MiniTorrentError } from "../../../../src/api/errors.ts";
import { INFO_PART_BYTES, MAX_INFO_BYTES } from "../../../../src/api/file-limits.ts";
import { fetchMetainfo } from "../../../../src/client/downloads/fetch-metainfo.ts";
import { GROUP, PIECE_BYTES, Scene, turns } from "../download-fixture.ts";

const film = { groupId: GROUP, fileName: "film" };
const PART_BYTES = 150;

/** A tracker that gives the metainfo of a film of eight pieces in three parts. */
async function inParts(t: Parameters<typeof Scene.open>[0], partBytes = PART_BYTES) {
  const scene = await Scene.open(t);
  const { metainfo } = scene.film("film", { lengthBytes: 8 * PIECE_BYTES });
  const { info, infoHash } = metainfo;
  const partCount = Math.ceil(info.length / partBytes);
  const partOf = (index: number) => Buffer.from(info.subarray(index * partBytes, (index + 1) * partBytes));
  scene.tracker.answers.set("files.metainfo", () => ({ infoHash, partCount }));
  scene.tracker.answers.set("files.infoPart", ({ partIndex }) => ({
    part: partOf(Number(partIndex)).toString("base64"),
  }));
  return { scene, metainfo, partCount, partOf };
}

test("a metainfo in parts is put together, each part asked for once, by its hash", async (t) => {
  const { scene, metainfo, partCount } = await inParts(t);
  assert.deepEqual(await fetchMetainfo(scene.tracker.ask, film), metainfo);
  assert.deepEqual(
    scene.tracker.take("files.infoPart"),
    Array.from({ length: partCount }, (_, partIndex) => ({
      ...{ groupId: GROUP, infoHash: metainfo.infoHash, partIndex },
    })),
  );
});

test("parts that come in another order than they were asked for make the same metainfo", async (t) => {
  const { scene, metainfo, partOf } = await inParts(t);
  const waiting: (() => void)[] = [];
  scene.tracker.answers.set("files.infoPart", ({ partIndex }) => {
    const { promise, resolve } = Promise.withResolvers<{ part: string }>();
    waiting.unshift(() => resolve({ part: partOf(Number(partIndex)).toString("base64") }));
    return promise;
  });
  const fetched = fetchMetainfo(scene.tracker.ask, film);
  await turns();
  assert.ok(waiting.length > 1, "several are asked for at once");
  while (waiting.length > 0) {
    for (const answer of waiting.splice(0)) answer();
    await turns();
  }
  assert.equal((await fetched).infoHash, metainfo.infoHash);
});

test("few of a metainfo's many parts are asked for at once", async (t) => {
  const { scene, partOf } = await inParts(t, 10);
  let underWay = 0;
  let most = 0;
  scene.tracker.answers.set("files.infoPart", async ({ partIndex }) => {
    most = Math.max(most, ++underWay);
    await turns();
    underWay--;
    return { part: partOf(Number(partIndex)).toString("base64") };
  });
  await fetchMetainfo(scene.tracker.ask, film);
  assert.equal(most, 8);
});

test("parts that are not what their hash says are refused", async (t) => {
  const { scene, partOf } = await inParts(t);
  scene.tracker.answers.set("files.infoPart", ({ partIndex }) => {
    const part = partOf(Number(partIndex));
    if (partIndex === 1) part[0] = (part[0] ?? 0) ^ 1;
    return { part: part.toString("base64") };
  });
  await assert.rejects(fetchMetainfo(scene.tracker.ask, film), {
    code: "MALFORMED_MESSAGE",
    message: /do not have its info-hash/,
  });
});

test("when a part cannot be had, no further ones are asked for", async (t) => {
  const { scene } = await inParts(t, 10);
  scene.tracker.refuse("files.infoPart", "TRACKERS_UNREACHABLE");
  await assert.rejects(fetchMetainfo(scene.tracker.ask, film), { code: "TRACKERS_UNREACHABLE" });
  await turns();
  assert.equal(scene.tracker.take("files.infoPart").length, 8);
});

test("a metainfo that is longer than any may be is refused before all of it has come", async (t) => {
  const { scene } = await inParts(t);
  const part = Buffer.alloc(INFO_PART_BYTES).toString("base64");
  const most = MAX_INFO_BYTES / INFO_PART_BYTES;
  scene.tracker.answers.set("files.metainfo", () => ({ infoHash: "ab".repeat(20), partCount: 2 * most }));
  scene.tracker.answers.set("files.infoPart", () => ({ part }));
  await assert.rejects(fetchMetainfo(scene.tracker.ask, film), {
    code: "LIMIT_REACHED",
    message: /longer than 32 MiB.*shared in several folders/,
  });
  assert.ok(scene.tracker.take("files.infoPart").length <= most + 8);
});

test("a dictionary of another name is refused, whatever its hash", async (t) => {
  const { scene } = await inParts(t);
  const { info, infoHash } = scene.film("other").metainfo;
  scene.tracker.answers.set("files.metainfo", () => ({ infoHash, partCount: 1 }));
  scene.tracker.answers.set("files.infoPart", () => ({ part: Buffer.from(info).toString("base64") }));
  assert.equal(createHash("sha1").update(info).digest("hex"), infoHash);
  await assert.rejects(fetchMetainfo(scene.tracker.ask, film), (error: unknown) => {
    assert.ok(error instanceof MiniTorrentError);
    return error.code === "MALFORMED_MESSAGE" && /another file than was asked for/.test(error.message);
  });
});
