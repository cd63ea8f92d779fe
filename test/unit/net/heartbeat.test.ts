import assert from "node:assert/strict";
import { test } from "node:test";
import { Heartbeat } from "../../../src/net/heartbeat.ts";

test("a silent client is pinged, dropped if it does not answer, and kept if it does", () => {
  const happened: string[] = [];
  const heartbeat = new Heartbeat<string>({
    pingAfterTicks: 3,
    pongWithinTicks: 2,
    ping: (socket) => happened.push(`${socket}?`),
    drop: (socket) => {
      happened.push(`${socket} let go`);
      heartbeat.remove(socket);
    },
  });
  const beats = (count: number) => {
    for (let beat = 0; beat < count; beat++) heartbeat.tick();
    return happened.splice(0);
  };
  for (const socket of ["silent", "answers", "talks", "goes"]) heartbeat.heard(socket);
  assert.deepEqual(beats(2), []);
  heartbeat.heard("talks");
  heartbeat.remove("goes");
  assert.deepEqual(beats(1), ["silent?", "answers?"]);
  heartbeat.heard("answers");
  heartbeat.heard("talks");
  assert.deepEqual(beats(2), []);
  assert.deepEqual(beats(1), ["silent let go", "answers?", "talks?"]);
});
