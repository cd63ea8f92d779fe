// Who contributed what: one entry a user, over all their connections.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Contributors } from "../../../src/swarm/contributors.ts";

const snapshotOf = (sources: Contributors, banned: readonly number[] = []) =>
  sources.snapshot(
    (sourceIndex) => 1000 + sourceIndex,
    (sourceIndex) => banned.includes(sourceIndex),
  );

test("a user has one index, whichever of their devices is connected", () => {
  const sources = new Contributors();
  assert.equal(sources.knownIndexOf("bob"), undefined);
  const [bob, carol] = [sources.indexOf("bob"), sources.indexOf("carol")];
  assert.notEqual(bob, carol);
  assert.deepEqual([sources.indexOf("bob"), sources.knownIndexOf("bob")], [bob, bob]);
  assert.deepEqual([sources.userId(bob), sources.userId(carol), sources.userId(99)], ["bob", "carol", ""]);
});

test("a user's sent bytes are counted over all connections, and kept when those are gone", () => {
  const sources = new Contributors();
  const bob = sources.indexOf("bob");
  sources.connected(bob);
  sources.connected(bob);
  sources.receivedBlock(bob, 10);
  sources.receivedBlock(bob, 5);
  sources.finishedPiece(bob);
  const given = { userId: "bob", pieces: 1, bytes: 15, bytesPerSecond: 1000 + bob, isBanned: false };
  assert.deepEqual(snapshotOf(sources), [{ ...given, isConnected: true, stall: undefined }]);
  sources.disconnected(bob, undefined);
  assert.equal(snapshotOf(sources)[0]?.isConnected, true, "one connection is left");
  sources.disconnected(bob, "does not answer");
  assert.deepEqual(snapshotOf(sources), [{ ...given, isConnected: false, stall: "does not answer" }]);
  assert.equal(sources.stallOf(bob), "does not answer");
  sources.disconnected(bob, undefined);
  assert.equal(sources.stallOf(bob), undefined, "the last connection counts");
});

test("a member that gave nothing is listed only if it held back pieces, or is banned", () => {
  const sources = new Contributors();
  const [bob, carol, dave] = [sources.indexOf("bob"), sources.indexOf("carol"), sources.indexOf("dave")];
  for (const source of [bob, carol, dave]) sources.connected(source);
  assert.deepEqual(snapshotOf(sources), []);
  sources.disconnected(carol, "does not answer");
  assert.deepEqual(
    snapshotOf(sources, [dave]).map(({ userId, isBanned }) => ({ userId, isBanned })),
    [
      { userId: "carol", isBanned: false },
      { userId: "dave", isBanned: true },
    ],
  );
});
