// A daemon's life: one process for a folder, a kept key and session, a socket for its owner alone.
import assert from "node:assert/strict";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { until } from "../../../harness/within.ts";
import { socketPathOf } from "../../../src/daemon/socket-path.ts";
import type { DeviceIdentity } from "../../../src/identity/certificates.ts";
import { type FakeClient, startDaemon, temporaryFolder } from "./fixture.ts";

const account = { userId: "ann", accountId: "a1" };

test("a login is continued by the next daemon, with the same key and no password; after a logout it is not", async (t) => {
  const folder = temporaryFolder(t);
  const first = await startDaemon(t, folder);
  await first.api.call("login", { userId: "ann", password: "right" });
  await first.daemon.close();
  assert.equal(first.client.isClosed, true);
  const second = await startDaemon(t, folder);
  assert.deepEqual(second.client.calls, [["resume", account]]);
  assert.equal(
    (second.client.identity as DeviceIdentity).deviceId,
    (first.client.identity as DeviceIdentity).deviceId,
  );
  assert.deepEqual((await second.api.call("status", {})).account, account);
  await second.api.call("logout", {});
  await second.daemon.close();
  assert.deepEqual((await startDaemon(t, folder)).client.calls, []);
});

test("a session that the trackers ended is not continued", async (t) => {
  const folder = temporaryFolder(t);
  const { api, client, daemon } = await startDaemon(t, folder);
  await api.call("login", { userId: "ann", password: "right" });
  client.onEvent({ type: "session-ended", reason: "idle" });
  await daemon.close();
  assert.deepEqual((await startDaemon(t, folder)).client.calls, []);
});

test("a daemon with a password logs in by itself where no session is kept, and again when the trackers have ended it", async (t) => {
  const folder = temporaryFolder(t);
  const credentials = { userId: "ann", readPassword: () => "right" };
  const loggedIn = (client: FakeClient, count: number): Promise<void> =>
    until(() => client.account !== undefined && client.calls.length === count, "the login", 5_000);
  const first = await startDaemon(t, folder, {}, undefined, credentials);
  await loggedIn(first.client, 1);
  assert.deepEqual(first.client.calls, [["login", "ann", "right"]]);
  first.client.account = undefined;
  first.client.onEvent({ type: "session-ended", reason: "idle" });
  await loggedIn(first.client, 2);
  await first.daemon.close();
  const second = await startDaemon(t, folder, {}, undefined, credentials);
  assert.deepEqual(second.client.calls, [["resume", account]], "a kept session needs no password");
});

test("a second daemon of a folder says which process has it, and leaves the first alone", async (t) => {
  const folder = temporaryFolder(t);
  const { api } = await startDaemon(t, folder);
  await assert.rejects(startDaemon(t, folder), {
    code: "DATA_DIR_IN_USE",
    message: `The daemon with process id ${process.pid} uses ${folder}; stop it, or give another --data-dir.`,
  });
  assert.equal((await api.call("status", {})).daemon.dataDir, folder);
});

test("the socket and what is kept are for their owner alone, and a socket that a crash left is replaced", async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, "daemon.sock"), "");
  const { daemon } = await startDaemon(t, folder);
  const modes = ["", "daemon.sock", "daemon.sqlite", "daemon.pid", "identity-key.pem"].map(
    (name) => statSync(join(folder, name)).mode & 0o777,
  );
  assert.deepEqual(modes, [0o700, 0o600, 0o600, 0o600, 0o600]);
  await daemon.close();
  assert.equal(existsSync(daemon.socketPath), false);
});

test("a client that cannot be opened leaves the folder free", async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, "identity-certificate.pem"), "damaged");
  await assert.rejects(startDaemon(t, folder), { code: "DISK_FAILED", message: /and log in again\.$/ });
  writeFileSync(join(folder, "identity-certificate.pem"), "");
  await assert.rejects(startDaemon(t, folder), { code: "DISK_FAILED" });
});

test("the socket is in the runtime folder, or else in the data directory; too long a path is refused", () => {
  const inRuntime = socketPathOf("/data", { XDG_RUNTIME_DIR: "/run/user/1" });
  assert.match(inRuntime, /^\/run\/user\/1\/minitorrent\/[0-9a-f]{12}\.sock$/);
  assert.notEqual(inRuntime, socketPathOf("/other", { XDG_RUNTIME_DIR: "/run/user/1" }));
  assert.equal(socketPathOf("/data", { XDG_RUNTIME_DIR: "relative" }), "/data/daemon.sock");
  const longest = `/${"d".repeat(103 - "//daemon.sock".length)}`;
  assert.equal(socketPathOf(longest, {}).length, 103);
  assert.throws(() => socketPathOf(`${longest}d`, {}), {
    code: "INVALID_ARGUMENT",
    message: /XDG_RUNTIME_DIR/,
  });
});
