// An info dictionary that was sent in parts is read before it is shared: all of it, and in turns.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type TestContext, test } from "node:test";
import { cutInfo } from "../../../../src/metainfo/info-parts.ts";
import { encodeMetainfo } from "../../../../src/metainfo/metainfo.ts";
import { type RegistryWriter, recordKey } from "../../../../src/tracker/registry/registry.ts";
import { shareFile } from "../../../../src/tracker/rules/catalogue.ts";
import { putInfoPart } from "../../../../src/tracker/rules/info-uploads.ts";
import { requireGroup } from "../../../../src/tracker/rules/membership-rows.ts";
import { checkInfo } from "../../../../src/tracker/server/info-check.ts";
import { authority, folderFor, holderId, town } from "../fixture.ts";

async function scene(t: TestContext) {
  const place = town(t);
  const alice = await place.user("alice");
  await place.group("films", alice);
  const groupClaimId = requireGroup(place.registry, "films").claimId;
  const send = async (infoHash: string, parts: readonly Uint8Array[], partCount = parts.length) => {
    const uploadId = randomUUID();
    for (const [partIndex, part] of parts.entries()) {
      await place.as(alice, (command) =>
        putInfoPart(command, {
          ...{ groupId: "films", infoHash, uploadId, partIndex, partCount },
          part: Buffer.from(part).toString("base64"),
        }),
      );
    }
    return { accountId: alice.accountId, infoHash, uploadId };
  };
  type Upload = Awaited<ReturnType<typeof send>>;
  const check = (upload: Upload, yieldTurn = async () => {}, sha1?: string) =>
    checkInfo({ ...{ registry: place.registry, nowMs: place.nowMs, sha1, yieldTurn }, upload, groupClaimId });
  const share = async (checked: Awaited<ReturnType<typeof check>>) =>
    await place.as(alice, (command) => shareFile(command, { groupId: "films", holderId, ...checked }));
  return { place, alice, send, check, share };
}

test("the folder that the parts describe is found: name, number of files, size", async (t) => {
  const { send, check, share } = await scene(t);
  const folder = await folderFor("folder", 2_000);
  const parts = cutInfo(folder.info);
  assert.ok(parts.length > 2);
  const { described, partCount } = await check(await send(folder.infoHash, parts));
  assert.equal(partCount, parts.length);
  assert.deepEqual(described, {
    ...{ fileName: "folder", authorityPem: authority.certificatePem },
    content: { infoHash: folder.infoHash, lengthBytes: 20_000, fileCount: 2_000 },
  });
  const checked = await check(await send(folder.infoHash, parts));
  await assert.rejects(share({ ...checked, sha1: "f".repeat(40) }), { code: "INVALID_ARGUMENT" });
  assert.equal((await share(checked)).joinedSwarm, false);
});

test("a single file of a terabyte is sent in parts too, with its SHA-1", async (t) => {
  const { send, check, share } = await scene(t);
  const [pieceLengthBytes, sha1] = [16 * 1024 * 1024, "a".repeat(40)];
  const film = encodeMetainfo({
    ...{ fileName: "film", lengthBytes: 2 ** 40, pieceLengthBytes, sha1 },
    ...{ pieceHashes: new Uint8Array(20 * 2 ** 16), authorityPem: authority.certificatePem },
  });
  const upload = await send(film.infoHash, cutInfo(film.info));
  const { content } = (await check(upload)).described;
  assert.deepEqual(content, { infoHash: film.infoHash, sha1, lengthBytes: 2 ** 40 });
  await assert.rejects(check(upload).then(share), { code: "INVALID_ARGUMENT", message: /SHA-1/ });
  assert.equal((await share(await check(upload, undefined, sha1))).infoHash, film.infoHash);
});

test("an upload that lacks a part, or that nobody began, is missing", async (t) => {
  const { send, check } = await scene(t);
  const { info, infoHash } = await folderFor("folder", 1_000);
  const parts = cutInfo(info);
  const upload = await send(infoHash, parts.slice(0, -1), parts.length);
  await assert.rejects(check(upload), { code: "METAINFO_MISSING" });
  await assert.rejects(check({ ...upload, uploadId: randomUUID() }), { code: "METAINFO_MISSING" });
  await assert.rejects(check({ ...upload, infoHash: "b".repeat(40) }), { code: "METAINFO_MISSING" });
  await assert.rejects(check({ ...upload, accountId: "another" }), { code: "METAINFO_MISSING" });
});

