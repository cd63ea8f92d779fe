// The text of an invite: `minitorrent:` and, in base64url (RFC 4648, section 5), a version, a secret, the group, the trackers with
// their keys, and a checksum. No shell needs quotes for it, and no group id looks like it, since ids have no colon.
//
//   version 1 | secret 16 | length 1, group claim | length 2, group id in UTF-8 | count 1, trackers | checksum 4
//   tracker: kind 1 (4, 6, or 0 for a name; +128 with a key) | address 4 or 16, or length 1 and name | port 2 | key 32
//
// Numbers are big-endian. The checksum is the start of the SHA-256 of all before it, also in later versions. An invite has one form:
// decoding another one fails, so that two texts that are one invite cannot differ.
import { createHash, randomBytes } from "node:crypto";
import { isIPv4, isIPv6 } from "node:net";
import { canonicalHost, type TrackerAddress } from "./addresses.ts";
import { asMiniTorrentError, MiniTorrentError } from "./errors.ts";
import { idProblem } from "./ids.ts";
import { formatTrackerInfo, parseTrackerInfo } from "./tracker-list.ts";

/** What every invite begins with. */
export const INVITE_PREFIX = "minitorrent:";
/** Most trackers that an invite names; somebody who joins learns of the others' keys from these. */
export const MAX_INVITE_TRACKERS = 16;
/** 128 bits: nobody guesses it, and it fits into a code that a phone reads. */
const SECRET_BYTES = 16;
const VERSION = 1;
const CHECKSUM_BYTES = 4;
const KEY_BYTES = 32;
const HAS_KEY = 0x80;
/** Every invite fits, with 16 trackers of the longest names; a file that was pasted by mistake does not. */
const MAX_INVITE_CHARACTERS = 8_192;
/** Hex digits of the hash that name an invite in lists. */
const ID_DIGITS = 16;

export interface Invite {
  /** The trackers that know the group, with their keys as far as the inviter knew them. */
  readonly trackers: readonly TrackerAddress[];
  readonly groupId: string;
  /** Identifies the group: a later group of the same name has another one. */
  readonly groupClaimId: string;
  /** 16 bytes in base64url. Whoever has it may join. */
  readonly secret: string;
}

export function newInviteSecret(): string {
  return randomBytes(SECRET_BYTES).toString("base64url");
}

/** What trackers keep of an invite's secret: SHA-256, in hex. No salt is needed for 128 random bits. */
export function hashOfInviteSecret(secret: string): string {
  return createHash("sha256").update(Buffer.from(secret, "base64url")).digest("hex");
}

/** The name of an invite in lists. It says nothing of the secret. */
export function inviteIdOf(secretHash: string): string {
  return secretHash.slice(0, ID_DIGITS);
}

/** Whether the text is meant as an invite; it may still be wrong. */
export function isInviteText(text: string): boolean {
  return text.trimStart().startsWith(INVITE_PREFIX);
}

/** @param invite names at most MAX_INVITE_TRACKERS trackers */
export function encodeInvite({ trackers, groupId, groupClaimId, secret }: Invite): string {
  const claim = Buffer.from(groupClaimId, "latin1");
  const name = Buffer.from(groupId, "utf8");
  const body = Buffer.concat([
    Buffer.from([VERSION]),
    Buffer.from(secret, "base64url"),
    Buffer.from([claim.length]),
    claim,
    shortBytes(name.length),
    name,
    Buffer.from([trackers.length]),
    ...trackers.map(encodeTracker),
  ]);
  return INVITE_PREFIX + Buffer.concat([body, checksumOf(body)]).toString("base64url");
}

/**
 * @param text as it was pasted: white space, such as the ends of lines that a mail was broken into, does not count
 * @throws MiniTorrentError INVALID_INVITE, which says what is wrong
 */
