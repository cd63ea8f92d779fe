// When a tracker may serve clients, with a clock that stands still and other trackers that the test plays.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { pino } from "pino";
import { VirtualClock } from "../../../harness/virtual-clock.ts";
import { onTimerFault } from "../../../src/net/timers.ts";
import type { VersionVector } from "../../../src/tracker/registry/registry.ts";
import { WriteBlocks } from "../../../src/tracker/server/write-block.ts";
import { ServiceState, type ServiceStateOptions } from "../../../src/tracker/service-state.ts";

const MIB = 1024 * 1024;
/** At which a tracker that cannot write tries again. */
const RETRY_MS = 2_000;

/** The note of a registry that was set aside, with two rows of another tracker that this one lacks. */
const LOSS = JSON.stringify({ kept: "registry.damaged", vector: { a: 2 } });

type LinkStatus = ReturnType<ServiceStateOptions["replication"]["status"]>[number];

/** A state with another tracker, of which the test says how it is. */
function setting(given: { incomplete?: string } = {}) {
  const clock = new VirtualClock();
  const happened: string[] = [];
  const other = {
    isStoring: true,
    hasCaughtUpHere: true,
    hasCaughtUpWholly: false,
    /** Rows that it has told of. */
    heard: {} as VersionVector,
  };
  const own = {
    isStoring: true,
    rows: {} as VersionVector,
    freeBytes: 100 * MIB,
    incomplete: given.incomplete,
    /** Of the disk. */
    failure: undefined as Error | undefined,
    suspectFails: undefined as Error | undefined,
  };
  const logged: Record<string, unknown>[] = [];
  const log = pino(
    { level: "debug" },
    { write: (line: string) => void logged.push(JSON.parse(line) as Record<string, unknown>) },
  );
  const writeBlocks = new WriteBlocks(() => 1_000);
  const has = (vector: VersionVector) =>
    Object.entries(vector).every(([origin, seq]) => (own.rows[origin] ?? 0) >= seq);
  const state = new ServiceState({
    registry: {
      get incomplete() {
        return own.incomplete;
      },
      get vector() {
        return own.rows;
      },
      complete: async () => {
        happened.push("complete");
        own.incomplete = undefined;
      },
      probe: async () => {
        happened.push("probe");
        if (own.failure !== undefined) throw own.failure;
      },
    },
    replication: {
      status: () => [
        {
          name: "other",
          hasCaughtUpHere: other.hasCaughtUpHere,
          hasCaughtUpWholly: other.hasCaughtUpWholly,
        } as LinkStatus,
      ],
      has,
      get heard() {
        return other.heard;
      },
      get isStoring() {
        return own.isStoring;
      },
      get isAnotherStoring() {
        return other.isStoring;
      },
      stopStoring: () => {
        happened.push("stop storing");
        own.isStoring = false;
      },
      resumeStoring: () => {
        happened.push("resume storing");
        own.isStoring = true;
      },
    },
    writeBlocks,
    clock,
    log,
    freeBytes: async () => own.freeBytes,
    suspect: () => {
      happened.push("suspect");
      if (own.suspectFails !== undefined) throw own.suspectFails;
    },
    turnAway: (reason) => happened.push(`turn away: ${reason}`),
  });
  const links = {
    /** As long as this is set, the other tracker is waited for. */
    met: async (hasCaughtUp: (name: string) => boolean) => {
      happened.push(`met: ${hasCaughtUp("other")}, ${hasCaughtUp("stranger")}`);
    },
  };
  const pass = (durationMs: number) =>
    clock.passSettled(durationMs, async () => {
      await turn();
    });
  const happenedSince = () => happened.splice(0);
  const saying = (text: string) => logged.filter(({ msg }) => String(msg).includes(text)).length;
  return { clock, happened, happenedSince, links, logged, other, own, pass, saying, state, writeBlocks };
}

/** One that serves. */
async function serving() {
  const all = setting();
  await all.state.catchUp(all.links);
  all.happenedSince();
  assert.equal(all.state.isServing, true);
  return all;
}

