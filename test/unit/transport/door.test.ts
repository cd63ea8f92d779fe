// Who gets in, on real sockets.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { describe, it, mock } from "node:test";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { within } from "../../../harness/within.ts";
import { createDeviceIdentity, createGroupAuthority } from "../../../src/identity/certificates.ts";
import { dial } from "../../../src/transport/dialer.ts";
import type { GroupCredentials } from "../../../src/transport/group-credentials.ts";
import { Listener, type ListenerOptions } from "../../../src/transport/listener.ts";
import { encodeHandshake } from "../../../src/wire/handshake.ts";
import { RecordingListener } from "../wire/recording.ts";
import { Alice, INFO_HASH, member, newPeerId, roomy, silent } from "./members.ts";

const HOUR_MS = 3_600_000;
/** Far longer than anything here takes on a slow machine. */
const SOON_MS = 5_000;

/** Says the BitTorrent handshake on a TLS connection of that kind; returns the bytes that came back. */
async function bytesFor(alice: Alice, options: ConnectionOptions): Promise<Buffer> {
  const socket = connectTls({
    host: "127.0.0.1",
    port: alice.listener.port,
    servername: INFO_HASH,
    rejectUnauthorized: false,
    ...options,
  });
  socket.on("secureConnect", () => socket.write(handshake()));
  return await bytesUntilClosed(socket);
}

function handshake(infoHash = INFO_HASH): Uint8Array {
  return encodeHandshake({ infoHash, peerId: newPeerId(), supportsFast: true, supportsExtensions: true });
}

async function bytesUntilClosed(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", () => {});
  const closed = new Promise((resolve) => socket.on("close", resolve));
  if (!socket.destroyed) await within(closed, "the door to close the connection", SOON_MS);
  return Buffer.concat(chunks);
}

function keyAndCertificate(credentials: GroupCredentials): ConnectionOptions {
  return { key: credentials.privateKeyPem, cert: credentials.certificatePem };
}

async function assertServes(alice: Alice): Promise<void> {
  const { accepted, dialled } = await alice.connect("carol");
  assert.equal(accepted.userId, "carol");
  dialled.close("enough");
}

