// The largest shared file, and the resulting limits of its metainfo and of the message that carries it. They stand in one
// place, so that every file that may be hashed can also be listed and fetched.

/** A piece is assembled in memory. The smallest `--memory`, 32 MiB, has room for one piece beside those being sent. */
export const MAX_PIECE_LENGTH_BYTES = 16 * 1024 * 1024;
/** 2 TiB. Its metainfo has 2.6 MB, which each tracker stores and sends to the other trackers and to every downloader. */
export const MAX_FILE_LENGTH_BYTES = 2 ** 41;
/** Bytes of the SHA-1 of a piece (BEP 3). */
const PIECE_HASH_BYTES = 20;
/** The rest of the metainfo: a name of up to 255 bytes and a CA's certificate of less than 1 KB. */
const INFO_REST_BYTES = 64 * 1024;
const MAX_INFO_BYTES = (MAX_FILE_LENGTH_BYTES / MAX_PIECE_LENGTH_BYTES) * PIECE_HASH_BYTES + INFO_REST_BYTES;
/** Characters of an `info` dictionary in base64. */
export const MAX_INFO_LENGTH = Math.ceil(MAX_INFO_BYTES / 3) * 4;
/** Longest message between client and tracker: one metainfo, and the calls in the same frame. */
export const MAX_API_MESSAGE_BYTES = 4 * 1024 * 1024;