test("a tracker serves once it has met the others, and asks of each whether all of its rows are here", async () => {
  const { happenedSince, links, other, state } = setting();
  assert.equal(state.isServing, false);
  other.hasCaughtUpHere = false;
  await state.catchUp(links);
  assert.deepEqual(happenedSince(), ["met: false, false"]);
  other.hasCaughtUpHere = true;
  await state.catchUp(links);
  assert.deepEqual(happenedSince(), ["met: true, false"]);
  assert.equal(state.isServing, true);
});

test("clients are turned away while it catches up, and not once it serves", async () => {
  const { happenedSince, links, state } = setting();
  state.turnAwayUnlessServing();
  assert.deepEqual(happenedSince(), ["turn away: catching up"]);
  await state.catchUp(links);
  happenedSince();
  state.turnAwayUnlessServing();
  assert.deepEqual(happenedSince(), []);
});

test("with a full disk it stores nothing, and its clients go to a tracker that does", async () => {
  const { happenedSince, state, writeBlocks, saying } = await serving();
  writeBlocks.begin("disk-full");
  assert.deepEqual(happenedSince(), ["stop storing", "turn away: disk-full"]);
  assert.equal(state.isServing, false);
  assert.equal(saying("cannot write: the disk of its data directory is full"), 1);
});

test("with a full disk and no other tracker it answers, unless it knows of rows that it lacks", async () => {
  const { happenedSince, other, own, state, writeBlocks } = await serving();
  other.isStoring = false;
  writeBlocks.begin("disk-full");
  assert.deepEqual(happenedSince(), ["stop storing"]);
  assert.equal(state.isServing, true);
  other.heard = { a: 3 };
  assert.equal(state.isServing, false);
  state.turnAwayUnlessServing();
  assert.deepEqual(happenedSince(), ["turn away: disk-full"]);
  own.rows = { a: 3 };
  assert.equal(state.isServing, true);
});

test("with a wrong clock it stores what others send, and serves nobody, also alone", async () => {
  const { happenedSince, other, state, writeBlocks } = await serving();
  other.isStoring = false;
  writeBlocks.begin("clock");
  assert.deepEqual(happenedSince(), ["turn away: clock"]);
  assert.equal(state.isServing, false);
  writeBlocks.end("clock");
  assert.equal(state.isServing, true, "it missed nothing, so it serves at once");
});

for (const reason of ["disk-full", "disk-read-only", "disk-failed"] as const) {
  test(`with the reason ${reason} it writes a test row every 2 s, until the disk takes it`, async () => {
    const { happenedSince, own, pass, writeBlocks } = await serving();
    own.failure = new Error("EIO");
    writeBlocks.begin(reason);
    happenedSince();
    await pass(RETRY_MS - 1);
    assert.deepEqual(happenedSince(), []);
    await pass(1);
    assert.deepEqual(happenedSince(), ["probe"]);
    await pass(RETRY_MS);
    assert.deepEqual(happenedSince(), ["probe"], "a failed attempt is followed by another");
    own.failure = undefined;
    await pass(RETRY_MS);
    assert.equal(writeBlocks.current, undefined);
    assert.deepEqual(happenedSince().slice(0, 2), ["probe", "resume storing"]);
    await pass(10 * RETRY_MS);
    assert.equal(happenedSince().includes("probe"), false);
  });
}

test("a full disk counts as full until it has 1 MiB, and is not written to before", async () => {
  const { happenedSince, own, pass, writeBlocks } = await serving();
  own.freeBytes = MIB - 1;
  writeBlocks.begin("disk-full");
  happenedSince();
  await pass(RETRY_MS);
  assert.deepEqual(happenedSince(), []);
  own.freeBytes = MIB;
  await pass(RETRY_MS);
  assert.equal(writeBlocks.current, undefined);
});

test("a disk that failed is tried whatever room it has, and one success ends all reasons of the disk", async () => {
  const { own, pass, writeBlocks } = await serving();
  own.freeBytes = 0;
  writeBlocks.begin("disk-failed");
  writeBlocks.begin("disk-read-only");
  await pass(RETRY_MS);
  assert.equal(writeBlocks.current, undefined);
});

