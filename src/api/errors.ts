// The one registry of error codes: what can go wrong, said to a person, and what to do about it.
// Every error that leaves a module is a MiniTorrentError with one of these codes.

/** Code → what it means in one line. `docs/protocol.md` lists the same codes; a test holds both together. */
export const errorCodes = {
  // What a person typed
  USAGE: "The command was not understood; its usage is shown.",
  INVALID_TRACKER_INFO: "The tracker file, or the number of the tracker in it, is wrong.",
  INVALID_ADDRESS: "An address is not of the form IP:PORT.",
  INVALID_ARGUMENT: "A value is not of the form that is asked for.",
  // Accounts and sessions
  USER_EXISTS: "That user id is taken.",
  BAD_CREDENTIALS: "User id and password do not match.",
  NOT_LOGGED_IN: "The command needs a login first.",
  ALREADY_LOGGED_IN: "This client is logged in already.",
  TOO_MANY_ATTEMPTS: "Too many attempts in a short time; wait and try again.",
  // Groups
  GROUP_EXISTS: "That group id is taken.",
  UNKNOWN_GROUP: "There is no such group.",
  NOT_A_MEMBER: "Only members of the group may do that.",
  NOT_THE_OWNER: "Only the owner of the group may do that.",
  ALREADY_A_MEMBER: "That user is in the group already.",
  ALREADY_REQUESTED: "A request to join is waiting for the owner already.",
  NO_SUCH_REQUEST: "That user has not asked to join.",
  UNKNOWN_USER: "There is no such user in that place.",
  NAME_TAKEN_ELSEWHERE: "Another tracker had given the name away earlier; the earlier claim stands.",
  GROUP_KEY_CHANGED: "A tracker names another key for a group than it has had.",
  // Files
  UNKNOWN_FILE: "The group has no file of that name.",
  FILE_EXISTS: "The name is taken by other content.",
  FILE_NOT_FOUND: "There is no such file on this machine.",
  FILE_CHANGED: "The file changed since it was shared.",
  FILE_UNREADABLE: "The file, or its folder, may not be read.",
  NOT_A_FILE: "The path is not a regular file.",
  NOT_SHARED: "This client does not share that file.",
  UNKNOWN_DOWNLOAD: "There is no such download.",
  DOWNLOAD_PAUSED: "The download is paused for a reason that may pass.",
  TIMED_OUT: "The wait ended before the download was complete.",
  DOWNLOAD_EXISTS: "That file is being downloaded already.",
  DESTINATION_UNUSABLE: "The destination cannot be written.",
  DISK_FULL: "The disk has no room for the file.",
  DISK_FAILED: "The disk refused to read or write.",
  CORRUPT_FILE: "The whole file does not have the SHA-1 it should have.",
  // Between the machines
  TRACKERS_UNREACHABLE: "None of the trackers answers.",
  TRACKER_CANNOT_WRITE: "The tracker cannot write now, and no other one answers.",
  TRACKER_BUSY: "The tracker is overloaded; wait and try again.",
  TRACKER_KEY_CHANGED: "A tracker shows another key than before.",
  TRACKER_KEY_UNKNOWN: "A tracker presented a key that no trusted tracker vouches for.",
  ADDRESS_IN_USE: "Another program listens on that address and port.",
  ADDRESS_UNUSABLE:
    "The address cannot be listened on: it is not this machine's, or unknown, or not allowed.",
  REGISTRY_DAMAGED: "A tracker's registry is damaged, and no other tracker can supply a copy.",
  DATA_DIR_IN_USE: "Another process uses that data directory.",
  CLOCK_WRONG: "This machine's clock differs too much from the tracker's for certificates to be valid.",
  PEER_REFUSED: "A peer was refused, or refused us.",
  MALFORMED_MESSAGE: "Something that came from the network is not of the form it must have.",
  LIMIT_REACHED: "A limit was reached: of what protects the tracker, or of this system.",
  INTERNAL: "Something went wrong inside; the log says more.",
} as const;

export type ErrorCode = keyof typeof errorCodes;

/**
 * The one error class: a code from the registry, a sentence for people that says what is wrong and what to do,
 * and the cause for the log.
 *
 * @example
 * throw new MiniTorrentError("UNKNOWN_GROUP", "There is no group films; list_groups shows those there are.");
 */
export class MiniTorrentError extends Error {
  override readonly name = "MiniTorrentError";
  readonly code: ErrorCode;
  /** How long to wait before trying again; undefined if waiting does not help. */
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, sentence: string, options?: { cause?: unknown; retryAfterMs?: number }) {
    super(sentence, options);
    this.code = code;
    this.retryAfterMs = options?.retryAfterMs;
  }
}

/** The error itself if it is one of ours, otherwise an INTERNAL one that has it as its cause. */
export function asMiniTorrentError(error: unknown): MiniTorrentError {
  if (error instanceof MiniTorrentError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new MiniTorrentError("INTERNAL", `Something went wrong inside: ${reason}`, { cause: error });
}

export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === "string" && Object.hasOwn(errorCodes, text);
}