export function decodeInvite(text: string): Invite {
  if (text.length > 2 * MAX_INVITE_CHARACTERS) throw invalid("This is too long to be an invite.");
  const whole = text.replaceAll(/\s+/g, "");
  if (!whole.startsWith(INVITE_PREFIX)) {
    throw invalid(`This is not an invite: one begins with ${INVITE_PREFIX} and is a single word.`);
  }
  const letters = whole.slice(INVITE_PREFIX.length);
  const bytes = Buffer.from(letters, "base64url");
  const body = bytes.subarray(0, -CHECKSUM_BYTES);
  const isWhole = checksumOf(body).equals(bytes.subarray(-CHECKSUM_BYTES));
  if (!isWhole || bytes.toString("base64url") !== letters) {
    throw invalid("The invite has a typing mistake, or a part of it is missing: copy the whole of it again.");
  }
  if (body[0] !== VERSION) {
    throw invalid(
      "The invite was made by a newer version of miniTorrent: update this one, and use it again.",
    );
  }
  let invite: Invite;
  try {
    invite = readBody(new Reader(body.subarray(1)));
    // What is kept as tracker_info.txt has to be readable there.
    parseTrackerInfo(formatTrackerInfo(invite.trackers), "the invite");
  } catch (error) {
    throw invalid(`The invite is damaged: ${asMiniTorrentError(error).message}`, error);
  }
  // A second form of the same invite, such as an IPv4 address written as a name.
  if (encodeInvite(invite) !== whole) throw invalid("The invite is damaged: it is not in its one form.");
  return invite;
}

function encodeTracker({ host: given, port, fingerprint }: TrackerAddress): Buffer {
  const host = canonicalHost(given);
  const kind = isIPv4(host) ? 4 : isIPv6(host) && !host.includes("%") ? 6 : 0;
  const address =
    kind === 0
      ? Buffer.concat([Buffer.from([host.length]), Buffer.from(host, "latin1")])
      : kind === 4
        ? Buffer.from(host.split(".").map(Number))
        : ipv6Bytes(host);
  const key = fingerprint === undefined ? Buffer.alloc(0) : Buffer.from(fingerprint, "hex");
  const hasKey = fingerprint === undefined ? 0 : HAS_KEY;
  return Buffer.concat([Buffer.from([kind | hasKey]), address, shortBytes(port), key]);
}

function readBody(reader: Reader): Invite {
  const secret = reader.bytes(SECRET_BYTES).toString("base64url");
  const groupClaimId = reader.bytes(reader.byte()).toString("latin1");
  const groupId = reader.bytes(reader.short()).toString("utf8");
  const problem = idProblem("group id", groupId);
  if (problem !== undefined) throw invalid(`${problem}.`);
  if (!/^[0-9a-z-]{1,128}$/.test(groupClaimId)) throw invalid("it names no group.");
  const count = reader.byte();
  if (count > MAX_INVITE_TRACKERS) throw invalid(`it names ${count} trackers.`);
  const trackers = Array.from({ length: count }, () => readTracker(reader));
  if (!reader.isAtEnd) throw invalid("something follows it.");
  return { trackers, groupId, groupClaimId, secret };
}

function readTracker(reader: Reader): TrackerAddress {
  const flags = reader.byte();
  const kind = flags & ~HAS_KEY;
  if (kind !== 0 && kind !== 4 && kind !== 6) throw invalid("a tracker's address is of an unknown kind.");
  const host =
    kind === 0
      ? reader.bytes(reader.byte()).toString("latin1")
      : kind === 4
        ? [...reader.bytes(4)].join(".")
        : ipv6Text(reader.bytes(16));
  const port = reader.short();
  if ((flags & HAS_KEY) === 0) return { host, port };
  return { host, port, fingerprint: reader.bytes(KEY_BYTES).toString("hex") };
}

/** @param host in canonical form (RFC 5952), without a zone */
function ipv6Bytes(host: string): Buffer {
  const [left = "", right = ""] = host.split("::");
  const groupsOf = (part: string) => (part === "" ? [] : part.split(":"));
  const [before, behind] = [groupsOf(left), groupsOf(right)];
  const missing = Array.from({ length: 8 - before.length - behind.length }, () => "0");
  return Buffer.concat(
    [...before, ...missing, ...behind].map((group) => shortBytes(Number.parseInt(group, 16))),
  );
}

function ipv6Text(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16));
  return canonicalHost(groups.join(":"));
}

function shortBytes(number: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(number);
  return bytes;
}

function checksumOf(bytes: Buffer): Buffer {
  return createHash("sha256").update(bytes).digest().subarray(0, CHECKSUM_BYTES);
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  byte(): number {
    return this.bytes(1).readUInt8();
  }

  short(): number {
    return this.bytes(2).readUInt16BE();
  }

  bytes(count: number): Buffer {
    if (this.#at + count > this.#bytes.length) throw invalid("it ends too early.");
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }
}

function invalid(sentence: string, cause?: unknown): MiniTorrentError {
  return new MiniTorrentError("INVALID_INVITE", sentence, { cause });
}