test("two reasons at a time lead to one attempt at a time", async () => {
  const { happenedSince, own, pass, writeBlocks } = await serving();
  own.failure = new Error("EIO");
  writeBlocks.begin("disk-failed");
  writeBlocks.begin("disk-read-only");
  happenedSince();
  await pass(RETRY_MS);
  assert.deepEqual(happenedSince(), ["probe"]);
});

test("a block that ended by itself is not tried any more", async () => {
  const { happenedSince, pass, writeBlocks } = await serving();
  writeBlocks.begin("disk-failed");
  writeBlocks.end("disk-failed");
  happenedSince();
  await pass(RETRY_MS);
  assert.equal(happenedSince().includes("probe"), false);
});

test("while another reason holds, the end of one changes nothing", async () => {
  const { happenedSince, state, writeBlocks } = await serving();
  writeBlocks.begin("disk-failed");
  writeBlocks.begin("clock");
  happenedSince();
  writeBlocks.end("disk-failed");
  assert.deepEqual(happenedSince(), []);
  assert.equal(state.isServing, false);
});

test("once it can write again it catches up with a tracker that stored meanwhile, and serves after that", async () => {
  const { happenedSince, other, own, pass, saying, state, writeBlocks } = await serving();
  writeBlocks.begin("disk-failed");
  other.heard = { a: 5 };
  happenedSince();
  writeBlocks.end("disk-failed");
  assert.deepEqual(happenedSince(), ["resume storing", "turn away: catching up", "met: true, false"]);
  assert.equal(saying("can write again"), 1);
  await pass(1_000);
  assert.equal(state.isServing, false, "rows are missing");
  assert.equal(saying("rows that other trackers have are missing here"), 1);
  own.rows = { a: 5 };
  await pass(200);
  assert.equal(state.isServing, true);
});

test("a tracker that was alone all the time and lacks nothing serves at once", async () => {
  const { happenedSince, other, state, writeBlocks } = await serving();
  other.isStoring = false;
  writeBlocks.begin("disk-failed");
  happenedSince();
  writeBlocks.end("disk-failed");
  assert.deepEqual(happenedSince(), ["resume storing"]);
  assert.equal(state.isServing, true);
});

test("a tracker that was alone, and lacks rows that it heard of, waits for them", async () => {
  const { happenedSince, other, state, writeBlocks } = await serving();
  other.isStoring = false;
  writeBlocks.begin("disk-failed");
  other.heard = { a: 1 };
  writeBlocks.end("disk-failed");
  assert.equal(state.isServing, false);
  assert.ok(happenedSince().includes("turn away: catching up"));
});

test("a tracker whose disk recovers before it has met the others catches up once", async () => {
  const { happenedSince, state, writeBlocks } = setting();
  writeBlocks.begin("disk-failed");
  writeBlocks.end("disk-failed");
  assert.equal(happenedSince().includes("resume storing"), false, "there are no links yet");
  const met = Promise.withResolvers<void>();
  let meetings = 0;
  const caughtUp = state.catchUp({
    met: () => {
      meetings++;
      return met.promise;
    },
  });
  writeBlocks.begin("disk-failed");
  writeBlocks.end("disk-failed");
  assert.equal(meetings, 1);
  met.resolve();
  await caughtUp;
  assert.equal(state.isServing, true);
});

test("damage in the registry is noted for the next start and ends the tracker's service for good", async () => {
  const { happenedSince, other, state, writeBlocks } = await serving();
  other.isStoring = false;
  assert.equal(state.damaged.aborted, false);
  writeBlocks.begin("registry-damaged");
  assert.deepEqual(happenedSince(), ["stop storing", "suspect", "turn away: registry-damaged"]);
  assert.deepEqual([state.damaged.aborted, state.isServing], [true, false]);
});

