// Blocks that come in: each goes to its place in its piece, and what nobody waits for is counted and skipped. It asks for
// nothing (downloader.ts); whether a piece has its hash is found out elsewhere.
import { MiniTorrentError } from "../api/errors.ts";
import { BLOCK_LENGTH_BYTES, type Geometry } from "../metainfo/geometry.ts";
import type { OpenPiece } from "./open-piece.ts";
import type { Peer } from "./peer.ts";
import type { Picker } from "./picker.ts";
import type { RequestTracker } from "./request-tracker.ts";
import type { TokenBucket } from "./token-bucket.ts";

/** A peer may send so many blocks that were never asked for before it is taken for hostile or broken. */
const MAX_STRAY_BLOCKS = 32;
/** Where blocks go that only show that a peer gives: nobody reads what is in it, so all peers of a process share it. */
const PROBE_BLOCK = new Uint8Array(BLOCK_LENGTH_BYTES);

export interface BlockReceiverOptions {
  readonly geometry: Geometry;
  readonly picker: Picker;
  readonly requests: RequestTracker;
  readonly nowMs: () => number;
  /** What may be asked for a second; undefined: anything. */
  readonly bucket: TokenBucket | undefined;
  /** A block was put in its place. */
  readonly onBlock: (peer: Peer, bytes: number) => void;
  /** All blocks of the piece are there. */
  readonly onWhole: (piece: OpenPiece) => void;
}

export class BlockReceiver {
  readonly #options: BlockReceiverOptions;
  #lastArrivalMs = Number.NEGATIVE_INFINITY;
  #duplicateBytes = 0;

  constructor(options: BlockReceiverOptions) {
    this.#options = options;
  }

  /** Bytes of blocks that were skipped when they arrived. */
  get duplicateBytes(): number {
    return this.#duplicateBytes;
  }

  /** When the last block came. */
  get lastArrivalMs(): number {
    return this.#lastArrivalMs;
  }

  /**
   * @returns where the block goes; undefined for one that is not waited for (any more)
   * @throws MiniTorrentError MALFORMED_MESSAGE for a block that cannot be, or too many that nobody asked for
   */
  blockBegins(
    peer: Peer,
    pieceIndex: number,
    offsetBytes: number,
    lengthBytes: number,
  ): Uint8Array | undefined {
    if (!this.#options.geometry.isRequestable(pieceIndex, offsetBytes, lengthBytes)) {
      throw new MiniTorrentError(
        "MALFORMED_MESSAGE",
        `A block of ${lengthBytes} bytes at ${offsetBytes} is not in piece ${pieceIndex}.`,
      );
    }
    const piece = this.#options.picker.openPiece(pieceIndex);
    const blockIndex = offsetBytes / BLOCK_LENGTH_BYTES;
    if (
      piece === undefined ||
      !piece.isAskedOf(blockIndex, peer.slot) ||
      lengthBytes !== piece.lengthOfBlockBytes(blockIndex)
    ) {
      this.#duplicateBytes += lengthBytes;
      this.#options.bucket?.spend(lengthBytes);
      const wasCancelled = peer.requests.answeredCancelled(pieceIndex, blockIndex);
      // Late, or the answer to a try: once it is whole, the peer gives again.
      if (wasCancelled && peer.window.isSnubbed) {
        peer.requests.probeBegins(lengthBytes);
        return PROBE_BLOCK.subarray(0, lengthBytes);
      }
      if (!wasCancelled && peer.requests.strayBlock() > MAX_STRAY_BLOCKS) {
        throw new MiniTorrentError("MALFORMED_MESSAGE", "The peer sends blocks that it was not asked for.");
      }
      return undefined;
    }
    piece.begins(blockIndex);
    peer.requests.blockBegins(piece, blockIndex);
    return piece.place(blockIndex);
  }

  /** What `blockBegins` gave a place to is there. */
  blockEnds(peer: Peer): void {
    const { requests } = peer;
    const probeBytes = requests.probeEnds();
    if (probeBytes > 0) {
      this.#gives(peer, probeBytes);
      return;
    }
    const { arriving } = requests;
    if (arriving === undefined) return;
    const { piece, blockIndex } = arriving;
    const lengthBytes = piece.lengthOfBlockBytes(blockIndex);
    const nowMs = this.#options.nowMs();
    this.#lastArrivalMs = nowMs;
    requests.blockEnds();
    requests.answered();
    this.#gives(peer, lengthBytes);
    piece.ends(blockIndex, peer.sourceIndex);
    if (piece.status === "abandoned") {
      this.#duplicateBytes += lengthBytes;
      this.#options.requests.giveBack(piece);
    } else {
      this.#options.onBlock(peer, lengthBytes);
      if (piece.isWhole) this.#options.onWhole(piece);
    }
  }

  #gives(peer: Peer, lengthBytes: number): void {
    peer.requests.delivered();
    peer.window.arrived(lengthBytes, this.#options.nowMs());
  }
}
