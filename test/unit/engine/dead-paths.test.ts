// Two sessions with real sockets, and between them a path that can fall silent or be slow, as networks do without telling. Time
// passes by steps of the test's own, with turns of the event loop in between for what is under way.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { Bandwidth } from "../../../src/engine/bandwidth.ts";
import { type ActiveTorrent, Session } from "../../../src/engine/session.ts";
import {
  createDeviceIdentity,
  createGroupAuthority,
  deviceIdOfKey,
  publicKeySpkiOf,
} from "../../../src/identity/certificates.ts";
import { Bitfield } from "../../../src/metainfo/bitfield.ts";
import { BLOCK_LENGTH_BYTES } from "../../../src/metainfo/geometry.ts";
import { encodeMetainfo } from "../../../src/metainfo/metainfo.ts";
import { PIECE_HEADER_BYTES, writePieceHeader } from "../../../src/metainfo/piece-header.ts";
import type { PieceStorage } from "../../../src/swarm/storage-interface.ts";
import { virtualTime } from "../client/session-fixture.ts";
import { member, silent } from "../transport/members.ts";

const PIECE_BYTES = 256 * 1024;
const PIECE_COUNT = 400;
const STEP_MS = 100;

/** Passes connections on to a port; what comes back can be slowed down, and the connections that stand can fall silent. */
class Path {
  readonly #server: Server;
  readonly #sockets: Socket[] = [];
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #mute = new Set<Socket>();
  connectionCount = 0;

  private constructor(port: number, bytesPerSecond: number) {
    this.#server = createServer((near) => {
      this.connectionCount++;
      const far = connect({ port, host: "127.0.0.1", noDelay: true });
      this.#sockets.push(near, far);
      near.on("data", (bytes) => !this.#mute.has(near) && far.write(bytes));
      this.#passSlowly(far, near, bytesPerSecond);
      for (const [end, other] of [
        [near, far],
        [far, near],
      ] as const) {
        end.on("error", () => undefined).on("close", () => !this.#mute.has(end) && other.destroy());
      }
    });
  }

  static async to(t: TestContext, port: number, bytesPerSecond: number): Promise<Path> {
    const path = new Path(port, bytesPerSecond);
    path.#server.listen(0, "127.0.0.1");
    await once(path.#server, "listening");
    t.after(() => path.#close());
    return path;
  }

  get port(): number {
    const address = this.#server.address();
    assert.ok(typeof address === "object" && address !== null);
    return address.port;
  }

  /** From now on nothing passes over the connections that there are, and neither end is told. */
  fallSilent(): void {
    for (const socket of this.#sockets) this.#mute.add(socket);
  }

  #close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  /** Reads no more than it passes on, so that the sender feels it. */
  #passSlowly(from: Socket, to: Socket, bytesPerSecond: number): void {
    const most = (bytesPerSecond * STEP_MS) / 1_000;
    const step = (): void => {
      const bytes: unknown = from.read(Math.min(most, from.readableLength));
      if (bytes instanceof Buffer && !this.#mute.has(from)) to.write(bytes);
    };
    this.#timers.push(setInterval(step, STEP_MS));
    from.on("readable", () => undefined);
  }
}

/** Pieces of zeros. */
const storage: PieceStorage = {
  reserve: () => new Uint8Array(PIECE_BYTES),
  release: () => undefined,
  commit: (_pieceIndex, done) => setImmediate(done, "verified"),
  read: ({ pieceIndex, offsetBytes, lengthBytes }, done) => {
    const frameBytes = PIECE_HEADER_BYTES + BLOCK_LENGTH_BYTES;
    const blocks = lengthBytes / BLOCK_LENGTH_BYTES;
    const bytes = new Uint8Array(blocks * frameBytes);
    for (let block = 0; block < blocks; block++) {
      const offset = offsetBytes + block * BLOCK_LENGTH_BYTES;
      writePieceHeader(bytes, block * frameBytes, pieceIndex, offset, BLOCK_LENGTH_BYTES);
    }
    done({ bytes, release: () => undefined });
  },
};

/** A seeder, and a downloader that reaches it over a path. */
async function downloadOver(t: TestContext, bytesPerSecond: number) {
  const { after } = virtualTime(t);
  /** Lets time pass until it holds; for at most a minute. @returns how long it took */
  const until = async (what: string, holds: () => boolean): Promise<number> => {
    let passedMs = 0;
    for (; !holds(); passedMs += STEP_MS) {
      assert.ok(passedMs < 60_000, `in a minute it did not come to this: ${what}`);
      await after(STEP_MS);
    }
    return passedMs;
  };
  const authority = await createGroupAuthority();
  const metainfo = encodeMetainfo({
    ...{ fileName: "film", lengthBytes: PIECE_BYTES * PIECE_COUNT, pieceLengthBytes: PIECE_BYTES },
    ...{ pieceHashes: new Uint8Array(20 * PIECE_COUNT), sha1: "0".repeat(40) },
    authorityPem: authority.certificatePem,
  });
  const join = async (userId: string, have: Bitfield) => {
    const identity = await createDeviceIdentity();
    const credentials = await member(authority, userId);
    const session = await Session.open({
      ...{ listen: { host: "127.0.0.1", port: 0 }, identity, log: silent },
      bandwidth: new Bandwidth(() => performance.now()),
      credentials: () => credentials,
      credentialsMissing: () => assert.fail("there are credentials"),
      ...{ connections: 100, onConnectionsTaken: () => assert.fail("there is room") },
    });
    t.after(() => session.close());
    const active = session.add({ groupId: "films", metainfo, have, storage, onEvent: () => undefined });
    const deviceId = deviceIdOfKey(publicKeySpkiOf(new X509Certificate(credentials.certificatePem)));
    return { session, active, deviceId };
  };
  const seeder = await join("alice", Bitfield.full(PIECE_COUNT));
  const path = await Path.to(t, seeder.session.port, bytesPerSecond);
  const { active } = await join("bob", new Bitfield(PIECE_COUNT));
  active.connections.peerOnline({
    ...{ userId: "alice", host: "127.0.0.1", port: path.port, isSeed: true },
    deviceId: seeder.deviceId,
  });
  return { path, active, after, until };
}

const pieces = ({ torrent }: ActiveTorrent) => torrent.status().piecesVerified;

test("a connection whose path has fallen silent is replaced within seconds, and the download goes on", async (t) => {
  const { path, active, after, until } = await downloadOver(t, 2_000_000);
  await until("some pieces are there", () => pieces(active) >= 8);
  path.fallSilent();
  for (let passedMs = 0; passedMs < 500; passedMs += STEP_MS) await after(STEP_MS);
  const before = pieces(active); // what had arrived is verified by now
  const standstillMs = await until("pieces come again", () => pieces(active) > before);
  t.diagnostic(`after ${standstillMs} ms`);
  assert.ok(standstillMs < 15_000, `${standstillMs} ms`);
  assert.equal(path.connectionCount, 2);
});

test("a slow connection with blocks under way is not replaced", async (t) => {
  const { path, active, after } = await downloadOver(t, 100_000);
  // Three times as long as a silent one is borne.
  for (let passedMs = 0; passedMs < 15_000; passedMs += STEP_MS) await after(STEP_MS);
  assert.ok(pieces(active) >= 2, `${pieces(active)} pieces`);
  assert.equal(path.connectionCount, 1);
});
