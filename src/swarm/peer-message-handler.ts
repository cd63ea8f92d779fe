// Takes one peer's messages and passes each to the downloader or the uploader. Sends the first messages, what we have and the
// extension handshake, and closes the connection when both sides have all they want. All later messages are sent elsewhere.
import { MiniTorrentError } from "../api/errors.ts";
import { Bitfield } from "../metainfo/bitfield.ts";
import {
  decodeExtensionHandshake,
  EXTENSION_HANDSHAKE_ID,
  encodeExtensionHandshake,
} from "../wire/extensions.ts";
import type { Farewell } from "../wire/farewell.ts";
import type { PeerListener } from "../wire/messages.ts";
import type { DepartedPeers } from "./departed-peers.ts";
import type { Downloader } from "./downloader.ts";
import type { OwnPieces } from "./own-pieces.ts";
import type { Peer } from "./peer.ts";
import { PieceSet } from "./piece-set.ts";
import type { Uploader } from "./uploader.ts";

/** What a message handler needs of its torrent. */
export interface TorrentContext {
  readonly pieces: OwnPieces;
  readonly downloader: Downloader;
  readonly uploader: Uploader;
  readonly departedPeers: DepartedPeers;
  readonly isDownloading: () => boolean;
  /** The peer has pieces that it did not have before. */
  readonly onGained: () => void;
  readonly onLeft: (peer: Peer) => void;
  /** The peer says why it is about to close the connection. */
  readonly onFarewell: (peer: Peer, farewell: Farewell) => void;
}

/** What a peer is told of us. */
interface Introduction {
  readonly clientName: string | undefined;
  readonly listenPort: number | undefined;
  /** Requests that we keep without dropping any. */
  readonly requestLimit: number;
  /** Somebody reads while we download. */
  readonly isReading: boolean;
}

export class PeerMessageHandler implements PeerListener {
  readonly #peer: Peer;
  readonly #context: TorrentContext;

  constructor(peer: Peer, context: TorrentContext) {
    this.#peer = peer;
    this.#context = context;
  }

  introduceOurselves({ clientName, listenPort, requestLimit, isReading }: Introduction): void {
    const { link, supportsFast } = this.#peer;
    const { have, isSatisfied } = this.#context.pieces;
    // BEP 6: with the fast extension exactly one of the three is the first message.
    if (supportsFast && have.isComplete) link.haveAll();
    else if (supportsFast && have.count === 0) link.haveNone();
    else if (have.count > 0) link.bitfield(have.toBytes());
    // Of a seed the bitfield says so.
    const isUploadOnly = isSatisfied && !have.isComplete ? true : undefined;
    const state = { isUploadOnly, isReading: isReading ? true : undefined };
    const handshake = { extensionIds: new Map(), listenPort, requestLimit, clientName, ...state };
    link.extended(EXTENSION_HANDSHAKE_ID, encodeExtensionHandshake(handshake));
  }

  choke(): void {
    this.#peer.chokedUs();
    this.#context.downloader.peerChoked(this.#peer);
  }

  unchoke(): void {
    this.#peer.unchokedUs();
    this.#context.downloader.pump(this.#peer);
  }

  interested(): void {
    this.#context.uploader.interestChanged(this.#peer, true);
  }

  notInterested(): void {
    this.#context.uploader.interestChanged(this.#peer, false);
  }

  /** @throws MiniTorrentError MALFORMED_MESSAGE for a piece that the file does not have */
  have(pieceIndex: number): void {
    const peer = this.#peer;
    const { pieces, downloader, uploader, onGained } = this.#context;
    if (pieceIndex >= pieces.have.pieceCount) {
      throw new MiniTorrentError(
        "MALFORMED_MESSAGE",
        `The peer announced piece ${pieceIndex}, outside the torrent.`,
      );
    }
    // BEP 3: a peer without pieces may leave its bitfield out.
    if (!peer.hasSaidWhatItHas) this.haveNone();
    if (!peer.gained(pieceIndex, pieces.isMissing(pieceIndex))) return;
    downloader.picker.peerGained(peer, pieceIndex);
    uploader.gained(pieceIndex);
    onGained();
    if (peer.has.isFull) {
      downloader.picker.peerBecameSeed(peer);
      peer.becameSeed();
    }
    this.#piecesChanged();
  }

