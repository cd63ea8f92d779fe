// What a listener holds for those who come: places, handshakes under way, ports, and the end of all of it.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp, Server, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { until, within } from "../../../harness/within.ts";
import { ConnectionPlaces } from "../../../src/net/connection-places.ts";
import { Listener } from "../../../src/transport/listener.ts";
import type { PeerSocket } from "../../../src/transport/peer-socket.ts";
import { RecordingListener } from "../wire/recording.ts";
import { Alice, INFO_HASH, member, newPeerId, roomy, silent } from "./members.ts";

const SOON_MS = 5_000;

async function stranger(t: TestContext, port: number, localAddress = "127.0.0.1"): Promise<Socket> {
  const socket = connectTcp({ host: "127.0.0.1", port, localAddress });
  t.after(() => socket.destroy());
  socket.on("error", () => undefined);
  await within(once(socket, "connect"), "a stranger to connect", SOON_MS);
  return socket;
}

/** What is said at one end is heard at the other. */
async function assertStands({
  accepted,
  dialled,
}: {
  accepted: PeerSocket;
  dialled: PeerSocket;
}): Promise<void> {
  const listener = new RecordingListener();
  accepted.start(listener, 8);
  dialled.interested();
  await until(() => listener.heard.length > 0 || listener.closedReasons.length > 0, "a message", SOON_MS);
  assert.deepEqual([listener.heard, listener.closedReasons], [[{ type: "interested" }], []]);
}

test("a member's connection that stands takes no place of the handshakes under way", async () => {
  // Of eight places six are for those who come, and three of them for handshakes.
  await using alice = await Alice.listen({ places: new ConnectionPlaces(8, () => 0) });
  const first = await alice.connect("bob");
  for (let count = 2; count <= 5; count++) await alice.connect("bob");
  await assertStands(first);
});

test("strangers leave half of the places to members: of more the oldest goes", async (t) => {
  await using alice = await Alice.listen({ places: new ConnectionPlaces(8, () => 0) });
  const idle: Socket[] = [];
  for (let count = 0; count < 3; count++) idle.push(await stranger(t, alice.listener.port));
  const [oldest] = idle;
  assert.ok(oldest);
  const ended = once(oldest, "close");
  oldest.resume();
  await assertStands(await alice.connect("bob"));
  await within(ended, "the oldest stranger to be ended", SOON_MS);
  assert.equal(idle.filter(({ destroyed }) => destroyed).length, 1);
});

test("a connection is refused, and reported, when all places are taken; a place is free again once its connection ends", async () => {
  let refusedCount = 0;
  await using alice = await Alice.listen({
    places: new ConnectionPlaces(2, () => 0),
    onNoPlace: () => void refusedCount++,
  });
  const { accepted, dialled } = await alice.connect("bob");
  accepted.start(new RecordingListener(), 8);
  const carol = await member(alice.authority, "carol");
  await assert.rejects(within(alice.dial(carol), "the answer to one too many", SOON_MS), {
    code: "PEER_REFUSED",
  });
  assert.equal(refusedCount, 1);
  assert.equal(alice.connected.length, 1);
  dialled.close("enough");
  const isIn = (): Promise<boolean> =>
    alice.dial(carol).then(
      () => true,
      () => false,
    );
  await until(isIn, "a place for carol once bob is gone", SOON_MS);
  assert.equal(alice.connected[1]?.userId, "carol");
});

test("a listener that closes ends handshakes under way, and tells members' connections why", async (t) => {
  const alice = await Alice.listen();
  const { accepted } = await alice.connect("bob");
  const listener = new RecordingListener();
  accepted.start(listener, 8);
  const idle = await stranger(t, alice.listener.port);
  const ended = once(idle, "close");
  idle.resume();
  await within(alice.listener.close(), "the listener to close", SOON_MS);
  await within(ended, "the stranger's connection to end", SOON_MS);
  await until(() => listener.closedReasons.length > 0, "the member's connection to end", SOON_MS);
  assert.deepEqual(listener.closedReasons, ["this client stops listening"]);
});

test("a stranger that breaks off before TLS harms nobody", async (t) => {
  await using alice = await Alice.listen();
  for (let count = 0; count < 3; count++) (await stranger(t, alice.listener.port)).resetAndDestroy();
  await assertStands(await alice.connect("bob"));
});

test("a torrent is looked up only by what has the form of an info-hash", async () => {
  const asked: string[] = [];
  await using alice = await Alice.listen({
    credentialsFor: (infoHash) => {
      asked.push(infoHash);
      return undefined;
    },
  });
  for (const servername of ["example.org", `${INFO_HASH}0`, INFO_HASH.toUpperCase(), INFO_HASH]) {
    const socket = connectTls({
      host: "127.0.0.1",
      port: alice.listener.port,
      servername,
      rejectUnauthorized: false,
    });
    socket.on("error", () => undefined);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await within(closed, () => `${servername} to be refused`, SOON_MS);
  }
  assert.deepEqual(asked, [INFO_HASH]);
});

test("a torrent that is given up during the handshake is not served any more", async () => {
  let isThere = true;
  const carol = await Alice.listen();
  const credentials = await member(carol.authority, "alice");
  await carol.listener.close();
  await using alice = await Alice.listen({
    credentialsFor: () => {
      if (!isThere) return undefined;
      isThere = false;
      return credentials;
    },
  });
  const bob = await member(carol.authority, "bob");
  await assert.rejects(within(alice.dial(bob), "the refusal", SOON_MS), { code: "PEER_REFUSED" });
  assert.equal(alice.connected.length, 0);
});

