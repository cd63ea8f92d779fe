// A client that comes over from a tracker that died: those who know of it are told nothing, as nothing changed for them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Presence } from "../../../../src/tracker/presence/presence.ts";

const DEVICE = "d".repeat(64);
const INFO_HASH = "a".repeat(40);
const torrents = [{ infoHash: INFO_HASH, isSeed: true }];

function scene() {
  const told: string[] = [];
  const timers: (() => void)[] = [];
  const presence = new Presence({
    publish: () => undefined,
    groupOf: () => "films",
    isMember: () => true,
    onPeerOnline: (_infoHash, { port }) => told.push(`online at ${port}`),
    onPeerOffline: () => told.push("offline"),
    setTimer: (_delayMs, callback) => {
      timers.push(callback);
      return () => undefined;
    },
  });
  const remote = {
    type: "client",
    connectionId: "there",
    accountId: "alice",
    deviceId: DEVICE,
    hosts: ["h"],
    port: 1,
  };
  presence.apply("other", [{ ...remote, isWhole: true, add: torrents, remove: [] }], true);
  const comeOver = (port: number) => {
    presence.arrive("here", "alice", DEVICE, "h");
    void presence.announce("here", port, torrents);
  };
  const graceEnds = () => {
    presence.linkLost("other");
    for (const timer of timers.splice(0)) timer();
  };
  return { presence, told, comeOver, graceEnds };
}

test("at the same address, nobody is told, neither when it comes nor when the dead tracker's word is over", () => {
  const { presence, told, comeOver, graceEnds } = scene();
  comeOver(1);
  graceEnds();
  assert.deepEqual(told, ["online at 1"]);
  presence.depart("here");
  assert.deepEqual(told, ["online at 1", "offline"]);
});

test("at another address, its peers are told that, once", () => {
  const { told, comeOver, graceEnds } = scene();
  comeOver(2);
  graceEnds();
  assert.deepEqual(told, ["online at 1", "online at 2"]);
});

test("a client that does not reconnect is gone when the grace period ends", () => {
  const { told, graceEnds } = scene();
  graceEnds();
  assert.deepEqual(told, ["online at 1", "offline"]);
});
