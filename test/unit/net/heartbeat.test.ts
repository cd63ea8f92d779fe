import assert from "node:assert/strict";
import { test } from "node:test";
import { Heartbeat } from "../../../src/net/heartbeat.ts";

test("who is silent is asked, is let go if he does not answer, and stays if he does", () => {
  const happened: string[] = [];
  const heartbeat = new Heartbeat<string>({
    askAfter: 3,
    answerWithin: 2,
    ask: (socket) => happened.push(`${socket}?`),
    letGo: (socket) => {
      happened.push(`${socket} let go`);
      heartbeat.gone(socket);
    },
  });
  const beats = (count: number) => {
    for (let beat = 0; beat < count; beat++) heartbeat.beat();
    return happened.splice(0);
  };
  for (const socket of ["silent", "answers", "talks", "goes"]) heartbeat.heard(socket);
  assert.deepEqual(beats(2), []);
  heartbeat.heard("talks");
  heartbeat.gone("goes");
  assert.deepEqual(beats(1), ["silent?", "answers?"]);
  heartbeat.heard("answers");
  heartbeat.heard("talks");
  assert.deepEqual(beats(2), []);
  assert.deepEqual(beats(1), ["silent let go", "answers?", "talks?"]);
});
