// The channel to a tracker: what goes out in one frame, and what becomes of answers, refusals and silence.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { TRPCClientError } from "@trpc/client";
import { ApiChannel } from "../../../src/client/api-channel.ts";

function open() {
  const sent: string[] = [];
  const channel = new ApiChannel((text) => sent.push(text));
  return { sent, channel, api: channel.api };
}

test("calls of one turn go out in one frame, and each gets its answer", async () => {
  const { sent, channel, api } = open();
  const groups = api.groups.list.query();
  const resumed = api.session.resume.mutate();
  assert.deepEqual(sent, []);
  await turn();
  assert.deepEqual(JSON.parse(sent.join("\n")), [
    { id: 1, method: "query", params: { path: "groups.list" } },
    { id: 2, method: "mutation", params: { path: "session.resume" } },
  ]);
  assert.ok(channel.take('{"id":2,"result":{"type":"data","data":{"accountId":"a","userId":"alice"}}}'));
  assert.ok(channel.take('{"id":1,"result":{"data":[]}}'));
  assert.deepEqual(await groups, []);
  assert.deepEqual(await resumed, { accountId: "a", userId: "alice" });
});

test("long calls of one turn go in several frames", async () => {
  const { sent, channel, api } = open();
  const share = { writeId: "w", groupId: "g", sha1: "0".repeat(40), info: "x".repeat(100_000) };
  const calls = Array.from({ length: 5 }, () => api.files.share.mutate(share).catch(() => undefined));
  await turn();
  assert.deepEqual(
    sent.map((text) => text.split('"files.share"').length - 1),
    [2, 2, 1],
  );
  channel.close();
  await Promise.all(calls);
});

test("a refusal has its code; a connection that goes has none, now and later", async () => {
  const { channel, api } = open();
  const call = api.groups.list.query();
  const waiting = api.groups.list.query();
  await turn();
  const refusal = { code: -32603, message: "No.", data: { minitorrentCode: "NOT_LOGGED_IN" } };
  channel.take(JSON.stringify({ id: 1, error: refusal }));
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof TRPCClientError);
    return error.message === "No." && error.data.minitorrentCode === "NOT_LOGGED_IN";
  });
  channel.close();
  const isLoss = (error: unknown) => error instanceof TRPCClientError && error.shape === undefined;
  await assert.rejects(waiting, isLoss);
  await assert.rejects(api.groups.list.query(), isLoss);
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

test("what no tracker says is told from an answer that nobody waits for", () => {
  const { channel } = open();
  assert.ok(channel.take('{"id":7,"result":{"type":"data"}}'));
  for (const text of ["", "{", "[]", '{"id":1}', '{"id":1,"method":"query"}', '{"id":1,"error":"no"}'])
    assert.equal(channel.take(text), false, text);
});