test("parts that lie are refused: of another hash, in another order, more or fewer than there are", async (t) => {
  const { send, check } = await scene(t);
  const { info, infoHash } = await folderFor("folder", 2_000);
  const parts = cutInfo(info);
  const [first, second, ...others] = parts;
  assert.ok(first && second);
  const cases: [infoHash: string, parts: readonly Uint8Array[], code: string][] = [
    ["b".repeat(40), parts, "INVALID_ARGUMENT"],
    [infoHash, [second, first, ...others], "MALFORMED_MESSAGE"],
    [infoHash, parts.slice(0, -1), "MALFORMED_MESSAGE"],
    [infoHash, [...parts, Buffer.from("e")], "MALFORMED_MESSAGE"],
    [infoHash, [Buffer.from("no dictionary")], "MALFORMED_MESSAGE"],
    // A page of the list could not be read from such a part.
    [
      infoHash,
      [first.subarray(0, -1), Buffer.concat([first.subarray(-1), second]), ...others],
      "MALFORMED_MESSAGE",
    ],
  ];
  for (const [hash, sent, code] of cases) {
    await assert.rejects(check(await send(hash, sent)), { code }, `${sent.length} parts`);
  }
});

test("32 MiB is the longest dictionary, in however many parts", async (t) => {
  const { send, check } = await scene(t);
  const part = Buffer.alloc(64 * 1024, "d");
  // A file's dictionary: a list of files would be read at once.
  const parts = [Buffer.from("d6:length"), ...new Array<Buffer>(512).fill(part)];
  await assert.rejects(check(await send("a".repeat(40), parts)), { code: "LIMIT_REACHED" });
});

test("no turn takes long, however large the folder is", async (t) => {
  const { send, check } = await scene(t);
  const { info, infoHash } = await folderFor("folder", 20_000);
  const upload = await send(infoHash, cutInfo(info));
  const turnsMs: number[] = [];
  const cpuMs = () => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  };
  let beganMs = cpuMs();
  const yieldTurn = async () => {
    turnsMs.push(cpuMs() - beganMs);
    await new Promise((resolve) => setImmediate(resolve));
    beganMs = cpuMs();
  };
  await check(upload, yieldTurn);
  turnsMs.push(cpuMs() - beganMs);
  assert.ok(turnsMs.length > 40, `only ${turnsMs.length} turns`);
  const longest = Math.max(...turnsMs);
  const median = turnsMs.toSorted((one, other) => one - other)[turnsMs.length >> 1] ?? 0;
  // The garbage collector may run in any one of them.
  assert.ok(median < 10 && longest < 60, `the median turn took ${median} ms, the longest ${longest} ms`);
});

test("a part that is written or removed while the others are read makes the share refuse", async (t) => {
  const { place, alice, send, check, share } = await scene(t);
  const { info, infoHash } = await folderFor("folder", 1_000);
  const parts = cutInfo(info);
  const upload = await send(infoHash, parts);
  const keyOf = (accountId: string, index: number) =>
    recordKey(infoHash, accountId, upload.uploadId, String(index).padStart(4, "0"));
  /** Shares after the work was done at the last turn of the reading. */
  const shareAfter = async (work: (writer: RegistryWriter) => void) => {
    const checked = await check(upload);
    await place.write(work);
    return await share(checked);
  };
  const part = Buffer.from("other").toString("base64");
  const missing = { code: "METAINFO_MISSING" };
  await assert.rejects(
    shareAfter((writer) => writer.put("infoPart", keyOf(alice.accountId, 1), { part })),
    missing,
  );
  await assert.rejects(check(upload).then(share), { code: "MALFORMED_MESSAGE" });
  await place.write((writer) =>
    writer.put("infoPart", keyOf(alice.accountId, 1), {
      part: Buffer.from(parts[1] ?? "").toString("base64"),
    }),
  );
  await assert.rejects(
    shareAfter((writer) => writer.remove("infoUpload", recordKey(alice.accountId, upload.uploadId))),
    missing,
  );
  const again = await send(infoHash, parts);
  const checked = await check(again);
  await place.write((writer) => writer.put("infoPart", keyOf("another account", 1), { part }));
  assert.equal((await share(checked)).infoHash, infoHash, "parts of others are none of its own");
});

test("when its sender is gone, nothing is read any more", async (t) => {
  const { send, check } = await scene(t);
  const { info, infoHash } = await folderFor("folder", 1_000);
  const upload = await send(infoHash, cutInfo(info));
  const gone = new Error("gone");
  let turns = 0;
  const reading = check(upload, async () => {
    turns++;
    throw gone;
  });
  await assert.rejects(reading, gone);
  assert.equal(turns, 1);
});
