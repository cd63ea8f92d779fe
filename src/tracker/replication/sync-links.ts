// The links between trackers: of two, the one with the higher number dials, again and again until it is there; the other
// takes a link only from a key that it has itself seen at an address of tracker_info.txt. What is said over a link is
// replication.ts's.

import { connect as connectTcp } from "node:net";
import { connect, TLSSocket } from "node:tls";
import type { Logger } from "pino";
import { WebSocket } from "ws";
import { formatAddress, type TrackerAddress } from "../../api/addresses.ts";
import { MiniTorrentError } from "../../api/errors.ts";
import {
  type DeviceIdentity,
  fingerprintOf,
  fingerprintOfPem,
  TLS_SIGNATURES,
} from "../../identity/certificates.ts";
import type { PinStore } from "../../identity/pins.ts";
import { type Guard, guardOf } from "../../net/connection-guard.ts";
import type { Clock } from "../../net/timers.ts";
import { LinkRefused, linkClosed, linkTrouble, waitingFor } from "./link-trouble.ts";
import type { ReplicaChannel, ReplicaReceiver } from "./replica-channel.ts";
import { MAX_REPLICA_MESSAGE_BYTES } from "./replica-messages.ts";

/** A tracker that is back is found within a second, one that is gone costs a connect a second. */
const FIRST_REDIAL_MS = 250;
const MAX_REDIAL_MS = 1_000;
const CONNECT_TIMEOUT_MS = 2_000;
/** After a refusal, trackers that should connect here are dialled once to see their keys, at most this often each. */
const KEY_LOOK_INTERVAL_MS = 10_000;
/** At the start: how long one that answers may take to dial, twice MAX_REDIAL_MS, and how often it is looked at. */
const MEETING_WAIT_MS = 2_000;
const MEETING_LOOK_MS = 20;
/** Some millions of rows. */
const CATCHING_UP_WAIT_MS = 60_000;
/** Characters after which a frame goes at once; one message more fits far below MAX_REPLICA_MESSAGE_BYTES. */
const MAX_FRAME_LENGTH = 1024 * 1024;
/**
 * Most bytes waiting to be sent: past it the link is closed, and the tracker catches up over the next link. A page of rows has
 * about 1 MiB, a tracker's whole presence some tens of MiB.
 */
const MAX_BACKLOG_BYTES = 128 * 1024 * 1024;
/** The close frame's reason (RFC 6455, 5.5: a control frame has at most 125 bytes, 2 of them the code). */
const MAX_REASON_BYTES = 123;
const CLOSE_NORMAL = 1000;
/** How long the other side may take to answer the close frame. */
const CLOSE_TIMEOUT_MS = 500;

export interface SyncLinksOptions {
  readonly trackers: readonly TrackerAddress[];
  /** This tracker's place in `trackers`, from 0. */
  readonly ownIndex: number;
  readonly identity: DeviceIdentity;
  readonly pins: PinStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** A handler of a socket to another tracker has failed, and the socket is closed. */
  readonly onFault: (error: unknown, where: string, host: string) => void;
  /** Speaks over a channel that is open. */
  readonly attach: (channel: ReplicaChannel, name: string) => ReplicaReceiver;
}

interface Peer {
  readonly tracker: TrackerAddress;
  readonly name: string;
  readonly isDialled: boolean;
  socket: WebSocket | undefined;
  redialMs: number;
  cancelRedial: () => void;
  downSinceMs: number;
  /** A look at its key in progress: all callers share it. */
  looking: Promise<void> | undefined;
  /** It was dialled or probed, and did not answer. */
  isMissing: boolean;
  /** The address presents the key of this tracker, or of an earlier line, so it is not dialled again. */
  isAlias: boolean;
  /** Why it is not connected: logged once, not every second. */
  trouble: string | undefined;
  /** When its key was last looked at because a link was refused. */
  lookedAtMs: number | undefined;
}

export interface LinkPeer {
  readonly name: string;
  readonly isOpen: boolean;
  readonly downSinceMs: number;
  /** Why it is not connected, and what to do. */
  readonly trouble: string;
}

export class SyncLinks {
  readonly #options: SyncLinksOptions;
  readonly #peers: readonly Peer[];
  #isClosed = false;
  #refused: string | undefined;

