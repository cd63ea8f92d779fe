// The line to the trackers on sockets and a clock of the test's own.
import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { z } from "zod";
import { formatAddress, type TrackerAddress } from "../../../../src/api/addresses.ts";
import { MiniTorrentError } from "../../../../src/api/errors.ts";
import type { TrackerApi } from "../../../../src/client/trackers/api-channel.ts";
import type { DialPlan } from "../../../../src/client/trackers/reachability.ts";
import { type LinkUser, TrackerLink } from "../../../../src/client/trackers/tracker-link.ts";
import { connectError, type TrackerSocketOptions } from "../../../../src/client/trackers/tracker-socket.ts";
import { PinStore } from "../../../../src/identity/pins.ts";
import {
  FakeTracker,
  identity,
  lostConnection,
  readableLog,
  refusal,
  refusedCall,
  settle,
  soon,
  temporaryFolder,
  virtualTime,
} from "../session-fixture.ts";

const MINUTE_MS = 60_000;
const KEYS = ["a".repeat(64), "b".repeat(64), "c".repeat(64)];
const errno = (code: string) => Object.assign(new Error(code), { code });

/** One dial of a tracker. */
interface Dial {
  readonly address: string;
  readonly plan: DialPlan;
  readonly socket: { isClosed: boolean };
  /** The connection goes, as the socket says. */
  goes(): void;
  stands(): void;
  fails(error: unknown): void;
}
/** What becomes of a dial: it stands, waits for the test, or fails. */
type Fate = "stands" | "waits" | Error;

interface Scene {
  /** How far each tracker's clock is behind this machine's. */
  readonly behindMs?: (address: string) => number;
  readonly lines?: readonly TrackerAddress[];
  readonly planDial?: LinkUser["planDial"];
  readonly firstTracker?: number;
  readonly fate?: (address: string, count: number) => Fate;
}

const LINES: readonly TrackerAddress[] = [1, 2, 3].map((last) => ({ host: `192.0.2.${last}`, port: 9000 }));
const [ONE, TWO, THREE] = LINES.map(formatAddress);

function stage(t: TestContext, scene: Scene = {}) {
  const time = virtualTime(t);
  const { after } = time;
  t.mock.method(Math, "random", () => 0.5);
  const { log, said } = readableLog();
  const pins = new PinStore(join(temporaryFolder(t), "pins.sqlite"));
  const { lines = LINES.slice(0, 2), fate = () => "stands", firstTracker = 0 } = scene;
  const fakes = new Map(lines.map((line) => [formatAddress(line), new FakeTracker()]));
  const keyOf = (address: string) => KEYS[[...fakes.keys()].indexOf(address)] ?? "";
  for (const fake of fakes.values()) fake.answer("trackers.keys", () => ({ fingerprints: KEYS }));
  const dials: Dial[] = [];
  const told: string[] = [];
  const state = {
    /** Prepares a connection. */
    prepare: async (_address: string): Promise<void> => undefined,
    /** A dial is given up. */
    givenUp: (): void => undefined,
    /** Ends the connection that was prepared last. */
    lost: (): void => assert.fail("no connection was prepared"),
  };
  const openSocket = ({ tracker, plan, signal, onClose }: TrackerSocketOptions) => {
    const address = formatAddress(tracker);
    const fake = fakes.get(address);
    assert.ok(fake);
    const socket = {
      ...{ api: fake.api, isClosed: false, localHost: "192.0.2.100", fingerprint: keyOf(address) },
      time: { trackerMs: Date.now() - (scene.behindMs?.(address) ?? 0), heardAtMs: performance.now() },
      close: () => {
        socket.isClosed = true;
      },
    };
    const { promise, resolve, reject } = Promise.withResolvers<typeof socket>();
    const dial: Dial = {
      ...{ address, plan, socket, stands: () => resolve(socket), fails: reject },
      goes: () => {
        socket.isClosed = true;
        onClose();
      },
    };
    const count = dials.filter((other) => other.address === address).length;
    dials.push(dial);
    signal.addEventListener("abort", () => {
      state.givenUp();
      reject(connectError(address, new Error("given up")));
    });
    const becomes = fate(address, count);
    if (becomes === "stands") dial.stands();
    else if (becomes !== "waits") reject(connectError(address, becomes));
    return promise;
  };
  const link = new TrackerLink({
    ...{ trackers: lines, firstTracker, identity, pins, log, openSocket },
    onUnreachable: (reason) => told.push(`unreachable: ${reason}`),
    onClockWrong: (sentence) => told.push(sentence),
    onFirstTrust: (tracker) => told.push(`trusted ${tracker}`),
  });
  link.start({
    planDial: scene.planDial ?? (async (host) => [{ host, localAddress: undefined }]),
    prepare: (api, lost) => {
      state.lost = lost;
      const [address = ""] = [...fakes].find(([, fake]) => fake.api === api) ?? [];
      return state.prepare(address);
    },
    onConnected: (tracker, isFailover) => told.push(`${isFailover ? "failover" : "connected"} ${tracker}`),
  });
  t.after(async () => {
    // What a test has made wait for ever must not keep the rest from running.
    await Promise.race([link.close(), settle(200)]);
    pins.close();
  });
  /** As if each had been connected to before. */
  const trustAll = () => {
    for (const address of fakes.keys()) pins.check(address, keyOf(address));
  };
  const dialled = () => dials.map(({ address }) => address);
  const lastDial = () => {
    const dial = dials.at(-1);
    assert.ok(dial);
    return dial;
  };
  const answers = (path: string, answer: (address: string) => unknown) => {
    for (const [address, fake] of fakes) fake.answer(path, () => answer(address));
  };
  /** Asks for the account, and says at which trackers it was asked. */
  const ask = async () => {
    const asked: string[] = [];
    const question = (api: TrackerApi) => {
      asked.push([...fakes].find(([, fake]) => fake.api === api)?.[0] ?? "");
      return api.session.resume.mutate();
    };
    const answer = await link.ask(z.object({ userId: z.string() }), question).then(
      ({ userId }) => userId,
      (error: unknown) => {
        assert.ok(error instanceof MiniTorrentError);
        return error.code;
      },
    );
    return [answer, ...asked];
  };
  /** The same, where nothing is waited for. */
  const askNow = () => soon("an answer", ask());
  return {
    ...{
      link,
      dials,
      dialled,
      lastDial,
      told,
      state,
      after,
      pins,
      said,
      fakes,
      answers,
      ask,
      askNow,
      trustAll,
      time,
    },
  };
}

