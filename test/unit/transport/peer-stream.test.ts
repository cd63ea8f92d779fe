// One end of a connection on a stream and a clock of the test's own: time limits, farewells, and what a peer without extensions
// is told. Two ends on real sockets are in peer-socket.test.ts.
import assert from "node:assert/strict";
import { once } from "node:events";
import { Duplex } from "node:stream";
import { type TestContext, test } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { HandshakeBuffer } from "../../../src/transport/handshake-buffer.ts";
import { PeerSocket } from "../../../src/transport/peer-socket.ts";
import { MessageEncoder } from "../../../src/wire/encoder.ts";
import { decodeExtensionHandshake } from "../../../src/wire/extensions.ts";
import type { Handshake } from "../../../src/wire/handshake.ts";
import { watchTimers } from "../net/open-timers.ts";
import { RecordingListener } from "../wire/recording.ts";
import { INFO_HASH, silent } from "./members.ts";

const NOW_MS = Date.UTC(2026, 0, 31);
const HOUR_MS = 3_600_000;
const PIECE_COUNT = 12;
const KEEP_ALIVE_HEX = "00000000";

/** The other end reads all of it at once, or nothing while `isStuck`. */
class FakeStream extends Duplex {
  readonly localAddress = "::ffff:192.0.2.5";
  isStuck = false;
  keepAlive: readonly unknown[] = [];
  #written: Buffer[] = [];
  #waiting: (() => void)[] = [];

  setKeepAlive(...settings: readonly unknown[]): void {
    this.keepAlive = settings;
  }

  /** What was written since the last look, in hex. */
  look(): string {
    return Buffer.concat(this.#written.splice(0)).toString("hex");
  }

  /** The other end reads what was written first. */
  readOne(): void {
    this.#waiting.shift()?.();
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#written.push(Buffer.from(chunk));
    if (this.isStuck) this.#waiting.push(done);
    else done();
  }
}

type MockedApis = NonNullable<Parameters<TestContext["mock"]["timers"]["enable"]>[0]>["apis"];

interface Setting {
  readonly apis?: MockedApis;
  readonly handshake?: Partial<Handshake>;
  readonly validUntilMs?: number;
}

function connect(t: TestContext, { apis, handshake, validUntilMs = NOW_MS + HOUR_MS }: Setting = {}) {
  t.mock.timers.enable({ apis: apis ?? ["setInterval", "setTimeout", "Date"], now: NOW_MS });
  const stream = new FakeStream();
  const handshakeBuffer = new HandshakeBuffer(() => undefined);
  const peer = new PeerSocket({
    socket: stream,
    handshakeBuffer,
    member: { userId: "bob", membershipId: "m-bob", deviceId: "d".repeat(64), validUntilMs },
    handshake: {
      infoHash: INFO_HASH,
      peerId: new Uint8Array(20),
      supportsFast: true,
      supportsExtensions: true,
      ...handshake,
    },
    address: { host: "192.0.2.9", port: 6881 },
    isDialled: false,
    log: silent,
  });
  const listener = new RecordingListener();
  // Waited for, since a connection that ends later would clear timers of the next test's clock.
  t.after(async () => {
    peer.close("the test is over");
    stream.destroy();
    if (!stream.closed) await once(stream, "close").catch(() => undefined);
    await turn();
  });
  const hear = (say: (encoder: MessageEncoder) => void): void => {
    const encoder = new MessageEncoder();
    say(encoder);
    const bytes = encoder.take();
    handshakeBuffer.take(bytes, bytes.length);
  };
  return { stream, handshakeBuffer, peer, listener, hear };
}

async function started(t: TestContext, setting?: Setting) {
  const parts = connect(t, setting);
  parts.peer.start(parts.listener, PIECE_COUNT);
  await turn();
  return parts;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a connection knows its peer and this machine's address, and uses TCP keep-alive", (t) => {
  const { stream, peer } = connect(t);
  assert.deepEqual(
    [peer.userId, peer.membershipId, peer.deviceId, peer.certificateValidUntilMs],
    ["bob", "m-bob", "d".repeat(64), NOW_MS + HOUR_MS],
  );
  assert.equal(peer.localHost, "192.0.2.5");
  assert.deepEqual(stream.keepAlive, [true, 10_000, 2_000, 5]);
});

