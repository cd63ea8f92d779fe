// One account that floods a tracker with the most expensive calls over many connections, and what others notice of it.
// What is looked at is whose calls are answered first, not how fast the machine is.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { ApiClient } from "../../harness/api-client.ts";
import { Scene } from "../../harness/scene.ts";
import { parseAddress } from "../../src/api/addresses.ts";
import { groupCertificateSchema } from "../../src/api/schemas.ts";
import { createDeviceIdentity, type DeviceIdentity } from "../../src/identity/certificates.ts";
import { encodeMetainfo } from "../../src/metainfo/metainfo.ts";

const FILES = 300;
const CONNECTIONS = 20;
/** Calls of each connection. A slice of a list takes some 2 ms of the tracker, a group up to 2, a certificate again 0.1. */
const LISTS = 100;
const CERTIFICATES_AND_GROUPS = 240;
const ONE_OF_THEM_A_GROUP = 20;
/** Of the flood so much may be answered while a member's one call is: four turns, each of up to 64 calls (call-turns.ts), and some. */
const MOST_AHEAD = 1 / 16;

describe("an account that floods a tracker with expensive calls", () => {
  let scene: Scene;
  let member: ApiClient;
  let flooders: ApiClient[];

  before(async () => {
    scene = await Scene.open(1);
    const address = parseAddress(scene.trackerAddresses[0] ?? "");
    const connect = (identity: DeviceIdentity) => ApiClient.connect({ ...address, identity });
    member = await connect(await createDeviceIdentity());
    await member.signUp("member");
    await member.mutate("groups.create", { writeId: randomUUID(), groupId: "books" });
    const identity = await createDeviceIdentity();
    flooders = await Promise.all(Array.from({ length: CONNECTIONS }, () => connect(identity)));
    const [first] = flooders;
    assert.ok(first);
    await first.signUp("flooder");
    await first.mutate("groups.create", { writeId: randomUUID(), groupId: "films" });
    const { authorityPem } = groupCertificateSchema.parse(
      await first.query("groups.certificate", { groupId: "films" }),
    );
    const sha1 = "ab".repeat(20);
    for (let at = 0; at < FILES; at++) {
      const { info } = encodeMetainfo({
        ...{ fileName: `film ${at}.mkv`, lengthBytes: 10, pieceLengthBytes: 256 * 1024 },
        ...{ pieceHashes: new Uint8Array(20), sha1, authorityPem },
      });
      await first.mutate("files.share", {
        ...{ writeId: randomUUID(), groupId: "films", sha1 },
        info: Buffer.from(info).toString("base64"),
      });
    }
    // Each connection has the account's session from its first call on.
    for (const flooder of flooders) await flooder.mutate("session.resume");
  });

  after(async () => {
    for (const client of [member, ...flooders]) client.close();
    await scene[Symbol.asyncDispose]();
  });

  /** Sends the flood, and as soon as the first of it is answered the member's calls, one after the other. */
  async function flood(
    callsPerConnection: number,
    ask: (flooder: ApiClient, at: number) => Promise<unknown>,
    calls: readonly (() => Promise<unknown>)[],
  ): Promise<number[]> {
    let answered = 0;
    const begun = Promise.withResolvers<void>();
    const all = flooders.flatMap((flooder, connection) =>
      Array.from({ length: callsPerConnection }, async (_, call) => {
        await ask(flooder, connection * callsPerConnection + call);
        answered++;
        begun.resolve();
      }),
    );
    await begun.promise;
    const ahead: number[] = [];
    for (const call of calls) {
      const before = answered;
      await call();
      ahead.push(answered - before);
    }
    assert.ok(answered < CONNECTIONS * callsPerConnection, "the flood was over before the member was served");
    await Promise.all(all);
    return ahead;
  }

  const certificate = () => member.query("groups.certificate", { groupId: "books" });
  const create = () => member.mutate("groups.create", { writeId: randomUUID(), groupId: randomUUID() });

  it("keeps nobody waiting with long lists", async () => {
    const list = (flooder: ApiClient) => flooder.query("files.list", { groupId: "films" });
    const ahead = await flood(LISTS, list, [() => member.query("groups.list", {}), certificate, create]);
    assert.ok(Math.max(...ahead) <= CONNECTIONS * LISTS * MOST_AHEAD, `${ahead} of the flood came first`);
  });

  it("keeps nobody waiting with certificates and new groups", async () => {
    const sign = (flooder: ApiClient, at: number) =>
      at % ONE_OF_THEM_A_GROUP === 0
        ? flooder.mutate("groups.create", { writeId: randomUUID(), groupId: `flood${at}` })
        : flooder.query("groups.certificate", { groupId: "films" });
    const calls = [() => member.query("groups.list", {}), certificate, create];
    const ahead = await flood(CERTIFICATES_AND_GROUPS, sign, calls);
    assert.ok(
      Math.max(...ahead) <= CONNECTIONS * CERTIFICATES_AND_GROUPS * MOST_AHEAD,
      `${ahead} of the flood came first`,
    );
  });
});