test("the tracker that is first is connected to, prepared, trusted, told; then it can be asked", async (t) => {
  const { link, dialled, told, pins, state, after, askNow } = stage(t, { firstTracker: 1 });
  const prepared: string[] = [];
  state.prepare = async (address) => {
    assert.equal(pins.get(address), undefined, "what cannot be prepared must not vouch for others");
    assert.equal(link.tracker, undefined, "no command is asked before it is prepared");
    prepared.push(address);
  };
  assert.equal(link.tracker, undefined);
  assert.equal(link.problem, undefined);
  await soon("the trackers are known", link.known());
  assert.deepEqual([link.tracker, link.problem], [TWO, undefined]);
  assert.deepEqual([dialled(), prepared], [[TWO], [TWO]]);
  assert.deepEqual(told, [`trusted ${TWO}`, `connected ${TWO}`]);
  assert.deepEqual(await askNow(), ["alice", TWO]);
  await after(10_000);
  assert.deepEqual(dialled(), [TWO], "nobody else is dialled");
});

test("a tracker that cannot be prepared is closed and not trusted, and the next one is taken", async (t) => {
  const { link, dials, pins, state } = stage(t);
  state.prepare = async (address) => {
    if (address === ONE) throw refusal("TRACKER_BUSY");
  };
  await soon("the trackers are known", link.known());
  assert.equal(link.tracker, TWO);
  assert.deepEqual(
    dials.map(({ socket }) => socket.isClosed),
    [true, false],
  );
  assert.deepEqual([pins.get(ONE ?? ""), pins.get(TWO ?? "")], [undefined, KEYS[1]]);
});

test("a preparation that takes five seconds is given up for the next tracker", async (t) => {
  const { link, state, after } = stage(t);
  state.prepare = (address) => (address === ONE ? new Promise(() => undefined) : Promise.resolve());
  await after(4_999);
  assert.equal(link.tracker, undefined);
  await after(1);
  assert.equal(link.tracker, TWO);
});

