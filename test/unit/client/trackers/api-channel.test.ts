// The channel to a tracker: what goes out in one frame, and what becomes of answers, refusals and silence.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { MiniTorrentError } from "../../../../src/api/errors.ts";
import { MAX_SHARED_MESSAGE_LENGTH } from "../../../../src/api/file-limits.ts";
import { ApiChannel, ConnectionLost } from "../../../../src/client/trackers/api-channel.ts";
import { guardOf } from "../../../../src/net/connection-guard.ts";
import { soon, virtualTime } from "../session-fixture.ts";

function open() {
  const sent: string[] = [];
  const channel = new ApiChannel(
    (text) => sent.push(text),
    guardOf(() => undefined),
  );
  return { sent, channel, api: channel.api };
}

/** A refusal that says when to try again. */
const wait = (id: number, retryAfterMs: unknown) =>
  JSON.stringify({
    id,
    error: { code: -32603, message: "Wait.", data: { minitorrentCode: "TRACKER_BUSY", retryAfterMs } },
  });

test("calls of one turn go out in one frame, and each gets its answer", async () => {
  const { sent, channel, api } = open();
  const groups = api.groups.list.query({});
  const resumed = api.session.resume.mutate();
  assert.deepEqual(sent, []);
  await turn();
  assert.deepEqual(JSON.parse(sent.join("\n")), [
    { id: 1, method: "query", params: { path: "groups.list", input: {} } },
    { id: 2, method: "mutation", params: { path: "session.resume" } },
  ]);
  assert.ok(channel.take('{"id":2,"result":{"type":"data","data":{"accountId":"a","userId":"alice"}}}'));
  assert.ok(channel.take('{"id":1,"result":{"data":[]}}'));
  assert.deepEqual(await groups, []);
  assert.deepEqual(await resumed, { accountId: "a", userId: "alice" });
});

test("calls of one turn go in frames that trackers take, a long one alone", async () => {
  const { sent, channel, api } = open();
  const share = (length: number) =>
    api.files.share
      .mutate({ writeId: "w", groupId: "g", sha1: "0".repeat(40), info: "x".repeat(length) })
      .catch(() => undefined);
  const calls = [10, 7_500, 7_500, 7_500, 100_000, 100_000, 10, 10].map(share);
  await turn();
  assert.deepEqual(
    sent.map((text) => text.split('"files.share"').length - 1),
    [3, 1, 1, 1, 2],
  );
  assert.ok(sent.every((text) => text.length <= MAX_SHARED_MESSAGE_LENGTH || !text.startsWith("[")));
  channel.close();
  await soon("the calls end", Promise.all(calls));
});

test("a refusal has its code; a connection that goes has none, now and later", async () => {
  const { channel, api } = open();
  const call = api.groups.list.query({});
  const waiting = api.groups.list.query({});
  await turn();
  const refusal = { code: -32603, message: "No.", data: { minitorrentCode: "NOT_LOGGED_IN" } };
  channel.take(JSON.stringify({ id: 1, error: refusal }));
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof MiniTorrentError);
    return error.message === "No." && error.code === "NOT_LOGGED_IN";
  });
  channel.close();
  await soon("the call fails", assert.rejects(waiting, ConnectionLost));
  await soon("a later one too", assert.rejects(api.groups.list.query({}), ConnectionLost));
});

test("events are told until nobody listens any more, and the tracker hears of that", async () => {
  const { sent, channel, api } = open();
  const heard: unknown[] = [];
  const listening = api.events.subscribe(undefined, { onData: (event) => heard.push(event) });
  await turn();
  const event = { type: "request-accepted", groupId: "g" };
  channel.take('{"id":1,"result":{"type":"started"}}');
  channel.take(JSON.stringify({ id: 1, result: { type: "data", data: event } }));
  channel.take(JSON.stringify({ id: 1, result: { type: "data", data: event } }));
  listening.unsubscribe();
  await turn();
  assert.deepEqual(heard, [event, event]);
  assert.deepEqual(JSON.parse(sent.at(-1) ?? ""), { id: 1, method: "subscription.stop" });
});