describe("the door", () => {
  it("lets a member in, and each end knows the other by its certificate", async () => {
    await using alice = await Alice.listen();
    const { accepted, dialled } = await alice.connect("bob");
    assert.equal(accepted.userId, "bob");
    assert.equal(accepted.membershipId, "m-bob");
    assert.equal(dialled.userId, "alice");
    assert.deepEqual(dialled.peerId, alice.peerId);
    assert.equal(accepted.infoHash, INFO_HASH);
    assert.equal(accepted.isDialled, false);
    assert.equal(dialled.isDialled, true);
    assert.equal(dialled.supportsFast && accepted.supportsFast && dialled.supportsExtensions, true);
    assert.deepEqual(dialled.address, { host: "127.0.0.1", port: alice.listener.port });
    assert.equal(accepted.address.host, "127.0.0.1");
    assert.match(accepted.deviceId, /^[0-9a-f]{64}$/);
    assert.ok(accepted.certificateValidUntilMs > Date.now());
  });

  const strangers: Record<string, (alice: Alice) => Promise<ConnectionOptions>> = {
    "without a certificate": async () => ({}),
    "with a certificate that they signed themselves, with the right names": async () => {
      const { certificatePem, privateKeyPem } = await createGroupAuthority();
      return { cert: certificatePem, key: privateKeyPem };
    },
    "with a certificate of another group of the same name": async () =>
      keyAndCertificate(await member(await createGroupAuthority(), "mallory")),
    "whose membership was revoked": async (alice) => {
      alice.revoked.add("m-mallory");
      return keyAndCertificate(await member(alice.authority, "mallory"));
    },
    "whose certificate has run out": async (alice) =>
      keyAndCertificate(await member(alice.authority, "mallory", Date.now() - 2 * HOUR_MS)),
    "with TLS 1.2": async (alice) => ({
      ...keyAndCertificate(await member(alice.authority, "mallory")),
      maxVersion: "TLSv1.2",
      minVersion: "TLSv1.2",
    }),
    "who asks for another torrent": async (alice) => ({
      ...keyAndCertificate(await member(alice.authority, "mallory")),
      servername: "cd".repeat(20),
    }),
    "who names something that is no info-hash": async (alice) => ({
      ...keyAndCertificate(await member(alice.authority, "mallory")),
      servername: "example.org",
    }),
    "who names nothing": async (alice) => ({
      ...keyAndCertificate(await member(alice.authority, "mallory")),
      servername: "",
    }),
  };
  for (const [who, options] of Object.entries(strangers)) {
    it(`gives no byte to somebody ${who}, and serves a member after that`, async () => {
      await using alice = await Alice.listen();
      assert.equal((await bytesFor(alice, await options(alice))).length, 0);
      assert.equal(alice.connected.length, 0);
      await assertServes(alice);
    });
  }

  it("gives no byte to a member whose handshake speaks of another torrent than SNI, or is none", async () => {
    await using alice = await Alice.listen();
    const credentials = keyAndCertificate(await member(alice.authority, "bob"));
    for (const said of [handshake("cd".repeat(20)), Buffer.alloc(68, "GET / HTTP/1.1\r\n")]) {
      const socket = connectTls({
        host: "127.0.0.1",
        port: alice.listener.port,
        servername: INFO_HASH,
        rejectUnauthorized: false,
        ...credentials,
      });
      socket.on("secureConnect", () => socket.write(said));
      assert.equal((await bytesUntilClosed(socket)).length, 0);
    }
    assert.equal(alice.connected.length, 0);
    await assertServes(alice);
  });

  it("says no word of BitTorrent to a client without TLS", async () => {
    await using alice = await Alice.listen();
    const socket = connectTcp(alice.listener.port, "127.0.0.1", () => socket.write(handshake()));
    const bytes = await bytesUntilClosed(socket);
    // A TLS alert is all there may be.
    assert.ok(!bytes.includes("BitTorrent") && bytes.length < 16);
    await assertServes(alice);
  });

  it("lets nobody resume a TLS session instead of showing a certificate", async () => {
    await using alice = await Alice.listen();
    const credentials = keyAndCertificate(await member(alice.authority, "bob"));
    const options = {
      host: "127.0.0.1",
      port: alice.listener.port,
      servername: INFO_HASH,
      rejectUnauthorized: false,
    };
    let session: Buffer | undefined;
    const first = connectTls({ ...options, ...credentials });
    first.on("session", (ticket: Buffer) => {
      session = ticket;
    });
    first.on("secureConnect", () => first.write(handshake()));
    await within(once(first, "data"), "an answer to a member's handshake", SOON_MS);
    first.destroy();
    // Whoever has the session, but no certificate:
    const bytes = await bytesFor(alice, { ...(session !== undefined && { session }) });
    assert.equal(bytes.length, 0);
    // And a member's connection is a full handshake even when a session is offered.
    const second = connectTls({ ...options, ...credentials, ...(session !== undefined && { session }) });
    second.on("secureConnect", () => second.write(handshake()));
    await within(once(second, "data"), "an answer to a member's second handshake", SOON_MS);
    assert.equal(second.isSessionReused(), false);
    second.destroy();
  });

  it("ends the oldest of 64 handshakes that one address has under way for the 65th, which may be a member's", async () => {
    await using alice = await Alice.listen();
    const idle = await Promise.all(
      Array.from({ length: 64 }, async () => {
        const socket = connectTcp(alice.listener.port, "127.0.0.1");
        socket.on("error", () => {});
        await within(once(socket, "connect"), "a stranger to connect", SOON_MS);
        return socket;
      }),
    );
    const [oldest] = idle;
    assert.ok(oldest);
    const ended = once(oldest, "close");
    await assertServes(alice);
    await within(ended, "the oldest of 64 handshakes to be ended", SOON_MS);
    assert.equal(idle.filter(({ destroyed }) => destroyed).length, 1);
    for (const socket of idle) socket.destroy();
  });

  it("drops a connection that does not finish the handshake in time", async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      await using alice = await Alice.listen();
      const credentials = keyAndCertificate(await member(alice.authority, "bob"));
      const socket = connectTls({
        host: "127.0.0.1",
        port: alice.listener.port,
        servername: INFO_HASH,
        rejectUnauthorized: false,
        ...credentials,
      });
      const bytes = bytesUntilClosed(socket);
      await within(once(socket, "secureConnect"), "TLS with alice", SOON_MS);
      mock.timers.tick(10_000);
      assert.equal((await bytes).length, 0);
    } finally {
      mock.timers.reset();
    }
  });

  it("says ADDRESS_IN_USE for an address that is taken, and ADDRESS_UNUSABLE for one that it does not have", async () => {
    await using alice = await Alice.listen();
    const options = {
      ...roomy(),
      peerId: newPeerId(),
      identity: await createDeviceIdentity(),
      credentialsFor: () => undefined,
      onConnection: () => {},
      log: silent,
    };
    const { port } = alice.listener;
    await assert.rejects(Listener.open({ ...options, host: "127.0.0.1", port }), { code: "ADDRESS_IN_USE" });
    for (const host of ["192.0.2.1", "no-such-host.invalid"]) {
      await assert.rejects(Listener.open({ ...options, host, port: 0 }), { code: "ADDRESS_UNUSABLE" }, host);
    }
  });

  it("listens on both families at one port where no address is named, and at all addresses of a name", async () => {
    const authority = await createGroupAuthority();
    const credentials = await member(authority, "alice");
    const bob = await member(authority, "bob");
    const signal = new AbortController().signal;
    for (const { host, hosts, dialled } of [
      { host: "0.0.0.0", hosts: ["0.0.0.0", "::"], dialled: ["127.0.0.1", "::1"] },
      { host: "::", hosts: ["::", "0.0.0.0"], dialled: ["127.0.0.1", "::1"] },
      { host: "127.0.0.1", hosts: ["127.0.0.1"], dialled: ["127.0.0.1"] },
      { host: "localhost", hosts: undefined, dialled: ["localhost"] },
    ]) {
      const listener = await Listener.open({
        ...{ host, port: 0, peerId: newPeerId(), log: silent },
        credentialsFor: () => credentials,
        onConnection: () => undefined,
        ...roomy(),
      });
      try {
        for (const to of dialled) {
          const socket = await dial({
            ...{ host: to, port: listener.port, infoHash: INFO_HASH, credentials: bob },
            ...{ peerId: newPeerId(), signal, log: silent },
          });
          socket.close("over");
        }
        if (hosts !== undefined) assert.deepEqual(listener.hosts, hosts);
      } finally {
        await listener.close();
      }
    }
  });

  it("listens on one family where the other one's port is taken", async (t) => {
    const other = createServer().listen({ host: "::", port: 0, ipv6Only: true });
    t.after(() => other.close());
    await once(other, "listening");
    const address = other.address();
    assert.ok(typeof address === "object" && address !== null);
    const options = {
      ...roomy(),
      peerId: newPeerId(),
      credentialsFor: () => undefined,
      onConnection: () => {},
      log: silent,
    };
    const listener = await Listener.open({ ...options, host: "0.0.0.0", port: address.port });
    assert.deepEqual(listener.hosts, ["0.0.0.0"]);
    await listener.close();
    await assert.rejects(Listener.open({ ...options, host: "::", port: address.port }), {
      code: "ADDRESS_IN_USE",
    });
  });
});