test("an answer of another form than it must have is an error of its own, and so is a refusal", async (t) => {
  const { answers, askNow } = stage(t);
  answers("session.resume", () => ({ userId: 7 }));
  assert.deepEqual(await askNow(), ["MALFORMED_MESSAGE", ONE]);
  answers("session.resume", () => Promise.reject(refusedCall("NOT_LOGGED_IN")));
  assert.deepEqual(await askNow(), ["NOT_LOGGED_IN", ONE]);
  answers("session.resume", () => Promise.reject(refusal("CLOCK_WRONG")));
  assert.deepEqual(await askNow(), ["CLOCK_WRONG", ONE]);
  answers("session.resume", () => Promise.reject(refusedCall("A_CODE_OF_TOMORROW")));
  assert.deepEqual(await askNow(), ["INTERNAL", ONE]);
  answers("session.resume", () => Promise.reject(new TypeError("a bug")));
  assert.deepEqual(await askNow(), ["INTERNAL", ONE]);
});

test("a question whose connection goes is asked once more, at the next tracker", async (t) => {
  const { link, answers, dials, dialled, told, askNow } = stage(t);
  await soon("the trackers are known", link.known());
  answers("session.resume", (address) =>
    address === ONE ? Promise.reject(lostConnection()) : { userId: "alice" },
  );
  assert.deepEqual(await askNow(), ["alice", ONE, TWO]);
  assert.deepEqual(told.slice(1), [`connected ${ONE}`, `failover ${TWO}`]);
  assert.equal(dials[0]?.socket.isClosed, true);
  assert.deepEqual(dialled(), [ONE, TWO]);
  answers("session.resume", () => Promise.reject(lostConnection()));
  assert.deepEqual(await askNow(), ["TRACKERS_UNREACHABLE", TWO, ONE], "and no third time");
});

test("a tracker that cannot write is left for another one", async (t) => {
  const { answers, link, askNow } = stage(t);
  answers("session.resume", (address) =>
    address === ONE ? Promise.reject(refusedCall("TRACKER_CANNOT_WRITE")) : { userId: "alice" },
  );
  assert.deepEqual(await askNow(), ["alice", ONE, TWO]);
  assert.equal(link.tracker, TWO);
  answers("session.resume", () => Promise.reject(refusedCall("TRACKER_CANNOT_WRITE")));
  assert.deepEqual(await askNow(), ["TRACKER_CANNOT_WRITE", TWO, ONE]);
});

test("two questions that lose the same connection cost one search", async (t) => {
  const { answers, dialled, askNow } = stage(t);
  answers("session.resume", (address) =>
    address === ONE ? Promise.reject(lostConnection()) : { userId: "alice" },
  );
  assert.deepEqual(await Promise.all([askNow(), askNow()]), [
    ["alice", ONE, TWO],
    ["alice", ONE, TWO],
  ]);
  assert.deepEqual(dialled(), [ONE, TWO]);
});

test("right after the start a command waits three seconds for trackers that may just be starting too", async (t) => {
  const { ask, after, told, link, askNow } = stage(t, { fate: () => errno("ECONNREFUSED") });
  const asked = ask();
  let answer: unknown;
  void asked.then((given) => {
    answer = given;
  });
  await after(2_999);
  assert.equal(answer, undefined);
  assert.deepEqual(told, [
    "unreachable: None of the trackers answers; running downloads go on, try the command again in a moment.",
  ]);
  await after(1);
  assert.deepEqual(answer, ["TRACKERS_UNREACHABLE"]);
  assert.match(link.problem ?? "", /^If that lasts, look at the network/);
  assert.deepEqual(await askNow(), ["TRACKERS_UNREACHABLE"], "later ones wait for nothing");
});

test("a tracker that starts a moment later is found by the command that waits", async (t) => {
  const { ask, after } = stage(t, {
    fate: (address, count) => (address === TWO && count >= 2 ? "stands" : errno("ECONNREFUSED")),
  });
  const asked = ask();
  await after(500);
  await after(1_000);
  assert.deepEqual(await asked, ["alice", TWO]);
});

test("a command that finds all trackers silent ends after three seconds", async (t) => {
  const { ask, after } = stage(t, { fate: () => "waits" });
  const asked = ask();
  await after(3_000);
  assert.deepEqual(await asked, ["TRACKERS_UNREACHABLE"]);
});

test("once a tracker was connected a command ends as soon as each has been dialled in vain", async (t) => {
  const { link, answers, askNow } = stage(t, {
    fate: (address, count) => (address === ONE && count === 0 ? "stands" : errno("ECONNREFUSED")),
  });
  await soon("the trackers are known", link.known());
  answers("session.resume", () => Promise.reject(lostConnection()));
  assert.deepEqual(await askNow(), ["TRACKERS_UNREACHABLE", ONE]);
});