test("a keep-alive goes out after two minutes in which nothing was said, and after two more", async (t) => {
  const { stream, peer, hear } = await started(t);
  for (const round of [1, 2]) {
    hear((said) => said.keepAlive());
    t.mock.timers.tick(90_000);
    await turn();
    assert.equal(stream.look(), "", `round ${round}`);
    t.mock.timers.tick(30_000);
    await turn();
    assert.equal(stream.look(), KEEP_ALIVE_HEX, `round ${round}`);
  }
  t.mock.timers.tick(90_000);
  peer.interested();
  await turn();
  assert.equal(stream.look(), "0000000102");
  t.mock.timers.tick(90_000);
  await turn();
  assert.equal(stream.look(), "", "a message counts as well as a keep-alive");
});

test("a peer of which no byte comes for four minutes is left, and a part of a message is enough to stay", async (t) => {
  const { handshakeBuffer, listener } = await started(t);
  t.mock.timers.tick(210_000);
  handshakeBuffer.take(Uint8Array.of(0), 1);
  t.mock.timers.tick(210_000);
  assert.deepEqual(listener.closedReasons, []);
  t.mock.timers.tick(30_000);
  await turn();
  assert.deepEqual(listener.closedReasons, ["nothing was received for 4 minutes"]);
});

test("closes a peer that reads nothing for 30 s while blocks wait for it, and calls every sent", async (t) => {
  const { stream, peer, listener } = await started(t);
  stream.isStuck = true;
  let sentCount = 0;
  for (let count = 0; count < 3; count++) peer.sendBlocks(new Uint8Array(1_000), () => void sentCount++);
  t.mock.timers.tick(30_000);
  await turn();
  assert.deepEqual([listener.closedReasons, sentCount], [[], 0]);
  t.mock.timers.tick(30_000);
  await turn();
  assert.deepEqual(listener.closedReasons, ["it reads nothing of the blocks that it asked for"]);
  assert.equal(sentCount, 3);
});

test("a slow peer that still reads is not taken for one that has stopped, nor is one to which nothing is owed", async (t) => {
  const { stream, peer, listener, hear } = await started(t);
  stream.isStuck = true;
  for (let count = 0; count < 4; count++) peer.sendBlocks(new Uint8Array(1_000), () => undefined);
  for (let count = 0; count < 4; count++) {
    t.mock.timers.tick(30_000);
    hear((said) => said.keepAlive());
    stream.readOne();
    await turn();
  }
  for (let count = 0; count < 4; count++) {
    t.mock.timers.tick(30_000);
    hear((said) => said.keepAlive());
  }
  await turn();
  assert.deepEqual(listener.closedReasons, []);
});

test("a connection ends with the peer's certificate, in its last millisecond", async (t) => {
  const { stream, listener } = await started(t, { validUntilMs: NOW_MS + 20_000 });
  t.mock.timers.tick(19_999);
  assert.equal(stream.destroyed, false);
  t.mock.timers.tick(1);
  assert.equal(stream.destroyed, true);
  await turn();
  assert.deepEqual(listener.closedReasons, ["the certificate of bob has run out"]);
});

test("a certificate that is valid for longer than a timer can wait is looked at again", (t) => {
  const days = 24 * HOUR_MS;
  const { stream } = connect(t, { apis: ["setTimeout", "Date"], validUntilMs: NOW_MS + 60 * days });
  for (let day = 1; day < 60; day++) t.mock.timers.tick(days);
  assert.equal(stream.destroyed, false);
  t.mock.timers.tick(days);
  assert.equal(stream.destroyed, true);
});