  /** Begins to dial. This tracker must listen by then: the other may look at its key before it answers. */
  constructor(options: SyncLinksOptions) {
    this.#options = options;
    const nowMs = options.clock.nowMs();
    this.#peers = options.trackers
      .map((tracker, index) => ({ tracker, index }))
      .filter(({ index }) => index !== options.ownIndex)
      .map(({ tracker, index }) => ({
        tracker,
        name: formatAddress(tracker),
        isDialled: index < options.ownIndex,
        socket: undefined,
        redialMs: FIRST_REDIAL_MS,
        cancelRedial: () => {},
        downSinceMs: nowMs,
        looking: undefined,
        isMissing: false,
        isAlias: false,
        trouble: undefined,
        lookedAtMs: undefined,
      }));
    for (const peer of this.#peers) if (peer.isDialled) this.#dial(peer);
  }

  /** The other trackers, and since when, and why, there was no socket to each. */
  peers(): readonly LinkPeer[] {
    const others = this.#peers.filter(({ isAlias }) => !isAlias);
    return others.map(({ name, socket, downSinceMs, trouble, isDialled }) => ({
      name,
      isOpen: socket !== undefined,
      downSinceMs,
      trouble: trouble ?? waitingFor({ name }, isDialled),
    }));
  }

  /** Addresses and fingerprints of the other trackers: pinned by their lines, or seen at first contact. */
  keys(): { address: string; fingerprint: string }[] {
    return this.#peers.flatMap((peer) => {
      const fingerprint = this.#keyOf(peer);
      return fingerprint === undefined ? [] : [{ address: peer.name, fingerprint }];
    });
  }

  /**
   * Resolves when this tracker has all rows of every reachable tracker: at the start, and after all links were
   * closed. An unreachable tracker is not waited for; a reachable one that does not link is waited for up to two seconds.
   *
   * @param hasCaughtUp whether all that the tracker of that name has is here
   */
  async met(hasCaughtUp: (name: string) => boolean): Promise<void> {
    const { clock } = this.#options;
    const pause = () => new Promise<void>((resolve) => clock.setTimer(MEETING_LOOK_MS, resolve));
    const startMs = clock.nowMs();
    for (const peer of this.#peers) peer.isMissing = false;
    const dialsHere = this.#peers.filter(({ isDialled }) => !isDialled);
    await Promise.all(dialsHere.map((peer) => this.#meet(peer)));
    const isAwaited = (peer: Peer): boolean => {
      if (peer.isAlias || hasCaughtUp(peer.name)) return false;
      const waitedMs = clock.nowMs() - startMs;
      if (peer.socket !== undefined) return waitedMs < CATCHING_UP_WAIT_MS;
      return !peer.isMissing && waitedMs < MEETING_WAIT_MS;
    };
    while (!this.#isClosed && this.#peers.some(isAwaited)) await pause();
  }

  /** Whether that certificate is another tracker's. Looks at addresses whose key was never seen. */
  async maySync(certificate: Uint8Array): Promise<boolean> {
    if (this.#peerOf(certificate) !== undefined) return true;
    const unseen = this.#peers.filter(
      ({ name, tracker }) => tracker.fingerprint === undefined && this.#options.pins.get(name) === undefined,
    );
    await Promise.all(unseen.map((peer) => this.#look(peer)));
    if (this.#peerOf(certificate) !== undefined) return true;
    const fingerprint = fingerprintOf(certificate);
    // A refused tracker dials again every second; it is logged once.
    if (fingerprint !== this.#refused) {
      this.#options.log.warn(
        { fingerprint },
        "a link was refused: the key is not that of any tracker in tracker_info.txt as this tracker has seen it; " +
          "if that tracker was set up anew, add its fingerprint to its line",
      );
    }
    this.#refused = fingerprint;
    for (const peer of this.#peers) if (!unseen.includes(peer)) this.#lookAfterRefusal(peer);
    return false;
  }

  /** The refused key may be the new one of a tracker that connects here: dialling it tells, and `status` shows it. */
  #lookAfterRefusal(peer: Peer): void {
    const nowMs = this.#options.clock.nowMs();
    if (peer.isDialled || peer.isAlias || peer.socket !== undefined || this.#isClosed) return;
    if (peer.lookedAtMs !== undefined && nowMs - peer.lookedAtMs < KEY_LOOK_INTERVAL_MS) return;
    peer.lookedAtMs = nowMs;
    void this.#look(peer);
  }

  /** Accepts a link that another tracker dialled, and closes an older one from it. */
  accept(socket: WebSocket, certificate: Uint8Array): void {
    const peer = this.#peerOf(certificate);
    if (peer === undefined || this.#isClosed) {
      socket.terminate();
      return;
    }
    const older = peer.socket;
    this.#opened(peer, socket);
    older?.terminate();
  }

  close(): void {
    this.#isClosed = true;
    for (const peer of this.#peers) {
      peer.cancelRedial();
      peer.socket?.terminate();
    }
  }

  #peerOf(certificate: Uint8Array): Peer | undefined {
    const fingerprint = fingerprintOf(certificate);
    return this.#peers.find((peer) => !peer.isAlias && this.#keyOf(peer) === fingerprint);
  }

  /** The guard of one socket to that tracker. */
  #guardOf(peer: Peer, end: () => void): Guard {
    return guardOf((error, where) => {
      end();
      this.#options.onFault(error, where, peer.name);
    });
  }

  #redial(peer: Peer): void {
    if (this.#isClosed || peer.isAlias) return;
    peer.cancelRedial = this.#options.clock.setTimer(peer.redialMs, () => this.#dial(peer));
    peer.redialMs = Math.min(peer.redialMs * 2, MAX_REDIAL_MS);
  }

  #dial(peer: Peer): void {
    this.#guardOf(peer, () => this.#redial(peer))("dialling", () => this.#dialNow(peer))();
  }

  #dialNow(peer: Peer): void {
    const { identity } = this.#options;
    let problem: unknown;
    const socket = new WebSocket(`wss://${peer.name}/sync`, {
      key: identity.privateKeyPem,
      cert: identity.certificatePem,
      minVersion: "TLSv1.3",
      sigalgs: TLS_SIGNATURES,
      // Self-signed: what makes it the right one is the pin.
      rejectUnauthorized: false,
      handshakeTimeout: CONNECT_TIMEOUT_MS,
      maxPayload: MAX_REPLICA_MESSAGE_BYTES,
      perMessageDeflate: false,
    });
    const guard = this.#guardOf(peer, () => socket.terminate());
    peer.socket = undefined;
    socket.on("error", (error) => {
      problem ??= error;
    });
    socket.once("unexpected-response", (_request, response) => {
      problem ??= new LinkRefused(response.statusCode ?? 0);
      socket.terminate();
    });
    socket.once("close", () => this.#redial(peer));
    const pin = (tls: unknown): void => {
      try {
        this.#pin(peer, tls instanceof TLSSocket ? tls.getPeerX509Certificate()?.raw : undefined);
        if (peer.isAlias) socket.terminate();
      } catch (error) {
        problem = error;
        socket.terminate();
      }
    };
    socket.once(
      "upgrade",
      guard("upgrade", (response) => pin(response.socket)),
    );
    const opened = (): void => {
      peer.redialMs = FIRST_REDIAL_MS;
      this.#opened(peer, socket);
    };
    socket.once("open", guard("opening", opened));
    const closed = (): void => {
      peer.isMissing = true;
      if (problem !== undefined && !this.#isClosed && !peer.isAlias) this.#note(peer, problem);
    };
    socket.once("close", guard("end of dialling", closed));
    // So that closing while it dials ends the attempt; it counts as a link only once it is open.
    peer.cancelRedial = () => socket.terminate();
  }

  #opened(peer: Peer, socket: WebSocket): void {
    const guard = this.#guardOf(peer, () => socket.terminate());
    peer.socket = socket;
    peer.trouble = undefined;
    socket.on(
      "error",
      guard("error", (error) => this.#note(peer, error)),
    );
    socket.once("close", () => {
      if (peer.socket !== socket) return;
      peer.socket = undefined;
      peer.downSinceMs = this.#options.clock.nowMs();
    });
    const receiver = this.#options.attach(asChannel(socket, this.#options.clock, guard), peer.name);
    const take = (data: unknown): void => {
      for (const message of String(data).split("\n")) receiver.message(message);
    };
    socket.on("message", guard("message", take));
    const closed = (_code: number, reason: Buffer): void => {
      if (reason.length > 0) peer.trouble ??= linkClosed(peer.name, String(reason));
      receiver.closed(reason.length > 0 ? String(reason) : "the connection is gone");
    };
    socket.once("close", guard("end", closed));
  }

  /** @throws MiniTorrentError TRACKER_KEY_CHANGED */
  #pin(peer: Peer, certificate: Uint8Array | undefined): void {
    const { name, tracker } = peer;
    if (certificate === undefined) {
      throw new MiniTorrentError("PEER_REFUSED", `${name} shows no certificate; it is not a tracker.`);
    }
    const fingerprint = fingerprintOf(certificate);
    this.#options.pins.check(name, fingerprint, tracker.fingerprint);
    const sameAs = this.#ownerOf(fingerprint);
    if (sameAs === name || peer.isAlias) return;
    peer.isAlias = true;
    this.#options.log.warn(
      { tracker: name, sameAs },
      "two lines of tracker_info.txt are one tracker; it counts once",
    );
  }

  /** The line that counts for that key. */
  #ownerOf(fingerprint: string): string | undefined {
    const { trackers, ownIndex, identity } = this.#options;
    const own = trackers[ownIndex];
    if (own !== undefined && fingerprintOfPem(identity.certificatePem) === fingerprint)
      return formatAddress(own);
    return this.#peers.find((peer) => this.#keyOf(peer) === fingerprint)?.name;
  }

  #keyOf({ tracker, name }: Peer): string | undefined {
    return tracker.fingerprint?.toLowerCase() ?? this.#options.pins.get(name);
  }

  /** Whether the address answers, and whether it is another tracker. */
  async #meet(peer: Peer): Promise<void> {
    await this.#probe(peer);
    if (!peer.isMissing) await this.#look(peer);
  }

  /** Whether the address answers. */
  #probe(peer: Peer): Promise<void> {
    const { host, port } = peer.tracker;
    return new Promise((resolve) => {
      const end = (isMissing: boolean) => {
        peer.isMissing = isMissing;
        socket.destroy();
        resolve();
      };
      const socket = connectTcp({ host, port, timeout: CONNECT_TIMEOUT_MS });
      socket.once("connect", () => end(false));
      socket.once("timeout", () => end(true));
      socket.once("error", () => end(true));
    });
  }

  /** Dials an address only to see its key. */
  #look(peer: Peer): Promise<void> {
    peer.looking ??= this.#dialToLook(peer).finally(() => {
      peer.looking = undefined;
    });
    return peer.looking;
  }

  #dialToLook(peer: Peer): Promise<void> {
    const { host, port } = peer.tracker;
    return new Promise((resolve) => {
      const socket = connect({
        ...{ host, port, minVersion: "TLSv1.3", rejectUnauthorized: false },
        sigalgs: TLS_SIGNATURES,
      });
      const guard = this.#guardOf(peer, () => socket.destroy());
      const look = (): void => {
        try {
          this.#pin(peer, socket.getPeerX509Certificate()?.raw);
        } catch (error) {
          this.#note(peer, error);
        }
        socket.destroy();
      };
      socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy());
      socket.once("secureConnect", guard("look at a key", look));
      socket.on(
        "error",
        guard("look at a key", (error) => this.#note(peer, error)),
      );
      socket.once("close", () => resolve());
    });
  }

  #note(peer: Peer, error: unknown): void {
    const ownFingerprint = fingerprintOfPem(this.#options.identity.certificatePem);
    const trouble = linkTrouble(error, { name: peer.name, ownFingerprint });
    if (trouble === peer.trouble) return;
    peer.trouble = trouble;
    const isGrave = error instanceof MiniTorrentError || error instanceof LinkRefused;
    this.#options.log[isGrave ? "error" : "info"](
      { tracker: peer.name, reason: trouble },
      "tracker not reached",
    );
  }
}

/** What is sent in one turn goes as one frame, a message a line: a commit's writes and their answers come in heaps. */
function asChannel(socket: WebSocket, clock: Clock, guard: Guard): ReplicaChannel {
  let waiting: string[] = [];
  let waitingLength = 0;
  const flush = guard("sending", () => {
    const text = waiting.join("\n");
    waiting = [];
    waitingLength = 0;
    if (text.length > 0) socket.send(text);
    if (socket.bufferedAmount > MAX_BACKLOG_BYTES) socket.terminate();
  });
  return {
    send: (message) => {
      if (waiting.length === 0) process.nextTick(flush);
      waiting.push(message);
      waitingLength += message.length;
      if (waitingLength >= MAX_FRAME_LENGTH) flush();
    },
    close: (reason) => {
      flush();
      const text = Buffer.from(reason)
        .subarray(0, MAX_REASON_BYTES)
        .toString("utf8")
        .replace(/\ufffd+$/, "");
      socket.close(CLOSE_NORMAL, text);
      const cancel = clock.setTimer(CLOSE_TIMEOUT_MS, () => socket.terminate());
      socket.once("close", cancel);
    },
  };
}