test("a key that changed is said at once, whatever is wrong with the other trackers", async (t) => {
  const changed = new MiniTorrentError("TRACKER_KEY_CHANGED", "Another key than before.");
  const unknown = new MiniTorrentError("TRACKER_KEY_UNKNOWN", "An unknown key.");
  const { told, link, after, askNow } = stage(t, {
    lines: LINES,
    fate: (address) => (address === ONE ? errno("ECONNREFUSED") : address === TWO ? unknown : changed),
  });
  assert.deepEqual(await askNow(), ["TRACKER_KEY_CHANGED"]);
  assert.equal(link.problem, "Another key than before.");
  assert.deepEqual(told, ["unreachable: Another key than before."]);
  await after(3_000);
  assert.equal(told.length, 1, "it is told once for each search");
});

test("a key that nobody vouches for is told before a tracker that does not answer", async (t) => {
  const unknown = new MiniTorrentError("TRACKER_KEY_UNKNOWN", "An unknown key.");
  const { after, link } = stage(t, {
    fate: (address) => (address === ONE ? errno("ECONNREFUSED") : unknown),
  });
  await after(0);
  assert.equal(link.problem, "An unknown key.");
});

test("a user told that no tracker answers is told later if a key is the reason", async (t) => {
  const { after, link, dials } = stage(t, { lines: LINES.slice(0, 1), fate: () => "waits" });
  await after(1_500);
  assert.match(link.problem ?? "", /^If that lasts/);
  dials[0]?.fails(new MiniTorrentError("TRACKER_KEY_CHANGED", "Another key than before."));
  await settle();
  assert.equal(link.problem, "Another key than before.");
});

test("where this machine could try none of them, that is what is said", async (t) => {
  const local = stage(t, { fate: () => errno("ENETUNREACH") });
  await local.after(0);
  assert.match(
    local.told[0] ?? "",
    /^unreachable: None of the trackers can be reached from this machine: this machine has no route/,
  );
});

test("where one of them could be tried, this machine is not to blame", async (t) => {
  const { after, told } = stage(t, {
    fate: (address) => errno(address === ONE ? "ENETUNREACH" : "ECONNREFUSED"),
  });
  await after(0);
  assert.match(told[0] ?? "", /^unreachable: None of the trackers answers/);
});

test("a closed line looks for no tracker, closes its connection and answers no command", async (t) => {
  const { link, dials, dialled, after, askNow } = stage(t);
  await soon("the trackers are known", link.known());
  await link.close();
  assert.equal(dials[0]?.socket.isClosed, true);
  const asked = assert.rejects(
    link.ask(z.unknown(), () => assert.fail("it is closed")),
    { code: "TRACKERS_UNREACHABLE", message: "The client is closing." },
  );
  await soon("the command ends", asked);
  assert.deepEqual(await askNow(), ["TRACKERS_UNREACHABLE"]);
  await after(MINUTE_MS);
  assert.deepEqual(dialled(), [ONE]);
});

test("a command that waits hears that the client is closing", async (t) => {
  const { link } = stage(t, { fate: () => "waits" });
  const asked = assert.rejects(
    link.ask(z.unknown(), () => assert.fail("it is closed")),
    { message: "The client is closing." },
  );
  await settle();
  await soon("it is closed", link.close());
  await soon("the command ends", asked);
});

test("a connection that stands when the line is closed already is closed too", async (t) => {
  const { link, dials, state, told } = stage(t);
  const prepared = Promise.withResolvers<void>();
  state.prepare = () => prepared.promise;
  await settle();
  const closed = link.close();
  prepared.resolve();
  await closed;
  assert.deepEqual([dials[0]?.socket.isClosed, link.tracker], [true, undefined]);
  assert.ok(!told.includes(`connected ${ONE}`));
});

test("a line that is closed in the moment in which a tracker is found takes it no more", async (t) => {
  const { link, dials, state, told, after } = stage(t, {
    fate: (address) => (address === ONE ? "waits" : "stands"),
  });
  await settle();
  state.givenUp = () => void link.close(); // ONE's dial is given up because TWO stands
  await after(1_500);
  assert.deepEqual([link.tracker, dials[1]?.socket.isClosed], [undefined, true]);
  assert.ok(!told.includes(`connected ${TWO}`));
});

test("a command waits until each tracker has been tried, not only the next one", async (t) => {
  const { link, answers, askNow } = stage(t, {
    fate: (address) => (address === ONE ? "stands" : errno("ECONNREFUSED")),
  });
  await soon("the trackers are known", link.known());
  let isLost = false;
  answers("session.resume", () => {
    if (isLost) return { userId: "alice" };
    isLost = true;
    throw lostConnection();
  });
  assert.deepEqual(await askNow(), ["alice", ONE, ONE]);
});

