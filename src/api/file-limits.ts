// How large a shared file may be, and what follows from that for its metainfo and for the message that carries it. One
// place, so that a file which may be hashed may be listed and fetched as well.

/** Assembling a piece takes its length in memory: the least that `--memory` allows, 32 MiB, has room for one beside those sent. */
export const MAX_PIECE_LENGTH_BYTES = 16 * 1024 * 1024;
/** 2 TiB: then the metainfo has 2.6 MB, which a tracker keeps, sends to the others and gives to everybody who downloads. */
export const MAX_FILE_LENGTH_BYTES = 2 ** 41;
/** Bytes of the SHA-1 of a piece (BEP 3). */
const PIECE_HASH_BYTES = 20;
/** Of the metainfo beside the hashes of pieces: a name of 255 bytes and a CA's certificate of less than 1 KB. */
const INFO_REST_BYTES = 64 * 1024;
const MAX_INFO_BYTES = (MAX_FILE_LENGTH_BYTES / MAX_PIECE_LENGTH_BYTES) * PIECE_HASH_BYTES + INFO_REST_BYTES;
/** Characters of an `info` dictionary in base64. */
export const MAX_INFO_LENGTH = Math.ceil(MAX_INFO_BYTES / 3) * 4;
/** Most bytes that one message between client and tracker may have: one metainfo, and the calls that go in its frame. */
export const MAX_API_MESSAGE_BYTES = 4 * 1024 * 1024;
