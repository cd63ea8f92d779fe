import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LiveList } from "../../../web/src/state/changes.ts";
import { EventReader } from "../../../web/src/state/event-reader.ts";
import { LiveRates } from "../../../web/src/state/live-rates.ts";
import { retryDelayMs } from "../../../web/src/state/retry-delay.ts";

interface Entry {
  readonly groupId: string;
  readonly fileName: string;
  readonly bytes: number;
}
const entry = (fileName: string, bytes: number): Entry => ({ groupId: "g", fileName, bytes });
const contentOf = (list: LiveList<Entry>) => [...list.entries.value.values()].map(({ value }) => value);

test("a change of one entry tells those who read that entry alone", () => {
  const list = new LiveList<Entry>();
  list.replace([entry("a", 1), entry("b", 1)]);
  const told: string[] = [];
  const ends = [list.entries.subscribe((entries) => void told.push(`list of ${entries.size}`))];
  for (const [key, one] of list.entries.value) {
    ends.push(one.subscribe(({ bytes }) => void told.push(`${key} ${bytes}`)));
  }
  told.length = 0;
  list.change([entry("b", 2)], []);
  assert.deepEqual(told, ["g/b 2"]);
  for (const end of ends) end();
});

test("after a snapshot, entries that are the same keep their signals, and the list tells nobody", () => {
  const list = new LiveList<Entry>();
  list.replace([entry("a", 1), entry("b", 1)]);
  const before = list.entries.value;
  list.replace([entry("a", 5), entry("b", 1)]);
  assert.equal(list.entries.value, before);
  assert.deepEqual(contentOf(list), [entry("a", 5), entry("b", 1)]);
  list.replace([entry("b", 1)]);
  assert.deepEqual(contentOf(list), [entry("b", 1)]);
  assert.equal(list.entries.value.get("g/b"), before.get("g/b"));
});

test("entries that come and end are in the list, and out of it", () => {
  const list = new LiveList<Entry>();
  list.change([entry("a", 1), entry("b", 1)], []);
  list.change([entry("c", 1)], [entry("a", 0), entry("unknown", 0)]);
  assert.deepEqual(contentOf(list), [entry("b", 1), entry("c", 1)]);
});

test("events are read alike, however the stream is cut", () => {
  const stream =
    'id: 1-1\nevent: snapshot\ndata: {"a":1}\n\n:\n\nevent: changed\ndata: x\ndata: y\n\nid: 1-2\nevent: file-shared\ndata: {}\n\ndata: plain\n\n';
  const whole = new EventReader().read(stream);
  assert.deepEqual(whole, [
    { id: "1-1", type: "snapshot", data: '{"a":1}' },
    { id: "1-1", type: "changed", data: "x\ny" },
    { id: "1-2", type: "file-shared", data: "{}" },
    { id: "1-2", type: "message", data: "plain" },
  ]);
  fc.assert(
    fc.property(fc.array(fc.nat(stream.length)), (cuts) => {
      const reader = new EventReader();
      const edges = [0, ...cuts.sort((one, other) => one - other), stream.length];
      const parts = edges.slice(1).map((end, index) => stream.slice(edges[index], end));
      assert.deepEqual(
        parts.flatMap((part) => reader.read(part)),
        whole,
      );
    }),
  );
});

test("the page tries again after a second, then less often, at least every 5 seconds", () => {
  assert.deepEqual([1, 2, 3, 4, 5, 100].map(retryDelayMs), [1_000, 2_000, 4_000, 5_000, 5_000, 5_000]);
});

test("the rates of everything together follow what changes, list by list", () => {
  const rates = new LiveRates();
  const moving = (fileName: string, down: number, up: number) => ({
    ...{ groupId: "g", fileName },
    ...{ rateBytesPerSecond: down, uploadBytesPerSecond: up },
  });
  rates.replace("downloads", [moving("a", 10, 1), moving("b", 20, 0)]);
  rates.replace("shares", [moving("a", 0, 5)]);
  assert.deepEqual(rates.sum, { down: 30, up: 6 });
  rates.change("downloads", [moving("a", 0, 0)], []);
  rates.change("shares", [], [moving("a", 0, 0)]);
  assert.deepEqual(rates.sum, { down: 20, up: 0 });
  rates.replace("downloads", []);
  assert.deepEqual(rates.sum, { down: 0, up: 0 });
});
