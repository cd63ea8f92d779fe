// Who has the file is asked again by itself, since a tracker may not have known when it was asked first.
import assert from "node:assert/strict";
import { mock, type TestContext, test } from "node:test";
import { pino } from "pino";
import { PeerSearch } from "../../../src/client/peer-search.ts";

function searchOf(t: TestContext, { connectedCount = 0, knowsSample = false, fails = false } = {}) {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const asked: number[] = [];
  let questions = 0;
  let nowMs = 0;
  const search = new PeerSearch({
    infoHash: "a".repeat(40),
    contacts: { connectedCount, knowsSample, peersOnline: (_addresses, askedAtMs) => asked.push(askedAtMs) },
    ask: async (answer) => {
      questions++;
      if (fails) throw new Error("no tracker");
      return answer.parse([]);
    },
    nowMs: () => nowMs,
    log: pino({ level: "silent" }),
  });
  const after = async (milliseconds: number) => {
    nowMs += milliseconds;
    mock.timers.tick(milliseconds);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { search, asked, after, questions: () => questions };
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

test("what the tracker said to the announcement is not asked for; of what it left out it is asked at once", async (t) => {
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
