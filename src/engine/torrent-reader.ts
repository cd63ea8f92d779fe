// Reads along with a torrent that is still downloading, for callers that wait with promises, such as a player's HTTP requests. It
// says which bytes are there; reading them from the file is the caller's.
import type { PieceReader, ReadAheadOptions, Torrent } from "../swarm/torrent.ts";

export class TorrentReader {
  readonly #reader: PieceReader;

  /** What is ahead of the position is fetched first from now on: see `Torrent.readAhead`. */
  constructor(torrent: Pick<Torrent, "readAhead">, options: ReadAheadOptions) {
    this.#reader = torrent.readAhead(options);
  }

  /**
   * Moves there, and waits until a byte there is verified. Only wanted pieces are fetched.
   *
   * @param positionBytes in the torrent
   * @returns how many bytes from there on are verified without a gap, at most `mostBytes`; 0 when they do not come: they are not
   * wanted, the reader is closed, or the torrent is
   * @throws the signal's reason, once it is aborted
   */
  async readable(positionBytes: number, mostBytes: number, signal?: AbortSignal): Promise<number> {
    signal?.throwIfAborted();
    this.#reader.moveTo(positionBytes);
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const stopWaiting = this.#reader.whenReadable(positionBytes, 1, resolve);
    const abort = (): void => {
      stopWaiting();
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", abort, { once: true });
    try {
      const isReadable = await promise;
      return isReadable ? this.#reader.readableBytes(positionBytes, mostBytes) : 0;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Nothing is fetched for it any longer; whoever waits gets 0. */
  close(): void {
    this.#reader.close();
  }
}
