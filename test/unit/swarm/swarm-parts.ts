// The parts that a download is made of, without a torrent around them: a picker, requests, memory that counts, a limit
// that counts, and peers on links that record.
import { Bitfield } from "../../../src/metainfo/bitfield.ts";
import { BLOCK_LENGTH_BYTES, Geometry } from "../../../src/metainfo/geometry.ts";
import { OwnPieces } from "../../../src/swarm/own-pieces.ts";
import { Peer } from "../../../src/swarm/peer.ts";
import { Picker } from "../../../src/swarm/picker.ts";
import { PieceSet } from "../../../src/swarm/piece-set.ts";
import { Rate } from "../../../src/swarm/rate.ts";
import { RequestTracker } from "../../../src/swarm/request-tracker.ts";
import { SmartBan } from "../../../src/swarm/smart-ban.ts";
import type { PieceStorage } from "../../../src/swarm/storage-interface.ts";
import { TokenBucket } from "../../../src/swarm/token-bucket.ts";
import { UploadQueue } from "../../../src/swarm/upload-queue.ts";
import { seededRandom } from "../../sim/virtual-clock.ts";
import { RecordingLink } from "./recording-link.ts";

/** A limit that counts what it is charged, and is reached when a test says so. */
class CountingBucket extends TokenBucket {
  chargedBytes = 0;
  isReached = false;

  override allowance(): number {
    return this.isReached ? 0 : Number.POSITIVE_INFINITY;
  }

  override spend(bytes: number): void {
    this.chargedBytes += bytes;
  }

  override giveBack(bytes: number): void {
    this.chargedBytes -= bytes;
  }
}

export interface TestPeer {
  readonly peer: Peer;
  readonly link: RecordingLink;
}

interface PeerShape {
  /** A sign for each piece: `x` is one that it has. */
  readonly has?: string;
  readonly supportsFast?: boolean;
  readonly isChoking?: boolean;
  readonly requestsToPeer?: number;
}

export interface PartsOptions {
  /** A sign for each piece: `*` is one that we have. */
  readonly have?: string;
  readonly blocksPerPiece?: number;
  /** Bytes of the last block. */
  readonly lastBlockBytes?: number;
}

export function partsFor(options: PartsOptions = {}) {
  const { have = " ".repeat(10), blocksPerPiece = 4, lastBlockBytes = BLOCK_LENGTH_BYTES } = options;
  const pieceBytes = blocksPerPiece * BLOCK_LENGTH_BYTES;
  const geometry = new Geometry(have.length * pieceBytes - BLOCK_LENGTH_BYTES + lastBlockBytes, pieceBytes);
  const clock = { nowMs: 0 };
  const nowMs = (): number => clock.nowMs;
  const bitfield = new Bitfield(have.length);
  for (const [pieceIndex, sign] of [...have].entries()) if (sign === "*") bitfield.set(pieceIndex);
  const reserved = new Set<number>();
  const storage: PieceStorage & { isMemoryScarce: boolean } = {
    isMemoryScarce: false,
    reserve: (pieceIndex) => {
      reserved.add(pieceIndex);
      return new Uint8Array(geometry.lengthOfPieceBytes(pieceIndex));
    },
    commit: () => undefined,
    release: (pieceIndex) => void reserved.delete(pieceIndex),
    read: () => undefined,
  };
  const random = seededRandom(1);
  const pieces = new OwnPieces({ geometry, have: bitfield });
  const picker = new Picker({
    geometry,
    pieces,
    reserve: (piece) => storage.reserve(piece),
    random,
    nowMs,
  });
  const bucket = new CountingBucket(nowMs);
  const requests = new RequestTracker({ picker, storage, bucket, nowMs });
  const trust = new SmartBan();
  const peers: (Peer | undefined)[] = [];
  const addPeer = (shape: PeerShape = {}): TestPeer => {
    const { has = "x".repeat(have.length), supportsFast = true, isChoking = false } = shape;
    const link = new RecordingLink();
    const slot = peers.length;
    const peer = new Peer({
      slot,
      sourceIndex: slot,
      identity: { userId: `user ${slot}`, deviceId: `device ${slot}`, address: "127.0.0.1:1" },
      link,
      supportsFast,
      pieceCount: have.length,
      requestsToPeer: shape.requestsToPeer ?? 1000,
      smartBan: trust,
      nowMs: clock.nowMs,
      clock: nowMs,
      uploads: idleQueue(geometry, link),
      uploaded: new Rate(),
    });
    const theirs = new PieceSet(have.length);
    for (const [pieceIndex, sign] of [...has].entries()) if (sign === "x") theirs.add(pieceIndex);
    peer.saysItHas(theirs, pieces.missing);
    peer.updateInterest(true);
    if (!isChoking) peer.unchokedUs();
    peers.push(peer);
    picker.peerCame(peer);
    requests.peerCame(peer, { resume: () => undefined });
    link.take();
    return { peer, link };
  };
  /** Asks that peer for so many blocks; returns piece and block of each. */
  const ask = ({ peer, link }: TestPeer, count: number): string[] => {
    for (let asked = 0; asked < count; asked++) {
      const piece = picker.pieceFor(peer);
      if (piece !== undefined) requests.requestFree(peer, piece);
    }
    return link.take().map((said) => said.replace(/^request /, ""));
  };
  return {
    geometry,
    clock,
    nowMs,
    random,
    pieces,
    reserved,
    storage,
    picker,
    bucket,
    requests,
    trust,
    peers,
    addPeer,
    ask,
  };
}

/** The block `3:1` begins to arrive from that peer. */
export function beginBlock(picker: Picker, peer: Peer, place: string): void {
  const [pieceIndex = -1, blockIndex = -1] = place.split(":").map(Number);
  const piece = picker.openPiece(pieceIndex);
  if (piece === undefined) throw new Error(`piece ${pieceIndex} is not open`);
  piece.begins(blockIndex);
  peer.requests.blockBegins(piece, blockIndex);
}

/** The block `3:1` comes from that peer. */
export function giveBlock(picker: Picker, peer: Peer, place: string, nowMs: number): void {
  beginBlock(picker, peer, place);
  const { arriving } = peer.requests;
  if (arriving === undefined) throw new Error("nothing arrives");
  peer.requests.blockEnds();
  peer.requests.answered();
  peer.requests.delivered();
  peer.window.arrived(arriving.piece.lengthOfBlockBytes(arriving.blockIndex), nowMs);
  arriving.piece.ends(arriving.blockIndex, peer.sourceIndex);
}

function idleQueue(geometry: Geometry, link: RecordingLink): UploadQueue {
  return new UploadQueue({
    geometry,
    link,
    storage: { read: () => undefined },
    limit: 100,
    mayServe: () => true,
    bucket: undefined,
    defer: (work) => work(),
    rate: new Rate(),
    onSent: () => undefined,
    onReadFailed: () => undefined,
  });
}
