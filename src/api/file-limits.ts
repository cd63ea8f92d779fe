// The largest shared file and folder, and the resulting limits of the metainfo and of the messages that carry it. They stand in
// one place, so that everything that may be hashed can also be listed and fetched.

/** A piece is assembled in memory. The smallest `--memory`, 32 MiB, has room for one piece beside those being sent. */
export const MAX_PIECE_LENGTH_BYTES = 16 * 1024 * 1024;
/** 2 TiB, of a file or of a folder with its padding. A file's metainfo then has 2.6 MB, which each tracker stores and sends to
 * the other trackers and to every downloader. */
export const MAX_FILE_LENGTH_BYTES = 2 ** 41;
/** Bytes of the SHA-1 of a piece (BEP 3). */
const PIECE_HASH_BYTES = 20;
/** The rest of a single file's metainfo: a name of up to 255 bytes and a CA's certificate of less than 1 KB. */
const INFO_REST_BYTES = 64 * 1024;
const MAX_INLINE_INFO_BYTES =
  (MAX_FILE_LENGTH_BYTES / MAX_PIECE_LENGTH_BYTES) * PIECE_HASH_BYTES + INFO_REST_BYTES;
/** Characters of an `info` dictionary in base64 that travels whole, as that of any single file may. */
export const MAX_INLINE_INFO_LENGTH = Math.ceil(MAX_INLINE_INFO_BYTES / 3) * 4;
/** Longest part of an `info` dictionary. A longer dictionary travels, and is stored, in such parts. */
export const INFO_PART_BYTES = 64 * 1024;
/** Longest `info` dictionary: that of a folder of 200,000 files with paths of 90 bytes, or of 100,000 with paths of 250. */
export const MAX_INFO_BYTES = 32 * 1024 * 1024;
/** Parts are cut between the entries of two files: of two parts that follow each other, one is at least half full. */
export const MAX_INFO_PARTS = (2 * MAX_INFO_BYTES) / INFO_PART_BYTES;
/** Longest message with several calls: a tracker takes a longer one in its caller's turn, and only if it is a single call. */
export const MAX_SHARED_MESSAGE_LENGTH = 16 * 1024;
/** Longest message between client and tracker: one metainfo that travels whole, and the calls in the same frame. */
export const MAX_API_MESSAGE_BYTES = 4 * 1024 * 1024;

/** Files and links of a folder, without padding. */
export const MAX_FOLDER_FILES = 200_000;
/** Longest path inside a folder, in bytes of UTF-8, with its separators: PATH_MAX of Linux. */
export const MAX_PATH_BYTES = 4096;
/** Most components of a path inside a folder: more than any tool makes, few enough to open one by one. */
export const MAX_PATH_COMPONENTS = 128;
