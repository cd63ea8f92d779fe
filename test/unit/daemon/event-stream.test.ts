// Events for those who watch: a snapshot, then changes; nothing is missed over a lost connection, and nobody holds the others up.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EventStream, type Snapshot, type Watcher } from "../../../src/daemon/event-stream.ts";
import { download, startDaemon } from "./fixture.ts";

class Reader implements Watcher {
  text = "";
  writableLength = 0;
  isEnded = false;
  isDestroyed = false;
  write(text: string): void {
    this.text += text;
  }
  end(): void {
    this.isEnded = true;
  }
  destroy(): void {
    this.isDestroyed = true;
  }
  /** What came since the last look: type and data of each event. */
  take(): [string, unknown][] {
    const events = this.text.split("\n\n").filter((text) => text.includes("event: "));
    this.text = "";
    return events.map((text) => [
      /event: (.*)/.exec(text)?.[1] ?? "",
      JSON.parse(/data: (.*)/.exec(text)?.[1] ?? ""),
    ]);
  }
}

function streamOf(t: { mock: { timers: { enable(options: { apis: ["setInterval"] }): void } } }) {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const state: { -readonly [key in keyof Snapshot]: Snapshot[key] } = {
    status: { groupIds: [] } as unknown as Snapshot["status"],
    downloads: [download()],
    shares: [],
  };
  let looks = 0;
  const stream = new EventStream(() => {
    looks++;
    return state;
  });
  return { stream, state, looks: () => looks };
}

test("a watcher gets a snapshot, then once a second what changed, and what ended by its name", (t) => {
  const { stream, state } = streamOf(t);
  const reader = new Reader();
  stream.join(reader, undefined);
  assert.deepEqual(
    reader.take().map(([type]) => type),
    ["snapshot"],
  );
  t.mock.timers.tick(1_000);
  assert.deepEqual(reader.take(), []);
  const other = download({ fileName: "alien" });
  state.downloads = [download({ bytesVerified: 50 }), other];
  t.mock.timers.tick(1_000);
  assert.deepEqual(reader.take(), [["changed", JSON.parse(JSON.stringify({ downloads: state.downloads }))]]);
  state.downloads = [other];
  t.mock.timers.tick(1_000);
  assert.deepEqual(reader.take(), [
    ["changed", { downloadsEnded: [{ groupId: "films", fileName: "dune" }] }],
  ]);
  stream.close();
  assert.equal(reader.isEnded, true);
});

test("nobody watches: the client's state is not looked at", (t) => {
  const { stream, looks } = streamOf(t);
  const reader = new Reader();
  stream.join(reader, undefined);
  stream.leave(reader);
  const before = looks();
  t.mock.timers.tick(10_000);
  assert.equal(looks(), before);
});

test("a watcher that returns gets what happened meanwhile, once; one of an earlier process gets a snapshot alone", (t) => {
  const { stream } = streamOf(t);
  const reader = new Reader();
  stream.join(reader, undefined);
  stream.happened("request-accepted", { groupId: "films" });
  const id = /id: (\S+)\nevent: request-accepted/.exec(reader.text)?.[1];
  assert.ok(id !== undefined);
  stream.leave(reader);
  stream.happened("became-owner", { groupId: "films" });
  const [again, stranger] = [new Reader(), new Reader()];
  stream.join(again, id);
  assert.deepEqual(
    again.take().map(([type]) => type),
    ["became-owner", "snapshot"],
  );
  stream.join(stranger, "00000000-1");
  assert.deepEqual(
    stranger.take().map(([type]) => type),
    ["snapshot"],
  );
  stream.close();
});

test("the last thousand events are kept", (t) => {
  const { stream } = streamOf(t);
  const reader = new Reader();
  stream.join(reader, undefined);
  const epoch = /id: (\S+)-0/.exec(reader.text)?.[1];
  for (let i = 1; i <= 1_005; i++) stream.happened("became-owner", { groupId: String(i) });
  const late = new Reader();
  stream.join(late, `${epoch}-0`);
  const events = late.take();
  assert.equal(events.length, 1_001);
  assert.deepEqual(events[0], ["became-owner", { groupId: "6" }]);
  stream.close();
});

test("a watcher that does not read is disconnected, and the others go on", (t) => {
  const { stream } = streamOf(t);
  const [slow, other] = [new Reader(), new Reader()];
  stream.join(slow, undefined);
  stream.join(other, undefined);
  slow.writableLength = 4 * 1024 * 1024 + 1;
  other.take();
  stream.happened("became-owner", { groupId: "films" });
  assert.deepEqual([slow.isDestroyed, slow.isEnded], [true, false], "it would never read the end");
  assert.deepEqual(other.take(), [["became-owner", { groupId: "films" }]]);
  stream.close();
});

test("a watcher that is still reading a long snapshot stays", (t) => {
  const { stream } = streamOf(t);
  const reader = new Reader();
  reader.writableLength = 20 * 1024 * 1024;
  stream.join(reader, undefined);
  stream.happened("became-owner", { groupId: "films" });
  assert.equal(reader.isDestroyed, false);
  reader.writableLength += 4 * 1024 * 1024 + 1;
  stream.happened("became-owner", { groupId: "books" });
  assert.equal(reader.isDestroyed, true);
  stream.close();
});

test("thirty-two watch at a time", (t) => {
  const { stream } = streamOf(t);
  for (let i = 0; i < 32; i++) {
    assert.equal(stream.isFull, false, `${i} watch`);
    stream.join(new Reader(), undefined);
  }
  assert.equal(stream.isFull, true);
  stream.close();
});

test("the client's events arrive over the socket, with an id to continue from", async (t) => {
  const { api, client } = await startDaemon(t);
  client.downloadList = [download()];
  const seen: string[] = [];
  const enough = new AbortController();
  let lastId: string | undefined;
  for await (const { type, id } of api.events(enough.signal)) {
    seen.push(type);
    lastId = id;
    if (type === "snapshot") client.onEvent({ type: "request-accepted", groupId: "films" });
    else enough.abort();
  }
  assert.deepEqual(seen, ["snapshot", "request-accepted"]);
  client.onEvent({ type: "became-owner", groupId: "films" });
  const later = new AbortController();
  for await (const { type } of api.events(later.signal, lastId)) {
    assert.equal(type, "became-owner");
    later.abort();
  }
});