  bitfield(bytes: Uint8Array): void {
    this.#saysItHas(PieceSet.of(Bitfield.fromBytes(this.#context.pieces.have.pieceCount, bytes)));
  }

  haveAll(): void {
    this.#saysItHas(PieceSet.full(this.#context.pieces.have.pieceCount));
  }

  haveNone(): void {
    this.#saysItHas(new PieceSet(this.#context.pieces.have.pieceCount));
  }

  suggest(pieceIndex: number): void {
    this.#peer.suggested(pieceIndex);
    this.#context.downloader.suggested(this.#peer);
  }

  request(pieceIndex: number, offsetBytes: number, lengthBytes: number): void {
    this.#context.uploader.requested(this.#peer, { pieceIndex, offsetBytes, lengthBytes });
  }

  cancel(pieceIndex: number, offsetBytes: number, lengthBytes: number): void {
    this.#context.uploader.cancelled(this.#peer, { pieceIndex, offsetBytes, lengthBytes });
  }

  reject(pieceIndex: number, offsetBytes: number): void {
    this.#context.downloader.rejected(this.#peer, pieceIndex, offsetBytes);
  }

  extended(extensionId: number, payload: Uint8Array): void {
    if (extensionId !== EXTENSION_HANDSHAKE_ID) return;
    const { clientName, listenPort, requestLimit, isUploadOnly, isReading, farewell } =
      decodeExtensionHandshake(payload);
    if (farewell !== undefined) {
      this.#context.onFarewell(this.#peer, farewell);
      return;
    }
    this.#peer.introducedItself(clientName, listenPort);
    if (requestLimit !== undefined) this.#peer.window.peerAllows(requestLimit);
    if (isReading !== undefined) this.#context.uploader.readingChanged(this.#peer, isReading);
    if (isUploadOnly === undefined) return;
    this.#peer.saysIfUploadOnly(isUploadOnly);
    closeIfNeitherNeedsAnything(this.#peer, this.#context.pieces);
  }

  blockBegins(pieceIndex: number, offsetBytes: number, lengthBytes: number): Uint8Array | undefined {
    return this.#context.downloader.blockBegins(this.#peer, pieceIndex, offsetBytes, lengthBytes);
  }

  blockEnds(): void {
    this.#context.downloader.blockEnds(this.#peer);
  }

  writable(): void {
    this.#peer.uploads.writable();
  }

  closed(): void {
    this.#context.onLeft(this.#peer);
  }

  /** @throws MiniTorrentError MALFORMED_MESSAGE when it had said so before: BEP 3 allows a bitfield at the start only */
  #saysItHas(pieces: PieceSet): void {
    const peer = this.#peer;
    if (peer.hasSaidWhatItHas) {
      throw new MiniTorrentError("MALFORMED_MESSAGE", "The peer says twice what it has.");
    }
    const { pieces: own, downloader, departedPeers, onGained } = this.#context;
    peer.saysItHas(pieces, own.missing);
    departedPeers.cameBack(peer.identity.deviceId);
    downloader.peerCame(peer);
    onGained();
    this.#piecesChanged();
  }

  /** The peer has more pieces: it may be of more use. */
  #piecesChanged(): void {
    const { pieces, isDownloading, downloader } = this.#context;
    if (closeIfNeitherNeedsAnything(this.#peer, pieces)) return;
    this.#peer.updateInterest(isDownloading());
    downloader.pump(this.#peer);
  }
}

/** Two peers that have all they want need no connection. */
export function closeIfNeitherNeedsAnything(peer: Peer, pieces: OwnPieces): boolean {
  const areBothComplete = pieces.isSatisfied && peer.needsNothing;
  if (areBothComplete) peer.link.close("both are complete");
  return areBothComplete;
}
