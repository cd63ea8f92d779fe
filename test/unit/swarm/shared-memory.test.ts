// Several torrents that share one bounded memory for pieces, as they do in a process.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Bitfield } from "../../../src/metainfo/bitfield.ts";
import { Geometry } from "../../../src/metainfo/geometry.ts";
import { Torrent } from "../../../src/swarm/torrent.ts";
import type { PeerLink } from "../../../src/wire/messages.ts";

const PIECE_BYTES = 1024 * 1024;
const MEMORY_PIECES = 8;
const geometry = new Geometry(64 * PIECE_BYTES, PIECE_BYTES);

/** As `storage/piece-memory.ts`, in pieces: after a refusal nothing is given until a quarter is free. */
class Memory {
  used = 0;
  isScarce = false;
  readonly onRoom: (() => void)[] = [];

  take(): boolean {
    if (this.isScarce || this.used >= MEMORY_PIECES) {
      this.isScarce = true;
      return false;
    }
    this.used++;
    return true;
  }

  give(): void {
    this.used--;
    if (!this.isScarce || this.used > MEMORY_PIECES * 0.75) return;
    this.isScarce = false;
    for (const tell of this.onRoom) tell();
  }
}

class Clock {
  nowMs = 0;
  readonly torrents: Torrent[] = [];

  run(durationMs: number, meanwhile: () => void = () => undefined): void {
    for (const endMs = this.nowMs + durationMs; this.nowMs < endMs; this.nowMs += 100) {
      meanwhile();
      for (const torrent of this.torrents) torrent.tick();
    }
  }
}

function download(memory: Memory, clock: Clock): Torrent {
  const slots = new Map<number, Uint8Array>();
  const release = (pieceIndex: number): void => {
    if (slots.delete(pieceIndex)) memory.give();
  };
  const torrent = new Torrent({
    geometry,
    have: new Bitfield(geometry.pieceCount),
    nowMs: () => clock.nowMs,
    random: () => 0.5,
    onEvent: () => undefined,
    defer: (work) => work(),
    storage: {
      get isMemoryScarce() {
        return memory.isScarce;
      },
      reserve: (pieceIndex) => {
        if (!memory.take()) return undefined;
        const bytes = new Uint8Array(PIECE_BYTES);
        slots.set(pieceIndex, bytes);
        return bytes;
      },
      commit: (pieceIndex, done) => {
        release(pieceIndex);
        done("verified");
      },
      release,
      read: () => undefined,
    },
  });
  memory.onRoom.push(() => torrent.roomAvailable());
  clock.torrents.push(torrent);
  return torrent;
}

/** A peer that has everything and gives so many blocks of what it is asked for as it is told to. */
function seeder(torrent: Torrent, userId: string) {
  const asked: [number, number, number][] = [];
  const ignore = (): void => undefined;
  const link: PeerLink = {
    request: (...request) => void asked.push(request),
    cancel: (pieceIndex, offsetBytes) => {
      const at = asked.findIndex((request) => request[0] === pieceIndex && request[1] === offsetBytes);
      if (at !== -1) asked.splice(at, 1);
    },
    choke: ignore,
    unchoke: ignore,
    interested: ignore,
    notInterested: ignore,
    have: ignore,
    bitfield: ignore,
    haveAll: ignore,
    haveNone: ignore,
    suggest: ignore,
    reject: ignore,
    extended: ignore,
    sendBlocks: () => true,
    close: ignore,
  };
  const peer = torrent.connect(link, { userId, deviceId: userId, address: "127.0.0.1:1" }, true);
  peer.haveAll();
  peer.unchoke();
  const give = (count: number): void => {
    for (let given = 0; given < count; given++) {
      const request = asked.shift();
      if (request === undefined) return;
      peer.blockBegins(...request);
      peer.blockEnds(...request);
    }
  };
  return { peer, give };
}

for (const how of ["leaves", "chokes"]) {
  test(`memory of begun pieces goes to another torrent when the only peer that has them ${how}`, () => {
    const memory = new Memory();
    const clock = new Clock();
    for (let count = 0; count < MEMORY_PIECES; count++) {
      const alice = seeder(download(memory, clock), "alice");
      alice.give(1);
      if (how === "leaves") alice.peer.closed("gone");
      else alice.peer.choke();
    }
    assert.equal(memory.used, MEMORY_PIECES);
    const other = download(memory, clock);
    const bob = seeder(other, "bob");
    clock.run(5000);
    assert.equal(other.status().waitingFor, "waiting for memory that other downloads use");
    clock.run(60_000, () => bob.give(1000));
    assert.equal(other.status().piecesVerified, geometry.pieceCount);
  });
}

test("a piece that is begun is kept while nobody else needs its memory", () => {
  const memory = new Memory();
  const clock = new Clock();
  const torrent = download(memory, clock);
  const alice = seeder(torrent, "alice");
  alice.give(1);
  alice.peer.closed("gone");
  clock.run(60_000);
  assert.equal(torrent.status().wastedBytes, 0);
  assert.equal(memory.used, 1);
});

test("peers that answer nothing keep no memory from another torrent, also when they come again", () => {
  const memory = new Memory();
  const clock = new Clock();
  const silent = Array.from({ length: MEMORY_PIECES }, () => download(memory, clock));
  let peers = silent.map((torrent) => seeder(torrent, "mute"));
  assert.equal(memory.used, MEMORY_PIECES);
  const other = download(memory, clock);
  const bob = seeder(other, "bob");
  // The timeout for who never gave anything, and that of the one request that it is left then.
  clock.run(21_000);
  const startedMs = clock.nowMs;
  while (!other.have.isComplete && clock.nowMs < startedMs + 60_000) {
    clock.run(100, () => bob.give(64));
    if ((clock.nowMs / 100) % 20 !== 0) continue;
    for (const { peer } of peers) peer.closed("gone");
    peers = silent.map((torrent) => seeder(torrent, "mute"));
  }
  // 64 pieces of 64 blocks, one a tick.
  assert.ok(clock.nowMs - startedMs < 10_000, `${clock.nowMs - startedMs} ms`);
  assert.deepEqual(silent[0]?.status().peers[0]?.remarks, ["snubbed", "does not answer"]);
});

test("a peer that fell silent is asked in earnest again as soon as it answers", () => {
  const clock = new Clock();
  const torrent = download(new Memory(), clock);
  const alice = seeder(torrent, "alice");
  clock.run(60_000);
  assert.equal(torrent.status().peers[0]?.requestsOutstanding, 0);
  const startedMs = clock.nowMs;
  clock.run(20_000, () => alice.give(1000));
  assert.ok(torrent.have.isComplete, `${torrent.have.count} pieces in ${clock.nowMs - startedMs} ms`);
});
