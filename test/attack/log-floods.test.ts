// A tracker whose log cannot be written, and one whose log strangers would fill: real processes.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ApiClient } from "../../harness/api-client.ts";
import { freePorts, TrackerProcess } from "../../harness/processes.ts";
import { type Address, parseAddress } from "../../src/api/addresses.ts";
import { createDeviceIdentity, type DeviceIdentity } from "../../src/identity/certificates.ts";

/** Each with a key of its own. */
const STRANGERS = 200;
/** All that they may add to the log: a few lines of each kind. */
const MAX_GROWTH_BYTES = 16 * 1024;

async function start(
  t: TestContext,
  redirection: string,
): Promise<{ tracker: TrackerProcess; address: Address }> {
  const folder = mkdtempSync(join(tmpdir(), "log-floods-"));
  const [port = 0] = await freePorts(1);
  const info = join(folder, "tracker_info.txt");
  writeFileSync(info, `127.0.0.1:${port}\n`);
  const tracker = await TrackerProcess.start(info, 1, join(folder, "data"), {
    prefix: ["bash", "-c", `exec "$@" ${redirection}`, "bash"],
    arguments: ["--log-level", "debug"],
  });
  t.after(async () => {
    await tracker.kill();
    rmSync(folder, { recursive: true });
  });
  return { tracker, address: parseAddress(tracker.address) };
}

/** Asks for /sync as another tracker would. */
function knockAtSync(
  address: Address,
  { privateKeyPem: key, certificatePem: cert }: DeviceIdentity,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13" };
    const asked = request({
      ...{ ...address, path: "/sync", key, cert, rejectUnauthorized: false, agent: false },
      headers: { ...headers, "Sec-WebSocket-Key": Buffer.alloc(16).toString("base64") },
    });
    asked.on("response", (response) => {
      response.resume();
      resolve();
    });
    asked.on("error", reject).end();
  });
}

async function comeAndGo(address: Address, identity: DeviceIdentity): Promise<void> {
  const client = await ApiClient.connect({ ...address, identity });
  client.sendRaw("no call");
  await client.query("groups.list", {}).catch(() => undefined);
  await client.close();
}

const FAILING = {
  "a full disk": "2>/dev/full",
  "a pipe that nobody reads from any more": "2> >(exec true)",
  nothing: "2>&-",
};

for (const [what, redirection] of Object.entries(FAILING)) {
  test(`a tracker whose log goes to ${what} serves on, and ends as it should`, async (t) => {
    const { tracker, address } = await start(t, redirection);
    for (let stranger = 0; stranger < 5; stranger++) {
      const identity = await createDeviceIdentity();
      await knockAtSync(address, identity);
      await comeAndGo(address, identity);
    }
    const member = await ApiClient.connect({ ...address, identity: await createDeviceIdentity() });
    await member.signUp("alice");
    await member.close();
    assert.equal(await tracker.quit(), 0);
  });
}

test(`${STRANGERS} strangers with a key each add a few lines to the log, also where everything is logged`, async (t) => {
  const { tracker, address } = await start(t, "");
  const identities: DeviceIdentity[] = [];
  for (let stranger = 0; stranger < STRANGERS; stranger++) identities.push(await createDeviceIdentity());
  const before = tracker.stderr.length;
  for (const identity of identities) {
    await knockAtSync(address, identity);
    await comeAndGo(address, identity);
  }
  assert.match(tracker.stderr, /a link was refused/);
  const grown = tracker.stderr.length - before;
  assert.ok(grown < MAX_GROWTH_BYTES, `the log grew by ${grown} bytes`);
});
