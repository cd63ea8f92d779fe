// A session as each call finds it: read once, and again when a row that it hangs on has changed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Connection, Connections } from "../../../../src/tracker/presence/client-connections.ts";
import { KnownMembers } from "../../../../src/tracker/presence/known-members.ts";
import { PeerDirectory } from "../../../../src/tracker/presence/peer-directory.ts";
import { Presence } from "../../../../src/tracker/presence/presence.ts";
import { logIn, logOut } from "../../../../src/tracker/rules/accounts.ts";
import { MemberCertificates } from "../../../../src/tracker/rules/member-certificates.ts";
import { AttemptLimits } from "../../../../src/tracker/server/attempt-limits.ts";
import { CallTurns } from "../../../../src/tracker/server/call-turns.ts";
import { FairSlots } from "../../../../src/tracker/server/fair-slots.ts";
import { PasswordHasher } from "../../../../src/tracker/server/password-hasher.ts";
import { DEFAULT_TRACKER_LIMITS } from "../../../../src/tracker/tracker-limits.ts";
import { town } from "../fixture.ts";
import { callsOf } from "../front-desk.ts";

test("a session is not read again for each call, and is over with its row, or when its user id is somebody else's", async (t) => {
  const later = town(t, () => 2_000_000);
  const { registry, write } = later;
  const connections = new Connections();
  const presence = new Presence({
    publish: () => {},
    groupOf: () => undefined,
    isMember: () => false,
    onPeerOnline: () => 0,
    onPeerOffline: () => {},
    setTimer: () => () => {},
  });
  const deviceId = "d".repeat(64);
  const connection = new Connection({ id: "c1", host: "::1", deviceId, publicKeySpki: new Uint8Array() });
  connections.add(connection);
  let reads = 0;
  const counted = new Proxy(registry, {
    get: (of, name) => {
      if (name === "get") reads++;
      const value: unknown = Reflect.get(of, name, of);
      return typeof value === "function" ? value.bind(of) : value;
    },
  });
  const { session } = callsOf({
    connection,
    tracker: {
      ...{ registry: counted, connections, presence, limits: new AttemptLimits(), nowMs: Date.now },
      passwords: new PasswordHasher(),
      longMessages: new FairSlots(1),
      infoChecks: new FairSlots(1),
      turns: new CallTurns({ nowMs: () => performance.now(), nextTurn: (run) => setImmediate(run) }),
      write: (_writeId, work) => write(work),
      writeAndConfirm: async (_writeId, work) => ({ result: await write(work), unconfirmedAt: [] }),
      peers: new PeerDirectory(new KnownMembers(registry), presence, connections, () => () => {}),
      revocationsSinceMs: () => 0,
      accountLimits: DEFAULT_TRACKER_LIMITS,
      counters: { loginRefused: () => {}, certificateIssued: () => {}, handlerFailed: () => {} },
      certificates: new MemberCertificates(1),
      trackerKeys: () => [],
      reportFault: () => {},
    },
  });
  const over = { code: "NOT_LOGGED_IN" };
  await assert.rejects(session.resume(), over);
  const alice = await later.user("alice");
  await write((writer) => logIn(writer, deviceId, alice, 1));
  assert.deepEqual(await session.resume(), alice);
  reads = 0;
  assert.deepEqual(await session.resume(), alice);
  assert.equal(reads, 0);
  await write((writer) => logOut(writer, deviceId));
  await assert.rejects(session.resume(), over);
  assert.equal(connection.account, undefined);
  await write((writer) => logIn(writer, deviceId, alice, 1));
  assert.deepEqual(await session.resume(), alice);
  // At another tracker somebody had that user id first.
  const earlier = town(t, () => 1_000_000);
  await earlier.user("alice");
  await registry.merge(earlier.registry.since({}, 100));
  await assert.rejects(session.resume(), over);
});
