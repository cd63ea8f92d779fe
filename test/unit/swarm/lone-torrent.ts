// One torrent without network, disk or clock: peers are links that record, pieces are memory, and time stands still.

import { Bitfield } from "../../../src/metainfo/bitfield.ts";
import { BLOCK_LENGTH_BYTES, Geometry } from "../../../src/metainfo/geometry.ts";
import { PIECE_HEADER_BYTES, writePieceHeader } from "../../../src/metainfo/piece-header.ts";
import type { CommitOutcome, PieceFrames } from "../../../src/metainfo/piece-types.ts";
import type { PieceStorage } from "../../../src/swarm/storage-interface.ts";
import { Torrent, type TorrentEvent } from "../../../src/swarm/torrent.ts";
import type { PeerListener } from "../../../src/wire/messages.ts";
import { RecordingLink, requestsIn } from "./recording-link.ts";

export const BLOCKS = 4;
export const geometry = new Geometry(10 * BLOCKS * BLOCK_LENGTH_BYTES, BLOCKS * BLOCK_LENGTH_BYTES);
export const offset = (block: number): number => block * BLOCK_LENGTH_BYTES;

export interface OpenOptions extends Partial<ConstructorParameters<typeof Torrent>[0]> {
  /** A sign for each piece: `*` is one that we have. */
  readonly has?: string;
  /** A sign for each piece: `w` is one that is wanted; all if it is left out. */
  readonly wants?: string;
  readonly supportsFast?: boolean;
  readonly uploadSlots?: number;
  /** Requests that a peer may have waiting with us. */
  readonly requestsFromPeer?: number;
  /** What becomes of each piece; "later": `commits` says. */
  readonly outcome?: CommitOutcome | "later";
  /** Most pieces that memory is given for at once. */
  readonly memoryPieces?: number;
  /** The first peer, which is connected at once. */
  readonly userId?: string;
}

export function open(options: OpenOptions = {}) {
  const { has = "", supportsFast = true, outcome = "verified", userId = "bob" } = options;
  const { uploadSlots = 32, requestsFromPeer = 6, memoryPieces = Number.POSITIVE_INFINITY } = options;
  const shape = options.geometry ?? geometry;
  let framesOut = 0;
  const events: TorrentEvent[] = [];
  const clock = { nowMs: 0 };
  const reserved = new Map<number, Uint8Array>();
  const commits: { pieceIndex: number; done: (outcome: CommitOutcome) => void }[] = [];
  const storage: PieceStorage & { isMemoryScarce: boolean } = {
    isMemoryScarce: false,
    reserve: (pieceIndex) => {
      if (reserved.size >= memoryPieces) return undefined;
      // As it was left by another piece.
      const bytes = new Uint8Array(shape.lengthOfPieceBytes(pieceIndex)).fill(0xee);
      reserved.set(pieceIndex, bytes);
      return bytes;
    },
    commit: (pieceIndex, done) => {
      const end = (how: CommitOutcome): void => {
        reserved.delete(pieceIndex);
        done(how);
      };
      if (outcome === "later") commits.push({ pieceIndex, done: end });
      else end(outcome);
    },
    release: (pieceIndex) => void reserved.delete(pieceIndex),
    read: ({ pieceIndex, offsetBytes, lengthBytes }, done) => {
      framesOut++;
      done(framesOf(pieceIndex, offsetBytes, lengthBytes, () => void framesOut--));
    },
  };
  const have = bitfieldOf(has.padEnd(shape.pieceCount), "*");
  const wanted = options.wants === undefined ? undefined : bitfieldOf(options.wants, "w");
  const due: (() => void)[] = [];
  const torrent = new Torrent({
    geometry,
    have,
    wanted,
    storage,
    nowMs: () => clock.nowMs,
    random: () => 0.5,
    onEvent: (event) => void events.push(event),
    defer: (work) => due.push(work),
    limits: { requestsFromPeer, uploadSlots },
    ...options,
  });
  const runDue = (): void => {
    for (const work of due.splice(0)) work();
  };
  const join = (userId: string, deviceId = userId, supportsFast = true) => {
    const link = new RecordingLink();
    const identity = { userId, deviceId, address: "127.0.0.1:1" };
    const peer = torrent.connect(link, identity, supportsFast);
    return { link, peer, introduction: link.take() };
  };
  /** Ticks as the owner does, up to that time. */
  const runTo = (endMs: number, meanwhile: () => void = () => undefined): void => {
    while (clock.nowMs < endMs) {
      clock.nowMs = Math.min(endMs, clock.nowMs + 100);
      meanwhile();
      torrent.tick();
      runDue();
    }
  };
  const first = join(userId, "b0b", supportsFast);
  return {
    torrent,
    clock,
    ...first,
    join,
    runDue,
    runTo,
    reserved,
    commits,
    storage,
    events,
    framesOut: () => framesOut,
  };
}

/** A sign for each piece: those with the given sign. */
export function bitfieldOf(picture: string, sign: string): Bitfield {
  const bitfield = new Bitfield(picture.length);
  for (const [pieceIndex, own] of [...picture].entries()) if (own === sign) bitfield.set(pieceIndex);
  return bitfield;
}

/** A part of a piece in wire form; each block is filled with its number, from 1. */
export function framesOf(
  pieceIndex: number,
  offsetBytes: number,
  lengthBytes: number,
  release: () => void,
): PieceFrames {
  const blocks = Math.ceil(lengthBytes / BLOCK_LENGTH_BYTES);
  const bytes = new Uint8Array(lengthBytes + blocks * PIECE_HEADER_BYTES);
  let at = 0;
  for (let from = offsetBytes; from < offsetBytes + lengthBytes; from += BLOCK_LENGTH_BYTES) {
    const blockBytes = Math.min(BLOCK_LENGTH_BYTES, offsetBytes + lengthBytes - from);
    at = writePieceHeader(bytes, at, pieceIndex, from, blockBytes);
    bytes.fill(1 + from / BLOCK_LENGTH_BYTES, at, at + blockBytes);
    at += blockBytes;
  }
  return { bytes, release };
}

/** The peer gives those blocks. Returns for how many there was a place. */
export function giveBlocks(peer: PeerListener, blocks: readonly (readonly [number, number])[]): number {
  let placed = 0;
  for (const [pieceIndex, block] of blocks) {
    if (peer.blockBegins(pieceIndex, offset(block), BLOCK_LENGTH_BYTES) === undefined) continue;
    peer.blockEnds(pieceIndex, offset(block), BLOCK_LENGTH_BYTES);
    placed++;
  }
  return placed;
}

/** The peer answers every request, also those that the answers lead to. */
export function giveAll({ link, peer }: { link: RecordingLink; peer: PeerListener }): void {
  for (let asked = requestsIn(link.take()); asked.length > 0; asked = requestsIn(link.take())) {
    giveBlocks(peer, asked);
  }
}
