// The connections of one torrent: dials the members that trackers name, keeps one connection per device, tries
// again with growing pauses, and replaces a connection that has fallen silent. Trackers name a random sample of a
// large swarm each time; the peers named are remembered for a while. It opens sockets through `dial` and hands them on; it never reads them.
import type { Logger } from "pino";
import { type Address, formatAddress } from "../api/addresses.ts";
import { asMiniTorrentError, type ErrorCode } from "../api/errors.ts";
import { MOST_NAMED_PEERS, type PeerAddress } from "../api/schemas.ts";
import type { Farewell } from "../wire/farewell.ts";

/** Simultaneous TLS handshakes per torrent: each costs both ends about a millisecond. */
const MAX_DIALS = 8;
/** Connections per torrent beyond which no peer is dialled. libtorrent's default is of the same order. */
const MAX_CONNECTIONS = 100;
/**
 * Connections per torrent past which incoming ones are refused too: a seed of a swarm of thousands is named to all of
 * them. Above MAX_CONNECTIONS, so that a peer that cannot be dialled finds room at peers that dial no more themselves.
 */
const MAX_ADMITTED = 150;
/**
 * Connections of one member to a torrent, in both directions: enough for several machines. A member can get certificates for
 * many keys, and must not take everybody else's places with them.
 */
const MAX_CONNECTIONS_OF_MEMBER = 4;
/** Remembered peers per member: without this limit a member with many keys would displace everybody else. */
const MAX_KNOWN_OF_MEMBER = 20;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 30_000;
/** Retry pause in a large swarm with enough connections: thousands of peers must not dial a full seed twice a minute. */
const LAST_RETRY_IN_CROWD_MS = 300_000;
const ENOUGH_CONNECTIONS = 20;
/** A shorter connection counts as a failed dial: the other end had no room, or no use for it. */
const LASTING_MS = 10_000;
/** Most peers remembered without being connected; the list is scanned ten times a second. */
const MAX_KNOWN = 400;
/** A peer of a large swarm that was not named for this long is forgotten: three of PeerSearch's longest pauses. */
const FORGET_AFTER_MS = 180_000;
/**
 * When requests are unanswered and a connection has been silent for this long, a second one is dialled, which replaces it once
 * established: a dead path, such as after a change of address, reports nothing, and TCP would retry for a quarter of an hour.
 * Long enough for TCP to repair a lost packet three times over (RFC 6298: 1, 2 s). A peer whose blocks have come with longer
 * pauses is allowed those.
 */
const MUTE_MS = 5_000;
/** The same, if trackers name another address for the device than the connection has. */
const MUTE_AT_OLD_ADDRESS_MS = 1_000;
/** If a replacement also falls silent within this time, the next one waits twice as long. */
const REPLACED_OFTEN_MS = 300_000;
const MAX_DOUBLINGS = 5;
/**
 * Both ends may dial each other at once, and then agree which connection stays. Past the time that a handshake takes
 * (HANDSHAKE_TIMEOUT_MS) a second one means that the other end has lost the first.
 */
const DIALLED_AT_ONCE_MS = 10_000;
/** When either end could dial, one waits this long for the other, so that there is one handshake, not two. */
const COURTESY_MS = 1_500;

/** What `ConnectionManager` needs of a connection; `transport/peer-socket.ts` fits it. */
export interface Connection {
  readonly deviceId: string;
  /** As the certificate says. */
  readonly userId: string;
  /** True if this side dialled. */
  readonly isDialled: boolean;
  /** The other end's; the port is the one that it listens on only if this side dialled. */
  readonly address: Address;
  /** How long nothing has come, not even a part of a message. */
  readonly silentMs: number;
  close(reason: string, farewell?: Farewell): void;
}

/** Why a known peer is not dialled. */
export type DialObstacle =
  /** Nothing is taken from that user any more. */
  | "banned"
  /** This client has no certificate of the group now. */
  | "no-certificate"
  /** It has nothing that is missing here. */
  | "not-needed"
  /** This client has as many connections as it may have, or as many of that user. */
  | "no-room"
  | "user-full"
  /** The process has as many connections as the system lets it open, and other files are first. */
  | "no-descriptors";