test("after the tracker that was found comes the one on the next line", async (t) => {
  const { link, dials, trustAll, dialled } = stage(t, {
    lines: LINES,
    fate: (address) => (address === ONE ? errno("ECONNREFUSED") : "stands"),
  });
  trustAll();
  await soon("the trackers are known", link.known());
  dials[1]?.goes();
  await settle();
  assert.deepEqual(dialled(), [ONE, TWO, THREE]);
});

test("no timer of a command or a preparation outlives it", async (t) => {
  const { link, time, fakes, askNow } = stage(t);
  for (const fake of fakes.values()) fake.answer("trackers.keys", () => ({ fingerprints: KEYS.slice(0, 2) }));
  await askNow();
  await soon("it is prepared", link.prepareAgain());
  await settle();
  assert.equal(time.timeouts, 0);
});

test("a connection that goes is replaced by one to the next tracker; an older one that goes costs nothing", async (t) => {
  const { link, dials, dialled, told } = stage(t);
  await soon("the trackers are known", link.known());
  dials[0]?.goes();
  assert.equal(link.tracker, undefined);
  await settle();
  assert.equal(link.tracker, TWO);
  dials[0]?.goes();
  await settle();
  assert.deepEqual([link.tracker, dialled()], [TWO, [ONE, TWO]]);
  assert.deepEqual(told.slice(1), [`connected ${ONE}`, `failover ${TWO}`]);
  dials[1]?.goes();
  await settle();
  assert.equal(link.tracker, ONE, "after the last one the first");
});

test("a connection that its user finds useless is lost; one that was replaced is not asked about", async (t) => {
  const { link, state, dialled } = stage(t);
  await soon("the trackers are known", link.known());
  const { lost } = state;
  lost();
  await settle();
  assert.equal(link.tracker, TWO);
  lost();
  await settle();
  assert.deepEqual(dialled(), [ONE, TWO]);
});

test("a connection that goes while it is being prepared is not left standing", async (t) => {
  const { link, state, dials, trustAll } = stage(t);
  trustAll();
  state.prepare = async (address) => {
    if (address === ONE) dials[0]?.goes();
  };
  await settle();
  assert.equal(link.tracker, TWO);
});

test("a connection is prepared again when what it is prepared with changes", async (t) => {
  const { link, state, dialled } = stage(t);
  const prepared: string[] = [];
  state.prepare = async (address) => void prepared.push(address);
  await soon("it is prepared", link.prepareAgain());
  assert.deepEqual([prepared, dialled()], [[ONE, ONE], [ONE]]);
});

test("a connection that cannot be prepared again is left for the next one", async (t) => {
  const { link, state } = stage(t);
  await soon("the trackers are known", link.known());
  state.prepare = async (address) => {
    if (address === ONE) throw refusal("TRACKER_BUSY");
  };
  await soon("it is prepared", link.prepareAgain());
  assert.equal(link.tracker, TWO);
});

test("preparing again fails if there is no tracker then", async (t) => {
  const { link, state } = stage(t, {
    fate: (address, count) => (address === ONE && count === 0 ? "stands" : errno("ECONNREFUSED")),
  });
  await soon("the trackers are known", link.known());
  state.prepare = async () => {
    throw refusal("TRACKER_BUSY");
  };
  await assert.rejects(link.prepareAgain(), { code: "TRACKERS_UNREACHABLE" });
});

test("a connection from an address that this machine has lost is given up, and no other", async (t) => {
  const { link } = stage(t);
  link.ownAddressesChanged({ lost: new Set(["192.0.2.100"]), gained: new Set() });
  await soon("the trackers are known", link.known());
  link.ownAddressesChanged({ lost: new Set(["192.0.2.5"]), gained: new Set(["192.0.2.100"]) });
  assert.equal(link.tracker, ONE);
  link.ownAddressesChanged({ lost: new Set(["192.0.2.100"]), gained: new Set() });
  await settle();
  assert.equal(link.tracker, TWO);
});

