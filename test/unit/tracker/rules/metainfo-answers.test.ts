// What members read of the metainfo of a folder: its parts, and its list page by page.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Account } from "../../../../src/api/schemas.ts";
import { cutInfo } from "../../../../src/metainfo/info-parts.ts";
import type { FolderMetainfo } from "../../../../src/metainfo/metainfo.ts";
import { recordKey } from "../../../../src/tracker/registry/registry.ts";
import { shareFile, stopShare } from "../../../../src/tracker/rules/catalogue.ts";
import { requireGroup } from "../../../../src/tracker/rules/membership-rows.ts";
import { infoPartOf, listInside, metainfoOf } from "../../../../src/tracker/rules/metainfo-answers.ts";
import { groupOfTorrent } from "../../../../src/tracker/rules/torrents.ts";
import { folderFor, holderId, metainfoFor, shareInParts, town } from "../fixture.ts";

async function scene(t: TestContext) {
  const place = town(t);
  const [alice, bob, eve] = [await place.user("alice"), await place.user("bob"), await place.user("eve")];
  await place.group("films", alice, bob);
  const folder = await folderFor("folder", 2_000);
  const share = (metainfo: FolderMetainfo, replaces?: string) =>
    shareInParts(place, alice, "films", metainfo, replaces);
  const request = { groupId: "films", fileName: "folder" };
  const list = (after?: string, account: Account = bob) =>
    listInside(place.registry, account.accountId, request, after);
  const part = (partIndex: number, infoHash = folder.infoHash, account: Account = bob) =>
    infoPartOf(place.registry, account.accountId, { groupId: "films", infoHash, partIndex });
  return { place, alice, bob, eve, folder, share, request, list, part };
}

test("a folder's metainfo is read part by part, and is then as it was shared", async (t) => {
  const { place, bob, folder, share, request, part } = await scene(t);
  await share(folder);
  const answer = metainfoOf(place.registry, bob.accountId, request);
  const { infoHash } = folder;
  const partCount = cutInfo(folder.info).length;
  assert.deepEqual(answer, { infoHash, partCount });
  const parts = Array.from({ length: partCount }, (_, index) => Buffer.from(part(index).part, "base64"));
  assert.deepEqual(Buffer.concat(parts), Buffer.from(folder.info));
  assert.throws(() => part(partCount), { code: "INVALID_ARGUMENT", message: /no part/ });
});

test("parts and lists are for members of the group that has the folder, while they are members", async (t) => {
  const { place, alice, eve, folder, share, list, part } = await scene(t);
  await share(folder);
  assert.throws(() => part(0, folder.infoHash, eve), { code: "NOT_A_MEMBER" });
  assert.throws(() => list(undefined, eve), { code: "NOT_A_MEMBER" });
  await place.group("books", eve);
  const other = { infoHash: folder.infoHash, partIndex: 0 };
  assert.throws(() => infoPartOf(place.registry, eve.accountId, { groupId: "books", ...other }), {
    code: "UNKNOWN_FILE",
  });
  assert.throws(() => part(0, "b".repeat(40)), { code: "UNKNOWN_FILE" });
  await place.as(alice, (run) => stopShare(run, { groupId: "films", fileName: "folder", holderId }));
  assert.throws(() => list(), { code: "UNKNOWN_FILE" });
});

test("a folder's files are listed by path, a page from each part, and no other part is read", async (t) => {
  const { place, bob, folder, share, request, list } = await scene(t);
  await share(folder);
  const first = list();
  assert.ok(first.items.length > 100 && first.items.length < 1_500);
  assert.deepEqual(first.items.slice(0, 2), [
    { path: "set/picture-000000.jpeg", lengthBytes: 10, isExecutable: false, sha1: "01".repeat(20) },
    { path: "set/picture-000001.jpeg", lengthBytes: 10, isExecutable: true, sha1: "01".repeat(20) },
  ]);
  const read: string[] = [];
  const watched = new Proxy(place.registry, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...given: unknown[]) => {
        if (given[0] === "infoPart") read.push(String(given[1]));
        return Reflect.apply(value, target, given);
      };
    },
  });
  const paths = first.items.map(({ path }) => path);
  for (let next = first.next; next !== undefined; ) {
    read.length = 0;
    const page = listInside(watched, bob.accountId, request, next);
    assert.equal(read.length, 1);
    paths.push(...page.items.map(({ path }) => path));
    next = page.next;
  }
  const expected = Array.from({ length: folder.layout.fileCount }, (_, index) => folder.layout.pathOf(index));
  assert.deepEqual(paths, expected);
});

