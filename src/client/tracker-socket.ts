// One WebSocket to one tracker: TLS 1.3 with this device's certificate, and the tracker's key checked against the one
// that is pinned before anything is said. tRPC speaks over it. It does not reconnect: tracker-link.ts does.
import { connect, type TLSSocket } from "node:tls";
import { createTRPCClient, createWSClient, type TRPCClient, wsLink } from "@trpc/client";
import { WebSocket } from "ws";
import { z } from "zod";
import { formatAddress, type TrackerAddress } from "../api/addresses.ts";
import { MiniTorrentError } from "../api/errors.ts";
import { MAX_API_MESSAGE_BYTES } from "../api/schemas.ts";
import { type DeviceIdentity, fingerprintOf } from "../identity/certificates.ts";
import type { PinStore } from "../identity/pins.ts";
import type { AppRouter } from "../tracker/router.ts";
import { FIRST_CONNECT_TIMEOUT_MS, HEARTBEAT_INTERVAL_MS, HEARTBEAT_TIMEOUT_MS } from "./tracker-pace.ts";

/** tRPC's own reconnection is never reached: the socket is closed for good first. */
const NO_RECONNECT_MS = 2 ** 31 - 1;

/** What a tracker says over the WebSocket: tRPC's answers (JSON-RPC 2.0 in form), never a request of its own. */
const idSchema = z.union([z.number(), z.string(), z.null()]).optional();
const messageSchema = z.union([
  z.object({
    id: idSchema,
    method: z.undefined().optional(),
    error: z.undefined().optional(),
    result: z.object({ type: z.enum(["started", "stopped", "data"]).optional() }),
  }),
  z.object({
    id: idSchema,
    method: z.undefined().optional(),
    error: z.object({ code: z.number(), message: z.string(), data: z.unknown().optional() }),
  }),
]);
/** Nobody asks with that id. */
const ANSWERS_NOTHING = { id: -1, result: { type: "stopped" } } as const;

export type TrackerApi = TRPCClient<AppRouter>;

export interface TrackerSocketOptions {
  readonly tracker: TrackerAddress;
  readonly identity: DeviceIdentity;
  readonly pins: PinStore;
  /** The address to dial from, so that the tracker sees the one that peers can reach. */
  readonly localAddress: string | undefined;
  /** How long the tracker may take to answer. */
  readonly connectTimeoutMs?: number;
  readonly onClose: () => void;
}

export interface TrackerSocket {
  readonly api: TrackerApi;
  close(): void;
}

/**
 * Connects to one tracker.
 *
 * @throws MiniTorrentError TRACKER_KEY_CHANGED, or TRACKERS_UNREACHABLE with the reason
 */
export function openTrackerSocket(options: TrackerSocketOptions): Promise<TrackerSocket> {
  const address = formatAddress(options.tracker);
  const { connectTimeoutMs = FIRST_CONNECT_TIMEOUT_MS } = options;
  return new Promise((resolve, reject) => {
    let failure: unknown;
    let isOpen = false;
    let isClosed = false;
    const close = () => {
      clearTimeout(timeout);
      void webSocketClient.close();
    };
    const closed = () => {
      if (isClosed) return;
      isClosed = true;
      close();
      if (isOpen) options.onClose();
      else reject(asConnectFailure(address, failure));
    };
    const timeout = setTimeout(() => {
      failure = new Error(`no answer within ${connectTimeoutMs} ms`);
      closed();
    }, connectTimeoutMs);

    /** tRPC throws where nobody catches for a message that is not of its form: such a tracker is left instead. */
    const decode = (data: unknown): unknown => {
      const message = readMessage(data);
      if (message !== undefined) return message;
      failure ??= new MiniTorrentError(
        "MALFORMED_MESSAGE",
        `${address} does not speak as a tracker does; check its line.`,
      );
      queueMicrotask(closed);
      return ANSWERS_NOTHING;
    };

    class PinnedWebSocket extends WebSocket {
      constructor(url: string | URL) {
        super(url, {
          maxPayload: MAX_API_MESSAGE_BYTES * 16,
          perMessageDeflate: false,
          createConnection: () => dialPinned(options, (error) => (failure ??= error)),
        });
      }

      /** Whoever closes has no more to say; ws would wait 30 s for a tracker that may be frozen to close its side. */
      override close(): void {
        this.terminate();
      }
    }

    const webSocketClient = createWSClient({
      url: `wss://${address}/api`,
      // ws implements the part of the browsers' WebSocket that tRPC uses; their declared types differ.
      WebSocket: PinnedWebSocket as unknown as typeof globalThis.WebSocket,
      experimental_encoder: { encode: JSON.stringify, decode },
      keepAlive: { enabled: true, intervalMs: HEARTBEAT_INTERVAL_MS, pongTimeoutMs: HEARTBEAT_TIMEOUT_MS },
      retryDelayMs: () => NO_RECONNECT_MS,
      onOpen: () => {
        isOpen = true;
        clearTimeout(timeout);
        resolve({
          api: createTRPCClient<AppRouter>({ links: [wsLink({ client: webSocketClient })] }),
          close,
        });
      },
      // tRPC begins its pause before a reconnection on the error already, and only closing ends it.
      onError: closed,
      onClose: closed,
    });
  });
}

/** The message as it came; undefined if it is none. */
function readMessage(data: unknown): unknown {
  if (typeof data !== "string") return undefined;
  try {
    const message: unknown = JSON.parse(data);
    return messageSchema.safeParse(message).success ? message : undefined;
  } catch {
    return undefined; // not JSON: said as such by who called
  }
}

/** A TLS socket that is torn down, with the reason, before a byte is said over it if the tracker's key is another one. */
function dialPinned(options: TrackerSocketOptions, failed: (error: unknown) => void): TLSSocket {
  const { tracker, identity, pins, localAddress } = options;
  const socket = connect({
    host: tracker.host,
    port: tracker.port,
    ...(localAddress === undefined ? {} : { localAddress }),
    minVersion: "TLSv1.3",
    cert: identity.certificatePem,
    key: identity.privateKeyPem,
    // The tracker's certificate is self-signed: what makes it the right one is the pin.
    rejectUnauthorized: false,
  });
  socket.setNoDelay(true);
  socket.on("error", failed);
  socket.once("secureConnect", () => {
    try {
      const fingerprint = fingerprintOf(socket.getPeerCertificate().raw);
      pins.check(formatAddress(tracker), fingerprint, tracker.fingerprint);
    } catch (error) {
      failed(error);
      socket.destroy();
    }
  });
  return socket;
}

function asConnectFailure(address: string, failure: unknown): MiniTorrentError {
  if (failure instanceof MiniTorrentError) return failure;
  const reason = failure instanceof Error ? failure.message || String(failure) : "the connection was closed";
  return new MiniTorrentError("TRACKERS_UNREACHABLE", `The tracker ${address} does not answer: ${reason}.`, {
    cause: failure,
  });
}
