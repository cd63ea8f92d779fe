// Each metric counts what its name says, and asks for a state when somebody looks.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Metrics } from "../../../../src/tracker/server/metrics.ts";

async function exposed(metrics: Metrics): Promise<Record<string, number>> {
  const lines = (await metrics.expose()).matchAll(/^minitorrent_tracker_(\w+) (\S+)$/gm);
  return Object.fromEntries([...lines].map(([, name, value]) => [name, Number(value)]));
}

const STATES = {
  clients_connected: 1,
  links_connected: 2,
  replication_lag_rows: 3,
  replication_lag_seconds: 4,
};
const COUNTS = {
  ...{ writes_total: 0, merged_rows_total: 0, certificates_issued_total: 0, logins_refused_total: 0 },
  ...{ events_pushed_total: 0, connection_faults_total: 0, timer_faults_total: 0 },
};

test("a state is what it is at each look, and a counter counts its own events alone", async () => {
  let clients = 1;
  const metrics = new Metrics({
    clientsConnected: () => clients,
    linksConnected: () => 2,
    lagRecords: () => 3,
    lagSeconds: () => 4,
    cannotWrite: () => 1,
  });
  assert.deepEqual(await exposed(metrics), { ...COUNTS, ...STATES, cannot_write: 1 });
  clients = 0;
  const happenings = [
    ["writes_total", () => metrics.write(), 1],
    ["merged_rows_total", () => metrics.merged(7), 7],
    ["certificates_issued_total", () => metrics.certificateIssued(), 1],
    ["logins_refused_total", () => metrics.loginRefused(), 1],
    ["events_pushed_total", () => metrics.eventPushed(), 1],
    ["connection_faults_total", () => metrics.handlerFailed(), 1],
    ["timer_faults_total", () => metrics.timerFailed(), 1],
  ] as const;
  const expected: Record<string, number> = { ...COUNTS, ...STATES, clients_connected: 0, cannot_write: 1 };
  for (const [name, happen, count] of happenings) {
    for (let time = 1; time <= 2; time++) {
      happen();
      expected[name] = count * time;
      assert.deepEqual(await exposed(metrics), expected, name);
    }
  }
  assert.match(metrics.contentType, /^text\/plain/);
});
