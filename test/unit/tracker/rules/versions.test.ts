import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type TestContext, test } from "node:test";
import type { Account } from "../../../../src/api/schemas.ts";
import { recordKey } from "../../../../src/tracker/registry/registry.ts";
import {
  adoptShares,
  checkShares,
  listFiles,
  shareFile,
  stopShare,
} from "../../../../src/tracker/rules/catalogue.ts";
import { fileStanding } from "../../../../src/tracker/rules/file-standing.ts";
import { requireGroup } from "../../../../src/tracker/rules/membership-rows.ts";
import { groupOfTorrent } from "../../../../src/tracker/rules/torrents.ts";
import { newestVersion, publishVersion, versionsOf } from "../../../../src/tracker/rules/versions.ts";
import { holderId, metainfoFor, town, wholeInfoOf } from "../fixture.ts";

const ALL = { limit: Number.POSITIVE_INFINITY };
const nobody = () => ({ seeders: 0, peers: 0, seederAccounts: [] });

/** The group "films" of olga, with alice, who shared the first version of "film", and bob. */
async function scene(t: TestContext) {
  const place = town(t);
  const [olga, alice, bob] = [await place.user("olga"), await place.user("alice"), await place.user("bob")];
  await place.group("films", olga, alice, bob);
  const versions = Array.from({ length: 12 }, (_, index) => metainfoFor("film", index + 1));
  const versionNumbered = (number: number) => versions[number] ?? assert.fail();
  const share = (
    account: Account,
    number: number,
    options: { replaces?: number; writeId?: string; machine?: string } = {},
  ) => {
    const { info, sha1 } = versionNumbered(number);
    const { replaces, writeId, machine = holderId } = options;
    const isUpdate = replaces !== undefined;
    return place.as(
      account,
      (command) =>
        shareFile(command, {
          ...{ groupId: "films", holderId: machine, info, sha1, isUpdate },
          replaces: isUpdate ? versionNumbered(replaces).infoHash : undefined,
        }),
      writeId,
    );
  };
  const hashOf = (number: number) => versionNumbered(number).infoHash;
  const listed = () =>
    listFiles(place.registry, bob.accountId, "films", nobody, ALL).items.map(({ infoHash, sharedBy }) => [
      versions.findIndex((version) => version.infoHash === infoHash),
      sharedBy,
    ]);
  const check = (account: Account, number: number) =>
    checkShares(place.registry, account.accountId, "films", holderId, [
      { fileName: "film", infoHash: hashOf(number) },
    ]);
  const groupClaimId = requireGroup(place.registry, "films").claimId;
  const claim = () =>
    place.registry.claim("file", recordKey(groupClaimId, "film")) ?? assert.fail("nobody claims the name");
  await share(alice, 0);
  return { place, olga, alice, bob, share, hashOf, listed, check, claim, groupClaimId, versionNumbered };
}

test("a new version takes the name, and the earlier one's torrent stays known", async (t) => {
  const { place, alice, bob, share, hashOf, listed, groupClaimId, versionNumbered } = await scene(t);
  await share(bob, 0);
  assert.deepEqual(await share(alice, 1, { replaces: 0 }), { infoHash: hashOf(1), joinedSwarm: false });
  assert.deepEqual(listed(), [[1, "alice"]]);
  const info = wholeInfoOf(place.registry, bob.accountId, "films", "film");
  assert.equal(info, Buffer.from(versionNumbered(1).info).toString("base64"));
  for (const number of [0, 1]) assert.equal(groupOfTorrent(place.registry, hashOf(number)), groupClaimId);
});

test("the first sharer and the group's owner may publish a version; others are told who may", async (t) => {
  const { place, olga, alice, bob, share, listed } = await scene(t);
  await share(bob, 0);
  await assert.rejects(share(bob, 1, { replaces: 0 }), {
    code: "NOT_THE_SHARER",
    message: /ask alice or olga/,
  });
  assert.deepEqual(listed(), [[0, "alice"]]);
  await share(olga, 1, { replaces: 0 });
  assert.deepEqual(listed(), [[1, "olga"]]);
  // Publishing one does not make its publisher the first sharer, nor takes that from the first.
  await share(alice, 2, { replaces: 1 });
  assert.deepEqual(listed(), [[2, "alice"]]);
  const stranger = await place.user("eve");
  await assert.rejects(share(stranger, 3, { replaces: 2 }), { code: "NOT_A_MEMBER" });
});