interface Known {
  address: PeerAddress;
  /** When it was named last. */
  namedAtMs: number;
  failures: number;
  nextDialAtMs: number;
  dialling: AbortController | undefined;
  lastFailure: { readonly code: ErrorCode; readonly message: string } | undefined;
  farewell: Farewell | undefined;
}

/** An established connection. */
interface Standing<C> {
  readonly socket: C;
  readonly sinceMs: number;
  /** How often in a row a silent connection to the device was replaced. */
  readonly replacements: number;
}

/** A peer named by a tracker, and the state of dialling it. */
export interface Contact {
  readonly userId: string;
  readonly deviceId: string;
  readonly address: string;
  readonly isDialling: boolean;
  /** undefined while it is being dialled, or is not to be: see `obstacle`. */
  readonly nextDialInMs: number | undefined;
  readonly obstacle: DialObstacle | undefined;
  readonly lastFailure: string | undefined;
  /** How it ended the last connection, as it said. */
  readonly farewell: Farewell | undefined;
  /** When a certificate was last refused as expired or not yet valid: one of the two clocks is wrong. */
  readonly isClockFailure: boolean;
}

export interface ConnectionManagerOptions<C extends Connection> {
  readonly ownDeviceId: string;
  readonly nowMs: () => number;
  readonly log: Logger;
  /** Whether this side has every piece, as trackers tell others: then the peers that lack some do the dialling. */
  readonly isComplete: () => boolean;
  /** False while connections to that kind of peer have no use: paused, or both have everything. */
  readonly wants: (peer: PeerAddress) => boolean;
  /** Why `wants` says no; undefined if it says yes. Asked for people, and changes nothing. */
  readonly obstacleTo?: (peer: PeerAddress) => DialObstacle | undefined;
  /** Unanswered requests to the device: see `Torrent.debtOf`. */
  readonly debtOf: (
    deviceId: string,
  ) => { readonly unansweredMs: number; readonly patienceMs: number } | undefined;
  readonly dial: (peer: PeerAddress, signal: AbortSignal) => Promise<C>;
  /** A dialled connection is established; the caller offers it to `admit`. */
  readonly onDialled: (socket: C) => void;
}

export class ConnectionManager<C extends Connection> {
  readonly #options: ConnectionManagerOptions<C>;
  readonly #known = new Map<string, Known>();
  readonly #connected = new Map<string, Standing<C>>();
  /** True if the last list was a sample of a larger swarm. */
  #knowsSample = false;
  #isClosed = false;

  constructor(options: ConnectionManagerOptions<C>) {
    this.#options = options;
  }

