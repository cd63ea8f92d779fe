// What happened in the groups: which events are kept, for whom, in which order, and how many.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import type { ClientEvent } from "../../../src/client/status.ts";
import { ActivityLog } from "../../../src/daemon/activity.ts";
import { DaemonStore } from "../../../src/daemon/daemon-store.ts";
import { temporaryFolder } from "./fixture.ts";

function setUp(t: TestContext) {
  const store = new DaemonStore(temporaryFolder(t));
  const state = { accountId: "a1" as string | undefined, nowMs: 1 };
  const options = {
    store,
    accountId: () => state.accountId,
    nowMs: () => state.nowMs,
    log: pino({ level: "silent" }),
  };
  const activity = new ActivityLog(options);
  t.after(() => {
    activity.close();
    store.close();
  });
  return { store, state, activity };
}

const requested = (userId: string, groupId = "films"): ClientEvent => ({
  type: "join-requested",
  groupId,
  userId,
});

test("an entry has the time, the type and the facts of its event", (t) => {
  const { activity, state } = setUp(t);
  state.nowMs = 5_000;
  activity.happened({ type: "membership-ended", groupId: "films", how: "removed" });
  assert.deepEqual(activity.page("films", undefined), {
    items: [{ atMs: 5_000, type: "membership-ended", how: "removed" }],
  });
});

test("events of no group, and those of the moment, are not kept", (t) => {
  const { activity } = setUp(t);
  activity.happened({ type: "trackers-unreachable", reason: "gone" });
  activity.happened({ type: "download-waiting", groupId: "films", fileName: "dune", reason: "nobody" });
  assert.deepEqual(activity.page("films", undefined).items, []);
});

test("another account of the machine does not see it", (t) => {
  const { activity, state } = setUp(t);
  activity.happened(requested("bob"));
  state.accountId = "a2";
  assert.deepEqual(activity.page("films", undefined).items, []);
  state.accountId = undefined;
  activity.happened(requested("eve"));
  assert.throws(() => activity.page("films", undefined), { code: "NOT_LOGGED_IN" });
});

test("five hundred entries of a group are kept, newest first in pages, and those of other groups stay", (t) => {
  const { activity } = setUp(t);
  activity.happened(requested("ann", "music"));
  for (let i = 0; i < 620; i++) activity.happened(requested(`user ${i}`));
  const users: unknown[] = [];
  for (let after: string | undefined; ; ) {
    const { items, next } = activity.page("films", after);
    assert.ok(items.length <= 100);
    users.push(...items.map(({ userId }) => userId));
    if (next === undefined) break;
    after = next;
  }
  assert.deepEqual(
    users,
    Array.from({ length: 500 }, (_, i) => `user ${619 - i}`),
  );
  assert.equal(activity.page("music", undefined).items.length, 1);
  assert.throws(() => activity.page("films", "x"), { code: "INVALID_ARGUMENT" });
});

test("a burst is written in one step, within a second", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { activity, store } = setUp(t);
  const written: number[] = [];
  const add = store.addActivity.bind(store);
  store.addActivity = (entries) => {
    written.push(entries.length);
    add(entries);
  };
  for (let i = 0; i < 50; i++) activity.happened(requested(`user ${i}`));
  assert.deepEqual(written, []);
  t.mock.timers.tick(1_000);
  assert.deepEqual(written, [50]);
});

test("a disk that cannot be written to stops nothing", (t) => {
  const { activity, store } = setUp(t);
  store.addActivity = () => {
    throw new Error("full");
  };
  activity.happened(requested("bob"));
  assert.deepEqual(activity.page("films", undefined).items, []);
});
