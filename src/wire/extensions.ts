// The extension handshake (BEP 10): which extensions a peer has under which ids, the port it listens on, how many
// requests it keeps. What it says of the other's address (`yourip`) is ignored, and so is what is not known here.
import bencode from "bencode";
import { MiniTorrentError } from "../api/errors.ts";
import { decodeDictionary, isDictionary } from "../metainfo/bencoding.ts";
import { type Farewell, readFarewell } from "./farewell.ts";

/** BEP 10: extension id 0 of an extended message is the handshake. */
export const EXTENSION_HANDSHAKE_ID = 0;

/** libtorrent's stays under 300 bytes. */
const MAX_HANDSHAKE_BYTES = 16 * 1024;
const MAX_EXTENSIONS = 64;
const MAX_CLIENT_NAME_BYTES = 256;

export interface ExtensionHandshake {
  /** Name → id (1 to 255) under which the sender wants messages of that extension. */
  readonly extensionIds: ReadonlyMap<string, number>;
  /** `p`: where the sender listens; undefined if it does not say. */
  readonly listenPort: number | undefined;
  /** `reqq`: how many outstanding requests it keeps without dropping any. */
  readonly requestLimit: number | undefined;
  /** `v`: client and version, without control characters. */
  readonly clientName: string | undefined;
  /** `upload_only` (BEP 21): the sender has all it wants, which may be a part; undefined if it does not say. */
  readonly isUploadOnly?: boolean | undefined;
  /** `reading`: the sender reads the file while it downloads; undefined if it does not say. */
  readonly isReading?: boolean | undefined;
  /** `bye`: the sender is about to close the connection, for that reason. */
  readonly farewell?: Farewell;
}

export function encodeExtensionHandshake(handshake: ExtensionHandshake): Uint8Array {
  return bencode.encode({
    m: Object.fromEntries(handshake.extensionIds),
    ...(handshake.listenPort !== undefined && { p: handshake.listenPort }),
    ...(handshake.requestLimit !== undefined && { reqq: handshake.requestLimit }),
    ...(handshake.isReading !== undefined && { reading: handshake.isReading ? 1 : 0 }),
    ...(handshake.isUploadOnly !== undefined && { upload_only: handshake.isUploadOnly ? 1 : 0 }),
    ...(handshake.clientName !== undefined && { v: handshake.clientName }),
  });
}

/** @throws MiniTorrentError MALFORMED_MESSAGE, with what is wrong */
export function decodeExtensionHandshake(payload: Uint8Array): ExtensionHandshake {
  if (payload.length > MAX_HANDSHAKE_BYTES) refuse(`it has ${payload.length} bytes`);
  const dictionary = decodeDictionary(payload);
  const farewell = readFarewell(field(dictionary, "bye"));
  const uploadOnly = field(dictionary, "upload_only");
  const reading = field(dictionary, "reading");
  return {
    extensionIds: readExtensionIds(field(dictionary, "m")),
    listenPort: readNumber("p", field(dictionary, "p"), 65535),
    requestLimit: readNumber("reqq", field(dictionary, "reqq"), Number.MAX_SAFE_INTEGER),
    clientName: readClientName(field(dictionary, "v")),
    ...(typeof uploadOnly === "number" && { isUploadOnly: uploadOnly !== 0 }),
    ...(typeof reading === "number" && { isReading: reading !== 0 }),
    ...(farewell !== undefined && { farewell }),
  };
}

function field(dictionary: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(dictionary, key) ? dictionary[key] : undefined;
}

function readExtensionIds(value: unknown): Map<string, number> {
  const extensionIds = new Map<string, number>();
  if (value === undefined) return extensionIds;
  if (!isDictionary(value)) return refuse("its m is no dictionary");
  const entries = Object.entries(value);
  if (entries.length > MAX_EXTENSIONS) refuse(`it lists ${entries.length} extensions`);
  for (const [name, id] of entries) {
    const extensionId = readNumber(`id of ${JSON.stringify(name.slice(0, 32))}`, id, 255);
    // BEP 10: an id of 0 means that the extension is not there (any more).
    if (extensionId !== undefined) extensionIds.set(name, extensionId);
  }
  return extensionIds;
}

/** A whole number from 1 to `max`; undefined for 0 and for none, which both mean that nothing is said. */
function readNumber(name: string, value: unknown, max: number): number | undefined {
  if (value === undefined || value === 0) return undefined;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0 || value > max) {
    return refuse(`its ${name} is no number from 0 to ${max}`);
  }
  return value;
}

function readClientName(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (!(value instanceof Uint8Array) || value.length > MAX_CLIENT_NAME_BYTES) {
    return refuse(`its v is no string of at most ${MAX_CLIENT_NAME_BYTES} bytes`);
  }
  return new TextDecoder().decode(value).replace(/\p{Cc}/gu, "");
}

function refuse(reason: string): never {
  throw new MiniTorrentError("MALFORMED_MESSAGE", `The extension handshake is refused: ${reason}.`);
}
