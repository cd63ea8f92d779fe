// One end of a link between trackers whose other end is the test: what it says, when, and in which order; with a registry that
// answers when the test says so, and a virtual clock.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { pino } from "pino";
import { VirtualClock } from "../../../../harness/virtual-clock.ts";
import { MiniTorrentError } from "../../../../src/api/errors.ts";
import type {
  MergeResult,
  Registry,
  RegistryRecord,
  VersionVector,
} from "../../../../src/tracker/registry/registry.ts";
import { type LinkOwner, ReplicaLink } from "../../../../src/tracker/replication/replica-link.ts";
import {
  REPLICA_PROTOCOL_VERSION,
  type ReplicaMessage,
} from "../../../../src/tracker/replication/replica-messages.ts";
import { testStamp } from "../registry/compliance.ts";

const CLOCK = { nowMs: 1_800_000_000_000, isDoubted: false, steadyForMs: 5 };
const STAMP = testStamp(0, "zz");
const NOTHING: MergeResult = { changed: [], lostClaims: [], endings: [], hasGap: false };

type OfType<T extends ReplicaMessage["type"]> = Extract<ReplicaMessage, { type: T }>;

function row(seq: number, more: Partial<RegistryRecord> = {}): RegistryRecord {
  return {
    ...{ kind: "share", key: `k${seq}`, claimId: "", value: seq, stamp: testStamp(seq, "aa") },
    ...{ origin: "aa", seq, writeId: "w", ...more },
  };
}

function claim(tick: number, origin = "zz", key = "alice"): RegistryRecord {
  const claimId = testStamp(tick, origin);
  return row(1, { kind: "user", key, claimId, stamp: claimId, origin });
}

interface Given extends Partial<Pick<Registry, "isDoubtful" | "isIncomplete" | "doubtfulClaims">> {
  readonly rows?: RegistryRecord[];
  readonly vector?: VersionVector;
  readonly rival?: () => { name: string; claimId: string } | undefined;
  readonly row?: (...place: unknown[]) => RegistryRecord | undefined;
}

/** A link to a tracker that the test speaks for. */
function open({ rows = [], vector = { aa: 4 }, ...given }: Given = {}) {
  const clock = new VirtualClock();
  const happened: unknown[] = [];
  const sent: ReplicaMessage[] = [];
  const closed: string[] = [];
  /** What merging comes to; each waits until the test lets it. */
  const merges: {
    args: unknown[];
    done: (result?: Partial<MergeResult>) => Promise<void>;
    fail: (error: unknown) => Promise<void>;
  }[] = [];
  const registry = {
    origin: "aa",
    vector,
    rows,
    latestStamp: testStamp(9, "aa"),
    doubtfulClaims: [],
    isIncomplete: false,
    observe: (stamp: string) => happened.push(["observed", stamp]),
    settle: async (...args: unknown[]) => void happened.push(["settled", ...args]),
    isDoubtful: () => false,
    renewOrigin: () => {
      registry.origin = "a2";
      happened.push("renewed");
      return "a2";
    },
    since: (vector: VersionVector, limit: number) =>
      registry.rows.filter(({ origin, seq }) => seq > (vector[origin] ?? 0)).slice(0, limit),
    merge: (...args: unknown[]) =>
      new Promise<MergeResult>((resolve, reject) => {
        merges.push({
          args,
          done: async (result = {}) => {
            resolve({ ...NOTHING, ...result });
            await nextTurn();
          },
          fail: async (error) => {
            reject(error);
            await nextTurn();
          },
        });
      }),
    digest: () => "equal",
    rival: () => undefined,
    row: () => undefined,
    ...given,
  };
  const owner: LinkOwner = {
    registry: registry as unknown as Registry,
    clock,
    reading: () => CLOCK,
    heardClock: (_link, reading) => happened.push(["clock", reading]),
    snapshot: () => "all presence",
    greeted: (trackerId) => happened.push(["greeted", trackerId]),
    heard: (vector) => happened.push(["heard", vector]),
    presence: (...presence) => happened.push(["presence", ...presence]),
    merged: (_link, result) => happened.push(["merged", result.changed]),
    failed: (_link, error) => happened.push(["failed", error]),
    ended: (_link, trackerId) => happened.push(["ended", trackerId]),
  };
  const channel = {
    send: (text: string) => sent.push(JSON.parse(text)),
    close: (reason: string) => closed.push(reason),
  };
  const link = new ReplicaLink(owner, channel, "other", pino({ level: "silent" }));
  const say = (message: object) => link.message(JSON.stringify(message));
  const hello = (more: object = {}) =>
    say({
      ...{
        type: "hello",
        version: REPLICA_PROTOCOL_VERSION,
        origin: "zz",
        vector: {},
        stamp: STAMP,
        clock: CLOCK,
      },
      ...more,
    });
  const beat = (vector: VersionVector = registry.vector, digest = "equal", more: object = {}) =>
    say({ type: "beat", vector, digest, stamp: STAMP, clock: CLOCK, ...more });
  /** What was sent since the last look. */
  const news = () => sent.splice(0).filter(({ type }) => type !== "beat");
  const of = <T extends ReplicaMessage["type"]>(type: T) =>
    sent.filter((message): message is OfType<T> => message.type === type);
  const did = (what: string) =>
    happened.filter((event) => event === what || (Array.isArray(event) && event[0] === what));
  /** All that either has is at the other. */
  const connect = async (more: object = {}) => {
    hello({ vector: registry.vector, ...more });
    say({ type: "got" });
    say({ type: "rows", records: [], upTo: { zz: 1 } });
    await merges.shift()?.done();
    assert.equal(link.state, "connected");
    sent.length = 0;
    happened.length = 0;
  };
  return { link, clock, registry, merges, sent, closed, happened, say, hello, beat, news, of, did, connect };
}