test("damage that cannot be noted is logged, and still ends the service", async () => {
  const { own, saying, state, writeBlocks } = await serving();
  own.suspectFails = new Error("EROFS");
  writeBlocks.begin("registry-damaged");
  assert.equal(saying("the next start cannot be told"), 1);
  assert.equal(state.damaged.aborted, true);
});

test("a registry that replaces a lost one is complete once a tracker that lost none has sent all", async () => {
  const { happenedSince, links, other, own, pass, saying, state } = setting({ incomplete: LOSS });
  const caughtUp = state.catchUp(links);
  await pass(1_000);
  assert.deepEqual(happenedSince(), ["met: true, false"]);
  assert.equal(saying("the registry is incomplete"), 1);
  assert.equal(state.isServing, false);
  other.hasCaughtUpWholly = true;
  await pass(200);
  await caughtUp;
  assert.deepEqual(happenedSince(), ["complete"]);
  assert.deepEqual([own.incomplete, state.isServing], [undefined, true]);
  assert.equal(saying("rows that only the damaged registry had are lost"), 1);
});

test("a registry that is complete is not completed, and one whose rows came is not called incomplete", async () => {
  const whole = setting();
  await whole.state.catchUp(whole.links);
  assert.equal(whole.happened.includes("complete"), false);
  const replaced = setting({ incomplete: LOSS });
  replaced.other.hasCaughtUpWholly = true;
  await replaced.state.catchUp(replaced.links);
  assert.equal(replaced.saying("the registry is incomplete"), 0);
  assert.equal(replaced.state.isServing, true);
});

test("a tracker whose clock was wrong beside one that stores missed nothing, and serves on", async () => {
  const { happenedSince, state, writeBlocks } = await serving();
  writeBlocks.begin("clock");
  happenedSince();
  writeBlocks.end("clock");
  assert.deepEqual([happenedSince(), state.isServing], [["resume storing"], true]);
});

test("a closed tracker waits for no rows", async () => {
  const { links, other, pass, state, writeBlocks } = await serving();
  writeBlocks.begin("disk-failed");
  other.heard = { a: 5 };
  writeBlocks.end("disk-failed");
  const caughtUp = state.catchUp(links);
  await pass(200);
  state.close();
  await pass(200);
  await caughtUp;
  assert.equal(state.isServing, false);
});

for (const end of ["close", "damage"] as const) {
  test(`after ${end} it waits for nothing, completes nothing and never serves`, async () => {
    const { happened, links, other, pass, state, writeBlocks } = setting({ incomplete: LOSS });
    const caughtUp = state.catchUp(links);
    await pass(200);
    if (end === "close") state.close();
    else writeBlocks.begin("registry-damaged");
    other.hasCaughtUpWholly = true;
    await pass(200);
    await caughtUp;
    assert.deepEqual([happened.includes("complete"), state.isServing], [false, false]);
  });
}

test("a tracker that is closed before the next attempt makes none", async () => {
  const { clock, state, writeBlocks } = await serving();
  writeBlocks.begin("disk-failed");
  state.close();
  assert.deepEqual(clock.timers, []);
});

test("a closed tracker tries its disk no more, also if an attempt was under way", async () => {
  const { clock, happenedSince, own, pass, state, writeBlocks } = await serving();
  own.failure = new Error("EIO");
  writeBlocks.begin("disk-failed");
  happenedSince();
  clock.pass(RETRY_MS);
  assert.deepEqual(happenedSince(), ["probe"]);
  state.close();
  await pass(10 * RETRY_MS);
  assert.deepEqual([happenedSince(), clock.timers], [[], []]);
});

test("a failure while it catches up again is reported", async (t: TestContext) => {
  const { links, pass, state, writeBlocks } = await serving();
  const faults: string[] = [];
  t.after(onTimerFault((error, where) => faults.push(`${where}: ${String(error)}`)));
  links.met = () => Promise.reject(new Error("a bug"));
  writeBlocks.begin("disk-failed");
  writeBlocks.end("disk-failed");
  await pass(0);
  assert.deepEqual(faults, ["catching up: Error: a bug"]);
  assert.equal(state.isServing, false);
});
