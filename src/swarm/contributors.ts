// Contributions: one entry per user, over all their connections, kept after they leave. Blocks name their sender by its index.
import type { SourceSnapshot } from "./torrent-status.ts";

interface Source {
  readonly userId: string;
  pieces: number;
  bytes: number;
  connections: number;
  /** How the last connection failed to deliver. */
  stall: string | undefined;
}

export class Contributors {
  readonly #sources: Source[] = [];
  readonly #indexByUser = new Map<string, number>();

  /** The user's index; the same for each of their connections. */
  indexOf(userId: string): number {
    let sourceIndex = this.#indexByUser.get(userId);
    if (sourceIndex === undefined) {
      sourceIndex = this.#sources.push({ userId, pieces: 0, bytes: 0, connections: 0, stall: undefined }) - 1;
      this.#indexByUser.set(userId, sourceIndex);
    }
    return sourceIndex;
  }

  /** The user's index if they were ever connected. */
  knownIndexOf(userId: string): number | undefined {
    return this.#indexByUser.get(userId);
  }

  userId(sourceIndex: number): string {
    return this.#sources[sourceIndex]?.userId ?? "";
  }

  connected(sourceIndex: number): void {
    const source = this.#sources[sourceIndex];
    if (source !== undefined) source.connections++;
  }

  /** @param stall how that connection failed to deliver at its end, if it did */
  disconnected(sourceIndex: number, stall: string | undefined): void {
    const source = this.#sources[sourceIndex];
    if (source === undefined) return;
    source.connections--;
    source.stall = stall;
  }

  stallOf(sourceIndex: number): string | undefined {
    return this.#sources[sourceIndex]?.stall;
  }

  receivedBlock(sourceIndex: number, bytes: number): void {
    const source = this.#sources[sourceIndex];
    if (source !== undefined) source.bytes += bytes;
  }

  finishedPiece(sourceIndex: number): void {
    const source = this.#sources[sourceIndex];
    if (source !== undefined) source.pieces++;
  }

  /** Users who sent blocks, failed to deliver, or are banned. */
  snapshot(
    bytesPerSecond: (sourceIndex: number) => number,
    isBanned: (sourceIndex: number) => boolean,
  ): SourceSnapshot[] {
    return this.#sources.flatMap(({ userId, pieces, bytes, connections, stall }, sourceIndex) =>
      bytes === 0 && stall === undefined && !isBanned(sourceIndex)
        ? []
        : [
            {
              userId,
              pieces,
              bytes,
              bytesPerSecond: bytesPerSecond(sourceIndex),
              isConnected: connections > 0,
              isBanned: isBanned(sourceIndex),
              stall,
            },
          ],
    );
  }
}
