// Who has the file is asked again by itself, since a tracker may not have known when it was asked first.
import assert from "node:assert/strict";
import { mock, type TestContext, test } from "node:test";
import { pino } from "pino";
import type { PeerAddress } from "../../../../src/api/schemas.ts";
import { PeerSearch } from "../../../../src/client/downloads/download-swarm.ts";
import type { TrackerApi } from "../../../../src/client/trackers/api-channel.ts";

function searchOf(t: TestContext, { connectedCount = 0, knowsSample = false, fails = false } = {}) {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const asked: number[] = [];
  const infoHashes: unknown[] = [];
  const announced: (readonly PeerAddress[])[] = [];
  let questions = 0;
  let told = 0;
  let gate: Promise<void> | undefined;
  let nowMs = 0;
  const contacts = {
    connectedCount,
    knowsSample,
    peersOnline: (addresses: readonly PeerAddress[], askedAtMs: number) => {
      announced.push(addresses);
      asked.push(askedAtMs);
    },
  };
  const search = new PeerSearch({
    infoHash: "a".repeat(40),
    contacts,
    ask: async (answer, question) => {
      questions++;
      const peers = { query: async (input: unknown) => infoHashes.push(input) };
      await question({ presence: { peers } } as unknown as TrackerApi, { writeId: "" });
      await gate;
      if (fails) throw new Error("no tracker");
      return answer.parse([]);
    },
    onAsked: () => told++,
    nowMs: () => nowMs,
    log: pino({ level: "silent" }),
  });
  const after = async (milliseconds: number) => {
    nowMs += milliseconds;
    mock.timers.tick(milliseconds);
    await new Promise((resolve) => setImmediate(resolve));
  };
  const hold = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    return resolve;
  };
  return {
    search,
    contacts,
    asked,
    announced,
    infoHashes,
    after,
    hold,
    questions: () => questions,
    told: () => told,
  };
}

test("while nobody is connected it is asked again after two seconds, then four, then eight", async (t) => {
  const { search, asked, after } = searchOf(t);
  await search.look();
  for (let second = 1; second <= 14; second++) await after(1_000);
  assert.deepEqual(asked, [0, 2_000, 6_000, 14_000]);
  search.close();
  await after(120_000);
  assert.equal(asked.length, 4, "closed");
});

test("with somebody connected it is asked once a minute", async (t) => {
  const { search, asked, after } = searchOf(t, { connectedCount: 1 });
  await search.look();
  await after(59_999);
  await after(1);
  assert.deepEqual(asked, [0, 60_000]);
  search.close();
});

test("with few of a large swarm connected it is asked for others as soon as with nobody", async (t) => {
  const few = searchOf(t, { connectedCount: 19, knowsSample: true });
  await few.search.look();
  for (let second = 1; second <= 14; second++) await few.after(1_000);
  assert.deepEqual(few.asked, [0, 2_000, 6_000, 14_000]);
  few.search.close();
  const enough = searchOf(t, { connectedCount: 20, knowsSample: true });
  await enough.search.look();
  await enough.after(59_999);
  assert.deepEqual(enough.asked, [0]);
  enough.search.close();
});

test("a tracker that does not answer is asked again", async (t) => {
  const { search, asked, after, questions } = searchOf(t, { fails: true });
  await search.look();
  await after(2_000);
  assert.equal(questions(), 2);
  assert.deepEqual(asked, [], "nothing is made of no answer");
  search.close();
});

test("peers in the answer to the announcement are not asked for; those it left out are, at once", async (t) => {
  const { search, asked, after, questions } = searchOf(t);
  await search.begin(Promise.resolve([]));
  assert.deepEqual([asked, questions()], [[0], 0]);
  await after(2_000);
  assert.equal(questions(), 1, "and later, as after any answer");
  search.close();
  const other = searchOf(t);
  await other.search.begin(Promise.resolve(undefined));
  assert.equal(other.questions(), 1);
  other.search.close();
});

test("the tracker is asked for the peers of that torrent, and each answer is told, also one that did not come", async (t) => {
  const { search, after, infoHashes, told } = searchOf(t);
  await search.look();
  assert.deepEqual(infoHashes, [{ infoHash: "a".repeat(40) }]);
  assert.equal(told(), 1);
  await after(2_000);
  assert.equal(told(), 2);
  search.close();
  const failing = searchOf(t, { fails: true });
  await failing.search.look();
  assert.equal(failing.told(), 1);
  failing.search.close();
});

test("how long it is until the tracker is asked again is known, and 0 while it is asked", async (t) => {
  const { search, after, hold } = searchOf(t);
  await search.look();
  assert.equal(search.nextInMs, 2_000);
  await after(500);
  assert.equal(search.nextInMs, 1_500);
  const answer = hold();
  const looked = search.look();
  assert.equal(search.nextInMs, 0);
  answer();
  await looked;
  assert.equal(search.nextInMs, 4_000);
  search.close();
});

test("while it is asked, it is not asked a second time for the pause before", async (t) => {
  const { search, after, hold, questions } = searchOf(t);
  await search.look();
  const answer = hold();
  const looked = search.look();
  await after(60_000);
  assert.equal(questions(), 2);
  answer();
  await looked;
  search.close();
});

test("asked meanwhile by hand, it is not asked again for the pause before", async (t) => {
  const { search, after, questions } = searchOf(t);
  await search.look();
  await after(1_000);
  await search.look();
  await after(1_000);
  assert.equal(questions(), 2);
  await after(3_000);
  assert.equal(questions(), 3);
  search.close();
});

test("two questions that cross each other are followed by one more, not two", async (t) => {
  const { search, after, questions } = searchOf(t);
  await Promise.all([search.look(), search.look()]);
  assert.equal(questions(), 2);
  await after(3_999);
  assert.equal(questions(), 2);
  await after(1);
  assert.equal(questions(), 3);
  search.close();
});

test("the pause is a minute at most, and short again once somebody had been connected", async (t) => {
  const { search, after, contacts } = searchOf(t);
  await search.look();
  for (const pauseMs of [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
    assert.equal(search.nextInMs, pauseMs);
    await after(pauseMs);
  }
  contacts.connectedCount = 1;
  await after(60_000);
  contacts.connectedCount = 0;
  await after(60_000);
  assert.equal(search.nextInMs, 2_000);
  search.close();
});

test("an answer that comes after the end is not used, and nothing follows it", async (t) => {
  const { search, asked, after, hold, questions, told } = searchOf(t);
  const answer = hold();
  const looked = search.look();
  search.close();
  const timers = t.mock.method(globalThis, "setTimeout");
  answer();
  await looked;
  assert.equal(timers.mock.callCount(), 0, "no timer keeps the process from its end");
  await after(120_000);
  assert.deepEqual([asked, questions(), told()], [[], 1, 0]);
  await search.begin(Promise.resolve([]));
  await search.begin(Promise.resolve(undefined));
  await search.look();
  await after(120_000);
  assert.deepEqual([asked, questions()], [[], 1], "nor does it begin again");
});

test("peers from an announcement are as old as the announcement", async (t) => {
  const { search, asked, announced, after } = searchOf(t);
  const { promise, resolve } = Promise.withResolvers<readonly PeerAddress[]>();
  const begun = search.begin(promise);
  await after(700);
  const alice = { userId: "alice", deviceId: "a1", host: "192.0.2.7", port: 7000, isSeed: true };
  resolve([alice]);
  await begun;
  assert.deepEqual([asked, announced], [[0], [[alice]]]);
  search.close();
});