test("no timer is set for longer than node can wait, which would be a millisecond", (t) => {
  const delaysMs: unknown[] = [];
  const { setTimeout: original } = globalThis;
  t.mock.method(globalThis, "setTimeout", (work: () => void, delayMs?: number) => {
    delaysMs.push(delayMs);
    return original(work, delayMs);
  });
  connect(t, { apis: ["Date"], validUntilMs: NOW_MS + 60 * 24 * HOUR_MS });
  assert.deepEqual(delaysMs, [2 ** 31 - 1]);
});

test("a certificate that has run out meanwhile ends the connection at once", async (t) => {
  const { peer, stream, listener } = connect(t, { validUntilMs: NOW_MS });
  assert.equal(stream.destroyed, true);
  peer.start(listener, PIECE_COUNT);
  await turn();
  assert.deepEqual(listener.closedReasons, ["the certificate of bob has run out"]);
});

test("a connection that is over leaves no timer behind, however it ends", async (t) => {
  const timers = watchTimers(t);
  const ends: Record<string, (parts: ReturnType<typeof connect>) => void> = {
    "by this side": ({ peer }) => peer.close("enough"),
    "with a farewell": ({ peer }) => peer.close("enough", { reason: "full" }),
    "by the other side": ({ stream }) => stream.push(null),
    "by a failure": ({ stream }) => stream.destroy(new Error("ECONNRESET")),
  };
  for (const [how, end] of Object.entries(ends)) {
    const parts = connect(t, { apis: ["Date"] });
    parts.peer.start(parts.listener, PIECE_COUNT);
    await turn();
    assert.equal(timers.open.size, 2, how);
    end(parts);
    parts.stream.resume();
    while (parts.listener.closedReasons.length === 0 || !parts.stream.destroyed) {
      if (parts.stream.writableFinished) parts.stream.destroy();
      await turn();
    }
    await turn();
    assert.equal(timers.open.size, 0, how);
    t.mock.timers.reset();
  }
});

test("a peer with neither extension is told what BEP 3 has words for, and nothing else", async (t) => {
  const { stream, peer } = await started(t, {
    handshake: { supportsFast: false, supportsExtensions: false },
  });
  peer.haveNone();
  peer.suggest(1);
  peer.reject(1, 0, 16_384);
  peer.extended(0, Uint8Array.of(1));
  await turn();
  assert.equal(stream.look(), "");
  peer.haveAll();
  await turn();
  assert.equal(stream.look(), "0000000305fff0", "twelve pieces as a bitfield");
});

test("a peer with both extensions is told in their words", async (t) => {
  const { stream, peer } = await started(t);
  peer.haveAll();
  peer.haveNone();
  peer.suggest(1);
  peer.extended(0, Uint8Array.of(1));
  await turn();
  assert.equal(stream.look(), ["000000010e", "000000010f", "000000050d00000001", "00000003140001"].join(""));
  peer.bitfield(Uint8Array.of(0xa0, 0x10));
  await turn();
  assert.equal(stream.look(), "0000000305a010");
  peer.reject(1, 2, 3);
  await turn();
  assert.equal(stream.look(), "0000000d10000000010000000200000003");
});

test("a farewell goes out before the end, and the stream is closed a second later if the peer does not read it", async (t) => {
  const { stream, peer, listener } = await started(t);
  stream.isStuck = true;
  peer.close("enough", { reason: "full" });
  await turn();
  assert.deepEqual(listener.closedReasons, ["enough"]);
  const payload = Buffer.from(stream.look(), "hex").subarray(6);
  assert.deepEqual(decodeExtensionHandshake(payload).farewell, { reason: "full" });
  assert.equal(stream.destroyed, false);
  t.mock.timers.tick(999);
  assert.equal(stream.destroyed, false);
  t.mock.timers.tick(1);
  assert.equal(stream.destroyed, true);
  await turn();
  assert.deepEqual(listener.closedReasons, ["enough"], "closed is told once");
});