test("a message that no tracker sends is told from an answer that nobody waits for", () => {
  const { channel } = open();
  assert.ok(channel.take('{"id":7,"result":{"type":"data"}}'));
  for (const text of ["", "{", "[]", '{"id":1}', '{"id":1,"method":"query"}', '{"id":1,"error":"no"}'])
    assert.equal(channel.take(text), false, text);
});

test("a call that is told to wait goes out again by itself, as often as it is told; nobody hears of it", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { sent, channel, api } = open();
  const call = api.groups.list.query({});
  await turn();
  const data = { minitorrentCode: "TOO_MANY_ATTEMPTS", retryAfterMs: 10_000 };
  const told = JSON.stringify({ id: 1, error: { code: -32603, message: "Wait.", data } });
  for (const times of [2, 3]) {
    assert.ok(channel.isAsked);
    channel.take(told);
    assert.equal(channel.isAsked, false);
    t.mock.timers.tick(9_999);
    await turn();
    assert.equal(sent.length, times - 1);
    t.mock.timers.tick(2_001);
    await turn();
    assert.equal(sent.length, times);
    assert.equal(sent.at(-1), sent[0]);
  }
  channel.take('{"id":1,"result":{"data":[]}}');
  assert.deepEqual(await call, []);
});

test("a wait that is too long, or no number of milliseconds, is a refusal", async (t) => {
  const time = virtualTime(t);
  const { channel, api } = open();
  for (const [at, retryAfterMs] of [30_001, -1, 1.5, "5", null].entries()) {
    const call = assert.rejects(api.groups.list.query({}), /Wait/);
    await turn();
    channel.take(wait(at + 1, retryAfterMs));
    await soon(`${retryAfterMs} is refused`, call);
  }
  assert.equal(time.timeouts, 0);
});

test("a wait of no length is a tenth of a second, so that nobody is asked in a circle", async (t) => {
  const time = virtualTime(t);
  const { sent, channel, api } = open();
  const call = api.groups.list.query({});
  await turn();
  for (let times = 1; times <= 3; times++) {
    channel.take(wait(1, 0));
    await time.after(99);
    assert.equal(sent.length, times);
    await time.after(21);
    assert.equal(sent.length, times + 1);
  }
  channel.take('{"id":1,"result":{"data":[]}}');
  assert.deepEqual(await soon("it is answered", call), []);
});

test("a call that is told to wait again and again is refused after ten minutes", async (t) => {
  const time = virtualTime(t);
  t.mock.method(Math, "random", () => 0);
  const { sent, channel, api } = open();
  const call = assert.rejects(api.groups.list.query({}), /Wait/);
  await turn();
  for (let times = 0; times < 30 && channel.isAsked; times++) {
    channel.take(wait(1, 30_000));
    await time.after(30_000);
  }
  await soon("it is refused", call);
  assert.equal(sent.length, 21, "at first, and after twenty waits of half a minute");
});

test("a call that waits is lost with its connection, and a subscription that waits can be ended", async () => {
  const { sent, channel, api } = open();
  const call = api.groups.list.query({});
  const listening = api.events.subscribe(undefined, { onData: () => undefined });
  await turn();
  const data = { minitorrentCode: "TRACKER_BUSY", retryAfterMs: 20_000 };
  for (const id of [1, 2]) {
    channel.take(JSON.stringify({ id, error: { code: -32603, message: "Wait.", data } }));
  }
  listening.unsubscribe();
  await turn();
  assert.equal(sent.length, 1);
  channel.close();
  const lost = assert.rejects(call, ConnectionLost);
  await soon("the call ends", lost);
});

test("something is asked until it is answered or refused; whoever listens to events asks nothing", async () => {
  const { channel, api } = open();
  api.events.subscribe(undefined, { onData: () => undefined });
  assert.equal(channel.isAsked, false);
  const answered = api.groups.list.query({});
  assert.equal(channel.isAsked, true);
  channel.take('{"id":2,"result":{"data":[]}}');
  assert.equal(channel.isAsked, false);
  await answered;
  const refused = assert.rejects(api.groups.list.query({}), /No/);
  channel.take('{"id":3,"error":{"code":1,"message":"No."}}');
  assert.equal(channel.isAsked, false);
  await refused;
});