test("a small folder is listed from the metainfo that travelled whole; a file is none", async (t) => {
  const { place, alice, list } = await scene(t);
  const { info } = await folderFor("folder", 3);
  await place.as(alice, (run) => shareFile(run, { groupId: "films", holderId, info }));
  const page = list();
  assert.deepEqual([page.items.length, page.next], [3, undefined]);
  const film = metainfoFor("film");
  await place.as(alice, (run) =>
    shareFile(run, { groupId: "films", holderId, info: film.info, sha1: film.sha1 }),
  );
  const ofFile = () =>
    listInside(place.registry, alice.accountId, { groupId: "films", fileName: "film" }, undefined);
  assert.throws(ofFile, { code: "INVALID_ARGUMENT", message: /single file/ });
});

test("a folder whose metainfo is longer than a part is refused whole", async (t) => {
  const { place, alice, folder } = await scene(t);
  await assert.rejects(
    place.as(alice, (run) => shareFile(run, { groupId: "films", holderId, info: folder.info })),
    { code: "INVALID_ARGUMENT", message: /in parts/ },
  );
});

test("a list goes on with the version that it began with, and ends with that one's metainfo", async (t) => {
  const { place, folder, share, list, part } = await scene(t);
  await share(folder);
  const { next } = list();
  const second = await folderFor("folder", 1_500, 2);
  await share(second, folder.infoHash);
  assert.ok(list(next).items.every(({ sha1 }) => sha1 === "01".repeat(20)));
  assert.ok(list().items.every(({ sha1 }) => sha1 === "02".repeat(20)));
  assert.ok(part(0).part.length > 0, "an earlier version's parts are read too");
  await place.write((writer) => {
    for (const key of writer.keys("torrent", recordKey(folder.infoHash, ""), { limit: 10 })) {
      writer.remove("torrent", key);
    }
  });
  assert.equal(groupOfTorrent(place.registry, folder.infoHash), undefined);
  assert.throws(() => list(next), { code: "INVALID_ARGUMENT", message: /changed since/ });
  assert.throws(() => part(0), { code: "UNKNOWN_FILE" });
});

test("a cursor that no page had is refused, whatever is in it", async (t) => {
  const { place, alice, eve, folder, share, list } = await scene(t);
  await share(folder);
  await place.group("books", eve);
  const authorityOfBooks = requireGroup(place.registry, "books").value.authorityCertificatePem;
  const foreign = await folderFor("folder", 1_000, 3, authorityOfBooks);
  await shareInParts(place, eve, "books", foreign);
  const other = await folderFor("other", 1_000, 4);
  await shareInParts(place, alice, "films", other);
  const cursors = [
    ...["", " ", "0", "{}", "\0", "x".repeat(1_024), `${folder.infoHash}`, `${folder.infoHash} -1`],
    ...[
      `${folder.infoHash} 1e3`,
      `${folder.infoHash} 99999`,
      `${folder.infoHash} 9999`,
      `${folder.infoHash} 1 `,
    ],
    ...[`${"b".repeat(40)} 0`, `${foreign.infoHash} 0`, `${other.infoHash} 0`, `${folder.infoHash}\n1`],
  ];
  for (const cursor of cursors) {
    assert.throws(() => list(cursor), { code: "INVALID_ARGUMENT" }, JSON.stringify(cursor));
  }
});

test("metainfo whose parts have not come from another tracker yet is asked for again", async (t) => {
  const { place, folder, share, list, part } = await scene(t);
  await share(folder);
  await place.write((writer) => {
    for (const key of writer.keys("infoPart", recordKey(folder.infoHash, ""), { limit: 1 })) {
      writer.remove("infoPart", key);
    }
  });
  assert.throws(() => part(0), { code: "INTERNAL", message: /not here yet/ });
  assert.throws(() => list(), { code: "INTERNAL", message: /not here yet/ });
});