test("a peer that has no word for a farewell is left without one", async (t) => {
  const { stream, peer } = await started(t, { handshake: { supportsExtensions: false } });
  peer.close("enough", { reason: "full" });
  assert.equal(stream.destroyed, true);
  assert.equal(stream.look(), "");
});

test("a connection without a farewell is closed at once", async (t) => {
  const { stream, peer } = await started(t);
  peer.close("enough");
  assert.equal(stream.destroyed, true);
});

test("nothing that comes after the end is heard, and nothing is said", async (t) => {
  const { stream, peer, listener, hear } = await started(t);
  peer.close("enough", { reason: "full" });
  hear((said) => said.interested());
  await turn();
  stream.look();
  hear((said) => said.interested());
  peer.interested();
  await turn();
  assert.deepEqual(listener.heard, []);
  assert.equal(stream.look(), "");
});

test("the listener hears once why the stream failed or ended", async (t) => {
  for (const [end, reason] of [
    [
      (stream: FakeStream) => void stream.destroy(new Error("ECONNRESET")),
      "the connection failed: ECONNRESET",
    ],
    [(stream: FakeStream) => void stream.push(null), "the peer closed the connection"],
    [(stream: FakeStream) => void stream.destroy(), "the peer closed the connection"],
  ] as const) {
    const { stream, listener } = await started(t);
    end(stream);
    for (let turns = 0; turns < 5; turns++) await turn();
    assert.deepEqual(listener.closedReasons, [reason]);
    assert.equal(stream.destroyed, true);
    t.mock.timers.reset();
  }
});

test("onGone is called after the listener's end, once, also if the connection starts only then", async (t) => {
  const { peer, listener } = connect(t);
  const order: string[] = [];
  listener.onClosed = () => order.push("listener");
  peer.close("enough");
  await turn();
  peer.start(listener, PIECE_COUNT, () => order.push("count"));
  assert.deepEqual(order, [], "not before start has returned");
  await turn();
  await turn();
  assert.deepEqual(order, ["listener", "count"]);
});

test("a listener that fails at the end keeps nobody from counting", async (t) => {
  const { peer, listener } = connect(t);
  let goneCount = 0;
  listener.onClosed = () => {
    throw new Error("a fault");
  };
  peer.start(listener, PIECE_COUNT, () => goneCount++);
  await turn();
  peer.close("enough");
  await turn();
  await turn();
  assert.equal(goneCount, 1);
});

test("a connection is started once", async (t) => {
  const { peer, listener } = await started(t);
  assert.throws(() => peer.start(listener, PIECE_COUNT), { code: "INTERNAL" });
});

test("a peer that asks and asks, and reads no answer, is closed", async (t) => {
  const { stream, peer, listener } = await started(t);
  stream.isStuck = true;
  for (let count = 0; count < 70_000 && !stream.destroyed; count++) peer.reject(0, 0, 1);
  await turn();
  assert.deepEqual(listener.closedReasons, ["it does not read the answers to what it says"]);
});

test("there is room for blocks again once they are written, and not after the end", async (t) => {
  const { stream, peer, listener } = await started(t);
  stream.isStuck = true;
  assert.equal(
    peer.sendBlocks(new Uint8Array(1_100_000), () => undefined),
    false,
  );
  assert.equal(listener.writableCount, 0);
  stream.readOne();
  await turn();
  assert.equal(listener.writableCount, 1);
});

test("a peer is silent from its last byte on, whole message or not", async (t) => {
  let nowMs = 1_000;
  t.mock.method(performance, "now", () => nowMs);
  const { peer, handshakeBuffer } = await started(t);
  nowMs += 700;
  assert.equal(peer.silentMs, 700);
  handshakeBuffer.take(Uint8Array.of(0), 1);
  assert.equal(peer.silentMs, 0);
  nowMs += 5;
  assert.equal(peer.silentMs, 5);
});

