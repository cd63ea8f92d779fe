// Events for those who watch: a snapshot, then changes; nothing is missed over a lost connection, and nobody holds the others up.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { LIST_NAMES } from "../../../src/daemon/event-lists.ts";
import { EventStream, type WatchedState, type Watcher } from "../../../src/daemon/event-stream.ts";
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

function streamOf(t: TestContext) {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const state = { downloads: [download()], shares: [] as ShareStatus[] };
  const time = { nowMs: 0 };
  let looks = 0;
  const watched: WatchedState = {
    status: () => {
      looks++;
      return { groupIds: [] } as unknown as ReturnType<WatchedState["status"]>;
    },
    downloads: () => state.downloads,
    shares: () => state.shares,
  };
  const stream = new EventStream(watched, () => time.nowMs);
  const tick = (periodMs: number): void => {
    time.nowMs += periodMs;
    t.mock.timers.tick(periodMs);
  };
  return { stream, state, time, tick, looks: () => looks };
}
const share = (fileName: string): ShareStatus => ({
  ...{ groupId: "films", fileName, path: `/${fileName}`, lengthBytes: 9 },
  ...{ state: "served", peerCount: 0 },
});
type ShareStatus = ReturnType<WatchedState["shares"]>[number];
/** Of the first event. */
const sharesIn = ([first]: [string, unknown][]) => (first?.[1] as { shares?: unknown } | undefined)?.shares;
const ALL = { lists: LIST_NAMES };

