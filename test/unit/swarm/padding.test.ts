// A folder's pieces that end with padding (BEP 47): it is neither requested nor counted, it is zeros on its way to the disk, and
// it is served to whoever requests it.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { BLOCK_LENGTH_BYTES, Geometry } from "../../../src/metainfo/geometry.ts";
import { PIECE_HEADER_BYTES } from "../../../src/metainfo/piece-header.ts";
import { readUint32 } from "../../../src/wire/integers.ts";
import { BLOCKS, offset, open } from "./lone-torrent.ts";
import { requestsIn } from "./recording-link.ts";

const BLOCK = BLOCK_LENGTH_BYTES;
const PIECE = BLOCKS * BLOCK;
const SHORT = 100;
/** Piece 0: no padding. Piece 1: its last block and a part of the one before are padding. Piece 2: its last block is. */
const padded = new Geometry(3 * PIECE, PIECE, Uint32Array.of(0, 2 * BLOCK - SHORT, BLOCK));
/** Length of each block that is requested. */
const needed: readonly (readonly number[])[] = [
  [BLOCK, BLOCK, BLOCK, BLOCK],
  [BLOCK, BLOCK, SHORT],
  [BLOCK, BLOCK, BLOCK],
];
const CONTENT_BYTES = 9 * BLOCK + SHORT;

const openLeecher = () => {
  const opened = open({ geometry: padded, outcome: "later", requestsFromPeer: 100 });
  opened.peer.haveAll();
  opened.peer.unchoke();
  return opened;
};
const text = (pieceIndex: number, blockIndex: number, lengthBytes: number): string =>
  `request ${pieceIndex}:${blockIndex}${lengthBytes === BLOCK ? "" : ` of ${lengthBytes} bytes`}`;

describe("a padded piece", () => {
  it("is requested without its padding, and whole once that is here, with zeros for the rest", () => {
    const { torrent, link, peer, reserved, commits } = openLeecher();
    const asked: string[] = [];
    for (let said = link.take(); requestsIn(said).length > 0; said = link.take()) {
      asked.push(...said.filter((one) => one.startsWith("request")));
      for (const [pieceIndex, blockIndex] of requestsIn(said)) {
        const lengthBytes = needed[pieceIndex]?.[blockIndex] ?? 0;
        const place = peer.blockBegins(pieceIndex, offset(blockIndex), lengthBytes);
        assert.equal(place?.length, lengthBytes);
        place.fill(7);
        peer.blockEnds(pieceIndex, offset(blockIndex), lengthBytes);
      }
    }
    const expected = needed.flatMap((blocks, piece) =>
      blocks.map((length, block) => text(piece, block, length)),
    );
    assert.deepEqual(asked.sort(), expected.sort());
    assert.deepEqual(commits.map(({ pieceIndex }) => pieceIndex).sort(), [0, 1, 2]);
    for (const [pieceIndex, paddingBytes] of [0, 2 * BLOCK - SHORT, BLOCK].entries()) {
      const bytes = reserved.get(pieceIndex);
      assert.ok(bytes);
      const whole = Buffer.alloc(PIECE).fill(7, 0, PIECE - paddingBytes);
      assert.equal(Buffer.compare(bytes, whole), 0, `piece ${pieceIndex}`);
    }
    for (const { done } of commits.splice(0)) done("verified");
    const { bytesVerified, bytesWanted, downloadedBytes, wastedBytes } = torrent.status();
    assert.deepEqual([bytesVerified, bytesWanted], [CONTENT_BYTES, CONTENT_BYTES]);
    assert.deepEqual([downloadedBytes, wastedBytes], [CONTENT_BYTES, 0]);
  });

  it("takes no block from its padding, nor one that is longer than was requested: these were never asked for", () => {
    const { torrent, link, peer } = openLeecher();
    link.take();
    assert.equal(peer.blockBegins(2, offset(3), BLOCK), undefined);
    assert.equal(peer.blockBegins(1, offset(3), BLOCK), undefined);
    assert.equal(peer.blockBegins(1, offset(2), BLOCK), undefined);
    assert.equal(peer.blockBegins(1, offset(2) + SHORT, BLOCK - SHORT), undefined);
    assert.equal(torrent.status().duplicateBytes, 4 * BLOCK - SHORT);
    const flood = (): void => {
      for (let block = 0; block < 40; block++) peer.blockBegins(2, offset(3), BLOCK);
    };
    assert.throws(flood, (error) => error instanceof MiniTorrentError && error.code === "MALFORMED_MESSAGE");
  });

  it("counts as wasted, when it does not have its hash, without its padding", () => {
    const opened = open({ geometry: padded, outcome: "mismatch" });
    const { torrent, link, peer } = opened;
    peer.bitfield(Uint8Array.of(0x40));
    peer.unchoke();
    link.take();
    for (const [blockIndex, lengthBytes] of [BLOCK, BLOCK, SHORT].entries()) {
      peer.blockBegins(1, offset(blockIndex), lengthBytes);
      peer.blockEnds(1, offset(blockIndex), lengthBytes);
    }
    assert.equal(torrent.status().wastedBytes, 2 * BLOCK + SHORT);
  });

  it("is served with its padding to whoever requests that, without it to others, and to each what they requested", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(2), fc.nat(3), fc.boolean()), { minLength: 1, maxLength: 12 }),
        (wanted) => {
          const { link, peer, runDue } = open({ geometry: padded, has: "***", requestsFromPeer: 100 });
          peer.haveNone();
          peer.interested();
          link.take();
          const expected: string[] = [];
          for (const [pieceIndex, blockIndex, isWhole] of wanted) {
            const lengthBytes = isWhole ? BLOCK : needed[pieceIndex]?.[blockIndex];
            if (lengthBytes === undefined) continue;
            peer.request(pieceIndex, offset(blockIndex), lengthBytes);
            expected.push(`${pieceIndex} ${offset(blockIndex)} ${lengthBytes}`);
          }
          const sent: Uint8Array[] = [];
          for (let round = 0; round <= wanted.length; round++) {
            runDue();
            for (const { bytes, done } of link.sent.splice(0)) {
              sent.push(bytes);
              done();
            }
          }
          assert.equal(
            link.said.some((said) => said.startsWith("close")),
            false,
          );
          const served: string[] = [];
          for (const bytes of sent) {
            for (let at = 0; at < bytes.length; ) {
              const lengthBytes = readUint32(bytes, at) - (PIECE_HEADER_BYTES - 4);
              served.push(`${readUint32(bytes, at + 5)} ${readUint32(bytes, at + 9)} ${lengthBytes}`);
              const block = bytes.subarray(at + PIECE_HEADER_BYTES, at + PIECE_HEADER_BYTES + lengthBytes);
              assert.ok(block.every((byte) => byte === 1 + readUint32(bytes, at + 9) / BLOCK));
              at += PIECE_HEADER_BYTES + lengthBytes;
            }
          }
          assert.deepEqual(served.sort(), expected.sort());
        },
      ),
    );
  });
});
