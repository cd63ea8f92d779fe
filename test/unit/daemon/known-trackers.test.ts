// Which trackers a daemon uses: those of its setting, or those that it was told, also by the next daemon of its directory.
import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { encodeInvite } from "../../../src/api/invite.ts";
import { KnownTrackers } from "../../../src/daemon/known-trackers.ts";
import { startDaemon, temporaryFolder } from "./fixture.ts";

const KEY = "ab".repeat(32);
const text = `192.0.2.1 9000\n[2001:db8::2]:9000 sha256:${KEY}\n`;
const list = [
  { host: "192.0.2.1", port: 9000 },
  { host: "2001:db8::2", port: 9000, fingerprint: KEY },
];

test("a daemon that knows no trackers answers, is told them once, and the next one knows them", async (t) => {
  const folder = temporaryFolder(t);
  const { api, client, daemon } = await startDaemon(t, folder);
  assert.equal((await api.call("status", {})).trackersKnown, false);
  assert.deepEqual(await api.call("trackers", {}), []);
  const told = await api.call("setTrackers", { text });
  assert.deepEqual(
    told.map(({ address, fingerprint }) => [address, fingerprint]),
    [
      ["192.0.2.1:9000", undefined],
      ["[2001:db8::2]:9000", KEY],
    ],
  );
  assert.deepEqual(client.calls, [["useTrackers", list]]);
  assert.equal((await api.call("status", {})).trackersKnown, true);
  await daemon.close();
  const path = join(folder, "tracker_info.txt");
  assert.equal(readFileSync(path, "utf8"), `192.0.2.1:9000\n[2001:db8::2]:9000 sha256:${KEY}\n`);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const second = await startDaemon(t, folder);
  assert.deepEqual(second.client.trackerList, list);
  assert.deepEqual(await second.api.call("trackers", {}), told);
  await second.api.call("setTrackers", { text });
  assert.deepEqual(second.client.calls, [], "the same list changes nothing");
});

test("a setting counts before what the daemon was told, is not overruled, and is known to the next start without it", async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, "tracker_info.txt"), "192.0.2.9:9000\n");
  const { api, client } = await startDaemon(t, folder, undefined, list);
  assert.deepEqual(client.trackerList, list);
  await assert.rejects(api.call("setTrackers", { text: "192.0.2.3:9000" }), {
    code: "INVALID_ARGUMENT",
    message: /setting 'trackers'/,
  });
  assert.deepEqual(client.calls, []);
  assert.deepEqual(new KnownTrackers(folder, undefined).list, list);
});

test("a list that is wrong, or that the client refuses, is neither used nor kept", async (t) => {
  const folder = temporaryFolder(t);
  const { api, client } = await startDaemon(t, folder);
  await assert.rejects(api.call("setTrackers", { text: "192.0.2.1" }), {
    code: "INVALID_TRACKER_INFO",
    message: /^The list, line 1: the port is missing/,
  });
  await assert.rejects(api.call("setTrackers", {}), { code: "INVALID_ARGUMENT" });
  client.useTrackers = () => {
    throw new Error("not now");
  };
  await assert.rejects(api.call("setTrackers", { text }), /not now/);
  assert.deepEqual(new KnownTrackers(folder, undefined).list, []);
});

test("a kept list that is damaged is named, with its line", (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, "tracker_info.txt");
  writeFileSync(path, "nonsense\n");
  assert.throws(() => new KnownTrackers(folder, undefined), {
    code: "INVALID_TRACKER_INFO",
    message: new RegExp(`^${path}, line 1: `),
  });
  assert.deepEqual(new KnownTrackers(folder, list).list, list, "a setting needs no kept list");
  assert.throws(() => new KnownTrackers(path, undefined), { code: "DISK_FAILED" });
});

const invite = encodeInvite({
  trackers: list,
  ...{ groupId: "films", groupClaimId: "0199a1b2c3d4-000001-k3", secret: "AAECAwQFBgcICQoLDA0ODw" },
});

test("the first invite tells a daemon its trackers, also before anybody has an account there", async (t) => {
  const folder = temporaryFolder(t);
  const { api, client, daemon } = await startDaemon(t, folder);
  await assert.rejects(api.call("joinByInvite", { invite: `${invite}x` }), { code: "INVALID_INVITE" });
  assert.deepEqual(client.calls, []);
  await assert.rejects(api.call("joinByInvite", { invite }), {
    code: "NOT_LOGGED_IN",
    message:
      "The invite's trackers are known now. Joining needs an account: make one (create_user <user_id>), log in (login <user_id>), then use the invite again.",
  });
  const tried = ["joinByInvite", invite];
  assert.deepEqual(client.calls, [["useTrackers", list], tried]);
  await assert.rejects(api.call("joinByInvite", { invite }), { message: /^Joining needs an account: / });
  assert.deepEqual(client.calls, [["useTrackers", list], tried, tried]);
  await daemon.close();
  const second = await startDaemon(t, folder);
  assert.deepEqual(second.client.trackerList, list);
  await second.api.call("login", { userId: "ann", password: "right" });
  assert.deepEqual(await second.api.call("joinByInvite", { invite }), { groupId: "films" });
  assert.deepEqual(second.client.calls.at(-1), ["joinByInvite", invite]);
});

test("an invite for other trackers does not replace those that a daemon knows", async (t) => {
  const { api, client } = await startDaemon(t, temporaryFolder(t), undefined, [
    { host: "192.0.2.9", port: 1 },
  ]);
  client.joinByInvite = async () => {
    throw new MiniTorrentError("OTHER_TRACKERS", "Others.");
  };
  await assert.rejects(api.call("joinByInvite", { invite }), { code: "OTHER_TRACKERS", message: "Others." });
  assert.deepEqual(client.calls, []);
});

test("the trackers of an invite can be set without joining, and what it says is read without asking anybody", async (t) => {
  const { api, client } = await startDaemon(t);
  assert.deepEqual(await api.call("readInvite", { invite }), {
    groupId: "films",
    trackers: [{ address: "192.0.2.1:9000" }, { address: "[2001:db8::2]:9000", fingerprint: KEY }],
  });
  assert.deepEqual(client.calls, []);
  await api.call("setTrackers", { invite });
  assert.deepEqual(client.calls, [["useTrackers", list]]);
  await assert.rejects(api.call("setTrackers", { invite, text }), {
    code: "INVALID_ARGUMENT",
    message: /one of them/,
  });
  await assert.rejects(api.call("readInvite", { invite: "films" }), { code: "INVALID_INVITE" });
});
