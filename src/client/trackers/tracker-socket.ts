// One WebSocket to one tracker: TLS 1.3 with this device's certificate, and the tracker's key checked against the one
// that is pinned before anything is sent. api-channel.ts makes calls over it. It does not reconnect: tracker-link.ts does.

import type { IncomingMessage } from "node:http";
import type { TcpNetConnectOpts } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import type { Logger } from "pino";
import { WebSocket } from "ws";
import { canonicalHost, formatAddress, type TrackerAddress } from "../../api/addresses.ts";
import { MiniTorrentError } from "../../api/errors.ts";
import { MAX_API_MESSAGE_BYTES } from "../../api/file-limits.ts";
import { type DeviceIdentity, fingerprintOf, TLS_SIGNATURES } from "../../identity/certificates.ts";
import { dialProblem } from "../../net/address-errors.ts";
import { guardOf } from "../../net/connection-guard.ts";
import { later } from "../../net/timers.ts";
import { ApiChannel, type TrackerApi } from "./api-channel.ts";
import type { DialPlan } from "./reachability.ts";
import { HEARTBEAT_ASKED_MS, HEARTBEAT_IDLE_MS, HEARTBEAT_TIMEOUT_MS } from "./retry-policy.ts";
import { readTrackerTime, type TrackerTime } from "./tracker-time.ts";
import type { TrackerTrust } from "./tracker-trust.ts";

/** An answer is one metainfo, or a page of a list. */
const MAX_ANSWER_BYTES = 4 * MAX_API_MESSAGE_BYTES;
/** Of a host name with several addresses the next one is tried then; Node's half a second is less than some round trips. */
const NEXT_ADDRESS_AFTER_MS = 2_000;
/** A timer may run a millisecond before its time. */
const TIMER_SLACK_MS = 2;

export interface TrackerSocketOptions {
  readonly tracker: TrackerAddress;
  readonly identity: DeviceIdentity;
  readonly trust: TrackerTrust;
  readonly plan: DialPlan;
  /** Gives up connecting; afterwards it means nothing. */
  readonly signal: AbortSignal;
  readonly onClose: () => void;
  readonly log: Logger;
}

export interface TrackerSocket {
  readonly api: TrackerApi;
  readonly isClosed: boolean;
  /** The tracker's clock when the connection was opened. */
  readonly time: TrackerTime | undefined;
  /** SHA-256 of the tracker's certificate. */
  readonly fingerprint: string;
  /** The address of this machine that the connection uses. */
  readonly localHost: string;
  close(): void;
}

/**
 * Connects to one tracker.
 *
 * @throws MiniTorrentError TRACKER_KEY_CHANGED, TRACKER_KEY_UNKNOWN, or TRACKERS_UNREACHABLE with the reason
 */
