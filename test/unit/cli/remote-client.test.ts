// The daemon's client as the commands see one: what waits for downloads ends when they do, however that is.
import assert from "node:assert/strict";
import { test } from "node:test";
import { RemoteClient } from "../../../src/cli/remote-client.ts";
import type { DownloadStatus } from "../../../src/client/status.ts";
import type { ApiClient } from "../../../src/daemon/api-client.ts";
import { download } from "../daemon/fixture.ts";

const DUNE = { groupId: "films", fileName: "dune" };

/** A client of a daemon that says those events, and then nothing more. */
function clientThatHears(
  ...events: readonly (readonly [type: string, data: unknown])[]
): Promise<RemoteClient> {
  const api = {
    call: async () => ({}),
    async *events(signal: AbortSignal) {
      for (const [type, data] of events) {
        if (signal.aborted) return;
        yield { type, id: undefined, data };
      }
      if (!signal.aborted) assert.fail("it waits although all has ended");
    },
  };
  return RemoteClient.connect(api as unknown as ApiClient);
}

const named = (fileName: string, state: DownloadStatus["state"]) => download({ fileName, state } as object);

test("waiting for a download reports its progress, and ends when it is complete", async () => {
  const client = await clientThatHears(
    ["snapshot", { downloads: [named("dune", "downloading"), named("other", "downloading")] }],
    ["joined-group", { groupId: "films" }],
    ["changed", { downloads: [named("dune", "verifying")] }],
    ["changed", { downloads: [named("dune", "complete")] }],
  );
  const shown: string[] = [];
  const ended = await client.waitForDownloads(DUNE, undefined, ({ state }) => shown.push(state));
  assert.deepEqual(
    ended.map(({ fileName, state }) => [fileName, state]),
    [["dune", "complete"]],
  );
  assert.deepEqual(shown, ["downloading", "verifying"]);
});

test("waiting for a download that somebody cancels ends, and says so", async () => {
  const client = await clientThatHears(
    ["snapshot", { downloads: [named("dune", "downloading")] }],
    ["changed", { downloadsEnded: [DUNE] }],
  );
  await assert.rejects(client.waitForDownloads(DUNE), { code: "UNKNOWN_DOWNLOAD", message: /cancelled/ });
});

test("waiting for all downloads is for those that ran when it began, without what was cancelled", async () => {
  const client = await clientThatHears(
    ["snapshot", { downloads: ["a", "b", "c"].map((name) => named(name, "downloading")) }],
    ["changed", { downloads: [named("a", "failed"), named("late", "downloading")] }],
    ["changed", { downloads: [named("b", "paused")], downloadsEnded: [{ groupId: "films", fileName: "c" }] }],
  );
  const ended = await client.waitForDownloads();
  assert.deepEqual(
    ended.map(({ fileName, state }) => [fileName, state]),
    [
      ["a", "failed"],
      ["b", "paused"],
    ],
  );
});

test("invites are the daemon's calls", async () => {
  const calls: unknown[] = [];
  const api = {
    call: async (name: string, input: object) => {
      calls.push([name, input]);
      return name === "listInvites" ? [] : {};
    },
  };
  const client = await RemoteClient.connect(api as unknown as ApiClient);
  calls.length = 0;
  await client.createInvite("films", { uses: 1, expiresMs: 60_000 });
  await client.createInvite("films");
  await client.listInvites("films");
  await client.revokeInvite("films", "0a");
  await client.joinByInvite("minitorrent:x");
  assert.deepEqual(calls, [
    ["createInvite", { groupId: "films", uses: 1, expiresMs: 60_000 }],
    ["createInvite", { groupId: "films" }],
    ["listInvites", { groupId: "films" }],
    ["revokeInvite", { groupId: "films", inviteId: "0a" }],
    ["joinByInvite", { invite: "minitorrent:x" }],
  ]);
});
