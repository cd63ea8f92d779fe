import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import type { TrackerEvent } from "../../../../src/api/schemas.ts";
import { Connection } from "../../../../src/tracker/presence/client-connections.ts";
import { ApiCalls } from "../../../../src/tracker/server/api-calls.ts";
import type { RouterServices } from "../../../../src/tracker/server/procedures.ts";

test("an event that many clients are told of is made into JSON once", async () => {
  const said: string[] = [];
  const services = { turns: { take: async () => undefined }, connections: { byId: () => true } };
  const connections = Array.from({ length: 100 }, (_, index) => {
    const connection = new Connection({
      ...{ id: String(index), host: "10.0.0.1", deviceId: "", publicKeySpki: new Uint8Array() },
    });
    const calls = new ApiCalls({
      context: { tracker: services as unknown as RouterServices, connection },
      send: (text) => said.push(text),
      onRefused: (error) => pino({ level: "silent" }).error(error),
      mayBegin: () => true,
      onEnded: () => undefined,
      later: setImmediate,
    });
    calls.take(JSON.stringify({ id: index, method: "subscription", params: { path: "events" } }));
    return connection;
  });
  while (said.length < connections.length) await new Promise(setImmediate);
  said.length = 0;
  let times = 0;
  const event = { type: "request-accepted", groupId: "films" } as const;
  const counted: TrackerEvent = { ...event };
  const toJSON = () => {
    times++;
    return event;
  };
  Object.defineProperty(counted, "toJSON", { value: toJSON });
  for (const connection of connections) connection.tell(counted);
  await new Promise(setImmediate);
  assert.equal(times, 1);
  assert.deepEqual(
    said.map((text) => JSON.parse(text)),
    connections.map((_, id) => ({ id, result: { type: "data", data: [event] } })),
  );
});