export function openTrackerSocket(options: TrackerSocketOptions): Promise<TrackerSocket> {
  const address = formatAddress(options.tracker);
  const { signal } = options;
  return new Promise((resolve, reject) => {
    let failure: unknown;
    let fingerprint = "";
    let localHost = "";
    let isOpen = false;
    let isClosed = false;
    const socket = new WebSocket(`wss://${address}/api`, {
      maxPayload: MAX_ANSWER_BYTES,
      perMessageDeflate: false,
      createConnection: () => {
        const failed = (error: unknown) => (failure ??= error);
        return dialPinned(options, failed, (shown, host) => {
          fingerprint = shown;
          localHost = host;
        });
      },
    });
    /** Wraps every handler of the socket and its timers: a failure ends this socket, not the client. */
    const guard = guardOf((error, where) => {
      fail(error);
      options.log.error({ err: error, where, tracker: address }, "the connection to a tracker failed inside");
    });
    const channel = new ApiChannel((text) => socket.send(text), guard);
    /** Closes at once: ws would wait 30 s for a tracker that may be frozen to close its side. */
    const close = () => {
      clearTimeout(silence);
      signal.removeEventListener("abort", giveUp);
      socket.terminate();
      channel.close();
    };
    const closed = () => {
      if (isClosed) return;
      isClosed = true;
      close();
      if (isOpen) options.onClose();
      else reject(connectError(address, failure));
    };
    const fail = (error: unknown) => {
      failure ??= error;
      closed();
    };
    const giveUp = guard("giving up", () => fail(new Error("it kept this client waiting")));
    signal.addEventListener("abort", giveUp);
    let silence: NodeJS.Timeout | undefined;
    let heardMs = 0;
    const look = guard("heartbeat", () => {
      const quietMs = performance.now() - heardMs;
      const askAfterMs = channel.isAsked ? HEARTBEAT_ASKED_MS : HEARTBEAT_IDLE_MS;
      if (quietMs < askAfterMs - TIMER_SLACK_MS) {
        silence = later(
          "the heartbeat of a tracker",
          Math.min(HEARTBEAT_ASKED_MS, askAfterMs - quietMs),
          look,
        );
        return;
      }
      socket.send("PING");
      const askedMs = performance.now();
      silence = later("the heartbeat of a tracker", HEARTBEAT_TIMEOUT_MS, () => {
        // A process that was held up itself has yet to read what came meanwhile: that is done before this.
        const end = () => {
          if (heardMs < askedMs) fail(new Error("it fell silent"));
        };
        setImmediate(guard("heartbeat", end));
      });
    });
    const heard = () => {
      heardMs = performance.now();
      clearTimeout(silence);
      silence = later("the heartbeat of a tracker", HEARTBEAT_ASKED_MS, look);
    };
    let time: TrackerTime | undefined;
    const upgraded = ({ headers }: IncomingMessage): void => {
      time = readTrackerTime(headers.date);
    };
    socket.once("upgrade", guard("upgrade", upgraded));
    const opened = () => {
      isOpen = true;
      signal.removeEventListener("abort", giveUp);
      heard();
      resolve({
        api: channel.api,
        time,
        get isClosed() {
          return isClosed;
        },
        fingerprint,
        localHost,
        close,
      });
    };
    const take = (data: unknown) => {
      if (isClosed) return;
      heard();
      const text = String(data);
      if (text === "PING") socket.send("PONG");
      else if (text !== "PONG" && !channel.take(text)) {
        const sentence = `${address} does not speak as a tracker does; check its line.`;
        fail(new MiniTorrentError("MALFORMED_MESSAGE", sentence));
      }
    };
    socket.on("open", guard("opening", opened));
    socket.on("message", guard("message", take));
    socket.on("error", guard("error", fail));
    socket.on("close", guard("end", closed));
    if (signal.aborted) giveUp();
  });
}

/** A TLS socket that is destroyed before a byte is sent over it if the tracker's key is not accepted. */
function dialPinned(
  options: TrackerSocketOptions,
  failed: (error: unknown) => void,
  accepted: (fingerprint: string, localHost: string) => void,
): TLSSocket {
  const { tracker, identity, trust } = options;
  const { host, localAddress } = options.plan;
  const place: TcpNetConnectOpts = {
    host,
    port: tracker.port,
    autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_AFTER_MS,
    ...(localAddress === undefined ? {} : { localAddress }),
  };
  const socket = connect({
    ...place,
    minVersion: "TLSv1.3",
    sigalgs: TLS_SIGNATURES,
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
      trust.check(tracker, fingerprint);
      accepted(fingerprint, canonicalHost(socket.localAddress ?? ""));
    } catch (error) {
      failed(error);
      socket.destroy();
    }
  });
  return socket;
}

/** Why that tracker could not be connected to. @param address as its line has it */
export function connectError(address: string, failure: unknown): MiniTorrentError {
  if (failure instanceof MiniTorrentError) return failure;
  const problem = dialProblem(failure);
  if (problem !== undefined) {
    const what = problem.isLocal ? "cannot be reached from this machine" : "does not answer";
    return new MiniTorrentError(
      "TRACKERS_UNREACHABLE",
      `The tracker ${address} ${what}: ${problem.reason}.`,
      { cause: failure },
    );
  }
  const reason = failure instanceof Error ? failure.message || String(failure) : "the connection was closed";
  return new MiniTorrentError("TRACKERS_UNREACHABLE", `The tracker ${address} does not answer: ${reason}.`, {
    cause: failure,
  });
}