describe("dialling", () => {
  it("tries each of a peer's addresses, and says which one it reached", async () => {
    await using alice = await Alice.listen();
    const { port } = alice.listener;
    const parts = { port, infoHash: INFO_HASH, peerId: newPeerId(), log: silent };
    const signal = new AbortController().signal;
    const bob = await member(alice.authority, "bob");
    const reach = (host: string, ...otherHosts: string[]) =>
      dial({ ...parts, host, otherHosts, credentials: bob, signal });
    const socket = await reach("::1", "127.0.0.9", "127.0.0.1");
    assert.deepEqual(socket.address, { host: "127.0.0.1", port });
    socket.close("over");
    await assert.rejects(reach("::1", "127.0.0.9"), {
      code: "PEER_REFUSED",
      message: /nothing listens there/,
    });
  });

  it("refuses a listener whose certificate is another group's, revoked, or this client itself", async () => {
    await using alice = await Alice.listen();
    const ofAnotherGroup = await member(await createGroupAuthority(), "bob");
    await assert.rejects(alice.dial(ofAnotherGroup), { code: "PEER_REFUSED" });
    const knowsBetter = await member(alice.authority, "bob", Date.now(), new Set(["m-alice"]));
    await assert.rejects(alice.dial(knowsBetter), {
      code: "PEER_REFUSED",
      message: /alice is no longer a member/,
    });
    const bob = await member(alice.authority, "bob");
    await assert.rejects(alice.dial(bob, { peerId: alice.peerId }), { code: "PEER_REFUSED" });
    await assert.rejects(alice.dial(bob, { infoHash: "cd".repeat(20) }), { code: "PEER_REFUSED" });
    assert.equal(alice.connected.length, 0);
  });

  it("says why nobody could be reached, and stops when it is told to", async () => {
    await using alice = await Alice.listen();
    const bob = await member(alice.authority, "bob");
    const free = createServer();
    free.listen(0, "127.0.0.1");
    await once(free, "listening");
    const address = free.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const options = {
      host: "127.0.0.1",
      port,
      infoHash: INFO_HASH,
      credentials: bob,
      peerId: newPeerId(),
      log: silent,
    };
    const controller = new AbortController();
    const waiting = dial({ ...options, signal: controller.signal });
    const [accepted] = await within(once(free, "connection"), "the dial to arrive", SOON_MS);
    controller.abort();
    await assert.rejects(waiting, { code: "PEER_REFUSED" });
    accepted.destroy();
    await assert.rejects(dial({ ...options, signal: controller.signal }), { code: "PEER_REFUSED" });
    await new Promise((resolve) => free.close(resolve));
    const { signal } = new AbortController();
    await assert.rejects(dial({ ...options, signal }), { code: "PEER_REFUSED", message: /ECONNREFUSED/ });
  });
});