test("a version replaces the newest one only, and only of what is shared", async (t) => {
  const { place, olga, alice, share, listed } = await scene(t);
  await share(alice, 1, { replaces: 0 });
  await assert.rejects(share(olga, 2, { replaces: 0 }), { code: "NEWER_VERSION", message: /newest/ });
  assert.deepEqual(listed(), [[1, "alice"]]);
  // The newest one again is no version of its own.
  assert.equal((await share(olga, 1, { replaces: 0 })).joinedSwarm, true);
  await place.as(olga, (run) => stopShare(run, { groupId: "films", fileName: "film", holderId }));
  await place.as(alice, (run) => stopShare(run, { groupId: "films", fileName: "film", holderId }));
  await assert.rejects(share(alice, 2, { replaces: 1 }), { code: "UNKNOWN_FILE" });
  const other = metainfoFor("other", 1);
  await assert.rejects(
    place.as(alice, (run) =>
      shareFile(run, {
        ...{ groupId: "films", holderId, info: other.info, sha1: other.sha1, isUpdate: true },
        replaces: other.infoHash,
      }),
    ),
    { code: "UNKNOWN_FILE" },
  );
});

test("a version published twice by one command is one version", async (t) => {
  const { place, alice, share, hashOf, claim } = await scene(t);
  const writeId = randomUUID();
  const first = await share(alice, 1, { replaces: 0, writeId });
  assert.deepEqual(await share(alice, 1, { replaces: 0, writeId }), first);
  assert.deepEqual(
    versionsOf(place.registry, claim()).map(({ infoHash }) => infoHash),
    [hashOf(1), hashOf(0)],
  );
});

test("a member with an earlier version keeps sharing it, and is told of the newer one", async (t) => {
  const { place, alice, bob, share, hashOf, listed, check, claim } = await scene(t);
  await share(bob, 0);
  await share(alice, 1, { replaces: 0 });
  const updated = [{ fileName: "film", infoHash: hashOf(1), userId: "alice" }];
  assert.deepEqual(check(bob, 0), { withdrawn: [], unknown: [], updated });
  assert.deepEqual(check(alice, 1), { withdrawn: [], unknown: [], updated: [] });
  const standing = (number: number) =>
    fileStanding(
      place.registry,
      bob.accountId,
      { groupId: "films", fileName: "film", infoHash: hashOf(number), userIds: [] },
      () => true,
    ).content;
  assert.deepEqual([0, 1, 2].map(standing), ["newer", "same", "other"]);
  // A machine that completes the earlier version shares it beside the newer one.
  assert.equal((await share(bob, 0, { machine: "tower" })).joinedSwarm, true);
  await place.as(alice, (run) => stopShare(run, { groupId: "films", fileName: "film", holderId }));
  assert.deepEqual(listed(), [[1, "alice"]], "the name is theirs while somebody shares any version");
  await share(bob, 1);
  assert.deepEqual(check(bob, 1), { withdrawn: [], unknown: [], updated: [] });
  const key = recordKey(claim().claimId, bob.accountId, holderId);
  assert.equal(place.registry.get("share", key)?.infoHash, hashOf(1));
});

test("other content is refused under the name whichever version members share", async (t) => {
  const { alice, bob, share, place } = await scene(t);
  await share(bob, 0);
  await share(alice, 1, { replaces: 0 });
  await place.as(alice, (run) => stopShare(run, { groupId: "films", fileName: "film", holderId }));
  await assert.rejects(share(alice, 5), { code: "FILE_EXISTS", message: /others share it/ });
});

test("eight earlier versions are remembered, and a machine with an older one is told too", async (t) => {
  const { place, alice, bob, share, hashOf, check, claim } = await scene(t);
  await share(alice, 1, { replaces: 0 });
  await share(bob, 1);
  for (let number = 2; number < 12; number++) await share(alice, number, { replaces: number - 1 });
  const remembered = versionsOf(place.registry, claim()).map(({ infoHash }) => infoHash);
  assert.deepEqual(remembered, [11, 10, 9, 8, 7, 6, 5, 4, 0].map(hashOf));
  assert.deepEqual(
    check(bob, 1).updated.map(({ infoHash }) => infoHash),
    [hashOf(11)],
  );
  assert.deepEqual(check(bob, 2), { withdrawn: [], unknown: ["film"], updated: [] });
});

