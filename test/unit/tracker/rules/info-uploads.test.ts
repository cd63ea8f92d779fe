// Parts of info dictionaries that are too long for one message: whose they are, how many, and for how long.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type TestContext, test } from "node:test";
import type { Account } from "../../../../src/api/schemas.ts";
import { cutInfo } from "../../../../src/metainfo/info-parts.ts";
import type { Metainfo } from "../../../../src/metainfo/metainfo.ts";
import { DEFAULT_ACCOUNT_LIMITS, withinLimits } from "../../../../src/tracker/rules/account-limits.ts";
import { shareFile } from "../../../../src/tracker/rules/catalogue.ts";
import {
  infoPart,
  type PartRequest,
  putInfoPart,
  requireUpload,
} from "../../../../src/tracker/rules/info-uploads.ts";
import { requireGroup } from "../../../../src/tracker/rules/membership-rows.ts";
import { accountTotals } from "../../../../src/tracker/rules/totals.ts";
import { checkInfo } from "../../../../src/tracker/server/info-check.ts";
import { folderFor, holderId, town } from "../fixture.ts";

const MINUTE_MS = 60 * 1000;
const ALL = { limit: 1_000 };
const SOME = Buffer.from("some bytes").toString("base64");

async function scene(t: TestContext) {
  const place = town(t);
  const [alice, bob, eve] = [await place.user("alice"), await place.user("bob"), await place.user("eve")];
  await place.group("films", alice, bob);
  const folder = await folderFor("folder", 1_000);
  const parts = cutInfo(folder.info).map((part) => Buffer.from(part).toString("base64"));
  const put = (account: Account, request: Partial<PartRequest> & { uploadId: string }) =>
    place.as(account, (command) =>
      putInfoPart(command, {
        ...{ groupId: "films", infoHash: folder.infoHash, partIndex: 0, partCount: parts.length },
        ...{ part: parts[request.partIndex ?? 0] ?? "", ...request },
      }),
    );
  /** All parts, then the share. */
  const share = async (account: Account, uploadId: string, metainfo: Metainfo = folder) => {
    const infoParts = cutInfo(metainfo.info).map((part) => Buffer.from(part).toString("base64"));
    const { infoHash } = metainfo;
    for (const [partIndex, part] of infoParts.entries()) {
      await put(account, { infoHash, uploadId, partIndex, partCount: infoParts.length, part });
    }
    const checked = await checkInfo({
      ...{ registry: place.registry, sha1: undefined, nowMs: place.nowMs, yieldTurn: async () => {} },
      upload: { accountId: account.accountId, infoHash, uploadId },
      groupClaimId: requireGroup(place.registry, "films").claimId,
    });
    return await place.as(account, (command) =>
      shareFile(command, { groupId: "films", holderId, ...checked }),
    );
  };
  const rows = (kind: "infoPart" | "infoUpload") => place.registry.keys(kind, "", ALL).length;
  return { place, alice, bob, eve, folder, parts, put, share, rows };
}

test("a part is stored once, and the upload it belongs to is of one dictionary", async (t) => {
  const { place, alice, parts, put, rows } = await scene(t);
  assert.ok(parts.length > 1);
  const uploadId = randomUUID();
  await put(alice, { uploadId, partIndex: 1 });
  await put(alice, { uploadId, partIndex: 1 });
  await put(alice, { uploadId, partIndex: 0 });
  assert.deepEqual([rows("infoUpload"), rows("infoPart")], [1, 2]);
  const refused = { code: "INVALID_ARGUMENT" };
  await assert.rejects(put(alice, { uploadId, part: SOME }), { ...refused, message: /other bytes/ });
  await assert.rejects(put(alice, { uploadId, infoHash: "b".repeat(40) }), refused);
  await assert.rejects(put(alice, { uploadId, partCount: parts.length + 1 }), refused);
  await place.group("books", alice);
  await assert.rejects(put(alice, { uploadId, groupId: "books" }), {
    ...refused,
    message: /another dictionary/,
  });
  assert.deepEqual([rows("infoUpload"), rows("infoPart")], [1, 2]);
});

