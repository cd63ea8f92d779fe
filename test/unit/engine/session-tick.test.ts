// A torrent whose tick fails: the others go on, and its owner is told once it keeps failing.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Bandwidth } from "../../../src/engine/bandwidth.ts";
import { Session } from "../../../src/engine/session.ts";
import { createDeviceIdentity, createGroupAuthority } from "../../../src/identity/certificates.ts";
import { Bitfield } from "../../../src/metainfo/bitfield.ts";
import { encodeMetainfo } from "../../../src/metainfo/metainfo.ts";
import { onTimerFault } from "../../../src/net/timers.ts";
import type { PieceStorage } from "../../../src/swarm/storage-interface.ts";
import type { TorrentEvent } from "../../../src/swarm/torrent-status.ts";
import { silent } from "../transport/members.ts";

const PIECE_BYTES = 256 * 1024;
const TICKS_TOLD_AFTER = 10;
const unused = () => assert.fail("nothing is read or written");
const storage: PieceStorage = { reserve: unused, release: unused, commit: unused, read: unused };

async function openSession(t: TestContext): Promise<Session> {
  const session = await Session.open({
    ...{ listen: { host: "127.0.0.1", port: 0 }, identity: await createDeviceIdentity(), log: silent },
    ...{ bandwidth: new Bandwidth(() => performance.now()), credentials: () => undefined },
    ...{ credentialsMissing: () => undefined, connections: 100, onConnectionsTaken: () => undefined },
  });
  t.after(() => session.close());
  return session;
}

test("an exception in one torrent's tick stops neither the others nor the process, and its owner is told in the end", async (t) => {
  const faults: string[] = [];
  t.after(onTimerFault((_error, where) => void faults.push(where)));
  const session = await openSession(t);
  const { certificatePem: authorityPem } = await createGroupAuthority();
  const told = Promise.withResolvers<TorrentEvent>();
  const join = (fileName: string, onEvent: (event: TorrentEvent) => void) =>
    session.add({
      ...{ groupId: "films", storage, onEvent, have: new Bitfield(1) },
      metainfo: encodeMetainfo({
        ...{ fileName, lengthBytes: PIECE_BYTES, pieceLengthBytes: PIECE_BYTES, authorityPem },
        ...{ pieceHashes: new Uint8Array(20), sha1: "0".repeat(40) },
      }),
    });
  const failing = join("a", (event) => event.type === "tick-failed" && told.resolve(event));
  const other = join("b", () => undefined);
  t.mock.method(failing.torrent, "tick", () => {
    throw new Error("a bug");
  });
  const ticks = t.mock.method(other.torrent, "tick");
  t.mock.method(failing.torrent, "roomAvailable", () => {
    throw new Error("a bug");
  });
  const room = t.mock.method(other.torrent, "roomAvailable");
  session.roomAvailable();
  assert.equal(room.mock.callCount(), 1);

  const event = await told.promise;
  assert.ok(event.type === "tick-failed");
  assert.equal(event.error.code, "INTERNAL");
  assert.match(event.error.message, /a bug/);
  assert.ok(ticks.mock.callCount() >= TICKS_TOLD_AFTER - 1, `${ticks.mock.callCount()}`);
  assert.equal(faults.filter((where) => where === "the tick of a torrent").length, TICKS_TOLD_AFTER);
});