test("a share that everybody stopped begins again with its newest version, and anew with any other", async (t) => {
  const { place, alice, bob, share, hashOf, listed, claim } = await scene(t);
  await share(alice, 1, { replaces: 0 });
  const stop = (account: Account) =>
    place.as(account, (run) => stopShare(run, { groupId: "films", fileName: "film", holderId }));
  await stop(alice);
  assert.deepEqual(listed(), []);
  const { claimId } = claim();
  assert.equal((await share(bob, 1)).joinedSwarm, false);
  assert.equal(claim().claimId, claimId);
  assert.deepEqual(listed(), [[1, "alice"]]);
  await stop(bob);
  await share(bob, 0);
  assert.notEqual(claim().claimId, claimId);
  assert.deepEqual(listed(), [[0, "bob"]]);
  assert.deepEqual(
    versionsOf(place.registry, claim()).map(({ infoHash }) => infoHash),
    [hashOf(0)],
  );
});

test("every tracker takes the same of two versions with one number, and remembers the other", async (t) => {
  const { place, alice, olga, hashOf, claim, check } = await scene(t);
  const publish = (writeId: string, number: number, publishedByAccountId: string, at: number) =>
    place.write((writer) =>
      writer.put("version", recordKey(claim().claimId, writeId), {
        ...{ infoHash: hashOf(number), lengthBytes: 10, publishedByAccountId, number: at },
      }),
    );
  await publish("a", 1, alice.accountId, 1);
  await publish("b", 2, olga.accountId, 1);
  assert.equal(newestVersion(place.registry, claim()).infoHash, hashOf(2));
  assert.deepEqual(
    check(alice, 1).updated.map(({ infoHash, userId }) => [infoHash, userId]),
    [[hashOf(2), "olga"]],
  );
  await place.write((writer) =>
    publishVersion(writer, claim(), "0", {
      ...{ infoHash: hashOf(3), lengthBytes: 10, publishedByAccountId: alice.accountId },
    }),
  );
  assert.equal(newestVersion(place.registry, claim()).infoHash, hashOf(3));
});

test("when two claims have the same content, the versions and shares of the losing one move to the other", async (t) => {
  const { place, alice, bob, hashOf, claim, groupClaimId, check } = await scene(t);
  const name = recordKey(groupClaimId, "film");
  const { infoHash, sharedByAccountId } = claim().value;
  const value = { infoHash, lengthBytes: 10, sharedByAccountId };
  const { membershipId } =
    place.registry.get("share", recordKey(claim().claimId, alice.accountId, holderId)) ?? assert.fail();
  const lostClaimId = await place.write((writer) => {
    const claimId = writer.makeClaim("file", name, value);
    writer.put("version", recordKey(claimId, "w"), {
      ...{ infoHash: hashOf(1), lengthBytes: 10, publishedByAccountId: bob.accountId, number: 1 },
    });
    writer.put("share", recordKey(claimId, alice.accountId, "tower"), { sinceMs: 1, membershipId });
    writer.put("share", recordKey(claimId, alice.accountId, "laptop"), {
      ...{ sinceMs: 1, membershipId, infoHash: hashOf(1) },
    });
    return claimId;
  });
  const lost = { kind: "file", name, claimId: lostClaimId, value } as const;
  assert.equal(await place.write((writer) => adoptShares(writer, lost)), undefined);
  assert.equal(newestVersion(place.registry, claim()).infoHash, hashOf(1));
  const sharedBy = (machine: string) =>
    place.registry.get("share", recordKey(claim().claimId, alice.accountId, machine));
  assert.deepEqual(sharedBy("tower"), { sinceMs: 1, membershipId });
  assert.deepEqual(sharedBy("laptop"), { sinceMs: 1, membershipId, infoHash: hashOf(1) });
  assert.deepEqual(
    check(alice, 0).updated.map(({ userId }) => userId),
    ["bob"],
  );
});
