// The one table of error codes: what went wrong, and what to do about it, in words for people.
// Every error that leaves a module is a MiniTorrentError with one of these codes.

/** Code → what went wrong, then what to do, in one line. `docs/protocol.md` lists the same codes; a test holds both together. */
export const errorCodes = {
  // What a person typed
  USAGE: "The command or the program's arguments were not understood; use the form that is shown.",
  INVALID_TRACKER_INFO:
    "The tracker file, or the number of the tracker in it, is wrong; correct the line that is named.",
  INVALID_ADDRESS: "An address is not of the form IP:PORT; write it like 127.0.0.1:9000 or [::1]:9000.",
  INVALID_ARGUMENT: "A value does not have the required form; the sentence says which form it has to have.",
  // Accounts and sessions
  USER_EXISTS: "That user id is taken; choose another one.",
  BAD_CREDENTIALS: "User id and password do not match; check both.",
  NOT_LOGGED_IN: "The command needs a login; log in first.",
  ALREADY_LOGGED_IN: "This client is logged in already; log out first.",
  TOO_MANY_ATTEMPTS: "There were too many attempts in a short time; wait and try again.",
  // Groups
  GROUP_EXISTS: "That group id is taken; choose another one.",
  UNKNOWN_GROUP: "There is no such group; list_groups shows those that exist.",
  NOT_A_MEMBER: "Only members of the group may do that; ask to join it.",
  NOT_THE_OWNER: "Only the owner of the group may do that; ask them.",
  ALREADY_A_MEMBER: "That user is in the group already; nothing needs to be done.",
  ALREADY_REQUESTED: "A request to join is waiting already; wait for the owner.",
  NO_SUCH_REQUEST: "That user has not asked to join; list_requests shows who has.",
  UNKNOWN_USER: "There is no such user; list_members shows those of a group.",
  INVALID_INVITE: "The text is not an invite, or not the whole of one; copy it again.",
  INVITE_REFUSED: "The invite does not hold, or no longer; ask the group's owner for another one.",
  UNKNOWN_INVITE: "The group has no such invite; list_invites shows those it has.",
  OTHER_TRACKERS: "The invite is for other trackers than this client uses; join from a client of theirs.",
  NAME_TAKEN_ELSEWHERE:
    "Another tracker had given the name away earlier, and that claim stands; choose another name.",
  GROUP_KEY_CHANGED: "A tracker presents another key for a group than before; ask the trackers' operator.",
  // Files
  UNKNOWN_FILE: "The group has no file of that name; list_files shows those it has.",
  FILE_EXISTS: "The name is taken by other content; rename the file, or choose another destination.",
  FILE_NOT_FOUND: "There is no such file on this machine; check the path.",
  FILE_CHANGED: "The file changed since it was shared; share it again.",
  FILE_UNREADABLE: "The file, or its folder, may not be read; change the permissions.",
  NOT_A_FILE: "The path is neither a regular file nor a folder; share one of these.",
  METAINFO_MISSING: "The tracker lacks parts of the metainfo; the client sends them, then shares again.",
  NOT_THE_SHARER:
    "Only the first sharer and the group's owner may publish a new version; ask one of them, or use another name.",
  NEWER_VERSION:
    "The share has a newer version than the one to be replaced; download that one, then publish yours.",
  NOT_SHARED: "This client does not share that file; list_shares shows what it shares.",
  UNKNOWN_DOWNLOAD: "There is no such download; show_downloads lists those that exist.",
  UNKNOWN_UPLOAD: "There is no such upload, or it was given up; begin it again.",
  DOWNLOAD_PAUSED:
    "The download is paused for a reason that may pass; it continues by itself, or with resume.",
  TIMED_OUT: "The wait ended before the download was complete; the download continues, so wait again.",
  DOWNLOAD_EXISTS: "That file is being downloaded already; wait for it, or cancel it.",
  DESTINATION_UNUSABLE: "The destination cannot be written; make it writable, or choose another one.",
  DISK_FULL: "The disk has no room for the file; free some.",
  DISK_FAILED: "The disk refused to read or write; check it.",
  CORRUPT_FILE: "The whole file does not have its SHA-1; ask for it to be shared again.",
  // Between the machines
  TRACKERS_UNKNOWN: "The daemon has not been told of any tracker; give it an invite, or a list of trackers.",
  TRACKERS_UNREACHABLE: "None of the trackers answers; check the network and tracker_info.txt.",
  TRACKER_CANNOT_WRITE: "The tracker cannot write now, and no other one answers; try again later.",
  TRACKER_BUSY: "The tracker is overloaded; wait and try again.",
  TRACKER_KEY_CHANGED:
    "A tracker presents another key than before; compare its fingerprint before trusting it.",
  TRACKER_KEY_UNKNOWN:
    "A tracker presented a key that no trusted tracker vouches for; compare its fingerprint.",
  ADDRESS_IN_USE: "Another program listens on the address; stop it, or give another port.",
  ADDRESS_UNUSABLE: "The address cannot be listened on; give one of this machine.",
  REGISTRY_UNREACHABLE:
    "The database that the trackers share does not answer; try again later, or ask the trackers' operator.",
  REGISTRY_DAMAGED:
    "A tracker's registry is damaged, and no other tracker can supply a copy; restore a backup.",
  DATA_DIR_IN_USE: "Another process uses that data directory; stop it, or give another one.",
  DAEMON_UNREACHABLE: "No daemon of this user answers; start it: minitorrent daemon.",
  TOKEN_NEEDED: "The local API refuses the call; give a token that allows it, from the daemon's own address.",
  PATH_REFUSED: "The path is outside the folders that may be used over the local API; name one inside.",
  CLOCK_WRONG:
    "This machine's clock differs too much from the tracker's for certificates to be valid; set it.",
  PEER_REFUSED: "A peer was refused, or refused this client; why says what to do.",
  MALFORMED_MESSAGE: "A message does not have the required form; if that stays, update both ends.",
  LIMIT_REACHED: "A limit was reached; the sentence says which one, and what to give up.",
  INTERNAL: "Something went wrong inside; report it with what the log says.",
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

/** A MiniTorrentError unchanged; any other error as the cause of an INTERNAL one. */
export function asMiniTorrentError(error: unknown): MiniTorrentError {
  if (error instanceof MiniTorrentError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new MiniTorrentError("INTERNAL", `Something went wrong inside: ${reason}`, { cause: error });
}

export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === "string" && Object.hasOwn(errorCodes, text);
}