test("a watcher gets a snapshot, then once a second what changed, and what ended by its name", (t) => {
  const { stream, state } = streamOf(t);
  const reader = new Reader();
  stream.join(reader, ALL);
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

test("a watcher of one list is told of that one alone", (t) => {
  const { stream, state, tick } = streamOf(t);
  const [ofShares, ofNothing] = [new Reader(), new Reader()];
  stream.join(ofShares, { lists: ["shares"] });
  stream.join(ofNothing, { lists: [] });
  assert.deepEqual(ofShares.take(), [["snapshot", { status: { groupIds: [] }, shares: [] }]]);
  assert.deepEqual(ofNothing.take(), [["snapshot", { status: { groupIds: [] } }]]);
  state.downloads = [];
  state.shares = [share("dune")];
  tick(1_000);
  assert.deepEqual(ofShares.take(), [["changed", { shares: [share("dune")] }]]);
  assert.deepEqual(ofNothing.take(), []);
  stream.close();
});

test("a watcher that joins others gets the list as it is, and each later change once", (t) => {
  const { stream, state, tick } = streamOf(t);
  const [first, second] = [new Reader(), new Reader()];
  stream.join(first, { lists: ["shares"] });
  state.shares = [share("dune"), share("alien")];
  stream.join(second, ALL);
  assert.deepEqual(
    first.take().map(([type]) => type),
    ["snapshot", "changed"],
  );
  assert.deepEqual(sharesIn(second.take()), state.shares);
  tick(1_000);
  state.shares = [share("alien")];
  tick(1_000);
  const ended: [string, unknown] = ["changed", { sharesEnded: [{ groupId: "films", fileName: "dune" }] }];
  assert.deepEqual([first.take(), second.take()], [[ended], [ended]]);
  // What was known when nobody watched shares must not be compared with.
  stream.leave(first);
  stream.leave(second);
  state.shares = [];
  stream.join(first, ALL);
  assert.deepEqual(sharesIn(first.take()), []);
  tick(1_000);
  assert.deepEqual(first.take(), []);
  stream.close();
});

test("of thousands of shares, only those that changed are sent", (t) => {
  const { stream, state, tick } = streamOf(t);
  const names = Array.from({ length: 2_000 }, (_, index) => `film-${index}`);
  state.shares = names.map(share);
  const reader = new Reader();
  stream.join(reader, ALL);
  reader.take();
  // The client makes new entries each time.
  state.shares = names.map((name) => ({ ...share(name), reason: undefined }));
  tick(1_000);
  assert.deepEqual(reader.take(), []);
  state.shares = names.map((name) => (name === "film-7" ? { ...share(name), peerCount: 1 } : share(name)));
  tick(1_000);
  assert.deepEqual(reader.take(), [["changed", { shares: [{ ...share("film-7"), peerCount: 1 }] }]]);
  stream.close();
});

test("of a flood, ten events of a type are told in a second, then how many more, and other types go on", (t) => {
  const { stream, tick } = streamOf(t);
  const reader = new Reader();
  stream.join(reader, ALL);
  reader.take();
  for (let i = 0; i < 5_000; i++) stream.happened("file-shared", { groupId: `g${i % 3}`, fileName: `f${i}` });
  stream.happened("request-accepted", { groupId: "films" });
  const told = reader.take();
  assert.deepEqual(
    told.map(([type]) => type),
    [...Array(10).fill("file-shared"), "request-accepted"],
  );
  tick(1_000);
  assert.deepEqual(reader.take(), [
    ["more-happened", { happened: "file-shared", count: 4_990, groupIds: ["g1", "g2", "g0"] }],
  ]);
  stream.happened("file-shared", { groupId: "films", fileName: "dune" });
  assert.equal(reader.take().length, 1, "the next second has its own");
  for (let i = 0; i < 100; i++) stream.happened("file-shared", { groupId: `group-${i}` });
  reader.take();
  tick(1_000);
  assert.deepEqual(reader.take(), [["more-happened", { happened: "file-shared", count: 91 }]]);
  stream.close();
});

test("a flood while nobody watches is summed up for a watcher that returns", (t) => {
  const { stream, time } = streamOf(t);
  const reader = new Reader();
  stream.join(reader, ALL);
  const lastEventId = /id: (\S+)\nevent: snapshot/.exec(reader.text)?.[1];
  stream.leave(reader);
  for (let i = 0; i < 3_000; i++) stream.happened("file-shared", { groupId: "films", fileName: `f${i}` });
  time.nowMs += 1_000;
  reader.take();
  stream.join(reader, { ...ALL, lastEventId });
  const told = reader.take();
  assert.equal(told.length, 12, "ten, the sum, and the snapshot");
  assert.deepEqual(told[10], [
    "more-happened",
    { happened: "file-shared", count: 2_990, groupIds: ["films"] },
  ]);
  stream.close();
});

test("progress of one thing is told at most twice a second, and the last of it always", (t) => {
  const { stream, tick } = streamOf(t);
  const reader = new Reader();
  stream.join(reader, ALL);
  reader.take();
  for (let i = 0; i < 500; i++) stream.progressed("hash-progress", "/a", { hashedBytes: i });
  stream.progressed("hash-progress", "/b", { hashedBytes: 7 });
  assert.deepEqual(
    reader.take().map(([, data]) => data),
    [{ hashedBytes: 0 }, { hashedBytes: 7 }],
  );
  tick(1_000);
  assert.deepEqual(reader.take(), [["hash-progress", { hashedBytes: 499 }]]);
  stream.close();
});

test("a watcher whose token was revoked is disconnected within a second", (t) => {
  const { stream, tick } = streamOf(t);
  const [revoked, other] = [new Reader(), new Reader()];
  let isGood = true;
  stream.join(revoked, { ...ALL, isGood: () => isGood });
  stream.join(other, ALL);
  isGood = false;
  tick(1_000);
  assert.deepEqual([revoked.isDestroyed, other.isDestroyed], [true, false]);
  stream.close();
});

test("nobody watches: the client's state is not looked at", (t) => {
  const { stream, looks } = streamOf(t);
  const reader = new Reader();
  stream.join(reader, ALL);
  stream.leave(reader);
  const before = looks();
  t.mock.timers.tick(10_000);
  assert.equal(looks(), before);
});

test("a watcher that returns gets what happened meanwhile, once; one of an earlier process gets a snapshot alone", (t) => {
  const { stream } = streamOf(t);
  const reader = new Reader();
  stream.join(reader, ALL);
  stream.happened("request-accepted", { groupId: "films" });
  const id = /id: (\S+)\nevent: request-accepted/.exec(reader.text)?.[1];
  assert.ok(id !== undefined);
  stream.leave(reader);
  stream.happened("became-owner", { groupId: "films" });
  const [again, stranger] = [new Reader(), new Reader()];
  stream.join(again, { ...ALL, lastEventId: id });
  assert.deepEqual(
    again.take().map(([type]) => type),
    ["became-owner", "snapshot"],
  );
  stream.join(stranger, { ...ALL, lastEventId: "00000000-1" });
  assert.deepEqual(
    stranger.take().map(([type]) => type),
    ["snapshot"],
  );
  stream.close();
});

test("the last thousand events are kept", (t) => {
  const { stream, time } = streamOf(t);
  const reader = new Reader();
  stream.join(reader, ALL);
  const epoch = /id: (\S+)-0/.exec(reader.text)?.[1];
  for (let i = 1; i <= 1_005; i++) {
    time.nowMs += 1_000;
    stream.happened("became-owner", { groupId: String(i) });
  }
  const late = new Reader();
  stream.join(late, { ...ALL, lastEventId: `${epoch}-0` });
  const events = late.take();
  assert.equal(events.length, 1_001);
  assert.deepEqual(events[0], ["became-owner", { groupId: "6" }]);
  stream.close();
});

test("a watcher that does not read is disconnected, and the others go on", (t) => {
  const { stream } = streamOf(t);
  const [slow, other] = [new Reader(), new Reader()];
  stream.join(slow, ALL);
  stream.join(other, ALL);
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
  stream.join(reader, ALL);
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
    stream.join(new Reader(), ALL);
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

test("who watches, or waits long for an answer, is not taken for one whose request does not end", async (t) => {
  const { api, client } = await startDaemon(t);
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const joined = Promise.withResolvers<void>();
  Object.assign(client, { joinGroup: () => joined.promise });
  const answer = api.call("joinGroup", { groupId: "films" });
  const enough = new AbortController();
  for await (const { type } of api.events(enough.signal)) {
    if (type === "snapshot") {
      t.mock.timers.tick(60_000);
      client.onEvent({ type: "became-owner", groupId: "films" });
    } else enough.abort();
  }
  joined.resolve();
  assert.deepEqual(await answer, {});
});