test("a part that is too long, empty or not among the parts is refused, and so is one from outside the group", async (t) => {
  const { eve, bob, put, rows } = await scene(t);
  const of = (bytes: number) => ({ uploadId: randomUUID(), part: Buffer.alloc(bytes, 1).toString("base64") });
  await put(bob, of(64 * 1024));
  await assert.rejects(put(bob, of(64 * 1024 + 1)), { code: "INVALID_ARGUMENT", message: /65537/ });
  await assert.rejects(put(bob, of(0)), { code: "INVALID_ARGUMENT" });
  await assert.rejects(put(bob, { uploadId: randomUUID(), partIndex: 2, partCount: 2 }), {
    code: "INVALID_ARGUMENT",
    message: /no part 2 of 2/,
  });
  await assert.rejects(put(eve, of(10)), { code: "NOT_A_MEMBER" });
  await assert.rejects(put(eve, { ...of(10), groupId: "nowhere" }), { code: "UNKNOWN_GROUP" });
  assert.deepEqual([rows("infoUpload"), rows("infoPart")], [1, 1]);
});

test("an account has eight uploads at a time; a further one ends the oldest, if that began ten minutes ago", async (t) => {
  const { place, alice, bob, put, rows } = await scene(t);
  const oldest = randomUUID();
  await put(alice, { uploadId: oldest });
  place.nowMs += MINUTE_MS;
  for (let count = 1; count < 8; count++) await put(alice, { uploadId: randomUUID() });
  const further = randomUUID();
  await assert.rejects(put(alice, { uploadId: further }), { code: "LIMIT_REACHED", message: /8 folders/ });
  await put(alice, { uploadId: oldest, partIndex: 1 });
  await put(bob, { uploadId: further });
  place.nowMs += 9 * MINUTE_MS + 1;
  await put(alice, { uploadId: further });
  assert.equal(rows("infoUpload"), 9);
  const uploads = place.registry.keys("infoUpload", "", ALL);
  assert.ok(!uploads.some((key) => key.endsWith(oldest)));
  // Its sender goes on, and sends again what is there already.
  place.nowMs += 10 * MINUTE_MS;
  await put(alice, { uploadId: oldest });
  assert.ok(place.registry.keys("infoUpload", "", ALL).some((key) => key.endsWith(oldest)));
});

test("parts count for the account's metainfo, and end at its limit", async (t) => {
  const { place, alice, folder, parts, put } = await scene(t);
  await put(alice, { uploadId: randomUUID() });
  const total = place.registry.total(accountTotals.metainfo(alice.accountId));
  assert.equal(total, parts[0]?.length);
  const limits = { ...DEFAULT_ACCOUNT_LIMITS, metainfoMebibytesPerUser: 0.1 };
  const further = place.as(alice, (command) =>
    withinLimits(limits, command, (run) =>
      putInfoPart(run, {
        ...{ groupId: "films", infoHash: folder.infoHash, uploadId: randomUUID() },
        ...{ partIndex: 0, partCount: 2, part: parts[0] ?? "" },
      }),
    ),
  );
  await assert.rejects(further, { code: "LIMIT_REACHED", message: /metainfoMebibytesPerUser/ });
});

test("a share follows within an hour of the first part, and ends its upload", async (t) => {
  const { place, alice, folder, parts, put, share, rows } = await scene(t);
  const late = randomUUID();
  for (const partIndex of parts.keys()) await put(alice, { uploadId: late, partIndex });
  const upload = { accountId: alice.accountId, infoHash: folder.infoHash, uploadId: late };
  const { claimId } = requireGroup(place.registry, "films");
  place.nowMs += 60 * MINUTE_MS;
  assert.equal(requireUpload(place.registry, upload, claimId, place.nowMs).partCount, parts.length);
  place.nowMs += 1;
  assert.throws(() => requireUpload(place.registry, upload, claimId, place.nowMs), {
    code: "METAINFO_MISSING",
  });
  await assert.rejects(put(alice, { uploadId: late, partIndex: 1 }), { code: "METAINFO_MISSING" });
  const uploadId = randomUUID();
  assert.deepEqual(await share(alice, uploadId), { infoHash: folder.infoHash, joinedSwarm: false });
  assert.equal(rows("infoUpload"), 1, "the late one alone");
  // The part again, of a client that has not heard of its first answer.
  await put(alice, { uploadId });
  assert.equal(rows("infoUpload"), 1);
});

test("parts of another account, also under the same upload id, never get into an account's share", async (t) => {
  const { place, alice, bob, folder, parts, put, share } = await scene(t);
  const uploadId = randomUUID();
  for (const partIndex of parts.keys()) await put(bob, { uploadId, partIndex, part: SOME });
  await share(alice, uploadId);
  const upload = { infoHash: folder.infoHash, uploadId };
  const has = (account: Account) => infoPart(place.registry, { ...upload, accountId: account.accountId }, 0);
  assert.deepEqual([has(alice), has(bob)], [parts[0], SOME]);
  await assert.rejects(share(bob, uploadId), { code: "INVALID_ARGUMENT" });
});
