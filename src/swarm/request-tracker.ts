// Sends, moves, cancels and forgets requests within the limit, and gives up pieces with the blocks that had arrived for them.
// Which ones is decided elsewhere (downloader.ts, request-stealing.ts, request-timeouts.ts).
import { BLOCK_LENGTH_BYTES } from "../metainfo/geometry.ts";
import type { OpenPiece } from "./open-piece.ts";
import type { Peer } from "./peer.ts";
import type { Picker } from "./picker.ts";
import type { PieceStorage } from "./storage-interface.ts";
import type { TokenBucket, TokenWaiter } from "./token-bucket.ts";

/** A block of a peer whose speed is not known is expected within that time. */
const MOST_EXPECTED_MS = 1000;

export interface RequestTrackerOptions {
  readonly picker: Picker;
  readonly storage: PieceStorage;
  /** How much may be requested; undefined: anything. */
  readonly bucket: TokenBucket | undefined;
  readonly nowMs: () => number;
}

export class RequestTracker {
  readonly #picker: Picker;
  readonly #storage: PieceStorage;
  readonly #bucket: TokenBucket | undefined;
  readonly #nowMs: () => number;
  /** By slot: the peer's turn to be asked, while the limit is reached. */
  readonly #turns: TokenWaiter[] = [];
  #count = 0;
  #discardedBytes = 0;

  constructor({ picker, storage, bucket, nowMs }: RequestTrackerOptions) {
    this.#nowMs = nowMs;
    this.#picker = picker;
    this.#storage = storage;
    this.#bucket = bucket;
  }

  /** Bytes of blocks that had arrived for pieces that were given up. */
  get discardedBytes(): number {
    return this.#discardedBytes;
  }

  /** @param turn resumed when the limit allows the peer more requests */
  peerCame(peer: Peer, turn: TokenWaiter): void {
    this.#turns[peer.slot] = turn;
  }

  peerLeft(peer: Peer): void {
    const turn = this.#turns[peer.slot];
    if (turn !== undefined) this.#bucket?.forget(turn);
  }

  /** False: the limit is reached, and the peer's turn is resumed later. */
  isAllowed(peer: Peer): boolean {
    const turn = this.#turns[peer.slot];
    return this.#bucket === undefined || turn === undefined || this.#bucket.allowance(turn) > 0;
  }

  /** Requests the first free block of the piece. */
  requestFree(peer: Peer, piece: OpenPiece): void {
    this.#request(peer, piece, piece.takeFree(peer.slot, ++this.#count, this.#expectedAtMs(peer)));
  }

