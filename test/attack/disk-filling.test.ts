// Accounts that fill the trackers' disks together, each within its own limits, as fast as they can: through real
// connections to a pair of trackers that replicate all of it.
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pino } from "pino";
import { ApiClient, Refusal } from "../../harness/api-client.ts";
import { freePorts } from "../../harness/processes.ts";
import { until } from "../../harness/within.ts";
import { groupCertificateSchema } from "../../src/api/schemas.ts";
import { createDeviceIdentity } from "../../src/identity/certificates.ts";
import { encodeMetainfo } from "../../src/metainfo/metainfo.ts";
import { Tracker } from "../../src/tracker/tracker.ts";

const MIB = 1024 * 1024;
const STRANGERS = 20;
const LIMITS = { registryMebibytes: 16, mebibytesPerNetwork: 8, mebibytesPerNewUser: 2, mebibytesPerUser: 4 };
/** As many as a message may have: 190 KB. */
const PIECES = 9_000;
const MOST_FILE_BYTES = 256 * 1024;
/** SQLite's log, which is moved to its place at 16 MiB, beside what rows take. */
const LOG_BYTES = 20 * MIB;

test("twenty new accounts of one network take no more than its part of the disk, at both trackers, and others go on", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "disk-filling-"));
  const trackers = (await freePorts(2)).map((port) => ({ host: "127.0.0.1", port }));
  const open = (trackerNumber: number) =>
    Tracker.open({
      ...{ trackers, trackerNumber, dataDir: join(folder, String(trackerNumber)), limits: LIMITS },
      log: pino({ level: "silent" }),
    });
  const running = [await open(1), await open(2)];
  t.after(async () => {
    for (const tracker of running) await tracker.close();
    rmSync(folder, { recursive: true });
  });
  const areConnected = () => running.every((tracker) => tracker.status().links[0]?.state === "connected");
  await until(areConnected, "the two trackers to be connected");
  const connect = async (localAddress: string, index: number) => {
    const address = trackers[index % 2];
    assert.ok(address);
    return ApiClient.connect({ ...address, localAddress, identity: await createDeviceIdentity() });
  };
  const write = (client: ApiClient, path: string, input: object) =>
    client.mutate(path, { writeId: randomUUID(), ...input });
  const share = async (client: ApiClient, groupId: string, fileName: string, pieces = PIECES) => {
    const issued = await client.query("groups.certificate", { groupId });
    const { authorityPem } = groupCertificateSchema.parse(issued);
    const sha1 = randomBytes(20).toString("hex");
    const { info } = encodeMetainfo({
      ...{ fileName, lengthBytes: pieces * 256 * 1024, pieceLengthBytes: 256 * 1024, authorityPem, sha1 },
      pieceHashes: randomBytes(pieces * 20),
    });
    await write(client, "files.share", { groupId, info: Buffer.from(info).toString("base64"), sha1 });
  };

  const member = await connect("127.0.0.2", 0);
  await member.signUp("member");
  await write(member, "groups.create", { groupId: "work" });

  const fill = async (index: number): Promise<number> => {
    const client = await connect("127.0.0.3", index);
    let shared = 0;
    try {
      await client.signUp(`stranger${index}`);
      await write(client, "groups.create", { groupId: `group${index}` });
      for (; ; shared++) await share(client, `group${index}`, `file${shared}`);
    } catch (error) {
      assert.ok(error instanceof Refusal && error.code === "LIMIT_REACHED", String(error));
    }
    await client.close();
    return shared;
  };
  const shared = await Promise.all(Array.from({ length: STRANGERS }, (_, index) => fill(index)));
  const total = shared.reduce((sum, count) => sum + count, 0);
  assert.ok(total > 10 && total < (LIMITS.mebibytesPerNetwork * MIB) / 240_000 + STRANGERS, `${total} files`);

  await share(member, "work", "a.bin", 100);
  await write(member, "files.stopShare", { groupId: "work", fileName: "a.bin" });
  await member.close();
  const digests = () => running.map((tracker) => tracker.status().digest);
  await until(() => new Set(digests()).size === 1, "the two trackers to hold the same");
  for (const number of [1, 2]) {
    const path = join(folder, String(number), "registry.sqlite");
    const bytes = statSync(path).size + statSync(`${path}-wal`).size;
    assert.ok(
      bytes < LIMITS.mebibytesPerNetwork * MIB + STRANGERS * MOST_FILE_BYTES + LOG_BYTES,
      `${bytes} bytes`,
    );
  }
  const [first, second] = running.map(({ operator }) => operator.accounts("stranger", undefined, 100).items);
  assert.deepEqual(first, second, "both count the same");
  const taken = first?.reduce((sum, { bytes }) => sum + bytes, 0) ?? 0;
  // New accounts' part, a tenth more for logins, and of each stranger one file that the other tracker had not heard of yet.
  const most = LIMITS.mebibytesPerNetwork * MIB * 0.75 * 1.1 + STRANGERS * MOST_FILE_BYTES;
  assert.ok(taken <= most, `${taken} bytes`);
});
