import assert from "node:assert/strict";
import { test } from "node:test";
import type { TrackerEvent } from "../../../src/api/schemas.ts";
import { Connection } from "../../../src/tracker/connection.ts";

test("who is told of thousands of things in one turn is told to look again instead, and of the last ones", async () => {
  const connection = new Connection({
    ...{ id: "c1", host: "10.0.0.1", deviceId: "d", publicKeySpki: new Uint8Array() },
  });
  const heard: TrackerEvent[] = [];
  connection.listen((events) => heard.push(...events));
  const event = (at: number): TrackerEvent => ({ type: "request-accepted", groupId: `group${at}` });
  for (let at = 0; at < 2_000; at++) connection.tell(event(at));
  await new Promise(setImmediate);
  assert.equal(heard.splice(0).length, 2_000);
  for (let at = 0; at < 50_000; at++) connection.tell(event(at));
  await new Promise(setImmediate);
  assert.ok(heard.length <= 2_000, `${heard.length} events`);
  assert.deepEqual([heard[0], heard.at(-1)], [{ type: "look-again" }, event(49_999)]);
});