/** "waiting", or what the promise came to. */
async function outcome(promise: Promise<unknown>): Promise<unknown> {
  return await Promise.race([promise, nextTurn("waiting")]);
}

test("the first word of a link says who, what it has, what is in doubt, and whether it is incomplete", () => {
  const plain = { type: "hello", version: REPLICA_PROTOCOL_VERSION, origin: "aa", vector: { aa: 4 } };
  const expected = { ...plain, stamp: testStamp(9, "aa"), clock: CLOCK };
  assert.deepEqual(open().sent, [expected]);
  const doubtfulClaims = [testStamp(1, "p")];
  assert.deepEqual(open({ doubtfulClaims, isIncomplete: true }).sent, [
    { ...expected, doubtful: doubtfulClaims, isIncomplete: true },
  ]);
});

test("a hello is taken once: its clock, stamp and vector count, and its claims are settled", () => {
  const { hello, happened, link, closed, clock } = open();
  clock.pass(700);
  assert.deepEqual([link.state, link.trackerId, link.stateSinceMs], ["greeting", undefined, 50_000]);
  hello({ vector: { zz: 3 }, doubtful: [testStamp(1, "p")] });
  assert.deepEqual(happened, [
    ["observed", STAMP],
    ["clock", CLOCK],
    ["greeted", "zz"],
    ["heard", { zz: 3 }],
    ["settled", { zz: 3 }, [testStamp(1, "p")]],
  ]);
  assert.deepEqual([link.state, link.trackerId, link.stateSinceMs], ["catching-up", "zz", 50_700]);
  hello();
  assert.deepEqual(closed, ["it said hello twice"]);
});

