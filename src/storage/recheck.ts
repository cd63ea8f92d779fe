// Hashes pieces that lie on a disk and says which are right: as many at once as keeps all workers busy. Reads nothing
// itself; the caller says how a piece is hashed.
import { Bitfield } from "../metainfo/bitfield.ts";
import { type Metainfo, pieceHash } from "../metainfo/metainfo.ts";
import { inLanes } from "./lanes.ts";

export interface RecheckProgress {
  readonly hashedBytes: number;
  readonly lengthBytes: number;
}

export interface RecheckOptions {
  readonly onProgress?: (progress: RecheckProgress) => void;
  readonly signal?: AbortSignal;
}

/** @throws what `hash` throws, or the signal's reason, when nothing runs any more */
export async function recheckPieces(
  pieceIndices: readonly number[],
  metainfo: Metainfo,
  hash: (pieceIndex: number) => Promise<Uint8Array>,
  { onProgress, signal }: RecheckOptions,
): Promise<Bitfield> {
  const { geometry } = metainfo;
  const right = new Bitfield(geometry.pieceCount);
  const lengthBytes = pieceIndices.reduce((sum, i) => sum + geometry.lengthOfPieceBytes(i), 0);
  let hashedBytes = 0;
  await inLanes(pieceIndices, async (pieceIndex) => {
    signal?.throwIfAborted();
    const sha1 = await hash(pieceIndex);
    if (Buffer.compare(sha1, pieceHash(metainfo, pieceIndex)) === 0) right.set(pieceIndex);
    hashedBytes += geometry.lengthOfPieceBytes(pieceIndex);
    onProgress?.({ hashedBytes, lengthBytes });
  });
  return right;
}