test("messages overtake blocks that wait, but choke, unchoke and reject keep their place after them", async (t) => {
  const { stream, peer } = await started(t);
  stream.isStuck = true;
  peer.sendBlocks(Uint8Array.of(0xaa), () => undefined);
  peer.choke();
  peer.sendBlocks(Uint8Array.of(0xbb), () => undefined);
  peer.unchoke();
  peer.sendBlocks(Uint8Array.of(0xcc), () => undefined);
  peer.reject(1, 2, 3);
  peer.have(7);
  for (let count = 0; count < 8; count++) {
    stream.readOne();
    await turn();
  }
  const [have, choke, unchoke] = ["000000050400000007", "0000000100", "0000000101"];
  const reject = "0000000d10000000010000000200000003";
  assert.equal(stream.look(), ["aa", have, choke, "bb", unchoke, "cc", reject].join(""));
});

test("the first of two reasons is told", async (t) => {
  const { peer, listener } = await started(t);
  peer.close("first");
  peer.close("second");
  await turn();
  assert.deepEqual(listener.closedReasons, ["first"]);
});

test("a farewell ends this side: blocks that wait are given back at once, the one under way when it is written", async (t) => {
  const timers = watchTimers(t);
  const { stream, peer } = await started(t, { apis: ["Date"] });
  stream.isStuck = true;
  const sent: string[] = [];
  peer.sendBlocks(Uint8Array.of(0xaa), () => sent.push("under way"));
  peer.sendBlocks(Uint8Array.of(0xbb), () => sent.push("waiting"));
  peer.close("enough", { reason: "full" });
  assert.deepEqual(sent, ["waiting"]);
  assert.equal(stream.writableEnded, true);
  await turn();
  assert.equal(timers.open.size, 1, "the farewell's own");
  stream.readOne();
  await turn();
  assert.deepEqual(sent, ["waiting", "under way"]);
  assert.doesNotMatch(stream.look(), /bb/);
});

test("a peer that closes while the farewell is under way is not waited for, whether it was listened to or not", async (t) => {
  for (const isStarted of [true, false]) {
    const { stream, peer } = isStarted ? await started(t) : connect(t);
    stream.isStuck = true;
    peer.close("enough", { reason: "full" });
    await turn();
    stream.push(new Uint8Array(100));
    stream.push(null);
    for (let turns = 0; turns < 5; turns++) await turn();
    assert.equal(stream.destroyed, true, String(isStarted));
    t.mock.timers.reset();
  }
});

test("nothing is said on a stream that can be written no more", async (t) => {
  const { stream, peer } = await started(t);
  stream.end();
  peer.close("enough", { reason: "full" });
  assert.equal(stream.destroyed, true);
  assert.equal(stream.look(), "");
});

test("a listener's own failure is not told as the peer's, whatever its words", async (t) => {
  for (const [error, reason] of [
    [new MiniTorrentError("INTERNAL", "A secret."), "something went wrong inside"],
    [new TypeError("A mistake."), "something went wrong inside"],
    [new MiniTorrentError("MALFORMED_MESSAGE", "Nobody asked for that."), "Nobody asked for that."],
  ] as const) {
    const { listener, hear } = await started(t);
    listener.onMessage = () => {
      throw error;
    };
    hear((said) => said.interested());
    await turn();
    assert.deepEqual(listener.closedReasons, [reason]);
    t.mock.timers.reset();
  }
});

test("no keep-alive is added to what a slow peer has still to read", async (t) => {
  const { stream, peer, hear } = await started(t);
  stream.isStuck = true;
  peer.interested();
  await turn();
  for (let count = 0; count < 5; count++) {
    t.mock.timers.tick(30_000);
    hear((said) => said.keepAlive());
  }
  stream.readOne();
  await turn();
  assert.equal(stream.look(), "0000000102");
});