describe("a member whose certificate runs out", () => {
  it("is dropped at that moment, with that reason", async () => {
    const alice = await Alice.listen();
    mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.now() });
    try {
      const { accepted } = await alice.connect("bob");
      const listener = new RecordingListener();
      const closed = new Promise<string>((resolve) => {
        listener.onClosed = resolve;
      });
      accepted.start(listener, 8);
      mock.timers.tick(HOUR_MS);
      assert.match(
        await within(closed, "the end of a connection whose certificate ran out", SOON_MS),
        /certificate of bob has run out/,
      );
      assert.equal(listener.closedReasons.length, 1);
    } finally {
      mock.timers.reset();
      await alice.listener.close();
    }
  });
});

describe("a connection on which nothing is said", () => {
  it("carries a keep-alive every two minutes", async () => {
    const alice = await Alice.listen();
    mock.timers.enable({ apis: ["setInterval"] });
    try {
      const bob = await member(alice.authority, "bob");
      const socket = connectTls({
        host: "127.0.0.1",
        port: alice.listener.port,
        servername: INFO_HASH,
        rejectUnauthorized: false,
        ...keyAndCertificate(bob),
      });
      socket.on("secureConnect", () => socket.write(handshake()));
      await within(once(socket, "data"), "alice's handshake", SOON_MS);
      const said = once(socket, "data");
      mock.timers.tick(120_000);
      const [bytes]: Buffer[] = await within(said, "a keep-alive after two minutes", SOON_MS);
      assert.equal(bytes?.toString("hex"), "00000000");
      socket.destroy();
    } finally {
      mock.timers.reset();
      await alice.listener.close();
    }
  });
});

describe("a fault of this client's own, in what one connection calls,", () => {
  const faults: Record<string, (options: ListenerOptions) => Partial<ListenerOptions>> = {
    "while the certificate is chosen": ({ credentialsFor }) => ({
      credentialsFor: failingOnce(credentialsFor),
    }),
    "while the connection is handed over": ({ onConnection }) => ({
      onConnection: failingOnce(onConnection),
    }),
  };
  for (const [when, breakIt] of Object.entries(faults)) {
    it(`${when}, ends that connection alone`, async () => {
      const authority = await createGroupAuthority();
      const credentials = await member(authority, "alice");
      const arrivals: string[] = [];
      const options: ListenerOptions = {
        ...roomy(),
        ...{
          identity: await createDeviceIdentity(),
          host: "127.0.0.1",
          port: 0,
          peerId: newPeerId(),
          log: silent,
        },
        credentialsFor: () => credentials,
        onConnection: ({ userId }) => arrivals.push(userId),
      };
      const listener = await Listener.open({ ...options, ...breakIt(options) });
      const dialAs = async (userId: string) =>
        await dial({
          ...{
            host: "127.0.0.1",
            port: listener.port,
            infoHash: INFO_HASH,
            peerId: newPeerId(),
            log: silent,
          },
          ...{ credentials: await member(authority, userId), signal: new AbortController().signal },
        });
      const victim = await within(
        dialAs("bob").catch(() => undefined),
        "the end of a dial that meets a fault",
        SOON_MS,
      );
      if (victim !== undefined)
        await within(
          new Promise<void>((resolve) => victim.start(new RecordingListener(), 1, resolve)),
          "the connection with a fault to end",
          SOON_MS,
        );
      const other = await dialAs("carol");
      assert.deepEqual(arrivals, ["carol"]);
      other.close("enough");
      await listener.close();
    });
  }

  it("in what a block's sending calls back, ends that connection alone", async () => {
    await using alice = await Alice.listen();
    const { accepted, dialled } = await alice.connect("bob");
    dialled.start(new RecordingListener(), 1);
    const gone = new Promise<void>((resolve) => accepted.start(new RecordingListener(), 1, resolve));
    accepted.sendBlocks(new Uint8Array(13), () => {
      throw new Error("a fault");
    });
    await within(gone, "the connection with a fault to end", SOON_MS);
    await assertServes(alice);
  });
});

/** Throws the first time it is called. */
function failingOnce<A extends readonly unknown[], R>(call: (...given: A) => R): (...given: A) => R {
  let isBroken = true;
  return (...given) => {
    if (!isBroken) return call(...given);
    isBroken = false;
    throw new Error("a fault");
  };
}