test("a link that says anything before hello, or says this tracker's own hello, is closed", () => {
  const { say, closed, happened } = open();
  say({ type: "got" });
  assert.deepEqual([closed, happened], [["it did not say hello first"], [["ended", undefined]]]);
  const mirror = open();
  mirror.hello({ origin: "aa" });
  assert.match(mirror.closed[0] ?? "", /this tracker's own registry/);
});

test("rows are sent in chunks, each when the one before has been stored, and presence when all are there", () => {
  const rows = Array.from({ length: 1_500 }, (_, at) => row(at + 1));
  const { hello, say, of, news, link } = open({ rows, vector: { aa: 1_500 } });
  hello();
  const [first] = of("rows");
  assert.deepEqual([first?.records.length, first?.upTo], [1_000, undefined]);
  assert.equal(of("rows").length, 1);
  say({ type: "got" });
  const last = of("rows").at(-1);
  assert.deepEqual([last?.records.length, last?.upTo], [500, { aa: 1_500 }]);
  assert.deepEqual(of("soft"), []);
  news();
  say({ type: "got" });
  assert.deepEqual(news(), [{ type: "soft", data: "all presence", isWhole: true }]);
  assert.equal(link.state, "catching-up", "the other's rows are still to come");
});

test("only what the other lacks is sent, and no empty chunk follows a full one", () => {
  const rows = [
    ...Array.from({ length: 1_010 }, (_, at) => row(at + 1)),
    ...[1, 2].map((seq) => row(seq, { origin: "bb" })),
  ];
  const vector = { aa: 1_010, bb: 2 };
  const { hello, say, of } = open({ rows, vector });
  hello({ vector: { aa: 10, bb: 2, cc: 4 } });
  const [only] = of("rows");
  assert.deepEqual([only?.records.length, only?.records[0], only?.upTo], [1_000, rows[10], vector]);
  say({ type: "got" });
  assert.equal(of("rows").length, 1);
});

test("claims that are in doubt travel as such", () => {
  const [sure, doubted] = [claim(1, "aa"), { ...claim(2, "aa", "bob"), seq: 2 }];
  const isDoubtful = (id: string) => id === doubted.claimId;
  const { hello, of } = open({ rows: [sure, doubted], isDoubtful });
  hello();
  assert.deepEqual(of("rows")[0]?.doubtful, [doubted.claimId]);
  const { hello: helloAgain, of: ofNone } = open({ rows: [sure] });
  helloAgain();
  assert.equal(Object.hasOwn(ofNone("rows")[0] ?? {}, "doubtful"), false);
});

test("thanks for rows that were not sent close the link", () => {
  const { hello, say, closed } = open();
  hello();
  say({ type: "got" });
  say({ type: "got" });
  assert.deepEqual(closed, ["it thanked for rows that were not sent"]);
});

test("rows are acknowledged when they are stored, with all that was said of them; the last make it connected", async () => {
  const { hello, say, merges, news, link, did, clock } = open();
  hello();
  say({ type: "got" });
  news();
  clock.pass(300);
  const records = [claim(1)];
  const doubtful = [records[0]?.claimId ?? ""];
  say({ type: "rows", records, doubtful });
  assert.deepEqual(news(), [], "not before they are stored");
  assert.deepEqual(JSON.parse(JSON.stringify(merges[0]?.args)), [records, null, null, doubtful]);
  await merges.shift()?.done({ changed: records });
  assert.deepEqual(did("merged"), [["merged", records]]);
  assert.deepEqual(news(), [{ type: "got" }]);
  assert.equal(link.hasCaughtUpHere, false);
  say({ type: "rows", records: [], upTo: { zz: 1 } });
  assert.deepEqual(merges[0]?.args[1], { zz: 1 });
  assert.deepEqual(did("heard").at(-1), ["heard", { zz: 1 }]);
  await merges.shift()?.done();
  assert.deepEqual([link.state, link.hasCaughtUpHere, link.hasCaughtUpWholly], ["connected", true, true]);
  assert.equal(link.stateSinceMs, 50_300);
  clock.pass(100);
  say({ type: "rows", records: [], upTo: { zz: 2 } });
  await merges.shift()?.done();
  assert.equal(link.stateSinceMs, 50_300, "connected once");
});

test("a tracker that lost its registry has not all rows, though all that it has are here", async () => {
  const { connect, link } = open();
  await connect({ isIncomplete: true });
  assert.deepEqual([link.hasCaughtUpHere, link.hasCaughtUpWholly], [true, false]);
  link.close("a test");
  assert.deepEqual([link.state, link.hasCaughtUpHere], ["greeting", false]);
});

test("presence is told once the other has the whole of it, and what it says is passed on", async () => {
  const { link, connect, hello, say, news, did } = open();
  link.publish("too early");
  hello();
  link.publish("part of the whole");
  assert.equal(
    news().some(({ type }) => type === "soft"),
    false,
  );
  const other = open();
  await other.connect();
  other.link.publish("news");
  assert.deepEqual(other.news(), [{ type: "soft", data: "news", isWhole: false }]);
  say({ type: "soft", data: "theirs", isWhole: true });
  assert.deepEqual(did("presence"), [["presence", "zz", "theirs", true]]);
  assert.equal(typeof connect, "function");
});

test("a write is pushed with the numbers it follows, and over when the other has stored it", async () => {
  const { link, connect, news, say, registry } = open();
  await connect();
  registry.vector = { aa: 6 };
  assert.equal(link.lagRecords, 2);
  const pushed = link.push([row(5), row(6)]);
  assert.deepEqual(news(), [
    { type: "push", id: 0, origin: "aa", after: 4, upTo: 6, records: [row(5), row(6)] },
  ]);
  const second = link.push([row(7)]);
  assert.equal(await outcome(pushed), "waiting");
  say({ type: "stored", id: 0, earlier: [] });
  assert.deepEqual([await outcome(pushed), await outcome(second)], [true, "waiting"]);
  assert.equal(link.lagRecords, 0);
  say({ type: "stored", id: 1, earlier: [] });
  assert.equal(await outcome(second), true);
});

test("a claim that stands before the pushed one is merged before the push is over", async () => {
  const { link, connect, say, merges, did } = open();
  await connect();
  const pushed = link.push([claim(5, "aa")]);
  const earlier = [claim(1)];
  say({ type: "stored", id: 0, earlier });
  assert.equal(await outcome(pushed), "waiting");
  assert.deepEqual(merges[0]?.args, [earlier]);
  await merges.shift()?.done({ changed: earlier });
  assert.deepEqual(did("merged"), [["merged", earlier]]);
  assert.equal(await outcome(pushed), true);
  const failing = link.push([claim(6, "aa")]);
  say({ type: "stored", id: 1, earlier });
  await merges.shift()?.fail(new Error("a bug"));
  assert.equal(await outcome(failing), true, "nobody waits for ever");
});

test("a push ends with the link, with the other's disk, and 2 s after nothing was answered", async () => {
  for (const end of ["closed", "cannot-store", "late"] as const) {
    const { link, connect, say, clock, closed, beat } = open();
    await connect();
    const pushed = link.push([row(5)]);
    if (end === "closed") link.closed("gone");
    else if (end === "cannot-store") say({ type: "cannot-store" });
    else {
      clock.pass(1_999);
      beat({});
      assert.equal(await outcome(pushed), "waiting");
      clock.pass(1);
      assert.deepEqual(closed, ["no answer to a write within 2000 ms"]);
    }
    assert.equal(await outcome(pushed), false, end);
  }
  const several = open();
  await several.connect();
  const pushes = [several.link.push([row(5)]), several.link.push([row(1, { origin: "bb" })])];
  several.link.closed("gone");
  assert.deepEqual(await Promise.all(pushes.map(outcome)), [false, false]);
  assert.equal(several.clock.timers.length, 0, "no timer is left");
  const answered = open();
  await answered.connect();
  void answered.link.push([row(5)]);
  answered.say({ type: "stored", id: 0, earlier: [] });
  await nextTurn();
  for (let second = 0; second < 4; second++) {
    answered.clock.pass(1_000);
    answered.beat();
  }
  assert.deepEqual(answered.closed, [], "its time is over with the answer");
});

test("before a hello, and of nothing, there is no push", async () => {
  const { link, news, hello } = open();
  news();
  assert.equal(await link.push([row(1)]), false);
  hello();
  news();
  assert.equal(await link.push([]), false);
  assert.deepEqual(news(), []);
});

test("an answer to a write that was not sent, or to one that was answered, closes the link", async () => {
  const { link, connect, say, closed } = open();
  await connect();
  void link.push([row(5)]);
  say({ type: "stored", id: 0, earlier: [] });
  say({ type: "stored", id: 0, earlier: [] });
  await nextTurn();
  assert.deepEqual(closed, ["it answered a write that was not sent"]);
});

test("a pushed write is called stored when it is, with the claims that stand here before it", async () => {
  const standing = claim(1, "aa", "Alice");
  const { connect, say, merges, news, did, registry } = open({
    rival: () => ({ name: "Alice", claimId: standing.claimId }),
    row: (...place: unknown[]) => (place.join() === `user,Alice,${standing.claimId}` ? standing : undefined),
  });
  await connect();
  const records = [
    claim(5),
    { ...claim(0), seq: 2 },
    { ...claim(6), value: undefined, seq: 3 },
    row(4, { origin: "zz" }),
  ];
  say({ type: "push", id: 7, origin: "zz", after: 1, upTo: 5, records });
  assert.deepEqual(news(), []);
  assert.deepEqual(merges[0]?.args.slice(1), [{ zz: 5 }, { zz: 1 }]);
  assert.deepEqual(did("heard"), [["heard", { zz: 5 }]]);
  await merges.shift()?.done({ changed: [row(1)] });
  assert.deepEqual(did("merged"), [["merged", [row(1)]]]);
  assert.deepEqual(news(), [{ type: "stored", id: 7, earlier: [standing] }]);
  registry.vector = { aa: 4, zz: 5 };
  say({ type: "push", id: 8, origin: "zz", after: 5, upTo: 5, records: [claim(1, "aa", "Alice")] });
  await merges.shift()?.done();
  assert.deepEqual(news(), [{ type: "stored", id: 8, earlier: [] }], "the claim itself is not before itself");
  say({ type: "push", id: 9, origin: "zz", after: 5, upTo: 5, records: [claim(0)] });
  await merges.shift()?.done();
  assert.deepEqual(news(), [{ type: "stored", id: 9, earlier: [] }], "nor is a later one");
});

test("rows pushed from there are no lag there, and an older vector takes none of them back", async () => {
  const { connect, say, merges, registry, link } = open();
  await connect();
  registry.vector = { aa: 4, yy: 3 };
  assert.equal(link.lagRecords, 3);
  say({ type: "push", id: 1, origin: "yy", after: 0, upTo: 3, records: [] });
  assert.equal(link.lagRecords, 0);
  say({ type: "push", id: 2, origin: "yy", after: 0, upTo: 2, records: [] });
  assert.equal(link.lagRecords, 0);
  registry.vector = { aa: 4, yy: 1, xx: 1 };
  assert.equal(link.lagRecords, 1, "more of one origin does not make up for less of another");
  for (const { done } of merges.splice(0)) await done();
});

test("a gap before a pushed write is asked for, once, and not while the first rows are still to come", async () => {
  const early = open();
  early.hello();
  early.news();
  early.say({ type: "push", id: 1, origin: "zz", after: 5, upTo: 6, records: [] });
  await early.merges.shift()?.done({ hasGap: true });
  assert.deepEqual(early.news(), [{ type: "stored", id: 1, earlier: [] }]);

  const { connect, say, merges, news } = open();
  await connect();
  for (const id of [1, 2]) {
    say({ type: "push", id, origin: "zz", after: 5, upTo: 6, records: [] });
    await merges.shift()?.done({ hasGap: true });
  }
  const asked = () => news().filter(({ type }) => type === "want");
  assert.deepEqual(asked(), [{ type: "want", vector: { aa: 4 } }]);
  say({ type: "rows", records: [] });
  await merges.shift()?.done();
  say({ type: "push", id: 3, origin: "zz", after: 5, upTo: 6, records: [] });
  await merges.shift()?.done({ hasGap: true });
  assert.deepEqual(asked(), [], "the rest is on its way");
  say({ type: "rows", records: [], upTo: {} });
  await merges.shift()?.done();
  say({ type: "push", id: 4, origin: "zz", after: 5, upTo: 6, records: [] });
  await merges.shift()?.done({ hasGap: true });
  assert.equal(asked().length, 1, "a later gap is another one");
});

test("rows that the other asks for again are sent from there, also while others are on their way", async () => {
  const rows = Array.from({ length: 3 }, (_, at) => row(at + 1));
  const { connect, say, of, news, registry } = open({ rows, vector: { aa: 3 } });
  await connect();
  say({ type: "want", vector: { aa: 2 } });
  assert.deepEqual(of("rows")[0]?.records, [row(3)]);
  news();
  say({ type: "want", vector: { aa: 1 } });
  assert.deepEqual(news(), [], "one chunk at a time");
  say({ type: "got" });
  assert.deepEqual(of("rows")[0]?.records, [row(2), row(3)]);
  news();
  say({ type: "got" });
  assert.deepEqual(news(), [], "presence is there already");
  assert.deepEqual(registry.vector, { aa: 3 });
});

test("a replica that asks again from a later row gets no less, and all rows of origins that it does not name", async () => {
  const rows = [...[1, 2, 3].map((seq) => row(seq)), ...[1, 2].map((seq) => row(seq, { origin: "bb" }))];
  const { connect, say, of, news } = open({ rows, vector: { aa: 3, bb: 2 } });
  await connect();
  say({ type: "want", vector: {} });
  news();
  say({ type: "want", vector: { aa: 1, bb: 9 } });
  say({ type: "want", vector: { aa: 3, bb: 9 } });
  say({ type: "got" });
  assert.deepEqual(of("rows")[0]?.records, [rows[1], rows[2]]);
  news();
  say({ type: "want", vector: { aa: 3 } });
  say({ type: "got" });
  assert.deepEqual(of("rows")[0]?.records, [rows[3], rows[4]]);
});

test("rows from a third tracker are sent with those that follow them; rows of a new origin when their turn comes", async () => {
  const rows = [1, 2, 3].map((seq) => row(seq));
  const { hello, link, say, of, news, registry } = open({ rows, vector: { aa: 3, bb: 2 } });
  hello({ vector: { aa: 3, bb: 2 } });
  say({ type: "want", vector: { aa: 3, bb: 2 } }); // another chunk is to follow
  news();
  const late = [row(3, { origin: "bb" }), ...[1, 2].map((seq) => row(seq, { origin: "cc" }))];
  registry.rows = [...rows, ...late];
  link.enqueue([row(2), ...late]);
  say({ type: "got" });
  assert.deepEqual(of("rows")[0]?.records, [rows[1], rows[2], ...late]);
  news();
  say({ type: "got" });
  assert.deepEqual(of("rows"), [], "they are sent once");
});

test("rows from a third tracker that stand before what was sent are sent too", async () => {
  const rows = Array.from({ length: 1_200 }, (_, at) => row(at + 1));
  const { hello, link, say, of, sent, registry } = open({ rows, vector: { aa: 1_200 } });
  link.enqueue([row(1)]);
  hello();
  sent.length = 0;
  const late = row(7, { key: "late" });
  registry.rows = [...rows.slice(0, 6), late, ...rows.slice(7)];
  link.enqueue([late]);
  say({ type: "got" });
  assert.equal(of("rows")[0]?.records[0]?.key, "late");
});

test("a tracker whose disk takes nothing is told what it lacks, and nothing else is expected of it", async () => {
  const { link, connect, say, news, closed, clock, beat, registry } = open();
  await connect();
  void link.push([row(5)]);
  news();
  clock.pass(400);
  say({ type: "cannot-store" });
  assert.deepEqual([link.state, link.stateSinceMs], ["cannot-store", 50_400]);
  clock.pass(100);
  say({ type: "cannot-store" });
  assert.equal(link.stateSinceMs, 50_400);
  assert.equal(await link.push([row(6), row(7)]), false);
  assert.deepEqual(news(), [{ type: "push", id: 0, origin: "aa", after: 5, upTo: 7, records: [] }]);
  say({ type: "stored", id: 0, earlier: [] });
  say({ type: "got" });
  say({ type: "want", vector: {} });
  link.publish("presence");
  registry.vector = { aa: 9 };
  for (let beats = 0; beats < 5; beats++) beat({ aa: 4 }, "other");
  await nextTurn();
  assert.deepEqual([closed, news()], [[], []]);
});

test("a tracker that cannot store while it catches up gets nothing more", () => {
  const rows = Array.from({ length: 1_500 }, (_, at) => row(at + 1));
  const { hello, say, news, closed, link } = open({ rows });
  hello();
  news();
  say({ type: "cannot-store" });
  link.enqueue([row(1)]);
  say({ type: "got" });
  assert.deepEqual([news(), closed], [[], []]);
});

test("while the local disk takes nothing rows are heard of, and neither stored nor acknowledged", async () => {
  const { link, connect, say, merges, news, did, beat, clock, registry } = open();
  await connect();
  say({ type: "rows", records: [], upTo: { zz: 2 } });
  say({ type: "push", id: 1, origin: "zz", after: 1, upTo: 3, records: [] });
  clock.pass(250);
  link.stopStoring();
  clock.pass(250);
  link.stopStoring();
  assert.deepEqual([link.hasCaughtUpHere, link.stateSinceMs], [false, 50_250]);
  for (const { done } of merges.splice(0)) await done();
  assert.deepEqual(news(), [{ type: "cannot-store" }], "what is merged meanwhile is not acknowledged");
  say({ type: "rows", records: [], upTo: { zz: 8 } });
  say({ type: "push", id: 2, origin: "zz", after: 8, upTo: 9, records: [] });
  registry.vector = { aa: 9 };
  for (let beats = 0; beats < 5; beats++) beat({ aa: 4, zz: 10 }, "other");
  assert.deepEqual(merges, []);
  assert.deepEqual(
    did("heard"),
    [2, 3, 8, 9]
      .map((zz) => ["heard", { zz }])
      .concat(...Array.from({ length: 5 }, () => [["heard", { aa: 4, zz: 10 }]])),
  );
  const pushed = link.push([row(9)]);
  say({ type: "stored", id: 0, earlier: [claim(1)] });
  assert.equal(await outcome(pushed), true);
  assert.deepEqual(merges, [], "an earlier claim is not merged either");
  assert.deepEqual(
    news().map(({ type }) => type),
    ["push"],
  );
});

test("a link that has ended is told nothing more, by nobody", async () => {
  const { link, connect, say, clock, sent, happened, merges, closed } = open();
  await connect();
  link.closed("gone");
  assert.deepEqual(happened, [["ended", "zz"]]);
  assert.equal(clock.timers.length, 0, "no timer is left");
  link.closed("again");
  link.close("again");
  link.stopStoring();
  link.publish("news");
  link.enqueue([row(1)]);
  link.message("[");
  say({ type: "push", id: 1, origin: "zz", after: 0, upTo: 1, records: [] });
  say({ type: "beat", vector: {}, digest: "", stamp: STAMP, clock: CLOCK });
  clock.pass(10_000);
  assert.deepEqual([sent, closed, merges, happened.length], [[], [], [], 1]);
});

test("a link is closed once, and its channel with it", async () => {
  const { link, connect, closed, happened, clock } = open();
  await connect();
  clock.pass(1_000);
  for (let times = 0; times < 2; times++) link.close("a reason");
  assert.deepEqual([closed, happened, clock.timers.length], [["a reason"], [["ended", "zz"]], 0]);
});

test("rows that are being merged when the link ends are not acknowledged over it", async () => {
  const { link, connect, say, merges, sent } = open();
  await connect();
  say({ type: "rows", records: [] });
  link.closed("gone");
  await merges.shift()?.done();
  assert.deepEqual(sent, []);
});

test("every second a beat says what is here; three seconds of silence end the link", async () => {
  const { connect, clock, of, closed, say } = open();
  await connect();
  clock.pass(999);
  assert.deepEqual(of("beat"), []);
  clock.pass(1);
  assert.deepEqual(of("beat"), [
    { type: "beat", vector: { aa: 4 }, digest: "equal", stamp: testStamp(9, "aa"), clock: CLOCK },
  ]);
  clock.pass(500);
  say({ type: "soft", data: 1, isWhole: false });
  clock.pass(2_999);
  assert.deepEqual([closed, of("beat").length], [[], 4]);
  clock.pass(501);
  assert.deepEqual(closed, ["nothing heard for 3500 ms"]);
  assert.equal(of("beat").length, 4, "none after the end");
  assert.equal(clock.timers.length, 0);
});

test("a link whose other end never says hello sends no beats, and ends in silence", () => {
  const { clock, closed, of } = open();
  clock.pass(2_999);
  assert.deepEqual([closed, of("beat")], [[], []]);
  clock.pass(1);
  assert.deepEqual(closed, ["nothing heard for 3000 ms"]);
});

test("a beat's stamp, clock and vector count", async () => {
  const { connect, beat, happened, registry, link } = open();
  await connect();
  registry.vector = { aa: 6 };
  beat({ aa: 5 }, "equal", { stamp: testStamp(77, "zz"), clock: { ...CLOCK, steadyForMs: 9 } });
  assert.deepEqual(happened, [
    ["observed", testStamp(77, "zz")],
    ["clock", { ...CLOCK, steadyForMs: 9 }],
    ["heard", { aa: 5 }],
  ]);
  assert.equal(link.lagRecords, 1);
});

test("rows that the other has still not a beat later are sent again", async () => {
  const rows = Array.from({ length: 6 }, (_, at) => row(at + 1));
  const { connect, beat, of, registry, say } = open({ rows });
  await connect();
  registry.vector = { aa: 6 };
  beat({ aa: 4 });
  assert.deepEqual(of("rows"), [], "they may be on their way");
  beat({ aa: 4 });
  assert.deepEqual(of("rows")[0]?.records, [row(5), row(6)]);
  beat({ aa: 4 });
  assert.equal(of("rows").length, 1, "they are on their way");
  say({ type: "got" });
  beat({ aa: 6 });
  beat({ aa: 6 });
  assert.equal(of("rows").length, 1);
});

test("after three beats in a row with equal vectors and unequal digests all is sent, and a minute later again", async () => {
  const rows = [row(1), row(2)];
  const { connect, beat, of, say, registry } = open({ rows });
  await connect();
  for (const digest of ["other", "other", "equal", "other", "other"]) beat(registry.vector, digest);
  assert.deepEqual(of("rows"), []);
  beat({ aa: 4, zz: 1 }, "other");
  assert.deepEqual(of("rows"), [], "their vectors say why");
  beat({ aa: 4 }, "other");
  assert.deepEqual(of("rows")[0]?.records, rows);
  say({ type: "got" });
  for (let beats = 0; beats < 62; beats++) beat(registry.vector, beats === 5 ? "equal" : "other");
  assert.equal(of("rows").length, 1, "sending a million takes a while");
  beat(registry.vector, "other");
  beat(registry.vector, "other");
  assert.equal(of("rows").length, 2);
});

test("a tracker whose disk is an old copy goes on under a new origin, sends all, and asks for all of its own", async () => {
  const rows = [row(3), row(4)];
  const { hello, news, did, registry } = open({ rows });
  news();
  hello({ vector: { aa: 4 } });
  assert.deepEqual(did("renewed"), []);
  assert.deepEqual(
    news().map((message) => message.type === "rows" && message.records.length),
    [0],
  );

  const restored = open({ rows });
  restored.news();
  restored.hello({ vector: { aa: 5, zz: 2 } });
  assert.deepEqual(restored.did("renewed").length, 1);
  assert.deepEqual(restored.news(), [
    { type: "want", vector: { aa: 0 } },
    { type: "rows", records: rows, upTo: { aa: 4 } },
  ]);

  const later = open({ rows });
  await later.connect();
  later.beat({ aa: 5 });
  assert.deepEqual(
    later.news().map(({ type }) => type),
    ["want", "rows"],
    "it shows in a beat too",
  );
  assert.equal(registry.origin, "aa");
});

test("a row that is refused or cannot be stored ends the link and is told", async () => {
  const { connect, say, merges, closed, did } = open();
  await connect();
  say({ type: "rows", records: [] });
  const refused = new MiniTorrentError("MALFORMED_MESSAGE", "No clock can have made it.");
  await merges.shift()?.fail(refused);
  assert.deepEqual([closed, did("failed")], [["No clock can have made it."], [["failed", refused]]]);

  const full = Object.assign(new Error("full"), { errcode: 13 });
  const unaware = open();
  await unaware.connect();
  unaware.say({ type: "rows", records: [] });
  await unaware.merges.shift()?.fail(full);
  assert.equal(unaware.closed.length, 1);

  const aware = open();
  await aware.connect();
  aware.say({ type: "rows", records: [] });
  aware.say({ type: "rows", records: [] });
  aware.link.stopStoring();
  await aware.merges.shift()?.fail(full);
  assert.deepEqual([aware.closed, aware.did("failed")], [[], []], "the other has been told");
  await aware.merges.shift()?.fail(new Error("a bug"));
  assert.equal(aware.closed.length, 1);
});

test("a message outside the protocol ends the link and is told", () => {
  const { link, closed, did } = open();
  link.message("[");
  assert.deepEqual(closed, ["A tracker sent something that is not JSON."]);
  assert.equal(did("failed").length, 1);
});
