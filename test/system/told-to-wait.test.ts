// A client that asks more of a real tracker than it takes in a while: the client waits as it is told, and nobody sees a limit.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pino } from "pino";
import { freePorts } from "../../harness/processes.ts";
import { openTrackerSocket } from "../../src/client/trackers/tracker-socket.ts";
import { TrackerTrust } from "../../src/client/trackers/tracker-trust.ts";
import { createDeviceIdentity } from "../../src/identity/certificates.ts";
import { PinStore } from "../../src/identity/pins.ts";
import { Tracker } from "../../src/tracker/tracker.ts";

/** In 10 s. */
const CALLS = 5;

test("calls beyond what a tracker takes in ten seconds are answered when those are over", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "told-to-wait-"));
  const [port = 0] = await freePorts(1);
  const address = { host: "127.0.0.1", port };
  const tracker = await Tracker.open({
    ...{ trackers: [address], trackerNumber: 1, dataDir: join(folder, "tracker") },
    ...{ log: pino({ level: "silent" }), limits: { callsPerAccount: CALLS } },
  });
  const pins = new PinStore(join(folder, "pins.sqlite"));
  const trust = new TrackerTrust({ trackers: [address], pins, onFirstTrust: () => undefined });
  const socket = await openTrackerSocket({
    ...{ tracker: address, identity: await createDeviceIdentity(), trust },
    plan: { host: address.host, localAddress: undefined },
    ...{ signal: new AbortController().signal, onClose: () => undefined },
    log: pino({ level: "silent" }),
  });
  t.after(async () => {
    socket.close();
    await tracker.close();
    pins.close();
    rmSync(folder, { recursive: true });
  });
  const { api } = socket;
  const account = { userId: "alice", password: "secret" };
  await api.session.createUser.mutate({ ...account, writeId: randomUUID() });
  const { accountId } = await api.session.login.mutate({ ...account, writeId: randomUUID() });
  const answers = await Promise.all(Array.from({ length: CALLS + 2 }, () => api.session.resume.mutate()));
  assert.ok(answers.every((answer) => answer.accountId === accountId));
});