/** The port that the first family gets is another program's at the second, that many times. */
function takenAtSecond(t: TestContext, times: number): { readonly tries: { host: string; port: number }[] } {
  const tries: { host: string; port: number }[] = [];
  const { listen } = Server.prototype;
  t.mock.method(Server.prototype, "listen", function (this: Server, ...given: Parameters<typeof listen>) {
    const [{ host, port }] = given as unknown as [{ host: string; port: number }];
    tries.push({ host, port });
    if (host !== "::" || tries.filter((one) => one.host === "::").length > times) {
      return Reflect.apply(listen, this, given);
    }
    const error = Object.assign(new Error("listen EADDRINUSE"), { code: "EADDRINUSE" });
    setImmediate(() => this.emit("error", error));
    return this;
  });
  return { tries };
}

const anyPort = {
  ...roomy(),
  ...{ host: "0.0.0.0", port: 0, peerId: newPeerId(), log: silent },
  credentialsFor: () => undefined,
  onConnection: () => undefined,
};

test("where any port will do, one is looked for that is free in both families", async (t) => {
  const { tries } = takenAtSecond(t, 2);
  const listener = await Listener.open(anyPort);
  const { hosts, port } = listener;
  await listener.close();
  assert.deepEqual(hosts, ["0.0.0.0", "::"]);
  assert.deepEqual(
    tries.map((one) => `${one.host} ${one.port === 0 ? "any" : "same"}`),
    ["0.0.0.0 any", ":: same", "0.0.0.0 any", ":: same", "0.0.0.0 any", ":: same"],
  );
  assert.equal(tries.at(-1)?.port, port);
});

test("after five ports that are taken in the second family, the first one does", async (t) => {
  const { tries } = takenAtSecond(t, 100);
  const listener = await Listener.open(anyPort);
  const { hosts } = listener;
  await listener.close();
  assert.deepEqual(hosts, ["0.0.0.0"]);
  assert.equal(tries.length, 10);
});

test("where one port alone will do, no other is tried when it is taken in the second family", async (t) => {
  const { tries } = takenAtSecond(t, 100);
  const free = await Listener.open({ ...anyPort, host: "127.0.0.1" });
  const { port } = free;
  await free.close();
  tries.length = 0;
  const listener = await Listener.open({ ...anyPort, port });
  const { hosts } = listener;
  await listener.close();
  assert.deepEqual(hosts, ["0.0.0.0"]);
  assert.equal(tries.length, 2);
});

test("a name is listened at where one of its addresses can be, and refused where none can", async (t) => {
  const { listen } = Server.prototype;
  let refused: readonly string[] = ["127.0.0.1", "::1"];
  t.mock.method(Server.prototype, "listen", function (this: Server, ...given: Parameters<typeof listen>) {
    const [{ host }] = given as unknown as [{ host: string }];
    if (!refused.includes(host)) return Reflect.apply(listen, this, given);
    const error = Object.assign(new Error("listen EADDRNOTAVAIL"), { code: "EADDRNOTAVAIL" });
    setImmediate(() => this.emit("error", error));
    return this;
  });
  await assert.rejects(
    Listener.open({ ...anyPort, host: "localhost" }),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, "ADDRESS_UNUSABLE");
      assert.match(String(error.cause), /EADDRNOTAVAIL/);
      return true;
    },
  );
  refused = ["::1"];
  const listener = await Listener.open({ ...anyPort, host: "localhost" });
  const { hosts } = listener;
  await listener.close();
  assert.deepEqual(hosts, ["127.0.0.1"]);
});

test("of strangers one of the network with most of them goes, not the oldest of all", async (t) => {
  await using alice = await Alice.listen({ places: new ConnectionPlaces(8, () => 0) });
  const { port } = alice.listener;
  const alone = await stranger(t, port, "127.0.0.2");
  const crowd = [await stranger(t, port), await stranger(t, port)];
  const [oldest] = crowd;
  assert.ok(oldest);
  const ended = once(oldest, "close");
  oldest.resume();
  await assertStands(await alice.connect("bob"));
  await within(ended, "the oldest of the crowd to be ended", SOON_MS);
  assert.equal(alone.destroyed, false);
});

test("a connection whose first handler fails is closed, and the next one is served", async (t) => {
  const places = new ConnectionPlaces(8, () => 0);
  const take = t.mock.method(places, "take", () => {
    throw new Error("a fault");
  });
  await using alice = await Alice.listen({ places });
  const socket = await stranger(t, alice.listener.port);
  socket.resume();
  if (!socket.closed)
    await within(once(socket, "close"), "the connection with a fault to be closed", SOON_MS);
  take.mock.restore();
  await assertStands(await alice.connect("bob"));
});

test("no other port is tried when the second family is refused for another reason than a taken port", async (t) => {
  const hosts: string[] = [];
  const { listen } = Server.prototype;
  t.mock.method(Server.prototype, "listen", function (this: Server, ...given: Parameters<typeof listen>) {
    const [{ host }] = given as unknown as [{ host: string }];
    hosts.push(host);
    if (host !== "::") return Reflect.apply(listen, this, given);
    const error = Object.assign(new Error("listen EAFNOSUPPORT"), { code: "EAFNOSUPPORT" });
    setImmediate(() => this.emit("error", error));
    return this;
  });
  const listener = await Listener.open(anyPort);
  await listener.close();
  assert.deepEqual(hosts, ["0.0.0.0", "::"]);
});

test("an address that cannot be listened on is refused with what to do", async () => {
  await using alice = await Alice.listen();
  const { port } = alice.listener;
  for (const [host, message] of [
    ["127.0.0.1", /stop it, or give another port; port 0 takes any that is free/],
    ["192.0.2.1", /give one that it has, or 0\.0\.0\.0 for all of them/],
  ] as const) {
    await assert.rejects(Listener.open({ ...anyPort, host, port }), { message });
  }
});