test("a listener hears the beginning and the end, and nothing after that", async () => {
  const { sent, channel, api } = open();
  const heard: string[] = [];
  const listener = (name: string) => ({
    onStarted: () => heard.push(`${name} started`),
    onData: () => heard.push(`${name} data`),
    onComplete: () => heard.push(`${name} complete`),
    onError: (error: unknown) => heard.push(`${name} ${error instanceof MiniTorrentError && error.message}`),
  });
  const one = api.events.subscribe(undefined, listener("one"));
  const two = api.events.subscribe(undefined, listener("two"));
  const three = api.events.subscribe(undefined, listener("three"));
  await turn();
  channel.take('{"id":1,"result":{"type":"started"}}');
  channel.take('{"id":1,"result":{"type":"stopped"}}');
  channel.take('{"id":1,"result":{"type":"data"}}');
  channel.take('{"id":2,"error":{"code":1,"message":"No events."}}');
  three.unsubscribe();
  channel.take('{"id":3,"result":{"type":"data"}}');
  assert.deepEqual(heard, ["one started", "one complete", "two No events."]);
  await turn();
  const before = sent.length;
  for (const ended of [one, two, three]) ended.unsubscribe();
  await turn();
  assert.equal(sent.length, before, "the tracker knows that they have ended");
});

test("nothing goes out over a connection that was closed in the same turn", async () => {
  const { sent, channel, api } = open();
  const call = assert.rejects(api.groups.list.query({}));
  channel.close();
  channel.close();
  await soon("the call ends", call);
  await turn();
  assert.deepEqual(sent, []);
});

test("one that fails when it hears of the end keeps no other from hearing of it", async () => {
  const faults: string[] = [];
  const channel = new ApiChannel(
    () => undefined,
    guardOf((_error, where) => faults.push(where)),
  );
  channel.api.events.subscribe(undefined, {
    onError: () => {
      throw new Error("a bug");
    },
  });
  const call = assert.rejects(channel.api.groups.list.query({}), /closed/);
  channel.close();
  await soon("the other is told", call);
  assert.deepEqual(faults, ["end of calls"]);
});

test("a call that is told to wait does so a little longer, by chance, and its timer ends with the connection", async (t) => {
  const time = virtualTime(t);
  t.mock.method(Math, "random", () => 0.5);
  const { sent, channel, api } = open();
  const call = assert.rejects(api.groups.list.query({}));
  await turn();
  channel.take(wait(1, 10_000));
  await time.after(10_999);
  assert.equal(sent.length, 1);
  await time.after(1);
  assert.equal(sent.length, 2);
  channel.take(wait(1, 10_000));
  assert.equal(time.timeouts, 1);
  channel.close();
  await soon("the call fails", call);
  assert.equal(time.timeouts, 0);
});

test("a subscription that was told to wait and is ended is not made again", async (t) => {
  const time = virtualTime(t);
  const { sent, channel, api } = open();
  const listening = api.events.subscribe(undefined, { onData: () => undefined });
  await turn();
  channel.take(wait(1, 1_000));
  listening.unsubscribe();
  assert.equal(time.timeouts, 0);
  await time.after(2_000);
  assert.equal(sent.length, 1);
});

test("after calls that filled frames, those of the next turn share one again", async () => {
  const { sent, channel, api } = open();
  const share = { writeId: "w", groupId: "g", sha1: "0".repeat(40), info: "x".repeat(200_000) };
  const calls = [1, 2].map(() => api.files.share.mutate(share).catch(() => undefined));
  await turn();
  assert.equal(sent.length, 2);
  for (let count = 0; count < 2; count++)
    calls.push(api.groups.list.query({}).catch(() => undefined) as never);
  await turn();
  assert.equal(sent.length, 3);
  channel.close();
  await soon("the calls end", Promise.all(calls));
});