  /** Peers that trackers name and that are not connected. */
  contacts(): Contact[] {
    const nowMs = this.#options.nowMs();
    const places = this.#placesOfMembers();
    const dialling = [...this.#known.values()].filter((known) => known.dialling !== undefined).length;
    const isFull = this.#connected.size + dialling >= MAX_CONNECTIONS;
    return [...this.#known.values()]
      .filter(({ address }) => !this.#connected.has(address.deviceId))
      .map(({ address, dialling, nextDialAtMs, lastFailure, farewell }) => {
        const isDialling = dialling !== undefined;
        const isUserFull = (places.get(address.userId) ?? 0) >= MAX_CONNECTIONS_OF_MEMBER;
        const roomObstacle = isFull ? "no-room" : isUserFull ? "user-full" : undefined;
        const obstacle = isDialling ? undefined : (this.#options.obstacleTo?.(address) ?? roomObstacle);
        const isDue = !isDialling && obstacle === undefined;
        return {
          userId: address.userId,
          deviceId: address.deviceId,
          address: formatAddress(address),
          isDialling,
          nextDialInMs: isDue ? Math.max(0, nextDialAtMs - nowMs) : undefined,
          obstacle,
          lastFailure: lastFailure?.message,
          farewell,
          isClockFailure: lastFailure?.code === "CLOCK_WRONG",
        };
      });
  }

  get connectedCount(): number {
    return this.#connected.size;
  }

  /** True if trackers name only a sample, so that asking again yields other peers. */
  get knowsSample(): boolean {
    return this.#knowsSample;
  }

  /** How many of the peers that trackers name are seeds. */
  get seedCount(): number {
    let count = 0;
    for (const { address } of this.#known.values()) if (address.isSeed) count++;
    return count;
  }

  /** The established connections. */
  *connected(): Iterable<C> {
    for (const { socket } of this.#connected.values()) yield socket;
  }

  /** A tracker reports a peer with the torrent, or a change of it. Dials it if it is time. */
  peerOnline(address: PeerAddress): void {
    this.#learn(address);
    this.tick();
  }

  /** The tracker no longer names the peer. A working connection stays, since the peer and not the tracker sends the pieces. */
  peerOffline(deviceId: string): void {
    this.#known.get(deviceId)?.dialling?.abort();
    this.#known.delete(deviceId);
  }

  /**
   * The tracker's list. With fewer than MOST_NAMED_PEERS entries it is complete: other peers are no longer dialled. Otherwise it is
   * a sample: peers that are not on it are forgotten only after a time.
   *
   * @param askedAtMs when it was requested, by this manager's clock: a peer named since then may be too new to be on it
   */
  peersOnline(addresses: readonly PeerAddress[], askedAtMs: number): void {
    this.#knowsSample = addresses.length >= MOST_NAMED_PEERS;
    const named = new Set(addresses.map((address) => address.deviceId));
    const forgottenMs = this.#knowsSample ? askedAtMs - FORGET_AFTER_MS : askedAtMs;
    for (const [deviceId, { namedAtMs }] of [...this.#known]) {
      if (named.has(deviceId) || namedAtMs >= forgottenMs) continue;
      if (!this.#knowsSample || !this.#connected.has(deviceId)) this.peerOffline(deviceId);
    }
    for (const address of addresses) this.#learn(address);
    this.tick();
  }

  /**
   * Accepts a connection, or refuses it as a second one to the same device. Both ends decide alike: of two that were dialled
   * from both ends at once, the one dialled by the lower device id stays; otherwise the newer one, since the end that dialled
   * it has lost the older one, even if this end has not noticed.
   */
  admit(socket: C): boolean {
    const { ownDeviceId } = this.#options;
    if (this.#isClosed || socket.deviceId === ownDeviceId) return false;
    const nowMs = this.#options.nowMs();
    const present = this.#connected.get(socket.deviceId);
    let replacements = 0;
    if (present !== undefined) {
      const isKept = (one: C) => one.isDialled === ownDeviceId < one.deviceId;
      const isAtOnce = nowMs - present.sinceMs < DIALLED_AT_ONCE_MS;
      const isOther = present.socket.isDialled !== socket.isDialled;
      if (isOther && isAtOnce && !this.#isMute(present) && isKept(present.socket)) return false;
      if (nowMs - present.sinceMs < REPLACED_OFTEN_MS) replacements = present.replacements + 1;
      present.socket.close("another connection to the same device replaces this one");
    } else if (this.#isMemberFull(socket.userId)) return false;
    else if (!socket.isDialled && this.#connected.size >= MAX_ADMITTED) return false;
    this.#connected.set(socket.deviceId, { socket, sinceMs: nowMs, replacements });
    const known = this.#known.get(socket.deviceId);
    if (known !== undefined) {
      known.lastFailure = undefined;
      known.farewell = undefined;
    }
    return true;
  }

  /** The farewell for a connection that `admit` has refused. */
  farewellTo(socket: C): Farewell | undefined {
    if (this.#connected.has(socket.deviceId)) return undefined;
    if (this.#isMemberFull(socket.userId)) return { reason: "user-full" };
    return this.#connected.size >= MAX_ADMITTED ? { reason: "full" } : undefined;
  }

  /** That connection is gone; its device is dialled again after a pause. @param farewell why, as the other end said */
  gone(socket: C, farewell?: Farewell): void {
    const standing = this.#connected.get(socket.deviceId);
    if (standing?.socket !== socket) return;
    this.#connected.delete(socket.deviceId);
    const known = this.#known.get(socket.deviceId);
    if (known === undefined) return;
    known.farewell = farewell;
    known.lastFailure = { code: "PEER_REFUSED", message: "the connection ended." };
    if (this.#options.nowMs() - standing.sinceMs >= LASTING_MS) known.failures = 0;
    this.#putOff(known);
  }

  /** Closes the connections for which `isMeant` holds. */
  disconnect(isMeant: (socket: C) => boolean, reason: string): void {
    for (const { socket } of [...this.#connected.values()]) if (isMeant(socket)) socket.close(reason);
  }

  /** This machine's addresses have changed: failed dials are retried at once, and dials in progress are restarted. */
  ownAddressChanged(): void {
    for (const known of this.#known.values()) dialAnew(known);
  }

  /** Dials the peers that are due. */
  tick(): void {
    if (this.#known.size === 0) return;
    const nowMs = this.#options.nowMs();
    let dialling = 0;
    for (const known of this.#known.values()) if (known.dialling !== undefined) dialling++;
    let places: Map<string, number> | undefined;
    for (const [deviceId, known] of this.#known) {
      if (dialling >= MAX_DIALS) return;
      if (known.dialling !== undefined || known.nextDialAtMs > nowMs) continue;
      const standing = this.#connected.get(deviceId);
      if (standing !== undefined) {
        if (!this.#isMute(standing) || !this.#options.wants(known.address)) continue;
        // It replaces an established connection, so there is room for it.
        dialling++;
        void this.#dial(known);
        continue;
      }
      if (this.#connected.size + dialling >= MAX_CONNECTIONS) continue;
      if (!this.#options.wants(known.address)) continue;
      places ??= this.#placesOfMembers();
      const { userId } = known.address;
      const taken = places.get(userId) ?? 0;
      if (taken >= MAX_CONNECTIONS_OF_MEMBER) continue;
      places.set(userId, taken + 1);
      dialling++;
      void this.#dial(known);
    }
  }

  close(reason: string, farewell?: Farewell): void {
    this.#isClosed = true;
    for (const known of this.#known.values()) known.dialling?.abort();
    this.#known.clear();
    for (const { socket } of [...this.#connected.values()]) socket.close(reason, farewell);
  }

  /** True if requests are unanswered and nothing arrives any more. */
  #isMute({ socket, replacements }: Standing<C>): boolean {
    const { silentMs, deviceId } = socket;
    if (silentMs < MUTE_AT_OLD_ADDRESS_MS || this.#options.isComplete()) return false;
    const debt = this.#options.debtOf(deviceId);
    if (debt === undefined) return false;
    const muteMs = Math.min(silentMs, debt.unansweredMs);
    const known = this.#known.get(deviceId)?.address;
    if (known !== undefined && !isAt(socket, known)) return muteMs >= MUTE_AT_OLD_ADDRESS_MS;
    return muteMs >= Math.max(MUTE_MS, debt.patienceMs) * 2 ** Math.min(replacements, MAX_DOUBLINGS);
  }

  #isMemberFull(userId: string): boolean {
    let count = 0;
    for (const { socket } of this.#connected.values()) if (socket.userId === userId) count++;
    return count >= MAX_CONNECTIONS_OF_MEMBER;
  }

  /** User id → connections that are established or being dialled. */
  #placesOfMembers(): Map<string, number> {
    const places = new Map<string, number>();
    const count = (userId: string) => places.set(userId, (places.get(userId) ?? 0) + 1);
    for (const { socket } of this.#connected.values()) count(socket.userId);
    for (const [deviceId, { address, dialling }] of this.#known) {
      if (dialling !== undefined && !this.#connected.has(deviceId)) count(address.userId);
    }
    return places;
  }

  #knownCountOf(userId: string): number {
    let count = 0;
    for (const { address } of this.#known.values()) if (address.userId === userId) count++;
    return count;
  }

  #learn(address: PeerAddress): void {
    if (address.deviceId === this.#options.ownDeviceId) return;
    const known = this.#known.get(address.deviceId);
    const namedAtMs = this.#options.nowMs();
    if (known !== undefined) {
      known.namedAtMs = namedAtMs;
      const hasMoved = placesOf(known.address) !== placesOf(address);
      known.address = address;
      if (!hasMoved) return;
      dialAnew(known);
      return;
    }
    if (this.#knownCountOf(address.userId) >= MAX_KNOWN_OF_MEMBER) return;
    if (this.#known.size >= MAX_KNOWN && !this.#forgetOne()) return;
    const pauseMs = this.#isFirstToDial(address) ? 0 : COURTESY_MS;
    this.#known.set(address.deviceId, {
      address,
      namedAtMs,
      failures: 0,
      nextDialAtMs: namedAtMs + pauseMs,
      dialling: undefined,
      lastFailure: undefined,
      farewell: undefined,
    });
  }

  /** Forgets the peer named longest ago that is neither connected nor being dialled. False if there is none. */
  #forgetOne(): boolean {
    let oldest: Known | undefined;
    for (const known of this.#known.values()) {
      if (known.dialling !== undefined || this.#connected.has(known.address.deviceId)) continue;
      if (oldest === undefined || known.namedAtMs < oldest.namedAtMs) oldest = known;
    }
    return oldest !== undefined && this.#known.delete(oldest.address.deviceId);
  }

  /** The peer that wants pieces dials: it is in a hurry, and reads faster on a connection that it dialled. In a tie, the lower id. */
  #isFirstToDial({ deviceId, isSeed }: PeerAddress): boolean {
    const isComplete = this.#options.isComplete();
    return isSeed === isComplete ? this.#options.ownDeviceId < deviceId : isSeed;
  }

  async #dial(known: Known): Promise<void> {
    const controller = new AbortController();
    known.dialling = controller;
    try {
      const socket = await this.#options.dial(known.address, controller.signal);
      known.lastFailure = undefined;
      if (controller.signal.aborted) {
        socket.close("not needed any more");
        return;
      }
      const isAnother = socket.deviceId !== known.address.deviceId;
      if (isAnother) this.#failed(known, "PEER_REFUSED", "another device answers at that address.");
      if (isAnother && this.#connected.has(socket.deviceId)) socket.close("connected already");
      else this.#options.onDialled(socket);
    } catch (error) {
      if (controller.signal.aborted) return;
      const { code, message } = asMiniTorrentError(error);
      this.#failed(known, code, message);
    } finally {
      if (known.dialling === controller) known.dialling = undefined;
    }
  }

  #failed(known: Known, code: ErrorCode, message: string): void {
    known.lastFailure = { code, message };
    known.farewell = undefined;
    this.#options.log.debug(
      { peer: formatAddress(known.address), user: known.address.userId, reason: message },
      "peer not reached",
    );
    this.#putOff(known);
  }

  #putOff(known: Known): void {
    const isInNoHurry = this.#knowsSample && this.#connected.size >= ENOUGH_CONNECTIONS;
    const lastMs = isInNoHurry ? LAST_RETRY_IN_CROWD_MS : LAST_RETRY_MS;
    const pauseMs = Math.min(FIRST_RETRY_MS * 2 ** known.failures, lastMs);
    known.failures++;
    known.nextDialAtMs = this.#options.nowMs() + pauseMs;
  }
}

/** Forgets earlier failures to reach it. */
function dialAnew(known: Known): void {
  known.dialling?.abort();
  known.dialling = undefined;
  known.failures = 0;
  known.nextDialAtMs = 0;
}

/** The connection goes to one of the peer's addresses, as far as this side can tell. */
function isAt({ isDialled, address }: Connection, { host, otherHosts = [], port }: PeerAddress): boolean {
  return [host, ...otherHosts].includes(address.host) && (!isDialled || address.port === port);
}

function placesOf({ host, otherHosts = [], port }: PeerAddress): string {
  return [host, ...otherHosts].map((one) => formatAddress({ host: one, port })).join();
}