test("a clock that differs too much is warned of when a tracker is connected, and known while it is prepared", async (t) => {
  const { link, state, told, said } = stage(t, { behindMs: () => 11 * MINUTE_MS });
  let knownMs: number | undefined;
  state.prepare = async () => {
    knownMs = link.clockAheadMs;
  };
  assert.deepEqual([link.clockAheadMs, link.clockWarning], [undefined, undefined]);
  await soon("the trackers are known", link.known());
  assert.equal(knownMs, 11 * MINUTE_MS);
  assert.equal(link.clockAheadMs, 11 * MINUTE_MS);
  assert.match(link.clockWarning ?? "", /11 min ahead of the tracker's/);
  assert.deepEqual([told.at(-1), said("warn")], [link.clockWarning, [link.clockWarning]]);
});

test("a clock that is right enough is no news", async (t) => {
  const { link, told } = stage(t, { behindMs: () => 9 * MINUTE_MS });
  await soon("the trackers are known", link.known());
  assert.equal(link.clockWarning, undefined);
  assert.deepEqual(told, [`trusted ${ONE}`, `connected ${ONE}`]);
});

test("the tracker is asked which keys it vouches for until it knows all of them", async (t) => {
  const { link, fakes, after, pins } = stage(t);
  const fake = fakes.get(ONE ?? "");
  assert.ok(fake);
  let fingerprints = [KEYS[0]];
  fake.answer("trackers.keys", () => ({ fingerprints }));
  await soon("the trackers are known", link.known());
  await settle();
  fake.refuse("trackers.keys", "TRACKER_BUSY");
  for (const pauseMs of [250, 500]) {
    fake.take();
    await after(pauseMs - 1);
    assert.deepEqual(fake.take(), []);
    await after(1);
    assert.deepEqual(fake.take(), ["trackers.keys"]);
  }
  fingerprints = [KEYS[0], KEYS[1]];
  fake.answer("trackers.keys", () => ({ fingerprints }));
  await after(1_000);
  assert.deepEqual(pins.vouchersOf(KEYS[1] ?? ""), [KEYS[0]]);
  fake.take();
  await after(10 * MINUTE_MS);
  assert.deepEqual(fake.take(), [], "it knows all of them");
});

test("a tracker that never knows all keys is asked every half minute, while it is connected", async (t) => {
  const { link, fakes, after, dials, trustAll } = stage(t);
  trustAll();
  const fake = fakes.get(ONE ?? "");
  assert.ok(fake);
  fake.answer("trackers.keys", () => ({ fingerprints: [KEYS[0], KEYS[0]] }));
  await soon("the trackers are known", link.known());
  for (let pauseMs = 250; pauseMs < 60_000; pauseMs *= 2) await after(pauseMs);
  fake.take();
  await after(30_000);
  await after(30_000);
  assert.deepEqual(fake.take(), ["trackers.keys", "trackers.keys"]);
  dials[0]?.goes();
  await after(30_000);
  assert.deepEqual(fake.take(), []);
});

test("keys that come after the connection has gone are not believed", async (t) => {
  const { link, fakes, dials, pins, trustAll } = stage(t);
  const answer = Promise.withResolvers<unknown>();
  fakes.get(ONE ?? "")?.answer("trackers.keys", () => answer.promise);
  fakes.get(TWO ?? "")?.answer("trackers.keys", () => ({ fingerprints: [] }));
  trustAll();
  await soon("the trackers are known", link.known());
  dials[0]?.goes();
  answer.resolve({ fingerprints: KEYS });
  await settle();
  assert.deepEqual(pins.vouchersOf(KEYS[2] ?? ""), []);
});

test("two lines of one tracker count once, and that is logged once", async (t) => {
  const key = KEYS[0] ?? "";
  const pinned = LINES.slice(0, 2).map((line, at) => ({
    ...line,
    fingerprint: at === 0 ? key.toUpperCase() : key,
  }));
  const { link, dials, dialled, said, after } = stage(t, {
    lines: pinned,
    fate: (_address, count) => (count === 0 ? "stands" : errno("ECONNREFUSED")),
  });
  await soon("the trackers are known", link.known());
  dials[0]?.goes();
  await after(100);
  assert.deepEqual(dialled(), [ONE, ONE]);
  assert.deepEqual(said("warn"), ["two lines of tracker_info.txt are one tracker; it counts once"]);
});

test("two lines that have shown the same key count once from the next search on", async (t) => {
  const { link, dials, dialled, pins } = stage(t);
  await soon("the trackers are known", link.known());
  pins.check(TWO ?? "", KEYS[0] ?? "");
  dials[0]?.goes();
  await settle();
  assert.deepEqual(dialled(), [ONE, ONE]);
});

test("the clock that counts is that of the tracker that is used", async (t) => {
  const { link, state, dials, after } = stage(t, {
    behindMs: (address) => (address === ONE ? 20 * MINUTE_MS : 0),
    fate: (address) => (address === ONE ? "waits" : "stands"),
  });
  const prepared = Promise.withResolvers<void>();
  state.prepare = () => prepared.promise;
  await after(1_500);
  dials[0]?.stands();
  await settle();
  prepared.resolve();
  await settle();
  assert.deepEqual([link.tracker, link.clockAheadMs], [TWO, 0]);
});

test("a line is closed when the search for another tracker is over", async (t) => {
  const { link, state, dials } = stage(t);
  await soon("the trackers are known", link.known());
  const prepared = Promise.withResolvers<void>();
  state.prepare = () => prepared.promise;
  dials[0]?.goes();
  await settle();
  let isClosed = false;
  const closed = link.close().then(() => {
    isClosed = true;
  });
  await settle();
  assert.equal(isClosed, false);
  prepared.resolve();
  await soon("it is closed", closed);
});

test("the next way to dial a tracker is tried if one is impossible from here, or nobody listens there", async (t) => {
  const { link, dials } = stage(t, {
    planDial: async (host) => [
      { host, localAddress: "192.0.2.9" },
      { host, localAddress: undefined },
    ],
    fate: (_address, count) => (count === 0 ? errno("EADDRNOTAVAIL") : "stands"),
  });
  await soon("the trackers are known", link.known());
  assert.equal(link.tracker, ONE);
  assert.deepEqual(
    dials.map(({ plan }) => plan.localAddress),
    ["192.0.2.9", undefined],
  );
});

test("a tracker that answers badly is not dialled another way", async (t) => {
  const { link, dialled } = stage(t, {
    planDial: async (host) => [
      { host, localAddress: "192.0.2.9" },
      { host, localAddress: undefined },
    ],
    fate: (address) => (address === ONE ? new Error("not a tracker") : "stands"),
  });
  await soon("the trackers are known", link.known());
  assert.deepEqual(dialled(), [ONE, TWO]);
});

test("a name that is not known is a tracker that is not reached, with the reason", async (t) => {
  const { after, told } = stage(t, { planDial: () => Promise.reject(errno("ENOTFOUND")) });
  await after(0);
  assert.match(told[0] ?? "", /can be reached from this machine: there is no host of that name/);
});

test("a tracker without any way to dial it is not reached", async (t) => {
  const { after, told, askNow } = stage(t, { planDial: async () => [] });
  await after(3_000);
  assert.match(told[0] ?? "", /^unreachable: None of the trackers answers/);
  assert.deepEqual(await askNow(), ["TRACKERS_UNREACHABLE"]);
});

test("known() waits for the first search, and does not fail", async (t) => {
  const { link, after } = stage(t, { fate: () => errno("ECONNREFUSED") });
  let isKnown = false;
  void link.known().then(() => {
    isKnown = true;
  });
  await after(2_999);
  assert.equal(isKnown, false);
  await after(1);
  assert.equal(isKnown, true);
});

test("without trackers nothing is looked for, and commands say at once what to do, until there is a list", async (t) => {
  const { link, dialled, told, askNow, after } = stage(t, { lines: [] });
  assert.deepEqual(link.trackers, []);
  await soon("the lack of trackers is known", link.known());
  assert.match(link.problem ?? "", /minitorrent join <invite>/);
  assert.deepEqual(await askNow(), ["TRACKERS_UNKNOWN"]);
  await after(MINUTE_MS);
  assert.deepEqual([dialled(), told], [[], []]);
});

test("a new list takes the place of the old one at once: its trackers are looked for, the old one is left", async (t) => {
  const { link, dials, dialled, told, trustAll, askNow } = stage(t, { lines: LINES });
  trustAll();
  await soon("the first tracker is known", link.known());
  assert.equal(link.tracker, ONE);
  const [, two, three] = LINES;
  assert.ok(two && three);
  link.useTrackers([{ ...two, fingerprint: (KEYS[1] ?? "").toUpperCase() }, three]);
  assert.deepEqual([link.tracker, link.problem], [undefined, undefined]);
  assert.equal(dials[0]?.socket.isClosed, true);
  assert.deepEqual(await askNow(), ["alice", TWO]);
  assert.deepEqual(dialled(), [ONE, TWO]);
  assert.deepEqual(told, [`connected ${ONE}`, `connected ${TWO}`], "it is no failover, nor first contact");
  assert.deepEqual(link.trackers, [
    { address: TWO, fingerprint: KEYS[1], isConnected: true, problem: undefined },
    { address: THREE, fingerprint: KEYS[2], isConnected: false, problem: undefined },
  ]);
});

test("a new list ends the search for the old one, and what that search finds is not used", async (t) => {
  const { link, dials, askNow } = stage(t, {
    lines: LINES,
    fate: (address) => (address === ONE ? "waits" : "stands"),
  });
  await settle();
  const [first, two] = LINES;
  assert.ok(first && two);
  assert.equal(dials[0]?.address, ONE);
  link.useTrackers([two]);
  dials[0]?.stands();
  assert.deepEqual(await askNow(), ["alice", TWO]);
  await settle();
  assert.equal(link.tracker, TWO);
  link.useTrackers([]);
  assert.deepEqual(await askNow(), ["TRACKERS_UNKNOWN"]);
});

test("of a tracker that could not be used it is said why, until it can be", async (t) => {
  const { link, after } = stage(t, {
    fate: (address, count) => (address === ONE && count === 0 ? errno("ECONNREFUSED") : "stands"),
  });
  await soon("a tracker is known", link.known());
  const problems = () => link.trackers.map(({ problem }) => problem);
  assert.deepEqual([link.tracker, problems()[1]], [TWO, undefined]);
  assert.match(problems()[0] ?? "", /192\.0\.2\.1:9000 does not answer/);
  const [first] = LINES;
  assert.ok(first);
  link.useTrackers([first]);
  assert.deepEqual(problems(), [undefined], "it is of the search before");
  await after(1);
  assert.equal(link.tracker, ONE);
});

test("why a tracker could not be used is no longer said once it is used", async (t) => {
  const { link, after } = stage(t, {
    lines: LINES.slice(0, 1),
    fate: (_address, count) => (count === 0 ? errno("ECONNREFUSED") : "stands"),
  });
  await after(1);
  assert.match(link.trackers[0]?.problem ?? "", /does not answer/);
  await after(5_000);
  assert.deepEqual([link.tracker, link.trackers[0]?.problem], [ONE, undefined]);
});

for (const steps of [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20]) {
  test(`a connection found while the list changes is not used: ${steps} steps after its preparation`, async (t) => {
    const { link, dials, state } = stage(t, { lines: LINES.slice(0, 2) });
    const [, two] = LINES;
    assert.ok(two);
    state.prepare = async (address) => {
      if (address !== ONE) return;
      const change = (left: number): void =>
        queueMicrotask(() => (left === 0 ? link.useTrackers([two]) : change(left - 1)));
      change(steps);
    };
    await settle();
    await settle();
    assert.equal(link.tracker, TWO);
    assert.equal(dials.find(({ address }) => address === ONE)?.socket.isClosed, true);
  });
}

test("the trackers are introduced with the keys that are known: those of the list, of this client, and of the tracker", async (t) => {
  const [one, two, three] = LINES;
  assert.ok(one && two && three);
  const lines = [three, two, { ...one, fingerprint: (KEYS[2] ?? "").toUpperCase() }];
  const { link, answers } = stage(t, { lines, firstTracker: 2 });
  answers("trackers.keys", () => ({
    fingerprints: KEYS,
    places: [
      { address: TWO, fingerprint: KEYS[0] },
      { address: ONE, fingerprint: KEYS[1] },
    ],
  }));
  await soon("a tracker is known", link.known());
  assert.deepEqual(await soon("the introductions", link.introductions()), [
    { ...two, fingerprint: KEYS[0] },
    { ...one, fingerprint: KEYS[2] },
    three,
  ]);
  answers("trackers.keys", () => ({ fingerprints: KEYS }));
  const [first, ...others] = await soon("the introductions", link.introductions());
  assert.deepEqual([first, others], [{ ...one, fingerprint: KEYS[2] }, [three, two]]);
});

test("a client without trackers has nobody to join at", async (t) => {
  const { link } = stage(t, { lines: [] });
  assert.throws(() => link.introduce(LINES), { code: "TRACKERS_UNKNOWN" });
});

test("a tracker is introduced with the key that this client has pinned, before what others say", async (t) => {
  const { link, answers } = stage(t, { lines: LINES.slice(0, 1) });
  answers("trackers.keys", () => ({ fingerprints: KEYS, places: [{ address: ONE, fingerprint: KEYS[2] }] }));
  await soon("a tracker is known", link.known());
  const introduced = await soon("the introductions", link.introductions());
  assert.deepEqual(
    introduced.map(({ fingerprint }) => fingerprint),
    [KEYS[0]],
  );
});