  /** Requests a block of the peer instead of the slower one, which gets a cancel. */
  move(slower: Peer, peer: Peer, piece: OpenPiece, blockIndex: number): void {
    this.#cancel(slower, piece, blockIndex);
    piece.move(blockIndex, peer.slot, ++this.#count, this.#expectedAtMs(peer));
    this.#request(peer, piece, blockIndex);
  }

  /**
   * A cancelled request is answered all the same, by its block, and nothing of it has arrived from elsewhere: it counts. Another
   * peer that was asked for it since gets a cancel.
   */
  reopen(peer: Peer, piece: OpenPiece, blockIndex: number, other: Peer | undefined): void {
    const expectedAtMs = this.#nowMs();
    if (other === undefined) {
      piece.takeBlock(blockIndex, peer.slot, ++this.#count, expectedAtMs);
    } else {
      this.#cancel(other, piece, blockIndex);
      piece.move(blockIndex, peer.slot, ++this.#count, expectedAtMs);
    }
    peer.requests.reopened();
    this.#bucket?.spend(piece.lengthOfBlockBytes(blockIndex));
  }

  #request(peer: Peer, piece: OpenPiece, blockIndex: number): void {
    peer.requests.requested();
    const lengthBytes = piece.lengthOfBlockBytes(blockIndex);
    this.#bucket?.spend(lengthBytes);
    peer.link.request(piece.pieceIndex, blockIndex * BLOCK_LENGTH_BYTES, lengthBytes);
  }

  #expectedAtMs(peer: Peer): number {
    return this.#nowMs() + Math.min(peer.nextBlockMs, MOST_EXPECTED_MS);
  }

  /** Cancels the peer's newest requests for pieces for which it may, until so many are left in all. */
  trim(peer: Peer, keep: number, mayCancel: (pieceIndex: number) => boolean): void {
    if (peer.requests.outstanding <= keep) return;
    const candidates: { piece: OpenPiece; blockIndex: number }[] = [];
    this.#eachRequest(peer, (piece, blockIndex, isArriving) => {
      if (!isArriving && mayCancel(piece.pieceIndex)) candidates.push({ piece, blockIndex });
    });
    const newestFirst = candidates.sort(
      (a, b) => b.piece.askedOrder(b.blockIndex) - a.piece.askedOrder(a.blockIndex),
    );
    for (const { piece, blockIndex } of newestFirst) {
      if (peer.requests.outstanding <= keep) break;
      this.#cancel(peer, piece, blockIndex);
      piece.forget(blockIndex);
    }
    this.#picker.somethingFreed();
  }

  /** Cancels all requests for blocks of the piece. */
  cancelPiece(piece: OpenPiece, peers: readonly (Peer | undefined)[]): void {
    for (let blockIndex = 0; blockIndex < piece.blockCount; blockIndex++) {
      const peer = piece.isMovable(blockIndex) ? peers[piece.askedSlot(blockIndex)] : undefined;
      if (peer === undefined) continue;
      this.#cancel(peer, piece, blockIndex);
      piece.forget(blockIndex);
    }
  }

  #cancel(peer: Peer, piece: OpenPiece, blockIndex: number): void {
    const lengthBytes = piece.lengthOfBlockBytes(blockIndex);
    peer.requests.cancelled(piece.pieceIndex, blockIndex);
    this.#bucket?.giveBack(lengthBytes);
    peer.link.cancel(piece.pieceIndex, blockIndex * BLOCK_LENGTH_BYTES, lengthBytes);
  }

  /** Cancels the peer's requests except the block that is arriving and the `keep` oldest ones. */
  cancelAll(peer: Peer, keep: number): void {
    let kept = 0;
    this.#eachRequest(peer, (piece, blockIndex, isArriving) => {
      if (isArriving || kept++ < keep) return;
      this.#cancel(peer, piece, blockIndex);
      piece.forget(blockIndex);
    });
    this.#picker.somethingFreed();
  }

  /** Frees the peer's requests without a word to it: it choked us, or is gone. */
  forgetAll(peer: Peer, how: { mayStillCome: boolean; includingArriving: boolean }): void {
    this.#eachRequest(peer, (piece, blockIndex, isArriving) => {
      if (isArriving && !how.includingArriving) return;
      this.forget(peer, piece, blockIndex, how.mayStillCome);
      if (isArriving) peer.requests.blockEnds();
      if (piece.status === "abandoned") this.release(piece);
    });
  }

  /** One request is forgotten. */
  forget(peer: Peer, piece: OpenPiece, blockIndex: number, mayStillCome: boolean): void {
    piece.forget(blockIndex);
    this.#bucket?.giveBack(piece.lengthOfBlockBytes(blockIndex));
    if (mayStillCome) peer.requests.cancelled(piece.pieceIndex, blockIndex);
    else peer.requests.answered();
    this.#picker.somethingFreed();
  }

  #eachRequest(peer: Peer, visit: (piece: OpenPiece, blockIndex: number, isArriving: boolean) => void): void {
    if (peer.requests.outstanding === 0) return;
    for (const piece of [...this.#picker.openPieces()]) {
      for (let blockIndex = 0; blockIndex < piece.blockCount; blockIndex++) {
        if (!piece.isAskedOf(blockIndex, peer.slot)) continue;
        const { arriving } = peer.requests;
        visit(piece, blockIndex, arriving?.piece === piece && arriving.blockIndex === blockIndex);
      }
    }
  }

  /** A peer on parole has to give whole pieces: those that it began and does not finish are given up. */
  resetExclusive(peer: Peer): void {
    for (const piece of [...this.#picker.openPieces()]) {
      if (!piece.isExclusive || piece.status !== "filling") continue;
      if (piece.ownerSlot !== -1 && piece.ownerSlot !== peer.slot) continue;
      this.#eachRequest(peer, (asked, blockIndex, isArriving) => {
        if (asked !== piece || isArriving) return;
        this.#cancel(peer, piece, blockIndex);
        piece.forget(blockIndex);
      });
      this.abandon(piece);
    }
  }

  /** Gives up the piece and the blocks that have arrived for it. */
  abandon(piece: OpenPiece): void {
    if (piece.status !== "filling") return;
    for (let blockIndex = 0; blockIndex < piece.blockCount; blockIndex++) {
      if (piece.isArrived(blockIndex)) this.#discardedBytes += piece.lengthOfBlockBytes(blockIndex);
    }
    piece.abandon();
    this.release(piece);
  }

  /** Frees the memory of a piece that was given up. */
  release(piece: OpenPiece): void {
    if (piece.isBeingWritten) return;
    this.#storage.release(piece.pieceIndex);
    this.#picker.closed(piece.pieceIndex);
  }
}
