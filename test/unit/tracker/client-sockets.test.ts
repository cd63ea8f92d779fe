// What goes wrong inside the tracker for one client, at any place, is the end of that client's connection: it is counted,
// nothing of the connection stays, and others are served.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import { ApiClient } from "../../../harness/api-client.ts";
import { freePorts } from "../../../harness/processes.ts";
import type { Address } from "../../../src/api/addresses.ts";
import { createDeviceIdentity } from "../../../src/identity/certificates.ts";
import { ApiCalls } from "../../../src/tracker/api-calls.ts";
import { Connections } from "../../../src/tracker/connection.ts";
import { Heartbeat } from "../../../src/tracker/heartbeat.ts";
import { Presence } from "../../../src/tracker/presence.ts";
import { Replication } from "../../../src/tracker/registry/replication.ts";
import { Tracker } from "../../../src/tracker/tracker.ts";

async function start(t: TestContext): Promise<{ tracker: Tracker; address: Address }> {
  const dataDir = mkdtempSync(join(tmpdir(), "tracker-"));
  const [port = 0] = await freePorts(1);
  const address = { host: "127.0.0.1", port };
  const log = pino({ level: "silent" });
  const tracker = await Tracker.open({ trackers: [address], trackerNumber: 1, dataDir, log });
  t.after(async () => {
    await tracker.close();
    rmSync(dataDir, { recursive: true });
  });
  return { tracker, address };
}

async function connect(address: Address): Promise<ApiClient> {
  return await ApiClient.connect({ ...address, identity: await createDeviceIdentity() });
}

function metrics({ host, port }: Address): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host, port, path: "/metrics", rejectUnauthorized: false, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => resolve(text));
    }).on("error", reject);
  });
}

async function until(holds: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + 20_000;
  while (!holds()) {
    assert.ok(Date.now() < deadlineMs, "it did not come about in time");
    await new Promise(setImmediate);
  }
}

const failure = (): never => {
  throw new Error("a fault of the tracker's");
};

/** Breaks something for the next who comes by, and has the victim come by. */
const FAULTS: Record<string, (t: TestContext, victim: ApiClient) => unknown> = {
  "a message": (t, victim) => {
    t.mock.method(ApiCalls.prototype, "take", failure, { times: 1 });
    victim.sendRaw("[]");
  },
  "a sign of life": (t, victim) => {
    t.mock.method(Heartbeat.prototype, "heard", failure, { times: 1 });
    victim.sendRaw("PING");
  },
  "the end of its calls": (t, victim) => {
    t.mock.method(ApiCalls.prototype, "close", failure, { times: 1 });
    victim.terminate();
  },
  "its departure": (t, victim) => {
    t.mock.method(Presence.prototype, "depart", failure, { times: 1 });
    victim.terminate();
  },
};

for (const [what, breakIt] of Object.entries(FAULTS)) {
  test(`a failure in ${what} ends that connection alone`, async (t) => {
    const { tracker, address } = await start(t);
    const bystander = await connect(address);
    await bystander.signUp("alice");
    const victim = await connect(address);
    await victim.signUp("bob");
    await breakIt(t, victim);
    await victim.closed;
    await until(() => tracker.status().clientsOnline === 1);
    await bystander.mutate("groups.create", { groupId: "films", writeId: randomUUID() });
    assert.match(await metrics(address), /^minitorrent_tracker_connection_faults_total 1$/m);
    await bystander.close();
  });
}

test("an event that cannot be told to one client is told to the others", async (t) => {
  const { tracker, address } = await start(t);
  const identity = await createDeviceIdentity();
  let toldCount = 0;
  const onEvent = (): unknown => toldCount++;
  const first = await ApiClient.connect({ ...address, identity, onEvent });
  await first.signUp("alice");
  await first.mutate("groups.create", { groupId: "films", writeId: randomUUID() });
  const second = await ApiClient.connect({ ...address, identity, onEvent });
  await second.mutate("session.resume");
  for (const listener of [first, second]) await listener.listen();
  const asker = await connect(address);
  await asker.signUp("bob");
  const { stringify } = JSON;
  let failures = 0;
  t.mock.method(JSON, "stringify", (message: unknown) => {
    const text = stringify(message);
    if (text.includes('"type":"join-requested"') && failures++ === 0) failure();
    return text;
  });
  await asker.mutate("groups.join", { groupId: "films", writeId: randomUUID() });
  await until(() => toldCount === 1 && tracker.status().clientsOnline === 2);
  assert.match(await metrics(address), /^minitorrent_tracker_connection_faults_total 1$/m);
  for (const client of [first, second, asker]) client.terminate();
});

test("who is gone before its login is answered is not logged in for good", async (t) => {
  const { tracker, address } = await start(t);
  const account = { userId: "alice", password: "password of alice" };
  const first = await connect(address);
  await first.signUp(account.userId);
  await first.close();
  const arrivals = t.mock.method(Presence.prototype, "arrive");
  const logIns = t.mock.method(Connections.prototype, "logIn");
  const { writeAndConfirm } = Replication.prototype;
  const writing = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  async function writeOnceGone(this: Replication, ...given: Parameters<typeof writeAndConfirm>) {
    writing.resolve();
    await gone.promise;
    return await writeAndConfirm.apply(this, given);
  }
  const writes = t.mock.method(Replication.prototype, "writeAndConfirm", writeOnceGone, { times: 1 });
  const late = await connect(address);
  late.mutate("session.login", { writeId: randomUUID(), ...account }).catch(() => undefined);
  await writing.promise;
  late.terminate();
  await until(() => tracker.status().clientsOnline === 0);
  gone.resolve();
  await writes.mock.calls[0]?.result;
  const next = await connect(address);
  await next.mutate("session.login", { writeId: randomUUID(), ...account });
  await next.close();
  await until(() => tracker.status().clientsOnline === 0);
  assert.equal(logIns.mock.callCount(), 1);
  assert.equal(arrivals.mock.callCount(), 1);
});
